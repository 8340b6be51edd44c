/* Timers: a heap ordered by deadline. One libevent timer serves all of them. */
#include "lib/loop/loop_int.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/clock.h"

static void
put(struct timers *h, size_t i, struct am_timer *t)
{
	h->heap[i] = t;
	t->at = i + 1;
}

/* Moves t up from place i, which is free, to where it belongs. */
static void
rise(struct timers *h, size_t i, struct am_timer *t)
{
	while (i > 0) {
		size_t up = (i - 1) / 2;

		if (h->heap[up]->deadline_ns <= t->deadline_ns)
			break;
		put(h, i, h->heap[up]);
		i = up;
	}
	put(h, i, t);
}

static void
sink(struct timers *h, size_t i, struct am_timer *t)
{
	for (;;) {
		size_t down = 2 * i + 1;

		if (down + 1 < h->len &&
		    h->heap[down + 1]->deadline_ns < h->heap[down]->deadline_ns)
			down++;
		if (down >= h->len ||
		    h->heap[down]->deadline_ns >= t->deadline_ns)
			break;
		put(h, i, h->heap[down]);
		i = down;
	}
	put(h, i, t);
}

static void
settle(struct timers *h, size_t i, struct am_timer *t)
{
	if (i > 0 && h->heap[(i - 1) / 2]->deadline_ns > t->deadline_ns)
		rise(h, i, t);
	else
		sink(h, i, t);
}

static int
add(struct timers *h, struct am_timer *t)
{
	struct am_timer **grown;
	size_t cap;

	if (h->len == h->cap) {
		cap = h->cap > 0 ? 2 * h->cap : 16;
		grown = reallocarray(h->heap, cap, sizeof(struct am_timer *));
		if (grown == NULL)
			return -ENOMEM;
		h->heap = grown;
		h->cap = cap;
	}
	rise(h, h->len++, t);
	return 0;
}

void
am_timer_init(struct am_timer *t, struct am_loop *l, void (*fn)(void *arg),
    void *arg)
{
	*t = (struct am_timer){ .loop = l, .fn = fn, .arg = arg };
}

int
am_timer_start(struct am_timer *t, int64_t delay_ms)
{
	int64_t now_ns = clock_ns();
	int r;

	assert(t->loop != NULL);
	if (delay_ms < 0)
		delay_ms = 0;
	if (delay_ms > (INT64_MAX - now_ns) / NS_PER_MS)
		delay_ms = (INT64_MAX - now_ns) / NS_PER_MS;
	t->deadline_ns = now_ns + delay_ms * NS_PER_MS;
	if (t->at > 0) {
		settle(&t->loop->timers, t->at - 1, t);
		return 0;
	}
	r = add(&t->loop->timers, t);
	if (r < 0)
		t->deadline_ns = 0;
	return r;
}

void
am_timer_stop(struct am_timer *t)
{
	struct timers *h;
	struct am_timer *last;
	size_t i = t->at;

	t->deadline_ns = 0;
	if (i == 0)
		return;
	h = &t->loop->timers;
	t->at = 0;
	last = h->heap[--h->len];
	if (last != t)
		settle(h, i - 1, last);
}

void
am_timer_done(struct am_timer *t)
{
	am_timer_stop(t);
}

/* ---- for the loop ---- */

int64_t
timers_next_ns(const struct am_loop *l)
{
	return l->timers.len > 0 ? l->timers.heap[0]->deadline_ns : 0;
}

void
timers_run(struct am_loop *l)
{
	struct timers *h = &l->timers;
	int64_t now_ns;

	if (h->len == 0)
		return;
	now_ns = clock_ns();
	while (h->len > 0 && h->heap[0]->deadline_ns <= now_ns) {
		struct am_timer *t = h->heap[0];

		am_timer_stop(t);
		t->fn(t->arg);
	}
}

void
timers_done(struct am_loop *l)
{
	while (l->timers.len > 0)
		am_timer_stop(l->timers.heap[0]);
	free(l->timers.heap);
	l->timers.heap = NULL;
}
