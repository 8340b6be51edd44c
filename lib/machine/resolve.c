/* The general plan: semantics.md 6. */
#include "lib/machine/mach.h"

/* The states of set whose Add applies and is not in set yet. */
static bool
find_expanders(const struct tx *tx, const uint64_t *set, uint64_t *ret)
{
	const struct am_machine *m = tx->m;
	const struct am_schema *s = m->schema;
	uint64_t any = 0;

	for (size_t i = 0; i < s->nw; i++) {
		ret[i] = set[i] & s->has_add[i] & (~m->active[i] | s->multi[i]);
		any |= ret[i];
	}
	if (any == 0)
		return false;
	for (SET_EACH(id, ret, s->nw))
		if (bits_within(schema_rel(s, id, F_ADD), set, s->nw))
			bits_clear(ret, id);
	return bits_any(ret, s->nw);
}

/* Appends what the states of list add, except states that are in `set` and, if
 * survivors is given, states that a survivor removes. Returns the length. */
static size_t
expand_add(const struct tx *tx, const uint64_t *expanders, am_id *list,
    size_t n, uint64_t *set, const uint64_t *survivors)
{
	const struct am_schema *s = tx->m->schema;
	size_t len = n;

	for (size_t i = 0; i < n; i++) {
		const struct am_list *add = &s->add[list[i]];

		if (!bits_test(expanders, list[i]))
			continue;
		for (size_t k = 0; k < add->len; k++) {
			am_id a = add->id[k];

			if (bits_test(set, a))
				continue;
			if (tx->rq.op == AM_REMOVE &&
			    bits_test(tx->called.w, a))
				continue;
			if (survivors != NULL &&
			    bits_meet(schema_rel(s, a, F_REMBY), survivors,
				s->nw))
				continue;
			bits_set(set, a);
			list[len++] = a;
		}
	}
	return len;
}

/* Removes from set the states that lack a requirement, until none does. */
static bool
drop_unsatisfied(const struct tx *tx, uint64_t *set)
{
	const struct am_schema *s = tx->m->schema;
	bool dropped = false, again = true;
	struct set check;

	while (again) {
		again = false;
		for (size_t i = 0; i < s->nw; i++)
			check.w[i] = set[i] & s->has_req[i];
		for (SET_EACH(id, check.w, s->nw)) {
			if (bits_within(schema_rel(s, id, F_REQ), set, s->nw))
				continue;
			bits_clear(set, id);
			again = dropped = true;
		}
	}
	return dropped;
}

static size_t
keep_in(am_id *list, size_t n, const uint64_t *set)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (bits_test(set, list[i]))
			list[k++] = list[i];
	return k;
}

/* Decides from the end of the list, so that a blocked state blocks no others.
 * Survivors stay in set. False: nothing was blocked. */
static bool
block(const struct tx *tx, const am_id *list, size_t n, uint64_t *set)
{
	const struct am_schema *s = tx->m->schema;
	bool blocked = false;

	if (!bits_meet(set, s->removable, s->nw))
		return false;
	for (size_t i = n; i-- > 0;) {
		if (!bits_test(s->removable, list[i]) ||
		    !bits_meet(schema_rel(s, list[i], F_REMBY), set, s->nw))
			continue;
		bits_clear(set, list[i]);
		blocked = true;
	}
	return blocked;
}

/* The second level of Add: its states come first, reversed. */
static size_t
expand_again(struct tx *tx, const uint64_t *expanders, size_t n)
{
	uint64_t *set = tx->target_set.w;
	struct set survivors;

	bits_copy(survivors.w, set, tx->m->schema->nw);
	list_reverse(tx->target, n);
	n = expand_add(tx, expanders, tx->target, n, set, survivors.w);
	list_reverse(tx->target, n);
	return n;
}

void
resolve(struct tx *tx, size_t n)
{
	const struct am_schema *s = tx->m->schema;
	am_id *l = tx->target;
	uint64_t *set = tx->target_set.w;
	struct set expanders;

	bits_zero(set, s->nw);
	for (size_t i = 0; i < n; i++)
		bits_set(set, l[i]);
	if (find_expanders(tx, set, expanders.w))
		n = expand_add(tx, expanders.w, l, n, set, NULL);
	if (drop_unsatisfied(tx, set))
		n = keep_in(l, n, set);
	if (block(tx, l, n, set))
		n = keep_in(l, n, set);
	if (find_expanders(tx, set, expanders.w))
		n = expand_again(tx, expanders.w, n);
	if (drop_unsatisfied(tx, set))
		n = keep_in(l, n, set);
	sort_states(s, l, n, set, NULL);
	tx->n_target = n;
}
