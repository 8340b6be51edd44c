#include "tests/unit/rpc_pair.h"

/* What a client wants to see of the machine, and what it does not. */

static struct am_buf names;
static int n_mutated;
static struct arpc_mutated mutated[8];

static void
on_mutated(struct netmach *nm, const struct arpc_mutated *mu, void *arg)
{
	(void)nm;
	(void)arg;
	if (n_mutated < 8)
		mutated[n_mutated] = *mu;
	n_mutated++;
}

static const struct netmach_ops seeing = {
	.on_ready = on_ready,
	.on_update = on_update,
	.on_mutated = on_mutated,
	.on_close = on_close,
};

static struct am_val
name_list(const char *one, const char *two)
{
	am_buf_reset(&names);
	am_put_array(&names, two == NULL ? 1 : 2);
	am_put_str(&names, one);
	if (two != NULL)
		am_put_str(&names, two);
	return am_buf_val(&names);
}

static void
see(struct client *c, struct arpc_sync sync)
{
	c->nm = netmach_new(l, &(struct netmach_conf){ .sync = sync }, &seeing,
	    c);
	ck_assert_int_eq(netmach_connect(c->nm, &addr), 0);
	until(&c->n_ready, 1);
}

static void
done(void)
{
	ck_assert_uint_eq(netmach_mismatches(a.nm), 0);
	teardown();
	am_buf_done(&names);
}

START_TEST(skipped_states_cost_nothing)
{
	setup();
	(void)am_add1(m, Log, AM_NONE);
	see(&a, (struct arpc_sync){ .skip = name_list("Log", "Work") });
	ck_assert_uint_eq(am_tick(netmach_mirror(a.nm), Log), 0);
	(void)am_add1(m, Log, AM_NONE);
	turns(5);
	ck_assert_int_eq(a.n_updates, 0);
	(void)am_add1(m, Ready, AM_NONE);
	until(&a.n_updates, 1);
	ck_assert_uint_eq(am_tick(netmach_mirror(a.nm), Ready), 1);
	ck_assert_uint_eq(am_tick(netmach_mirror(a.nm), Log), 0);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Work, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_tick(netmach_mirror(a.nm), Work), 0);
	done();
}
END_TEST

START_TEST(only_what_is_allowed_is_seen)
{
	setup();
	see(&a, (struct arpc_sync){ .allow = name_list("Ready", NULL) });
	(void)am_add1(m, Log, AM_NONE);
	(void)am_add1(m, Ready, AM_NONE);
	until(&a.n_updates, 1);
	ck_assert(am_is1(netmach_mirror(a.nm), Ready));
	ck_assert(!am_is1(netmach_mirror(a.nm), Log));
	done();
}
END_TEST

START_TEST(shallow_clocks_tell_activity_only)
{
	setup();
	for (int i = 0; i < 5; i++)
		(void)am_add1(m, Log, AM_NONE);
	see(&a, (struct arpc_sync){ .shallow = true });
	ck_assert_uint_eq(am_tick(netmach_mirror(a.nm), Log), 1);
	/* It comes and goes: nothing to tell. */
	(void)am_add1(m, Ready, AM_NONE);
	(void)am_remove1(m, Ready, AM_NONE);
	(void)am_add1(m, Log, AM_NONE);
	turns(5);
	ck_assert_int_eq(a.n_updates, 0);
	(void)am_add1(m, Ready, AM_NONE);
	until(&a.n_updates, 1);
	ck_assert_uint_eq(am_tick(netmach_mirror(a.nm), Ready), 1);
	ck_assert_uint_eq(am_tick(m, Ready), 3);
	(void)am_remove1(m, Ready, AM_NONE);
	until(&a.n_updates, 2);
	ck_assert(!am_is1(netmach_mirror(a.nm), Ready));
	ck_assert_uint_ne(netmach_sync(a.nm, NULL, NULL), 0);
	until(&a.n_updates, 3);
	ck_assert(am_is1(netmach_mirror(a.nm), Log));
	done();
}
END_TEST

