#include "lib/machine/mach.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
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
}

void
mach_pin(struct am_machine *m)
{
	m->pins++;
}

void
mach_unpin(struct am_machine *m)
{
	if (--m->pins == 0 && m->dying)
		am_machine_free(m);
}

struct am_machine *
am_machine_free(struct am_machine *m)
{
	if (m == NULL)
		return NULL;
	if (m->pins > 0) {
		m->dying = true;
		return NULL;
	}
	queue_done(&m->queue);
	subs_free(m);
	tables_unref(m);
	am_schema_unref(m->schema);
	free(m->tracer);
	free(m->why);
	free(m->last_error);
	free(m);
	return NULL;
}

/* ---- the drain (semantics.md 4) ---- */

static void
set_why(struct am_machine *m, const char *text)
{
	if (m->why == NULL && text == NULL)
		return;
	free(m->why);
	m->why = text != NULL ? strdup(text) : NULL;
}

static am_result
run_one(struct am_machine *m, const struct request *rq, struct tx *tx)
{
	am_result result = transition_run(m, rq, tx);

	if (tx->ticked && m->subs != NULL && !m->dying) {
		struct set changed;

		for (size_t i = 0; i < m->schema->nw; i++)
			changed.w[i] = tx->enters.w[i] | tx->exits.w[i];
		subs_run(m, changed.w);
		m->handler_ns = 0;
	}
	return result;
}

/* semantics.md 9. */
static void
run_auto(struct am_machine *m, struct tx *tx)
{
	const struct am_schema *s = m->schema;
	struct request rq = {
		.op = AM_ADD,
		.automatic = true,
		.called = tx->called_buf,
	};
	struct set candidates;

	for (size_t i = 0; i < s->nw; i++)
		candidates.w[i] = s->automatic[i] & ~m->active[i];
	for (SET_EACH(id, candidates.w, s->nw))
		if (!bits_meet(schema_rel(s, id, F_REMBY), m->active, s->nw))
			tx->called_buf[rq.n_called++] = (am_id)id;
	if (rq.n_called > 0)
		(void)run_one(m, &rq, tx);
}

/* A transition and, before anything that waits, the auto one it leads to. */
static am_result
run(struct am_machine *m, const struct request *rq, struct tx *tx, bool first)
{
	am_result result = run_one(m, rq, tx);

	if (first && result == AM_CANCELED)
		set_why(m, tx->why);
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

	if (it->flags & Q_APPENDED) {
		m->pending--;
		m->queue_tick++;
		m->failures = 0;
	}
	if (it->args != NULL)
		rq.args = (struct am_val){ it->args->data, it->args->len };
	result = run(m, &rq, tx, first);
	queued_done(it);
	return result;
}

static void
trace_drain_end(struct am_machine *m)
{
	for (size_t i = 0; i < m->n_tracers && !m->dying; i++) {
		const struct tracer *r = &m->tracer[i];

		if (r->t != NULL && r->t->drain_end != NULL)
			r->t->drain_end(m, r->arg);
	}
}

/* Runs rq, if not NULL, then what waits. The result is the first one's, and
 * so is the reason in am_why(). */
static am_result
drain(struct am_machine *m, const struct request *rq, struct tx *tx)
{
	am_result result = AM_CANCELED;
	bool first = rq == NULL;
	struct queued it;

	mach_pin(m);
	m->draining = true;
	m->failures = 0;
	m->handler_ns = 0;
	set_why(m, NULL);
	if (rq != NULL)
		result = run(m, rq, tx, true);
	while (!m->dying && queue_pop(&m->queue, &it)) {
		am_result r = run_queued(m, &it, tx, first);

		result = first ? r : result;
		first = false;
	}
	m->draining = false;
	if (m->n_tracers > 0)
		trace_drain_end(m);
	mach_unpin(m);
	return result;
}

/* ---- the queue (semantics.md 3) ---- */

static am_result
refuse(struct am_machine *m, const char *why)
{
	if (!m->draining)
		set_why(m, why);
	return AM_CANCELED;
}

static bool
called_has(const struct request *rq, am_id id)
{
	for (size_t i = 0; i < rq->n_called; i++)
		if (rq->called[i] == id)
			return true;
	return false;
}

/* semantics.md 3.1: Exception may always come, and go. */
static bool
queue_full(const struct am_machine *m, const struct request *rq, size_t want)
{
	bool active;

	if (m->queue.len + want <= QUEUE_LIMIT)
		return false;
	active = am_is1(m, m->schema->exception);
	if (rq->op == AM_SET || !called_has(rq, m->schema->exception))
		return true;
	return rq->op == AM_ADD ? active : !active;
}

