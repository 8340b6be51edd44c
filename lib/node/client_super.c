/* The client's connection to a supervisor: a list of them, in order, again and
 * again while one is needed (flow 3, rules 32 and 33). */
#include <stdio.h>
#include <string.h>

#include "lib/node/client_int.h"

static void super_try(struct am_client *c);

/* Is there anything to ask a supervisor for? */
static bool
is_needed(const struct am_client *c)
{
	const struct am_machine *m = c->machine;

	return am_is1(m, Cli_WorkerWanted) || am_is1(m, Cli_Releasing) ||
	    (am_is1(m, Cli_Leased) && !c->attached);
}

bool
super_is_ready(const struct am_client *c)
{
	return c->super != NULL && netmach_phase(c->super) == NETMACH_READY;
}

static void
wait_and_try(struct am_client *c)
{
	if (is_needed(c))
		(void)am_timer_start(&c->super_timer,
		    backoff_next(&c->super_backoff));
}

/* All of the list failed: the text is that of the last one. */
static void
round_failed(struct am_client *c)
{
	client_put_change(c, AM_REMOVE, Cli_SuperConnecting,
	    Cli_SuperConnecting);
	client_put_change(c, AM_ADD, Cli_SuperDisconnected,
	    Cli_SuperDisconnected);
	wish_unreachable(c);
	wait_and_try(c);
}

static void
on_ready(struct netmach *nm, void *arg)
{
	struct am_client *c = arg;

	(void)nm;
	c->super_error[0] = '\0';
	client_put_change(c, AM_REMOVE, Cli_SuperConnecting,
	    Cli_SuperConnecting);
	client_put_change(c, AM_ADD, Cli_SuperConnected, Cli_SuperConnected);
	client_put_change(c, AM_ADD, Cli_SuperReady, Cli_SuperReady);
}

static void
on_payload(struct netmach *nm, const struct arpc_payload *p, void *arg)
{
	struct am_client *c = arg;
	char name[64];

	(void)nm;
	node_text(p->name, name, sizeof(name));
	backoff_reset(&c->super_backoff, BACKOFF_MIN_MS);
	if (strcmp(name, "ProvideWorker") == 0)
		provide_worker(c, p->data);
}

static void
note_error(struct am_client *c, const char *why)
{
	(void)snprintf(c->super_error, sizeof(c->super_error), "%s: %s",
	    c->supervisor[c->at].name, why);
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	struct am_client *c = arg;

	(void)nm;
	(void)code;
	note_error(c, why);
	if (!am_is1(c->machine, Cli_SuperConnected)) {
		c->at++;
		super_try(c);
		return;
	}
	/* A LeaseRequested went with the connection; WorkerRequested falls
	 * with SuperReady and comes back with it. */
	c->request = 0;
	client_put_change(c, AM_REMOVE, Cli_SuperReady, Cli_SuperConnected);
	client_put_change(c, AM_ADD, Cli_SuperDisconnected,
	    Cli_SuperDisconnected);
	wait_and_try(c);
}

static const struct netmach_ops super_ops = {
	.on_ready = on_ready,
	.on_payload = on_payload,
	.on_close = on_close,
};

static void
super_try(struct am_client *c)
{
	int r;

	for (; c->at < c->n_supervisors; c->at++) {
		r = netmach_connect(c->super, &c->supervisor[c->at].addr);
		if (r == 0)
			return;
		note_error(c, strerror(-r));
	}
	c->at = c->n_supervisors > 0 ? c->n_supervisors - 1 : 0;
	round_failed(c);
}

/* A new net machine each time: the token of its hello is that of the lease
 * which is held now, and proves that it may be released. */
void
super_connect(struct am_client *c)
{
	const struct netmach_conf conf = {
		.client_id = c->client_id,
		.name = c->name,
		.token = client_lease(c) != NULL ? c->lease.token : NULL,
		.tls = c->tls,
		.sync = c->super_view.sync,
	};

	if (c->super != NULL && netmach_phase(c->super) != NETMACH_IDLE)
		return;
	am_timer_stop(&c->super_timer);
	c->super = netmach_free(c->super);
	if (am_is1(c->machine, Cli_SuperDisconnected))
		client_put_change(c, AM_REMOVE, Cli_SuperDisconnected,
		    Cli_SuperDisconnected);
	client_put_change(c, AM_ADD, Cli_SuperConnecting, Cli_SuperConnecting);
	c->super = netmach_new(c->loop, &conf, &super_ops, c);
	c->at = 0;
	if (c->super != NULL) {
		super_try(c);
		return;
	}
	(void)snprintf(c->super_error, sizeof(c->super_error), "out of memory");
	round_failed(c);
}

void
super_on_timer(void *arg)
{
	super_connect(arg);
}
