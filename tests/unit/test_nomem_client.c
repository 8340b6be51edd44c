/* A client without memory: the n-th allocation fails, for each n that the step
 * makes. What was asked for still comes to its end. Linked with --wrap, see the
 * Makefile. */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"
#include "tests/unit/world.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void __real__mark_point(const char *file, int line);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void __wrap__mark_point(const char *file, int line);

/* How many more succeed; -1: all. The wrapped functions know no context. */
static long left = -1;

/* It fails once: what comes behind it finds memory again. */
static bool
fails(void)
{
	return left > 0 && --left == 0;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

/* Each assertion of check calls it, and it allocates. */
void
__wrap__mark_point(const char *file, int line)
{
	long before = left;

	left = -1;
	__real__mark_point(file, line);
	left = before;
}

/* Whether the n-th allocation was reached. */
static bool
is_over(void)
{
	bool reached = left == 0;

	left = -1;
	return !reached;
}

static struct world *
leased(void)
{
	struct world *w = world_new();

	world_worker(w);
	world_supervisor(w);
	world_client(w);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	return w;
}

START_TEST(a_lease_is_released_without_memory)
{
	bool over = false;
	long n;

	for (n = 1; !over; n++) {
		struct world *w = leased();

		left = n;
		ck_assert_int_eq(am_client_release(w->c), 0);
		over = is_over();
		world_until_true(w, w->n_lost == 1);
		ck_assert_str_eq(w->lost_code, "released");
		world_free(w);
	}
	ck_assert_int_gt(n, 2);
}
END_TEST

static void
answer(struct world *w, am_req req, struct am_val args)
{
	(void)args;
	if (am_worker_answer(w->worker, req, AM_NONE) == -ENOMEM)
		(void)am_worker_answer(w->worker, req, AM_NONE);
}

/* The answer is on its way before the request is known to be taken. A worker
 * without memory may refuse it. */
START_TEST(no_outcome_is_lost_without_memory)
{
	bool over = false;
	long n;

	for (n = 1; !over; n++) {
		struct world *w = leased();

		w->work = answer;
		ck_assert_int_eq(am_client_request(w->c, AM_NONE, -1, NULL), 0);
		left = n;
		world_until_true(w, w->n_told == 1);
		over = is_over();
		ck_assert(w->told[0].status == AM_STATUS_OK ||
		    w->told[0].status == AM_STATUS_REFUSED);
		world_free(w);
	}
	ck_assert_int_gt(n, 2);
}
END_TEST

START_TEST(a_link_is_restored_without_memory)
{
	bool over = false;
	long n;

	for (n = 1; !over; n++) {
		struct world *w = leased();

		ck_assert_int_eq(am_client_request(w->c, AM_NONE, -1, NULL), 0);
		world_until_true(w, w->n_reqs == 1);
		world_cut(w);
		world_until_true(w, w->n_down == 1);
		world_answer(w, 0, 7);
		left = n;
		world_until_true(w, w->n_told == 1);
		over = is_over();
		ck_assert_int_eq(w->told[0].status, AM_STATUS_OK);
		ck_assert_uint_eq(w->n_lost, 0);
		world_free(w);
	}
	ck_assert_int_gt(n, 10);
}
END_TEST

UNIT_MAIN("nomem_client", a_lease_is_released_without_memory,
    no_outcome_is_lost_without_memory, a_link_is_restored_without_memory)
