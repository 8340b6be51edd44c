/* Mutations: what is refused, what waits, what runs at once. */
#include "lib/machine/mlog.h"

#include <assert.h>
#include <errno.h>

/* ---- the queue (semantics.md 3) ---- */

static am_result
refuse(struct am_machine *m, const char *why)
{
	if (!m->draining)
		mach_set_why(m, why);
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
	if (r < 0) {
		queued_done(&it);
		return r;
	}
	if (flags & Q_APPENDED)
		m->pending++;
	/* That of a failure is told when the failed handler has returned. */
	if (m->logger != NULL &&
	    !(m->tx != NULL && m->tx->failing &&
		!(flags & (Q_APPENDED | Q_CHECK))))
		mlog_queued(m, rq, !(flags & Q_APPENDED));
	if (m->n_tracers > 0)
		trace_queued(m, rq);
	return 0;
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
	am_result tick;

	if (rq->check)
		return enqueue(m, rq, 0) < 0 ? AM_CANCELED : AM_QUEUED;
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
	return enqueue(m, rq, Q_APPENDED) < 0 ? AM_CANCELED : tick;
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

static const char *
not_mutable(const struct am_machine *m)
{
	if (m->mirror)
		return "a mirror is not mutated here, but where its machine is";
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

/* Where the machine is, if there is a way to it. */
static am_result
mutate_remote(struct am_machine *m, const struct am_mutation *mut)
{
	int r;

	if (m->remote == NULL || m->dying)
		return refuse(m, not_mutable(m));
	r = m->remote->mutate(m, mut, m->remote->arg);
	return r < 0 ? refuse(m, not_sent(r)) : AM_QUEUED + (am_result)r;
}

am_result
mach_mutate(struct am_machine *m, const struct am_mutation *mut, enum fast plan)
{
	struct request rq = {
		.fast = plan,
		.source = mut->source,
		.from = mut->from,
	};
	const char *why = not_mutable(m);
	struct tx tx;

	if (m->mirror)
		return mutate_remote(m, mut);
	if (why != NULL)
		return refuse(m, why);
	set_called(m, &rq, mut, tx.called_buf);
	set_op(m, &rq, mut->op);
	rq.args = real_args(mut->args);
	if (!rq.check && queue_full(m, &rq, 1))
		return refuse(m, "the queue is full (1000)");
	if (m->logger != NULL && !rq.check)
		mlog_breakpoint(m, &rq);
	if (m->draining)
		return wait_in_queue(m, &rq);
	if (m->logger != NULL)
		mlog_queued(m, &rq, rq.check);
	if (!rq.check)
		m->queue_tick++;
	return mach_drain(m, &rq, &tx);
}

static am_result
add_err(struct am_machine *m, am_id state, const char *text)
{
	const am_id called[] = { state, m->schema->exception };
	struct am_buf args = AM_BUF_INIT;
	am_result r;

	am_put_map(&args, 1);
	am_put_str(&args, "err");
	am_put_str(&args, text);
	/* The text may be the last error's own. */
	if (!m->mirror)
		mach_error(m, text);
	r = am_add(m, called, 2, am_buf_val(&args));
	am_buf_done(&args);
	return r;
}

am_result
am_add_err(struct am_machine *m, am_id state, const char *text)
{
	bool remote = m->mirror && m->remote != NULL && !m->dying;
	const char *why = remote ? NULL : not_mutable(m);

	assert(state < m->schema->len);
	if (why == NULL && (text == NULL || text[0] == '\0'))
		why = "no error";
	if (why == NULL && m->queue.len >= QUEUE_LIMIT)
		why = "the queue is full (1000)";
	if (why != NULL)
		return refuse(m, why);
	return add_err(m, state, text);
}

static void
drain_queue(struct am_machine *m)
{
	struct tx tx;

	(void)mach_drain(m, NULL, &tx);
}

static int
enqueue_pulse(struct am_machine *m, struct am_mutation half[2],
    struct am_val args)
{
	struct request rq = { .op = AM_ADD, .args = real_args(args) };
	struct tx tx;

	set_called(m, &rq, &half[0], tx.called_buf);
	if (queue_full(m, &rq, 2) ||
	    enqueue(m, &rq, Q_APPENDED | Q_DISTINCT) < 0)
		return -EBUSY;
	rq.op = AM_REMOVE;
	set_called(m, &rq, &half[1], tx.called_buf);
	if (enqueue(m, &rq, Q_APPENDED | Q_DISTINCT) == 0)
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

	if (not_mutable(m) != NULL)
		return -EBUSY;
	if (!outside)
		return enqueue_pulse(m, half, args);
	/* What a tracer does when it hears of them comes after them. */
	mach_pin(m);
	m->draining = true;
	r = enqueue_pulse(m, half, args);
	m->draining = false;
	if (m->queue.len > 0)
		drain_queue(m);
	mach_unpin(m);
	return r;
}

int
am_pulse(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mach_pulse(m, states, n, states, n, args);
}

am_result
am_eval(struct am_machine *m, const char *source, am_eval_fn fn, void *arg)
{
	bool outside = !m->draining;
	struct queued it;

	if (not_mutable(m) != NULL ||
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
