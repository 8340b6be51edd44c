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
	struct worker row = { .id = "x" };
	struct worker rows[10];
	struct lease lease;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct rig *r = rig_new(table[i].min, table[i].warm,
		    table[i].max, NULL, 0);

		for (int j = 0; j < table[i].leased; j++) {
			rows[j] = row;
			rows[j].lease = &lease;
			TAILQ_INSERT_TAIL(&r->super.pool.workers, &rows[j],
			    link);
		}
		r->super.waiters.n = (unsigned)table[i].waiting;
		ck_assert_msg((int)pool_wanted(&r->super) == table[i].wanted,
		    "row %zu: %u", i, pool_wanted(&r->super));
		TAILQ_INIT(&r->super.pool.workers);
		rig_free(r);
	}
}
END_TEST

START_TEST(pauses_grow_and_are_capped)
{
	ck_assert_int_eq(pool_backoff_ms(0, 0), 0);
	ck_assert_int_eq(pool_backoff_ms(1, 255), 0);
	ck_assert_int_eq(pool_backoff_ms(2, 0), 100);
	ck_assert_int_eq(pool_backoff_ms(3, 0), 200);
	ck_assert_int_eq(pool_backoff_ms(7, 0), 3200);
	ck_assert_int_eq(pool_backoff_ms(8, 0), 5000);
	ck_assert_int_eq(pool_backoff_ms(4000000000U, 0), 5000);
	for (unsigned n = 2; n < 12; n++) {
		int64_t least = pool_backoff_ms(n, 255);

		ck_assert_int_lt(least, pool_backoff_ms(n, 0));
		ck_assert_int_ge(least, pool_backoff_ms(n, 0) * 4 / 5);
	}
}
END_TEST

START_TEST(starts_are_bounded_by_start_parallel)
{
	static const char *const set[] = { "Pool.StartParallel=2" };
	struct rig *r = rig_new(5, 0, 5, set, 1);
	struct worker *w;

	super_start(&r->super);
	ck_assert_uint_eq(r->n_spawned, 2);
	super_local_ready(&r->super);
	super_public_ready(&r->super);
	w = rig_worker(r, "w1");
	rig_hello(w);
	ck_assert_uint_eq(r->n_spawned, 2);
	rig_push(w);
	ck_assert_uint_eq(r->n_spawned, 3);
	ck_assert_uint_eq(pool_starting(&r->super), 2);
	rig_free(r);
}
END_TEST

START_TEST(a_lease_makes_the_pool_grow_up_to_max)
{
	struct rig *r = rig_up(1, 1, 3);

	ck_assert_uint_eq(r->super.pool.n_workers, 2);
	(void)rig_lease(r, &r->c1, ASK);
	ck_assert_uint_eq(r->super.pool.n_workers, 2);
	(void)rig_lease(r, &r->c2, ASK);
	ck_assert_uint_eq(r->super.pool.n_workers, 3);
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
	ck_assert_uint_eq(r->super.pool.n_workers, 1);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested, ASK);
	ck_assert(super_is(&r->super, Sup_ClientsWaiting));
	ck_assert_uint_eq(r->super.pool.n_workers, 2);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested,
	    "{\"request\":2,\"timeout_ms\":30000}");
	(void)rig_add(r, &r->c2, Sup_LeaseRequested,
	    "{\"request\":3,\"timeout_ms\":30000}");
	ck_assert_uint_eq(r->super.pool.n_workers, 3);
	rig_hello(rig_worker(r, "w2"));
	rig_push(rig_worker(r, "w2"));
	ck_assert_uint_eq(rig_worker(r, "w2")->lease->waiter->request, 1);
	ck_assert_uint_eq(r->super.pool.n_workers, 3);
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
	ck_assert_int_ne(r->super.pool.timer.deadline_ns, 0);
	w2->idle_ns -= 61 * NS_PER_S;
	pool_on_timer(&r->super);
	ck_assert_str_eq(w2->why, "surplus");
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
	lease_revoke(w1->lease, "released");
	rig_end(w1);
	lease_revoke(w2->lease, "released");
	rig_end(w2);
	ck_assert_uint_eq(pool_free(&r->super), 3);
	pool_on_timer(&r->super);
	ck_assert_uint_eq(pool_free(&r->super), 3);
	ck_assert_int_ne(r->super.pool.timer.deadline_ns, 0);
	w2->idle_ns -= 61 * NS_PER_S;
	w3->idle_ns -= 62 * NS_PER_S;
	pool_on_timer(&r->super);
	ck_assert_str_eq(w3->why, "surplus");
	ck_assert_str_eq(w2->why, "");
	ck_assert_uint_eq(pool_free(&r->super), 2);
	rig_free(r);
}
END_TEST

