#include "tests/unit/rpc_pair.h"

/* How connections begin and end. */

START_TEST(a_wrong_token_is_refused)
{
	uint8_t token[ARPC_TOKEN_LEN] = { 2 };

	setup();
	client_new(&a, &(struct netmach_conf){ .token = token });
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, ARPC_E_bad_token + 1);
	ck_assert_str_eq(a.why, "no such lease");
	ck_assert_int_eq(n_over, 0);
	token[0] = 1;
	client_new(&b, &(struct netmach_conf){ .token = token });
	until(&b.n_ready, 1);
	teardown();
}
END_TEST

START_TEST(too_many_connections_are_busy)
{
	struct client more[3] = { 0 };

	setup();
	client_up(&a);
	for (int i = 0; i < 3; i++)
		client_new(&more[i], &(struct netmach_conf){ .name = "more" });
	until(&more[1].n_ready, 1);
	until(&more[2].n_closed, 1);
	ck_assert_int_eq(more[2].code, ARPC_E_busy + 1);
	/* there is room again */
	more[0].nm = netmach_free(more[0].nm);
	turns(3);
	ck_assert_int_eq(netmach_connect(more[2].nm, &addr), 0);
	until(&more[2].n_ready, 1);
	for (int i = 0; i < 3; i++)
		more[i].nm = netmach_free(more[i].nm);
	teardown();
}
END_TEST

START_TEST(nobody_there_is_an_errno)
{
	struct am_error err;
	struct addr tcp;
	int fd;

	setup();
	server_down();
	a.nm = netmach_new(l, &(struct netmach_conf){ 0 }, &ops, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), -ENOENT);
	ck_assert_int_eq(netmach_phase(a.nm), NETMACH_IDLE);
	/* over TCP it shows later */
	ck_assert_int_eq(addr_parse("127.0.0.1:0", &tcp, &err), 0);
	fd = addr_listen(&tcp, 0);
	ck_assert_int_eq(addr_of_fd(fd, &tcp), 0);
	(void)close(fd);
	if (netmach_connect(a.nm, &tcp) == 0) {
		until(&a.n_closed, 1);
		ck_assert_int_eq(a.code, -ECONNREFUSED);
	}
	/* and one that never answers */
	a.nm = netmach_free(a.nm);
	fd = addr_listen(&addr, 0600);
	client_new(&b, &(struct netmach_conf){ .timeout_ms = 30 });
	until(&b.n_closed, 1);
	ck_assert_int_eq(b.code, -ETIMEDOUT);
	(void)close(fd);
	(void)unlink(path);
	server_up();
	teardown();
}
END_TEST

/* A listening socket whose queue is full; returns the raw connections. */
static int
full_queue(int *ret_listen_fd, int *raw, int max)
{
	int n = 0;

	*ret_listen_fd = addr_listen(&addr, 0600);
	ck_assert_int_eq(listen(*ret_listen_fd, 0), 0);
	while (n < max && (raw[n] = addr_connect(&addr)) >= 0)
		n++;
	ck_assert_int_lt(n, max);
	ck_assert_int_eq(raw[n], -EAGAIN);
	return n;
}

START_TEST(a_full_queue_is_waited_for)
{
	int raw[8];
	int fd;
	int n;

	setup();
	server_down();
	n = full_queue(&fd, raw, 8);
	client_new(&a, &(struct netmach_conf){ .timeout_ms = 5000 });
	client_new(&b, &(struct netmach_conf){ .timeout_ms = 50 });
	until(&b.n_closed, 1);
	ck_assert_int_eq(b.code, -ETIMEDOUT);
	ck_assert_int_eq(netmach_phase(a.nm), NETMACH_CONNECTING);
	ck_assert_int_eq(netmach_connect(b.nm, &addr), 0);
	netmach_close(b.nm, "never mind");
	ck_assert_int_eq(b.n_closed, 1);
	until(&b.n_closed, 2);
	ck_assert_int_eq(b.code, 0);
	ck_assert_int_eq(netmach_connect(b.nm, &addr), 0);
	b.nm = netmach_free(b.nm);
	/* the server wakes up */
	m = am_machine_new(schema, "tested");
	srv = rpc_server_new(l, m);
	listener = rpc_server_listen(srv, fd, &policy, &listener);
	until(&a.n_ready, 1);
	while (n > 0)
		(void)close(raw[--n]);
	teardown();
}
END_TEST

