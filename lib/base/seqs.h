/* seqs.h - a set of mostly consecutive numbers, kept as ranges: payloads that
 * were handled, or are not acked yet. */
#ifndef LIB_BASE_SEQS_H
#define LIB_BASE_SEQS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seq_range {
	uint64_t first;
	uint64_t last;
};

struct seqs {
	struct seq_range *range; /* owned; ascending, with gaps in between */
	size_t head;             /* the first one in use */
	size_t end;              /* after the last one in use */
	size_t cap;
};
#define SEQS_INIT ((struct seqs){ .range = NULL })

void seqs_done(struct seqs *s); /* empty afterwards, and usable */
bool seqs_has(const struct seqs *s, uint64_t seq);
size_t seqs_n_ranges(const struct seqs *s);
/* Returns 1, or 0 if seq was in the set; -ENOMEM. */
int seqs_add(struct seqs *s, uint64_t seq);
/* Returns 1, or 0 if seq was not in the set; -ENOMEM: it still is. */
int seqs_remove(struct seqs *s, uint64_t seq);
/* Joins the lower half of the ranges to one, including the gaps between
 * them. */
void seqs_fill_lower_half(struct seqs *s);

#endif
