/* cost.h - what one frame costs a server: the CPU time of each turn of its loop
 * while it takes the frame and answers. */
#ifndef TESTS_UNIT_COST_H
#define TESTS_UNIT_COST_H

#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/amnode.h"
#include "tests/unit/unit.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 30 };
#else
enum { SLOWER = 1 };
#endif

enum {
	LIMIT_US = 1000 * SLOWER,
	ROUNDS = 3,
	ROUNDS_MAX = 30,
};

static struct am_loop *cost_loop; /* of the server */
static int fd;                    /* of the client */
static uint32_t next_id = 1;

static inline int64_t
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* Reads and forgets what the server says; how much. */
static inline size_t
drain(void)
{
	static char sink[1 << 20];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

/* The dearest turn while the server takes these bytes and answers. */
static inline int64_t
take_us(const char *p, size_t len)
{
	int64_t worst = 0;

	for (int idle = 0; idle < 4;) {
		ssize_t n = len == 0 ? 0 : send(fd, p, len, MSG_DONTWAIT);
		int64_t t;

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
		t = cpu_us();
		(void)am_loop_step(cost_loop, 0);
		t = cpu_us() - t;
		worst = t > worst ? t : worst;
		idle = drain() > 0 || n > 0 ? 0 : idle + 1;
	}
	ck_assert_uint_eq(len, 0);
	return worst;
}

/* The best of some rounds, and of more while it is too dear: others use this
 * machine, too, and its caches. */
static inline void
costs_at_most(int64_t limit, const char *what, const struct am_buf *frame)
{
	int64_t best = INT64_MAX;

	ck_assert_int_eq(am_buf_error(frame), 0);
	for (int i = 0; i < ROUNDS || (best > limit && i < ROUNDS_MAX); i++) {
		int64_t us = take_us(frame->data, frame->len);

		best = us < best ? us : best;
	}
	printf("# %s: %d us\n", what, (int)best);
	ck_assert_msg(best <= limit, "%s: %d us", what, (int)best);
}

/* What is long may cost as much for each of its parts. */
static inline void
costs_little(const char *what, const struct am_buf *frame)
{
	costs_at_most(LIMIT_US * (1 + 2 * (int64_t)(frame->len >> 20)), what,
	    frame);
}

#endif
