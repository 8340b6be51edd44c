/* A client over real sockets: what it wants, holds and loses, and that each of
 * its requests ends once. The order of states is test_flows_client.c's matter. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/node/common.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

static struct world *
connected(void)
{
	struct world *w = world_new();

	world_worker(w);
	world_supervisor(w);
	world_client(w);
	world_until_state(w, w->cm, Cli_SuperReady, true);
	return w;
}

static void
get_lease(struct world *w)
{
	unsigned n_asked = w->n_asked;
	unsigned n_ready = w->n_ready;

	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == n_asked + 1);
	world_grant(w);
	world_until_true(w, w->n_ready == n_ready + 1);
}

static struct world *
leased(void)
{
	struct world *w = connected();

	get_lease(w);
	return w;
}

static uint64_t
request(struct world *w, const char *json, int64_t timeout_ms)
{
	struct am_buf args = AM_BUF_INIT;
	uint64_t req;

	if (json != NULL)
		ck_assert_int_eq(am_json_decode(json, strlen(json), &args,
				     NULL),
		    0);
	ck_assert_int_eq(am_client_request(w->c, am_buf_val(&args), timeout_ms,
			     &req),
	    0);
	am_buf_done(&args);
	return req;
}

static void
told(struct world *w, size_t i, uint64_t req, enum am_status status)
{
	world_until_true(w, w->n_told > i);
	ck_assert_uint_eq(w->told[i].req, req);
	ck_assert_int_eq((int)w->told[i].status, (int)status);
	ck_assert_str_eq(w->told[i].kind, "result");
}

static void
kill_worker(struct world *w)
{
	flow_log_detach(&w->wlog);
	w->wlog.machine = NULL;
	w->worker = am_worker_free(w->worker);
	w->w = NULL;
}

/* ---- supervisors ---- */

START_TEST(supervisors_are_tried_in_order)
{
	struct world *w = world_new();
	char dead[160];

	(void)snprintf(dead, sizeof(dead), "%s/none", w->dir);
	world_worker(w);
	world_supervisor(w);
	world_client_of(w, dead, w->super_path);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	world_free(w);
}
END_TEST

START_TEST(supervisor_may_come_later)
{
	struct world *w = world_new();

	world_worker(w);
	world_client(w);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	ck_assert_int_eq(am_client_lease(w->c, 5000), -EALREADY);
	world_until_state(w, w->cm, Cli_SuperDisconnected, true);
	ck_assert_ptr_nonnull(strstr(client_super_error(w->c),
	    "/sock: No such file or directory"));
	world_supervisor(w);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	ck_assert_str_eq(client_super_error(w->c), "");
	world_free(w);
}
END_TEST

START_TEST(no_supervisor_and_no_wait_fails_at_once)
{
	struct world *w = world_new();

	world_client(w);
	ck_assert_int_eq(am_client_lease(w->c, 0), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "unreachable");
	ck_assert_ptr_nonnull(strstr(w->lost_reason, "/sock: No such file"));
	ck_assert(!am_is1(w->cm, Cli_WorkerWanted));
	world_free(w);
}
END_TEST

START_TEST(wish_survives_the_supervisor)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_supervisor_gone(w);
	world_until_state(w, w->cm, Cli_SuperConnected, false);
	ck_assert(am_is1(w->cm, Cli_WorkerWanted));
	ck_assert(!am_is1(w->cm, Cli_WorkerRequested));
	world_supervisor(w);
	world_until_true(w, w->n_asked == 2);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	world_free(w);
}
END_TEST

START_TEST(lease_that_is_over_before_its_hello_is_asked_for_again)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	w->wrong_token = true;
	world_grant(w);
	world_until_true(w, w->n_asked == 2);
	ck_assert_str_eq(w->released, "unwanted");
	ck_assert_int_le(w->asked_timeout_ms, 5000);
	ck_assert_uint_eq(w->n_lost, 0);
	world_until_state(w, w->w, Wrk_Leased, false);
	w->wrong_token = false;
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	told(w, 0, request(w, "{\"sync\":true}", 5000), AM_STATUS_OK);
	world_free(w);
}
END_TEST

