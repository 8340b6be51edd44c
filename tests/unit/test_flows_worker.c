/* The flows of flows.md, as far as the worker is in them: after each line its
 * active states are exactly as there. */
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

static void
check_flow(struct world *w, const char *id, const char *const *skip)
{
	struct flow *f = flow_load("tests/data/flows.txt", id, 'W');
	const char *differs;

	ck_assert_ptr_nonnull(f);
	differs = flow_differs(f, &w->wlog, skip);
	ck_assert_msg(differs == NULL, "%s", differs);
	free(f);
}

/* Leased, the client connected. */
static struct world *
leased(void)
{
	struct world *w = world_new();

	world_worker(w);
	world_lease(w, "L1", 0, 0);
	ck_assert_uint_eq(w->super.result, AM_EXECUTED);
	world_connect_client(w);
	world_until_state(w, w->w, Wrk_ClientConnected, true);
	flow_log_clear(&w->wlog);
	return w;
}

static void
request(struct world *w, const char *args, am_result result)
{
	ck_assert_uint_eq(world_add(w, &w->client, Wrk_WorkRequested, args),
	    result);
}

static void
until_idle(struct world *w)
{
	world_until_state(w, w->w, Wrk_Idle, true);
}

START_TEST(flow_2_worker_start)
{
	struct world *w = world_new();

	world_worker_alone(w);
	until_idle(w);
	world_connect_super(w);
	check_flow(w, "2", NULL);
	world_free(w);
}
END_TEST

START_TEST(flow_4_lease_with_an_idle_worker)
{
	struct world *w = world_new();

	world_worker(w);
	world_lease(w, "L1", 0, 0);
	world_connect_client(w);
	world_until_state(w, w->w, Wrk_ClientConnected, true);
	check_flow(w, "4", NULL);
	world_free(w);
}
END_TEST

START_TEST(flow_4b_no_hello_in_time)
{
	struct world *w = world_new();

	world_worker(w);
	world_lease(w, "L1", 0, 0);
	flow_log_clear(&w->wlog);
	world_end_lease(w, "L1", "unconfirmed");
	world_until_state(w, w->w, Wrk_Leased, false);
	check_flow(w, "4b", NULL);
	world_free(w);
}
END_TEST

START_TEST(flow_4c_worker_refuses_serve_client)
{
	struct world *w = world_new();

	world_worker(w);
	(void)am_remove1(w->w, Wrk_PublicRpcReady, AM_NONE);
	world_lease(w, "L1", 0, 0);
	ck_assert_uint_eq(w->super.result, AM_CANCELED);
	ck_assert_str_eq(w->super.text, "ServeClient requires PublicRpcReady");
	check_flow(w, "4c", NULL);
	world_free(w);
}
END_TEST

START_TEST(flow_6_one_request)
{
	struct world *w = leased();

	request(w, "{\"input\":3}", AM_EXECUTED);
	world_answer(w, 0, 9);
	until_idle(w);
	check_flow(w, "6", NULL);
	world_until_true(w, w->client.n_got == 1);
	ck_assert_str_eq(w->client.got[0].name, "result");
	ck_assert_int_eq(w->client.got[0].value, 9);
	world_free(w);
}
END_TEST

START_TEST(flow_6b_window_of_two)
{
	struct world *w = world_new();

	w->env.window = 2;
	world_worker(w);
	world_lease(w, "L1", 0, 0);
	world_connect_client(w);
	world_until_state(w, w->w, Wrk_ClientConnected, true);
	flow_log_clear(&w->wlog);
	request(w, NULL, AM_EXECUTED);
	request(w, NULL, AM_EXECUTED);
	(void)world_add(w, &w->client, Wrk_WorkRequested, NULL);
	ck_assert_int_eq(w->client.error, ARPC_E_busy);
	ck_assert_str_eq(w->client.text, "window full (2)");
	world_answer(w, 0, 1);
	request(w, NULL, AM_EXECUTED);
	world_answer(w, 2, 3);
	world_answer(w, 1, 2);
	until_idle(w);
	check_flow(w, "6b", NULL);
	world_until_true(w, w->client.n_got == 3);
	ck_assert_int_eq(w->client.got[0].value, 1);
	ck_assert_int_eq(w->client.got[1].value, 3);
	ck_assert_int_eq(w->client.got[2].value, 2);
	world_free(w);
}
END_TEST

