#include "tests/unit/rpc_pair.h"

/* What is said over a connection. */

START_TEST(hello_brings_schema_and_clocks)
{
	struct am_machine *mirror;
	struct rpc_session *s;

	setup();
	(void)am_add1(m, Ready, AM_NONE);
	client_up(&a);
	mirror = netmach_mirror(a.nm);
	ck_assert_str_eq(am_machine_id(mirror), "tested");
	ck_assert_uint_eq(am_schema_len(am_machine_schema(mirror)), N_STATES);
	for (am_id i = 0; i < N_STATES; i++)
		ck_assert_str_eq(am_schema_name(am_machine_schema(mirror), i),
		    rows[i].name);
	ck_assert_uint_eq(am_schema_hash(am_machine_schema(mirror)),
	    am_schema_hash(schema));
	ck_assert(am_is1(mirror, Ready));
	ck_assert_uint_eq(am_queue_tick(mirror), am_queue_tick(m));
	check_mirror(&a);
	ck_assert_uint_eq(netmach_epoch(a.nm), rpc_server_epoch(srv));
	ck_assert_uint_eq(netmach_last_seq(a.nm), 41);
	ck_assert_int_eq(n_up, 1);
	s = rpc_server_next(srv, NULL);
	ck_assert_ptr_nonnull(s);
	ck_assert_ptr_null(rpc_server_next(srv, s));
	ck_assert_str_eq(rpc_session_name(s), "unit");
	ck_assert_uint_eq(rpc_session_client_id(s), netmach_client_id(a.nm));
	ck_assert_int_eq(netmach_peer(a.nm)->pid, getpid());
	teardown();
}
END_TEST

START_TEST(a_mutation_is_answered_with_its_clocks)
{
	setup();
	client_up(&a);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Ready, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert(am_is1(m, Ready));
	ck_assert(am_is1(netmach_mirror(a.nm), Ready));
	ck_assert_uint_eq(am_queue_tick(netmach_mirror(a.nm)),
	    am_queue_tick(m));
	ck_assert_int_eq(a.n_updates, 1);
	ck_assert_uint_eq(mutate1(&a, AM_TOGGLE, Ready, AM_NONE), AM_EXECUTED);
	ck_assert(!am_is1(netmach_mirror(a.nm), Ready));
	ck_assert_uint_eq(mutate1(&a, AM_SET, Log, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(mutate1(&a, AM_REMOVE, Log, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(mutate1(&a, AM_CAN_ADD, Work, AM_NONE), AM_CANCELED);
	ck_assert_uint_eq(mutate1(&a, AM_CAN_ADD, Ready, AM_NONE), AM_EXECUTED);
	ck_assert(!am_is1(m, Ready));
	ck_assert_uint_eq(mutate1(&a, AM_CAN_REMOVE, Ready, AM_NONE),
	    AM_EXECUTED);
	turns(2);
	check_mirror(&a);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 0);
	teardown();
}
END_TEST

START_TEST(a_canceled_one_says_why)
{
	struct am_buf args = AM_BUF_INIT;

	setup();
	client_up(&a);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Work, AM_NONE), AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(a.reply_why, "Ready"));
	(void)mutate1(&a, AM_ADD, Ready, AM_NONE);
	ck_assert_str_eq(a.reply_why, "");
	am_put_map(&args, 1);
	am_put_str(&args, "refuse");
	am_put_bool(&args, true);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Work, am_buf_val(&args)),
	    AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(a.reply_why, "told to refuse"));
	am_buf_done(&args);
	teardown();
}
END_TEST

START_TEST(a_handler_knows_who_asks)
{
	am_id ids[] = { Work, Ready };
	uint32_t id;

	setup();
	client_up(&a);
	id = netmach_mutate(a.nm, AM_ADD, ids, 2, AM_NONE, 250, on_reply, &a);
	until(&a.n_replies, 1);
	ck_assert_uint_eq(source_id, id);
	ck_assert_int_eq(source_deadline_ms, 250);
	ck_assert_ptr_eq(source_session, rpc_server_next(srv, NULL));
	(void)mutate1(&a, AM_REMOVE, Work, AM_NONE);
	/* without fn: a notification, answered by a push only */
	ck_assert_int_eq(netmach_mutate(a.nm, AM_ADD, ids, 1, AM_NONE, -1, NULL,
			     NULL),
	    0);
	until(&a.n_updates, 3);
	ck_assert_uint_eq(source_id, 0);
	ck_assert_int_eq(source_deadline_ms, -1);
	ck_assert(am_is1(netmach_mirror(a.nm), Work));
	teardown();
}
END_TEST

