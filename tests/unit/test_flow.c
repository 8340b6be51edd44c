#include "lib/base/buf.h"
#include "lib/rpc/netmach_int.h"
#include "lib/rpc/session.h"
#include "tests/unit/rpc_pair.h"

/* Who is slow, floods or is wrong costs a bounded amount, and harms nobody
 * else. */

START_TEST(a_reader_that_stops_costs_a_bounded_amount)
{
	enum { CHANGES = 200000 };
	struct rpc_session *s;
	size_t worst = 0;

	setup();
	client_up(&a);
	s = rpc_server_next(srv, NULL);
	conn_pause(a.nm->conn);
	for (int i = 0; i < CHANGES; i++) {
		(void)am_add1(m, (am_id)(i % 2 == 0 ? Log : Ready), AM_NONE);
		(void)am_remove1(m, Ready, AM_NONE);
		if (i % 16 != 0)
			continue;
		(void)am_loop_step(l, 0);
		if (conn_backlog(s->conn) > worst)
			worst = conn_backlog(s->conn);
	}
	/* What the kernel does not take is one difference. */
	ck_assert_uint_lt(worst, 4096);
	conn_resume(a.nm->conn);
	for (int i = 0;
	     i < 1000 && am_tick(netmach_mirror(a.nm), Log) != am_tick(m, Log);
	     i++)
		(void)am_loop_step(l, 10);
	check_mirror(&a);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 0);
	teardown();
}
END_TEST

START_TEST(a_tracer_that_stops_gets_merged_updates)
{
	struct rpc_session *s;
	size_t worst = 0;

	setup();
	a.nm = netmach_new(l,
	    &(struct netmach_conf){ .sync = { .mutations = true } }, &ops, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_ready, 1);
	s = rpc_server_next(srv, NULL);
	conn_pause(a.nm->conn);
	for (int i = 0; i < 200000; i++) {
		(void)am_add1(m, Log, AM_NONE);
		if (i % 64 == 0)
			(void)am_loop_step(l, 0);
		if (conn_backlog(s->conn) > worst)
			worst = conn_backlog(s->conn);
	}
	ck_assert_uint_gt(worst, 128 * 1024);
	ck_assert_uint_lt(worst, 300 * 1024);
	conn_resume(a.nm->conn);
	for (int i = 0;
	     i < 1000 && am_tick(netmach_mirror(a.nm), Log) != am_tick(m, Log);
	     i++)
		(void)am_loop_step(l, 10);
	check_mirror(&a);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 0);
	teardown();
}
END_TEST

/* Of many connections of one user each may leave less unread than a single one,
 * and what it asks then is not read. */
START_TEST(many_connections_of_a_user_share_what_may_be_unread)
{
	enum { OTHERS = 63, ASKED = 2000, ECHO = 4000 };
	static const char zeros[ECHO];
	static struct client other[OTHERS];
	struct am_buf params = AM_BUF_INIT;
	size_t max_sessions = policy.max_sessions;
	struct rpc_session *s;
	size_t worst = 0;

	policy.max_sessions = 2 * (OTHERS + 1);
	setup();
	client_up(&a);
	s = rpc_server_next(srv, NULL);
	for (int i = 0; i < OTHERS; i++) {
		other[i] = (struct client){ 0 };
		client_up(&other[i]);
	}
	conn_pause(a.nm->conn);
	am_put_array(&params, 2);
	am_put_str(&params, "echo");
	am_put_bin(&params, zeros, ECHO);
	for (int i = 0; i < ASKED; i++) {
		ck_assert_int_gt(netmach_info(a.nm, am_buf_val(&params),
				     on_reply, &a),
		    0);
		(void)am_loop_step(l, 0);
		if (conn_backlog(s->conn) > worst)
			worst = conn_backlog(s->conn);
	}
	ck_assert_uint_gt(worst, USER_OUT_BYTES / (OTHERS + 1));
	ck_assert_uint_lt(worst, USER_OUT_BYTES / (OTHERS + 1) + 3 * ECHO);
	/* And nothing is lost by that. */
	conn_resume(a.nm->conn);
	until(&a.n_replies, ASKED);
	for (int i = 0; i < OTHERS; i++)
		other[i].nm = netmach_free(other[i].nm);
	am_buf_done(&params);
	teardown();
	policy.max_sessions = max_sessions;
}
END_TEST

START_TEST(a_flood_starves_nobody)
{
	enum { FLOOD = 50000 };
	const am_id state = Log;
	uint64_t before;

	setup();
	client_up(&a);
	client_up(&b);
	for (int i = 0; i < FLOOD; i++)
		ck_assert_int_gt(netmach_mutate(a.nm, AM_ADD, &state, 1,
				     AM_NONE, -1, on_reply, &a),
		    0);
	(void)am_loop_step(l, 0);
	before = am_queue_tick(m);
	ck_assert_uint_eq(mutate1(&b, AM_ADD, Ready, AM_NONE), AM_EXECUTED);
	/* A turn takes 256 of the other's. */
	ck_assert_uint_lt(am_queue_tick(m) - before, FLOOD / 10);
	until(&a.n_replies, FLOOD);
	check_mirror(&a);
	teardown();
}
END_TEST

START_TEST(a_wrong_clock_is_repaired_by_a_sync)
{
	struct rpc_session *s;

	setup();
	client_up(&a);
	s = rpc_server_next(srv, NULL);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Log, AM_NONE), AM_EXECUTED);
	/* As if an update had been lost. */
	s->sent.tick[Ready] += 2;
	s->sent.sum = (uint8_t)(s->sent.sum + 2);
	(void)am_add1(m, Ready, AM_NONE);
	for (int i = 0; i < 100 && !am_is1(netmach_mirror(a.nm), Ready); i++)
		(void)am_loop_step(l, 10);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 1);
	ck_assert(netmach_is_exact(a.nm));
	check_mirror(&a);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Log, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 1);
	check_mirror(&a);
	teardown();
}
END_TEST

/* The limit's reason is what the other end's owner is told. */
START_TEST(a_limit_is_told_to_who_broke_it)
{
	struct am_buf *out;

	setup();
	client_up(&a);
	out = conn_out(a.nm->conn);
	am_put_array(out, 4);
	am_put_uint(out, 0);
	am_put_uint(out, 1);
	am_put_str(out, "add");
	/* bin of 32 MiB */
	out = conn_out(a.nm->conn);
	am_put_array(out, 1);
	buf_append(out, "\xc6\x02\x00\x00\x00", 5);
	until(&a.n_closed, 1);
	ck_assert_str_eq(a.why, "too_big: frame over 16 MiB");
	client_new(&b, &(struct netmach_conf){ 0 });
	until(&b.n_ready, 1);
	out = conn_out(b.nm->conn);
	for (int i = 0; i < 40; i++)
		am_put_array(out, 1);
	until(&b.n_closed, 1);
	ck_assert_str_eq(b.why, "too_deep: nested over 32 levels");
	teardown();
}
END_TEST

UNIT_MAIN("flow", a_reader_that_stops_costs_a_bounded_amount,
    a_tracer_that_stops_gets_merged_updates,
    many_connections_of_a_user_share_what_may_be_unread, a_flood_starves_nobody,
    a_wrong_clock_is_repaired_by_a_sync, a_limit_is_told_to_who_broke_it)
