#include "daemon/emit.h"

/* Args under construction: a map of n keys. */
static struct am_buf
map_of(unsigned n)
{
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, n);
	return b;
}

static void
put_text(struct am_buf *b, const char *key, const char *text)
{
	am_put_str(b, key);
	am_put_str(b, text);
}

static void
put_uint(struct am_buf *b, const char *key, uint64_t v)
{
	am_put_str(b, key);
	am_put_uint(b, v);
}

static void
put_bool(struct am_buf *b, const char *key, bool v)
{
	am_put_str(b, key);
	am_put_bool(b, v);
}

static am_result
add(struct super *s, am_id state, struct am_buf *args)
{
	am_result r = due_add1(&s->due, state, am_buf_val(args));

	am_buf_done(args);
	return r;
}

static void
set_level(struct super *s, am_id state, bool on)
{
	if (on)
		(void)due_add1(&s->due, state, AM_NONE);
	else
		(void)due_remove1(&s->due, state, AM_NONE);
}

void
emit_end_pulse(struct am_event *ev)
{
	/* In the place that the pulse had in the queue: there is room, and put
	 * off it would outlive its drain. */
	(void)am_remove1(ev->machine, ev->state, AM_NONE);
}

/* ---- start ---- */

void
emit_start(struct super *s)
{
	struct am_buf b = map_of(1);

	put_bool(&b, "public", true);
	(void)add(s, Sup_Start, &b);
}

void
emit_local_ready(struct super *s)
{
	set_level(s, Sup_LocalRpcReady, true);
}

void
emit_public_ready(struct super *s)
{
	set_level(s, Sup_PublicRpcReady, true);
}

void
emit_ready(struct super *s)
{
	set_level(s, Sup_Ready, true);
}

/* ---- workers ---- */

static void
add_worker(struct super *s, am_id state, const struct worker *w)
{
	struct am_buf b = map_of(1);

	put_text(&b, "worker", w->id);
	(void)add(s, state, &b);
}

void
emit_fork_worker(struct super *s, const struct worker *w)
{
	add_worker(s, Sup_ForkWorker, w);
}

void
emit_forking_worker(struct super *s, const struct worker *w)
{
	add_worker(s, Sup_ForkingWorker, w);
}

void
emit_set_worker(struct super *s, const struct worker *w)
{
	struct am_buf b = map_of(2);

	put_text(&b, "worker", w->id);
	put_uint(&b, "pid", (uint64_t)w->pid);
	(void)add(s, Sup_SetWorker, &b);
}

void
emit_worker_connected(struct super *s, const struct worker *w)
{
	add_worker(s, Sup_WorkerConnected, w);
}

void
emit_worker_forked(struct super *s, const struct worker *w)
{
	add_worker(s, Sup_WorkerForked, w);
}

void
emit_worker_ready(struct super *s, const struct worker *w)
{
	add_worker(s, Sup_WorkerReady, w);
}

void
emit_worker_gone(struct super *s, const struct worker *w)
{
	add_worker(s, Sup_WorkerGone, w);
}

void
emit_kill_worker(struct super *s, const struct worker *w, const char *reason,
    enum stop_how how)
{
	struct am_buf b = map_of(3);

	put_text(&b, "worker", w->id);
	put_text(&b, "reason", reason);
	put_uint(&b, "how", how);
	(void)add(s, Sup_KillWorker, &b);
}

void
emit_killing_worker(struct super *s, const struct worker *w, bool at_once)
{
	struct am_buf b = map_of(2);

	put_text(&b, "worker", w->id);
	put_bool(&b, "at_once", at_once);
	(void)add(s, Sup_KillingWorker, &b);
}

void
emit_worker_killed(struct super *s, const struct worker *w)
{
	add_worker(s, Sup_WorkerKilled, w);
}

void
emit_err_worker(struct super *s, const struct worker *w, const char *err,
    bool stuck)
{
	static const am_id states[] = { Sup_ErrWorker, Sup_Exception };
	struct am_buf b = map_of(3);

	put_text(&b, "worker", w->id);
	put_text(&b, "err", err);
	put_bool(&b, "stuck", stuck);
	/* While ErrPool holds Exception it must stay (rule 28). */
	due_pulse(&s->due, states, 2, super_is(s, Sup_ErrPool) ? 1 : 2,
	    am_buf_val(&b));
	am_buf_done(&b);
}

/* ---- pool ---- */

void
emit_pool_ready(struct super *s)
{
	set_level(s, Sup_PoolReady, true);
}

void
emit_pool_starting(struct super *s)
{
	static const am_id states[] = { Sup_PoolStarting, Sup_NormalizingPool };

	(void)due_mutate(&s->due, AM_ADD, states, 2, AM_NONE);
}

