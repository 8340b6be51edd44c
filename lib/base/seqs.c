#include "lib/base/seqs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEQS_FIRST_CAP = 4 };

void
seqs_done(struct seqs *s)
{
	free(s->range);
	*s = SEQS_INIT;
}

size_t
seqs_n_ranges(const struct seqs *s)
{
	return s->end - s->head;
}

/* The first range that ends at or after seq; s->end if there is none. */
static size_t
find(const struct seqs *s, uint64_t seq)
{
	size_t low = s->head, high = s->end;

	/* Usually it is the newest one. */
	if (low < high && s->range[high - 1].last < seq)
		return high;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->range[mid].last < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
seqs_has(const struct seqs *s, uint64_t seq)
{
	size_t i = find(s, seq);

	return i < s->end && s->range[i].first <= seq;
}

static int
reserve(struct seqs *s)
{
	size_t n = s->end - s->head;
	size_t cap = s->cap > 0 ? s->cap * 2 : SEQS_FIRST_CAP;
	struct seq_range *range;

	if (s->end < s->cap)
		return 0;
	/* Half of it is free at the front: moved seldom enough. */
	if (s->head > 0 && s->head >= n) {
		memmove(s->range, s->range + s->head, n * sizeof(*s->range));
		s->head = 0;
		s->end = n;
		return 0;
	}
	range = reallocarray(s->range, cap, sizeof(*range));
	if (range == NULL)
		return -ENOMEM;
	s->range = range;
	s->cap = cap;
	return 0;
}

/* Makes room for a range at i. Returns its position, which may differ;
 * -ENOMEM. */
static int
insert(struct seqs *s, size_t i, struct seq_range r)
{
	size_t at = i - s->head;

	if (reserve(s) < 0)
		return -ENOMEM;
	i = s->head + at;
	memmove(s->range + i + 1, s->range + i,
	    (s->end - i) * sizeof(*s->range));
	s->range[i] = r;
	s->end++;
	return 0;
}

static void
erase(struct seqs *s, size_t i)
{
	if (i == s->head) {
		s->head++;
	} else {
		memmove(s->range + i, s->range + i + 1,
		    (s->end - i - 1) * sizeof(*s->range));
		s->end--;
	}
	if (s->head == s->end)
		s->head = s->end = 0;
}

int
seqs_add(struct seqs *s, uint64_t seq)
{
	size_t i = find(s, seq);
	bool after = i > s->head && s->range[i - 1].last + 1 == seq;
	bool before = i < s->end && s->range[i].first == seq + 1;

	if (i < s->end && s->range[i].first <= seq)
		return false;
	if (after && before) {
		s->range[i - 1].last = s->range[i].last;
		erase(s, i);
	} else if (after) {
		s->range[i - 1].last = seq;
	} else if (before) {
		s->range[i].first = seq;
	} else if (insert(s, i, (struct seq_range){ seq, seq }) < 0) {
		return -ENOMEM;
	}
	return true;
}

int
seqs_remove(struct seqs *s, uint64_t seq)
{
	size_t i = find(s, seq);
	struct seq_range r;

	if (i == s->end || s->range[i].first > seq)
		return false;
	r = s->range[i];
	if (r.first == r.last) {
		erase(s, i);
	} else if (r.first == seq) {
		s->range[i].first++;
	} else if (r.last == seq) {
		s->range[i].last--;
	} else {
		size_t at = i - s->head;

		if (insert(s, i, (struct seq_range){ r.first, seq - 1 }) < 0)
			return -ENOMEM;
		s->range[s->head + at + 1].first = seq + 1;
	}
	return true;
}

void
seqs_fill_lower_half(struct seqs *s)
{
	size_t n = (s->end - s->head) / 2;

	if (n < 2)
		return;
	s->range[s->head + n - 1].first = s->range[s->head].first;
	s->head += n - 1;
}
