/* The facts S of flows.md: pool and leases in the supervisor's table. */
#include "proto/supervisor.h"
#include "tests/unit/facts.h"

static const am_id up[] = { Sup_Start, Sup_LocalRpcReady, Sup_PublicRpcReady,
	Sup_PoolReady, Sup_Ready, Sup_PoolNormalized, Sup_WorkersAvailable };
enum { N_UP = sizeof(up) / sizeof(up[0]) };

static struct fact *
pool_up(void)
{
	return fact_of(&am_supervisor_states, up, N_UP);
}

static struct fact *
started(size_t n)
{
	return fact_of(&am_supervisor_states, up, n);
}

#define ADD(f, ...) am_add((f)->m, RIG_LIST(__VA_ARGS__), fact_args(f, 1))
#define REMOVE(f, ...) am_remove((f)->m, RIG_LIST(__VA_ARGS__), AM_NONE)

START_TEST(s1_start_implies_pool_starting_and_normalizing)
{
	struct fact *f = started(1);

	ck_assert_str_eq(rig_active(f->rig),
	    "PoolStarting NormalizingPool Start");
	fact_free(f);
}
END_TEST

START_TEST(s2_pool_starting_holds_pool_ready_back)
{
	struct fact *f = started(1);

	ck_assert_uint_eq(ADD(f, Sup_WorkerReady), AM_EXECUTED);
	ck_assert(IS(f, Sup_PoolStarting) && NOT(f, Sup_PoolReady));
	(void)REMOVE(f, Sup_WorkerReady);
	ck_assert_uint_eq(am_add1(f->m, Sup_PoolReady, AM_NONE), AM_EXECUTED);
	ck_assert(IS(f, Sup_PoolReady) && NOT(f, Sup_PoolStarting));
	fact_free(f);
}
END_TEST

static bool
refuse(struct am_event *ev)
{
	return am_refuse(ev, "below Min");
}

