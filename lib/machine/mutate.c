/* Mutations: refuses, queues, or runs them. */
#include "lib/machine/mlog.h"
#include "lib/machine/plan.h"

#include <assert.h>
#include <errno.h>

/* ---- the queue (semantics.md 3) ---- */

am_result
mach_refuse(struct am_machine *m, const char *why)
{
	if (!m->draining)
		mach_set_why(m, why);
	return AM_CANCELED;
}

/* semantics.md 3.1: Exception can always be added and removed. */
static bool
queue_full(const struct am_machine *m, const struct request *rq, size_t want)
{
	bool active;

	if (m->queue.len + want <= QUEUE_LIMIT)
		return false;
	active = am_is1(m, m->schema->exception);
	if (rq->op == AM_SET || !has_called(rq, m->schema->exception))
		return true;
	return rq->op == AM_ADD ? active : !active;
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
	am_result tick;

	if (rq->check)
		return mach_enqueue(m, rq, 0) < 0 ? AM_CANCELED : AM_QUEUED;
	if (rq->op == AM_REMOVE && m->queue.len == 0 &&
	    am_not(m, rq->called, rq->n_called))
		return AM_EXECUTED;
	if (rq->args.len == 0 && !any_multi(m, rq) &&
	    queue_holds(&m->queue, rq)) {
		if (m->logger != NULL)
			mlog_duplicate(m, rq);
		return AM_EXECUTED;
	}
	tick = m->queue_tick + m->pending + 1;
	return mach_enqueue(m, rq, Q_APPENDED) < 0 ? AM_CANCELED : tick;
}

/* The called list without duplicates; uses buf if there are some. */
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

const char *
mach_not_mutable(const struct am_machine *m)
{
	if (m->mirror)
		return "a mirror can be mutated only through its connection";
	return m->dying ? "the machine is being freed" : NULL;
}

static const char *
not_sent(int r)
{
	switch (r) {
	case -EINVAL:
		return "the args are not a map, or malformed";
	case -E2BIG:
		return "the args are too large";
	case -ENOMEM:
		return "out of memory";
	case -EBUSY:
	case -ENOBUFS:
		return "too many mutations wait for their results";
	default:
		return "no connection to the machine";
	}
}

/* Sends it to the machine, if there is a connection. */
static am_result
mutate_remote(struct am_machine *m, const struct am_mutation *mut)
{
	int r;

	if (m->remote == NULL || m->dying)
		return mach_refuse(m, mach_not_mutable(m));
	r = m->remote->mutate(m, mut, m->remote->arg);
	return r < 0 ? mach_refuse(m, not_sent(r)) : AM_QUEUED + (am_result)r;
}

/* A function of its own, because a transition needs a large stack frame. */
static __attribute__((noinline)) am_result
mutate(struct am_machine *m, const struct am_mutation *mut)
{
	const char *why = mach_not_mutable(m);
	struct tx tx;

	if (m->mirror)
		return mutate_remote(m, mut);
	if (why != NULL)
		return mach_refuse(m, why);
	tx.rq = (struct request){
		.args = real_args(mut->args),
		.source = mut->source,
		.from = mut->from,
	};
	set_called(m, &tx.rq, mut, tx.called_buf);
	set_op(m, &tx.rq, mut->op);
	if (!tx.rq.check && queue_full(m, &tx.rq, 1))
		return mach_refuse(m, "the queue is full (1000)");
	if (m->logger != NULL && !tx.rq.check)
		mlog_breakpoint(m, &tx.rq);
	if (m->draining)
		return wait_in_queue(m, &tx.rq);
	if (m->logger != NULL)
		mlog_queued(m, &tx.rq, tx.rq.check);
	if (!tx.rq.check)
		m->queue_tick++;
	return mach_run(m, &tx);
}

/* The same when nothing else has to be checked, and the plan is known. */
static __attribute__((noinline)) am_result
mutate_planned(struct am_machine *m, const struct am_mutation *mut,
    enum plan plan)
{
	struct tx tx;

	tx.rq.op = mut->op;
	tx.rq.automatic = tx.rq.check = false;
	tx.rq.plan = plan;
	tx.rq.called = mut->states;
	tx.rq.n_called = 1;
	tx.rq.args = real_args(mut->args);
	tx.rq.source = mut->source;
	tx.rq.from = mut->from;
	m->queue_tick++;
	return mach_run(m, &tx);
}

/* ---- the one shortcut ----
 *
 * Without a drain a mutation is: count it, plan it, ask handlers, apply the
 * plan, call handlers, tell subscriptions and tracers, run what they queued and
 * the automatic mutation that follows. If nobody is asked, called or told, then
 * nothing is queued, and without an automatic state that could follow all that
 * is left is to count, plan and apply. The next functions prove just that. */