START_TEST(bad_address_is_refused_by_name)
{
	const char *const bad[] = { "nowhere" };
	struct am_client_conf conf = { .size = sizeof(conf),
		.supervisors = bad,
		.n_supervisors = 1 };
	struct am_loop *l = am_loop_new();
	struct am_error err;

	ck_assert_ptr_null(am_client_new(l, &conf, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "nowhere"));
	conf.tls_cert = "/cert";
	ck_assert_ptr_null(am_client_new(l, &conf, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "tls_key"));
	am_loop_free(l);
}
END_TEST

/* ---- the wish ---- */

START_TEST(refusal_tells_code_and_reason)
{
	struct world *w = connected();

	w->refuses = true;
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "pool_broken");
	ck_assert_str_eq(w->lost_reason, "no such program");
	ck_assert(!am_is1(w->cm, Cli_WorkerRequested));
	ck_assert_str_eq(w->released, ""); /* nothing waits there */
	world_free(w);
}
END_TEST

START_TEST(refusal_of_a_waiter_comes_as_payload)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_refuse(w, "draining", "the daemon stops");
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "draining");
	ck_assert_str_eq(w->lost_reason, "the daemon stops");
	ck_assert(!am_is1(w->cm, Cli_WorkerWanted));
	get_lease(w); /* and again */
	world_free(w);
}
END_TEST

START_TEST(grant_that_comes_too_late_goes_back)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_lease(w->c, 20), 0);
	world_until_true(w, w->n_asked == 1 && w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "timeout");
	world_grant(w);
	world_until_true(w, strcmp(w->released, "unwanted") == 0);
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_ptr_null(client_lease(w->c));
	world_free(w);
}
END_TEST

START_TEST(answer_without_a_worker_ends_the_wish)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_lease(w->c, -1), 0);
	world_until_true(w, w->n_asked == 1);
	(void)unlink(w->public_path);
	(void)snprintf(w->public_path, sizeof(w->public_path), "nowhere");
	world_grant(w);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "bad_answer");
	ck_assert(!am_is1(w->cm, Cli_WorkerRequested));
	world_until_true(w, strcmp(w->released, "unwanted") == 0);
	world_free(w);
}
END_TEST

START_TEST(wish_is_bound_to_the_own_process)
{
	struct world *w = connected();
	const struct client_wish other = { .pid = 1,
		.pid_start = 2,
		.priority = 3 };
	uint64_t start = 0;

	ck_assert_int_eq(client_pid_start(getpid(), &start), 0);
	ck_assert_uint_ne(start, 0);
	ck_assert_int_eq(am_client_lease(w->c, -1), 0);
	world_until_true(w, w->n_asked == 1);
	ck_assert_int_eq(w->asked_pid, getpid());
	ck_assert_int_eq(w->asked_timeout_ms, -1);
	ck_assert_int_eq(am_client_release(w->c), 0);
	client_wish(w->c, &other);
	ck_assert_int_eq(am_client_lease(w->c, 0), 0);
	world_until_true(w, w->n_asked == 2);
	ck_assert_int_eq(w->asked_pid, 1);
	ck_assert_int_eq(w->asked_timeout_ms, 0);
	world_free(w);
}
END_TEST

/* ---- requests ---- */

START_TEST(each_end_has_its_status)
{
	struct world *w = leased();
	uint64_t req;

	req = request(w, "{\"sync\":true}", 5000);
	told(w, 0, req, AM_STATUS_OK);
	ck_assert_int_eq(w->told[0].value, 1);
	req = request(w, "{\"bad\":true}", 5000);
	told(w, 1, req, AM_STATUS_REFUSED);
	ck_assert_str_eq(w->told[1].message, "WorkRequestedEnter: bad input");
	req = request(w, "{\"crash\":true}", 5000);
	told(w, 2, req, AM_STATUS_FAILED);
	ck_assert_str_eq(w->told[2].code, "handler_failed");
	req = request(w, NULL, 5000);
	world_until_true(w, w->n_reqs == 2);
	(void)am_worker_refuse(w->worker, w->req[1], "not today");
	told(w, 3, req, AM_STATUS_REFUSED);
	ck_assert_str_eq(w->told[3].message, "not today");
	ck_assert_uint_eq(w->n_told, 4);
	world_free(w);
}
END_TEST

START_TEST(deadline_is_a_timeout)
{
	struct world *w = leased();
	uint64_t req = request(w, NULL, 20);

	world_until_true(w, w->n_cancels == 1);
	(void)am_worker_canceled(w->worker, w->req[0]);
	told(w, 0, req, AM_STATUS_TIMEOUT);
	ck_assert(am_is1(w->cm, Cli_Ready));
	/* It passed before the worker was asked. */
	req = request(w, NULL, 0);
	told(w, 1, req, AM_STATUS_TIMEOUT);
	ck_assert_uint_eq(w->n_reqs, 1);
	world_free(w);
}
END_TEST

