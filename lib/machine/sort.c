/* The order of states: semantics.md 7. */
#include "lib/machine/mlog.h"

/* ---- the After sort: Go's sort.SliceStable, step by step, since After is no order,
 * and the result must be that of the reference ---- */

struct sorter {
	const struct am_schema *s;
	am_id *e;
	const struct tx *told; /* whose steps record the comparisons, or NULL */
};

static bool
less(const struct sorter *o, size_t a, size_t b)
{
	if (o->told != NULL)
		mlog_step_compared(o->told, o->e[a], o->e[b]);
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
sort_after(const struct am_schema *s, am_id *e, size_t n, const struct tx *told)
{
	struct sorter o = { s, e, told };
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

/* States without a rank first, in their present order, then the others by
 * rank. */
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
    const uint64_t *set, const struct tx *told)
{
	if (n < 2)
		return;
	if (bits_meet(set, s->ranked, s->nw))
		sort_topology(s, list, n);
	if (bits_meet(set, s->has_after, s->nw) && has_after_pair(s, set))
		sort_after(s, list, n, told);
}

void
list_reverse(am_id *list, size_t n)
{
	reverse(list, 0, n);
}
