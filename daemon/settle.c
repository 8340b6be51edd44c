#include "daemon/settle.h"

#include "daemon/emit.h"
#include "daemon/mirror.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* ---- numbers ---- */

unsigned
settle_wanted(const struct super *s)
{
	const struct model *m = &s->model;
	const struct config *c = s->config;
	int64_t busy = (int64_t)m->n[WORKER_LEASED] + m->n_waiting;
	int64_t n = c->pool_min > busy ? c->pool_min : busy;

	/* Broken and unwanted, nobody would find out that it works again. */
	if (n == 0 && m->starts.broken)
		n = 1;
	n += c->pool_warm;
	return (unsigned)(n < c->pool_max ? n : c->pool_max);
}

/* What may be started at all: only Max counts those that are leaving. */
static unsigned
missing(const struct super *s)
{
	const struct model *m = &s->model;
	unsigned wanted = settle_wanted(s), serving = model_serving(m);
	unsigned room = m->n_workers < (unsigned)s->config->pool_max
	    ? (unsigned)s->config->pool_max - m->n_workers
	    : 0;
	unsigned n = wanted > serving ? wanted - serving : 0;

	return n < room ? n : room;
}

/* Starts at a time; broken: one trial. */
static unsigned
parallel(const struct super *s)
{
	return s->model.starts.broken ? 1 : (unsigned)s->config->start_parallel;
}

/* ---- the pool ---- */

static void
settle_pool_ready(struct super *s)
{
	if (model_ready(&s->model) >= (unsigned)s->config->pool_min) {
		if (!super_is(s, Sup_PoolReady))
			emit_pool_ready(s);
	} else if (!super_is(s, Sup_PoolStarting)) {
		emit_pool_starting(s);
	}
}

/* Too few workers, and starts fail: an alarm. With Min=0 one worker is few
 * enough. */
static void
settle_err_pool(struct super *s)
{
	const struct starts *b = &s->model.starts;
	unsigned min = s->config->pool_min > 0 ? (unsigned)s->config->pool_min
					       : 1;
	bool enough = model_ready(&s->model) >= min;

	if (b->broken && enough)
		emit_err_pool(s, false);
	else if (!b->broken && !enough && b->failed_rounds >= STARTS_ROUNDS_MAX)
		emit_err_pool(s, true);
}

static void
start_workers(struct super *s)
{
	int64_t now_ns = clock_ns();
	struct model *m = &s->model;
	struct worker *w;
	unsigned deaths, n;

	if (super_is(s, Sup_AdoptingWorkers))
		return;
	while ((n = missing(s)) > 0 && model_starting(m) < parallel(s) &&
	    starts_take(&m->starts, n, now_ns, &deaths)) {
		w = model_new_worker(s, m, s->io->id_taken);
		if (w == NULL) {
			log_error("pool: no memory for a worker");
			return;
		}
		w->deaths_in_a_row = deaths;
		w->round = m->starts.round;
		emit_fork_worker(s, w);
		if (w->state == WORKER_NEW) {
			model_free_worker(m, w); /* it was canceled */
			return;
		}
	}
}

static void
settle_size(struct super *s)
{
	const struct model *m = &s->model;
	bool enough = m->n[WORKER_IDLE] + m->n[WORKER_LEASED] >=
	    settle_wanted(s);

	if (missing(s) > 0) {
		if (!super_is(s, Sup_NormalizingPool))
			emit_normalizing_pool(s);
		start_workers(s);
	} else if (enough && super_is(s, Sup_NormalizingPool) &&
	    !super_is(s, Sup_ErrPool)) {
		emit_pool_normalized(s);
	}
}

/* Idle beyond what is wanted for IdleTTL: the longest idle go first. */
static void
settle_surplus(struct super *s)
{
	int64_t before_ns = clock_ns() - s->config->idle_ttl_ms * NS_PER_MS;
	const struct model *m = &s->model;
	const struct worker *w;

	while (model_serving(m) > settle_wanted(s) &&
	    (w = model_longest_idle(m)) != NULL && w->idle_ns <= before_ns) {
		emit_kill_worker(s, w, "surplus", STOP_GENTLY);
		if (w->state == WORKER_IDLE)
			return; /* it was canceled */
	}
}

static void
settle_ready(struct super *s)
{
	if (super_is(s, Sup_LocalRpcReady) && super_is(s, Sup_PublicRpcReady) &&
	    super_is(s, Sup_PoolReady) && !super_is(s, Sup_Ready))
		emit_ready(s);
}

/* ---- the queue ---- */

/* The head of the queue gets a worker, also below Min and while the pool is
 * broken. Clients that a broken pool leaves without one are refused (rule 21). */
static void
settle_queue(struct super *s)
{
	const struct model *m = &s->model;
	const struct worker *w;
	const struct waiter *head;

	while ((head = TAILQ_FIRST(&m->queue)) != NULL &&
	    (w = model_idle(m)) != NULL)
		if (emit_lease_offered(s, w, head) != AM_EXECUTED)
			break;
	while (m->starts.broken && (head = TAILQ_FIRST(&m->queue)) != NULL) {
		emit_release_waiter(s, head, "pool_broken");
		if (TAILQ_FIRST(&m->queue) == head)
			break;
	}
}

