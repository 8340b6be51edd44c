/* The facts R, L and H of flows.md: requests and leases in the worker's
 * table. */
#include "proto/worker.h"
#include "tests/unit/facts.h"

static const am_id up[] = { Wrk_Start, Wrk_LocalRpcReady, Wrk_PublicRpcReady,
	Wrk_SuperConnected, Wrk_Ready };
enum { N_UP = sizeof(up) / sizeof(up[0]) };

static struct fact *
worker(void)
{
	return fact_of(&am_worker_states, up, N_UP);
}

static void
add_working(struct am_event *ev)
{
	fact_hear(ev);
	(void)am_add1(ev->machine, Wrk_Working, AM_NONE);
}

static bool
busy(struct am_event *ev)
{
	return am_refuse(ev, "a request is being taken");
}

static void
crash(struct am_event *ev)
{
	am_fail(ev, "crash");
}

static void
three_requests(struct fact *f)
{
	for (int i = 1; i <= 3; i++)
		(void)ADD1(f, Wrk_WorkRequested, i);
}

START_TEST(r1_a_second_work_requested_is_lost)
{
	static const struct am_handler of[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = fact_hear },
	};

	for (int with_args = 0; with_args < 2; with_args++) {
		struct fact *f = worker();
		uint64_t tick;

		fact_bind(f, of, Wrk__COUNT);
		(void)ADD1(f, Wrk_WorkRequested, 1);
		tick = am_tick(f->m, Wrk_WorkRequested);
		ck_assert_uint_eq(am_add1(f->m, Wrk_WorkRequested,
				      with_args ? fact_args(f, 2) : AM_NONE),
		    AM_EXECUTED);
		ck_assert_uint_eq(am_tick(f->m, Wrk_WorkRequested), tick);
		FACT_HEARD(f, 1);
		fact_free(f);
	}
}
END_TEST

START_TEST(r2_work_requested_ends_working)
{
	static const struct am_handler of[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = fact_hear },
		[Wrk_Working] = { .end = fact_hear },
	};
	struct fact *f = worker();

	(void)ADD1(f, Wrk_WorkRequested, 1);
	(void)ADD1(f, Wrk_Working, 0);
	fact_bind(f, of, Wrk__COUNT);
	ck_assert_uint_eq(ADD1(f, Wrk_WorkRequested, 2), AM_EXECUTED);
	ck_assert(IS(f, Wrk_WorkRequested));
	ck_assert(NOT(f, Wrk_Working, Wrk_Idle));
	FACT_HEARD(f, 2, 2);
	fact_free(f);
}
END_TEST

START_TEST(r3_only_a_drain_for_each_request_loses_none)
{
	static const struct am_handler plain[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = add_working },
	};
	static const struct am_handler guarded[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = add_working, .self = busy },
	};
	struct fact *f = worker();

	fact_bind(f, plain, Wrk__COUNT);
	fact_batch(f, three_requests);
	FACT_HEARD(f, 1);
	fact_free(f);
	f = worker();
	fact_bind(f, plain, Wrk__COUNT);
	three_requests(f);
	FACT_HEARD(f, 1, 2, 3);
	ck_assert(IS(f, Wrk_Working));
	fact_free(f);
	f = worker();
	fact_bind(f, guarded, Wrk__COUNT);
	fact_batch(f, three_requests);
	FACT_HEARD(f, 1);
	ck_assert(IS(f, Wrk_Working));
	ck_assert_str_eq(rig_log(f->rig),
	    "?Exception, +WorkRequested, "
	    "+WorkRequested canceled (WorkRequestedWorkRequested: a request "
	    "is being taken), "
	    "+WorkRequested canceled (WorkRequestedWorkRequested: a request "
	    "is being taken), +Working");
	fact_free(f);
}
END_TEST

static void
two_without_args(struct fact *f)
{
	(void)am_add1(f->m, Wrk_WorkRequested, AM_NONE);
	ck_assert_uint_eq(am_add1(f->m, Wrk_WorkRequested, AM_NONE),
	    AM_EXECUTED);
}

START_TEST(r4_without_args_the_queue_drops_the_second)
{
	struct fact *f = worker();
	uint64_t tick = am_queue_tick(f->m);

	fact_batch(f, two_without_args);
	ck_assert_uint_eq(am_queue_tick(f->m), tick + 1);
	ck_assert_str_eq(rig_log(f->rig), "?Exception, +WorkRequested");
	fact_free(f);
}
END_TEST

