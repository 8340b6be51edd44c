/* Flows 1, 2 and 11: a worker's process starts, gets ready, is killed, dies. How
 * many there are to be is settle.c's. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/emit.h"
#include "daemon/flow.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* ---- start ---- */

static void
fork_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct worker *w = flow_worker(s, ev->args);

	emit_end_pulse(ev);
	if (w != NULL)
		emit_forking_worker(s, w);
}

static void
forking_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);
	struct am_error err = { "" };

	emit_end_pulse(ev);
	if (w == NULL || w->state != WORKER_NEW)
		return;
	/* What comes next, an error too, is a mutation of its own. */
	(void)am_timer_start(&w->timer, 0);
	if (s->io->spawn(s, w, &err) < 0) {
		(void)snprintf(w->start_error, sizeof(w->start_error), "%.190s",
		    err.text);
		worker_set_state(&s->model, w, WORKER_FAILED);
		return;
	}
	worker_set_state(&s->model, w, WORKER_SPAWNED);
	log_info("worker: started id=%s pid=%d", w->id, (int)w->pid);
	emit_set_worker(s, w);
}

static void
worker_ready_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);

	emit_end_pulse(ev);
	if (w == NULL || w->state != WORKER_STARTING)
		return;
	am_timer_stop(&w->timer);
	w->ready_ns = clock_ns();
	starts_reset(&s->model.starts);
	worker_set_state(&s->model, w, WORKER_UNFIT);
	worker_refit(&s->model, w, w->ready_ns);
	log_info("worker: ready id=%s pid=%d after=%" PRId64 "ms", w->id,
	    (int)w->pid, (w->ready_ns - w->started_ns) / NS_PER_MS);
}

static void
free_worker(struct super *s, struct worker *w)
{
	s->io->forget(s, w);
	model_free_worker(&s->model, w);
}

/* ErrWorker of one that was never ready: its start failed. */
static void
err_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);
	struct starts *b = &s->model.starts;
	int64_t pause_ms;

	if (w == NULL || w->ready_ns != 0 || w->kill_reason[0] != '\0')
		return;
	/* Broken, the pool's own line says it each time. */
	if (!b->broken)
		log_warn("worker: start failed id=%s pid=%d: %s", w->id,
		    (int)w->pid, w->start_error);
	(void)snprintf(b->reason, sizeof(b->reason), "%s: %s", w->id,
	    w->start_error);
	pause_ms = starts_fail(b, w->round, clock_ns());
	if (pause_ms >= 0)
		log_warn("pool: workers do not start failed_rounds=%u "
			 "retry_in=%" PRId64 "ms: %s",
		    b->failed_rounds, pause_ms, b->reason);
	if (w->state == WORKER_FAILED)
		free_worker(s, w); /* it never ran, nobody reaps it */
	else if (w->state != WORKER_EXITED)
		emit_kill_worker(s, w, "start-failed", STOP_GENTLY);
}

/* ---- end ---- */

/* Its place counts the deaths in a row of those who took it. */
static void
count_death(struct super *s, const struct worker *w)
{
	int64_t now_ns = clock_ns(), pause_ms;
	unsigned deaths = 1;

	if (w->ready_ns == 0)
		return;
	if (now_ns - w->ready_ns < STARTS_HEALTHY_MS * NS_PER_MS)
		deaths += w->deaths_in_a_row;
	pause_ms = starts_death(&s->model.starts, deaths, now_ns);
	if (deaths > 1)
		log_warn("pool: worker died young id=%s deaths_in_a_row=%u "
			 "retry_in=%" PRId64 "ms",
		    w->id, deaths, pause_ms);
}

static bool
kill_worker_enter(struct am_event *ev)
{
	const struct super *s = ev->arg;
	const struct worker *w = flow_worker(s, ev->args);

	if (w == NULL)
		return am_refuse(ev, "no such worker");
	if (w->kill_reason[0] != '\0')
		return am_refuse(ev, "%s is being stopped already (%s)", w->id,
		    w->kill_reason);
	if (w->state == WORKER_FAILED)
		return am_refuse(ev, "%s could not be started", w->id);
	return true;
}