static void
settle_available(struct super *s)
{
	bool is = super_is(s, Sup_WorkersAvailable);
	bool want = s->model.n[WORKER_IDLE] > 0 && super_is(s, Sup_PoolReady);

	if (want != is)
		emit_workers_available(s, want);
}

static void
settle_waiting(struct super *s)
{
	bool want = s->model.n_waiting > 0;

	if (want != super_is(s, Sup_ClientsWaiting))
		emit_clients_waiting(s, want);
}

/* ---- the end ---- */

static void
stop_leases(struct super *s)
{
	struct lease *l, *next;

	for (l = TAILQ_FIRST(&s->model.leases); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		if (s->stop >= STOP_LEASES || !mirror_has_request(l->worker))
			emit_release_lease(s, l, "drain");
	}
}

static void
stop_workers(struct super *s)
{
	struct worker *w, *next;

	for (w = TAILQ_FIRST(&s->model.workers); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		/* A failed start is told of no more. */
		if (w->state == WORKER_FAILED)
			emit_worker_killed(s, w);
		else if (!worker_is_leaving(w) &&
		    (w->lease == NULL || s->stop == STOP_NOW))
			emit_kill_worker(s, w, "drain", STOP_GENTLY);
	}
}

/* Rule 30. */
static void
settle_end(struct super *s)
{
	const struct waiter *head;

	while ((head = TAILQ_FIRST(&s->model.queue)) != NULL) {
		emit_release_waiter(s, head, "draining");
		if (TAILQ_FIRST(&s->model.queue) == head)
			break;
	}
	stop_leases(s);
	stop_workers(s);
	settle_waiting(s);
	if (s->model.n_workers == 0)
		emit_stopped(s);
}

/* ---- timers ---- */

static int64_t
sooner(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void
settle_timer(struct super *s, int64_t now_ns)
{
	const struct model *m = &s->model;
	const struct worker *idle = model_longest_idle(m);
	struct am_timer *t = &s->pool_timer;
	unsigned n = missing(s);
	int64_t at = 0;

	if (n > 0 && model_starting(m) < parallel(s))
		at = starts_next_ns(&m->starts, n, now_ns);
	if (m->next_fit_ns != INT64_MAX)
		at = sooner(at, m->next_fit_ns);
	if (idle != NULL && model_serving(m) > settle_wanted(s))
		at = sooner(at,
		    idle->idle_ns + s->config->idle_ttl_ms * NS_PER_MS);
	if (at == 0)
		am_timer_stop(t);
	else if (t->deadline_ns == 0 || at < t->deadline_ns - NS_PER_MS ||
	    at > t->deadline_ns + NS_PER_MS)
		(void)am_timer_start(t,
		    at > now_ns ? (at - now_ns + NS_PER_MS - 1) / NS_PER_MS
				: 0);
}

/* Nobody is asked any more: the round ends, in a turn of its own (rule 29). */
static void
settle_heartbeat(struct super *s)
{
	if (super_is(s, Sup_Heartbeat) && s->model.n_asked == 0 &&
	    s->heartbeat_end.deadline_ns == 0)
		(void)am_timer_start(&s->heartbeat_end, 0);
}

/* ---- all of it ---- */

static void
settle_running(struct super *s)
{
	model_refit(&s->model, clock_ns());
	settle_pool_ready(s);
	settle_err_pool(s);
	settle_queue(s);
	settle_surplus(s);
	settle_size(s);
	settle_ready(s);
	settle_available(s);
	settle_waiting(s);
	settle_timer(s, clock_ns());
}

void
settle(struct super *s)
{
	/* What it emits has drains of its own. */
	if (s->settling || !super_is(s, Sup_Start))
		return;
	s->settling = true;
	if (super_is(s, Sup_Draining)) {
		am_timer_stop(&s->pool_timer);
		settle_end(s);
	} else {
		settle_running(s);
	}
	settle_heartbeat(s);
	s->settling = false;
	if (s->on_settled != NULL)
		s->on_settled(s->settled_arg);
}

/* ---- after each drain ---- */

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct super *s = arg;

	due_run(&s->due);
	if (!due_is_empty(&s->due))
		return; /* the last of them comes here, too */
	/* The client of a canceled mutation has yet to be told why, and the
	 * next drain would forget it. */
	if (am_why(m)[0] != '\0')
		loop_at_flush_first(s->loop, &s->settle_later);
	else
		settle(s);
}

static void
on_later(void *arg)
{
	settle(arg);
}

static const struct am_tracer tracer = { .size = sizeof(tracer),
	.drain_end = on_drain_end };

int
settle_bind(struct super *s)
{
	s->settle_later = (struct turn_item){ .fn = on_later, .arg = s };
	return am_trace(s->machine, &tracer, s);
}
