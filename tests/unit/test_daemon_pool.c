/* How many workers the pool wants, when it starts them, when it gives up. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/unit/super_rig.h"
#include "tests/unit/unit.h"

#define ASK "{\"request\":1,\"timeout_ms\":30000}"

START_TEST(wanted_is_what_the_formula_says)
{
	static const struct {
		int min, warm, max, leased, waiting, wanted;
	} table[] = {
		{ 2, 5, 10, 0, 0, 7 },
		{ 2, 5, 10, 2, 0, 7 },
		{ 2, 5, 10, 3, 0, 8 },
		{ 2, 5, 10, 5, 0, 10 },
		{ 2, 5, 10, 9, 0, 10 },
		{ 1, 0, 4, 0, 0, 1 },
		{ 1, 0, 4, 1, 0, 1 },
		{ 1, 0, 4, 1, 1, 2 },
		{ 1, 0, 4, 1, 64, 4 },
		{ 1, 0, 4, 3, 0, 3 },
		{ 3, 2, 4, 0, 0, 4 },
		{ 3, 2, 9, 1, 2, 5 },
		{ 3, 2, 9, 1, 3, 6 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct rig *r = rig_new(table[i].min, table[i].warm,
		    table[i].max, NULL, 0);

		r->super.model.n[WORKER_LEASED] = (unsigned)table[i].leased;
		r->super.model.n_waiting = (unsigned)table[i].waiting;
		ck_assert_msg((int)settle_wanted(&r->super) == table[i].wanted,
		    "row %zu: %u", i, settle_wanted(&r->super));
		rig_free(r);
	}
}
END_TEST

START_TEST(pauses_grow_and_are_capped)
{
	ck_assert_int_eq(starts_pause_ms(0, 0), 0);
	ck_assert_int_eq(starts_pause_ms(1, 255), 0);
	ck_assert_int_eq(starts_pause_ms(2, 0), 100);
	ck_assert_int_eq(starts_pause_ms(3, 0), 200);
	ck_assert_int_eq(starts_pause_ms(7, 0), 3200);
	ck_assert_int_eq(starts_pause_ms(8, 0), 5000);
	ck_assert_int_eq(starts_pause_ms(4000000000U, 0), 5000);
	for (unsigned n = 2; n < 12; n++) {
		int64_t least = starts_pause_ms(n, 255);

		ck_assert_int_lt(least, starts_pause_ms(n, 0));
		ck_assert_int_ge(least, starts_pause_ms(n, 0) * 4 / 5);
	}
}
END_TEST

START_TEST(starts_are_bounded_by_start_parallel)
{
	static const char *const set[] = { "Pool.StartParallel=2" };
	struct rig *r = rig_new(5, 0, 5, set, 1);
	struct worker *w;

	event_start(&r->super);
	ck_assert_uint_eq(r->n_spawned, 2);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	w = rig_worker(r, "w1");
	rig_hello(w);
	ck_assert_uint_eq(r->n_spawned, 2);
	rig_push(w);
	ck_assert_uint_eq(r->n_spawned, 3);
	ck_assert_uint_eq(model_starting(&r->super.model), 2);
	rig_free(r);
}
END_TEST

START_TEST(a_lease_makes_the_pool_grow_up_to_max)
{
	struct rig *r = rig_up(1, 1, 3);

	ck_assert_uint_eq(r->super.model.n_workers, 2);
	(void)rig_lease(r, &r->c1, ASK);
	ck_assert_uint_eq(r->super.model.n_workers, 2);
	(void)rig_lease(r, &r->c2, ASK);
	ck_assert_uint_eq(r->super.model.n_workers, 3);
	ck_assert(super_is(&r->super, Sup_NormalizingPool));
	rig_hello(rig_worker(r, "w3"));
	rig_push(rig_worker(r, "w3"));
	ck_assert(super_is(&r->super, Sup_PoolNormalized));
	rig_free(r);
}
END_TEST

START_TEST(who_waits_gets_a_worker_started_up_to_max)
{
	struct rig *r = rig_up(1, 0, 3);

	(void)rig_lease(r, &r->c1, ASK);
	ck_assert_uint_eq(r->super.model.n_workers, 1);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested, ASK);
	ck_assert(super_is(&r->super, Sup_ClientsWaiting));
	ck_assert_uint_eq(r->super.model.n_workers, 2);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested,
	    "{\"request\":2,\"timeout_ms\":30000}");
	(void)rig_add(r, &r->c2, Sup_LeaseRequested,
	    "{\"request\":3,\"timeout_ms\":30000}");
	ck_assert_uint_eq(r->super.model.n_workers, 3);
	rig_hello(rig_worker(r, "w2"));
	rig_push(rig_worker(r, "w2"));
	ck_assert_uint_eq(rig_worker(r, "w2")->lease->waiter->request, 1);
	ck_assert_uint_eq(r->super.model.n_workers, 3);
	rig_free(r);
}
END_TEST

START_TEST(started_for_who_gave_up_it_is_surplus)
{
	struct rig *r = rig_up(1, 0, 3);
	struct worker *w2;

	(void)rig_lease(r, &r->c1, ASK);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested, ASK);
	w2 = rig_worker(r, "w2");
	(void)rig_add(r, &r->c2, Sup_ReleaseWorker,
	    "{\"request\":1,\"reason\":\"timeout\"}");
	ck_assert(super_is(&r->super, Sup_PoolNormalized));
	rig_hello(w2);
	rig_push(w2);
	ck_assert_int_ne(r->super.pool_timer.deadline_ns, 0);
	w2->idle_ns -= 61 * NS_PER_S;
	settle(&r->super);
	ck_assert_str_eq(w2->kill_reason, "surplus");
	rig_free(r);
}
END_TEST

START_TEST(surplus_leaves_after_idle_ttl_and_never_below_min_and_warm)
{
	struct rig *r = rig_up(1, 1, 3);
	struct worker *w1 = rig_lease(r, &r->c1, ASK);
	struct worker *w2 = rig_lease(r, &r->c2, ASK), *w3;

	w3 = rig_worker(r, "w3");
	rig_hello(w3);
	rig_push(w3);
	emit_release_lease(&r->super, w1->lease, "released");
	rig_end(w1);
	emit_release_lease(&r->super, w2->lease, "released");
	rig_end(w2);
	ck_assert_uint_eq(r->super.model.n[WORKER_IDLE], 3);
	settle(&r->super);
	ck_assert_uint_eq(r->super.model.n[WORKER_IDLE], 3);
	ck_assert_int_ne(r->super.pool_timer.deadline_ns, 0);
	w2->idle_ns -= 61 * NS_PER_S;
	w3->idle_ns -= 62 * NS_PER_S;
	settle(&r->super);
	ck_assert_str_eq(w3->kill_reason, "surplus");
	ck_assert_str_eq(w2->kill_reason, "");
	ck_assert_uint_eq(r->super.model.n[WORKER_IDLE], 2);
	rig_free(r);
}
END_TEST

/* Replaces the worker that died, as far as that is allowed now. */
static struct worker *
die(struct rig *r, struct worker *w)
{
	event_worker_gone(w, "eof");
	event_worker_exit(w, "signal=9");
	w = TAILQ_FIRST(&r->super.model.workers);
	if (w != NULL) {
		rig_hello(w);
		rig_push(w);
	}
	return w;
}

