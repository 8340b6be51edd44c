/* What the pool counts, and what follows from the numbers after each event. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "daemon/mirror.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "tests/unit/super_rig.h"
#include "tests/unit/unit.h"

#define ASK "{\"request\":1,\"timeout_ms\":30000}"

static struct rig *
started(int min, int max)
{
	struct rig *r = rig_new(min, 0, max, NULL, 0);

	event_start(&r->super);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	ck_assert_int_eq(event_client_connected(&r->super, &r->c1), 0);
	ck_assert_int_eq(event_client_connected(&r->super, &r->c2), 0);
	return r;
}

START_TEST(an_unfit_worker_is_made_up_for_up_to_max)
{
	struct rig *r = rig_up(1, 0, 2);
	struct worker *w1 = rig_worker(r, "w1"), *w2;

	event_worker_error(w1, "protocol", false);
	ck_assert_int_eq(w1->state, WORKER_UNFIT);
	w2 = rig_worker(r, "w2");
	event_worker_error(w1, "protocol", false);
	ck_assert_uint_eq(r->super.model.n_workers, 2);
	rig_hello(w2);
	rig_push(w2);
	(void)rig_lease(r, &r->c1, ASK);
	ck_assert_ptr_nonnull(w2->lease);
	/* It comes back, and is one too many when the other is free. */
	w1->fit_ns = r->super.model.next_fit_ns = clock_ns();
	settle(&r->super);
	ck_assert_int_eq(w1->state, WORKER_IDLE);
	emit_release_lease(&r->super, w2->lease, "released");
	rig_end(w2);
	w1->idle_ns -= 61 * NS_PER_S;
	settle(&r->super);
	ck_assert_str_eq(w1->kill_reason, "surplus");
	rig_free(r);
}
END_TEST

START_TEST(a_stopping_worker_is_made_up_for_and_only_max_counts_it)
{
	static const int max[] = { 2, 1 };

	for (size_t i = 0; i < 2; i++) {
		struct rig *r = rig_up(1, 0, max[i]);
		struct worker *w1 = rig_worker(r, "w1");

		emit_kill_worker(&r->super, w1, "admin", STOP_GENTLY);
		ck_assert_int_eq(w1->state, WORKER_STOPPING);
		ck_assert_uint_eq(r->super.model.n_workers, (unsigned)max[i]);
		event_worker_gone(w1, "eof");
		event_worker_exit(w1, "status=0");
		ck_assert_ptr_nonnull(worker_find(&r->super.model, "w2"));
		ck_assert_uint_eq(r->super.model.n_workers, 1);
		rig_free(r);
	}
}
END_TEST

START_TEST(a_hung_worker_costs_its_waiter_no_grace)
{
	struct rig *r = rig_up(1, 0, 2);
	struct worker *w1 = rig_worker(r, "w1"), *w2;

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	rig_fire(&w1->lease->timer);
	ck_assert_int_eq(w1->state, WORKER_STOPPING);
	/* The first death in a row: without a pause, and before it is dead. */
	w2 = rig_worker(r, "w2");
	rig_hello(w2);
	rig_push(w2);
	ck_assert_ptr_nonnull(w2->lease);
	rig_free(r);
}
END_TEST

START_TEST(with_min_0_the_first_client_starts_a_worker)
{
	struct rig *r = started(0, 2);
	struct worker *w;

	ck_assert(super_is(&r->super, Sup_Ready));
	ck_assert(super_is(&r->super, Sup_PoolNormalized));
	ck_assert_uint_eq(r->n_spawned, 0);
	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	ck_assert_uint_eq(r->n_spawned, 1);
	w = rig_worker(r, "w1");
	rig_hello(w);
	rig_push(w);
	ck_assert_ptr_nonnull(w->lease);
	ck_assert(super_is(&r->super, Sup_PoolNormalized));
	rig_free(r);
}
END_TEST

