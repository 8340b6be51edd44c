/* The handlers: what a state of the supervisor does. flows.md is the law; a
 * comment names the rule where the reason is not to be seen here. */
#include "daemon/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/super.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* A pulse that tells and does nothing. */
static void
pulse_state(struct am_event *ev)
{
	handler_end_pulse(ev);
}

static void
add_ready(struct super *s)
{
	if (super_is(s, Sup_LocalRpcReady) && super_is(s, Sup_PublicRpcReady) &&
	    super_is(s, Sup_PoolReady) && !super_is(s, Sup_Ready) &&
	    !super_is(s, Sup_Draining))
		(void)super_add(s, Sup_Ready, AM_NONE);
}

/* ---- errors ---- */

/* A handler of ours failed: noted, and it goes on. */
static void
exception_state(struct am_event *ev)
{
	struct super *s = ev->arg;

	if (ev->n_called != 1)
		return;
	log_error("supervisor: a handler failed: %s",
	    am_last_error(s->machine));
	if (!s->pool.broken)
		(void)super_remove(s, Sup_Exception, AM_NONE);
}

static void
err_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);
	char err[WORKER_WHY_MAX] = "errors";
	bool stuck = false;
	unsigned n;

	if (w == NULL || w->why[0] != '\0' || w->phase == WORKER_EXITED)
		return;
	(void)am_get_bool(ev->args, "stuck", &stuck);
	n = worker_count_error(w, clock_ns());
	if (stuck)
		w->hung = true;
	if (stuck || n > s->config->error_kill) {
		if (am_get_text(ev->args, "err", err, sizeof(err)) < 0 ||
		    strchr(err, ' ') != NULL)
			(void)snprintf(err, sizeof(err), "errors");
		w->faulty = true;
		(void)worker_kill(w, err);
	}
	pool_available(s);
}

static void
err_pool_state(struct am_event *ev)
{
	struct super *s = ev->arg;

	waiters_refuse_all(s, "pool_broken", s->pool.reason);
	waiters_show(s);
}

/* ErrPool removes PoolNormalized: only now it can come (rule 28). */
static void
err_pool_end(struct am_event *ev)
{
	pool_check(ev->arg);
}

/* A pulse that comes with Exception. */
static void
err_pulse_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	am_id both[] = { ev->state, Sup_Exception };

	(void)super_remove_all(s, both, s->pool.broken ? 1 : 2, AM_NONE);
}

static void
err_handler_timeout_state(struct am_event *ev)
{
	log_error("supervisor: a handler took too long: %s",
	    am_last_error(ev->machine));
	err_pulse_state(ev);
}

/* ---- start, ready, stop ---- */

static bool
start_enter(struct am_event *ev)
{
	bool public = false;

	if (am_get_bool(ev->args, "public", &public) < 0 || !public)
		return am_refuse(ev, "no address");
	return true;
}

static void
start_state(struct am_event *ev)
{
	struct super *s = ev->arg;

	(void)am_timer_start(&s->boot, 0);
}

static void
start_end(struct am_event *ev)
{
	struct super *s = ev->arg;

	s->io->stopped(s);
}

static void
rpc_ready_state(struct am_event *ev)
{
	add_ready(ev->arg);
}

static void
pool_ready_state(struct am_event *ev)
{
	static const am_id err_pool[] = { Sup_ErrPool, Sup_Exception };
	struct super *s = ev->arg;

	if (s->pool.broken) {
		s->pool.broken = false;
		log_info("pool: works again");
		(void)super_remove_all(s, err_pool, 2, AM_NONE);
	}
	s->pool.reason[0] = '\0';
	add_ready(s);
	pool_available(s);
}

static void
draining_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w, *next;

	waiters_refuse_all(s, "draining", "the supervisor stops");
	waiters_show(s);
	for (w = TAILQ_FIRST(&s->pool.workers); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		/* A row without a process; a failed start is told of no more. */
		if (w->phase == WORKER_NEW || w->phase == WORKER_EXITED)
			worker_free(w);
		else if (w->lease == NULL && w->why[0] == '\0')
			(void)worker_kill(w, "drain");
	}
	super_end_if_empty(s);
	(void)am_timer_start(&s->drain, 0);
}

/* ---- pool ---- */

static void
normalizing_pool_state(struct am_event *ev)
{
	pool_normalize(ev->arg);
}

static void
heartbeat_state(struct am_event *ev)
{
	health_round(ev->arg);
}

static void
list_workers_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct worker *w;
	char more[RATE_TEXT_MAX];

	handler_end_pulse(ev);
	if (!rate_line(&s->listed, more))
		return;
	TAILQ_FOREACH(w, &s->pool.workers, link)
		log_info("worker: listed id=%s pid=%d state=%s%s", w->id,
		    (int)w->pid, worker_state(w, clock_ns()), more);
}

