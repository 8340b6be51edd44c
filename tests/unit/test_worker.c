/* A worker over real sockets: who may do what, and the life of requests; payloads
 * and leases are in test_worker_lease.c, the order of states is in
 * test_flows_worker.c. */
#include <errno.h>
#include <string.h>

#include "tests/unit/worker_rig.h"

#include "lib/node/common.h"
#include "lib/node/worker_outbox.h"

enum { W_Fetching = Wrk__COUNT, W__COUNT };

static const am_id needs_working[] = { Wrk_Working };
static const am_id needs_start[] = { Wrk_Start };

/* The base's rows and one of the worker's own. */
static struct am_states
own_states(struct am_state *row, const struct am_state *own)
{
	memcpy(row, am_worker_states.row, Wrk__COUNT * sizeof(*row));
	row[Wrk__COUNT] = *own;
	return (struct am_states){ .name = "own", .row = row, .len = W__COUNT };
}

/* ---- schema and environment ---- */

static void
bad_schema(const struct am_state *own, bool changed, const char *part)
{
	struct am_state row[W__COUNT];
	const struct am_states states = own_states(row, own);
	const struct am_worker_conf conf = { .size = sizeof(conf),
		.states = &states };
	struct am_loop *l = am_loop_new();
	struct worker_env env;
	struct am_error err = { .text = "" };

	if (changed)
		row[Wrk_Idle].automatic = false;
	worker_env_init(&env);
	ck_assert_ptr_null(worker_new(l, &conf, &env, &err));
	ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
	am_loop_free(l);
}

START_TEST(schema_must_begin_with_the_base_rows)
{
	bad_schema(&(struct am_state){ .name = "Fetching" }, true,
	    "state 14 of the worker's schema is not the base's \"Idle\"");
}
END_TEST

START_TEST(own_states_may_not_change_base_states)
{
	bad_schema(&(struct am_state){ .name = "Fetching",
		       .add = { needs_start, 1 } },
	    false, "\"Fetching\" adds or removes the base state \"Start\"");
	bad_schema(&(struct am_state){ .name = "Fetching",
		       .remove = { needs_working, 1 } },
	    false, "\"Fetching\" adds or removes the base state \"Working\"");
}
END_TEST

START_TEST(environment_is_read_and_checked)
{
	struct worker_env env;
	struct am_error err;

	unsetenv("AM_PRIVATE_FD");
	unsetenv("AM_PUBLIC_FD");
	ck_assert_int_eq(worker_env_get(&env, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "amnoded starts it"));
	setenv("AM_PRIVATE_FD", "10", 1);
	setenv("AM_PUBLIC_FD", "11", 1);
	setenv("AM_WORKER_ID", "w7", 1);
	ck_assert_int_eq(worker_env_get(&env, &err), 0);
	ck_assert_int_eq(env.private_fd, 10);
	ck_assert_str_eq(env.id, "w7");
	ck_assert_uint_eq(env.window, 64);
	setenv("AM_REQUEST_TIMEOUT_MS", "2678400000", 1);
	setenv("AM_ORPHAN_TTL_MS", "2678400000", 1);
	setenv("AM_WINDOW", "1024", 1);
	ck_assert_int_eq(worker_env_get(&env, &err), 0);
	ck_assert_int_eq(env.request_timeout_ms, 2678400000);
	setenv("AM_WINDOW", "2k", 1);
	ck_assert_int_eq(worker_env_get(&env, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text,
	    "AM_WINDOW is \"2k\": expected a number from 1 to 1024"));
}
END_TEST

/* ---- who comes in ---- */

START_TEST(hello_needs_the_token_of_the_lease)
{
	struct world *w = idle();

	world_connect_client(w);
	ck_assert(w->client.closed); /* there is no lease at all */
	ck_assert_int_eq(w->client.code, ARPC_E_bad_token + 1);
	world_lease(w, "L1", 0, 0);
	w->token[15] ^= 1;
	world_connect_client(w);
	ck_assert(w->client.closed);
	ck_assert_int_eq(w->client.code, ARPC_E_bad_token + 1);
	w->token[15] ^= 1;
	world_connect_client(w);
	ck_assert(w->client.ready);
	world_free(w);
}
END_TEST

