/* The lease of a worker: its record, its end, and the limits that it enforces
 * while there is no supervisor (flow rules 14 to 21). */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/node/worker_int.h"

enum {
	/* To wait for acks after Max, if no supervisor says how long. */
	MAX_WAIT_MS = 5000,
};

static void
mutate_leased(struct am_worker *w, enum am_op op)
{
	const am_id state = Wrk_Leased;
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 1);
	node_put_str(&args, "lease", w->lease.id);
	(void)due_mutate(&w->due, op, &state, 1, am_buf_val(&args));
	am_buf_done(&args);
}

/* ---- it begins ---- */

am_result
lease_begin(struct rpc_session *s, const struct arpc_lease *l, void *arg)
{
	struct am_worker *w = arg;
	struct am_buf args = AM_BUF_INIT;
	am_result r;

	(void)s;
	am_put_map(&args, 2);
	node_put_str(&args, "lease", l->lease);
	node_put_str(&args, "client", l->client);
	w->offer = l;
	r = am_add1(w->machine, Wrk_ServeClient, am_buf_val(&args));
	w->offer = NULL;
	am_buf_done(&args);
	return r;
}

bool
serve_client_enter(struct am_event *ev)
{
	const struct am_worker *w = ev->arg;

	if (w->offer == NULL || w->offer->lease[0] == '\0')
		return am_refuse(ev, "no token");
	if (w->stuck)
		return am_refuse(ev, "the worker is stuck (%s)", w->stuck_code);
	return true;
}

void
serve_client_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;
	struct worker_lease *l = &w->lease;

	*l = (struct worker_lease){ .ttl_ms = w->offer->ttl_ms,
		.max_ms = w->offer->max_ms,
		.begun_ns = clock_ns() };
	memcpy(l->token, w->offer->token, sizeof(l->token));
	(void)snprintf(l->id, sizeof(l->id), "%s", w->offer->lease);
	(void)snprintf(l->client, sizeof(l->client), "%s", w->offer->client);
	mutate_leased(w, AM_ADD);
}

void
leased_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;

	if (w->conf.on_lease != NULL)
		w->conf.on_lease(w, w->lease.client, w->conf.arg);
}

void
leased_end(struct am_event *ev)
{
	struct am_worker *w = ev->arg;

	node_wipe(&w->lease, sizeof(w->lease));
	payloads_clear(w);
	for (size_t i = 0; i < NODE_LEN(w->client); i++) {
		if (w->client[i].session == NULL)
			w->client[i].worker = NULL;
	}
	rpc_server_forget(w->server, w->public_listener);
	outbox_has_shrunk(w);
}

/* ---- it ends ---- */

/* The supervisor may end a lease for want of a client while the client says
 * hello: then the client keeps it. Or because it is idle, while a request comes
 * that the supervisor has not heard of: then the request may run. */
static bool
is_for_want_of_a_client(const struct am_event *ev)
{
	char reason[32];

	node_get_text(ev->args, "reason", reason, sizeof(reason));
	return strcmp(reason, "unconfirmed") == 0 ||
	    strcmp(reason, "client-gone") == 0;
}

bool
lease_ending_enter(struct am_event *ev)
{
	const struct am_worker *w = ev->arg;
	char id[sizeof(w->lease.id)];
	bool if_idle = false;

	node_get_text(ev->args, "lease", id, sizeof(id));
	if (strcmp(id, w->lease.id) != 0)
		return am_refuse(ev, "not this lease");
	if (w->n_sessions > 0 && is_for_want_of_a_client(ev))
		return am_refuse(ev, "its client has come");
	(void)am_get_bool(ev->args, "if_idle", &if_idle);
	if (if_idle && w->requests.n_open > 0)
		return am_refuse(ev, "a request is open");
	return true;
}

void
lease_ending_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;
	struct worker_lease *l = &w->lease;
	int64_t wait_ms = 0;

	node_get_text(ev->args, "reason", l->end_reason, sizeof(l->end_reason));
	if (l->end_reason[0] == '\0')
		(void)snprintf(l->end_reason, sizeof(l->end_reason),
		    "released");
	/* A program that is working must be told that nobody waits for it. */
	if (w->requests.n_open == 0)
		(void)am_get_bool(ev->args, "keep", &l->keep);
	(void)am_get_int(ev->args, "wait_ms", &wait_ms);
	requests_cancel_all(w, l->end_reason);
	if (wait_ms > 0)
		payloads_await(w);
	l->awaits = w->outbox.n_awaited > 0;
	(void)am_timer_start(&w->close_timer, l->awaits ? wait_ms : 0);
}

void
lease_awaits_less(struct am_worker *w)
{
	struct worker_lease *l = &w->lease;

	if (!l->awaits || w->outbox.n_awaited > 0)
		return;
	l->awaits = false;
	(void)am_timer_start(&w->close_timer, 0);
}

