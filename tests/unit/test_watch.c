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
	ck_assert_int_gt(netmach_sync(a.nm, NULL, NULL), 0);
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
	/* What the policy has made for it is given back. */
	ck_assert_int_eq(n_hellos, 1);
	ck_assert_int_eq(n_over, 1);
	ck_assert_int_eq(n_up, 0);
	done();
}
END_TEST

/* A stranger learns nothing of the schema, and his lists are not looked at. */
START_TEST(who_it_is_comes_before_what_it_wants_to_see)
{
	static const uint8_t token[ARPC_TOKEN_LEN] = { 2 };

	setup();
	a.nm = netmach_new(l,
	    &(struct netmach_conf){ .token = token,
		.sync = { .skip = name_list("Raedy", NULL) } },
	    &seeing, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, ARPC_E_bad_token + 1);
	done();
}
END_TEST

START_TEST(no_list_is_longer_than_the_schema)
{
	struct am_buf many = AM_BUF_INIT;

	setup();
	am_put_array(&many, N_STATES + 1);
	for (int i = 0; i <= N_STATES; i++)
		am_put_str(&many, "Ready");
	a.nm = netmach_new(l,
	    &(struct netmach_conf){ .sync = { .prompt = am_buf_val(&many) } },
	    &seeing, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, ARPC_E_bad_params + 1);
	ck_assert_str_eq(a.why, "sync: more names than states");
	am_buf_done(&many);
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
	ck_assert_int_gt(netmach_trace(a.nm, true, on_reply, &a), 0);
	until(&a.n_replies, 1);
	(void)am_add1(m, Log, AM_NONE);
	until(&n_mutated, 1);
	ck_assert_int_gt(netmach_trace(a.nm, false, on_reply, &a), 0);
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
	ck_assert_int_gt(netmach_when_args(a.nm, Log, am_buf_val(&want),
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
		ck_assert_int_gt(netmach_when_args(a.nm, Log, AM_NONE, on_reply,
				     &a),
		    0);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.error, ARPC_E_busy);
	ck_assert_int_gt(netmach_when_args(a.nm, 99, AM_NONE, on_reply, &a), 0);
	until(&a.n_replies, 3);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_state);
	am_buf_done(&want);
	done();
}
END_TEST

START_TEST(args_that_wait_are_bounded_by_their_length)
{
	static char text[20000];
	struct am_buf want = AM_BUF_INIT;

	setup();
	see(&a, (struct arpc_sync){ .shallow = false });
	memset(text, 'x', sizeof(text));
	am_put_map(&want, 1);
	am_put_str(&want, "text");
	am_put_strn(&want, text, sizeof(text));
	for (int i = 0; i < 4; i++)
		ck_assert_int_gt(netmach_when_args(a.nm, Log, am_buf_val(&want),
				     on_reply, &a),
		    0);
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.error, ARPC_E_busy);
	ck_assert_int_gt(netmach_when_args(a.nm, Log, AM_NONE, on_reply, &a),
	    0);
	turns(5);
	/* Of those that came only the large ones go on waiting. */
	add_log("n", 1);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	am_buf_done(&want);
	done();
}
END_TEST

/* ---- what need not be told at once ---- */

/* A machine that is busy may be so late by itself. */
static bool
is_late(int64_t start_ns)
{
	return clock_ns() - start_ns >= ARPC_LATE_MS * NS_PER_MS;
}

START_TEST(only_prompt_states_are_told_at_once)
{
	int64_t start_ns;

	setup();
	see(&a, (struct arpc_sync){ .prompt = name_list("Ready", NULL) });
	start_ns = clock_ns();
	(void)am_add1(m, Log, AM_NONE);
	turns(5);
	(void)am_add1(m, Log, AM_NONE);
	turns(5);
	ck_assert(a.n_updates == 0 || is_late(start_ns));
	until(&a.n_updates, 1);
	ck_assert(is_late(start_ns));
	check_mirror(&a);
	/* With one of these all others. */
	(void)am_add1(m, Log, AM_NONE);
	(void)am_add1(m, Ready, AM_NONE);
	turns(10);
	ck_assert_int_eq(a.n_updates, 2);
	check_mirror(&a);
	/* And with an answer. */
	(void)am_add1(m, Log, AM_NONE);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Work, AM_NONE), AM_EXECUTED);
	check_mirror(&a);
	done();
}
END_TEST