START_TEST(token_is_worth_nothing_after_the_lease)
{
	struct world *w = leased();

	world_end_lease(w, "L1", "released");
	world_until_state(w, w->w, Wrk_Leased, false);
	world_connect_client(w);
	ck_assert_int_eq(w->client.code, ARPC_E_bad_token + 1);
	world_free(w);
}
END_TEST

START_TEST(lease_has_sixteen_connections)
{
	struct world *w = leased();
	struct world_peer *more = calloc(WORKER_SESSIONS_MAX, sizeof(*more));
	struct world_peer first = w->client;

	for (size_t i = 0; i < WORKER_SESSIONS_MAX; i++) {
		w->client = more[i];
		world_connect_client(w);
		ck_assert(w->client.ready == (i < WORKER_SESSIONS_MAX - 1));
		more[i] = w->client;
		if (more[i].ready)
			continue;
		ck_assert_int_eq(more[i].code, ARPC_E_busy + 1);
	}
	for (size_t i = 0; i < WORKER_SESSIONS_MAX; i++)
		more[i].nm = netmach_free(more[i].nm);
	w->client = first;
	free(more);
	world_free(w);
}
END_TEST

static void
not_permitted(struct world *w, struct world_peer *p, am_id state)
{
	(void)world_add(w, p, state, NULL);
	ck_assert_int_eq(p->status, NETMACH_ERROR);
	ck_assert_int_eq(p->error, ARPC_E_not_permitted);
}

START_TEST(client_may_work_and_nothing_else)
{
	struct world *w = leased();

	not_permitted(w, &w->client, Wrk_Start);
	not_permitted(w, &w->client, Wrk_Leased);
	not_permitted(w, &w->client, Wrk_LeaseEnding);
	not_permitted(w, &w->client, Wrk_ClientSendPayload);
	ck_assert(am_is1(w->w, Wrk_Ready));
	request(w, NULL);
	world_free(w);
}
END_TEST

START_TEST(client_may_change_own_states_only)
{
	struct world *w = world_new();
	struct am_state row[W__COUNT];
	const struct am_states states = own_states(row,
	    &(struct am_state){ .name = "Fetching" });
	const am_id none[1] = { 0 };

	w->conf.states = &states;
	world_worker(w);
	make_lease(w, 0, 0);
	ck_assert_uint_eq(world_add(w, &w->client, W_Fetching, NULL),
	    AM_EXECUTED);
	ck_assert(am_is1(w->w, W_Fetching));
	ck_assert_uint_eq(world_mutate(w, &w->client, AM_REMOVE, W_Fetching),
	    AM_EXECUTED);
	ck_assert(!am_is1(w->w, W_Fetching));
	/* set: of the own states exactly these, whatever the others are. */
	ck_assert_uint_eq(world_mutate(w, &w->client, AM_SET, W_Fetching),
	    AM_EXECUTED);
	ck_assert(am_is1(w->w, W_Fetching));
	w->client.replied = false;
	ck_assert_int_gt(netmach_mutate(w->client.nm, AM_SET, none, 0, AM_NONE,
			     -1, world_on_reply, &w->client),
	    0);
	world_until(w, &w->client.replied);
	ck_assert_uint_eq(w->client.result, AM_EXECUTED);
	ck_assert(!am_is1(w->w, W_Fetching));
	ck_assert(am_is1(w->w, Wrk_Leased) && am_is1(w->w, Wrk_Ready));
	(void)world_mutate(w, &w->client, AM_SET, Wrk_Leased);
	ck_assert_int_eq(w->client.error, ARPC_E_not_permitted);
	request(w, NULL);
	ck_assert_uint_eq(world_mutate(w, &w->client, AM_SET, W_Fetching),
	    AM_EXECUTED);
	ck_assert(am_is1(w->w, Wrk_Working));
	ck_assert_uint_eq(w->n_reqs, 1);
	(void)world_mutate(w, &w->client, AM_REMOVE, Wrk_Ready);
	ck_assert_int_eq(w->client.error, ARPC_E_not_permitted);
	(void)world_mutate(w, &w->client, AM_TOGGLE, Wrk_WorkRequested);
	ck_assert_int_eq(w->client.error, ARPC_E_not_permitted);
	world_free(w);
}
END_TEST

START_TEST(supervisor_may_not_take_a_lease_apart)
{
	struct world *w = leased();

	not_permitted(w, &w->super, Wrk_Leased);
	not_permitted(w, &w->super, Wrk_ServeClient);
	not_permitted(w, &w->super, Wrk_WorkRequested);
	world_free(w);
}
END_TEST

