/* Tracers of a mirror, and args that are waited for through it. */
#include "lib/machine/machine.h"
#include "tests/unit/rpc_pair.h"

static char heard[256];
static int n_heard, n_came, n_gone;

static const struct netmach_ops plain = {
	.on_ready = on_ready,
	.on_close = on_close,
};

static void
on_end(struct am_machine *mirror, const struct am_transition *t, void *arg)
{
	char *p = heard + strlen(heard);

	(void)arg;
	ck_assert_uint_eq(t->n_called, 1);
	(void)snprintf(p, sizeof(heard) - (size_t)(p - heard), "%s%c%s%s%s",
	    p == heard ? "" : ", ", t->op == AM_ADD ? '+' : '-',
	    am_schema_name(am_machine_schema(mirror), t->called[0]),
	    t->automatic ? " by itself" : "", t->accepted ? "" : " canceled");
	ck_assert_ptr_eq(t->time_after, am_time(mirror));
	n_heard++;
}

static const struct am_tracer tracer = { .size = sizeof(tracer),
	.transition_end = on_end };

static void
on_came(struct am_machine *mirror, void *arg)
{
	(void)arg;
	if (am_disposing(mirror))
		n_gone++;
	else
		n_came++;
}

static void
begin(void)
{
	setup();
	heard[0] = '\0';
	n_heard = n_came = n_gone = 0;
	a.nm = netmach_new(l, &(struct netmach_conf){ .client_id = 1 }, &plain,
	    &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_ready, 1);
}

/* The connection ends, and there is another one. */
static void
reconnect(void)
{
	rpc_server_close(srv, -1, "cut");
	until(&a.n_closed, 1);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_ready, 2);
}

static void
add_log(const char *key, int64_t value)
{
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 1);
	am_put_str(&args, key);
	am_put_int(&args, value);
	(void)am_add1(m, Log, am_buf_val(&args));
	am_buf_done(&args);
}

static am_sub
wait_log(int64_t n)
{
	struct am_buf want = AM_BUF_INIT;
	am_sub sub;

	am_put_map(&want, 1);
	am_put_str(&want, "n");
	am_put_int(&want, n);
	sub = am_when_args(netmach_mirror(a.nm), Log, am_buf_val(&want),
	    on_came, NULL);
	am_buf_done(&want);
	return sub;
}

START_TEST(a_tracer_of_a_mirror_hears_each_mutation)
{
	struct am_machine *mirror;

	begin();
	mirror = netmach_mirror(a.nm);
	(void)am_add1(m, Ready, AM_NONE); /* nobody listens yet */
	ck_assert_int_eq(am_trace(mirror, &tracer, NULL), 0);
	turns(5);
	(void)am_remove1(m, Ready, AM_NONE);
	(void)am_add1(m, Work, AM_NONE);
	(void)am_add1(m, Ready, AM_NONE);
	until(&n_heard, 3);
	ck_assert_str_eq(heard, "-Ready, +Work canceled, +Ready");
	/* It goes on with the next connection, from its first mutation. */
	reconnect();
	(void)am_add1(m, Log, AM_NONE);
	until(&n_heard, 4);
	am_untrace(mirror, &tracer, NULL);
	turns(5);
	(void)am_add1(m, Log, AM_NONE);
	turns(5);
	ck_assert_int_eq(n_heard, 4);
	ck_assert_uint_eq(am_tick(mirror, Log), am_tick(m, Log));
	teardown();
}
END_TEST

START_TEST(args_are_waited_for_through_a_mirror)
{
	am_sub gone;

	begin();
	ck_assert_uint_ne(wait_log(7), AM_SUB_FAILED);
	gone = wait_log(7);
	am_sub_cancel(netmach_mirror(a.nm), gone);
	turns(5);
	add_log("n", 6);
	add_log("m", 7);
	turns(5);
	ck_assert_int_eq(n_came, 0);
	add_log("n", 7);
	until(&n_came, 1);
	add_log("n", 7);
	turns(5);
	ck_assert_int_eq(n_came, 1);
	teardown();
}
END_TEST

START_TEST(args_go_on_to_be_waited_for_after_a_reconnect)
{
	am_sub gone;

	begin();
	(void)wait_log(7);
	gone = wait_log(8);
	turns(5);
	am_sub_cancel(netmach_mirror(a.nm), gone);
	reconnect();
	turns(5);
	add_log("n", 8);
	add_log("n", 7);
	until(&n_came, 1);
	/* Asked without a connection. */
	rpc_server_close(srv, -1, "cut");
	until(&a.n_closed, 2);
	ck_assert_uint_ne(wait_log(9), AM_SUB_FAILED);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_ready, 3);
	turns(5);
	add_log("n", 9);
	until(&n_came, 2);
	teardown();
}
END_TEST

START_TEST(what_the_server_would_not_keep_is_refused_at_once)
{
	begin();
	for (int i = 0; i < 64; i++)
		ck_assert_uint_ne(wait_log(i), AM_SUB_FAILED);
	ck_assert_uint_eq(wait_log(64), AM_SUB_FAILED);
	turns(5);
	add_log("n", 1);
	until(&n_came, 1);
	ck_assert_uint_ne(wait_log(64), AM_SUB_FAILED);
	/* Those that still wait hear of the end. */
	a.nm = netmach_free(a.nm);
	ck_assert_int_eq(n_gone, 64);
	teardown();
}
END_TEST

UNIT_MAIN("mirror", a_tracer_of_a_mirror_hears_each_mutation,
    args_are_waited_for_through_a_mirror,
    args_go_on_to_be_waited_for_after_a_reconnect,
    what_the_server_would_not_keep_is_refused_at_once)