static int
enqueue(struct am_machine *m, const struct request *rq, unsigned flags)
{
	struct queued it;
	int r = queued_init(&it, rq);

	if (r < 0)
		return r;
	it.flags |= (uint8_t)flags;
	r = (flags & Q_APPENDED) ? queue_append(&m->queue, &it)
				 : queue_prepend(&m->queue, &it);
	if (r < 0)
		queued_done(&it);
	else if (flags & Q_APPENDED)
		m->pending++;
	return r;
}

void
mach_prepend(struct am_machine *m, const struct request *rq)
{
	/* Without memory the failure is in am_last_error() only. */
	(void)enqueue(m, rq, 0);
}

static bool
any_multi(const struct am_machine *m, const struct request *rq)
{
	for (size_t i = 0; i < rq->n_called; i++)
		if (bits_test(m->schema->multi, rq->called[i]))
			return true;
	return false;
}

/* From inside of a drain. */
static am_result
wait_in_queue(struct am_machine *m, const struct request *rq)
{
	if (rq->check)
		return enqueue(m, rq, 0) < 0 ? AM_CANCELED : AM_QUEUED;
	if (rq->op == AM_REMOVE && m->queue.len == 0 &&
	    am_not(m, rq->called, rq->n_called))
		return AM_EXECUTED;
	if (rq->args.len == 0 && !any_multi(m, rq) &&
	    queue_holds(&m->queue, rq))
		return AM_EXECUTED;
	if (enqueue(m, rq, Q_APPENDED) < 0)
		return AM_CANCELED;
	return m->queue_tick + m->pending;
}

/* The called list without duplicates; buf is used if there are some. */
static void
set_called(const struct am_machine *m, struct request *rq,
    const struct am_mutation *mut, am_id *buf)
{
	struct set seen;
	size_t n = 0;

	rq->called = mut->states;
	rq->n_called = mut->n_states;
	if (mut->n_states < 2) {
		assert(mut->n_states == 0 || mut->states[0] < m->schema->len);
		return;
	}
	bits_zero(seen.w, m->schema->nw);
	for (size_t i = 0; i < mut->n_states; i++) {
		assert(mut->states[i] < m->schema->len);
		if (bits_test(seen.w, mut->states[i]))
			continue;
		bits_set(seen.w, mut->states[i]);
		buf[n++] = mut->states[i];
	}
	if (n < mut->n_states) {
		rq->called = buf;
		rq->n_called = n;
	}
}

static void
set_op(const struct am_machine *m, struct request *rq, enum am_op op)
{
	switch (op) {
	case AM_ADD:
	case AM_REMOVE:
	case AM_SET:
		rq->op = op;
		break;
	case AM_TOGGLE:
		rq->op = am_is(m, rq->called, rq->n_called) ? AM_REMOVE
							    : AM_ADD;
		break;
	case AM_CAN_ADD:
	case AM_CAN_REMOVE:
		rq->op = op == AM_CAN_ADD ? AM_ADD : AM_REMOVE;
		rq->check = true;
		break;
	}
}

/* An encoded empty map is no args. */
static struct am_val
real_args(struct am_val args)
{
	static const unsigned char empty_map = 0x80;

	if (args.len == 1 && memcmp(args.data, &empty_map, 1) == 0)
		return AM_NONE;
	return args;
}

static const char *
not_mutable(const struct am_machine *m)
{
	if (m->mirror)
		return "a mirror is not mutated here, but where its machine is";
	return m->dying ? "the machine is being freed" : NULL;
}

static am_result
mutate_heard(struct am_machine *m, const struct am_mutation *mut,
    enum fast plan)
{
	struct request rq = { .fast = plan, .source = mut->source };
	const char *why = not_mutable(m);
	struct tx tx;

	if (why != NULL)
		return refuse(m, why);
	set_called(m, &rq, mut, tx.called_buf);
	set_op(m, &rq, mut->op);
	rq.args = real_args(mut->args);
	if (!rq.check && queue_full(m, &rq, 1))
		return refuse(m, "the queue is full (1000)");
	if (m->draining)
		return wait_in_queue(m, &rq);
	if (!rq.check)
		m->queue_tick++;
	return drain(m, &rq, &tx);
}