START_TEST(the_first_death_is_replaced_at_once_further_ones_pause)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = die(r, rig_worker(r, "w1"));

	ck_assert_ptr_nonnull(w);
	ck_assert_uint_eq(w->deaths_in_a_row, 1);
	w = die(r, w);
	ck_assert_ptr_null(w);
	ck_assert_int_ne(r->super.pool_timer.deadline_ns, 0);
	r->super.model.starts.retry[0].not_before_ns = clock_ns();
	settle(&r->super);
	w = TAILQ_FIRST(&r->super.model.workers);
	ck_assert_ptr_nonnull(w);
	ck_assert_uint_eq(w->deaths_in_a_row, 2);
	/* One that lived begins a new row. */
	rig_hello(w);
	rig_push(w);
	w->ready_ns -= 10 * NS_PER_S;
	w = die(r, w);
	ck_assert_ptr_nonnull(w);
	ck_assert_uint_eq(w->deaths_in_a_row, 1);
	rig_free(r);
}
END_TEST

START_TEST(a_round_fails_once_however_many_starts_it_had)
{
	struct rig *r = rig_new(4, 0, 4, NULL, 0);
	struct worker *w, *next;

	r->spawn_error = -ENOENT;
	event_start(&r->super);
	ck_assert_uint_eq(r->super.model.n_workers, 4);
	r->super.model.starts.hold_until_ns = INT64_MAX;
	for (w = TAILQ_FIRST(&r->super.model.workers); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->round == 1)
			rig_fire(&w->timer);
	}
	ck_assert_uint_eq(r->super.model.starts.failed_rounds, 1);
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_exits_before_it_is_ready_fails_its_start)
{
	struct rig *r = rig_new(1, 0, 1, NULL, 0);
	struct worker *w;

	event_start(&r->super);
	w = rig_worker(r, "w1");
	event_worker_exit(w, "status=1");
	ck_assert_uint_eq(r->super.model.starts.failed_rounds, 1);
	ck_assert_ptr_nonnull(strstr(r->super.model.starts.reason, "status=1"));
	ck_assert_ptr_nonnull(worker_find(&r->super.model, "w2"));
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_is_not_ready_in_time_is_killed)
{
	struct rig *r = rig_new(1, 0, 1, NULL, 0);
	struct worker *w;

	event_start(&r->super);
	w = rig_worker(r, "w1");
	rig_fire(&w->timer);
	ck_assert(w->state == WORKER_STARTING);
	rig_fire(&w->timer);
	ck_assert_str_eq(w->kill_reason, "start-failed");
	ck_assert_int_eq(r->last_signal, SIGTERM);
	ck_assert_ptr_nonnull(
	    strstr(r->super.model.starts.reason, "StartTimeout"));
	rig_fire(&w->timer);
	ck_assert_int_eq(r->last_signal, SIGKILL);
	event_worker_exit(w, "signal=9");
	ck_assert_uint_eq(r->super.model.starts.failed_rounds, 1);
	rig_free(r);
}
END_TEST

