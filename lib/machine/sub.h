/* sub.h - subscriptions: kept by sub.c, made by when.c. */
#ifndef LIB_MACHINE_SUB_H
#define LIB_MACHINE_SUB_H

#include "lib/machine/mach.h"

enum sub_kind {
	WHEN,
	WHEN_NOT,
	WHEN_TIME,
	WHEN_ARGS,
	WHEN_QUERY,
	WHEN_QUEUE,
	WHEN_ENDS,
	WHEN_DISPOSED,
};

/* Chains besides those of states, which they follow. */
enum sub_chain {
	CHAIN_QUERY,
	CHAIN_QUEUE,
	CHAIN_ENDS,
	CHAIN_DISPOSED,
	CHAIN__COUNT
};

enum sub_phase { FREE, WAITING, FIRING };

struct sub {
	uint64_t seq; /* fired in this order */
	am_sub_fn fn;
	void *arg;
	uint32_t gen; /* in the handle, so that old handles find nothing */
	uint32_t next;
	uint32_t prev;
	uint16_t n;
	uint8_t kind;
	uint8_t phase;
	am_id pivot; /* index of its chain */
	am_id id1;
	union {
		uint64_t tick1; /* WHEN_TIME of one state, WHEN_QUEUE */
		am_query_fn query;
	};
	/* Owned. More than one state: ticks if WHEN_TIME, then ids.
	 * WHEN_ARGS: a struct wanted. */
	void *many;
};

/* A new subscription of m, with seq, fn and arg filled in; NULL: no memory. The
 * caller sets its condition and then calls sub_wait(), which returns the
 * handle. Until then no other one may be made. */
struct sub *sub_new(struct am_machine *m, enum sub_kind kind, am_sub_fn fn,
    void *arg);
am_sub sub_wait(struct am_machine *m, struct sub *b, size_t chain);
/* Before sub_wait(): puts it into the chain of this state, if it waits for
 * args. */
void sub_wants_args(struct am_machine *m, am_id state);
/* Instead of sub_wait(). */
void sub_drop(struct am_machine *m, struct sub *b);

/* ---- conditions; cond.c has the rest ---- */

/* ticks: of WHEN_TIME */
static inline bool
cond_waits(const struct am_machine *m, enum sub_kind kind, am_id id,
    uint64_t tick)
{
	/* The last tick is never reached, not even by a hostile mirror. */
	if (kind == WHEN_TIME)
		return m->clock[id] < tick || tick == UINT64_MAX;
	return bits_test(m->active, id) == (kind == WHEN_NOT);
}

/* A state for which the condition does not hold, or -1. */
static inline int
cond_missing(const struct am_machine *m, enum sub_kind kind, const am_id *ids,
    const uint64_t *ticks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cond_waits(m, kind, ids[i], ticks ? ticks[i] : 0))
			return ids[i];
	return -1;
}

/* The chain in which it must wait; -1: the condition holds now. */
int sub_missing(const struct am_machine *m, const struct sub *b);

#endif