static void
kill_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);
	int64_t how = STOP_GENTLY;

	emit_end_pulse(ev);
	if (w == NULL)
		return;
	if (am_get_text(ev->args, "reason", w->kill_reason,
		sizeof(w->kill_reason)) < 0 ||
	    w->kill_reason[0] == '\0')
		(void)snprintf(w->kill_reason, sizeof(w->kill_reason), "admin");
	/* Of a client it is none of its business. */
	if (ev->source == NULL)
		(void)am_get_int(ev->args, "how", &how);
	w->how = (enum stop_how)how;
	log_info("worker: stopping id=%s pid=%d state=%s reason=%s", w->id,
	    (int)w->pid, w->lease != NULL ? "leased" : "free", w->kill_reason);
	if (worker_is_leaving(w))
		return;
	if (w->how == STOP_FAULTY)
		count_death(s, w);
	worker_set_state(&s->model, w, WORKER_STOPPING);
	emit_killing_worker(s, w, false);
}

/* Its private connection is lost: the lease is over, and so is the worker. */
static void
worker_gone_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);
	const struct lease *l = w != NULL ? w->lease : NULL;

	emit_end_pulse(ev);
	if (w == NULL)
		return;
	if (l != NULL)
		emit_lease_ended(s, l,
		    l->reason[0] != '\0'            ? l->reason
			: w->kill_reason[0] != '\0' ? w->kill_reason
						    : "worker-died");
	if (w->kill_reason[0] == '\0')
		count_death(s, w);
	if (w->state == WORKER_EXITED)
		return;
	/* Nobody is killing it: the rest of its process group. */
	if (w->state != WORKER_STOPPING)
		emit_killing_worker(s, w, false);
	worker_set_state(&s->model, w, WORKER_LOST);
}

/* TERM, then KILL when its timer says that the grace is over. */
static void
killing_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);
	bool at_once = false;
	int64_t grace_ms = s->config->stop_grace_ms;

	emit_end_pulse(ev);
	if (w == NULL ||
	    (w->state != WORKER_STOPPING && w->state != WORKER_LOST))
		return;
	(void)am_get_bool(ev->args, "at_once", &at_once);
	worker_set_tries(&s->model, w, 0);
	if (at_once || s->stop == STOP_NOW) {
		am_timer_stop(&w->timer);
		s->io->signal(s, w, SIGKILL);
		return;
	}
	if (w->how == STOP_GENTLY && w->n_errors == 0)
		grace_ms = 2 * grace_ms + 500;
	s->io->signal(s, w, SIGTERM);
	(void)am_timer_start(&w->timer, grace_ms);
}

static void
worker_killed_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);

	emit_end_pulse(ev);
	if (w == NULL ||
	    (w->state != WORKER_EXITED && w->state != WORKER_FAILED))
		return;
	free_worker(s, w);
}

/* ---- the pool as a whole ---- */

static void
pool_ready_state(struct am_event *ev)
{
	struct super *s = ev->arg;

	s->model.starts.reason[0] = '\0';
}

static void
err_pool_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct starts *b = &s->model.starts;

	b->broken = true;
	log_error("pool: broken after %d failed rounds, still retrying: %s",
	    STARTS_ROUNDS_MAX, b->reason);
}

static void
err_pool_end(struct am_event *ev)
{
	struct super *s = ev->arg;

	s->model.starts.broken = false;
	s->model.starts.reason[0] = '\0';
	log_info("pool: works again");
}

static void
list_workers_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct worker *w;
	char more[RATE_TEXT_MAX];

	emit_end_pulse(ev);
	if (!rate_line(&s->listed, more))
		return;
	TAILQ_FOREACH(w, &s->model.workers, link)
		log_info("worker: listed id=%s pid=%d state=%s%s", w->id,
		    (int)w->pid, super_worker_state(w), more);
}

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_ErrWorker] = { .state = err_worker_state },
	[Sup_ErrPool] = { .state = err_pool_state, .end = err_pool_end },
	[Sup_PoolReady] = { .state = pool_ready_state },
	[Sup_ListWorkers] = { .state = list_workers_state },
	[Sup_SetWorker] = { .state = emit_end_pulse },
	[Sup_ForkWorker] = { .state = fork_worker_state },
	[Sup_ForkingWorker] = { .state = forking_worker_state },
	[Sup_WorkerConnected] = { .state = emit_end_pulse },
	[Sup_WorkerForked] = { .state = emit_end_pulse },
	[Sup_KillWorker] = { .enter = kill_worker_enter,
	    .state = kill_worker_state },
	[Sup_KillingWorker] = { .state = killing_worker_state },
	[Sup_WorkerKilled] = { .state = worker_killed_state },
	[Sup_WorkerReady] = { .state = worker_ready_state },
	[Sup_WorkerGone] = { .state = worker_gone_state },
	[Sup_WorkerAdopted] = { .state = emit_end_pulse },
};

const struct am_handlers flow_pool_handlers = {
	.name = "amnoded pool",
	.of = handlers,
	.len = Sup__COUNT,
};
