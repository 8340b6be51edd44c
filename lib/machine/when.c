/* The functions that subscribe. */
#include <assert.h>
#include <stdlib.h>

#include "lib/machine/args.h"
#include "lib/machine/mlog.h"
#include "lib/machine/sub.h"

/* The condition holds already: calls fn. */
static am_sub
fire_now(struct am_machine *m, am_sub_fn fn, void *arg)
{
	if (m->dying)
		return AM_SUB_FAILED;
	mach_pin(m);
	fn(m, arg);
	mach_unpin(m);
	return 0;
}

static int
fill(struct sub *b, const am_id *ids, const uint64_t *ticks, size_t n)
{
	size_t n_ticks = ticks != NULL ? n : 0;
	uint64_t *many;

	b->n = (uint16_t)n;
	if (n == 1) {
		b->id1 = ids[0];
		b->tick1 = ticks != NULL ? ticks[0] : 0;
		return 0;
	}
	b->many = many = malloc(n_ticks * sizeof(*ticks) + n * sizeof(*ids));
	if (many == NULL)
		return -1;
	if (n_ticks > 0)
		memcpy(many, ticks, n_ticks * sizeof(*ticks));
	memcpy(many + n_ticks, ids, n * sizeof(*ids));
	return 0;
}

static am_sub
subscribe(struct am_machine *m, enum sub_kind kind, const am_id *ids,
    const uint64_t *ticks, size_t n, am_sub_fn fn, void *arg)
{
	struct sub *b;
	int pivot;

	for (size_t k = 0; k < n; k++)
		assert(ids[k] < m->schema->len);
	assert(n <= UINT16_MAX);
	pivot = cond_missing(m, kind, ids, ticks, n);
	if (pivot < 0)
		return fire_now(m, fn, arg);
	b = sub_new(m, kind, fn, arg);
	if (b == NULL)
		return AM_SUB_FAILED;
	if (fill(b, ids, ticks, n) < 0) {
		sub_drop(m, b);
		return AM_SUB_FAILED;
	}
	if (m->logger != NULL)
		mlog_subscribed(m, b);
	return sub_wait(m, b, (size_t)pivot);
}

am_sub
am_when(struct am_machine *m, const am_id *states, size_t n, am_sub_fn fn,
    void *arg)
{
	return subscribe(m, WHEN, states, NULL, n, fn, arg);
}

am_sub
am_when_not(struct am_machine *m, const am_id *states, size_t n, am_sub_fn fn,
    void *arg)
{
	return subscribe(m, WHEN_NOT, states, NULL, n, fn, arg);
}

am_sub
am_when_err(struct am_machine *m, am_sub_fn fn, void *arg)
{
	return subscribe(m, WHEN, &m->schema->exception, NULL, 1, fn, arg);
}

am_sub
am_when_time(struct am_machine *m, const am_id *states, const uint64_t *ticks,
    size_t n, am_sub_fn fn, void *arg)
{
	return subscribe(m, WHEN_TIME, states, ticks, n, fn, arg);
}

am_sub
am_when_ticks(struct am_machine *m, am_id state, uint64_t n, am_sub_fn fn,
    void *arg)
{
	uint64_t now = am_tick(m, state);
	uint64_t tick = n < UINT64_MAX - now ? now + n : UINT64_MAX;

	return subscribe(m, WHEN_TIME, &state, &tick, 1, fn, arg);
}

am_sub
am_when_next_active(struct am_machine *m, am_id state, am_sub_fn fn, void *arg)
{
	return am_when_ticks(m, state, am_is1(m, state) ? 2 : 1, fn, arg);
}

/* Puts it into the chain of its kind, or calls fn now. */
static am_sub
wait_apart(struct am_machine *m, struct sub *b, enum sub_chain chain)
{
	if (b == NULL)
		return AM_SUB_FAILED;
	if (m->logger != NULL)
		mlog_subscribed(m, b);
	return sub_wait(m, b, m->schema->len + (size_t)chain);
}

am_sub
am_when_args(struct am_machine *m, am_id state, struct am_val args,
    am_sub_fn fn, void *arg)
{
	struct wanted *wanted;
	struct sub *b;
	am_sub sub;

	assert(state < m->schema->len);
	if (wanted_new(args, &wanted) < 0)
		return AM_SUB_FAILED;
	b = sub_new(m, WHEN_ARGS, fn, arg);
	if (b == NULL) {
		free(wanted);
		return AM_SUB_FAILED;
	}
	b->id1 = state;
	b->n = 1;
	b->many = wanted;
	if (m->logger != NULL)
		mlog_subscribed(m, b);
	sub_wants_args(m, state);
	sub = sub_wait(m, b, state);
	if (m->remote == NULL ||
	    m->remote->when_args(m, state, args, sub, m->remote->arg) == 0)
		return sub;
	am_sub_cancel(m, sub);
	return AM_SUB_FAILED;
}

am_sub
am_when_query(struct am_machine *m, am_query_fn query, am_sub_fn fn, void *arg)
{
	struct sub *b = sub_new(m, WHEN_QUERY, fn, arg);

	if (b != NULL)
		b->query = query;
	return wait_apart(m, b, CHAIN_QUERY);
}

am_sub
am_when_queue(struct am_machine *m, uint64_t queue_tick, am_sub_fn fn,
    void *arg)
{
	struct sub *b;

	if (m->queue_tick >= queue_tick)
		return fire_now(m, fn, arg);
	b = sub_new(m, WHEN_QUEUE, fn, arg);
	if (b != NULL)
		b->tick1 = queue_tick;
	return wait_apart(m, b, CHAIN_QUEUE);
}

am_sub
am_when_queue_ends(struct am_machine *m, am_sub_fn fn, void *arg)
{
	if (!m->draining)
		return fire_now(m, fn, arg);
	return wait_apart(m, sub_new(m, WHEN_ENDS, fn, arg), CHAIN_ENDS);
}

am_sub
am_when_disposed(struct am_machine *m, am_sub_fn fn, void *arg)
{
	return wait_apart(m, sub_new(m, WHEN_DISPOSED, fn, arg),
	    CHAIN_DISPOSED);
}