static void
ask_work(struct client *c)
{
	const am_id work = Work;

	(void)am_remove1(m, Work, AM_NONE);
	ck_assert_int_gt(netmach_mutate(c->nm, AM_ADD, &work, 1, AM_NONE, -1,
			     on_reply, c),
	    0);
}

START_TEST(a_response_waits_for_the_payload_if_that_is_wanted)
{
	int64_t start_ns;

	setup();
	(void)am_add1(m, Ready, AM_NONE);
	makes_late = true;
	see(&a, (struct arpc_sync){ .prompt = name_list("Ready", NULL) });
	client_up(&b);
	/* Nobody else is made to wait. */
	start_ns = clock_ns();
	ask_work(&b);
	turns(10);
	ck_assert_int_eq(b.n_replies, 1);
	ask_work(&a);
	turns(10);
	ck_assert(a.n_replies == 0 || is_late(start_ns));
	ck_assert_int_eq(rpc_session_payload(source_session, 1, source_id,
			     ARPC_P_RESULT, "result", AM_NONE),
	    0);
	until(&a.n_replies, 1);
	ck_assert_uint_eq(a.reply.result, AM_EXECUTED);
	/* None comes soon: then it is told late, but told. */
	ask_work(&a);
	until(&a.n_replies, 2);
	ck_assert(is_late(start_ns));
	/* A refusal ends it, and comes at once. */
	(void)am_remove1(m, Ready, AM_NONE);
	turns(10);
	ask_work(&a);
	turns(10);
	ck_assert_int_eq(a.n_replies, 3);
	ck_assert_uint_eq(a.reply.result, AM_CANCELED);
	check_mirror(&a);
	done();
}
END_TEST

/* ---- a schema that grows ---- */

enum { More = N_STATES, Most, N_LONGER };

static const am_id more_ids[] = { More };

/* The schema of the others with two more states. */
static struct am_schema *
longer(void)
{
	struct am_state row[N_LONGER];
	struct am_schema *s;

	memcpy(row, rows, sizeof(rows));
	row[More] = (struct am_state){ .name = "More", .doc = "" };
	row[Most] = (struct am_state){ .name = "Most",
		.doc = "",
		.require = { more_ids, 1 } };
	s = am_schema_new(&(struct am_states){ .name = "longer",
			      .row = row,
			      .len = N_LONGER },
	    NULL);
	ck_assert_ptr_nonnull(s);
	return s;
}

static int n_schemas;

static void
on_longer(struct netmach *nm, void *arg)
{
	(void)arg;
	ck_assert_uint_eq(am_schema_len(am_machine_schema(netmach_mirror(nm))),
	    N_LONGER);
	n_schemas++;
}

static const struct netmach_ops growing = {
	.on_ready = on_ready,
	.on_update = on_update,
	.on_mutated = on_mutated,
	.on_schema = on_longer,
	.on_close = on_close,
};

static void
grow_up(struct client *c, struct netmach_conf conf)
{
	c->nm = netmach_new(l, &conf, &growing, c);
	ck_assert_int_eq(netmach_connect(c->nm, &addr), 0);
	until(&c->n_ready, 1);
}

static void
grow(void)
{
	struct am_schema *s = longer();

	ck_assert_int_eq(am_set_schema(m, s), 0);
	s = am_schema_unref(s);
}

static void
same_as(const struct client *c)
{
	const struct am_machine *mirror = netmach_mirror(c->nm);

	ck_assert_uint_eq(am_schema_hash(am_machine_schema(mirror)),
	    am_schema_hash(am_machine_schema(m)));
	ck_assert_int_eq(memcmp(am_time(mirror), am_time(m),
			     N_LONGER * sizeof(uint64_t)),
	    0);
	ck_assert_uint_eq(netmach_mismatches(c->nm), 0);
}