static void
fork_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);

	handler_end_pulse(ev);
	if (w != NULL)
		(void)worker_add(w, Sup_ForkingWorker);
}

static void
forking_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);

	handler_end_pulse(ev);
	if (w != NULL && w->phase == WORKER_NEW)
		worker_spawn(w);
}

static void
worker_ready_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);

	handler_end_pulse(ev);
	if (w == NULL || w->ready)
		return;
	w->ready = true;
	pool_worker_ready(s, w);
	log_info("worker: ready id=%s pid=%d after=%" PRId64 "ms", w->id,
	    (int)w->pid, (w->ready_ns - w->started_ns) / NS_PER_MS);
	pool_check(s);
	pool_available(s);
}

static void
worker_gone_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);
	const struct lease *l;

	handler_end_pulse(ev);
	if (w == NULL)
		return;
	w->ready = false;
	l = w->lease;
	if (l != NULL)
		lease_add_ended(w->lease,
		    l->reason[0] != '\0'    ? l->reason
			: w->why[0] != '\0' ? w->why
					    : "worker-died");
	pool_check(s);
	/* Nobody is killing it: the rest of its process group. */
	if (w->why[0] == '\0')
		(void)worker_add(w, Sup_KillingWorker);
}

static bool
kill_worker_enter(struct am_event *ev)
{
	const struct super *s = ev->arg;
	const struct worker *w = worker_arg(s, ev->args);

	if (w == NULL)
		return am_refuse(ev, "no such worker");
	if (w->why[0] != '\0')
		return am_refuse(ev, "%s is being stopped already (%s)", w->id,
		    w->why);
	return true;
}

static void
kill_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);

	handler_end_pulse(ev);
	if (w == NULL)
		return;
	w->wanted = false;
	if (am_get_text(ev->args, "reason", w->why, sizeof(w->why)) < 0 ||
	    w->why[0] == '\0')
		(void)snprintf(w->why, sizeof(w->why), "admin");
	log_info("worker: stopping id=%s pid=%d state=%s reason=%s", w->id,
	    (int)w->pid, w->lease != NULL ? "leased" : "free", w->why);
	(void)worker_add(w, Sup_KillingWorker);
	pool_available(s);
}

static void
killing_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);

	handler_end_pulse(ev);
	if (w != NULL)
		worker_stop(w);
}

static void
worker_killed_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = worker_arg(s, ev->args);

	handler_end_pulse(ev);
	if (w == NULL)
		return;
	if (w->lease != NULL)
		lease_close(w->lease, "worker-died");
	worker_free(w);
	pool_check(s);
	super_end_if_empty(s);
}

/* ---- the table ---- */

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_Exception] = { .state = exception_state },
	[Sup_ErrWorker] = { .state = err_worker_state },
	[Sup_ErrPool] = { .state = err_pool_state, .end = err_pool_end },
	[Sup_LocalRpcReady] = { .state = rpc_ready_state },
	[Sup_PublicRpcReady] = { .state = rpc_ready_state },
	[Sup_Heartbeat] = { .state = heartbeat_state },
	[Sup_NormalizingPool] = { .state = normalizing_pool_state },
	[Sup_PoolReady] = { .state = pool_ready_state },
	[Sup_ListWorkers] = { .state = list_workers_state },
	[Sup_SetWorker] = { .state = pulse_state },
	[Sup_ForkWorker] = { .state = fork_worker_state },
	[Sup_ForkingWorker] = { .state = forking_worker_state },
	[Sup_WorkerConnected] = { .state = pulse_state },
	[Sup_WorkerForked] = { .state = pulse_state },
	[Sup_KillWorker] = { .enter = kill_worker_enter,
	    .state = kill_worker_state },
	[Sup_KillingWorker] = { .state = killing_worker_state },
	[Sup_WorkerKilled] = { .state = worker_killed_state },
	[Sup_WorkerReady] = { .state = worker_ready_state },
	[Sup_WorkerGone] = { .state = worker_gone_state },
	[Sup_ClientConnected] = { .state = pulse_state },
	[Sup_ClientDisconnected] = { .state = pulse_state },
	[Sup_SuperConnected] = { .state = pulse_state },
	[Sup_SuperDisconnected] = { .state = pulse_state },
	[Sup_SuperSendPayload] = { .state = pulse_state },
	[Sup_ErrNetwork] = { .state = err_pulse_state },
	[Sup_ErrHandlerTimeout] = { .state = err_handler_timeout_state },
	[Sup_Start] = { .enter = start_enter,
	    .state = start_state,
	    .end = start_end },
	[Sup_Healthcheck] = { .state = pulse_state },
	[Sup_LeaseConfirmed] = { .state = pulse_state },
	[Sup_WorkerAdopted] = { .state = pulse_state },
	[Sup_Draining] = { .state = draining_state },
};

const struct am_handlers super_handlers = {
	.name = "amnoded",
	.of = handlers,
	.len = Sup__COUNT,
};
