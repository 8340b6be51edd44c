#include "lib/base/backoff.h"

#include "lib/base/random.h"

int64_t
backoff_next(struct backoff *b)
{
	int64_t wait_ms = b->next_ms;

	b->next_ms = wait_ms == 0 ? BACKOFF_MIN_MS : wait_ms * 2;
	if (b->next_ms > BACKOFF_MAX_MS)
		b->next_ms = BACKOFF_MAX_MS;
	if (wait_ms > 0)
		wait_ms -= (int64_t)(random_id() % (uint64_t)wait_ms) / 2;
	return wait_ms;
}

void
backoff_reset(struct backoff *b, int64_t first_ms)
{
	b->next_ms = first_ms;
}
