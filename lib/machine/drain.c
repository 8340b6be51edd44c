/* The drain: semantics.md 4. */
#include "lib/machine/mlog.h"

static inline __attribute__((always_inline)) void
run_one(struct am_machine *m, struct tx *tx)
{
	transition_run(m, tx);
	if (m->subs != NULL && (tx->ticked || m->sub_always) && !m->dying) {
		subs_after(m, tx);
		m->handler_ns = 0;
	}
}

static __attribute__((noinline)) void
run_auto(struct am_machine *m, struct tx *tx)
{
	size_t n = auto_states(m, tx->called_buf);

	if (n == 0)
		return;
	tx->rq = (struct request){
		.op = AM_ADD,
		.automatic = true,
		.called = tx->called_buf,
		.n_called = n,
	};
	run_one(m, tx);
}

static void
follow_auto(struct am_machine *m, struct tx *tx)
{
	if (m->failures < FAILURES_MAX)
		run_auto(m, tx);
	else
		mach_error(m,
		    "automatic states rest: handlers failed 100 "
		    "times in a row");
}

/* Runs a transition and, before anything that waits, the automatic one that it
 * leads to. */
static inline __attribute__((always_inline)) am_result
run(struct am_machine *m, struct tx *tx, bool first)
{
	bool accepted;

	run_one(m, tx);
	accepted = tx->accepted;
	if (first && !accepted)
		mach_set_why(m, tx->why);
	if (tx->may_auto && !m->dying)
		follow_auto(m, tx);
	return accepted ? AM_EXECUTED : AM_CANCELED;
}

static void
run_eval(struct am_machine *m, struct queued *it)
{
	struct eval *e = it->called.eval;

	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EXTERNAL, "[exter] eval: %s", e->source);
	e->fn(m, e->arg);
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EVERYTHING, "[eval:end] %s", e->source);
	m->handler_ns = 0;
}

static void
run_queued(struct am_machine *m, const struct queued *it, struct tx *tx,
    bool first)
{
	tx->rq = (struct request){
		.op = (enum am_op)it->op,
		.check = (it->flags & Q_CHECK) != 0,
		.called = queued_called(it),
		.n_called = it->n,
		.source = it->source,
	};
	if (it->flags & Q_APPENDED) {
		m->pending--;
		m->queue_tick++;
		m->failures = 0;
	}
	if (it->args != NULL) {
		tx->rq.args = (struct am_val){ it->args->data, it->args->len };
		if (it->args->from.machine != NULL)
			tx->rq.from = &it->args->from;
	}
	(void)run(m, tx, first);
}

static void
run_waiting(struct am_machine *m, struct tx *tx, bool first)
{
	struct queued it;

	for (; !m->dying && queue_pop(&m->queue, &it); first = false) {
		if (it.flags & Q_EVAL)
			run_eval(m, &it);
		else
			run_queued(m, &it, tx, first);
		queued_done(&it);
	}
}

static inline void
drain_begin(struct am_machine *m)
{
	mach_pin(m);
	m->draining = true;
	m->failures = 0;
	m->handler_ns = 0;
	if (m->why != NULL)
		mach_set_why(m, NULL);
}

static inline void
drain_end(struct am_machine *m)
{
	m->draining = false;
	if (m->n_tracers > 0)
		trace_drain_end(m);
	if (m->sub_ends)
		subs_queue_ends(m);
	mach_unpin(m);
}

am_result
mach_run(struct am_machine *m, struct tx *tx)
{
	am_result result = AM_CANCELED;

	drain_begin(m);
	if (m->n_tracers > 0)
		trace_queued(m, &tx->rq);
	if (!m->dying)
		result = run(m, tx, true);
	if (m->queue.len > 0)
		run_waiting(m, tx, false);
	drain_end(m);
	return result;
}

void
mach_drain(struct am_machine *m, struct tx *tx)
{
	drain_begin(m);
	run_waiting(m, tx, true);
	drain_end(m);
}
