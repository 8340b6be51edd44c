#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
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
posted(void *arg, int r)
{
	strcat(seen, arg);
	if (r == -ECANCELED)
		strcat(seen, "!");
}

static void
stop(void *arg, int r)
{
	(void)arg;
	(void)r;
	am_loop_stop(l);
}

static void *
post_thrice(void *arg)
{
	static char name[3][2] = { "x", "y", "z" };

	(void)arg;
	for (size_t i = 0; i < 3; i++)
		(void)am_loop_post(l, posted, name[i]);
	(void)am_loop_post(l, stop, NULL);
	return NULL;
}

START_TEST(posts_of_a_thread_run_here_in_order)
{
	static char x[] = "x", y[] = "y";
	pthread_t thread;

	setup();
	ck_assert_int_eq(am_loop_post(l, posted, x), 0);
	ck_assert_int_eq(am_loop_post(l, posted, y), 0);
	ck_assert_str_eq(seen, "");
	ck_assert_int_eq(pthread_create(&thread, NULL, post_thrice, NULL), 0);
	ck_assert_int_eq(am_loop_run(l), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_str_eq(seen, "xyxyz");
	teardown();
}
END_TEST

static void
post_again(void *arg, int r)
{
	ck_assert_int_eq(r, -ECANCELED);
	ck_assert_int_eq(am_loop_post(l, posted, arg), -ECANCELED);
	strcat(seen, "-");
}

START_TEST(posts_that_cannot_run_any_more_are_told)
{
	static char x[] = "x", y[] = "y";

	setup();
	ck_assert_int_eq(am_loop_post(l, posted, x), 0);
	ck_assert_int_eq(am_loop_post(l, post_again, y), 0);
	ck_assert_int_eq(am_loop_post(l, posted, y), 0);
	teardown();
	ck_assert_str_eq(seen, "x!-y!");
}
END_TEST

START_TEST(timers_come_in_order_of_their_deadlines)
{
	enum { N = 200 };
	static struct am_timer t[N];
	static char name[N][2];
	int64_t last = 0;

	setup();
	for (int i = 0; i < N; i++) {
		name[i][0] = i % 5 == 0 ? 'x' : '\0';
		am_timer_init(&t[i], l, note, name[i]);
		(void)am_timer_start(&t[i], i * 7919 % N);
	}
	for (int i = 0; i < N; i += 3)
		(void)am_timer_start(&t[i], N + i * 31 % N);
	for (int i = 1; i < N; i += 3)
		am_timer_stop(&t[i]);
	while (am_loop_timeout_ms(l) >= 0) {
		int64_t next = INT64_MAX;

		for (int i = 0; i < N; i++)
			if (t[i].deadline_ns != 0 && t[i].deadline_ns < next)
				next = t[i].deadline_ns;
		ck_assert_int_ge(next, last);
		last = next;
		(void)am_loop_step(l, -1);
		for (int i = 0; i < N; i++)
			ck_assert(
			    t[i].deadline_ns == 0 || t[i].deadline_ns >= last);
	}
	/* 40 of 200, less those of 1, 4, 7, ... */
	ck_assert_uint_eq(strlen(seen), 27);
	teardown();
}
END_TEST

START_TEST(a_timer_may_be_done_after_its_loop)
{
	struct am_timer t;

	setup();
	am_timer_init(&t, l, note, a.arg);
	(void)am_timer_start(&t, 1000);
	teardown();
	am_timer_done(&t);
}
END_TEST

/* ---- descriptors ---- */

struct watched {
	struct am_io io;
	int fd[2];
	unsigned events;
	unsigned n;
	bool ends;
};

static void
on_io(void *arg, unsigned events)
{
	struct watched *w = arg;
	char c;

	w->events |= events;
	w->n++;
	if (events & AM_IO_READ)
		(void)!read(w->fd[0], &c, 1);
	if (w->ends)
		am_io_done(&w->io);
}

START_TEST(a_descriptor_is_watched_until_it_is_not)
{
	struct watched w = { .n = 0 };

	setup();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     w.fd),
	    0);
	am_io_init(&w.io, l, w.fd[0], on_io, &w);
	(void)am_loop_step(l, 0);
	ck_assert_uint_eq(w.n, 0);
	ck_assert_int_eq(am_io_watch(&w.io, AM_IO_READ), 0);
	(void)am_loop_step(l, 0);
	ck_assert_uint_eq(w.n, 0);
	ck_assert_int_eq(write(w.fd[1], "ab", 2), 2);
	(void)am_loop_step(l, 1000);
	(void)am_loop_step(l, 1000);
	ck_assert_uint_eq(w.n, 2);
	ck_assert_uint_eq(w.events, AM_IO_READ);
	ck_assert_int_eq(am_io_watch(&w.io, AM_IO_READ | AM_IO_WRITE), 0);
	(void)am_loop_step(l, 1000);
	ck_assert_uint_eq(w.events, AM_IO_READ | AM_IO_WRITE);
	ck_assert_int_eq(am_io_watch(&w.io, 0), 0);
	(void)close(w.fd[1]);
	(void)am_loop_step(l, 0);
	ck_assert_uint_eq(w.n, 3);
	/* The end of the other side, and its own end within the callback. */
	w.ends = true;
	ck_assert_int_eq(am_io_watch(&w.io, AM_IO_READ), 0);
	(void)am_loop_step(l, 1000);
	(void)am_loop_step(l, 0);
	ck_assert_uint_eq(w.n, 4);
	(void)close(w.fd[0]);
	teardown();
}
END_TEST