START_TEST(cancel_ends_the_request)
{
	struct world *w = leased();
	uint64_t req = request(w, NULL, 5000);

	world_until_true(w, w->n_reqs == 1);
	ck_assert_int_eq(am_client_cancel(w->c, req + 1), -ENOENT);
	ck_assert_int_eq(am_client_cancel(w->c, req), 0);
	world_until_true(w, w->n_cancels == 1);
	(void)am_worker_canceled(w->worker, w->req[0]);
	told(w, 0, req, AM_STATUS_CANCELED);
	ck_assert_int_eq(am_client_cancel(w->c, req), -ENOENT);
	world_free(w);
}
END_TEST

START_TEST(many_requests_are_answered_in_any_order)
{
	struct world *w = leased();
	uint64_t req[32];

	for (size_t i = 0; i < 32; i++)
		req[i] = request(w, NULL, 5000);
	world_until_true(w, w->n_reqs == 32);
	for (size_t i = 32; i-- > 0;)
		world_answer(w, i, (int64_t)i);
	world_until_true(w, w->n_told == 32);
	for (size_t i = 0; i < 32; i++) {
		ck_assert_uint_eq(w->told[i].req, req[31 - i]);
		ck_assert_int_eq(w->told[i].value, 31 - (int64_t)i);
	}
	world_free(w);
}
END_TEST

START_TEST(nothing_is_asked_without_a_worker)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_request(w->c, AM_NONE, 10, NULL), -ENOLCK);
	ck_assert_int_eq(am_client_release(w->c), -ENOENT);
	ck_assert_ptr_null(client_lease(w->c));
	world_free(w);
}
END_TEST

START_TEST(a_cut_link_is_not_a_missing_lease)
{
	struct world *w = leased();

	world_cut(w);
	world_until_state(w, w->cm, Cli_WorkerReady, false);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, 10, NULL), -ENOTCONN);
	world_until_state(w, w->cm, Cli_WorkerReady, true);
	told(w, 0, request(w, "{\"sync\":true}", 5000), AM_STATUS_OK);
	ck_assert_str_eq(am_status_name(w->told[0].status), "ok");
	world_free(w);
}
END_TEST

static void
put_large(struct am_buf *b)
{
	static const char zeros[ARPC_FRAME_MAX];

	am_put_map(b, 1);
	am_put_str(b, "zeros");
	am_put_bin(b, zeros, sizeof(zeros));
}

START_TEST(a_request_that_cannot_be_carried_is_refused_here)
{
	static const char *const bad[] = { "\xc1", "\x81\xa1k",
		"\x82\xa1k\x01\xa1k\x02", "\x91\x01" };
	struct world *w = leased();
	struct am_buf b = AM_BUF_INIT;

	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(am_client_request(w->c,
				     (struct am_val){ bad[i], strlen(bad[i]) },
				     -1, NULL),
		    -EINVAL);
	put_large(&b);
	ck_assert_int_eq(am_client_request(w->c, am_buf_val(&b), -1, NULL),
	    -E2BIG);
	(void)am_buf_reserve(&b, SIZE_MAX);
	ck_assert_int_eq(am_client_request(w->c, am_buf_val(&b), -1, NULL),
	    -ENOMEM);
	ck_assert_uint_eq(w->n_reqs, 0);
	(void)request(w, NULL, -1);
	world_until_true(w, w->n_reqs == 1);
	ck_assert_uint_eq(w->n_lost, 0);
	am_buf_done(&b);
	world_free(w);
}
END_TEST

START_TEST(death_of_the_worker_leaves_the_outcome_unknown)
{
	struct world *w = leased();
	uint64_t a = request(w, NULL, 5000);
	uint64_t b = request(w, NULL, -1);

	world_until_true(w, w->n_reqs == 2);
	kill_worker(w);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "worker-died");
	ck_assert_uint_eq(w->n_told, 2);
	ck_assert_uint_eq(w->told[0].req + w->told[1].req, a + b);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_UNKNOWN);
	ck_assert_int_eq(w->told[1].status, AM_STATUS_UNKNOWN);
	ck_assert(!am_is1(w->cm, Cli_Leased));
	ck_assert(!am_is1(w->cm, Cli_Ready));
	world_free(w);
}
END_TEST

