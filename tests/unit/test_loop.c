#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/loop/loop.h"
#include "tests/unit/unit.h"

enum { LARGE = 16 * 1024 * 1024 };

/* What happened, in order, as letters. */
static char seen[64];
static struct am_loop *l;

static void
note(void *arg)
{
	strcat(seen, arg);
}

static void
setup(void)
{
	seen[0] = '\0';
	l = am_loop_new();
	ck_assert_ptr_nonnull(l);
}

static void
teardown(void)
{
	l = am_loop_free(l);
}

static struct turn_item a = { .fn = note, .arg = (char[]){ "a" } };
static struct turn_item b = { .fn = note, .arg = (char[]){ "b" } };

static void
requeue(void *arg)
{
	strcat(seen, "r");
	loop_at_next(l, arg);
}

START_TEST(flush_comes_before_reap_and_next_after_a_turn)
{
	setup();
	loop_at_reap(l, &b);
	loop_at_flush(l, &a);
	loop_at_flush(l, &a);
	ck_assert_int_eq(am_loop_step(l, 0), 0);
	ck_assert_str_eq(seen, "ab");
	loop_at_next(l, &a);
	/* It does not wait although nothing else is there to do. */
	ck_assert_int_eq(am_loop_step(l, -1), 0);
	ck_assert_str_eq(seen, "aba");
	teardown();
}
END_TEST

START_TEST(a_step_that_begins_with_an_end_does_not_wait)
{
	setup();
	/* As of a connection whose write failed before the step. */
	loop_at_reap(l, &b);
	ck_assert_int_eq(am_loop_step(l, -1), 0);
	ck_assert_str_eq(seen, "b");
	teardown();
}
END_TEST

START_TEST(an_item_is_in_the_last_list_only)
{
	setup();
	loop_at_flush(l, &a);
	loop_at_reap(l, &a);
	loop_at_next(l, &b);
	loop_forget(l, &b);
	loop_forget(l, &b);
	(void)am_loop_step(l, 0);
	ck_assert_str_eq(seen, "a");
	ck_assert_ptr_null(a.in);
	teardown();
}
END_TEST

START_TEST(what_next_queues_waits_for_another_turn)
{
	struct turn_item r = { .fn = requeue, .arg = &r };

	setup();
	loop_at_next(l, &r);
	(void)am_loop_step(l, -1);
	ck_assert_str_eq(seen, "r");
	(void)am_loop_step(l, -1);
	ck_assert_str_eq(seen, "rr");
	loop_forget(l, &r);
	teardown();
}
END_TEST

START_TEST(a_timer_fires_once_and_never_early)
{
	struct am_timer t;
	int64_t start_ns = clock_ns();

	setup();
	am_timer_init(&t, l, note, a.arg);
	ck_assert_int_eq(am_timer_start(&t, 20), 0);
	ck_assert_int_gt(t.deadline_ns, start_ns);
	while (seen[0] == '\0')
		(void)am_loop_step(l, 1000);
	ck_assert_int_ge(clock_ns() - start_ns, 20 * NS_PER_MS);
	ck_assert_int_lt(clock_ns() - start_ns, 900 * NS_PER_MS);
	ck_assert_int_eq(t.deadline_ns, 0);
	(void)am_loop_step(l, 20);
	ck_assert_str_eq(seen, "a");
	am_timer_done(&t);
	teardown();
}
END_TEST

START_TEST(a_timer_moves_and_stops)
{
	struct am_timer t;
	struct am_timer never = { 0 };

	setup();
	am_timer_init(&t, l, note, a.arg);
	(void)am_timer_start(&t, 1);
	(void)am_timer_start(&t, 100000);
	(void)am_loop_step(l, 30);
	ck_assert_str_eq(seen, "");
	(void)am_timer_start(&t, 0);
	am_timer_stop(&t);
	(void)am_loop_step(l, 5);
	ck_assert_str_eq(seen, "");
	(void)am_timer_start(&t, 0);
	(void)am_loop_step(l, 1000);
	ck_assert_str_eq(seen, "a");
	(void)am_timer_start(&t, INT64_MAX);
	am_timer_done(&t);
	am_timer_done(&t);
	am_timer_done(&never);
	teardown();
}
END_TEST

START_TEST(a_step_waits_no_longer_than_told)
{
	int64_t start_ns = clock_ns();

	setup();
	ck_assert_int_eq(am_loop_step(l, 30), 0);
	ck_assert_int_ge(clock_ns() - start_ns, 20 * NS_PER_MS);
	ck_assert_int_lt(clock_ns() - start_ns, 900 * NS_PER_MS);
	teardown();
}
END_TEST

static void
stop(void *arg)
{
	(void)arg;
	am_loop_stop(l);
}

static void *
post_thrice(void *arg)
{
	static char name[3][2] = { "x", "y", "z" };

	(void)arg;
	for (size_t i = 0; i < 3; i++)
		(void)am_loop_post(l, note, name[i]);
	(void)am_loop_post(l, stop, NULL);
	return NULL;
}

START_TEST(posts_of_a_thread_run_here_in_order)
{
	static char x[] = "x", y[] = "y";
	pthread_t thread;

	setup();
	ck_assert_int_eq(am_loop_post(l, note, x), 0);
	ck_assert_int_eq(am_loop_post(l, note, y), 0);
	ck_assert_str_eq(seen, "");
	ck_assert_int_eq(pthread_create(&thread, NULL, post_thrice, NULL), 0);
	ck_assert_int_eq(am_loop_run(l), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_str_eq(seen, "xyxyz");
	teardown();
}
END_TEST

static size_t
resident(const void *p, size_t len)
{
	static unsigned char in[LARGE / 4096 + 1];
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t lo = ((uintptr_t)p + page - 1) & ~(page - 1);
	size_t n = (len - page) / page, sum = 0;

	ck_assert_int_eq(mincore((void *)lo, n * page, in), 0);
	for (size_t i = 0; i < n; i++)
		sum += in[i] & 1;
	return sum;
}

START_TEST(large_memory_is_freed_piece_by_piece)
{
	char *p = malloc(LARGE), *q = malloc(LARGE);
	size_t before, now;

	setup();
	memset(p, 1, LARGE);
	memset(q, 1, LARGE);
	before = resident(p, LARGE);
	loop_free(l, p, LARGE);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(am_loop_step(l, 1000), 0);
		now = resident(p, LARGE);
		ck_assert_uint_le(before - now, 2 * LARGE / 16 / 4096);
		ck_assert_uint_lt(now, before);
		before = now;
	}
	loop_free(l, q, LARGE);
	loop_free(l, NULL, 0);
	loop_free(l, malloc(10), 10);
	for (int i = 0; i < 40; i++)
		(void)am_loop_step(l, 0);
	loop_free(l, malloc(LARGE), LARGE);
	/* What is not done is freed with the loop. */
	l = am_loop_free(l);
}
END_TEST

UNIT_MAIN("loop", flush_comes_before_reap_and_next_after_a_turn,
    a_step_that_begins_with_an_end_does_not_wait,
    an_item_is_in_the_last_list_only, what_next_queues_waits_for_another_turn,
    a_timer_fires_once_and_never_early, a_timer_moves_and_stops,
    a_step_waits_no_longer_than_told, posts_of_a_thread_run_here_in_order,
    large_memory_is_freed_piece_by_piece)