START_TEST(open_calls_are_lost_with_the_connection)
{
	setup();
	client_up(&a);
	a.again = &addr;
	for (int i = 0; i < 20; i++)
		(void)netmach_mutate(a.nm, AM_ADD, ready_ids, 1, AM_NONE, -1,
		    on_reply, &a);
	rpc_server_close(srv, -1, "going away");
	/* The bye is there before the calls are read. */
	until(&a.n_replies, 20);
	ck_assert_int_eq(a.reply.status, NETMACH_LOST);
	ck_assert_str_eq(a.text, "going away");
	ck_assert_int_eq(a.n_closed, 1);
	ck_assert_int_eq(a.code, 0);
	ck_assert_str_eq(a.why, "going away");
	ck_assert_int_eq(n_over, 1);
	ck_assert_str_eq(over_why, "going away");
	/* on_close has connected again */
	until(&a.n_ready, 2);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Log, AM_NONE), AM_EXECUTED);
	teardown();
}
END_TEST

START_TEST(a_mirror_survives_a_new_server_of_the_same_schema)
{
	struct am_machine *mirror;
	uint64_t epoch;

	setup();
	client_up(&a);
	(void)mutate1(&a, AM_ADD, Ready, AM_NONE);
	mirror = netmach_mirror(a.nm);
	epoch = netmach_epoch(a.nm);
	server_down();
	until(&a.n_closed, 1);
	ck_assert_str_eq(a.why, "eof");
	ck_assert_int_eq(netmach_mutate(a.nm, AM_ADD, ready_ids, 1, AM_NONE, -1,
			     on_reply, &a),
	    -ENOTCONN);
	ck_assert_ptr_eq(netmach_mirror(a.nm), mirror);
	server_up();
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), -EALREADY);
	until(&a.n_ready, 2);
	ck_assert_ptr_eq(netmach_mirror(a.nm), mirror);
	ck_assert_uint_ne(netmach_epoch(a.nm), epoch);
	ck_assert(!am_is1(mirror, Ready));
	check_mirror(&a);
	netmach_close(a.nm, "enough");
	until(&a.n_closed, 2);
	ck_assert_str_eq(a.why, "enough");
	turns(2);
	ck_assert_str_eq(over_why, "enough");
	teardown();
}
END_TEST

START_TEST(a_known_schema_is_shared)
{
	setup();
	client_new(&a, &(struct netmach_conf){ .schema = schema });
	until(&a.n_ready, 1);
	ck_assert_ptr_eq(am_machine_schema(netmach_mirror(a.nm)), schema);
	teardown();
}
END_TEST

static void
free_it(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct client *c = arg;

	(void)id;
	(void)r;
	c->n_replies++;
	c->nm = netmach_free(nm);
}

START_TEST(it_may_be_freed_by_its_own_callback)
{
	setup();
	client_up(&a);
	for (int i = 0; i < 5; i++)
		(void)netmach_mutate(a.nm, AM_TOGGLE, ready_ids, 1, AM_NONE, -1,
		    free_it, &a);
	until(&a.n_replies, 1);
	until(&n_over, 1);
	ck_assert_int_eq(a.n_replies, 1);
	ck_assert_int_eq(a.n_closed, 0);
	client_up(&b);
	for (int i = 0; i < 5; i++)
		(void)netmach_mutate(b.nm, AM_TOGGLE, ready_ids, 1, AM_NONE, -1,
		    free_it, &b);
	rpc_server_close(srv, listener, "lost");
	until(&b.n_replies, 1);
	turns(3);
	ck_assert_int_eq(b.n_replies, 1);
	ck_assert_int_eq(b.n_closed, 0);
	teardown();
}
END_TEST

UNIT_MAIN("rpc_life", a_wrong_token_is_refused, too_many_connections_are_busy,
    nobody_there_is_an_errno, a_full_queue_is_waited_for,
    open_calls_are_lost_with_the_connection,
    a_mirror_survives_a_new_server_of_the_same_schema, a_known_schema_is_shared,
    it_may_be_freed_by_its_own_callback)