/* The cut comes before the request is read: it is sent again, and the other one
 * is not taken twice. */
START_TEST(request_that_never_arrived_is_sent_again)
{
	struct world *w = leased();
	uint64_t first = request(w, NULL, 5000);
	uint64_t second;

	world_until_true(w, w->n_reqs == 1);
	world_cut(w);
	second = request(w, NULL, 5000);
	world_until_true(w, w->n_reqs == 2);
	world_answer(w, 0, 1);
	told(w, 0, first, AM_STATUS_OK);
	world_answer(w, 1, 1);
	told(w, 1, second, AM_STATUS_OK);
	ck_assert_uint_eq(w->n_reqs, 2);
	ck_assert_uint_eq(w->n_lost, 0);
	world_free(w);
}
END_TEST

/* More than a frame can carry. */
START_TEST(large_answer_comes_whole)
{
	const size_t len = 20 << 20;
	struct world *w = leased();
	uint64_t req = request(w, NULL, 30000);
	struct am_buf data = AM_BUF_INIT;
	void *bytes = calloc(1, len);

	world_until_true(w, w->n_reqs == 1);
	am_put_bin(&data, bytes, len);
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[0],
			     am_buf_val(&data)),
	    0);
	for (int i = 0; i < 3; i++)
		(void)am_loop_step(w->loop, 0);
	world_cut(w);
	told(w, 0, req, AM_STATUS_OK);
	ck_assert_uint_eq(w->n_told, 1);
	world_until_true(w, world_outbox_len(w) == 0);
	am_buf_done(&data);
	free(bytes);
	world_free(w);
}
END_TEST

START_TEST(answer_is_told_once)
{
	struct world *w = leased();
	uint64_t req = request(w, NULL, 5000);

	world_until_true(w, w->n_reqs == 1);
	for (int64_t i = 0; i < 3; i++) {
		world_cut(w);
		if (i == 1)
			world_answer(w, 0, 5);
		world_until_state(w, w->cm, Cli_WorkerConnected, false);
		world_until_state(w, w->cm, Cli_WorkerConnected, true);
	}
	told(w, 0, req, AM_STATUS_OK);
	ck_assert_uint_eq(w->n_told, 1);
	ck_assert_uint_eq(w->n_ready, 1);
	world_free(w);
}
END_TEST

enum { CUT_REQS = 64 };

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

/* Does each of the first n requests have at most one end? */
static void
ends_are_single(const struct world *w, const uint64_t *req, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t ends = 0;

		for (size_t j = 0; j < w->n_told; j++)
			ends += w->told[j].req == req[i];
		ck_assert_uint_le(ends, 1);
	}
}

static size_t
cut_at_random(uint32_t seed)
{
	struct world *w = leased();
	uint64_t req[CUT_REQS];
	size_t n = 0, n_answered = 0;

	for (int round = 0; round < 4000 && w->n_reqs < CUT_REQS - 2; round++) {
		switch (next_random(&seed) % 4) {
		case 0:
			if (am_is1(w->cm, Cli_Ready) && n < CUT_REQS)
				req[n++] = request(w, NULL, -1);
			break;
		case 1:
			if (n_answered < w->n_reqs)
				world_answer(w, n_answered++, 1);
			break;
		case 2:
			if (next_random(&seed) % 8 == 0)
				world_cut(w);
			break;
		default:
			(void)am_loop_step(w->loop, 0);
		}
	}
	while (n_answered < w->n_reqs)
		world_answer(w, n_answered++, 1);
	while (w->n_told < n) {
		if (n_answered < w->n_reqs)
			world_answer(w, n_answered++, 1);
		(void)am_loop_step(w->loop, 10);
	}
	ends_are_single(w, req, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(w->told[i].status, AM_STATUS_OK);
	ck_assert_uint_eq(w->n_reqs, n);
	ck_assert_uint_eq(w->n_lost, 0);
	world_until_true(w, world_outbox_len(w) == 0);
	world_free(w);
	return n;
}

START_TEST(each_request_ends_once_whatever_is_cut)
{
	size_t n = 0;

	for (uint32_t seed = 1; seed <= 10; seed++)
		n += cut_at_random(seed);
	ck_assert_uint_gt(n, 150);
}
END_TEST

START_TEST(work_goes_on_without_a_supervisor)
{
	struct world *w = leased();
	uint64_t req;

	world_supervisor_gone(w);
	world_until_state(w, w->cm, Cli_SuperConnected, false);
	ck_assert(am_is1(w->cm, Cli_Ready));
	req = request(w, "{\"sync\":true}", 5000);
	told(w, 0, req, AM_STATUS_OK);
	world_supervisor(w);
	world_until_state(w, w->cm, Cli_SuperReady, true);
	ck_assert_int_eq(am_client_release(w->c), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "released");
	world_free(w);
}
END_TEST

START_TEST(release_waits_for_the_supervisor)
{
	struct world *w = leased();

	world_supervisor_gone(w);
	world_until_state(w, w->cm, Cli_SuperConnected, false);
	ck_assert_int_eq(am_client_release(w->c), 0);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, -1, NULL), -ENOLCK);
	world_supervisor(w);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "released");
	get_lease(w);
	ck_assert_str_eq(client_lease(w->c)->lease, "L2");
	world_free(w);
}
END_TEST

