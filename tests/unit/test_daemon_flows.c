/* The flows of flows.md, as far as the supervisor is in them, on the real
 * machine with the real handlers: after each line its active states are exactly
 * as there. */
#include <errno.h>
#include <string.h>

#include "tests/unit/super_rig.h"
#include "tests/unit/unit.h"

#define ASK "{\"request\":1,\"timeout_ms\":30000}"

/* Left out in the flows: starts of further workers. */
static const char *const spawns[] = { "+ForkWorker", "+ForkingWorker",
	"+SetWorker", "+WorkerConnected", "+WorkerForked", NULL };

static void
drop_steps(struct flow *f, const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_steps; i++)
		if (strncmp(f->step[i].text, prefix, strlen(prefix)) != 0 &&
		    strncmp(f->step[i].text + 1, prefix, strlen(prefix)) != 0)
			f->step[n++] = f->step[i];
	f->n_steps = n;
}

static void
check_flow(struct rig *r, const char *id, const char *const *skip)
{
	struct flow *f = flow_load("tests/data/flows.txt", id, 'S');
	const char *differs;

	ck_assert_ptr_nonnull(f);
	/* The recorder takes its end for that of a pulse. */
	drop_steps(f, "-Heartbeat");
	differs = flow_differs(f, &r->log, skip);
	ck_assert_msg(differs == NULL, "%s", differs);
	free(f);
	rig_free(r);
}

/* w1 is leased by c1 and has a running request. */
static struct worker *
working(struct rig *r)
{
	struct worker *w = rig_lease(r, &r->c1, ASK);

	ck_assert_str_eq(w->id, "w1");
	rig_mirror_add(w, Wrk_WorkRequested);
	rig_mirror_add(w, Wrk_Working);
	rig_push(w);
	rig_heartbeat_over(r);
	flow_log_clear(&r->log);
	return w;
}

START_TEST(flow_1_start)
{
	struct rig *r = rig_new(2, 0, 2, NULL, 0);
	struct worker *w1, *w2;

	event_start(&r->super);
	w1 = rig_worker(r, "w1");
	w2 = rig_worker(r, "w2");
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	rig_hello(w1);
	rig_push(w1);
	rig_heartbeat_over(r);
	rig_hello(w2);
	rig_heartbeat_over(r);
	rig_push(w2);
	check_flow(r, "1", spawns);
}
END_TEST

START_TEST(flow_4_lease)
{
	struct rig *r = rig_up(2, 0, 2);

	(void)rig_lease(r, &r->c1, ASK);
	ck_assert_str_eq(r->told_lease, "L1");
	ck_assert_uint_eq(r->told_client, 1);
	check_flow(r, "4", NULL);
}
END_TEST

START_TEST(flow_4b_no_hello)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w;

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	w = rig_worker(r, "w1");
	rig_accept(w);
	flow_log_clear(&r->log);
	rig_fire(&w->lease->timer);
	ck_assert_uint_eq(r->n_ended, 1);
	rig_end(w);
	ck_assert_uint_eq(r->super.model.n[WORKER_IDLE], 2);
	ck_assert_str_eq(lease_find_end(&r->super.model, "L1")->reason,
	    "unconfirmed");
	check_flow(r, "4b", NULL);
}
END_TEST

START_TEST(flow_4c_worker_refuses)
{
	static const char *const as_in_4[] = { "+LeaseGranted",
		"+ClientSendPayload", "+LeaseConfirmed", NULL };
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w1 = rig_worker(r, "w1"), *w2 = rig_worker(r, "w2");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	rig_mirror_remove(w1, Wrk_PublicRpcReady);
	event_worker_served(w1, false, "ServeClient requires PublicRpcReady");
	rig_push(w1);
	ck_assert_ptr_nonnull(w2->lease);
	ck_assert_str_eq(w2->lease->id, "L2");
	rig_accept(w2);
	rig_confirm(w2);
	ck_assert_int_eq(w2->lease->state, LEASE_CONFIRMED);
	check_flow(r, "4c", as_in_4);
}
END_TEST

