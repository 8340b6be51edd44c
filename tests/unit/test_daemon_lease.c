/* Waiting, granting, and every end of a lease. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/unit/super_rig.h"
#include "tests/unit/unit.h"

#define ASK "{\"request\":1,\"timeout_ms\":30000}"

static const char *
ended(struct rig *r, const char *id)
{
	const struct lease_end *end = lease_find_end(&r->super.model, id);

	return end != NULL ? end->reason : "not ended";
}

START_TEST(without_waiting_none_free_is_told_at_once)
{
	struct rig *r = rig_up(1, 0, 1);

	(void)rig_lease(r, &r->c1, ASK);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested,
	    "{\"request\":5,\"timeout_ms\":0}");
	ck_assert_str_eq(r->told_code, "no_worker");
	ck_assert_uint_eq(r->told_client, 2);
	ck_assert_uint_eq(r->super.model.n_waiting, 0);
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_refuses_is_asked_again_after_a_pause)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	event_worker_served(w, false, "not now");
	ck_assert_uint_eq(r->n_served, 1);
	ck_assert_uint_eq(r->n_asked, 0);
	rig_fire(&w->health_timer);
	ck_assert_uint_eq(r->n_asked, 1);
	rig_mirror_add(w, Wrk_Healthcheck);
	rig_mirror_remove(w, Wrk_Healthcheck);
	rig_push(w);
	ck_assert_uint_eq(r->n_served, 2);
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_does_not_answer_is_replaced)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w1 = rig_worker(r, "w1"), *w2 = rig_worker(r, "w2");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	ck_assert_ptr_nonnull(w1->lease);
	rig_fire(&w1->lease->timer);
	ck_assert_ptr_null(w1->lease);
	ck_assert_str_eq(w1->kill_reason, "stuck");
	ck_assert_ptr_nonnull(w2->lease);
	event_worker_served(w1, true, ""); /* too late */
	rig_accept(w2);
	ck_assert_str_eq(r->told_lease, "L2");
	ck_assert_uint_eq(r->n_told, 1);
	rig_free(r);
}
END_TEST

START_TEST(a_waiter_is_told_when_its_time_is_over)
{
	struct rig *r = rig_up(1, 0, 1);

	(void)rig_lease(r, &r->c1, ASK);
	(void)rig_add(r, &r->c2, Sup_LeaseRequested, ASK);
	rig_fire(&TAILQ_FIRST(&r->super.model.queue)->timer);
	ck_assert_str_eq(r->told_code, "timeout");
	ck_assert(!super_is(&r->super, Sup_ClientsWaiting));
	rig_free(r);
}
END_TEST

START_TEST(priority_goes_first_then_arrival)
{
	static const char *const asks[] = {
		"{\"request\":1,\"timeout_ms\":-1}",
		"{\"request\":2,\"timeout_ms\":-1,\"priority\":5}",
		"{\"request\":3,\"timeout_ms\":-1}",
		"{\"request\":4,\"timeout_ms\":-1,\"priority\":5}",
		"{\"request\":5,\"timeout_ms\":-1,\"priority\":-1}",
	};
	static const uint64_t order[] = { 2, 4, 1, 3, 5 };
	struct rig *r = rig_up(1, 0, 1);
	const struct waiter *w;
	size_t i = 0;

	(void)rig_lease(r, &r->c1, "{\"request\":9}");
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(rig_add(r, &r->c2, Sup_LeaseRequested,
				      asks[i]),
		    AM_EXECUTED);
	i = 0;
	TAILQ_FOREACH(w, &r->super.model.queue, link)
		ck_assert_uint_eq(w->request, order[i++]);
	rig_free(r);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
	static const char *const set[] = { "Pool.QueueMax=1" };
	struct rig *r = rig_new(1, 0, 1, set, 1);

	event_start(&r->super);
	event_client_connected(&r->super, &r->c1);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested,
			      "{\"request\":2}"),
	    AM_CANCELED);
	ck_assert_str_eq(am_why(r->super.machine),
	    "LeaseRequestedEnter: queue full (1)");
	ck_assert_int_eq(r->refused, ARPC_E_no_worker);
	rig_free(r);
}
END_TEST

