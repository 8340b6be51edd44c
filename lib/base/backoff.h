/* backoff.h - how long to wait before something that failed is tried again. */
#ifndef LIB_BASE_BACKOFF_H
#define LIB_BASE_BACKOFF_H

#include <stdint.h>

enum {
	BACKOFF_MIN_MS = 10,
	BACKOFF_MAX_MS = 1000,
};

/* Zeroed, the first attempt is made at once. */
struct backoff {
	int64_t next_ms;
};

/* The wait before the next attempt: as backoff_reset() says, or 0, the first
 * time, then BACKOFF_MIN_MS doubled up to BACKOFF_MAX_MS, each shortened by up
 * to half at random, so that not all who wait for the same come at once. */
int64_t backoff_next(struct backoff *b);
/* The attempt was worth it: the waits begin anew. Of a connection: when it has
 * carried an answer. That the hello succeeded says nothing; what closes right
 * after it would do so again. */
void backoff_reset(struct backoff *b, int64_t first_ms);

#endif