START_TEST(an_unknown_state_is_refused_by_name)
{
	setup();
	a.nm = netmach_new(l,
	    &(struct netmach_conf){
		.sync = { .skip = name_list("Raedy", NULL) } },
	    &seeing, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, ARPC_E_bad_params + 1);
	ck_assert_str_eq(a.why, "sync: no state \"Raedy\"");
	done();
}
END_TEST

START_TEST(each_mutation_is_told_with_what_was_called)
{
	setup();
	n_mutated = 0;
	see(&a, (struct arpc_sync){ .mutations = true });
	(void)am_add1(m, Work, AM_NONE); /* canceled */
	(void)am_add1(m, Ready, AM_NONE);
	(void)am_remove1(m, Ready, AM_NONE);
	until(&n_mutated, 3);
	ck_assert_uint_eq(mutated[0].flags, 0);
	ck_assert_uint_eq(mutated[0].called[0], Work);
	ck_assert_uint_eq(mutated[1].flags, ARPC_M_ACCEPTED);
	ck_assert_uint_eq(mutated[1].n_called, 1);
	ck_assert_uint_eq(mutated[1].called[0], Ready);
	ck_assert_uint_eq(mutated[1].op, 0);
	ck_assert_uint_eq(mutated[2].op, 1);
	check_mirror(&a);
	done();
}
END_TEST

START_TEST(tracing_is_switched_on_and_off)
{
	setup();
	n_mutated = 0;
	see(&a, (struct arpc_sync){ .shallow = false });
	(void)am_add1(m, Ready, AM_NONE);
	until(&a.n_updates, 1);
	ck_assert_uint_ne(netmach_trace(a.nm, true, on_reply, &a), 0);
	until(&a.n_replies, 1);
	(void)am_add1(m, Log, AM_NONE);
	until(&n_mutated, 1);
	ck_assert_uint_ne(netmach_trace(a.nm, false, on_reply, &a), 0);
	until(&a.n_replies, 2);
	(void)am_add1(m, Log, AM_NONE);
	until(&a.n_updates, 3);
	ck_assert_int_eq(n_mutated, 1);
	check_mirror(&a);
	done();
}
END_TEST

static void
add_log(const char *key, int value)
{
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 2);
	am_put_str(&args, "other");
	am_put_bool(&args, true);
	am_put_str(&args, key);
	am_put_int(&args, value);
	(void)am_add1(m, Log, am_buf_val(&args));
	am_buf_done(&args);
}

START_TEST(args_are_waited_for)
{
	struct am_buf want = AM_BUF_INIT;

	setup();
	see(&a, (struct arpc_sync){ .shallow = false });
	am_put_map(&want, 1);
	am_put_str(&want, "n");
	am_put_int(&want, 7);
	ck_assert_uint_ne(netmach_when_args(a.nm, Log, am_buf_val(&want),
			      on_reply, &a),
	    0);
	turns(5);
	add_log("n", 6);
	add_log("m", 7);
	turns(5);
	ck_assert_int_eq(a.n_replies, 0);
	add_log("n", 7);
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert_uint_eq(am_tick(netmach_mirror(a.nm), Log), am_tick(m, Log));
	add_log("n", 7);
	turns(5);
	ck_assert_int_eq(a.n_replies, 1);
	for (int i = 0; i < 65; i++)
		ck_assert_uint_ne(netmach_when_args(a.nm, Log, AM_NONE,
				      on_reply, &a),
		    0);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.error, ARPC_E_busy);
	ck_assert_uint_ne(netmach_when_args(a.nm, 99, AM_NONE, on_reply, &a),
	    0);
	until(&a.n_replies, 3);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_state);
	am_buf_done(&want);
	done();
}
END_TEST

UNIT_MAIN("watch", skipped_states_cost_nothing, only_what_is_allowed_is_seen,
    shallow_clocks_tell_activity_only, an_unknown_state_is_refused_by_name,
    each_mutation_is_told_with_what_was_called, tracing_is_switched_on_and_off,
    args_are_waited_for)