START_TEST(bad_wishes_are_refused_with_a_reason)
{
	static const char *const bad[] = { NULL, "{}", "{\"request\":-1}",
		"{\"request\":\"1\"}", "{\"request\":1,\"timeout_ms\":-2}",
		"{\"request\":1,\"priority\":101}",
		"{\"request\":1,\"ttl_ms\":0}",
		"{\"request\":1,\"max_ms\":3600001}",
		"{\"request\":1,\"pid\":0}",
		"{\"request\":1,\"pid\":2147483647}" };
	struct rig *r = rig_up(1, 0, 1);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(rig_add(r, &r->c1, Sup_LeaseRequested, bad[i]) ==
			AM_CANCELED,
		    "%s", bad[i]);
		ck_assert(strncmp(am_why(r->super.machine),
			      "LeaseRequestedEnter: ", 21) == 0);
	}
	ck_assert_uint_eq(r->n_served, 0);
	rig_free(r);
}
END_TEST

START_TEST(a_user_gets_no_more_than_his_share)
{
	static const char *const set[] = { "Lease.PerUser=1" };
	struct rig *r = rig_new(2, 0, 2, set, 1);
	struct worker *w;

	event_start(&r->super);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	TAILQ_FOREACH(w, &r->super.model.workers, link) {
		rig_hello(w);
		rig_push(w);
	}
	event_client_connected(&r->super, &r->c1);
	event_client_connected(&r->super, &r->c2);
	(void)rig_lease(r, &r->c1, ASK);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested,
			      "{\"request\":2}"),
	    AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(am_why(r->super.machine), "limit"));
	ck_assert_int_eq(r->refused, ARPC_E_limit);
	(void)rig_lease(r, &r->c2, ASK);
	rig_free(r);
}
END_TEST

START_TEST(over_tls_a_user_is_a_certificate)
{
	static const char *const set[] = { "Lease.PerUser=1" };
	struct rig *r = rig_new(2, 0, 2, set, 1);

	event_start(&r->super);
	r->c1.uid = r->c2.uid = (uid_t)-1;
	(void)strcpy(r->c1.subject, "CN=one");
	(void)strcpy(r->c2.subject, "CN=two");
	event_client_connected(&r->super, &r->c1);
	event_client_connected(&r->super, &r->c2);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested,
			      "{\"request\":2}"),
	    AM_CANCELED);
	ck_assert_str_eq(am_why(r->super.machine),
	    "LeaseRequestedEnter: limit of CN=one reached: 1 leases "
	    "(Lease.PerUser)");
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	rig_free(r);
}
END_TEST

START_TEST(certificates_that_differ_at_their_end_are_two_users)
{
	static const char *const set[] = { "Lease.PerUser=1" };
	struct rig *r = rig_new(2, 0, 2, set, 1);
	size_t last = TLS_SUBJECT_MAX - 2;

	event_start(&r->super);
	r->c1.uid = r->c2.uid = (uid_t)-1;
	memset(r->c1.subject, 'x', last);
	memset(r->c2.subject, 'x', last);
	r->c1.subject[last] = '1';
	r->c2.subject[last] = '2';
	event_client_connected(&r->super, &r->c1);
	event_client_connected(&r->super, &r->c2);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested,
			      "{\"request\":2}"),
	    AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(am_why(r->super.machine), "PerUser"));
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_LeaseRequested, ASK),
	    AM_EXECUTED);
	rig_free(r);
}
END_TEST

START_TEST(a_client_gone_before_the_hello_gives_the_worker_back)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	rig_accept(w);
	event_client_gone(&r->super, &r->c1);
	ck_assert_uint_eq(r->n_ended, 1);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "client-gone");
	ck_assert(super_is(&r->super, Sup_WorkersAvailable));
	rig_free(r);
}
END_TEST

START_TEST(a_client_gone_at_its_hello_keeps_the_lease)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	rig_accept(w);
	event_client_gone(&r->super, &r->c1);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	/* The hello was faster than LeaseEnding, which is refused. */
	rig_confirm(w);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	event_worker_end_refused(w);
	ck_assert_int_eq(w->lease->state, LEASE_CONFIRMED);
	ck_assert_str_eq(w->lease->reason, "");
	/* Any other end is none that a worker may refuse. */
	emit_release_lease(&r->super, w->lease, "owner-died");
	event_worker_end_refused(w);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "owner-died");
	rig_free(r);
}
END_TEST

