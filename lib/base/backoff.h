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

/* The wait before the next attempt: first as backoff_reset() said, or 0, then
 * BACKOFF_MIN_MS doubled up to BACKOFF_MAX_MS, each reduced by up to half at
 * random, so that clients of one server do not all come at once. */
int64_t backoff_next(struct backoff *b);
/* An attempt was successful: the waits start over. A connection is successful
 * when it has carried an answer, not when the hello was accepted: one that
 * closes right after that would do so again. */
void backoff_reset(struct backoff *b, int64_t first_ms);

#endif