START_TEST(others_get_one_push_a_turn)
{
	am_sub sub;

	setup();
	client_up(&a);
	client_up(&b);
	sub = am_when(netmach_mirror(b.nm), ready_ids, 1, on_fired, &b);
	ck_assert_uint_ne(sub, 0);
	/* three mutations of one turn */
	for (int i = 0; i < 3; i++)
		(void)netmach_mutate(a.nm, AM_TOGGLE, ready_ids, 1, AM_NONE, -1,
		    on_reply, &a);
	until(&a.n_replies, 3);
	until(&b.n_updates, 1);
	turns(3);
	ck_assert_int_eq(a.n_updates, 3);
	ck_assert_int_eq(b.n_updates, 1);
	ck_assert_int_eq(b.n_fired, 1);
	ck_assert_uint_eq(am_tick(netmach_mirror(b.nm), Ready), 3);
	/* and what the server does itself */
	(void)am_add1(m, Log, AM_NONE);
	(void)am_remove1(m, Log, AM_NONE);
	until(&a.n_updates, 4);
	until(&b.n_updates, 2);
	check_mirror(&a);
	check_mirror(&b);
	/* what changes no clock is not pushed */
	(void)am_add1(m, Ready, AM_NONE);
	turns(3);
	ck_assert_int_eq(a.n_updates, 4);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 0);
	ck_assert_uint_eq(netmach_mismatches(b.nm), 0);
	teardown();
}
END_TEST

START_TEST(a_payload_arrives_and_is_acked)
{
	struct am_buf data = AM_BUF_INIT;
	struct rpc_session *s;
	int n = 0;

	setup();
	client_up(&a);
	s = rpc_server_next(srv, NULL);
	am_put_map(&data, 1);
	am_put_str(&data, "n");
	am_put_int(&data, 9);
	ck_assert_int_eq(rpc_session_payload(s, 42, 17, ARPC_P_CHUNK, "part",
			     am_buf_val(&data)),
	    0);
	until(&a.n_payloads, 1);
	ck_assert_uint_eq(a.payload.seq, 42);
	ck_assert_uint_eq(a.payload.req, 17);
	ck_assert_int_eq(a.payload.kind, ARPC_P_CHUNK);
	ck_assert_str_eq(a.payload_name, "part");
	ck_assert_str_eq(a.source, "tested");
	ck_assert_int_eq(a.payload_data, 9);
	while (n_acked < 1 && n++ < 100)
		(void)am_loop_step(l, 10);
	ck_assert_uint_eq(n_acked, 1);
	ck_assert_uint_eq(acked[0], 42);
	rpc_session_close(s, "over");
	ck_assert_int_eq(rpc_session_payload(s, 43, 0, ARPC_P_EVENT, "x",
			     AM_NONE),
	    -ENOTCONN);
	ck_assert_ptr_null(rpc_server_next(srv, NULL));
	am_buf_done(&data);
	teardown();
}
END_TEST