/* ---- R5: three payloads of one handler ---- */

static void
hear_and_remove(struct am_event *ev)
{
	fact_hear(ev);
	(void)am_remove1(ev->machine, Wrk_ClientSendPayload, AM_NONE);
}

static void
send_three(struct am_event *ev)
{
	for (int i = 1; i <= 3; i++)
		(void)ADD1((struct fact *)ev->arg, Wrk_ClientSendPayload, i);
}

static void
pulse_three(struct am_event *ev)
{
	for (int i = 1; i <= 3; i++)
		ck_assert_int_eq(am_pulse(ev->machine,
				     RIG_LIST(Wrk_ClientSendPayload),
				     fact_args(ev->arg, i)),
		    0);
}

static void
send_and_remove_three(struct am_event *ev)
{
	for (int i = 1; i <= 3; i++) {
		(void)ADD1((struct fact *)ev->arg, Wrk_ClientSendPayload, i);
		(void)am_remove1(ev->machine, Wrk_ClientSendPayload, AM_NONE);
	}
}

START_TEST(r5_only_pulses_lose_no_payload)
{
	static const struct am_handler self_removing[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = send_three },
		[Wrk_ClientSendPayload] = { .state = hear_and_remove },
	};
	static const struct am_handler pulsing[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = pulse_three },
		[Wrk_ClientSendPayload] = { .state = fact_hear },
	};
	static const struct am_handler no_args[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = send_and_remove_three },
		[Wrk_ClientSendPayload] = { .state = fact_hear },
	};
	struct fact *f = worker();

	fact_bind(f, self_removing, Wrk__COUNT);
	(void)ADD1(f, Wrk_WorkRequested, 1);
	FACT_HEARD(f, 1);
	ck_assert(NOT(f, Wrk_ClientSendPayload));
	fact_free(f);
	f = worker();
	fact_bind(f, pulsing, Wrk__COUNT);
	(void)ADD1(f, Wrk_WorkRequested, 1);
	FACT_HEARD(f, 1, 2, 3);
	ck_assert(NOT(f, Wrk_ClientSendPayload));
	fact_free(f);
	f = worker();
	fact_bind(f, no_args, Wrk__COUNT);
	(void)ADD1(f, Wrk_WorkRequested, 1);
	FACT_HEARD(f, 1, 2);
	ck_assert(IS(f, Wrk_ClientSendPayload));
	fact_free(f);
}
END_TEST

static void
work_then_crash(struct am_event *ev)
{
	(void)am_add1(ev->machine, Wrk_Working, AM_NONE);
	am_fail(ev, "crash");
}

START_TEST(r6_a_failed_request_is_rolled_back)
{
	static const struct am_handler crashing[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = crash },
	};
	static const struct am_handler working[Wrk__COUNT] = {
		[Wrk_WorkRequested] = { .state = work_then_crash },
	};
	struct fact *f = worker();

	ck_assert(IS(f, Wrk_Idle));
	fact_bind(f, crashing, Wrk__COUNT);
	ck_assert_uint_eq(ADD1(f, Wrk_WorkRequested, 1), AM_CANCELED);
	ck_assert(IS(f, Wrk_Exception, Wrk_Idle));
	ck_assert(NOT(f, Wrk_WorkRequested));
	ck_assert_str_eq(am_why(f->m),
	    "WorkRequestedState failed, rolled back: crash");
	fact_free(f);
	/* What it had queued still runs, after Exception and auto. */
	f = worker();
	fact_bind(f, working, Wrk__COUNT);
	ck_assert_uint_eq(ADD1(f, Wrk_WorkRequested, 1), AM_CANCELED);
	ck_assert(IS(f, Wrk_Exception, Wrk_Working));
	ck_assert(NOT(f, Wrk_Idle));
	fact_free(f);
}
END_TEST