/* Is there a handler for what becomes of this state? */
static bool
has_handler(const struct am_machine *m, enum fast plan, am_id id)
{
	enum handler_set before = plan == FAST_EXIT ? H_EXIT : H_ENTER;
	enum handler_set after = plan == FAST_EXIT ? H_END : H_STATE;
	size_t nw = m->schema->nw;

	for (size_t i = 0; i < m->n_bindings; i++) {
		const struct handler_table *t = m->binding[i].table;

		if (plan != FAST_STAY && plan != FAST_NONE &&
		    (bits_test(table_set(t, before, nw), id) ||
			bits_test(table_set(t, after, nw), id)))
			return true;
	}
	return m->self_or_pair || m->any;
}

/* May it lead to an auto transition? */
static bool
has_auto(const struct am_machine *m, am_id id)
{
	const struct am_schema *s = m->schema;

	if (s->n_auto == 0)
		return false;
	for (size_t i = 0; i < s->nw; i++)
		if ((s->automatic[i] & ~m->active[i]) != 0)
			return true;
	return bits_test(s->automatic, id);
}

/* Does a mutation of one state concern nobody: no handler, no tracer, no
 * subscription, nothing that waits, no auto state? *ret_plan is set if it was
 * looked at. */
static bool
unheard(struct am_machine *m, const struct am_mutation *mut,
    enum fast *ret_plan)
{
	am_id id = mut->states[0];

	assert(id < m->schema->len);
	if (m->draining || m->mirror || m->dying || m->n_tracers > 0 ||
	    m->queue.len > 0 || has_auto(m, id) ||
	    (m->watch != NULL && bits_test(m->watch, id)))
		return false;
	*ret_plan = fast_plan(m, mut->op, id);
	return *ret_plan != FAST_NO &&
	    (m->n_bindings == 0 || !has_handler(m, *ret_plan, id));
}

am_result
am_mutate(struct am_machine *m, const struct am_mutation *mut)
{
	enum fast plan = FAST_UNKNOWN;

	if (mut->n_states != 1 || mut->op > AM_REMOVE ||
	    !unheard(m, mut, &plan))
		return mutate_heard(m, mut, plan);
	m->queue_tick++;
	fast_apply(m, plan, mut->states[0]);
	set_why(m, NULL);
	return AM_EXECUTED;
}

int
mach_pulse(struct am_machine *m, const am_id *add, size_t n_add,
    const am_id *remove, size_t n_remove, struct am_val args)
{
	struct am_mutation mut = { .states = add, .n_states = n_add };
	struct request rq = { .op = AM_ADD, .args = real_args(args) };
	struct tx tx;

	if (not_mutable(m) != NULL)
		return -EBUSY;
	set_called(m, &rq, &mut, tx.called_buf);
	if (queue_full(m, &rq, 2))
		return -EBUSY;
	if (enqueue(m, &rq, Q_APPENDED | Q_DISTINCT) < 0)
		return -EBUSY;
	rq.op = AM_REMOVE;
	mut.states = remove;
	mut.n_states = n_remove;
	set_called(m, &rq, &mut, tx.called_buf);
	if (enqueue(m, &rq, Q_APPENDED | Q_DISTINCT) < 0) {
		queue_drop_last(&m->queue);
		m->pending--;
		return -EBUSY;
	}
	if (!m->draining)
		(void)drain(m, NULL, &tx);
	return 0;
}

int
am_pulse(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mach_pulse(m, states, n, states, n, args);
}

static am_result
mutate(struct am_machine *m, enum am_op op, const am_id *states, size_t n,
    struct am_val args)
{
	return am_mutate(m,
	    &(struct am_mutation){ .op = op,
		.states = states,
		.n_states = n,
		.args = args });
}

am_result
am_add1(struct am_machine *m, am_id state, struct am_val args)
{
	return mutate(m, AM_ADD, &state, 1, args);
}

am_result
am_remove1(struct am_machine *m, am_id state, struct am_val args)
{
	return mutate(m, AM_REMOVE, &state, 1, args);
}

am_result
am_add(struct am_machine *m, const am_id *states, size_t n, struct am_val args)
{
	return mutate(m, AM_ADD, states, n, args);
}

am_result
am_remove(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_REMOVE, states, n, args);
}

am_result
am_set(struct am_machine *m, const am_id *states, size_t n, struct am_val args)
{
	return mutate(m, AM_SET, states, n, args);
}

am_result
am_toggle(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_TOGGLE, states, n, args);
}

am_result
am_can_add(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_CAN_ADD, states, n, args);
}

am_result
am_can_remove(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_CAN_REMOVE, states, n, args);
}
