/* A worker over real sockets: payloads that wait, and the life of a lease. */
#include <errno.h>
#include <string.h>

#include "tests/unit/worker_rig.h"

#include "lib/node/common.h"
#include "lib/node/worker_outbox.h"

/* ---- payloads ---- */

START_TEST(result_waits_for_the_client_that_asked)
{
	struct world *w = leased();
	struct world_peer first, second = { .nm = NULL };

	request(w, NULL);
	world_disconnect(w, &w->client);
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	world_answer(w, 0, 5);
	first = w->client;
	w->client = second; /* another client id of the same lease */
	world_connect_client(w);
	world_info(w, &w->client, "payloads");
	ck_assert_uint_eq(w->client.n_got, 0);
	ck_assert_uint_eq(((const uint8_t *)w->client.value.data)[0], 0x91);
	w->client.nm = netmach_free(w->client.nm);
	am_buf_done(&w->client.value);
	w->client = first;
	world_connect_client(w);
	got(w, 1);
	ck_assert_int_eq(w->client.got[0].value, 5);
	world_until_true(w, info_is_empty(w));
	world_free(w);
}
END_TEST

START_TEST(unacked_payload_comes_again)
{
	struct world *w = leased();

	w->client.no_ack = true;
	request(w, "{\"sync\":true}");
	got(w, 1);
	world_disconnect(w, &w->client);
	world_connect_client(w);
	got(w, 2);
	ck_assert_uint_eq(w->client.got[0].seq, w->client.got[1].seq);
	w->client.no_ack = false;
	netmach_ack(w->client.nm, w->client.got[0].seq);
	world_disconnect(w, &w->client);
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	world_connect_client(w);
	world_until_true(w, info_is_empty(w));
	ck_assert_uint_eq(w->client.n_got, 2);
	world_free(w);
}
END_TEST

START_TEST(event_goes_to_the_lease)
{
	struct world *w = leased();

	ck_assert_int_eq(am_worker_event(w->worker, "found", AM_NONE), 0);
	got(w, 1);
	ck_assert_str_eq(w->client.got[0].kind, "event");
	ck_assert_str_eq(w->client.got[0].name, "found");
	world_end_lease(w, "L1", "released");
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_int_eq(am_worker_event(w->worker, "found", AM_NONE), -ENOENT);
	world_free(w);
}
END_TEST

/* The supervisor hears of a request late. */
START_TEST(lease_that_is_ended_as_idle_goes_on_with_an_open_request)
{
	static const char end[] =
	    "{\"lease\":\"L1\",\"reason\":\"drain\",\"if_idle\":true}";
	struct world *w = leased();

	request(w, "{}");
	world_until_state(w, w->w, Wrk_Working, true);
	(void)world_add(w, &w->super, Wrk_LeaseEnding, end);
	ck_assert_uint_eq(w->super.result, AM_CANCELED);
	ck_assert_str_eq(w->super.text, "LeaseEndingEnter: a request is open");
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[0], AM_NONE), 0);
	got(w, 1);
	(void)world_add(w, &w->super, Wrk_LeaseEnding, end);
	ck_assert_uint_eq(w->super.result, AM_EXECUTED);
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

START_TEST(lease_whose_client_has_come_does_not_end_for_want_of_one)
{
	struct world *w = leased();

	world_end_lease(w, "L1", "client-gone");
	ck_assert_uint_eq(w->super.result, AM_CANCELED);
	ck_assert_str_eq(w->super.text,
	    "LeaseEndingEnter: its client has come");
	world_end_lease(w, "L1", "unconfirmed");
	ck_assert_uint_eq(w->super.result, AM_CANCELED);
	ck_assert(am_is1(w->w, Wrk_Leased));
	request(w, "{\"sync\":true}");
	got(w, 1);
	world_end_lease(w, "L1", "owner-died");
	ck_assert_uint_eq(w->super.result, AM_EXECUTED);
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

START_TEST(full_outbox_holds_the_program_back)
{
	struct world *w = world_new();

	w->env.outbox_len = 2;
	world_worker(w);
	make_lease(w, 0, 0);
	w->client.no_ack = true;
	request(w, NULL);
	request(w, NULL);
	request(w, NULL);
	world_answer(w, 0, 1);
	world_answer(w, 1, 2);
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[2], AM_NONE),
	    -EAGAIN);
	got(w, 2);
	refused_busy(w, NULL,
	    "outbox full: 2 payloads wait to be fetched "
	    "and acked");
	ck_assert_uint_eq(w->n_rooms, 0);
	netmach_ack(w->client.nm, w->client.got[0].seq);
	world_until_true(w, w->n_rooms == 1);
	world_answer(w, 2, 3);
	got(w, 3);
	world_free(w);
}
END_TEST

