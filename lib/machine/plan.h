/* plan.h - the plan for the most common mutation: it calls one state, and the
 * states that are active stay as they are. Each test below is a condition under
 * which semantics.md 6 and 7 give exactly that. */
#ifndef LIB_MACHINE_PLAN_H
#define LIB_MACHINE_PLAN_H

#include "lib/machine/mach.h"

/* Whether everything that it needs is active, and nothing active prevents
 * it. */
static inline bool
plan_fits(const struct am_machine *m, am_id id)
{
	size_t nw = m->schema->nw;
	const uint64_t *need = schema_rel(m->schema, id, F_NEED);
	const uint64_t *bar = need + (F_BAR - F_NEED) * nw;
	uint64_t bad = 0;

	for (size_t w = 0; w < nw; w++)
		bad |= (need[w] & ~m->active[w]) | (bar[w] & m->active[w]);
	return bad == 0;
}

/* Whether nothing active needs it, or would add it again. */
static inline bool
plan_is_free(const struct am_machine *m, am_id id)
{
	return !bits_meet(schema_rel(m->schema, id, F_HELD), m->active,
	    m->schema->nw);
}

/* PLAN_GENERAL if more may change. op: AM_ADD or AM_REMOVE. */
static inline enum plan
plan_one(struct am_machine *m, enum am_op op, am_id id)
{
	if (m->steady != STEADY_YES && !plan_find_steady(m))
		return PLAN_GENERAL;
	if (!bits_test(m->active, id)) {
		if (op == AM_REMOVE)
			return PLAN_NONE;
		return plan_fits(m, id) ? PLAN_ENTER : PLAN_GENERAL;
	}
	if (op == AM_REMOVE)
		return plan_is_free(m, id) ? PLAN_EXIT : PLAN_GENERAL;
	return bits_test(m->schema->multi, id) ? PLAN_REENTER : PLAN_STAY;
}

#endif
