/* The way around the resolver: most mutations call one state, and the states
 * that are active stay as they are. Each test below is a condition under which
 * semantics.md 6 and 7 give just that; MACHINE_FAST=0 leaves it out, and the
 * recorded cases run both ways. */
#include "lib/machine/mach.h"

#ifndef MACHINE_FAST
#define MACHINE_FAST 1
#endif

/* The list is in order of ranks then: each resolution sorts it, and only a
 * pair of After, which is excluded here, moves anything after that. What a
 * rollback leaves is not asked about: the pair may have gone. */
static bool
find_steady(const struct am_machine *m)
{
	const struct am_schema *s = m->schema;

	for (size_t i = 0; i < m->n_active; i++) {
		am_id id = m->order[i];
		bool adds = bits_test(s->multi, id);

		for (size_t w = 0; w < s->nw; w++) {
			uint64_t active = m->active[w];
			uint64_t needs = schema_rel(s, id, F_REQ)[w];
			uint64_t bars = schema_rel(s, id, F_CONF)[w] |
			    schema_rel(s, id, F_AFTX)[w];

			if (adds)
				needs |= schema_rel(s, id, F_ADD)[w];
			if ((needs & ~active) != 0 || (bars & active) != 0)
				return false;
		}
	}
	return true;
}

/* What is needed is active, nothing active is in the way. */
static bool
fits(const struct am_machine *m, am_id id)
{
	const struct am_schema *s = m->schema;
	const uint64_t *row = schema_rel(s, id, F_REQ);
	size_t nw = s->nw;
	uint64_t bad = 0;

	for (size_t w = 0; w < nw; w++) {
		uint64_t active = m->active[w];
		uint64_t self = id / 64 == w ? UINT64_C(1) << id % 64 : 0;

		bad |= (row[F_REQ * nw + w] | row[F_ADD * nw + w]) &
		    ~(active | self);
		bad |= (row[F_CONF * nw + w] | row[F_AFTX * nw + w]) & active;
	}
	return bad == 0;
}

/* Nothing active needs it or would add it again. */
static bool
is_free(const struct am_machine *m, am_id id)
{
	const struct am_schema *s = m->schema;
	const uint64_t *row = schema_rel(s, id, F_REQ);
	size_t nw = s->nw;
	uint64_t bad = 0;

	for (size_t w = 0; w < nw; w++)
		bad |= (row[F_REQBY * nw + w] | row[F_MADDBY * nw + w]) &
		    m->active[w];
	return bad == 0;
}

enum fast
fast_plan(struct am_machine *m, enum am_op op, am_id id)
{
	if (!MACHINE_FAST || m->general)
		return FAST_NO;
	if (m->steady == STEADY_UNKNOWN)
		m->steady = find_steady(m) ? STEADY_YES : STEADY_NO;
	if (m->steady == STEADY_NO)
		return FAST_NO;
	if (bits_test(m->active, id)) {
		if (op == AM_REMOVE)
			return is_free(m, id) ? FAST_EXIT : FAST_NO;
		return bits_test(m->schema->multi, id) ? FAST_REENTER
						       : FAST_STAY;
	}
	if (op == AM_REMOVE)
		return FAST_NONE;
	return fits(m, id) ? FAST_ENTER : FAST_NO;
}

unsigned
fast_heard(const struct am_machine *m, enum fast plan, am_id id)
{
	enum handler_set before = plan == FAST_EXIT ? H_EXIT : H_ENTER;
	enum handler_set after = plan == FAST_EXIT ? H_END : H_STATE;
	unsigned heard = m->any ? HEARD_ANY : 0;
	size_t nw = m->schema->nw;

	if (m->n_bindings == 0 || plan == FAST_STAY || plan == FAST_NONE)
		return heard;
	if (bits_test(m->bound + before * nw, id))
		heard |= HEARD_BEFORE;
	if (bits_test(m->bound + after * nw, id))
		heard |= HEARD_AFTER;
	return heard;
}

/* Moves the entries before `at` one on and puts id in front. */
static void
to_front(struct am_machine *m, size_t at, am_id id)
{
	for (; at > 0; at--)
		m->order[at] = m->order[at - 1];
	m->order[0] = id;
}

static size_t
position(const struct am_machine *m, am_id id)
{
	size_t i = 0;

	while (m->order[i] != id)
		i++;
	return i;
}

static void
insert(struct am_machine *m, am_id id)
{
	const uint16_t *rank = m->schema->rank;
	size_t at = m->n_active++;

	if (rank[id] == NO_RANK) {
		to_front(m, at, id);
		return;
	}
	for (; at > 0; at--) {
		am_id before = m->order[at - 1];

		if (rank[before] == NO_RANK || rank[before] < rank[id])
			break;
		m->order[at] = before;
	}
	m->order[at] = id;
}

void
fast_apply(struct am_machine *m, enum fast plan, am_id id)
{
	switch (plan) {
	case FAST_UNKNOWN:
	case FAST_NO:
	case FAST_NONE:
		break;
	case FAST_ENTER:
		m->clock[id]++;
		bits_set(m->active, id);
		insert(m, id);
		break;
	case FAST_REENTER:
		m->clock[id] += 2;
		__attribute__((fallthrough));
	case FAST_STAY:
		/* A called state comes first, and only ranks are sorted. */
		if (m->schema->rank[id] == NO_RANK)
			to_front(m, position(m, id), id);
		break;
	case FAST_EXIT:
		m->clock[id]++;
		bits_clear(m->active, id);
		m->n_active--;
		for (size_t i = position(m, id); i < m->n_active; i++)
			m->order[i] = m->order[i + 1];
		break;
	}
}