static void
fail_start(struct rig *r)
{
	r->super.model.starts.hold_until_ns = 0;
	settle(&r->super);
	ck_assert_uint_eq(r->super.model.n[WORKER_FAILED], 1);
	rig_fire(&TAILQ_FIRST(&r->super.model.workers)->timer);
}

START_TEST(with_min_0_a_broken_pool_is_tried_again)
{
	struct rig *r = started(0, 2);
	struct worker *w;

	r->spawn_error = -ENOENT;
	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	for (int i = 0; i < STARTS_ROUNDS_MAX; i++)
		fail_start(r);
	ck_assert(super_is(&r->super, Sup_ErrPool));
	ck_assert_str_eq(r->told_code, "pool_broken");
	/* Nobody wants one, but it has to be seen that it works again. */
	fail_start(r);
	r->spawn_error = 0;
	r->super.model.starts.hold_until_ns = 0;
	settle(&r->super);
	w = TAILQ_FIRST(&r->super.model.workers);
	ck_assert_ptr_nonnull(w);
	rig_hello(w);
	rig_push(w);
	ck_assert(!super_is(&r->super, Sup_ErrPool));
	ck_assert(!super_is(&r->super, Sup_Exception));
	rig_free(r);
}
END_TEST

START_TEST(idle_workers_are_lent_below_min)
{
	struct rig *r = started(3, 3);
	struct worker *w = rig_worker(r, "w2");

	rig_hello(w);
	rig_push(w);
	ck_assert(!super_is(&r->super, Sup_PoolReady));
	(void)rig_add(r, &r->c1, Sup_LeaseRequested,
	    "{\"request\":1,\"timeout_ms\":0}");
	ck_assert_ptr_nonnull(w->lease);
	rig_accept(w);
	ck_assert_str_eq(r->told_lease, "L1");
	rig_free(r);
}
END_TEST

START_TEST(idle_workers_are_lent_while_the_pool_is_broken)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w1 = rig_worker(r, "w1"), *w2 = rig_worker(r, "w2");

	r->spawn_error = -ENOENT;
	w1->ready_ns -= 10 * NS_PER_S;
	event_worker_gone(w1, "eof");
	event_worker_exit(w1, "signal=9");
	for (int i = 0; i < STARTS_ROUNDS_MAX; i++) {
		struct worker *last = TAILQ_LAST(&r->super.model.workers,
		    worker_list);

		ck_assert_int_eq(last->state, WORKER_FAILED);
		r->super.model.starts.hold_until_ns = 0;
		rig_fire(&last->timer);
		r->super.model.starts.hold_until_ns = 0;
		settle(&r->super);
	}
	ck_assert(super_is(&r->super, Sup_ErrPool));
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	ck_assert_ptr_nonnull(w2->lease);
	/* Now none is idle. */
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_LeaseRequested, ASK),
	    AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(am_why(r->super.machine), "pool broken"));
	ck_assert_int_eq(r->refused, ARPC_E_pool_broken);
	rig_free(r);
}
END_TEST

START_TEST(each_offer_that_ends_is_answered_once)
{
	static const char *const reasons[] = { "owner-died", "admin",
		"released", "unwanted" };

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct rig *r = rig_up(1, 0, 1);
		struct worker *w = rig_worker(r, "w1");

		(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
		emit_release_lease(&r->super, w->lease, reasons[i]);
		rig_accept(w);
		rig_end(w);
		ck_assert_uint_eq(r->n_told, 1);
		ck_assert_str_eq(r->told_code, "no_worker");
		ck_assert_str_eq(lease_find_end(&r->super.model, "L1")->reason,
		    reasons[i]);
		rig_free(r);
	}
}
END_TEST

START_TEST(a_leased_worker_that_is_silent_for_long_is_asked_and_replaced)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	event_heartbeat(&r->super);
	ck_assert_uint_eq(r->n_asked, 0);
	rig_heartbeat_over(r);
	w->push_ns -= 66 * NS_PER_S;
	event_heartbeat(&r->super);
	for (int i = 0; i < HEALTH_TRIES; i++)
		rig_fire(&w->health_timer);
	ck_assert_uint_eq(r->n_asked, HEALTH_TRIES);
	ck_assert_str_eq(w->kill_reason, "health");
	rig_free(r);
}
END_TEST

