#include "daemon/starts.h"

#include <stdlib.h>
#include <sys/random.h>

#include "lib/base/clock.h"

void
starts_init(struct starts *b)
{
	*b = (struct starts){ .round = 1 };
}

void
starts_done(struct starts *b)
{
	free(b->retry);
	b->retry = NULL;
	b->n_retry = b->cap_retry = 0;
}

int64_t
starts_pause_ms(unsigned n, uint8_t random)
{
	int64_t ms = STARTS_MS;

	if (n <= 1)
		return 0;
	for (; n > 2 && ms < STARTS_MAX_MS; n--)
		ms *= 2;
	if (ms > STARTS_MAX_MS)
		ms = STARTS_MAX_MS;
	/* A fifth of jitter, downwards: many pools shall not beat in step. */
	return ms - ms * random / (5 * 256);
}

static int64_t
pause_ms(unsigned n)
{
	uint8_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0; /* no jitter then */
	return starts_pause_ms(n, random);
}

static void
retry_drop(struct starts *b, unsigned i)
{
	b->n_retry--;
	b->retry[i] = b->retry[b->n_retry];
}

/* The retry that is due first; NULL: there is none. */
static const struct start_retry *
retry_first(const struct starts *b)
{
	const struct start_retry *best = NULL;

	for (unsigned i = 0; i < b->n_retry; i++)
		if (best == NULL ||
		    b->retry[i].not_before_ns < best->not_before_ns)
			best = &b->retry[i];
	return best;
}

static void
retry_add(struct starts *b, unsigned deaths_in_a_row, int64_t not_before_ns)
{
	struct start_retry *grown;

	if (b->n_retry == b->cap_retry) {
		if (b->cap_retry >= STARTS_RETRIES_MAX)
			return;
		grown = realloc(b->retry, (b->cap_retry + 16) * sizeof(*grown));
		if (grown == NULL)
			return; /* then it is a fresh start */
		b->retry = grown;
		b->cap_retry += 16;
	}
	b->retry[b->n_retry++] = (struct start_retry){ deaths_in_a_row,
		not_before_ns };
}

void
starts_reset(struct starts *b)
{
	b->failed_rounds = 0;
	b->hold_until_ns = 0;
	b->round++;
}

int64_t
starts_fail(struct starts *b, unsigned round, int64_t now_ns)
{
	int64_t ms;

	if (round != b->round)
		return -1;
	b->round++;
	b->failed_rounds++;
	ms = pause_ms(b->failed_rounds);
	b->hold_until_ns = now_ns + ms * NS_PER_MS;
	return ms;
}

int64_t
starts_death(struct starts *b, unsigned deaths_in_a_row, int64_t now_ns)
{
	int64_t ms = pause_ms(deaths_in_a_row);

	retry_add(b, deaths_in_a_row, now_ns + ms * NS_PER_MS);
	return ms;
}

bool
starts_take(struct starts *b, unsigned missing, int64_t now_ns,
    unsigned *ret_deaths_in_a_row)
{
	const struct start_retry *first;

	*ret_deaths_in_a_row = 0;
	/* Places that nobody wants filled any more. */
	if (b->n_retry > missing)
		b->n_retry = missing;
	if (missing == 0 || now_ns < b->hold_until_ns)
		return false;
	first = retry_first(b);
	if (first != NULL && first->not_before_ns <= now_ns) {
		*ret_deaths_in_a_row = first->deaths_in_a_row;
		retry_drop(b, (unsigned)(first - b->retry));
		return true;
	}
	return b->n_retry < missing;
}

int64_t
starts_next_ns(const struct starts *b, unsigned missing, int64_t now_ns)
{
	const struct start_retry *first = retry_first(b);

	if (b->hold_until_ns > now_ns)
		return b->hold_until_ns;
	return first != NULL && b->n_retry >= missing ? first->not_before_ns
						      : 0;
}