START_TEST(event_is_told_and_acked)
{
	struct world *w = leased();

	world_until_state(w, w->w, Wrk_ClientConnected, true);
	ck_assert_int_eq(am_worker_event(w->worker, "found", AM_NONE), 0);
	world_until_true(w, w->n_told == 1);
	ck_assert_str_eq(w->told[0].kind, "event");
	ck_assert_str_eq(w->told[0].name, "found");
	ck_assert_uint_eq(w->told[0].req, 0);
	world_until_true(w, world_outbox_len(w) == 0);
	world_free(w);
}
END_TEST

START_TEST(event_keeps_its_whole_name)
{
	struct world *w = leased();
	char name[EVENT_NAME_MAX + 2];

	memset(name, 'e', sizeof(name));
	name[EVENT_NAME_MAX + 1] = '\0';
	world_until_state(w, w->w, Wrk_ClientConnected, true);
	ck_assert_int_eq(am_worker_event(w->worker, name, AM_NONE), -EINVAL);
	ck_assert_int_eq(am_worker_event(w->worker, "", AM_NONE), -EINVAL);
	ck_assert_int_eq(am_worker_event(w->worker, NULL, AM_NONE), -EINVAL);
	name[EVENT_NAME_MAX] = '\0';
	ck_assert_int_eq(am_worker_event(w->worker, name, AM_NONE), 0);
	world_until_true(w, w->n_told == 1);
	ck_assert_str_eq(w->told[0].name, name);
	world_free(w);
}
END_TEST

START_TEST(event_whose_ack_was_lost_is_told_once)
{
	struct world *w = leased();

	world_until_state(w, w->w, Wrk_ClientConnected, true);
	w->cuts = true;
	ck_assert_int_eq(am_worker_event(w->worker, "found", AM_NONE), 0);
	world_until_true(w, w->n_told == 1);
	ck_assert_uint_eq(world_outbox_len(w), 1);
	world_until_true(w, world_outbox_len(w) == 0);
	ck_assert_uint_eq(w->n_told, 1);
	world_free(w);
}
END_TEST