START_TEST(flow_5_waits)
{
	static const char *const client[] = { "+ClientConnected", NULL };
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	flow_log_clear(&r->log);
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_ProvideWorker, ASK),
	    AM_CANCELED);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested, ASK);
	(void)rig_add(r, &r->c1, Sup_ReleaseWorker,
	    "{\"lease\":\"L1\",\"reason\":\"released\"}");
	rig_end(w);
	ck_assert_ptr_nonnull(w->lease);
	rig_accept(w);
	ck_assert_str_eq(r->told_lease, "L2");
	ck_assert_uint_eq(r->told_client, 2);
	check_flow(r, "5", client);
}
END_TEST

START_TEST(flow_5b_gives_up)
{
	struct rig *r = rig_up(1, 0, 1);

	(void)rig_lease(r, &r->c2, ASK);
	flow_log_clear(&r->log);
	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	(void)rig_add(r, &r->c1, Sup_ReleaseWorker,
	    "{\"request\":1,\"reason\":\"timeout\"}");
	ck_assert_uint_eq(r->super.model.n_waiting, 0);
	check_flow(r, "5b", NULL);
}
END_TEST

START_TEST(flow_8b_stuck)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w = working(r);

	event_worker_error(w, "ErrWorkTimeout", true);
	ck_assert_int_eq(r->last_signal_pid, w->pid);
	rig_heartbeat_over(r);
	event_worker_gone(w, "eof");
	ck_assert_str_eq(lease_find_end(&r->super.model, "L1")->reason,
	    "ErrWorkTimeout");
	event_worker_exit(w, "signal=9");
	ck_assert_uint_eq(r->super.model.n_workers, 2);
	check_flow(r, "8b", spawns);
}
END_TEST

START_TEST(flow_9_release)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	flow_log_clear(&r->log);
	(void)rig_add(r, &r->c1, Sup_ReleaseWorker,
	    "{\"lease\":\"L1\",\"reason\":\"released\"}");
	rig_end(w);
	ck_assert_uint_eq(r->super.model.n[WORKER_IDLE], 2);
	check_flow(r, "9", NULL);
}
END_TEST

START_TEST(flow_9b_owner_dies)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w = working(r);

	emit_release_lease(&r->super, w->lease, "owner-died");
	rig_mirror_add(w, Wrk_WorkReady);
	rig_mirror_remove(w, Wrk_WorkReady);
	rig_end(w);
	ck_assert_uint_eq(r->super.model.n[WORKER_IDLE], 2);
	check_flow(r, "9b", NULL);
}
END_TEST

START_TEST(flow_11_idle_worker_dies)
{
	struct rig *r = rig_up(1, 1, 2);
	struct worker *w = rig_worker(r, "w1"), *w3;

	event_worker_gone(w, "eof");
	event_worker_exit(w, "signal=9");
	w3 = rig_worker(r, "w3");
	rig_hello(w3);
	rig_push(w3);
	ck_assert_uint_eq(model_ready(&r->super.model), 2);
	check_flow(r, "11", spawns);
}
END_TEST

START_TEST(flow_11b_leased_worker_dies)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w = working(r), *w3;

	event_worker_gone(w, "eof");
	ck_assert_str_eq(lease_find_end(&r->super.model, "L1")->reason,
	    "worker-died");
	event_worker_exit(w, "signal=9");
	w3 = rig_worker(r, "w3");
	rig_hello(w3);
	rig_push(w3);
	check_flow(r, "11b", spawns);
}
END_TEST

/* The trial start fails, or runs: whatever the world does now. */
static struct worker *
next_trial(struct rig *r)
{
	r->super.model.starts.hold_until_ns = 0;
	settle(&r->super);
	return TAILQ_LAST(&r->super.model.workers, worker_list);
}

static void
fail_round(struct rig *r)
{
	struct worker *w = TAILQ_FIRST(&r->super.model.workers);

	if (w == NULL)
		w = next_trial(r);
	ck_assert_ptr_nonnull(w);
	rig_fire(&w->timer);
}