START_TEST(r7_idle_comes_back_by_itself)
{
	static const am_id work[] = { Wrk_WorkRequested, Wrk_Working,
		Wrk_WorkReady };
	struct fact *f = worker();

	for (size_t i = 0; i < 3; i++) {
		(void)ADD1(f, work[i], 0);
		ck_assert(am_is1(f->m, work[i]) && NOT(f, Wrk_Idle));
	}
	(void)am_remove1(f->m, Wrk_WorkReady, AM_NONE);
	ck_assert(IS(f, Wrk_Idle));
	(void)am_remove1(f->m, Wrk_Idle, AM_NONE);
	ck_assert(IS(f, Wrk_Idle));
	(void)rig_log(f->rig);
	(void)am_add1(f->m, Wrk_Healthcheck, AM_NONE);
	ck_assert_str_eq(rig_log(f->rig), "+Healthcheck");
	fact_free(f);
}
END_TEST

static void
lease(struct am_event *ev)
{
	(void)am_add1(ev->machine, Wrk_Leased, ev->args);
}

START_TEST(r8_leased_disturbs_serve_client_only)
{
	static const struct am_handler of[Wrk__COUNT] = {
		[Wrk_ServeClient] = { .state = lease },
	};
	struct fact *f = worker();

	fact_bind(f, of, Wrk__COUNT);
	(void)ADD1(f, Wrk_ServeClient, 1);
	ck_assert(IS(f, Wrk_Leased, Wrk_Idle) && NOT(f, Wrk_ServeClient));
	ck_assert_uint_eq(ADD1(f, Wrk_ServeClient, 2), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "ServeClient removed by Leased");
	(void)ADD1(f, Wrk_LeaseEnding, 1);
	ck_assert_uint_eq(ADD1(f, Wrk_WorkRequested, 1), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "WorkRequested removed by LeaseEnding");
	ck_assert(IS(f, Wrk_Idle));
	(void)am_remove1(f->m, Wrk_Leased, fact_args(f, 1));
	ck_assert(NOT(f, Wrk_LeaseEnding) && IS(f, Wrk_Idle));
	(void)ADD1(f, Wrk_Working, 0);
	(void)ADD1(f, Wrk_Leased, 0);
	(void)ADD1(f, Wrk_LeaseEnding, 0);
	ck_assert(IS(f, Wrk_Working));
	fact_free(f);
}
END_TEST

START_TEST(r9_without_public_address_ready_and_idle_stay)
{
	struct fact *f = worker();

	(void)ADD1(f, Wrk_Leased, 1);
	(void)am_remove1(f->m, Wrk_PublicRpcReady, AM_NONE);
	ck_assert(IS(f, Wrk_Ready, Wrk_Idle));
	ck_assert(NOT(f, Wrk_RpcReady, Wrk_Leased));
	ck_assert_uint_eq(ADD1(f, Wrk_ServeClient, 1), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "ServeClient requires PublicRpcReady");
	(void)am_remove1(f->m, Wrk_Start, AM_NONE);
	ck_assert_str_eq(rig_active(f->rig), "");
	fact_free(f);
}
END_TEST

START_TEST(r10_set_clears_the_lease)
{
	struct fact *f = worker();

	(void)ADD1(f, Wrk_Leased, 1);
	(void)ADD1(f, Wrk_ClientConnected, 1);
	ck_assert_uint_eq(am_set(f->m, RIG_LIST(Wrk_WorkRequested),
			      fact_args(f, 1)),
	    AM_CANCELED);
	ck_assert_uint_eq(am_set(f->m,
			      RIG_LIST(Wrk_Start, Wrk_LocalRpcReady,
				  Wrk_PublicRpcReady, Wrk_Ready,
				  Wrk_WorkRequested),
			      fact_args(f, 1)),
	    AM_EXECUTED);
	ck_assert(NOT(f, Wrk_Leased, Wrk_SuperConnected, Wrk_ClientConnected));
	fact_free(f);
}
END_TEST

static void
cancel_two(struct fact *f)
{
	(void)ADD1(f, Wrk_CancelWork, 1);
	(void)ADD1(f, Wrk_CancelWork, 2);
}

START_TEST(r11_every_cancel_work_is_heard_while_working)
{
	static const struct am_handler of[Wrk__COUNT] = {
		[Wrk_CancelWork] = { .state = fact_hear },
	};
	struct fact *f = worker();

	fact_bind(f, of, Wrk__COUNT);
	ck_assert_uint_eq(ADD1(f, Wrk_CancelWork, 1), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "CancelWork requires Working");
	(void)ADD1(f, Wrk_Working, 0);
	fact_batch(f, cancel_two);
	FACT_HEARD(f, 1, 2);
	ck_assert(IS(f, Wrk_Working));
	(void)am_remove1(f->m, Wrk_Working, AM_NONE);
	ck_assert(NOT(f, Wrk_CancelWork));
	fact_free(f);
}
END_TEST