/* ---- requests ---- */

START_TEST(handler_may_answer_at_once)
{
	struct world *w = leased();

	request(w, "{\"sync\":true}");
	got(w, 1);
	ck_assert_int_eq(w->client.got[0].value, 1);
	ck_assert(am_is1(w->w, Wrk_Idle));
	ck_assert_uint_eq(worker_n_open(w->worker), 0);
	world_free(w);
}
END_TEST

START_TEST(second_answer_finds_no_request)
{
	struct world *w = leased();

	request(w, NULL);
	world_answer(w, 0, 1);
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[0], AM_NONE),
	    -ENOENT);
	ck_assert_int_eq(am_worker_fail(w->worker, w->req[0], "a", "b"),
	    -ENOENT);
	ck_assert_int_eq(am_worker_progress(w->worker, w->req[0], AM_NONE),
	    -ENOENT);
	request(w, NULL); /* the same slot, another handle */
	ck_assert_uint_ne(w->req[0], w->req[1]);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[0]), -ENOENT);
	world_answer(w, 1, 2);
	got(w, 2);
	ck_assert_int_eq(w->client.got[1].value, 2);
	world_free(w);
}
END_TEST

START_TEST(progress_and_chunks_come_before_the_end)
{
	struct world *w = leased();

	request(w, NULL);
	ck_assert_int_eq(am_worker_progress(w->worker, w->req[0], AM_NONE), 0);
	ck_assert_int_eq(am_worker_chunk(w->worker, w->req[0], AM_NONE), 0);
	world_answer(w, 0, 1);
	got(w, 3);
	ck_assert_str_eq(w->client.got[0].kind, "progress");
	ck_assert_str_eq(w->client.got[1].kind, "chunk");
	ck_assert_str_eq(w->client.got[2].kind, "result");
	ck_assert_uint_eq(w->client.got[0].req, w->client.got[2].req);
	world_free(w);
}
END_TEST

START_TEST(program_may_refuse)
{
	struct world *w = leased();

	request(w, NULL);
	ck_assert_int_eq(am_worker_refuse(w->worker, w->req[0], "not today"),
	    0);
	got(w, 1);
	ck_assert_str_eq(w->client.got[0].name, "refused");
	ck_assert_str_eq(w->client.got[0].message, "not today");
	world_free(w);
}
END_TEST

START_TEST(deadline_that_is_over_is_refused)
{
	struct world *w = leased();

	ck_assert_uint_eq(world_add_deadline(w, &w->client, Wrk_WorkRequested,
			      NULL, 0),
	    AM_CANCELED);
	ck_assert_str_eq(w->client.text, "WorkRequestedEnter: deadline passed");
	world_free(w);
}
END_TEST

START_TEST(deadline_may_be_far_away)
{
	struct world *w = leased();

	ck_assert_uint_eq(world_add_deadline(w, &w->client, Wrk_WorkRequested,
			      NULL, INT64_MAX),
	    AM_EXECUTED);
	ck_assert_int_gt(am_worker_req_left_ms(w->worker, w->req[0]),
	    INT64_C(9999) * 24 * 3600 * 1000);
	world_answer(w, 0, 1);
	got(w, 1);
	world_free(w);
}
END_TEST

START_TEST(deadline_holds_before_its_timer_runs)
{
	struct world *w = leased();
	int64_t left;

	(void)world_add_deadline(w, &w->client, Wrk_WorkRequested, NULL, 20);
	do
		left = am_worker_req_left_ms(w->worker, w->req[0]);
	while (left > 0);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[0]), 0);
	got(w, 1);
	ck_assert_str_eq(w->client.got[0].name, "ErrWorkTimeout");
	world_free(w);
}
END_TEST

static void
refuse_in_latin_1(struct world *w, am_req req, struct am_val args)
{
	(void)args;
	ck_assert_int_eq(am_worker_refuse(w->worker, req, "d\xe9j\xe0"), 0);
}

