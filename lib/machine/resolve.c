#include "lib/machine/mlog.h"

/* ---- the After sort: Go's sort.SliceStable, step by step, since its result
 * for an order that is none must be the reference's (semantics.md 7) ---- */

struct sorter {
	const struct am_schema *s;
	am_id *e;
};

static bool
less(const struct sorter *o, size_t a, size_t b)
{
	return bits_test(schema_rel(o->s, o->e[a], F_LESS), o->e[b]);
}

static void
insertion(struct sorter *o, size_t a, size_t b)
{
	for (size_t i = a + 1; i < b; i++) {
		for (size_t j = i; j > a && less(o, j, j - 1); j--) {
			am_id t = o->e[j];

			o->e[j] = o->e[j - 1];
			o->e[j - 1] = t;
		}
	}
}

static void
move(am_id *e, size_t from, size_t to)
{
	am_id t = e[from];

	if (from < to)
		memmove(e + from, e + from + 1, (to - from) * sizeof(*e));
	else
		memmove(e + to + 1, e + to, (from - to) * sizeof(*e));
	e[to] = t;
}

static void
reverse(am_id *e, size_t a, size_t b)
{
	while (a + 1 < b) {
		am_id t = e[a];

		e[a++] = e[--b];
		e[b] = t;
	}
}

static void
merge_first(struct sorter *o, size_t a, size_t m, size_t b)
{
	size_t lo = m, hi = b;

	while (lo < hi) {
		size_t h = (lo + hi) / 2;

		if (less(o, h, a))
			lo = h + 1;
		else
			hi = h;
	}
	move(o->e, a, lo - 1);
}

static void
merge_last(struct sorter *o, size_t a, size_t m)
{
	size_t lo = a, hi = m;

	while (lo < hi) {
		size_t h = (lo + hi) / 2;

		if (!less(o, m, h))
			lo = h + 1;
		else
			hi = h;
	}
	move(o->e, m, lo);
}

static void
sym_merge(struct sorter *o, size_t a, size_t m, size_t b)
{
	size_t mid = (a + b) / 2, n = mid + m;
	size_t start, r, end;

	if (m - a == 1) {
		merge_first(o, a, m, b);
		return;
	}
	if (b - m == 1) {
		merge_last(o, a, m);
		return;
	}
	start = m > mid ? n - b : a;
	r = m > mid ? mid : m;
	while (start < r) {
		size_t c = (start + r) / 2;

		if (!less(o, n - 1 - c, c))
			start = c + 1;
		else
			r = c;
	}
	end = n - start;
	if (start < m && m < end) {
		reverse(o->e, start, m);
		reverse(o->e, m, end);
		reverse(o->e, start, end);
	}
	if (a < start && start < mid)
		sym_merge(o, a, start, mid);
	if (mid < end && end < b)
		sym_merge(o, mid, end, b);
}

static void
sort_after(const struct am_schema *s, am_id *e, size_t n)
{
	struct sorter o = { s, e };
	size_t block = 20, a = 0;

	for (; a + block <= n; a += block)
		insertion(&o, a, a + block);
	insertion(&o, a, n);
	for (; block < n; block *= 2) {
		for (a = 0; a + 2 * block <= n; a += 2 * block)
			sym_merge(&o, a, a + block, a + 2 * block);
		if (a + block < n)
			sym_merge(&o, a, a + block, n);
	}
}

static bool
has_after_pair(const struct am_schema *s, const uint64_t *set)
{
	struct set candidates;

	for (size_t i = 0; i < s->nw; i++)
		candidates.w[i] = set[i] & s->has_after[i];
	for (SET_EACH(id, candidates.w, s->nw))
		if (bits_meet(schema_rel(s, id, F_AFTX), set, s->nw))
			return true;
	return false;
}

/* Unranked states first, as they stood, then the others by rank. */
static void
sort_topology(const struct am_schema *s, am_id *list, size_t n)
{
	struct set ranks;
	size_t k = 0;

	bits_zero(ranks.w, s->nw);
	for (size_t i = 0; i < n; i++) {
		if (s->rank[list[i]] == NO_RANK)
			list[k++] = list[i];
		else
			bits_set(ranks.w, s->rank[list[i]]);
	}
	for (SET_EACH(r, ranks.w, s->nw))
		list[k++] = s->byrank[r];
}

void
sort_states(const struct am_schema *s, am_id *list, size_t n,
    const uint64_t *set)
{
	if (n < 2)
		return;
	if (bits_meet(set, s->ranked, s->nw))
		sort_topology(s, list, n);
	if (bits_meet(set, s->has_after, s->nw) && has_after_pair(s, set))
		sort_after(s, list, n);
}

/* ---- resolution (semantics.md 6) ---- */

/* The states of set whose Add counts and is not in it yet. */
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

/* Appends the Add of those names of list, those which `set` has not yet and,
 * if survivors is given, none of them removes. Returns the length. */
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
			if (tx->ev.op == AM_REMOVE &&
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

/* Takes from set what misses a requirement, until nothing does. */
static bool
drop_unsatisfied(const struct tx *tx, size_t n, uint64_t *set)
{
	const struct am_schema *s = tx->m->schema;
	bool dropped = false, again = true;
	struct set check;

	if (tx->m->logger != NULL)
		return mlog_unsatisfied(tx, tx->target, n, set);
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

/* Judges from the end of the list: a blocked state blocks no more. Survivors
 * stay in set. False: nothing was blocked. */
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
		if (tx->m->logger != NULL)
			mlog_blocked(tx, list[i], list, n, set);
		bits_clear(set, list[i]);
		blocked = true;
	}
	return blocked;
}

/* The second level of Add: those names come in front, reversed. */
static size_t
expand_again(struct tx *tx, const uint64_t *expanders, size_t n)
{
	uint64_t *set = tx->target_set.w;
	struct set survivors;

	bits_copy(survivors.w, set, tx->m->schema->nw);
	reverse(tx->target, 0, n);
	n = expand_add(tx, expanders, tx->target, n, set, survivors.w);
	reverse(tx->target, 0, n);
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
	if (drop_unsatisfied(tx, n, set))
		n = keep_in(l, n, set);
	if (block(tx, l, n, set))
		n = keep_in(l, n, set);
	if (find_expanders(tx, set, expanders.w))
		n = expand_again(tx, expanders.w, n);
	if (drop_unsatisfied(tx, n, set))
		n = keep_in(l, n, set);
	sort_states(s, l, n, set);
	tx->n_target = n;
}