START_TEST(a_complaint_counts_once_a_lease_and_costs_no_pause)
{
	struct rig *r = rig_up(1, 0, 2);
	struct worker *w = NULL;

	for (int i = 0; i < 4; i++) {
		w = rig_lease(r, &r->c1, ASK);
		ck_assert_str_eq(w->id, "w1");
		for (int j = 0; j < 3; j++)
			(void)rig_add(r, &r->c1, Sup_WorkerIssues,
			    (char[]){ '{', '"', 'l', 'e', 'a', 's', 'e', '"',
				':', '"', 'L', (char)('1' + i), '"', '}',
				'\0' });
		ck_assert_uint_eq(w->n_errors, (unsigned)i + 1);
		if (i == 3)
			break;
		emit_release_lease(&r->super, w->lease, "released");
		rig_end(w);
		w->fit_ns = r->super.model.next_fit_ns = clock_ns();
		settle(&r->super);
	}
	ck_assert_str_eq(w->kill_reason, "issues");
	ck_assert_uint_eq(r->super.model.starts.n_retry, 0);
	rig_free(r);
}
END_TEST

START_TEST(a_reaped_process_gets_no_signal)
{
	struct rig *r = rig_up(1, 0, 1);

	event_worker_exit(rig_worker(r, "w1"), "status=0");
	ck_assert_int_eq(r->last_signal, 0);
	rig_free(r);
}
END_TEST

/* ---- any events, in any order ---- */

static void
check_counts(const struct rig *r)
{
	const struct model *m = &r->super.model;
	unsigned n[WORKER__COUNT] = { 0 }, asked = 0, leased = 0, waiting = 0;
	const struct worker *w;
	const struct waiter *q;

	TAILQ_FOREACH(w, &m->workers, link) {
		n[w->state]++;
		asked += w->tries > 0;
		leased += w->lease != NULL;
		ck_assert(w->state != WORKER_LEASED || w->lease != NULL);
	}
	TAILQ_FOREACH(q, &m->queue, link)
		waiting++;
	for (size_t i = 0; i < WORKER__COUNT; i++)
		ck_assert_uint_eq(m->n[i], n[i]);
	ck_assert_uint_eq(m->n_asked, asked);
	ck_assert_uint_eq(m->n_leases, leased);
	ck_assert_uint_eq(m->n_waiting, waiting);
	ck_assert_uint_le(m->n_workers, (unsigned)r->config.pool_max);
}

static void
check_settled(const struct rig *r)
{
	const struct super *s = &r->super;
	const struct model *m = &s->model;
	bool ready = model_ready(m) >= (unsigned)r->config.pool_min;

	check_counts(r);
	ck_assert(super_is(s, Sup_PoolReady) == ready);
	ck_assert(super_is(s, Sup_PoolStarting) == !ready);
	ck_assert(super_is(s, Sup_PoolNormalized) !=
	    super_is(s, Sup_NormalizingPool));
	ck_assert(super_is(s, Sup_Ready) == ready);
	ck_assert(super_is(s, Sup_WorkersAvailable) ==
	    (ready && m->n[WORKER_IDLE] > 0));
	ck_assert(super_is(s, Sup_ClientsWaiting) == (m->n_waiting > 0));
	ck_assert(m->n_waiting == 0 || m->n[WORKER_IDLE] == 0);
	ck_assert(!m->starts.broken || m->n_waiting == 0);
}

static uint32_t seed;