START_TEST(errors_have_a_code_and_a_text)
{
	struct am_buf params = AM_BUF_INIT;
	am_id locked = Locked;
	am_id none = N_STATES;

	setup();
	client_up(&a);
	(void)netmach_mutate(a.nm, AM_ADD, &locked, 1, AM_NONE, -1, on_reply,
	    &a);
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_ERROR);
	ck_assert_int_eq(a.reply.error, ARPC_E_not_permitted);
	ck_assert_str_eq(a.text, "not Locked");
	(void)netmach_mutate(a.nm, AM_ADD, &none, 1, AM_NONE, -1, on_reply, &a);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_state);
	am_put_array(&params, 1);
	am_put_str(&params, "weather");
	(void)netmach_info(a.nm, am_buf_val(&params), on_reply, &a);
	until(&a.n_replies, 3);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_topic);
	ck_assert_str_eq(a.text, "no topic \"weather\"");
	am_buf_reset(&params);
	am_put_array(&params, 1);
	am_put_str(&params, "echo");
	(void)netmach_info(a.nm, am_buf_val(&params), on_reply, &a);
	until(&a.n_replies, 4);
	ck_assert_int_eq(a.reply.error, ARPC_E_bad_params);
	ck_assert_str_eq(a.text, "nothing to echo");
	am_buf_reset(&params);
	am_put_array(&params, 3);
	am_put_str(&params, "echo");
	am_put_int(&params, 5);
	am_put_str(&params, "x");
	(void)netmach_info(a.nm, am_buf_val(&params), on_reply, &a);
	until(&a.n_replies, 5);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert_uint_eq(a.value_len, 4);
	ck_assert_int_eq(memcmp(a.value, "\x92\x05\xa1x", 4), 0);
	ck_assert_int_eq(netmach_phase(a.nm), NETMACH_READY);
	am_buf_done(&params);
	teardown();
}
END_TEST

START_TEST(a_lease_begins_only_where_it_may)
{
	struct arpc_lease lease = { .lease = "L1", .client = "c" };

	setup();
	lease.token[3] = 33;
	client_up(&a);
	(void)netmach_lease_begin(a.nm, &lease, on_reply, &a);
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert_uint_eq(a.reply.result, AM_EXECUTED);
	ck_assert(am_is1(netmach_mirror(a.nm), Log));
	policy.lease_begin = NULL;
	(void)netmach_lease_begin(a.nm, &lease, on_reply, &a);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_method);
	policy.lease_begin = policy_lease_begin;
	teardown();
}
END_TEST

static am_result got_handle, got_result;
static char got_why[128];
static int n_results;

static void
on_result(struct am_machine *mirror, am_result handle, am_result result,
    const char *why, void *arg)
{
	ck_assert_ptr_eq(arg, &a);
	ck_assert_ptr_eq(mirror, netmach_mirror(a.nm));
	got_handle = handle;
	got_result = result;
	(void)snprintf(got_why, sizeof(got_why), "%s", why);
	n_results++;
}

START_TEST(a_mirror_is_mutated_like_a_machine)
{
	struct am_machine *mirror;
	am_result handle;

	setup();
	n_results = 0;
	client_up(&a);
	mirror = netmach_mirror(a.nm);
	ck_assert_int_eq(am_on_result(mirror, on_result, &a), 0);
	ck_assert_int_eq(am_on_result(m, on_result, &a), -EINVAL);
	handle = am_add1(mirror, Work, AM_NONE);
	ck_assert_uint_ge(handle, AM_QUEUED);
	until(&n_results, 1);
	ck_assert_uint_eq(got_handle, handle);
	ck_assert_uint_eq(got_result, AM_CANCELED);
	ck_assert_str_eq(got_why, "Work requires Ready");
	handle = am_add1(mirror, Ready, AM_NONE);
	until(&n_results, 2);
	ck_assert_uint_eq(got_handle, handle);
	ck_assert_uint_eq(got_result, AM_EXECUTED);
	ck_assert(am_is1(mirror, Ready));
	(void)am_can_add(mirror, (const am_id[]){ Work }, 1, AM_NONE);
	until(&n_results, 3);
	ck_assert_uint_eq(got_result, AM_EXECUTED);
	ck_assert(!am_is1(mirror, Work));
	netmach_close(a.nm, "enough");
	until(&a.n_closed, 1);
	ck_assert_uint_eq(am_add1(mirror, Work, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(mirror), "no connection to the machine");
	teardown();
}
END_TEST

UNIT_MAIN("rpc", a_mirror_is_mutated_like_a_machine,
    hello_brings_schema_and_clocks, a_mutation_is_answered_with_its_clocks,
    a_canceled_one_says_why, a_handler_knows_who_asks,
    others_get_one_push_a_turn, a_payload_arrives_and_is_acked,
    errors_have_a_code_and_a_text, a_lease_begins_only_where_it_may)
