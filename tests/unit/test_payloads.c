/* What a worker sends and a client gets: in order, once, and none is lost, even if
 * the machine's queue is full, the link is cut, or the lease ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/worker_rig.h"

/* ---- a client of the library ---- */

static void
lease_client(struct world *w)
{
	world_supervisor(w);
	world_client(w);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
}

static struct world *
with_client(unsigned window)
{
	struct world *w = world_new();

	w->env.window = window;
	world_worker(w);
	lease_client(w);
	return w;
}

static uint64_t
ask(struct world *w, int64_t timeout_ms)
{
	uint64_t req = 0;

	ck_assert_int_eq(am_client_request(w->c, AM_NONE, timeout_ms, &req), 0);
	return req;
}

START_TEST(a_link_that_is_cut_is_told)
{
	struct world *w = with_client(4);

	ck_assert_uint_eq(am_client_window(w->c), 4);
	ck_assert_uint_eq(w->n_up, 0);
	world_cut(w);
	world_until_true(w, w->n_down == 1);
	world_until_true(w, w->n_up == 1);
	ck_assert_uint_eq(w->n_ready, 1);
	(void)ask(w, 5000);
	world_free(w);
}
END_TEST

/* Until on_up no program may be asked: its requests end without a link. */
static void
ask_again(struct world *w)
{
	(void)am_client_request(w->c, AM_NONE, w->n_up > 0 ? -1 : 40, NULL);
}

START_TEST(a_client_that_refills_does_not_stop_without_a_link)
{
	struct world *w = with_client(1);
	char away[160];
	int fd;

	/* Somebody listens and does not answer. */
	(void)snprintf(away, sizeof(away), "%s.away", w->public_path);
	ck_assert_int_eq(rename(w->public_path, away), 0);
	fd = world_listen(w->public_path);
	w->refill = ask_again;
	(void)ask(w, 0);
	world_cut(w);
	world_until_true(w, w->n_told > 0 && w->n_down == 1);
	ck_assert_uint_eq(w->n_up, 0);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, 0, NULL), -ENOTCONN);
	ck_assert_int_eq(rename(away, w->public_path), 0);
	(void)close(fd);
	world_until_true(w, w->n_up == 1 && w->n_reqs > 0);
	world_free(w);
}
END_TEST

START_TEST(a_full_window_is_told_at_once)
{
	struct world *w = with_client(2);

	(void)ask(w, -1);
	(void)ask(w, -1);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, -1, NULL), -EBUSY);
	world_until_true(w, w->n_reqs == 2);
	world_answer(w, 0, 1);
	world_until_true(w, w->n_told == 1);
	(void)ask(w, -1);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, -1, NULL), -EBUSY);
	world_free(w);
}
END_TEST

START_TEST(a_window_that_others_fill_is_busy)
{
	struct world *w = with_client(2);
	uint64_t req;

	world_connect_client(w);
	request(w, NULL);
	request(w, NULL);
	refused_busy(w, NULL, "WorkRequestedEnter: window full (2)");
	req = ask(w, -1);
	world_until_true(w, w->n_told == 1);
	ck_assert_uint_eq(w->told[0].req, req);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_REFUSED);
	ck_assert_str_eq(w->told[0].code, AM_CODE_BUSY);
	world_free(w);
}
END_TEST

/* The link is gone already and nobody knows, or it is being made again. */
START_TEST(a_cancel_is_not_lost_with_the_link)
{
	struct world *w = with_client(2);
	uint64_t first = ask(w, -1), second = ask(w, -1);

	world_until_true(w, w->n_reqs == 2);
	world_cut(w);
	ck_assert_int_eq(am_client_cancel(w->c, first), 0);
	world_until_true(w, w->n_down == 1);
	ck_assert_int_eq(am_client_cancel(w->c, second), 0);
	world_until_true(w, w->n_cancels == 2);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[0]), 0);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[1]), 0);
	world_until_true(w, w->n_told == 2);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_CANCELED);
	ck_assert_int_eq(w->told[1].status, AM_STATUS_CANCELED);
	world_free(w);
}
END_TEST

UNIT_MAIN("payloads", a_link_that_is_cut_is_told,
    a_client_that_refills_does_not_stop_without_a_link,
    a_full_window_is_told_at_once, a_window_that_others_fill_is_busy,
    a_cancel_is_not_lost_with_the_link)