START_TEST(flow_8_refused_failed_crashed)
{
	struct world *w = leased();

	request(w, "{\"bad\":true}", AM_CANCELED);
	ck_assert_str_eq(w->client.text, "WorkRequestedEnter: bad input");
	request(w, NULL, AM_EXECUTED);
	ck_assert_int_eq(am_worker_fail(w->worker, w->req[0], "no", "no way"),
	    0);
	until_idle(w);
	request(w, "{\"crash\":true}", AM_CANCELED);
	check_flow(w, "8", NULL);
	world_until_true(w, w->client.n_got == 2);
	ck_assert_str_eq(w->client.got[0].code, "no");
	ck_assert_str_eq(w->client.got[0].message, "no way");
	ck_assert_str_eq(w->client.got[1].name, "ErrWork");
	ck_assert_str_eq(w->client.got[1].code, "handler_failed");
	ck_assert(!am_is1(w->w, Wrk_Exception));
	world_free(w);
}
END_TEST

START_TEST(flow_8b_deadline_soft_then_hard)
{
	struct world *w = world_new();

	w->env.hard_ms = 20;
	world_worker(w);
	world_lease(w, "L1", 0, 0);
	world_connect_client(w);
	world_until_state(w, w->w, Wrk_ClientConnected, true);
	flow_log_clear(&w->wlog);
	ck_assert_uint_eq(world_add_deadline(w, &w->client, Wrk_WorkRequested,
			      NULL, 20),
	    AM_EXECUTED);
	world_until_true(w, w->super.n_got == 1 && w->client.n_got == 1);
	check_flow(w, "8b", NULL);
	ck_assert_uint_eq(w->n_cancels, 1);
	ck_assert_str_eq(w->client.got[0].name, "ErrWorkTimeout");
	ck_assert_str_eq(w->super.got[0].name, "Error");
	ck_assert_str_eq(w->super.got[0].code, "ErrWorkTimeout");
	world_free(w);
}
END_TEST

START_TEST(flow_9_release)
{
	struct world *w = leased();

	world_end_lease(w, "L1", "released");
	world_until_state(w, w->w, Wrk_Leased, false);
	check_flow(w, "9", NULL);
	world_until_true(w, w->client.closed);
	ck_assert_str_eq(w->client.why, "released");
	world_free(w);
}
END_TEST

START_TEST(flow_9b_owner_dies_in_a_request)
{
	struct world *w = leased();
	const char *const closing[] = { "-ClientConnected", "-Leased", NULL };

	request(w, NULL, AM_EXECUTED);
	flow_log_clear(&w->wlog);
	world_end_lease(w, "L1", "owner-died");
	world_until_state(w, w->w, Wrk_Leased, false);
	check_flow(w, "9b", closing);
	world_until_true(w, w->client.closed);
	ck_assert_uint_eq(w->client.n_got, 1);
	ck_assert_str_eq(w->client.got[0].name, "canceled");
	ck_assert_str_eq(w->client.why, "owner-died");
	world_free(w);
}
END_TEST

START_TEST(flow_10_connection_lost_in_a_request)
{
	struct world *w = leased();

	request(w, NULL, AM_EXECUTED);
	flow_log_clear(&w->wlog);
	world_disconnect(w, &w->client);
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	world_answer(w, 0, 5);
	until_idle(w);
	world_connect_client(w);
	world_until_true(w, w->client.n_got == 1);
	check_flow(w, "10", NULL);
	ck_assert_int_eq(w->client.got[0].value, 5);
	world_free(w);
}
END_TEST

static void
on_ping(struct am_worker *worker, void *arg)
{
	(void)worker;
	(void)arg;
}

START_TEST(flow_12_healthcheck)
{
	struct world *w = world_new();

	w->conf.on_ping = on_ping;
	world_worker(w);
	(void)world_add(w, &w->super, Wrk_Healthcheck, NULL);
	am_worker_alive(w->worker);
	check_flow(w, "12", NULL);
	world_free(w);
}
END_TEST

START_TEST(flow_14_supervisor_comes_back_in_a_request)
{
	struct world *w = leased();

	request(w, NULL, AM_EXECUTED);
	flow_log_clear(&w->wlog);
	world_disconnect(w, &w->super);
	world_until_state(w, w->w, Wrk_SuperConnected, false);
	world_connect_super(w);
	world_until_true(w, w->super.n_got == 1);
	check_flow(w, "14", NULL);
	world_free(w);
}
END_TEST

UNIT_MAIN("flows_worker", flow_2_worker_start, flow_4_lease_with_an_idle_worker,
    flow_4b_no_hello_in_time, flow_4c_worker_refuses_serve_client,
    flow_6_one_request, flow_6b_window_of_two, flow_8_refused_failed_crashed,
    flow_8b_deadline_soft_then_hard, flow_9_release,
    flow_9b_owner_dies_in_a_request, flow_10_connection_lost_in_a_request,
    flow_12_healthcheck, flow_14_supervisor_comes_back_in_a_request)