/* Whether no callback is called in every transition. */
static inline bool
is_unwatched(const struct am_machine *m)
{
	return !m->draining && !m->mirror && !m->dying && !m->any &&
	    !m->self_or_pair && !m->sub_always && !m->sub_ends &&
	    m->n_tracers == 0 && m->queue.len == 0 && m->logger == NULL;
}

/* Whether the state has neither a handler nor a subscription. */
static inline bool
is_unnoticed(const struct am_machine *m, enum plan plan, am_id id)
{
	size_t nw = m->schema->nw, w = id / 64;
	uint64_t heard = 0;

	if (plan == PLAN_STAY || plan == PLAN_NONE)
		return true;
	if (m->n_bindings > 0 && plan == PLAN_EXIT)
		heard |= m->bound[H_EXIT * nw + w] | m->bound[H_END * nw + w];
	else if (m->n_bindings > 0)
		heard |= m->bound[H_ENTER * nw + w] |
		    m->bound[H_STATE * nw + w];
	if (m->watch != NULL)
		heard |= m->watch[w];
	return (heard >> id % 64 & 1) == 0;
}

/* Whether an automatic state is inactive, or will be. */
static bool
may_lead_to_auto(const struct am_machine *m, am_id id)
{
	const struct am_schema *s = m->schema;

	if (s->n_auto == 0)
		return false;
	for (size_t i = 0; i < s->nw; i++)
		if ((s->automatic[i] & ~m->active[i]) != 0)
			return true;
	return bits_test(s->automatic, id);
}

am_result
am_mutate(struct am_machine *m, const struct am_mutation *mut)
{
	enum plan plan;
	am_id id;

	if (mut->n_states != 1 || mut->op > AM_REMOVE || !is_unwatched(m))
		return mutate(m, mut);
	id = mut->states[0];
	assert(id < m->schema->len);
	plan = plan_one(m, mut->op, id);
	if (plan == PLAN_GENERAL || !is_unnoticed(m, plan, id) ||
	    may_lead_to_auto(m, id))
		return mutate_planned(m, mut, plan);
	m->queue_tick++;
	m->n_transitions++;
	plan_apply(m, plan, id);
	if (m->why != NULL)
		mach_set_why(m, NULL);
	return AM_EXECUTED;
}

/* ---- pulses and functions ---- */

static void
drain_queue(struct am_machine *m)
{
	struct tx tx;

	mach_drain(m, &tx);
}

static int
enqueue_pulse(struct am_machine *m, struct am_mutation half[2],
    struct am_val args)
{
	struct request rq = { .op = AM_ADD, .args = real_args(args) };
	struct tx tx;

	set_called(m, &rq, &half[0], tx.called_buf);
	if (queue_full(m, &rq, 2) ||
	    mach_enqueue(m, &rq, Q_APPENDED | Q_DISTINCT) < 0)
		return -EBUSY;
	rq.op = AM_REMOVE;
	set_called(m, &rq, &half[1], tx.called_buf);
	if (mach_enqueue(m, &rq, Q_APPENDED | Q_DISTINCT) == 0)
		return 0;
	queue_drop_last(&m->queue);
	m->pending--;
	return -EBUSY;
}

int
mach_pulse(struct am_machine *m, const am_id *add, size_t n_add,
    const am_id *remove, size_t n_remove, struct am_val args)
{
	struct am_mutation half[2] = {
		{ .states = add, .n_states = n_add },
		{ .states = remove, .n_states = n_remove },
	};
	bool outside = !m->draining;
	int r;

	if (mach_not_mutable(m) != NULL)
		return -EBUSY;
	if (!outside)
		return enqueue_pulse(m, half, args);
	/* Mutations that a tracer makes when it is told come after these. */
	mach_pin(m);
	m->draining = true;
	r = enqueue_pulse(m, half, args);
	m->draining = false;
	if (m->queue.len > 0)
		drain_queue(m);
	mach_unpin(m);
	return r;
}

am_result
am_eval(struct am_machine *m, const char *source, am_eval_fn fn, void *arg)
{
	bool outside = !m->draining;
	struct queued it;

	if (mach_not_mutable(m) != NULL ||
	    queued_init_eval(&it, source, fn, arg) < 0)
		return AM_CANCELED;
	if (queue_prepend(&m->queue, &it) < 0) {
		queued_done(&it);
		return AM_CANCELED;
	}
	if (m->logger != NULL)
		mlog_eval_queued(m, source);
	if (!outside)
		return AM_QUEUED;
	drain_queue(m);
	return AM_EXECUTED;
}