static void
hello_and_bye(struct fact *f)
{
	(void)ADD1(f, Wrk_ClientConnected, 1);
	(void)am_remove1(f->m, Wrk_ClientConnected, fact_args(f, 1));
}

START_TEST(l1_hello_and_bye_in_one_turn_are_two_ticks)
{
	struct fact *f = worker();
	uint64_t tick = am_tick(f->m, Wrk_ClientConnected);

	fact_batch(f, hello_and_bye);
	ck_assert_uint_eq(am_tick(f->m, Wrk_ClientConnected), tick + 2);
	ck_assert(NOT(f, Wrk_ClientConnected));
	fact_free(f);
}
END_TEST

START_TEST(l3_serve_client_is_canceled_while_leased)
{
	struct fact *f = worker();

	ck_assert_uint_eq(ADD1(f, Wrk_ServeClient, 1), AM_EXECUTED);
	(void)ADD1(f, Wrk_Leased, 1);
	ck_assert(NOT(f, Wrk_ServeClient));
	ck_assert_uint_eq(ADD1(f, Wrk_ServeClient, 9), AM_CANCELED);
	ck_assert(IS(f, Wrk_Leased));
	fact_free(f);
}
END_TEST

START_TEST(h1_a_second_healthcheck_ticks_by_itself)
{
	struct fact *f = worker();
	uint64_t tick;

	(void)am_add1(f->m, Wrk_Healthcheck, AM_NONE);
	tick = am_tick(f->m, Wrk_Healthcheck);
	(void)am_add1(f->m, Wrk_Healthcheck, AM_NONE);
	ck_assert_uint_eq(am_tick(f->m, Wrk_Healthcheck), tick + 2);
	ck_assert(IS(f, Wrk_Healthcheck));
	(void)am_remove1(f->m, Wrk_Healthcheck, AM_NONE);
	ck_assert_uint_eq(am_tick(f->m, Wrk_Healthcheck) % 2, 0);
	fact_free(f);
}
END_TEST

/* O3 belongs here: it is about Leased. */
START_TEST(o3_leased_disturbs_nothing_but_serve_client)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		uint64_t rnd = seed * UINT64_C(0x9e3779b97f4a7c15);
		struct fact *a = worker(), *b = worker();

		(void)ADD1(b, Wrk_Leased, 1);
		for (int i = 0; i < 40; i++) {
			am_id ids[2];
			size_t n = 1 + (fact_random(&rnd, 3) == 0);
			bool add = fact_random(&rnd, 3) > 0;

			for (size_t k = 0; k < n; k++)
				do
					ids[k] = (am_id)fact_random(&rnd, 24);
				while (ids[k] == Wrk_ServeClient);
			ck_assert_uint_eq(add
				? am_add(a->m, ids, n, fact_args(a, 1))
				: am_remove(a->m, ids, n, fact_args(a, 1)),
			    add ? am_add(b->m, ids, n, fact_args(b, 1))
				: am_remove(b->m, ids, n, fact_args(b, 1)));
			for (am_id k = 0; k < Wrk__COUNT; k++)
				ck_assert(am_is1(a->m, k) == am_is1(b->m, k) ||
				    k == Wrk_Leased);
		}
		fact_free(a);
		fact_free(b);
	}
}
END_TEST

UNIT_MAIN("facts_worker", r1_a_second_work_requested_is_lost,
    r2_work_requested_ends_working, r3_only_a_drain_for_each_request_loses_none,
    r4_without_args_the_queue_drops_the_second, r5_only_pulses_lose_no_payload,
    r6_a_failed_request_is_rolled_back, r7_idle_comes_back_by_itself,
    r8_leased_disturbs_serve_client_only,
    r9_without_public_address_ready_and_idle_stay, r10_set_clears_the_lease,
    r11_every_cancel_work_is_heard_while_working,
    l1_hello_and_bye_in_one_turn_are_two_ticks,
    l3_serve_client_is_canceled_while_leased,
    h1_a_second_healthcheck_ticks_by_itself,
    o3_leased_disturbs_nothing_but_serve_client)
