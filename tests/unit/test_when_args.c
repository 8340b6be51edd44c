/* am_when_args() and when_args on the wire: one rule. Both wait for the same
 * here, and are told of the same mutations. */
#include "lib/base/clock.h"
#include "lib/rpc/user.h"
#include "tests/unit/rpc_pair.h"

enum { KEYS = 64, WAITING = 64, CONNECTIONS = 8, GIVEN = 1000 };

static int n_told;

static void
on_args(struct am_machine *of, void *arg)
{
	(void)of;
	(void)arg;
	n_told++;
}

static struct am_val
map_of(struct am_buf *to, const char *key, int value)
{
	am_buf_reset(to);
	am_put_map(to, 1);
	am_put_str(to, key);
	am_put_int(to, value);
	return am_buf_val(to);
}

/* k0 .. k(n - 1), of which the last one has this value. */
static struct am_val
keys(struct am_buf *to, int n, int last)
{
	char key[16];

	am_buf_reset(to);
	am_put_map(to, (size_t)n);
	for (int i = 0; i < n; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		am_put_str(to, key);
		am_put_int(to, i == n - 1 ? last : 0);
	}
	return am_buf_val(to);
}

static void
wait_for(am_id state, struct am_val args)
{
	n_told = 0;
	a.n_replies = 0;
	ck_assert_uint_ne(am_when_args(m, state, args, on_args, NULL),
	    AM_SUB_FAILED);
	ck_assert_int_gt(netmach_when_args(a.nm, state, args, on_reply, &a), 0);
	turns(5);
}

static void
check_told(int n)
{
	turns(5);
	ck_assert_int_eq(n_told, n);
	ck_assert_int_eq(a.n_replies, n);
	if (n > 0)
		ck_assert_int_eq(a.reply.status, NETMACH_OK);
}

START_TEST(a_key_has_any_length)
{
	struct am_buf want = AM_BUF_INIT, given = AM_BUF_INIT;
	char key[400];

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	setup();
	client_up(&a);
	wait_for(Log, map_of(&want, key, 1));
	(void)am_add1(m, Log, map_of(&given, key, 2));
	check_told(0);
	(void)am_add1(m, Log, map_of(&given, key, 1));
	check_told(1);
	am_buf_done(&want);
	am_buf_done(&given);
	teardown();
}
END_TEST

START_TEST(only_a_state_that_is_entered_counts)
{
	struct am_buf want = AM_BUF_INIT;
	struct am_val one = map_of(&want, "n", 1);

	setup();
	client_up(&a);
	(void)am_add1(m, Ready, AM_NONE);
	wait_for(Ready, one);
	/* It is active already, and not multi. */
	(void)am_add1(m, Ready, one);
	check_told(0);
	(void)am_remove1(m, Ready, one);
	check_told(0);
	/* In a set, and by a check. */
	(void)am_can_add(m, (const am_id[]){ Ready }, 1, one);
	check_told(0);
	(void)am_set(m, (const am_id[]){ Ready }, 1, one);
	check_told(1);
	/* Multi, and called again; not called it only stays. */
	(void)am_add1(m, Log, AM_NONE);
	wait_for(Log, one);
	(void)am_remove1(m, Ready, one);
	check_told(0);
	(void)am_add1(m, Log, one);
	check_told(1);
	am_buf_done(&want);
	teardown();
}
END_TEST

static const am_id added[] = { 1 };
static const struct am_state implying[] = {
	{ .name = "A", .add = { added, 1 } },
	{ .name = "B" },
};

START_TEST(an_implied_state_is_entered_too)
{
	static const struct am_states table = { .name = "i",
		.row = implying,
		.len = 2 };
	struct am_schema *s = am_schema_new(&table, NULL);
	struct am_machine *own = am_machine_new(s, "i");
	struct am_buf want = AM_BUF_INIT;

	n_told = 0;
	(void)am_when_args(own, 1, map_of(&want, "n", 1), on_args, NULL);
	(void)am_add1(own, 0, am_buf_val(&want));
	ck_assert_int_eq(n_told, 1);
	am_machine_free(own);
	am_schema_unref(s);
	am_buf_done(&want);
}
END_TEST