START_TEST(a_schema_grows_and_the_mirror_with_it)
{
	const am_id work = Work, more = More;
	const struct am_machine *mirror;
	uint64_t hash;

	setup();
	n_schemas = 0;
	(void)am_add1(m, Ready, AM_NONE);
	grow_up(&a, (struct netmach_conf){ .name = "grows" });
	mirror = netmach_mirror(a.nm);
	hash = am_schema_hash(am_machine_schema(mirror));
	(void)am_when(netmach_mirror(a.nm), &work, 1, on_fired, &a);
	/* A change before, one after, all told in one turn. */
	(void)am_add1(m, Log, AM_NONE);
	grow();
	(void)am_add1(m, More, AM_NONE);
	until(&n_schemas, 1);
	until(&a.n_updates, 1);
	ck_assert_ptr_eq(netmach_mirror(a.nm), mirror);
	ck_assert_uint_ne(am_schema_hash(am_machine_schema(mirror)), hash);
	ck_assert(am_is1(mirror, Ready));
	ck_assert(am_is1(mirror, More));
	same_as(&a);
	/* What waited goes on waiting, and new states are like the old ones. */
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Work, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(a.n_fired, 1);
	(void)am_when_not(netmach_mirror(a.nm), &more, 1, on_fired, &a);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Most, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(mutate1(&a, AM_REMOVE, More, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(a.n_fired, 2);
	ck_assert_int_gt(netmach_sync(a.nm, on_reply, &a), 0);
	until(&a.n_replies, 4);
	same_as(&a);
	done();
}
END_TEST

START_TEST(a_schema_grows_for_each_as_he_wants_to_see_it)
{
	setup();
	n_schemas = n_mutated = 0;
	grow_up(&a,
	    (struct netmach_conf){
		.sync = { .allow = name_list("Ready", NULL) } });
	/* A net machine knows the schema by its hash and wants no other. */
	grow_up(&b,
	    (struct netmach_conf){ .schema = schema,
		.sync = { .no_schema = true, .mutations = true } });
	grow();
	(void)am_add1(m, More, AM_NONE);
	(void)am_add1(m, Ready, AM_NONE);
	until(&n_schemas, 1);
	until(&a.n_updates, 1);
	ck_assert(am_is1(netmach_mirror(a.nm), Ready));
	ck_assert(!am_is1(netmach_mirror(a.nm), More));
	until(&n_mutated, 2);
	ck_assert_uint_eq(mutated[0].n_called, 0);
	ck_assert_uint_eq(mutated[1].called[0], Ready);
	check_mirror(&b);
	ck_assert_int_eq(n_schemas, 1);
	ck_assert_uint_eq(mutate1(&b, AM_ADD, Most, AM_NONE), 0);
	ck_assert_int_eq(b.reply.error, ARPC_E_no_state);
	ck_assert_int_eq(b.n_closed, 0);
	done();
}
END_TEST

START_TEST(a_schema_that_grew_meanwhile_keeps_the_mirror)
{
	const am_id more = More;
	const struct am_machine *mirror;

	setup();
	(void)am_add1(m, Ready, AM_NONE);
	grow_up(&a, (struct netmach_conf){ .name = "away" });
	mirror = netmach_mirror(a.nm);
	netmach_close(a.nm, "away");
	until(&a.n_closed, 1);
	grow();
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_ready, 2);
	ck_assert_ptr_eq(netmach_mirror(a.nm), mirror);
	(void)am_when(netmach_mirror(a.nm), &more, 1, on_fired, &a);
	(void)am_add1(m, More, AM_NONE);
	until(&a.n_fired, 1);
	same_as(&a);
	done();
}
END_TEST

UNIT_MAIN("watch", skipped_states_cost_nothing, only_what_is_allowed_is_seen,
    shallow_clocks_tell_activity_only, an_unknown_state_is_refused_by_name,
    who_it_is_comes_before_what_it_wants_to_see,
    no_list_is_longer_than_the_schema,
    each_mutation_is_told_with_what_was_called, tracing_is_switched_on_and_off,
    args_are_waited_for, args_that_wait_are_bounded_by_their_length,
    a_schema_grows_and_the_mirror_with_it,
    a_schema_grows_for_each_as_he_wants_to_see_it,
    a_schema_that_grew_meanwhile_keeps_the_mirror,
    only_prompt_states_are_told_at_once,
    a_response_waits_for_the_payload_if_that_is_wanted)