/* Replaces the worker that died, as far as that is allowed now. */
static struct worker *
die(struct rig *r, struct worker *w)
{
	worker_on_gone(w, "eof");
	worker_on_exit(w, "signal=9");
	w = TAILQ_FIRST(&r->super.pool.workers);
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
	ck_assert_uint_eq(w->fails, 1);
	w = die(r, w);
	ck_assert_ptr_null(w);
	ck_assert_int_ne(r->super.pool.timer.deadline_ns, 0);
	r->super.pool.retry[0].not_before_ns = clock_ns();
	pool_on_timer(&r->super);
	w = TAILQ_FIRST(&r->super.pool.workers);
	ck_assert_ptr_nonnull(w);
	ck_assert_uint_eq(w->fails, 2);
	/* One that lived begins a new row. */
	rig_hello(w);
	rig_push(w);
	w->ready_ns -= 10 * NS_PER_S;
	w = die(r, w);
	ck_assert_ptr_nonnull(w);
	ck_assert_uint_eq(w->fails, 1);
	rig_free(r);
}
END_TEST

START_TEST(a_round_fails_once_however_many_starts_it_had)
{
	struct rig *r = rig_new(4, 0, 4, NULL, 0);
	struct worker *w, *next;

	r->spawn_error = -ENOENT;
	super_start(&r->super);
	ck_assert_uint_eq(r->super.pool.n_workers, 4);
	r->super.pool.hold_until_ns = INT64_MAX;
	for (w = TAILQ_FIRST(&r->super.pool.workers); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->round == 1)
			rig_fire(&w->timer);
	}
	ck_assert_uint_eq(r->super.pool.failed_rounds, 1);
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_exits_before_it_is_ready_fails_its_start)
{
	struct rig *r = rig_new(1, 0, 1, NULL, 0);
	struct worker *w;

	super_start(&r->super);
	w = rig_worker(r, "w1");
	worker_on_exit(w, "status=1");
	ck_assert_uint_eq(r->super.pool.failed_rounds, 1);
	ck_assert_ptr_nonnull(strstr(r->super.pool.reason, "status=1"));
	ck_assert_ptr_nonnull(worker_find(&r->super, "w2"));
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_is_not_ready_in_time_is_killed)
{
	struct rig *r = rig_new(1, 0, 1, NULL, 0);
	struct worker *w;

	super_start(&r->super);
	w = rig_worker(r, "w1");
	rig_fire(&w->timer);
	ck_assert(w->connected);
	rig_fire(&w->timer);
	ck_assert_str_eq(w->why, "start-timeout");
	ck_assert_int_eq(r->last_signal, SIGTERM);
	ck_assert_ptr_nonnull(strstr(r->super.pool.reason, "StartTimeout"));
	rig_fire(&w->timer);
	ck_assert_int_eq(r->last_signal, SIGKILL);
	worker_on_exit(w, "signal=9");
	ck_assert_uint_eq(r->super.pool.failed_rounds, 1);
	rig_free(r);
}
END_TEST

START_TEST(who_waits_is_told_when_the_pool_breaks)
{
	struct rig *r = rig_new(1, 0, 1, NULL, 0);
	struct worker *w;

	r->spawn_error = -EACCES;
	super_start(&r->super);
	super_local_ready(&r->super);
	super_public_ready(&r->super);
	super_client_add(&r->super, &r->c1);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	for (int i = 0; i < POOL_ROUNDS_MAX; i++) {
		ck_assert_uint_eq(r->n_told, 0);
		r->super.pool.hold_until_ns = 0;
		pool_on_timer(&r->super);
		w = TAILQ_FIRST(&r->super.pool.workers);
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

	worker_on_error(w, "protocol", false);
	ck_assert(!super_is(&r->super, Sup_WorkersAvailable));
	ck_assert_int_ne(r->super.pool.timer.deadline_ns, 0);
	w->error_ns[0] -= 61 * NS_PER_S;
	pool_on_timer(&r->super);
	ck_assert(super_is(&r->super, Sup_WorkersAvailable));
	rig_free(r);
}
END_TEST

START_TEST(old_errors_do_not_count)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	for (int i = 0; i < 3; i++)
		worker_on_error(w, "protocol", false);
	for (int i = 0; i < 3; i++)
		w->error_ns[i] -= 601 * NS_PER_S;
	worker_on_error(w, "protocol", false);
	ck_assert_str_eq(w->why, "");
	ck_assert_uint_eq(w->n_errors, 1);
	ck_assert_uint_eq(w->total_errors, 4);
	rig_free(r);
}
END_TEST

