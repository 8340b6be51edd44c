/* The mutations that are most of all: of one state, from outside, where nothing
 * else changes and nobody watches the machine as a whole. What they have in
 * common with the others is in fast.c, transition.c, sub.c; here is what they
 * do not need. */
#include "lib/machine/mach.h"

#include <assert.h>

/* May it lead to an auto transition? */
static bool
has_auto(const struct am_machine *m, am_id id)
{
	const struct am_schema *s = m->schema;

	for (size_t i = 0; i < s->nw; i++)
		if ((s->automatic[i] & ~m->active[i]) != 0)
			return true;
	return bits_test(s->automatic, id);
}

/* Neither a drain nor anybody who wants to know of each transition. */
static bool
is_quiet(const struct am_machine *m)
{
	return !(m->draining | m->mirror | m->dying | m->general |
		   m->self_or_pair | m->sub_always) &&
	    m->n_tracers == 0 && m->queue.len == 0;
}

/* On a frame of its own: a transition is large. */
static __attribute__((noinline)) am_result
run_with_handlers(struct am_machine *m, const struct am_mutation *mut,
    enum fast plan, unsigned heard)
{
	struct tx tx;
	bool ok;

	mach_drain_begin(m);
	ok = transition_one(m, mut, plan, heard, &tx);
	if (!ok)
		mach_set_why(m, tx.why);
	if (tx.ticked && m->subs != NULL && !m->dying) {
		subs_after(m, &tx);
		m->handler_ns = 0;
	}
	mach_drain_end(m);
	return ok ? AM_EXECUTED : AM_CANCELED;
}

static am_result
tell_subscriptions(struct am_machine *m, const struct am_mutation *mut,
    enum fast plan)
{
	mach_drain_begin(m);
	if (plan != FAST_EXIT)
		subs_args(m, mut->states[0], mut->args);
	subs_after_one(m, mut->states[0]);
	mach_drain_end(m);
	return AM_EXECUTED;
}

am_result
am_mutate(struct am_machine *m, const struct am_mutation *mut)
{
	enum fast plan;
	unsigned heard;
	am_id id;

	if (mut->n_states != 1 || mut->op > AM_REMOVE || !is_quiet(m))
		return mach_mutate(m, mut, FAST_UNKNOWN);
	id = mut->states[0];
	assert(id < m->schema->len);
	if (m->schema->n_auto > 0 && has_auto(m, id))
		return mach_mutate(m, mut, FAST_UNKNOWN);
	plan = fast_plan(m, mut->op, id);
	if (plan == FAST_NO)
		return mach_mutate(m, mut, plan);
	m->queue_tick++;
	heard = m->n_bindings > 0 ? fast_heard(m, plan, id) : 0;
	if (heard != 0)
		return run_with_handlers(m, mut, plan, heard);
	fast_apply(m, plan, id);
	if (m->watch != NULL && bits_test(m->watch, id) && plan != FAST_STAY &&
	    plan != FAST_NONE)
		return tell_subscriptions(m, mut, plan);
	if (m->why != NULL)
		mach_set_why(m, NULL);
	return AM_EXECUTED;
}