START_TEST(data_that_no_outbox_can_hold_is_refused)
{
	struct world *w = leased();
	size_t len = ARPC_PAYLOAD_MAX + 1;
	struct am_val big = { calloc(1, len), len };

	request(w, NULL);
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[0], big), -E2BIG);
	world_answer(w, 0, 1);
	got(w, 1);
	free((void *)(uintptr_t)big.data);
	world_free(w);
}
END_TEST

START_TEST(outbox_counts_bytes)
{
	struct outbox *o = calloc(1, sizeof(*o));
	const char data[100] = { 0 };
	uint64_t seq;

	outbox_init(o, NULL, 1000, 100);
	while (outbox_has_room(o, sizeof(data)))
		ck_assert_ptr_nonnull(outbox_put(o, 1, 1, ARPC_P_RESULT,
		    "result", (struct am_val){ data, sizeof(data) }));
	ck_assert_uint_gt(o->len, 1);
	ck_assert_uint_le(o->bytes, 1000);
	seq = TAILQ_FIRST(&o->entries)->seq;
	outbox_drop(o, outbox_find(o, seq));
	ck_assert_ptr_null(outbox_find(o, seq));
	ck_assert(outbox_has_room(o, sizeof(data)));
	seq = o->last_seq;
	outbox_clear(o);
	ck_assert_uint_eq(o->bytes, 0);
	ck_assert_uint_eq(outbox_put(o, 0, 0, ARPC_P_EVENT, "e", AM_NONE)->seq,
	    seq + 1);
	ck_assert_uint_eq(o->n_events, 1);
	outbox_await(o, TAILQ_FIRST(&o->entries), true);
	ck_assert_uint_eq(o->n_awaited, 1);
	outbox_clear(o);
	ck_assert(o->n_events == 0 && o->n_awaited == 0);
	free(o);
}
END_TEST

/* ---- leases ---- */

START_TEST(next_lease_sees_nothing_of_the_last)
{
	struct world *w = leased();
	struct world_peer other = { .nm = NULL };

	w->client.no_ack = true;
	ck_assert_int_eq(am_worker_event(w->worker, "secret", AM_NONE), 0);
	got(w, 1);
	world_end_lease(w, "L1", "released");
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_uint_eq(world_outbox_len(w), 0);
	memset(w->token, 9, sizeof(w->token));
	world_lease(w, "L2", 0, 0);
	w->client.nm = netmach_free(w->client.nm);
	am_buf_done(&w->client.value);
	w->client = other;
	world_connect_client(w);
	ck_assert(info_is_empty(w));
	ck_assert_uint_eq(w->client.n_got, 0);
	world_free(w);
}
END_TEST

