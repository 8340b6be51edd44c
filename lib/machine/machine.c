#include "lib/machine/mlog.h"

#include <stdlib.h>

/* ---- life ---- */

struct am_machine *
mach_alloc(struct am_schema *schema, const char *id)
{
	size_t len = schema->len, nw = schema->nw;
	size_t id_size = strlen(id) + 1;
	struct am_machine *m = calloc(1,
	    sizeof(*m) + (len + nw) * sizeof(uint64_t) + len * sizeof(am_id) +
		id_size);

	if (m == NULL)
		return NULL;
	m->clock = (uint64_t *)(m + 1);
	m->active = m->clock + len;
	m->order = (am_id *)(m->active + nw);
	m->id = (char *)(m->order + len);
	memcpy(m->id, id, id_size);
	m->schema = am_schema_ref(schema);
	m->queue_tick = 1;
	m->handler_limit_ms = HANDLER_TIMEOUT_MS;
	return m;
}

struct am_machine *
am_machine_new(struct am_schema *schema, const char *id)
{
	return mach_alloc(schema, id);
}

void
am_handler_timeout(struct am_machine *m, int64_t timeout_ms)
{
	m->handler_limit_ms = timeout_ms < 0 ? INT64_MAX : timeout_ms;
	m->debugged = false;
}

void
mach_pin(struct am_machine *m)
{
	m->pins++;
}

static void
destroy(struct am_machine *m)
{
	m->pins++;
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EVERYTHING, "[dispose] subscriptions");
	if (m->subs != NULL)
		subs_disposed(m);
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EVERYTHING, "[end] doDispose");
	queue_done(&m->queue);
	subs_free(m);
	tables_unref(m);
	am_schema_unref(m->schema);
	free(m->block);
	free(m->tracer);
	mlog_free(m);
	free(m->why);
	free(m->last_error);
	free(m);
}

void
mach_unpin(struct am_machine *m)
{
	if (--m->pins == 0 && m->dying)
		destroy(m);
}

struct am_machine *
am_machine_free(struct am_machine *m)
{
	if (m == NULL)
		return NULL;
	if (m->dying && m->logger != NULL)
		mlog_line(m, AM_LOG_DECISIONS, "[Dispose] already disposed");
	m->dying = true;
	if (m->pins == 0)
		destroy(m);
	return NULL;
}

static void
on_idle(struct am_machine *m, void *arg)
{
	(void)arg;
	am_machine_free(m);
}

struct am_machine *
am_machine_dispose(struct am_machine *m)
{
	int start;

	if (m == NULL)
		return NULL;
	start = am_schema_id(m->schema, "Start", 5);
	mach_pin(m);
	if (start >= 0 && !m->mirror && am_is1(m, (am_id)start)) {
		if (m->logger != NULL)
			mlog_line(m, AM_LOG_OPS,
			    "[dispose] graceful shutdown via Start");
		(void)am_remove1(m, (am_id)start, AM_NONE);
	}
	if (m->dying || am_when_queue_ends(m, on_idle, NULL) == AM_SUB_FAILED)
		am_machine_free(m);
	mach_unpin(m);
	return NULL;
}

bool
am_disposing(const struct am_machine *m)
{
	return m->dying;
}

/* ---- the drain (semantics.md 4) ---- */

void
mach_set_why(struct am_machine *m, const char *text)
{
	free(m->why);
	m->why = text != NULL ? strdup(text) : NULL;
}

static am_result
run_one(struct am_machine *m, const struct request *rq, struct tx *tx)
{
	am_result result = transition_run(m, rq, tx);

	if (m->subs != NULL && (tx->ticked || m->sub_always) && !m->dying) {
		subs_after(m, tx);
		m->handler_ns = 0;
	}
	return result;
}