START_TEST(a_client_gone_while_the_worker_is_asked_gets_no_grant)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	event_client_gone(&r->super, &r->c1);
	rig_accept(w);
	ck_assert_uint_eq(r->n_told, 0);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "client-gone");
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_dies_while_asked_costs_its_waiter_nothing)
{
	struct rig *r = rig_up(2, 0, 2);
	struct worker *w = rig_worker(r, "w1");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	ck_assert_ptr_nonnull(w->lease);
	event_worker_gone(w, "eof");
	ck_assert_str_eq(ended(r, "L1"), "worker-died");
	ck_assert_uint_eq(r->n_told, 0);
	/* The next one is asked, though the pool is below Min. */
	ck_assert(!super_is(&r->super, Sup_PoolReady));
	w = rig_worker(r, "w2");
	ck_assert_ptr_nonnull(w->lease);
	ck_assert_uint_eq(w->lease->waiter->request, 1);
	rig_free(r);
}
END_TEST

START_TEST(a_grant_that_cannot_be_told_is_taken_back)
{
	struct rig *r = rig_up(1, 0, 1);

	r->tell_error = -EAGAIN;
	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	rig_accept(rig_worker(r, "w1"));
	ck_assert_uint_eq(r->n_ended, 1);
	rig_free(r);
}
END_TEST

START_TEST(a_confirmed_lease_outlives_the_asking_connection)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	event_client_gone(&r->super, &r->c1);
	ck_assert_ptr_nonnull(w->lease);
	ck_assert_int_eq(w->lease->state, LEASE_CONFIRMED);
	rig_free(r);
}
END_TEST

START_TEST(ttl_runs_only_without_connection_and_request)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	ck_assert_int_eq(w->lease->timer.deadline_ns, 0);
	rig_mirror_add(w, Wrk_Working);
	rig_mirror_remove(w, Wrk_ClientConnected);
	rig_push(w);
	ck_assert_int_eq(w->lease->timer.deadline_ns, 0);
	rig_mirror_remove(w, Wrk_Working);
	rig_push(w);
	ck_assert_int_ne(w->lease->timer.deadline_ns, 0);
	rig_mirror_add(w, Wrk_ClientConnected);
	rig_push(w);
	ck_assert_int_eq(w->lease->timer.deadline_ns, 0);
	rig_mirror_remove(w, Wrk_ClientConnected);
	rig_push(w);
	rig_fire(&w->lease->timer);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "ttl");
	rig_free(r);
}
END_TEST

START_TEST(max_waits_for_the_running_request)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	rig_mirror_add(w, Wrk_Working);
	rig_push(w);
	rig_fire(&w->lease->max_timer);
	ck_assert_int_eq(w->lease->state, LEASE_OVERDUE);
	rig_mirror_remove(w, Wrk_Working);
	rig_push(w);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "max");
	rig_free(r);
}
END_TEST

/* The worker's answer brings what its mirror had not shown yet. */
static void
refuse_end(struct worker *w)
{
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	ck_assert(w->lease->if_idle);
	rig_mirror_add(w, Wrk_Working);
	event_worker_end_refused(w);
}

START_TEST(max_waits_for_a_request_of_which_nobody_has_heard)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	rig_fire(&w->lease->max_timer);
	refuse_end(w);
	ck_assert_int_eq(w->lease->state, LEASE_OVERDUE);
	ck_assert_int_eq(w->lease->timer.deadline_ns, 0);
	/* It begins again as soon as one ends. */
	rig_mirror_remove(w, Wrk_Working);
	rig_push(w);
	refuse_end(w);
	ck_assert_int_eq(w->lease->state, LEASE_OVERDUE);
	/* But not for ever. */
	rig_fire(&w->lease->max_timer);
	ck_assert_int_eq(w->lease->state, LEASE_ENDING);
	ck_assert(!w->lease->if_idle);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "max");
	rig_free(r);
}
END_TEST

START_TEST(max_that_is_over_while_an_end_is_refused_counts)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	event_stop(&r->super);
	rig_fire(&w->lease->max_timer);
	refuse_end(w);
	ck_assert_int_eq(w->lease->state, LEASE_OVERDUE);
	ck_assert_int_ne(w->lease->max_timer.deadline_ns, 0);
	rig_free(r);
}
END_TEST

START_TEST(the_owners_exit_ends_the_lease)
{
	struct rig *r = rig_up(1, 0, 1);
	pid_t pid = fork();
	struct worker *w;
	char json[96];

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	r->c1.uid = getuid();
	(void)snprintf(json, sizeof(json),
	    "{\"request\":1,\"timeout_ms\":100,\"pid\":%d}", (int)pid);
	w = rig_lease(r, &r->c1, json);
	/* Bound, it has no ttl. */
	rig_mirror_remove(w, Wrk_ClientConnected);
	rig_push(w);
	ck_assert_int_eq(w->lease->timer.deadline_ns, 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	while (w->lease->state == LEASE_CONFIRMED)
		ck_assert_int_eq(am_loop_step(r->loop, 1000), 0);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "owner-died");
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	rig_free(r);
}
END_TEST