START_TEST(who_waits_is_told_when_the_pool_breaks)
{
	struct rig *r = rig_new(1, 0, 1, NULL, 0);
	struct worker *w;

	r->spawn_error = -EACCES;
	event_start(&r->super);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	event_client_connected(&r->super, &r->c1);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	for (int i = 0; i < STARTS_ROUNDS_MAX; i++) {
		ck_assert_uint_eq(r->n_told, 0);
		r->super.model.starts.hold_until_ns = 0;
		settle(&r->super);
		w = TAILQ_FIRST(&r->super.model.workers);
		ck_assert_ptr_nonnull(w);
		rig_fire(&w->timer);
	}
	ck_assert_uint_eq(r->n_told, 1);
	ck_assert_str_eq(r->told_code, "pool_broken");
	ck_assert(!super_is(&r->super, Sup_ClientsWaiting));
	rig_free(r);
}
END_TEST

START_TEST(an_error_keeps_a_worker_out_of_lending_for_a_while)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	event_worker_error(w, "protocol", false);
	ck_assert(!super_is(&r->super, Sup_WorkersAvailable));
	ck_assert_int_ne(r->super.pool_timer.deadline_ns, 0);
	w->fit_ns -= 61 * NS_PER_S;
	r->super.model.next_fit_ns = w->fit_ns;
	settle(&r->super);
	ck_assert(super_is(&r->super, Sup_WorkersAvailable));
	rig_free(r);
}
END_TEST