size_t
mach_auto(const struct am_machine *m, am_id *to)
{
	const struct am_schema *s = m->schema;
	struct set candidates;
	size_t n = 0;

	for (size_t i = 0; i < s->nw; i++)
		candidates.w[i] = s->automatic[i] & ~m->active[i];
	for (SET_EACH(id, candidates.w, s->nw))
		if (!bits_meet(schema_rel(s, id, F_REMBY), m->active, s->nw))
			to[n++] = (am_id)id;
	return n;
}

static void
run_auto(struct am_machine *m, struct tx *tx)
{
	struct request rq = {
		.op = AM_ADD,
		.automatic = true,
		.called = tx->called_buf,
	};

	rq.n_called = mach_auto(m, tx->called_buf);
	if (rq.n_called > 0)
		(void)run_one(m, &rq, tx);
}

/* A transition and, before anything that waits, the auto one it leads to. */
static am_result
run(struct am_machine *m, const struct request *rq, struct tx *tx, bool first)
{
	am_result result = run_one(m, rq, tx);

	if (first && result == AM_CANCELED)
		mach_set_why(m, tx->why);
	if (!tx->may_auto || m->schema->n_auto == 0 || m->dying)
		return result;
	if (m->failures < FAILURES_MAX)
		run_auto(m, tx);
	else
		mach_error(m,
		    "automatic states rest: handlers failed 100 "
		    "times in a row");
	return result;
}

static am_result
run_eval(struct am_machine *m, struct queued *it)
{
	struct eval *e = it->called.eval;

	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EXTERNAL, "[exter] eval: %s", e->source);
	e->fn(m, e->arg);
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EVERYTHING, "[eval:end] %s", e->source);
	m->handler_ns = 0;
	queued_done(it);
	return AM_EXECUTED;
}

static am_result
run_queued(struct am_machine *m, struct queued *it, struct tx *tx, bool first)
{
	struct request rq = {
		.op = (enum am_op)it->op,
		.check = (it->flags & Q_CHECK) != 0,
		.called = queued_called(it),
		.n_called = it->n,
		.source = it->source,
	};
	am_result result;

	if (it->flags & Q_EVAL)
		return run_eval(m, it);
	if (it->flags & Q_APPENDED) {
		m->pending--;
		m->queue_tick++;
		m->failures = 0;
	}
	if (it->args != NULL) {
		rq.args = (struct am_val){ it->args->data, it->args->len };
		rq.from = it->args->from.machine != NULL ? &it->args->from
							 : NULL;
	}
	result = run(m, &rq, tx, first);
	queued_done(it);
	return result;
}

void
mach_drain_begin(struct am_machine *m)
{
	mach_pin(m);
	m->draining = true;
	m->failures = 0;
	m->handler_ns = 0;
	if (m->why != NULL)
		mach_set_why(m, NULL);
}

static inline __attribute__((always_inline)) am_result
run_rest(struct am_machine *m, struct tx *tx, bool first, am_result result)
{
	struct queued it;

	while (!m->dying && queue_pop(&m->queue, &it)) {
		am_result r = run_queued(m, &it, tx, first);

		result = first ? r : result;
		first = false;
	}
	return result;
}

/* On a stack frame of its own: most drains have no rest. */
static __attribute__((noinline)) void
run_rest_apart(struct am_machine *m)
{
	struct tx tx;

	(void)run_rest(m, &tx, false, AM_EXECUTED);
}

void
mach_drain_end(struct am_machine *m)
{
	if (m->queue.len > 0)
		run_rest_apart(m);
	m->draining = false;
	if (m->n_tracers > 0)
		trace_drain_end(m);
	if (m->subs != NULL)
		subs_queue_ends(m);
	mach_unpin(m);
}

am_result
mach_drain(struct am_machine *m, const struct request *rq, struct tx *tx)
{
	am_result result = AM_CANCELED;

	mach_drain_begin(m);
	if (rq != NULL && m->n_tracers > 0)
		trace_queued(m, rq);
	if (rq != NULL && !m->dying)
		result = run(m, rq, tx, true);
	result = run_rest(m, tx, rq == NULL, result);
	mach_drain_end(m);
	return result;
}