START_TEST(three_silent_health_checks_are_one_error)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	health_beat(&r->super);
	for (int i = 0; i < HEALTH_TRIES; i++)
		rig_fire(&w->health_timer);
	ck_assert_uint_eq(r->n_asked, HEALTH_TRIES);
	ck_assert_uint_eq(w->n_errors, 1);
	rig_fire(&r->super.health.end);
	ck_assert(!super_is(&r->super, Sup_Heartbeat));
	rig_free(r);
}
END_TEST

START_TEST(killed_for_its_errors_it_counts_as_a_death)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_uint_eq(w->fails, i - 1);
		worker_on_error(w, "protocol", true);
		worker_on_gone(w, "eof");
		worker_on_exit(w, "status=1");
		w = TAILQ_FIRST(&r->super.pool.workers);
		if (i == 2)
			break;
		ck_assert_ptr_nonnull(w);
		rig_hello(w);
		rig_push(w);
	}
	ck_assert_ptr_null(w);
	ck_assert_int_ne(r->super.pool.timer.deadline_ns, 0);
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
	ck_assert(!worker_lendable(w1, clock_ns()));
	health_beat(&r->super);
	ck_assert_str_eq(w1->why, "unwanted");
	ck_assert_int_eq(w1->phase, WORKER_STOPPING);
	ck_assert_str_eq(w2->why, "");
	rig_end(w2);
	rig_mirror_remove(w2, Wrk_PublicRpcReady);
	health_beat(&r->super);
	ck_assert_str_eq(w2->why, "unwanted");
	ck_assert(!super_is(&r->super, Sup_Heartbeat) ||
	    r->super.health.end.deadline_ns != 0);
	rig_free(r);
}
END_TEST

START_TEST(a_second_stop_signal_kills_at_once)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	super_drain(&r->super);
	ck_assert_str_eq(w->why, "");
	super_hurry(&r->super);
	ck_assert_int_eq(r->last_signal, SIGKILL);
	worker_on_exit(w, "signal=9");
	ck_assert(r->stopped);
	rig_free(r);
}
END_TEST

START_TEST(draining_a_pool_whose_program_is_missing_ends)
{
	struct rig *r = rig_new(2, 0, 2, NULL, 0);

	r->spawn_error = -ENOENT;
	super_start(&r->super);
	ck_assert_uint_eq(r->super.pool.n_workers, 2);
	super_drain(&r->super);
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
	super_start(&r->super);
	super_local_ready(&r->super);
	super_public_ready(&r->super);
	super_client_add(&r->super, &r->c1);
	ck_assert_uint_eq(r->n_spawned, WORKERS);
	for (unsigned i = 1; i <= WAITERS; i++) {
		(void)snprintf(json, sizeof(json), "{\"request\":%u}", i);
		ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, json),
		    AM_EXECUTED);
	}
	super_drain(&r->super);
	ck_assert_uint_eq(r->n_told, WAITERS);
	ck_assert_str_eq(r->told_code, "draining");
	TAILQ_FOREACH(w, &r->super.pool.workers, link)
		n += w->phase == WORKER_STOPPING;
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
	super_drain(&r->super);
	rig_fire(&r->super.drain);
	ck_assert_int_eq(w2->lease->phase, LEASE_ENDING);
	/* StopTimeout, for acks. */
	ck_assert_int_gt(w2->lease->wait_ms, 19000);
	ck_assert_int_le(w2->lease->wait_ms, 20000);
	ck_assert_int_eq(w1->lease->phase, LEASE_CONFIRMED);
	rig_end(w2);
	rig_fire(&r->super.drain);
	ck_assert_int_eq(w1->lease->phase, LEASE_ENDING);
	rig_fire(&r->super.drain);
	ck_assert_int_eq(r->last_signal, SIGKILL);
	worker_on_exit(w1, "signal=9");
	worker_on_exit(w2, "signal=9");
	ck_assert(r->stopped);
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
    three_silent_health_checks_are_one_error,
    killed_for_its_errors_it_counts_as_a_death,
    nobody_could_get_it_so_it_is_retired, a_second_stop_signal_kills_at_once,
    draining_a_pool_whose_program_is_missing_ends,
    draining_refuses_all_who_wait_and_stops_all_workers,
    draining_ends_leases_without_a_request_and_in_the_end_all)
