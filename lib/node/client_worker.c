/* The direct connection to the worker of the lease: restored with the token
 * when it is lost, as long as the lease lives (flow 10). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/node/client_int.h"

enum {
	/* How long to try to reach the worker of a lease without a ttl. */
	WORKER_SEARCH_MS = 60000,
};

/* The reasons of a bye that mean that the lease is over, and not only this
 * connection. */
static bool
is_end_of_lease(const char *why)
{
	static const char *const ends[] = { AM_CODE_RELEASED, AM_CODE_DISCARD,
		AM_CODE_TTL, AM_CODE_MAX, AM_CODE_OWNER_DIED,
		AM_CODE_CLIENT_GONE, AM_CODE_UNCONFIRMED, AM_CODE_UNWANTED,
		AM_CODE_ADMIN, AM_CODE_DRAIN, AM_CODE_WORKER_DIED,
		AM_CODE_RECYCLE, AM_CODE_HEALTH, AM_CODE_ERRORS,
		AM_CODE_ERR_WORK_TIMEOUT };

	for (size_t i = 0; i < NODE_LEN(ends); i++) {
		if (strcmp(why, ends[i]) == 0)
			return true;
	}
	return false;
}

static void
search_again(struct am_client *c, const char *why)
{
	bool is_first = c->worker_lost_ns == 0;
	int64_t ttl_ms = c->lease.ttl_ms > 0 ? c->lease.ttl_ms
					     : WORKER_SEARCH_MS;
	int64_t now = clock_ns();

	if (is_first)
		c->worker_lost_ns = now;
	if (now - c->worker_lost_ns >= node_ns(ttl_ms)) {
		lease_over(c, AM_CODE_WORKER_DIED, why);
		return;
	}
	(void)am_timer_start(&c->worker_timer,
	    backoff_next(&c->worker_backoff));
	if (is_first && c->said_ready && c->conf.on_down != NULL)
		c->conf.on_down(c, why, c->conf.arg);
}

static void
disconnected(struct am_client *c)
{
	if (am_is1(c->machine, Cli_WorkerConnected))
		client_put_change(c, AM_REMOVE, Cli_WorkerReady,
		    Cli_WorkerConnected);
	else
		client_put_change(c, AM_REMOVE, Cli_WorkerConnecting,
		    Cli_WorkerConnecting);
	client_put_change(c, AM_ADD, Cli_WorkerDisconnected,
	    Cli_WorkerDisconnected);
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	struct am_client *c = arg;

	(void)nm;
	disconnected(c);
	if (code == ARPC_E_bad_token + 1)
		lease_missed(c,
		    am_is1(c->machine, Cli_Releasing) ? AM_CODE_RELEASED
						      : AM_CODE_ENDED,
		    why);
	else if (code == -ECONNREFUSED || code == -ENOENT)
		lease_missed(c, AM_CODE_WORKER_DIED, "the worker is gone");
	else if (code == -EACCES || code == -EPERM)
		lease_over(c, AM_CODE_NOT_PERMITTED, why);
	else if (!netmach_may_return(code))
		lease_over(c, arpc_error_name((enum arpc_error)(code - 1)),
		    why);
	else if (code == 0 && is_end_of_lease(why))
		lease_over(c, why, why);
	else
		search_again(c, why);
}

static void
on_ready(struct netmach *nm, void *arg)
{
	struct am_client *c = arg;
	uint64_t before = c->epoch;

	c->epoch = netmach_epoch(nm);
	c->worker_lost_ns = 0;
	client_put_change(c, AM_REMOVE, Cli_WorkerConnecting,
	    Cli_WorkerConnecting);
	client_put_change(c, AM_ADD, Cli_WorkerConnected, Cli_WorkerConnected);
	client_put_change(c, AM_ADD, Cli_WorkerReady, Cli_WorkerReady);
	if (before != 0 && before != c->epoch)
		requests_lost(c, AM_CODE_UNKNOWN,
		    "another process serves the worker's address");
	if (c->worker != nm)
		return;
	if (c->said_ready) {
		if (c->conf.on_up != NULL)
			c->conf.on_up(c, c->conf.arg);
		return;
	}
	c->said_ready = true;
	if (c->conf.on_ready != NULL)
		c->conf.on_ready(c, c->conf.arg);
}

static const struct netmach_ops worker_ops = {
	.on_ready = on_ready,
	.on_payload = request_on_payload,
	.is_taken = request_is_open,
	.on_close = on_close,
};

/* Records the lease and prepares the connection; sends nothing. */
int
worker_set(struct am_client *c, const struct client_lease *l)
{
	struct netmach_conf conf = {
		.client_id = c->client_id,
		.name = c->name,
		.token = l->token,
		.resume = true,
		.tls = c->tls,
		.sync = c->worker_view.sync,
		.keep_ms = l->ttl_ms > 0 ? l->ttl_ms : WORKER_SEARCH_MS,
	};
	struct addr a;
	int r;

	/* Events of a lease of another process are for its owner. */
	conf.sync.no_events = c->attached;
	r = client_addr(c, l->address, &a, NULL);
	if (r < 0)
		return r;
	c->worker = netmach_free(c->worker);
	c->worker = netmach_new(c->loop, &conf, &worker_ops, c);
	if (c->worker == NULL)
		return -ENOMEM;
	c->lease = *l;
	c->worker_addr = a;
	backoff_reset(&c->worker_backoff, 0);
	c->worker_lost_ns = 0;
	c->epoch = 0;
	c->said_ready = false;
	return 0;
}

void
worker_connect(struct am_client *c)
{
	int r;

	if (client_lease(c) == NULL || c->worker == NULL ||
	    netmach_phase(c->worker) != NETMACH_IDLE)
		return;
	if (am_is1(c->machine, Cli_WorkerDisconnected))
		client_put_change(c, AM_REMOVE, Cli_WorkerDisconnected,
		    Cli_WorkerDisconnected);
	client_put_change(c, AM_ADD, Cli_WorkerConnecting,
	    Cli_WorkerConnecting);
	if (c->freed)
		return;
	r = netmach_connect(c->worker, &c->worker_addr);
	if (r < 0)
		on_close(c->worker, r, strerror(-r), c);
}

void
worker_on_timer(void *arg)
{
	worker_connect(arg);
}

/* Forgets the lease, its token, and the connection if there is one. */
void
worker_forget(struct am_client *c)
{
	am_timer_stop(&c->worker_timer);
	if (c->worker != NULL && netmach_phase(c->worker) != NETMACH_IDLE)
		disconnected(c);
	if (c->worker != NULL)
		netmach_leave(c->worker, "done");
	c->worker = netmach_free(c->worker);
	node_wipe(&c->lease, sizeof(c->lease));
	c->attached = false;
}