START_TEST(texts_of_a_program_are_utf_8)
{
	struct world *w = leased();

	request(w, NULL);
	request(w, NULL);
	ck_assert_int_eq(am_worker_fail(w->worker, w->req[0], "\xff",
			     "caf\xe9"),
	    0);
	ck_assert_int_eq(am_worker_fail(w->worker, w->req[1], "", "caf\u00e9"),
	    0);
	w->work = refuse_in_latin_1;
	request(w, NULL);
	got(w, 3);
	ck_assert_str_eq(w->client.got[0].code, "\\xff");
	ck_assert_str_eq(w->client.got[0].message, "caf\\xe9");
	ck_assert_str_eq(w->client.got[1].code, "error");
	ck_assert_str_eq(w->client.got[1].message, "caf\u00e9");
	ck_assert_str_eq(w->client.got[2].message, "d\\xe9j\\xe0");
	ck_assert_int_eq(am_worker_event(w->worker, "\xff", AM_NONE), -EINVAL);
	ck_assert_int_eq(am_worker_event(w->worker, "", AM_NONE), -EINVAL);
	refused(w, "{\"why\":\"x\"}", "WorkRequestedEnter: x\\xff");
	world_free(w);
}
END_TEST

START_TEST(program_that_stops_at_the_deadline_is_not_stuck)
{
	struct world *w = world_new();

	w->env.hard_ms = 2000;
	world_worker(w);
	make_lease(w, 0, 0);
	(void)world_add_deadline(w, &w->client, Wrk_WorkRequested, NULL, 20);
	ck_assert_int_le(am_worker_req_left_ms(w->worker, w->req[0]), 20);
	world_until_true(w, w->n_cancels == 1);
	ck_assert_int_eq(am_worker_req_left_ms(w->worker, w->req[0]), 0);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[0]), 0);
	got(w, 1);
	ck_assert_str_eq(w->client.got[0].name, "ErrWorkTimeout");
	ck_assert(am_is1(w->w, Wrk_Idle));
	ck_assert(!am_is1(w->w, Wrk_Exception));
	request(w, NULL);
	ck_assert_uint_eq(w->super.n_got, 0);
	world_free(w);
}
END_TEST

START_TEST(stuck_worker_takes_no_more)
{
	struct world *w = world_new();

	w->env.hard_ms = 10;
	w->env.request_timeout_ms = 10; /* for who says none */
	world_worker(w);
	make_lease(w, 0, 0);
	request(w, NULL);
	got(w, 1);
	world_until_true(w, w->super.n_got == 1);
	ck_assert(am_is1(w->w, Wrk_Working));
	refused(w, NULL,
	    "WorkRequestedEnter: the worker is stuck (ErrWorkTimeout)");
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[0], AM_NONE),
	    -ENOENT);
	/* Whoever supervises it next hears of it, and of the lease. */
	world_disconnect(w, &w->super);
	world_until_state(w, w->w, Wrk_SuperConnected, false);
	world_connect_super(w);
	world_until_true(w, w->super.n_got == 3);
	ck_assert_str_eq(w->super.got[1].name, "Lease");
	ck_assert_str_eq(w->super.got[2].name, "Error");
	world_free(w);
}
END_TEST

START_TEST(client_cancels_its_request)
{
	struct world *w = leased();
	char args[32];

	request(w, NULL);
	ck_assert_uint_eq(world_add(w, &w->client, Wrk_CancelWork,
			      "{\"req\":60000}"),
	    AM_CANCELED);
	ck_assert_str_eq(w->client.text,
	    "CancelWorkEnter: no such request is open");
	ck_assert_int_eq(am_worker_progress(w->worker, w->req[0], AM_NONE), 0);
	got(w, 1);
	(void)snprintf(args, sizeof(args), "{\"req\":%u}",
	    (unsigned)w->client.got[0].req);
	ck_assert_uint_eq(world_add(w, &w->client, Wrk_CancelWork, args),
	    AM_EXECUTED);
	ck_assert_uint_eq(w->n_cancels, 1);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[0]), 0);
	got(w, 2);
	ck_assert_str_eq(w->client.got[1].name, "canceled");
	world_free(w);
}
END_TEST

START_TEST(handler_that_fails_elsewhere_is_reported)
{
	struct world *w = leased();

	w->fails = true; /* in LeasedEnd */
	world_end_lease(w, "L1", "released");
	world_until_true(w, w->super.n_got == 1);
	ck_assert_str_eq(w->super.got[0].name, "Error");
	ck_assert_str_eq(w->super.got[0].code, "handler_failed");
	ck_assert(!am_is1(w->w, Wrk_Exception));
	world_free(w);
}
END_TEST

