/* starts.h - when the next worker may be started.
 *
 * Two kinds of failure are told apart. Starts that end before the worker was
 * ready fail the *round* (all starts made at one time): the next round comes at
 * once after the first failure, then after growing pauses; five in a row break
 * the pool until a worker gets ready. A worker that was ready and died young
 * gives its place's count of deaths to its replacement: the first is replaced
 * at once, further ones after growing pauses. */
#ifndef DAEMON_STARTS_H
#define DAEMON_STARTS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	STARTS_ROUNDS_MAX = 5, /* failed ones until ErrPool */
	STARTS_MS = 100,       /* the first pause, doubled each time */
	STARTS_MAX_MS = 5000,
	STARTS_HEALTHY_MS = 2000, /* ready this long, a worker died old */
	STARTS_RETRIES_MAX = 1000,
};

/* A place to fill, not before. */
struct start_retry {
	unsigned deaths_in_a_row;
	int64_t not_before_ns;
};

struct starts {
	unsigned round;
	unsigned failed_rounds;
	int64_t hold_until_ns;     /* no start before */
	bool broken;               /* ErrPool is active */
	char reason[256];          /* of the last failure; empty: none */
	struct start_retry *retry; /* owned */
	unsigned n_retry;
	unsigned cap_retry;
};

void starts_init(struct starts *b);
void starts_done(struct starts *b);

/* Pause before the n-th try in a row: 0 for the first, then doubled, capped,
 * with up to a fifth of jitter (random: 0 to 255). */
int64_t starts_pause_ms(unsigned n, uint8_t random);

/* A worker got ready: the next failure is the first again. */
void starts_reset(struct starts *b);
/* A start of this round failed: its pause, or -1 if the round failed already. */
int64_t starts_fail(struct starts *b, unsigned round, int64_t now_ns);
/* A worker died that had been ready: the pause before it is replaced. */
int64_t starts_death(struct starts *b, unsigned deaths_in_a_row,
    int64_t now_ns);
/* May one of so many missing workers be started now? Whose place it takes is in
 * *ret_deaths_in_a_row. */
bool starts_take(struct starts *b, unsigned missing, int64_t now_ns,
    unsigned *ret_deaths_in_a_row);
/* When the next one may be started; 0: now. */
int64_t starts_next_ns(const struct starts *b, unsigned missing,
    int64_t now_ns);

#endif