START_TEST(keys_are_bounded_and_different)
{
	struct am_buf want = AM_BUF_INIT;

	setup();
	client_up(&a);
	wait_for(Log, keys(&want, KEYS, 0));
	ck_assert_uint_eq(am_when_args(m, Log, keys(&want, KEYS + 1, 0),
			      on_args, NULL),
	    AM_SUB_FAILED);
	ck_assert_int_gt(netmach_when_args(a.nm, Log, am_buf_val(&want),
			     on_reply, &a),
	    0);
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.error, ARPC_E_bad_params);
	ck_assert_str_eq(a.text, "when_args: more than 64 keys");
	am_buf_reset(&want);
	am_put_map(&want, 2);
	for (int i = 0; i < 2; i++) {
		am_put_str(&want, "n");
		am_put_int(&want, i);
	}
	ck_assert_uint_eq(am_when_args(m, Log, am_buf_val(&want), on_args,
			      NULL),
	    AM_SUB_FAILED);
	am_buf_done(&want);
	teardown();
}
END_TEST

/* Asks for args of 64 keys until n wait, or one is refused. */
static void
ask(struct client *c, int n)
{
	struct am_buf want = AM_BUF_INIT;

	(void)keys(&want, KEYS, 1);
	c->n_replies = 0;
	for (int i = 0; i < n; i++)
		ck_assert_int_gt(netmach_when_args(c->nm, Log,
				     am_buf_val(&want), on_reply, c),
		    0);
	turns(5);
	am_buf_done(&want);
}

START_TEST(a_user_is_bounded_over_all_connections)
{
	setup();
	client_up(&a);
	client_up(&b);
	ask(&a, WAITING);
	ck_assert_int_eq(a.n_replies, 0);
	ask(&b, 8192 / (KEYS + 1) - WAITING);
	ck_assert_int_eq(b.n_replies, 0);
	ask(&b, 1);
	ck_assert_int_eq(b.n_replies, 1);
	ck_assert_int_eq(b.reply.error, ARPC_E_busy);
	ck_assert_ptr_nonnull(strstr(b.text, "of this user"));
	/* What has ended counts no more. */
	netmach_close(a.nm, "enough");
	until(&a.n_closed, 1);
	turns(5);
	ask(&b, 1);
	ck_assert_int_eq(b.n_replies, 0);
	teardown();
}
END_TEST

START_TEST(a_user_is_bounded_by_the_length_of_args)
{
	enum { LEN = 60000, FIT = USER_WHEN_BYTES / LEN };
	static char text[LEN];
	static struct client many[FIT + 1];
	struct am_buf want = AM_BUF_INIT;
	size_t max_sessions = policy.max_sessions;

	policy.max_sessions = FIT + 1;
	setup();
	memset(text, 'x', sizeof(text));
	am_put_map(&want, 1);
	am_put_str(&want, "text");
	am_put_strn(&want, text, sizeof(text));
	for (int i = 0; i <= FIT; i++) {
		many[i] = (struct client){ 0 };
		client_up(&many[i]);
		ck_assert_int_gt(netmach_when_args(many[i].nm, Log,
				     am_buf_val(&want), on_reply, &many[i]),
		    0);
		turns(5);
		ck_assert_int_eq(many[i].n_replies, i == FIT);
	}
	ck_assert_int_eq(many[FIT].reply.error, ARPC_E_busy);
	ck_assert_ptr_nonnull(strstr(many[FIT].text, "of this user"));
	for (int i = 0; i <= FIT; i++)
		many[i].nm = netmach_free(many[i].nm);
	am_buf_done(&want);
	teardown();
	policy.max_sessions = max_sessions;
}
END_TEST

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* As many as eight connections may have, of as many keys as they may have, which
 * miss by the last one only; the limit leaves room for sanitizers. */
START_TEST(many_that_wait_cost_next_to_nothing)
{
	struct am_buf want = AM_BUF_INIT, given = AM_BUF_INIT;
	struct am_schema *s;
	struct am_machine *own;
	int64_t start;

	setup();
	s = am_machine_schema(m);
	own = am_machine_new(s, "own");
	(void)keys(&want, KEYS, 1);
	(void)keys(&given, GIVEN, 0);
	for (int i = 0; i < CONNECTIONS * WAITING; i++)
		ck_assert_uint_ne(am_when_args(own, Log, am_buf_val(&want),
				      on_args, NULL),
		    AM_SUB_FAILED);
	n_told = 0;
	start = cpu_ns();
	(void)am_add1(own, Log, am_buf_val(&given));
	start = cpu_ns() - start;
	ck_assert_int_eq(n_told, 0);
	ck_assert_msg(start < 20 * NS_PER_MS, "%lld us",
	    (long long)start / 1000);
	am_machine_free(own);
	am_buf_done(&want);
	am_buf_done(&given);
	teardown();
}
END_TEST

UNIT_MAIN("when_args", a_key_has_any_length,
    only_a_state_that_is_entered_counts, an_implied_state_is_entered_too,
    keys_are_bounded_and_different, a_user_is_bounded_over_all_connections,
    a_user_is_bounded_by_the_length_of_args,
    many_that_wait_cost_next_to_nothing)