START_TEST(s3_a_refusing_pool_ready_cancels_its_cause)
{
	static const struct am_handler no_enter[Sup__COUNT] = {
		[Sup_PoolReady] = { .enter = refuse },
	};
	static const struct am_handler no_exit[Sup__COUNT] = {
		[Sup_PoolReady] = { .exit = refuse },
	};
	struct fact *f = started(1);

	(void)REMOVE(f, Sup_PoolStarting);
	(void)am_add1(f->m, Sup_WorkerReady, AM_NONE);
	ck_assert(IS(f, Sup_PoolReady));
	fact_free(f);
	f = started(1);
	(void)REMOVE(f, Sup_PoolStarting);
	fact_bind(f, no_enter, Sup__COUNT);
	ck_assert_uint_eq(am_add1(f->m, Sup_WorkerReady, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "PoolReadyEnter: below Min");
	ck_assert_uint_eq(am_tick(f->m, Sup_WorkerReady), 0);
	fact_free(f);
	f = pool_up();
	fact_bind(f, no_exit, Sup__COUNT);
	ck_assert_uint_eq(ADD(f, Sup_WorkerGone), AM_CANCELED);
	ck_assert_uint_eq(am_tick(f->m, Sup_WorkerGone), 0);
	fact_free(f);
}
END_TEST

START_TEST(s4_worker_gone_takes_pool_ready_along)
{
	struct fact *f = pool_up();

	(void)ADD(f, Sup_WorkerGone);
	ck_assert(NOT(f, Sup_PoolReady, Sup_WorkersAvailable, Sup_Ready));
	(void)REMOVE(f, Sup_WorkerGone);
	ck_assert_uint_eq(am_add1(f->m, Sup_PoolReady, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_add1(f->m, Sup_Ready, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_add1(f->m, Sup_WorkersAvailable, AM_NONE),
	    AM_EXECUTED);
	fact_free(f);
}
END_TEST

START_TEST(s5_pool_normalized_swallows_the_implied_normalizing)
{
	struct fact *f = pool_up();

	ck_assert_uint_eq(ADD(f, Sup_WorkerKilled), AM_EXECUTED);
	ck_assert(NOT(f, Sup_NormalizingPool) && IS(f, Sup_PoolNormalized));
	fact_free(f);
	f = pool_up();
	ck_assert_uint_eq(ADD(f, Sup_ErrWorker, Sup_Exception), AM_EXECUTED);
	ck_assert(NOT(f, Sup_NormalizingPool) && IS(f, Sup_PoolNormalized));
	fact_free(f);
	f = pool_up();
	ck_assert_uint_eq(ADD(f, Sup_PoolStarting), AM_EXECUTED);
	ck_assert(NOT(f, Sup_NormalizingPool) && IS(f, Sup_PoolNormalized));
	fact_free(f);
	f = pool_up();
	(void)ADD(f, Sup_ErrPool, Sup_Exception);
	ck_assert(IS(f, Sup_NormalizingPool) && NOT(f, Sup_PoolNormalized));
	fact_free(f);
	f = pool_up();
	(void)ADD(f, Sup_PoolStarting, Sup_NormalizingPool);
	ck_assert(IS(f, Sup_NormalizingPool, Sup_PoolStarting));
	ck_assert(NOT(f, Sup_PoolNormalized, Sup_PoolReady));
	fact_free(f);
}
END_TEST

static void
gone_then_provide(struct fact *f)
{
	(void)ADD1(f, Sup_WorkerGone, 1);
	(void)ADD1(f, Sup_ProvideWorker, 1);
}

START_TEST(s6_provide_worker_needs_workers_available)
{
	struct fact *f = pool_up();

	(void)REMOVE(f, Sup_WorkersAvailable);
	ck_assert_uint_eq(ADD(f, Sup_ProvideWorker), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m),
	    "ProvideWorker requires WorkersAvailable");
	(void)am_add1(f->m, Sup_WorkersAvailable, AM_NONE);
	fact_batch(f, gone_then_provide);
	ck_assert_uint_eq(am_tick(f->m, Sup_ProvideWorker), 0);
	(void)REMOVE(f, Sup_WorkerGone);
	ck_assert_uint_eq(am_add1(f->m, Sup_WorkersAvailable, AM_NONE),
	    AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "WorkersAvailable requires PoolReady");
	ck_assert_uint_eq(ADD(f, Sup_LeaseRequested), AM_EXECUTED);
	fact_free(f);
}
END_TEST

START_TEST(s7_start_leaves_pool_starting_behind)
{
	struct fact *f = started(2);

	(void)REMOVE(f, Sup_Start);
	ck_assert_str_eq(rig_active(f->rig), "PoolStarting");
	fact_free(f);
	f = started(2);
	(void)REMOVE(f, Sup_Start, Sup_PoolStarting);
	ck_assert_str_eq(rig_active(f->rig), "");
	ck_assert_uint_eq(ADD(f, Sup_KillWorker), AM_EXECUTED);
	ck_assert_uint_eq(ADD(f, Sup_WorkerKilled), AM_EXECUTED);
	ck_assert(NOT(f, Sup_NormalizingPool, Sup_Heartbeat));
	fact_free(f);
}
END_TEST

START_TEST(s8_exception_holds_every_error_state)
{
	struct fact *f = pool_up();

	(void)ADD(f, Sup_ErrPool, Sup_Exception);
	(void)ADD(f, Sup_ErrWorker, Sup_Exception);
	(void)REMOVE(f, Sup_ErrWorker);
	ck_assert(IS(f, Sup_ErrPool, Sup_Exception));
	(void)REMOVE(f, Sup_Exception);
	ck_assert(NOT(f, Sup_ErrPool));
	fact_free(f);
}
END_TEST

static void
hear_and_remove_error(struct am_event *ev)
{
	fact_hear(ev);
	(void)am_remove(ev->machine, RIG_LIST(Sup_ErrWorker, Sup_Exception),
	    AM_NONE);
}

static void
two_errors(struct fact *f)
{
	for (int i = 1; i <= 2; i++)
		(void)am_add(f->m, RIG_LIST(Sup_ErrWorker, Sup_Exception),
		    fact_args(f, i));
}

static void
pulse_two_errors(struct am_event *ev)
{
	for (int i = 1; i <= 2; i++)
		ck_assert_int_eq(am_pulse(ev->machine,
				     RIG_LIST(Sup_ErrWorker, Sup_Exception),
				     fact_args(ev->arg, i)),
		    0);
}

START_TEST(s9_only_pulses_of_err_worker_are_all_heard)
{
	static const struct am_handler removing[Sup__COUNT] = {
		[Sup_ErrWorker] = { .state = hear_and_remove_error },
	};
	static const struct am_handler pulsing[Sup__COUNT] = {
		[Sup_ErrWorker] = { .state = fact_hear },
		[Sup_WorkerGone] = { .state = pulse_two_errors },
	};
	struct fact *f = pool_up();

	fact_bind(f, removing, Sup__COUNT);
	fact_batch(f, two_errors);
	FACT_HEARD(f, 1);
	fact_free(f);
	f = pool_up();
	fact_bind(f, pulsing, Sup__COUNT);
	(void)ADD(f, Sup_WorkerGone);
	FACT_HEARD(f, 1, 2);
	fact_free(f);
}
END_TEST

START_TEST(s10_draining_refuses_by_relations)
{
	static const am_id no[] = { Sup_LeaseRequested, Sup_ProvideWorker,
		Sup_ForkWorker, Sup_WorkersAvailable, Sup_Ready,
		Sup_PoolStarting };
	static const am_id yes[] = { Sup_WorkerKilled, Sup_ReleaseWorker,
		Sup_LeaseEnded, Sup_WorkerGone };
	struct fact *f = pool_up();

	(void)am_add1(f->m, Sup_NormalizingPool, AM_NONE);
	ck_assert_uint_eq(am_add1(f->m, Sup_Draining, AM_NONE), AM_EXECUTED);
	ck_assert(IS(f, Sup_PoolReady));
	ck_assert(NOT(f, Sup_Ready, Sup_WorkersAvailable, Sup_NormalizingPool));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		ck_assert_msg(ADD1(f, no[i], 1) == AM_CANCELED, "%s",
		    am_schema_name(f->s, no[i]));
	(void)ADD1(f, Sup_LeaseRequested, 1);
	ck_assert_str_eq(am_why(f->m), "LeaseRequested removed by Draining");
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		ck_assert_uint_eq(ADD1(f, yes[i], 1), AM_EXECUTED);
		ck_assert(NOT(f, Sup_NormalizingPool));
		(void)am_remove1(f->m, yes[i], AM_NONE);
	}
	(void)REMOVE(f, Sup_Start, Sup_PoolStarting);
	(void)REMOVE(f, Sup_Heartbeat);
	ck_assert_str_eq(rig_active(f->rig), "");
	fact_free(f);
}
END_TEST

static void
hear_adopting(struct am_event *ev)
{
	struct fact *f = ev->arg;

	f->heard[f->n_heard++] = am_is1(ev->machine, Sup_AdoptingWorkers);
}

START_TEST(s11_adopting_comes_before_any_fork)
{
	static const struct am_handler of[Sup__COUNT] = {
		[Sup_NormalizingPool] = { .state = hear_adopting },
	};
	struct fact *f = started(0);

	fact_bind(f, of, Sup__COUNT);
	(void)ADD(f, Sup_Start, Sup_AdoptingWorkers);
	FACT_HEARD(f, 1);
	ck_assert_uint_eq(ADD(f, Sup_ForkWorker), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "ForkWorker removed by AdoptingWorkers");
	(void)REMOVE(f, Sup_AdoptingWorkers);
	ck_assert_uint_eq(ADD(f, Sup_ForkWorker), AM_EXECUTED);
	fact_free(f);
}
END_TEST

static void
hear_and_remove(struct am_event *ev)
{
	fact_hear(ev);
	(void)am_remove1(ev->machine, ev->state, AM_NONE);
}

static const am_id pulses[] = { Sup_LeaseRequested, Sup_LeaseGranted,
	Sup_LeaseEnded, Sup_ClientSendPayload, Sup_WorkerReady };

static void
three_of_each(struct fact *f)
{
	for (size_t i = 0; i < sizeof(pulses) / sizeof(pulses[0]); i++)
		for (int k = 0; k < 3; k++)
			(void)ADD1(f, pulses[i], k);
}

START_TEST(s12_every_multi_pulse_is_heard_in_order)
{
	static const struct am_handler of[Sup__COUNT] = {
		[Sup_LeaseRequested] = { .state = hear_and_remove },
		[Sup_LeaseGranted] = { .state = hear_and_remove },
		[Sup_LeaseEnded] = { .state = hear_and_remove },
		[Sup_ClientSendPayload] = { .state = hear_and_remove },
		[Sup_WorkerReady] = { .state = hear_and_remove },
	};
	struct fact *f = pool_up();

	fact_bind(f, of, Sup__COUNT);
	fact_batch(f, three_of_each);
	FACT_HEARD(f, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2);
	ck_assert(am_is(f->m, up, N_UP));
	ck_assert(am_not(f->m, pulses, sizeof(pulses) / sizeof(pulses[0])));
	fact_free(f);
}
END_TEST

START_TEST(s13_a_pulse_left_active_goes_on_acting)
{
	struct fact *f = pool_up();

	(void)am_add1(f->m, Sup_WorkerReady, AM_NONE);
	(void)REMOVE(f, Sup_PoolReady);
	ck_assert(NOT(f, Sup_PoolReady));
	(void)ADD(f, Sup_SetWorker);
	ck_assert(IS(f, Sup_PoolReady));
	fact_free(f);
}
END_TEST

START_TEST(s14_ready_is_not_auto)
{
	struct fact *f = started(3);

	ck_assert_uint_eq(am_add1(f->m, Sup_Ready, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "Ready requires PoolReady");
	(void)am_add1(f->m, Sup_PoolReady, AM_NONE);
	ck_assert(NOT(f, Sup_Ready));
	ck_assert_uint_eq(am_add1(f->m, Sup_Ready, AM_NONE), AM_EXECUTED);
	fact_free(f);
}
END_TEST

START_TEST(s15_err_pool_is_cleared_before_pool_normalized)
{
	struct fact *f = pool_up();

	(void)ADD(f, Sup_ErrPool, Sup_Exception);
	ck_assert_uint_eq(am_add1(f->m, Sup_PoolNormalized, AM_NONE),
	    AM_CANCELED);
	ck_assert_str_eq(am_why(f->m), "PoolNormalized removed by ErrPool");
	(void)REMOVE(f, Sup_ErrPool, Sup_Exception);
	ck_assert_uint_eq(am_add1(f->m, Sup_PoolNormalized, AM_NONE),
	    AM_EXECUTED);
	fact_free(f);
}
END_TEST

UNIT_MAIN("facts_supervisor", s1_start_implies_pool_starting_and_normalizing,
    s2_pool_starting_holds_pool_ready_back,
    s3_a_refusing_pool_ready_cancels_its_cause,
    s4_worker_gone_takes_pool_ready_along,
    s5_pool_normalized_swallows_the_implied_normalizing,
    s6_provide_worker_needs_workers_available,
    s7_start_leaves_pool_starting_behind, s8_exception_holds_every_error_state,
    s9_only_pulses_of_err_worker_are_all_heard,
    s10_draining_refuses_by_relations, s11_adopting_comes_before_any_fork,
    s12_every_multi_pulse_is_heard_in_order,
    s13_a_pulse_left_active_goes_on_acting, s14_ready_is_not_auto,
    s15_err_pool_is_cleared_before_pool_normalized)