START_TEST(old_errors_do_not_count)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	for (int i = 0; i < 3; i++)
		event_worker_error(w, "protocol", false);
	for (int i = 0; i < 3; i++)
		w->error_ns[i] -= 601 * NS_PER_S;
	event_worker_error(w, "protocol", false);
	ck_assert_str_eq(w->kill_reason, "");
	ck_assert_uint_eq(w->n_errors, 1);
	ck_assert_uint_eq(w->total_errors, 4);
	rig_free(r);
}
END_TEST

START_TEST(an_idle_worker_that_does_not_answer_is_replaced)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	event_heartbeat(&r->super);
	for (int i = 0; i < HEALTH_TRIES; i++)
		rig_fire(&w->health_timer);
	ck_assert_uint_eq(r->n_asked, HEALTH_TRIES);
	ck_assert_str_eq(w->kill_reason, "health");
	rig_fire(&r->super.heartbeat_end);
	ck_assert(!super_is(&r->super, Sup_Heartbeat));
	rig_free(r);
}
END_TEST

START_TEST(killed_for_its_errors_it_counts_as_a_death)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_uint_eq(w->deaths_in_a_row, i - 1);
		event_worker_error(w, "protocol", true);
		event_worker_gone(w, "eof");
		event_worker_exit(w, "status=1");
		w = TAILQ_FIRST(&r->super.model.workers);
		if (i == 2)
			break;
		ck_assert_ptr_nonnull(w);
		rig_hello(w);
		rig_push(w);
	}
	ck_assert_ptr_null(w);
	ck_assert_int_ne(r->super.pool_timer.deadline_ns, 0);
	rig_free(r);
}
END_TEST

START_TEST(nobody_could_get_it_so_it_is_retired)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w1 = rig_worker(r, "w1"),
		      *w2 = rig_lease(r, &r->c1, ASK);

	if (w1 == w2)
		w1 = rig_worker(r, "w2");
	rig_mirror_add(w1, Wrk_Leased);
	rig_push(w1);
	ck_assert(!(w1->state == WORKER_IDLE));
	event_heartbeat(&r->super);
	ck_assert_str_eq(w1->kill_reason, "unwanted");
	ck_assert_int_eq(w1->state, WORKER_STOPPING);
	ck_assert_str_eq(w2->kill_reason, "");
	rig_end(w2);
	rig_mirror_remove(w2, Wrk_PublicRpcReady);
	rig_push(w2);
	event_heartbeat(&r->super);
	ck_assert_str_eq(w2->kill_reason, "unwanted");
	ck_assert(!super_is(&r->super, Sup_Heartbeat) ||
	    r->super.heartbeat_end.deadline_ns != 0);
	rig_free(r);
}
END_TEST

START_TEST(a_second_stop_signal_kills_at_once)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	event_stop(&r->super);
	ck_assert_str_eq(w->kill_reason, "");
	event_stop_now(&r->super);
	ck_assert_int_eq(r->last_signal, SIGKILL);
	event_worker_exit(w, "signal=9");
	ck_assert(r->stopped);
	rig_free(r);
}
END_TEST

START_TEST(draining_a_pool_whose_program_is_missing_ends)
{
	struct rig *r = rig_new(2, 0, 2, NULL, 0);

	r->spawn_error = -ENOENT;
	event_start(&r->super);
	ck_assert_uint_eq(r->super.model.n_workers, 2);
	event_stop(&r->super);
	ck_assert(r->stopped);
	rig_free(r);
}
END_TEST