START_TEST(flow_11c_program_missing)
{
	static const char *const skip[] = { "+ForkWorker", "+ForkingWorker",
		"+SetWorker", "+WorkerConnected", "+WorkerForked",
		"+ErrWorker +Exception", "+ClientConnected", NULL };
	struct rig *r = rig_new(1, 0, 1, NULL, 0);
	struct worker *w;

	r->spawn_error = -ENOENT;
	event_start(&r->super);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	event_client_connected(&r->super, &r->c1);
	for (int i = 0; i < 4; i++)
		fail_round(r);
	ck_assert(!super_is(&r->super, Sup_ErrPool));
	rig_heartbeat_over(r);
	flow_log_clear(&r->log);
	fail_round(r);
	ck_assert(super_is(&r->super, Sup_ErrPool));
	ck_assert_ptr_nonnull(
	    strstr(r->super.model.starts.reason, "No such file"));
	r->super.model.starts.reason[0] = '\0';
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, ASK),
	    AM_CANCELED);
	rig_heartbeat_over(r);
	fail_round(r);
	rig_heartbeat_over(r);
	r->spawn_error = 0;
	w = next_trial(r);
	rig_hello(w);
	rig_push(w);
	ck_assert(!super_is(&r->super, Sup_Exception));
	ck_assert(!r->super.model.starts.broken);
	check_flow(r, "11c", skip);
}
END_TEST

START_TEST(flow_12_heartbeat_and_errors)
{
	static const char *const skip[] = { "+ErrWorker +Exception", NULL };
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w1 = rig_worker(r, "w1"), *w2 = rig_worker(r, "w2");

	event_heartbeat(&r->super);
	ck_assert_uint_eq(r->n_asked, 2);
	rig_mirror_add(w1, Wrk_Healthcheck);
	rig_push(w1);
	ck_assert_int_eq(w1->tries, 1);
	rig_mirror_remove(w1, Wrk_Healthcheck);
	rig_push(w1);
	ck_assert_int_eq(w1->tries, 0);
	rig_mirror_add(w2, Wrk_Healthcheck);
	rig_mirror_remove(w2, Wrk_Healthcheck);
	rig_push(w2);
	rig_heartbeat_over(r);
	for (int i = 0; i < 4; i++) {
		ck_assert_str_eq(w2->kill_reason, "");
		event_worker_error(w2, "protocol", false);
		if (i < 3)
			rig_heartbeat_over(r);
	}
	ck_assert_str_eq(w2->kill_reason, "protocol");
	ck_assert_uint_eq(r->super.model.n[WORKER_IDLE], 1);
	check_flow(r, "12", skip);
}
END_TEST

START_TEST(flow_13_drain)
{
	static const char *const skip[] = { "+KillWorker", "+KillingWorker",
		NULL };
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w1 = working(r), *w2 = rig_worker(r, "w2");

	event_stop(&r->super);
	event_worker_gone(w2, "eof");
	event_worker_exit(w2, "status=0");
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_LeaseRequested, ASK),
	    AM_CANCELED);
	rig_heartbeat_over(r);
	(void)rig_add(r, &r->c1, Sup_ReleaseWorker,
	    "{\"lease\":\"L1\",\"reason\":\"released\"}");
	rig_end(w1);
	event_worker_gone(w1, "eof");
	event_worker_exit(w1, "status=0");
	ck_assert(r->stopped);
	check_flow(r, "13", skip);
}
END_TEST

UNIT_MAIN("daemon flows", flow_1_start, flow_4_lease, flow_4b_no_hello,
    flow_4c_worker_refuses, flow_5_waits, flow_5b_gives_up, flow_8b_stuck,
    flow_9_release, flow_9b_owner_dies, flow_11_idle_worker_dies,
    flow_11b_leased_worker_dies, flow_11c_program_missing,
    flow_12_heartbeat_and_errors, flow_13_drain)
