/* The connection to a supervisor: tries those in the list in order, round after
 * round, while one is needed (flow 3, rules 32, 33 and 35). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/node/client_int.h"

enum {
	/* How long one that refused or did not answer rests: others in the list
	 * are tried first. */
	REST_MS = 10000,
};

/* Whether there is something to ask of a supervisor. */
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

/* ---- a round ---- */

static void
round_begin(struct am_client *c)
{
	for (size_t i = 0; i < c->n_supervisors; i++) {
		c->supervisor[i].tried = false;
		c->supervisor[i].code[0] = '\0';
		c->supervisor[i].why[0] = '\0';
	}
}

/* The next one in order; one that rests only if there is no other. With a
 * lease, the one that granted it. n_supervisors: the round is over. */
static size_t
round_next(const struct am_client *c)
{
	bool is_held = client_lease(c) != NULL && !c->attached;
	int64_t now = clock_ns();
	size_t resting = c->n_supervisors;

	for (size_t i = 0; i < c->n_supervisors; i++) {
		const struct supervisor *s = &c->supervisor[i];

		if (s->tried || (is_held && i != c->home))
			continue;
		if (s->left_ns == 0 || now - s->left_ns >= node_ns(REST_MS))
			return i;
		if (resting == c->n_supervisors)
			resting = i;
	}
	return resting;
}

/* Records why the present one failed. code is NULL if it did not answer. */
static void
note(struct am_client *c, const char *code, const char *why)
{
	struct supervisor *s = &c->supervisor[c->at];
	char *text = c->super_error;
	size_t size = sizeof(c->super_error), len = 0;

	s->left_ns = clock_ns();
	(void)snprintf(s->code, sizeof(s->code), "%s",
	    code != NULL ? code : "");
	(void)snprintf(s->why, sizeof(s->why), "%s", why);
	for (size_t i = 0; i < c->n_supervisors && len < size; i++) {
		s = &c->supervisor[i];
		if (s->why[0] != '\0')
			len += (size_t)snprintf(text + len, size - len,
			    "%s%s: %s", len > 0 ? "; " : "", s->name, s->why);
	}
}

static bool
all_refused(const struct am_client *c)
{
	for (size_t i = 0; i < c->n_supervisors; i++) {
		if (c->supervisor[i].code[0] == '\0')
			return false;
	}
	return true;
}

const char *
super_code(const struct am_client *c)
{
	for (size_t i = 0; i < c->n_supervisors; i++) {
		if (c->supervisor[i].code[0] != '\0')
			return c->supervisor[i].code;
	}
	return AM_CODE_UNREACHABLE;
}

/* ---- the connection ---- */

static void super_next(struct am_client *c);

static void
be_connecting(struct am_client *c)
{
	if (am_is1(c->machine, Cli_SuperDisconnected))
		client_put_change(c, AM_REMOVE, Cli_SuperDisconnected,
		    Cli_SuperDisconnected);
	if (!am_is1(c->machine, Cli_SuperConnecting))
		client_put_change(c, AM_ADD, Cli_SuperConnecting,
		    Cli_SuperConnecting);
}

static void
be_disconnected(struct am_client *c)
{
	if (am_is1(c->machine, Cli_SuperConnecting))
		client_put_change(c, AM_REMOVE, Cli_SuperConnecting,
		    Cli_SuperConnecting);
	client_put_change(c, AM_ADD, Cli_SuperDisconnected,
	    Cli_SuperDisconnected);
}

/* The LeaseRequested was lost with the connection; WorkerRequested ends and
 * returns with SuperReady. */
static void
not_ready(struct am_client *c)
{
	c->request = 0;
	client_put_change(c, AM_REMOVE, Cli_SuperReady, Cli_SuperConnected);
}

static void
leave(struct am_client *c)
{
	c->super = netmach_free(c->super);
	not_ready(c);
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
	if (strcmp(name, "ProvideWorker") == 0)
		provide_worker(c, p->data);
}

/* The code of a refused hello that would be refused again. */
static const char *
code_of_hello(int code)
{
	return netmach_may_return(code)
	    ? NULL
	    : arpc_error_name((enum arpc_error)(code - 1));
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	struct am_client *c = arg;

	(void)nm;
	note(c, code_of_hello(code), why);
	if (!am_is1(c->machine, Cli_SuperConnected)) {
		super_next(c);
		return;
	}
	not_ready(c);
	if (am_is1(c->machine, Cli_WorkerWanted) &&
	    round_next(c) < c->n_supervisors) {
		super_next(c);
		return;
	}
	be_disconnected(c);
	wait_and_try(c);
}

static const struct netmach_ops super_ops = {
	.on_ready = on_ready,
	.on_payload = on_payload,
	.on_close = on_close,
};

/* A new net machine each time: its hello has the token of the present lease,
 * which permits to release it. */
static int
connect_to(struct am_client *c, struct supervisor *s)
{
	const struct netmach_conf conf = {
		.client_id = c->client_id,
		.name = c->name,
		.token = client_lease(c) != NULL ? c->lease.token : NULL,
		.tls = c->tls,
		.sync = c->super_view.sync,
	};

	s->tried = true;
	c->super = netmach_free(c->super);
	c->super = netmach_new(c->loop, &conf, &super_ops, c);
	return c->super != NULL ? netmach_connect(c->super, &s->addr) : -ENOMEM;
}

/* No supervisor in the list provides a worker now. */
static void
round_over(struct am_client *c)
{
	be_disconnected(c);
	if (am_is1(c->machine, Cli_WorkerWanted) &&
	    (c->no_wait || all_refused(c)))
		/* A new wish of on_lost has started the timer. */
		wish_refused(c, super_code(c), c->super_error);
	else
		wait_and_try(c);
}

static void
super_next(struct am_client *c)
{
	size_t i;
	int r;

	am_timer_stop(&c->super_timer);
	be_connecting(c);
	if (c->freed)
		return;
	while ((i = round_next(c)) < c->n_supervisors) {
		c->at = i;
		r = connect_to(c, &c->supervisor[i]);
		if (r == 0)
			return;
		note(c, NULL, strerror(-r));
	}
	round_over(c);
}

void
super_connect(struct am_client *c)
{
	if (c->freed ||
	    (c->super != NULL && netmach_phase(c->super) != NETMACH_IDLE))
		return;
	round_begin(c);
	super_next(c);
}

void
super_begin(struct am_client *c)
{
	backoff_reset(&c->super_backoff, BACKOFF_MIN_MS);
	if (!super_is_ready(c))
		return;
	round_begin(c);
	if (round_next(c) < c->at)
		leave(c);
	else
		c->supervisor[c->at].tried = true;
}

void
super_refused(struct am_client *c, const char *code, const char *why)
{
	char reasons[AM_ERROR_MAX];
	bool is_last;

	note(c, code, why);
	is_last = round_next(c) == c->n_supervisors;
	if (is_last && (c->no_wait || all_refused(c))) {
		(void)snprintf(reasons, sizeof(reasons), "%s",
		    c->n_supervisors == 1 ? why : c->super_error);
		c->super_error[0] = '\0';
		wish_refused(c, super_code(c), reasons);
		return;
	}
	leave(c);
	if (!is_last) {
		super_next(c);
		return;
	}
	be_disconnected(c);
	wait_and_try(c);
}

void
super_again(struct am_client *c)
{
	(void)am_timer_start(&c->super_timer, backoff_next(&c->super_backoff));
}

void
super_on_timer(void *arg)
{
	struct am_client *c = arg;

	if (super_is_ready(c) && am_is1(c->machine, Cli_Releasing))
		lease_release(c);
	else
		super_connect(c);
}