/* More than the machine's queue takes. */
START_TEST(draining_refuses_all_who_wait_and_stops_all_workers)
{
	enum { WAITERS = 1500, WORKERS = 64 };
	static const char *const set[] = { "Pool.QueueMax=2000",
		"Pool.StartParallel=64" };
	struct rig *r = rig_new(WORKERS, 0, WORKERS, set, 2);
	struct worker *w;
	char json[64];
	unsigned n = 0;

	r->log.off = true;
	event_start(&r->super);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	event_client_connected(&r->super, &r->c1);
	ck_assert_uint_eq(r->n_spawned, WORKERS);
	for (unsigned i = 1; i <= WAITERS; i++) {
		(void)snprintf(json, sizeof(json), "{\"request\":%u}", i);
		ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, json),
		    AM_EXECUTED);
	}
	event_stop(&r->super);
	ck_assert_uint_eq(r->n_told, WAITERS);
	ck_assert_str_eq(r->told_code, "draining");
	TAILQ_FOREACH(w, &r->super.model.workers, link)
		n += w->state == WORKER_STOPPING;
	ck_assert_uint_eq(n, WORKERS);
	rig_free(r);
}
END_TEST

START_TEST(draining_ends_leases_without_a_request_and_in_the_end_all)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w1 = rig_lease(r, &r->c1, ASK);
	struct worker *w2 = rig_lease(r, &r->c2, ASK);

	rig_mirror_add(w1, Wrk_Working);
	rig_push(w1);
	event_stop(&r->super);
	ck_assert_int_eq(w2->lease->state, LEASE_ENDING);
	/* StopTimeout, for acks. */
	ck_assert_int_gt(w2->lease->wait_ms, 19000);
	ck_assert_int_le(w2->lease->wait_ms, 20000);
	ck_assert_int_eq(w1->lease->state, LEASE_CONFIRMED);
	rig_end(w2);
	rig_fire(&r->super.stop_timer);
	ck_assert_int_eq(w1->lease->state, LEASE_ENDING);
	rig_fire(&r->super.stop_timer);
	ck_assert_int_eq(r->last_signal, SIGKILL);
	event_worker_exit(w1, "signal=9");
	event_worker_exit(w2, "signal=9");
	ck_assert(r->stopped);
	rig_free(r);
}
END_TEST

START_TEST(draining_waits_for_a_request_of_which_nobody_has_heard)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	event_stop(&r->super);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	ck_assert(w->lease->if_idle);
	rig_mirror_add(w, Wrk_Working);
	event_worker_end_refused(w);
	ck_assert_int_eq(w->lease->state, LEASE_CONFIRMED);
	ck_assert_int_ne(w->lease->max_timer.deadline_ns, 0);
	rig_mirror_remove(w, Wrk_Working);
	rig_push(w);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	rig_mirror_add(w, Wrk_Working);
	event_worker_end_refused(w);
	/* StopTimeout is over. */
	rig_fire(&r->super.stop_timer);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	ck_assert(!w->lease->if_idle);
	rig_free(r);
}
END_TEST

UNIT_MAIN("daemon pool", wanted_is_what_the_formula_says,
    pauses_grow_and_are_capped, starts_are_bounded_by_start_parallel,
    a_lease_makes_the_pool_grow_up_to_max,
    who_waits_gets_a_worker_started_up_to_max,
    started_for_who_gave_up_it_is_surplus,
    surplus_leaves_after_idle_ttl_and_never_below_min_and_warm,
    the_first_death_is_replaced_at_once_further_ones_pause,
    a_round_fails_once_however_many_starts_it_had,
    a_worker_that_exits_before_it_is_ready_fails_its_start,
    a_worker_that_is_not_ready_in_time_is_killed,
    who_waits_is_told_when_the_pool_breaks,
    an_error_keeps_a_worker_out_of_lending_for_a_while, old_errors_do_not_count,
    an_idle_worker_that_does_not_answer_is_replaced,
    killed_for_its_errors_it_counts_as_a_death,
    nobody_could_get_it_so_it_is_retired, a_second_stop_signal_kills_at_once,
    draining_a_pool_whose_program_is_missing_ends,
    draining_refuses_all_who_wait_and_stops_all_workers,
    draining_ends_leases_without_a_request_and_in_the_end_all,
    draining_waits_for_a_request_of_which_nobody_has_heard)