START_TEST(client_that_goes_releases)
{
	struct world *w = leased();

	flow_log_detach(&w->clog);
	w->clog.machine = NULL;
	w->c = am_client_free(w->c);
	world_until_true(w, strcmp(w->released, "released") == 0);
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

/* ---- another process's lease ---- */

/* A lease that is not ours: the worker holds it, we know its token. */
static struct client_lease
other_lease(struct world *w)
{
	struct client_lease l = { .lease = "L9", .worker = "w1" };

	world_lease(w, "L9", 0, 0);
	(void)snprintf(l.address, sizeof(l.address), "%s", w->public_path);
	memcpy(l.token, w->token, sizeof(l.token));
	return l;
}

START_TEST(attached_client_works_and_leaves)
{
	struct world *w = world_new();
	struct client_lease l;
	uint64_t req;

	world_worker(w);
	world_supervisor(w);
	l = other_lease(w);
	world_client(w);
	ck_assert_int_eq(client_attach(w->c, &l), 0);
	world_until_true(w, w->n_ready == 1);
	ck_assert(!am_is1(w->cm, Cli_SuperConnected)); /* not needed */
	ck_assert_int_eq(am_worker_event(w->worker, "found", AM_NONE), 0);
	req = request(w, "{\"sync\":true}", 5000);
	told(w, 0, req, AM_STATUS_OK);
	world_until_true(w, world_outbox_len(w) == 1); /* the event */
	client_detach(w->c);
	ck_assert(!am_is1(w->cm, Cli_Leased));
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	ck_assert(am_is1(w->w, Wrk_Leased));
	ck_assert_uint_eq(w->n_lost, 0);
	world_free(w);
}
END_TEST

START_TEST(attached_client_may_release)
{
	struct world *w = world_new();
	struct client_lease l;

	world_worker(w);
	world_supervisor(w);
	l = other_lease(w);
	world_client(w);
	ck_assert_int_eq(client_attach(w->c, &l), 0);
	ck_assert_int_eq(am_client_release(w->c), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "released");
	ck_assert_str_eq(w->released, "released");
	ck_assert(w->hello_had_token);
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

START_TEST(attach_to_a_lease_that_is_over)
{
	struct world *w = world_new();
	struct client_lease l;

	world_worker(w);
	l = other_lease(w);
	world_client(w);
	l.token[0] ^= 1;
	ck_assert_int_eq(client_attach(w->c, &l), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "ended");
	kill_worker(w);
	ck_assert_int_eq(client_attach(w->c, &l), 0);
	world_until_true(w, w->n_lost == 2);
	ck_assert_str_eq(w->lost_code, "worker-died");
	world_free(w);
}
END_TEST

static void
fail_state(struct am_event *ev)
{
	am_fail(ev, "out of ink");
}

static void
slow_state(struct am_event *ev)
{
	am_handler_timeout(ev->machine, 1);
	(void)usleep(20 * 1000);
}

START_TEST(failed_and_slow_handlers_leave_no_error_state)
{
	static const struct am_handler of[Cli__COUNT] = {
		[Cli_Healthcheck] = { .state = fail_state },
		[Cli_Heartbeat] = { .state = slow_state },
	};
	static const struct am_handlers user = { .name = "user",
		.of = of,
		.len = Cli__COUNT };
	struct world *w = world_new();

	world_client(w);
	ck_assert_int_eq(am_bind(w->cm, &user, NULL), 0);
	(void)am_add1(w->cm, Cli_Healthcheck, AM_NONE);
	ck_assert_ptr_nonnull(strstr(am_last_error(w->cm), "out of ink"));
	ck_assert_uint_eq(am_tick(w->cm, Cli_Exception), 2);
	(void)am_add1(w->cm, Cli_Heartbeat, AM_NONE);
	ck_assert_uint_eq(am_tick(w->cm, Cli_ErrHandlerTimeout), 2);
	ck_assert(!am_is1(w->cm, Cli_ErrHandlerTimeout));
	ck_assert(!am_is1(w->cm, Cli_Exception));
	ck_assert(am_is1(w->cm, Cli_Start));
	world_free(w);
}
END_TEST

UNIT_MAIN("client", failed_and_slow_handlers_leave_no_error_state,
    supervisors_are_tried_in_order, supervisor_may_come_later,
    no_supervisor_and_no_wait_fails_at_once, wish_survives_the_supervisor,
    lease_that_is_over_before_its_hello_is_asked_for_again,
    bad_address_is_refused_by_name, refusal_tells_code_and_reason,
    refusal_of_a_waiter_comes_as_payload, grant_that_comes_too_late_goes_back,
    answer_without_a_worker_ends_the_wish, wish_is_bound_to_the_own_process,
    each_end_has_its_status, deadline_is_a_timeout, cancel_ends_the_request,
    many_requests_are_answered_in_any_order, nothing_is_asked_without_a_worker,
    a_cut_link_is_not_a_missing_lease,
    a_request_that_cannot_be_carried_is_refused_here,
    death_of_the_worker_leaves_the_outcome_unknown,
    request_that_never_arrived_is_sent_again, large_answer_comes_whole,
    answer_is_told_once, each_request_ends_once_whatever_is_cut,
    work_goes_on_without_a_supervisor, release_waits_for_the_supervisor,
    event_is_told_and_acked, event_keeps_its_whole_name,
    event_whose_ack_was_lost_is_told_once, client_that_goes_releases,
    attached_client_works_and_leaves, attached_client_may_release,
    attach_to_a_lease_that_is_over)