static unsigned
below(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static struct worker *
any_worker(struct rig *r)
{
	struct worker *w = TAILQ_FIRST(&r->super.model.workers);

	for (unsigned i = below(r->super.model.n_workers + 1);
	     i > 0 && w != NULL; i--)
		w = TAILQ_NEXT(w, link);
	return w;
}

/* Takes a worker on in its life, if that is what comes next. */
static void
live(struct worker *w)
{
	struct lease *l = w->lease;

	if (w->state == WORKER_SPAWNED) {
		rig_hello(w);
		rig_push(w);
	} else if (w->state == WORKER_FAILED) {
		rig_fire(&w->timer);
	} else if (w->state != WORKER_LEASED) {
		return;
	} else if (l->state == LEASE_OFFERED && below(4) > 0) {
		rig_accept(w);
	} else if (l->state == LEASE_OFFERED) {
		event_worker_served(w, false, "no");
	} else if (l->state == LEASE_GRANTED) {
		rig_confirm(w);
	} else if (l->state == LEASE_ENDING && mirror_is(w, Wrk_Leased)) {
		rig_end(w);
	}
}

static void
die(struct worker *w)
{
	if (w->state == WORKER_FAILED)
		return;
	if (below(2) > 0)
		event_worker_gone(w, "eof");
	event_worker_exit(w, "signal=9");
}

static void
step(struct rig *r)
{
	struct client *c = below(2) > 0 ? &r->c1 : &r->c2;
	struct worker *w = any_worker(r);
	static unsigned request;
	char json[80];

	switch (below(9)) {
	case 0:
	case 1:
		(void)snprintf(json, sizeof(json),
		    "{\"request\":%u,\"timeout_ms\":%d,\"priority\":%u}",
		    ++request, below(4) > 0 ? -1 : 0, below(3));
		(void)rig_add(r, c,
		    below(8) > 0 ? Sup_LeaseRequested : Sup_ProvideWorker,
		    json);
		return;
	case 2:
		event_client_gone(&r->super, c);
		ck_assert_int_eq(event_client_connected(&r->super, c), 0);
		return;
	case 3:
		r->spawn_error = below(3) > 0 ? 0 : -ENOENT;
		r->super.model.starts.hold_until_ns = 0;
		r->super.model.starts.n_retry = 0;
		settle(&r->super);
		rig_heartbeat_over(r);
		return;
	case 4:
		if (w != NULL && below(3) == 0)
			die(w);
		return;
	case 5:
		if (w != NULL && w->state != WORKER_FAILED)
			event_worker_error(w, "protocol", below(8) == 0);
		return;
	case 6:
		if (w != NULL && w->lease != NULL)
			emit_release_lease(&r->super, w->lease,
			    below(3) > 0 ? "released" : "discard");
		return;
	default:
		if (w != NULL)
			live(w);
		return;
	}
}

START_TEST(whatever_happens_all_is_settled)
{
	static const int sizes[][2] = { { 0, 3 }, { 2, 2 }, { 2, 5 } };

	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < 24; i++) {
		const int *size = sizes[i % 3];
		struct rig *r = started(size[0], size[1]);

		seed = (uint32_t)i;
		r->log.off = true;
		for (int j = 0; j < 1000; j++) {
			step(r);
			check_settled(r);
		}
		event_stop(&r->super);
		event_stop_now(&r->super);
		while (!TAILQ_EMPTY(&r->super.model.workers))
			die(TAILQ_FIRST(&r->super.model.workers));
		ck_assert(r->stopped);
		check_counts(r);
		rig_free(r);
	}
}
END_TEST

UNIT_MAIN("daemon capacity", an_unfit_worker_is_made_up_for_up_to_max,
    a_stopping_worker_is_made_up_for_and_only_max_counts_it,
    a_hung_worker_costs_its_waiter_no_grace,
    with_min_0_the_first_client_starts_a_worker,
    with_min_0_a_broken_pool_is_tried_again, idle_workers_are_lent_below_min,
    idle_workers_are_lent_while_the_pool_is_broken,
    each_offer_that_ends_is_answered_once,
    a_leased_worker_that_is_silent_for_long_is_asked_and_replaced,
    a_complaint_counts_once_a_lease_and_costs_no_pause,
    a_reaped_process_gets_no_signal, whatever_happens_all_is_settled)