START_TEST(what_cannot_be_watched_says_why)
{
	struct am_io io;
	struct am_io never = { 0 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	setup();
	am_io_init(&io, l, fd, NULL, NULL);
	ck_assert_int_eq(am_io_watch(&io, AM_IO_READ), -EPERM);
	(void)close(fd);
	am_io_init(&io, l, fd, NULL, NULL);
	ck_assert_int_eq(am_io_watch(&io, AM_IO_READ), -EBADF);
	am_io_done(&io);
	am_io_done(&never);
	teardown();
}
END_TEST

/* ---- within another loop ---- */

/* One round of a poll() loop that has the loop and nothing else. */
static int
poll_once(int max_ms)
{
	struct pollfd p = { .fd = am_loop_fd(l), .events = POLLIN };
	int ms = am_loop_timeout_ms(l);
	int n;

	ck_assert_int_ge(p.fd, 0);
	if (ms < 0 || ms > max_ms)
		ms = max_ms;
	n = poll(&p, 1, ms);
	ck_assert_int_ge(n, 0);
	ck_assert_int_eq(am_loop_step(l, 0), 0);
	return n;
}

/* Sets of the program that remember numbers which the loop has now. */
START_TEST(the_descriptor_is_that_of_the_loop_in_spite_of_others)
{
	enum { N = 8 };
	struct epoll_event none = { .events = 0 };
	int set = epoll_create1(EPOLL_CLOEXEC);
	int fd[N], kept[N];

	ck_assert_int_ge(set, 0);
	for (int i = 0; i < N; i++) {
		fd[i] = eventfd(0, EFD_CLOEXEC);
		ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, fd[i], &none),
		    0);
	}
	for (int i = 0; i < N; i++)
		kept[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 0);
	for (int i = 0; i < N; i++)
		(void)close(fd[i]);
	setup();
	ck_assert_int_ne(am_loop_fd(l), set);
	ck_assert_int_eq(poll_once(0), 0);
	loop_at_flush(l, &b);
	(void)poll_once(0);
	(void)setenv("EVENT_NOEPOLL", "1", 1);
	teardown();
	setup();
	ck_assert_int_ge(am_loop_fd(l), 0);
	teardown();
	for (int i = 0; i < N; i++)
		(void)close(kept[i]);
	(void)close(set);
}
END_TEST

START_TEST(a_loop_of_poll_runs_it_by_descriptor_and_timeout)
{
	static char x[] = "x";
	struct watched w = { .n = 0 };
	struct am_loop *other = am_loop_new();
	pthread_t thread;
	struct am_timer t;
	int64_t start_ns;

	setup();
	ck_assert_int_eq(pipe2(w.fd, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_ne(am_loop_fd(l), am_loop_fd(other));
	ck_assert_int_eq(am_loop_timeout_ms(l), -1);
	ck_assert_int_eq(poll_once(0), 0);
	/* A descriptor. */
	am_io_init(&w.io, l, w.fd[0], on_io, &w);
	ck_assert_int_eq(am_io_watch(&w.io, AM_IO_READ), 0);
	ck_assert_int_eq(poll_once(0), 0);
	ck_assert_int_eq(write(w.fd[1], "a", 1), 1);
	ck_assert_int_eq(poll_once(5000), 1);
	ck_assert_uint_eq(w.n, 1);
	/* A timer: the timeout says when, and it is due then. */
	am_timer_init(&t, l, note, a.arg);
	start_ns = clock_ns();
	(void)am_timer_start(&t, 20);
	ck_assert_int_gt(am_loop_timeout_ms(l), 0);
	ck_assert_int_le(am_loop_timeout_ms(l), 20);
	ck_assert_int_eq(poll_once(5000), 0);
	ck_assert_str_eq(seen, "a");
	ck_assert_int_ge(clock_ns() - start_ns, 20 * NS_PER_MS);
	ck_assert_int_eq(am_loop_timeout_ms(l), -1);
	/* What was queued between the turns. */
	loop_at_flush(l, &b);
	ck_assert_int_eq(am_loop_timeout_ms(l), 0);
	(void)poll_once(5000);
	ck_assert_str_eq(seen, "ab");
	/* Another thread. */
	ck_assert_int_eq(pthread_create(&thread, NULL, post_thrice, NULL), 0);
	while (strlen(seen) < 5)
		ck_assert_int_eq(poll_once(5000), 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(am_loop_post(l, posted, x), 0);
	ck_assert_int_eq(poll_once(5000), 1);
	ck_assert_str_eq(seen, "abxyzx");
	am_io_done(&w.io);
	(void)close(w.fd[0]);
	(void)close(w.fd[1]);
	other = am_loop_free(other);
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
    posts_that_cannot_run_any_more_are_told,
    timers_come_in_order_of_their_deadlines, a_timer_may_be_done_after_its_loop,
    a_descriptor_is_watched_until_it_is_not, what_cannot_be_watched_says_why,
    the_descriptor_is_that_of_the_loop_in_spite_of_others,
    a_loop_of_poll_runs_it_by_descriptor_and_timeout,
    large_memory_is_freed_piece_by_piece)
