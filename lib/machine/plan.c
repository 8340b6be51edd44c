/* The functions behind plan.h, and the execution of a plan. */
#include "lib/machine/mach.h"

/* The list is in order of ranks then: every resolution sorts it, and after that
 * only a pair of After, which is excluded here, moves anything. The list that a
 * rollback leaves is not considered, because the pair may have left it. */
static bool
is_steady(const struct am_machine *m)
{
	const struct am_schema *s = m->schema;

	for (size_t i = 0; i < m->n_active; i++) {
		am_id id = m->order[i];
		const uint64_t *needs = schema_rel(s, id,
		    bits_test(s->multi, id) ? F_NEED : F_REQ);

		if (!bits_within(needs, m->active, s->nw) ||
		    bits_meet(schema_rel(s, id, F_BAR), m->active, s->nw))
			return false;
	}
	return true;
}

bool
plan_find_steady(struct am_machine *m)
{
	if (m->steady == STEADY_UNKNOWN && !m->general)
		m->steady = is_steady(m) ? STEADY_YES : STEADY_NO;
	return m->steady == STEADY_YES;
}

/* Moves the entries before `at` by one and puts id first. */
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
plan_apply(struct am_machine *m, enum plan plan, am_id id)
{
	switch (plan) {
	case PLAN_UNKNOWN:
	case PLAN_GENERAL:
	case PLAN_NONE:
		break;
	case PLAN_ENTER:
		m->clock[id]++;
		bits_set(m->active, id);
		insert(m, id);
		break;
	case PLAN_REENTER:
		m->clock[id] += 2;
		__attribute__((fallthrough));
	case PLAN_STAY:
		/* A called state comes first, and only ranks are sorted. */
		if (m->schema->rank[id] == NO_RANK)
			to_front(m, position(m, id), id);
		break;
	case PLAN_EXIT:
		m->clock[id]++;
		bits_clear(m->active, id);
		m->n_active--;
		for (size_t i = position(m, id); i < m->n_active; i++)
			m->order[i] = m->order[i + 1];
		break;
	}
}