START_TEST(nobody_else_can_begin_a_lease)
{
	struct world *w = idle();

	ck_assert_uint_eq(am_add1(w->w, Wrk_ServeClient, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(w->w), "ServeClientEnter: no token");
	world_lease(w, "", 0, 0);
	ck_assert(
	    w->super.status == NETMACH_ERROR || w->super.result == AM_CANCELED);
	ck_assert(!am_is1(w->w, Wrk_Leased));
	world_free(w);
}
END_TEST

START_TEST(worker_serves_one_lease)
{
	struct world *w = leased();

	world_lease(w, "L2", 0, 0);
	ck_assert_uint_eq(w->super.result, AM_CANCELED);
	ck_assert_str_eq(w->super.text, "ServeClient removed by Leased");
	world_end_lease(w, "L2", "released");
	ck_assert_uint_eq(w->super.result, AM_CANCELED);
	ck_assert_str_eq(w->super.text, "LeaseEndingEnter: not this lease");
	ck_assert_uint_eq(w->n_leases, 1);
	world_free(w);
}
END_TEST

START_TEST(lease_ends_when_the_program_was_reset)
{
	struct world *w = leased();

	w->manual_reset = true;
	world_end_lease(w, "L1", "admin");
	world_until_true(w, w->client.closed && w->n_resets == 1);
	ck_assert_str_eq(w->client.why, "admin");
	ck_assert(am_is1(w->w, Wrk_LeaseEnding));
	world_connect_client(w); /* its token is not taken any more */
	ck_assert_int_eq(w->client.code, ARPC_E_bad_token + 1);
	am_worker_reset_done(w->worker);
	am_worker_reset_done(w->worker); /* a second one is harmless */
	ck_assert(!am_is1(w->w, Wrk_Leased));
	world_lease(w, "L2", 0, 0);
	ck_assert_uint_eq(w->super.result, AM_EXECUTED);
	world_free(w);
}
END_TEST

START_TEST(kept_program_is_not_told_to_forget)
{
	struct world *w = leased();

	w->manual_reset = true;
	(void)world_add(w, &w->super, Wrk_LeaseEnding,
	    "{\"lease\":\"L1\",\"reason\":\"released\",\"keep\":true}");
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_uint_eq(w->n_resets, 0);
	world_lease(w, "L2", 0, 0);
	world_end_lease(w, "L2", "released");
	world_until_true(w, w->n_resets == 1);
	am_worker_reset_done(w->worker);
	/* One that is at work hears that nobody waits for it. */
	world_lease(w, "L3", 0, 0);
	world_connect_client(w);
	request(w, NULL);
	(void)world_add(w, &w->super, Wrk_LeaseEnding,
	    "{\"lease\":\"L3\",\"reason\":\"ttl\",\"keep\":true}");
	world_until_true(w, w->n_resets == 2);
	world_free(w);
}
END_TEST

START_TEST(ttl_is_kept_without_a_supervisor)
{
	struct world *w = leased();

	world_end_lease(w, "L1", "released");
	world_until_state(w, w->w, Wrk_Leased, false);
	world_lease(w, "L2", 30, 0);
	world_connect_client(w);
	world_until_state(w, w->w, Wrk_ClientConnected, true);
	world_disconnect(w, &w->super);
	world_until_state(w, w->w, Wrk_SuperConnected, false);
	for (int i = 0; i < 5; i++)
		(void)am_loop_step(w->loop, 20);
	ck_assert(am_is1(w->w, Wrk_Leased)); /* it is in use */
	world_disconnect(w, &w->client);
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_uint_eq(w->n_resets, 2);
	world_free(w);
}
END_TEST

START_TEST(max_waits_for_the_request_that_runs)
{
	struct world *w = idle();

	make_lease(w, 0, 30);
	request(w, NULL);
	world_disconnect(w, &w->super);
	world_until_state(w, w->w, Wrk_SuperConnected, false);
	for (int i = 0; i < 4; i++)
		(void)am_loop_step(w->loop, 20);
	ck_assert(am_is1(w->w, Wrk_Leased));
	world_answer(w, 0, 1);
	world_until_true(w, w->client.closed);
	ck_assert_str_eq(w->client.why, "max");
	ck_assert_uint_eq(w->client.n_got, 1);
	world_free(w);
}
END_TEST

START_TEST(supervisor_is_who_counts_while_it_is_there)
{
	struct world *w = idle();

	world_lease(w, "L1", 10, 10);
	for (int i = 0; i < 4; i++)
		(void)am_loop_step(w->loop, 20);
	ck_assert(am_is1(w->w, Wrk_Leased));
	world_free(w);
}
END_TEST

START_TEST(orphan_leaves)
{
	struct world *w = world_new();

	w->env.orphan_ttl_ms = 30;
	world_worker(w);
	for (int i = 0; i < 4; i++)
		(void)am_loop_step(w->loop, 20);
	ck_assert_str_eq(w->stopped, "");
	world_disconnect(w, &w->super);
	world_until_true(w, w->stopped[0] != '\0');
	ck_assert_str_eq(w->stopped, "orphaned");
	world_free(w);
}
END_TEST

START_TEST(orphan_leaves_though_its_program_hangs)
{
	struct world *w = world_new();

	w->env.orphan_ttl_ms = 30;
	w->manual_reset = true;
	world_worker(w);
	world_lease(w, "L1", 10, 0);
	world_disconnect(w, &w->super);
	world_until_true(w, w->n_resets == 1);
	ck_assert(am_is1(w->w, Wrk_LeaseEnding));
	world_until_true(w, w->stopped[0] != '\0');
	ck_assert_str_eq(w->stopped, "orphaned");
	world_free(w);
}
END_TEST

START_TEST(new_supervisor_hears_of_the_lease)
{
	struct world *w = leased();

	world_disconnect(w, &w->super);
	world_until_state(w, w->w, Wrk_SuperConnected, false);
	world_connect_super(w);
	world_until_true(w, w->super.n_got == 1);
	ck_assert_str_eq(w->super.got[0].name, "Lease");
	ck_assert(am_is1(w->w, Wrk_ClientConnected));
	world_free(w);
}
END_TEST

UNIT_MAIN("worker_lease", result_waits_for_the_client_that_asked,
    unacked_payload_comes_again, event_goes_to_the_lease,
    lease_that_is_ended_as_idle_goes_on_with_an_open_request,
    lease_whose_client_has_come_does_not_end_for_want_of_one,
    full_outbox_holds_the_program_back, data_that_no_outbox_can_hold_is_refused,
    outbox_counts_bytes, next_lease_sees_nothing_of_the_last,
    nobody_else_can_begin_a_lease, worker_serves_one_lease,
    lease_ends_when_the_program_was_reset, kept_program_is_not_told_to_forget,
    ttl_is_kept_without_a_supervisor, max_waits_for_the_request_that_runs,
    supervisor_is_who_counts_while_it_is_there, orphan_leaves,
    orphan_leaves_though_its_program_hangs, new_supervisor_hears_of_the_lease)
