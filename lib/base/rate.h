/* rate.h - a rate limit for log lines that a peer can cause: so many a minute,
 * and the others are counted. */
#ifndef LIB_BASE_RATE_H
#define LIB_BASE_RATE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/clock.h"

enum {
	RATE_MAX = 10, /* a minute */
	RATE_TEXT_MAX = 48,
};

struct rate {
	int64_t since_ns; /* 0: nothing has come yet */
	unsigned n;
	uint64_t n_lost; /* since the last one that was let through */
};

/* Whether this one passes. *ret_lost is how many before it did not. */
static inline bool
rate_take(struct rate *r, int64_t now_ns, uint64_t *ret_lost)
{
	if (r->since_ns == 0 || now_ns - r->since_ns >= 60 * NS_PER_S) {
		r->since_ns = now_ns;
		r->n = 0;
	}
	if (r->n >= RATE_MAX) {
		r->n_lost++;
		return false;
	}
	r->n++;
	*ret_lost = r->n_lost;
	r->n_lost = 0;
	return true;
}

/* Whether a line may be written now. If so, text is what to append to it about
 * the lines that were left out, perhaps nothing. */
static inline bool
rate_line(struct rate *r, char text[RATE_TEXT_MAX])
{
	uint64_t n_lost = 0;

	text[0] = '\0';
	if (!rate_take(r, clock_ns(), &n_lost))
		return false;
	if (n_lost > 0)
		(void)snprintf(text, RATE_TEXT_MAX,
		    " (and %" PRIu64 " more before)", n_lost);
	return true;
}

#endif