START_TEST(two_requests_in_one_drain_are_not_mixed)
{
	struct world *w = leased();
	const am_id work = Wrk_WorkRequested;

	/* A worker that forgets flow rule 1: nothing is lost silently. */
	w->adds_twice = true;
	request(w, NULL);
	ck_assert_uint_eq(w->n_reqs, 2);
	world_answer(w, 0, 1);
	world_answer(w, 1, 2);
	ck_assert_uint_eq(am_tick(w->w, work), 4);
	got(w, 2); /* nobody asked for the second: it is for all */
	ck_assert_uint_eq(w->client.got[1].req, 0);
	world_free(w);
}
END_TEST

/* ---- life ---- */

START_TEST(ready_later_waits_for_the_program)
{
	struct world *w = world_new();

	w->conf.ready_later = true;
	world_worker_alone(w);
	world_until_state(w, w->w, Wrk_RpcReady, true);
	world_connect_super(w);
	ck_assert(!am_is1(w->w, Wrk_Ready));
	am_worker_ready(w->worker);
	ck_assert(am_is1(w->w, Wrk_Ready));
	ck_assert(am_is1(w->w, Wrk_Idle));
	world_free(w);
}
END_TEST

static void
on_ping(struct am_worker *worker, void *arg)
{
	bool *pinged = arg;

	(void)worker;
	*pinged = true;
}

START_TEST(healthcheck_ends_when_the_program_answers)
{
	struct world *w = world_new();
	bool pinged = false;

	w->conf.handlers = NULL;
	w->conf.on_ping = on_ping;
	w->conf.arg = &pinged;
	w->conf.on_lease = NULL;
	w->conf.on_reset = w->conf.on_room = NULL;
	w->conf.on_stop = NULL;
	world_worker(w);
	ck_assert_uint_eq(world_add(w, &w->super, Wrk_Healthcheck, NULL),
	    AM_EXECUTED);
	ck_assert(pinged);
	ck_assert(am_is1(w->w, Wrk_Healthcheck));
	am_worker_alive(w->worker);
	ck_assert(!am_is1(w->w, Wrk_Healthcheck));
	world_free(w);
}
END_TEST

START_TEST(healthcheck_is_answered_by_the_loop)
{
	struct world *w = idle();
	uint64_t before = am_tick(w->w, Wrk_Healthcheck);

	ck_assert_uint_eq(world_add(w, &w->super, Wrk_Healthcheck, NULL),
	    AM_EXECUTED);
	ck_assert_uint_eq(am_tick(w->w, Wrk_Healthcheck), before + 2);
	world_free(w);
}
END_TEST

START_TEST(info_tells_the_state_in_words)
{
	struct world *w = leased();
	struct am_buf json = AM_BUF_INIT;

	request(w, NULL);
	world_info(w, &w->client, "status");
	ck_assert_int_eq(am_json_encode(am_buf_val(&w->client.value), &json,
			     NULL),
	    0);
	ck_assert_ptr_nonnull(memmem(json.data, json.len,
	    "\"state\":\"working\",\"lease\":\"L1\",\"requests\":1,\"open\":1",
	    strlen("\"state\":\"working\",\"lease\":\"L1\",\"requests\":1,"
		   "\"open\":1")));
	am_buf_done(&json);
	world_info(w, &w->super, "nothing");
	ck_assert_int_eq(w->super.error, ARPC_E_no_topic);
	world_free(w);
}
END_TEST

UNIT_MAIN("worker", schema_must_begin_with_the_base_rows,
    own_states_may_not_change_base_states, environment_is_read_and_checked,
    hello_needs_the_token_of_the_lease, token_is_worth_nothing_after_the_lease,
    lease_has_sixteen_connections, client_may_work_and_nothing_else,
    client_may_change_own_states_only, supervisor_may_not_take_a_lease_apart,
    handler_may_answer_at_once, second_answer_finds_no_request,
    progress_and_chunks_come_before_the_end, program_may_refuse,
    deadline_that_is_over_is_refused, deadline_may_be_far_away,
    deadline_holds_before_its_timer_runs, texts_of_a_program_are_utf_8,
    program_that_stops_at_the_deadline_is_not_stuck, stuck_worker_takes_no_more,
    client_cancels_its_request, handler_that_fails_elsewhere_is_reported,
    two_requests_in_one_drain_are_not_mixed, ready_later_waits_for_the_program,
    healthcheck_ends_when_the_program_answers,
    healthcheck_is_answered_by_the_loop, info_tells_the_state_in_words)