void
lease_on_close_timer(void *arg)
{
	struct am_worker *w = arg;

	if (!am_is1(w->machine, Wrk_LeaseEnding) || w->lease.closing)
		return;
	w->lease.awaits = false;
	w->lease.closing = true;
	rpc_server_close(w->server, w->public_listener, w->lease.end_reason);
	if (w->conf.on_reset != NULL && !w->lease.keep)
		w->conf.on_reset(w, w->conf.arg);
	else
		am_worker_reset_done(w);
}

void
am_worker_reset_done(struct am_worker *w)
{
	if (!w->lease.closing || w->lease.reset_done)
		return;
	w->lease.reset_done = true;
	lease_finish(w);
}

void
lease_finish(struct am_worker *w)
{
	if (!w->lease.closing || !w->lease.reset_done || w->n_sessions > 0)
		return;
	mutate_leased(w, AM_REMOVE);
}

/* ---- limits, while there is no supervisor ---- */

enum {
	WATCH_SUPER = 1 << 0,
	WATCH_LEASED = 1 << 1,
	WATCH_QUIET = 1 << 2,
	WATCH_OPEN = 1 << 3,
	WATCH_ENDING = 1 << 4,
	WATCH_START = 1 << 5,
};

static unsigned
facts(const struct am_worker *w)
{
	const struct am_machine *m = w->machine;
	unsigned f = 0;

	if (am_is1(m, Wrk_Start))
		f |= WATCH_START;
	if (am_is1(m, Wrk_SuperConnected))
		f |= WATCH_SUPER;
	if (am_is1(m, Wrk_Leased))
		f |= WATCH_LEASED;
	if (am_is1(m, Wrk_LeaseEnding))
		f |= WATCH_ENDING;
	if (w->requests.n_open > 0)
		f |= WATCH_OPEN;
	else if (w->n_sessions == 0)
		f |= WATCH_QUIET;
	return f;
}

static int64_t
ms_until(int64_t ns)
{
	int64_t left = (ns - clock_ns() + NS_PER_MS - 1) / NS_PER_MS;

	return left > 0 ? left : 0;
}

/* When and why the lease ends; 0: not known yet. Max waits for running
 * requests, which have deadlines of their own. */
static int64_t
lease_due(const struct worker_lease *l, unsigned f, const char **ret_reason)
{
	int64_t due = 0;

	if (l->max_ms > 0 && (f & WATCH_OPEN) == 0) {
		due = l->begun_ns + node_ns(l->max_ms);
		*ret_reason = "max";
	}
	if (l->ttl_ms > 0 && l->quiet_ns != 0 &&
	    (due == 0 || l->quiet_ns + node_ns(l->ttl_ms) < due)) {
		due = l->quiet_ns + node_ns(l->ttl_ms);
		*ret_reason = "ttl";
	}
	return due;
}

void
lease_watch(struct am_worker *w)
{
	struct worker_lease *l = &w->lease;
	unsigned f = facts(w);
	const char *reason;
	int64_t due;

	if (f == l->watched)
		return;
	if ((f & (WATCH_LEASED | WATCH_QUIET)) != (WATCH_LEASED | WATCH_QUIET))
		l->quiet_ns = 0;
	else if (l->quiet_ns == 0)
		l->quiet_ns = clock_ns();
	l->watched = f;
	due = f & WATCH_LEASED ? lease_due(l, f, &reason) : 0;
	if (due != 0 && (f & (WATCH_SUPER | WATCH_ENDING)) == 0)
		(void)am_timer_start(&w->lease_timer, ms_until(due));
	else
		am_timer_stop(&w->lease_timer);
	/* The end of a lease needs the program, which may never answer. */
	if ((f & WATCH_START) != 0 && (f & WATCH_SUPER) == 0 &&
	    ((f & WATCH_LEASED) == 0 || (f & WATCH_ENDING) != 0) &&
	    w->env.orphan_ttl_ms > 0)
		(void)am_timer_start(&w->orphan_timer, w->env.orphan_ttl_ms);
	else
		am_timer_stop(&w->orphan_timer);
}

void
lease_on_timer(void *arg)
{
	struct am_worker *w = arg;
	struct am_buf args = AM_BUF_INIT;
	const char *reason = "ttl";
	bool is_max;

	if (lease_due(&w->lease, facts(w), &reason) == 0)
		return;
	is_max = strcmp(reason, "max") == 0;
	am_put_map(&args, 3);
	node_put_str(&args, "lease", w->lease.id);
	node_put_str(&args, "reason", reason);
	node_put_int(&args, "wait_ms", is_max ? MAX_WAIT_MS : 0);
	(void)due_add1(&w->due, Wrk_LeaseEnding, am_buf_val(&args));
	am_buf_done(&args);
}

void
lease_on_orphan_timer(void *arg)
{
	worker_stop(arg, "orphaned");
}