START_TEST(another_start_time_is_another_process)
{
	struct rig *r = rig_up(1, 0, 1);
	char json[96];

	r->c1.uid = getuid();
	(void)snprintf(json, sizeof(json),
	    "{\"request\":1,\"pid\":%d,\"pid_start\":1}", (int)getpid());
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_LeaseRequested, json),
	    AM_CANCELED);
	rig_free(r);
}
END_TEST

START_TEST(only_its_holder_may_end_a_lease)
{
	static const char release[] = "{\"lease\":\"L1\"}";
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_ReleaseWorker, release),
	    AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(am_why(r->super.machine), "not your"));
	ck_assert_int_eq(r->refused, ARPC_E_not_permitted);
	r->c2.has_token = true;
	memcpy(r->c2.token, r->token, sizeof(r->token));
	r->c2.token[15] ^= 1;
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_ReleaseWorker, release),
	    AM_CANCELED);
	r->c2.token[15] ^= 1;
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_ReleaseWorker, release),
	    AM_EXECUTED);
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_ReleaseWorker, release),
	    AM_CANCELED);
	rig_end(w);
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_ReleaseWorker, release),
	    AM_CANCELED);
	ck_assert_ptr_nonnull(
	    strstr(am_why(r->super.machine), "is over: released"));
	ck_assert_int_eq(r->refused, ARPC_E_no_lease);
	rig_free(r);
}
END_TEST

START_TEST(root_may_end_any_lease_and_call_it_admin)
{
	static const char kill_it[] = "{\"lease\":\"L1\",\"reason\":\"admin\"}";
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	r->c2.uid = 0;
	r->c2.admin = true;
	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_ReleaseWorker, kill_it),
	    AM_EXECUTED);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "admin");
	rig_free(r);
}
END_TEST

START_TEST(another_reason_than_theirs_is_not_believed)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	(void)rig_add(r, &r->c1, Sup_ReleaseWorker,
	    "{\"lease\":\"L1\",\"reason\":\"owner-died\"}");
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "released");
	rig_free(r);
}
END_TEST

START_TEST(a_worker_that_does_not_let_go_is_killed)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	emit_release_lease(&r->super, w->lease, "owner-died");
	rig_fire(&w->lease->timer);
	ck_assert_str_eq(w->kill_reason, "owner-died");
	ck_assert_int_eq(r->last_signal, SIGTERM);
	event_worker_gone(w, "eof");
	ck_assert_str_eq(ended(r, "L1"), "owner-died");
	rig_free(r);
}
END_TEST

/* What is left of its timer, in ms. */
static int64_t
end_ms(const struct lease *l)
{
	return (l->timer.deadline_ns - clock_ns() + NS_PER_MS / 2) / NS_PER_MS;
}

START_TEST(an_end_is_given_time_for_acks)
{
	static const struct {
		const char *reason;
		int64_t wait_ms;
	} ends[] = {
		{ "released", 5000 },
		{ "discard", 5000 },
		{ "max", 5000 },
		{ "owner-died", 0 },
		{ "ttl", 0 },
		{ "admin", 0 },
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct rig *r = rig_up(1, 0, 1);
		struct worker *w = rig_lease(r, &r->c1, ASK);

		emit_release_lease(&r->super, w->lease, ends[i].reason);
		ck_assert_int_eq(w->lease->wait_ms, ends[i].wait_ms);
		/* The answer to LeaseEnding takes no such time. */
		ck_assert_int_le(end_ms(w->lease), LEASE_END_MS);
		event_worker_end_taken(w);
		ck_assert_int_le(end_ms(w->lease),
		    ends[i].wait_ms + LEASE_END_MS);
		ck_assert_int_ge(end_ms(w->lease),
		    ends[i].wait_ms + LEASE_END_MS - 500);
		rig_free(r);
	}
}
END_TEST

START_TEST(a_discarded_worker_is_replaced)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	(void)rig_add(r, &r->c1, Sup_ReleaseWorker,
	    "{\"lease\":\"L1\",\"reason\":\"discard\"}");
	rig_end(w);
	ck_assert_str_eq(w->kill_reason, "recycle");
	ck_assert(!super_is(&r->super, Sup_WorkersAvailable));
	event_worker_exit(w, "status=0");
	ck_assert_ptr_nonnull(worker_find(&r->super.model, "w2"));
	rig_free(r);
}
END_TEST

