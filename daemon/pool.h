/* pool.h - how many workers there are, and when the next one is started.
 *
 * Two kinds of failure are told apart. Starts that end before the worker was
 * ready fail the *round* (all starts made at one time): the next round comes at
 * once after the first failure, then after growing pauses; five in a row break
 * the pool until a worker gets ready. A worker that was ready and died young
 * gives its place's count of deaths to its replacement: the first is replaced
 * at once, further ones after growing pauses. */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/worker.h"

enum {
	POOL_ROUNDS_MAX = 5,   /* failed ones until ErrPool */
	POOL_BACKOFF_MS = 100, /* the first pause, doubled each time */
	POOL_BACKOFF_MAX_MS = 5000,
	POOL_HEALTHY_MS = 2000, /* a worker that was ready this long died old */
	POOL_RETRIES_MAX = 1000,
};

/* A place to fill, not before. */
struct pool_retry {
	unsigned fails;
	int64_t not_before_ns;
};

struct pool {
	struct worker_list workers;
	unsigned n_workers; /* rows */
	uint32_t last_number;
	unsigned round;
	unsigned failed_rounds;
	int64_t hold_until_ns;    /* no start before */
	bool broken;              /* ErrPool was added and not yet removed */
	char reason[256];         /* of the last failure; empty: none */
	struct pool_retry *retry; /* owned */
	unsigned n_retry;
	unsigned cap_retry;
	struct am_timer
	    timer; /* the next start, surplus or end of an unfitness */
};

void pool_init(struct super *s);
void pool_done(struct super *s);

/* min(Max, max(Min, leased+waiting) + Warm): who waits gets a worker started. */
unsigned pool_wanted(const struct super *s);
unsigned pool_ready(const struct super *s);
unsigned pool_leased(const struct super *s);
unsigned pool_free(const struct super *s); /* lendable now */
unsigned pool_starting(const struct super *s);
struct worker *pool_first_free(const struct super *s);

/* After each change of numbers: states of the pool as they should be. */
void pool_check(struct super *s);
/* Starts what is missing and may be started now. */
void pool_normalize(struct super *s);
/* WorkersAvailable on or off as it should be. */
void pool_available(struct super *s);
/* Sets the timer to the next thing that is due. */
void pool_schedule(struct super *s);
void pool_on_timer(struct super *s);

void pool_worker_ready(struct super *s, struct worker *w);
/* It ended before it was ready (w->fault says why): the round failed. Adds
 * ErrPool when it is the fifth. Not from inside a drain. */
void pool_start_failed(struct super *s, struct worker *w);
/* It was ready and died unasked, or was killed for errors. */
void pool_worker_died(struct super *s, struct worker *w, int64_t now_ns);

/* Pause before the n-th try in a row: 0 for the first, then doubled, capped,
 * with up to a fifth of jitter (random: 0 to 255). */
int64_t pool_backoff_ms(unsigned n, uint8_t random);

#endif