void
emit_normalizing_pool(struct super *s)
{
	set_level(s, Sup_NormalizingPool, true);
}

void
emit_pool_normalized(struct super *s)
{
	set_level(s, Sup_PoolNormalized, true);
}

void
emit_workers_available(struct super *s, bool on)
{
	set_level(s, Sup_WorkersAvailable, on);
}

void
emit_clients_waiting(struct super *s, bool on)
{
	set_level(s, Sup_ClientsWaiting, on);
}

void
emit_err_pool(struct super *s, bool on)
{
	static const am_id states[] = { Sup_ErrPool, Sup_Exception };
	struct am_buf b = AM_BUF_INIT;

	if (!on) {
		(void)due_mutate(&s->due, AM_REMOVE, states, 2, AM_NONE);
		return;
	}
	am_put_map(&b, 1);
	put_text(&b, "err", s->model.starts.reason);
	(void)due_mutate(&s->due, AM_ADD, states, 2, am_buf_val(&b));
	am_buf_done(&b);
}

void
emit_heartbeat(struct super *s, bool on)
{
	set_level(s, Sup_Heartbeat, on);
}

/* ---- clients ---- */

static void
add_client(struct super *s, am_id state, const struct client *c)
{
	struct am_buf b = map_of(1);

	put_uint(&b, "client", c->id);
	(void)add(s, state, &b);
}

void
emit_client_connected(struct super *s, const struct client *c)
{
	add_client(s, Sup_ClientConnected, c);
}

void
emit_client_disconnected(struct super *s, const struct client *c)
{
	add_client(s, Sup_ClientDisconnected, c);
}

/* ---- leases ---- */

am_result
emit_lease_offered(struct super *s, const struct worker *w,
    const struct waiter *waiter)
{
	struct am_buf b = map_of(3);

	put_text(&b, "worker", w->id);
	put_uint(&b, "client", waiter->client_id);
	put_uint(&b, "request", waiter->request);
	return add(s, Sup_LeaseOffered, &b);
}

static void
add_lease(struct super *s, am_id state, const struct lease *l,
    const char *reason)
{
	struct am_buf b = map_of(reason != NULL ? 3 : 2);

	put_text(&b, "lease", l->id);
	put_text(&b, "worker", l->worker->id);
	if (reason != NULL)
		put_text(&b, "reason", reason);
	(void)add(s, state, &b);
}

void
emit_lease_granted(struct super *s, const struct lease *l)
{
	add_lease(s, Sup_LeaseGranted, l, NULL);
}

void
emit_lease_confirmed(struct super *s, const struct lease *l)
{
	add_lease(s, Sup_LeaseConfirmed, l, NULL);
}

void
emit_lease_ended(struct super *s, const struct lease *l, const char *reason)
{
	add_lease(s, Sup_LeaseEnded, l, reason);
}

void
emit_release_lease(struct super *s, const struct lease *l, const char *reason)
{
	if (l->state != LEASE_ENDING)
		add_lease(s, Sup_ReleaseWorker, l, reason);
}

void
emit_release_waiter(struct super *s, const struct waiter *w, const char *reason)
{
	struct am_buf b = map_of(3);

	put_uint(&b, "client", w->client_id);
	put_uint(&b, "request", w->request);
	put_text(&b, "reason", reason);
	(void)add(s, Sup_ReleaseWorker, &b);
}

void
emit_grant(struct super *s, const struct lease *l)
{
	struct am_buf b = map_of(4);

	put_uint(&b, "to", l->waiter->client_id);
	put_text(&b, "name", "ProvideWorker");
	put_uint(&b, "req", l->waiter->req);
	put_text(&b, "lease", l->id);
	(void)add(s, Sup_ClientSendPayload, &b);
}

void
emit_refusal(struct super *s, const struct waiter *w, const char *code,
    const char *message)
{
	struct am_buf b = map_of(5);

	put_uint(&b, "to", w->client_id);
	put_text(&b, "name", "ProvideWorker");
	put_uint(&b, "req", w->req);
	put_uint(&b, "request", w->request);
	am_put_str(&b, "error");
	am_put_map(&b, 2);
	put_text(&b, "code", code);
	put_text(&b, "message", message);
	(void)add(s, Sup_ClientSendPayload, &b);
}

/* ---- stop ---- */

void
emit_draining(struct super *s)
{
	set_level(s, Sup_Draining, true);
}

/* -Start alone would leave PoolStarting (rule 30). */
void
emit_stopped(struct super *s)
{
	static const am_id last[] = { Sup_Start, Sup_PoolStarting };

	(void)due_mutate(&s->due, AM_REMOVE, last, 2, AM_NONE);
}