START_TEST(a_release_of_a_request_that_was_granted_meanwhile_ends_its_lease)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_worker(r, "w1");

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_ReleaseWorker,
			      "{\"request\":1,\"reason\":\"unwanted\"}"),
	    AM_EXECUTED);
	rig_accept(w);
	ck_assert_uint_eq(r->n_told, 0);
	rig_end(w);
	ck_assert_str_eq(ended(r, "L1"), "unwanted");
	rig_free(r);
}
END_TEST

START_TEST(a_refused_lease_that_nobody_wants_any_more_is_over)
{
	struct rig *r = rig_up(1, 0, 1);

	(void)rig_add(r, &r->c1, Sup_LeaseRequested, ASK);
	(void)rig_add(r, &r->c1, Sup_ReleaseWorker,
	    "{\"request\":1,\"reason\":\"unwanted\"}");
	event_worker_served(rig_worker(r, "w1"), false, "no");
	ck_assert_str_eq(ended(r, "L1"), "unwanted");
	ck_assert_uint_eq(r->super.model.n_waiting, 0);
	rig_free(r);
}
END_TEST

START_TEST(issues_count_against_the_worker_of_ones_own_lease_only)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w = rig_lease(r, &r->c1, ASK);

	ck_assert_uint_eq(rig_add(r, &r->c2, Sup_WorkerIssues,
			      "{\"lease\":\"L1\"}"),
	    AM_CANCELED);
	ck_assert_uint_eq(rig_add(r, &r->c1, Sup_WorkerIssues,
			      "{\"lease\":\"L1\"}"),
	    AM_EXECUTED);
	ck_assert_uint_eq(w->n_errors, 1);
	rig_free(r);
}
END_TEST

START_TEST(ends_are_remembered_and_the_oldest_forgotten)
{
	struct rig *r = rig_up(1, 0, 1);
	struct worker *w;

	for (int i = 0; i < LEASE_ENDS_MAX + 2; i++) {
		flow_log_clear(&r->log);
		w = rig_lease(r, &r->c1, ASK);
		emit_release_lease(&r->super, w->lease, "released");
		rig_end(w);
	}
	ck_assert_str_eq(ended(r, "L1"), "not ended");
	ck_assert_str_eq(ended(r, "L2"), "not ended");
	ck_assert_str_eq(ended(r, "L3"), "released");
	ck_assert_str_eq(ended(r, "L1026"), "released");
	rig_free(r);
}
END_TEST

UNIT_MAIN("daemon leases", without_waiting_none_free_is_told_at_once,
    a_worker_that_refuses_is_asked_again_after_a_pause,
    a_worker_that_does_not_answer_is_replaced,
    a_waiter_is_told_when_its_time_is_over, priority_goes_first_then_arrival,
    the_queue_is_bounded, bad_wishes_are_refused_with_a_reason,
    a_user_gets_no_more_than_his_share, over_tls_a_user_is_a_certificate,
    certificates_that_differ_at_their_end_are_two_users,
    a_client_gone_before_the_hello_gives_the_worker_back,
    a_client_gone_at_its_hello_keeps_the_lease,
    a_client_gone_while_the_worker_is_asked_gets_no_grant,
    a_worker_that_dies_while_asked_costs_its_waiter_nothing,
    a_grant_that_cannot_be_told_is_taken_back,
    a_confirmed_lease_outlives_the_asking_connection,
    ttl_runs_only_without_connection_and_request,
    max_waits_for_the_running_request,
    max_waits_for_a_request_of_which_nobody_has_heard,
    max_that_is_over_while_an_end_is_refused_counts,
    the_owners_exit_ends_the_lease, another_start_time_is_another_process,
    only_its_holder_may_end_a_lease, root_may_end_any_lease_and_call_it_admin,
    another_reason_than_theirs_is_not_believed,
    a_worker_that_does_not_let_go_is_killed, an_end_is_given_time_for_acks,
    a_discarded_worker_is_replaced,
    a_release_of_a_request_that_was_granted_meanwhile_ends_its_lease,
    a_refused_lease_that_nobody_wants_any_more_is_over,
    issues_count_against_the_worker_of_ones_own_lease_only,
    ends_are_remembered_and_the_oldest_forgotten)
