#include <stdlib.h>

#include "tests/unit/rpc_pair.h"

/* A large payload comes in parts, and nothing else waits for it. */

enum { SAMPLES = 4096, LIMIT_US = 5000 };

static struct am_buf data;
static bool withdrawn;
static int n_got, n_rooms;
static uint64_t got_seq;
static bool got_equal;
static int64_t told_ns; /* when the machine changed; 0: it was seen */
static int64_t late_us[SAMPLES];
static int n_late;

static struct am_val
data_of(struct rpc_session *s, uint64_t seq, void *arg)
{
	(void)s;
	(void)arg;
	ck_assert_uint_eq(seq, 5);
	return withdrawn ? AM_NONE : am_buf_val(&data);
}

static void
on_got(struct netmach *nm, const struct arpc_payload *p, void *arg)
{
	struct mp name = mp_of(p->name);
	char text[32];

	(void)nm;
	(void)arg;
	ck_assert_int_ge(mp_get_text(&name, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "big");
	got_seq = p->seq;
	got_equal = p->data.len == data.len &&
	    memcmp(p->data.data, data.data, data.len) == 0;
	n_got++;
}

static void
on_seen(struct netmach *nm, void *arg)
{
	struct client *c = arg;

	(void)nm;
	c->n_updates++;
	if (told_ns != 0 && n_late < SAMPLES)
		late_us[n_late++] = (clock_ns() - told_ns) / 1000;
	told_ns = 0;
}

static void
on_room(struct rpc_session *s, void *arg)
{
	(void)s;
	(void)arg;
	n_rooms++;
}

static const struct netmach_ops large_ops = {
	.on_ready = on_ready,
	.on_update = on_seen,
	.on_payload = on_got,
	.on_close = on_close,
};

static struct rpc_session *
large_up(size_t len)
{
	char *bytes = malloc(len);

	setup();
	policy.data_of = data_of;
	withdrawn = false;
	n_got = n_late = n_rooms = 0;
	told_ns = 0;
	data = AM_BUF_INIT;
	memset(bytes, 7, len);
	am_put_bin(&data, bytes, len);
	free(bytes);
	ck_assert_int_eq(am_buf_error(&data), 0);
	a.nm = netmach_new(l, &(struct netmach_conf){ 0 }, &large_ops, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_ready, 1);
	return rpc_server_next(srv, NULL);
}

static void
large_down(void)
{
	teardown();
	am_buf_done(&data);
}

static int
send_big(struct rpc_session *s)
{
	return rpc_session_payload(s, 5, 9, ARPC_P_RESULT, "big",
	    am_buf_val(&data));
}

static int
by_value(const void *x, const void *y)
{
	int64_t p = *(const int64_t *)x, q = *(const int64_t *)y;

	return (p > q) - (p < q);
}

START_TEST(a_clock_does_not_wait_for_64_mib)
{
	struct rpc_session *s = large_up(ARPC_PAYLOAD_MAX - 5);
	int64_t start_ns = clock_ns();

	ck_assert_uint_eq(data.len, ARPC_PAYLOAD_MAX);
	ck_assert_int_eq(send_big(s), 0);
	ck_assert_int_eq(rpc_session_payload(s, 6, 9, ARPC_P_RESULT, "next",
			     AM_NONE),
	    -EAGAIN);
	rpc_session_on_room(s, on_room, NULL);
	while (n_got == 0 && clock_ns() - start_ns < 20 * NS_PER_S) {
		if (told_ns == 0) {
			told_ns = clock_ns();
			(void)am_add1(m, Log, AM_NONE);
		}
		(void)am_loop_step(l, 100);
	}
	ck_assert_int_eq(n_got, 1);
	ck_assert_uint_eq(got_seq, 5);
	ck_assert(got_equal);
	ck_assert_int_eq(n_rooms, 1);
	ck_assert_int_gt(n_late, 100);
	qsort(late_us, (size_t)n_late, sizeof(late_us[0]), by_value);
	(void)printf("# 64 MiB in %lld ms, %d pushes in it: median %lld us, "
		     "99%% %lld us, latest %lld us\n",
	    (long long)((clock_ns() - start_ns) / NS_PER_MS), n_late,
	    (long long)late_us[n_late / 2],
	    (long long)late_us[n_late * 99 / 100],
	    (long long)late_us[n_late - 1]);
	(void)fflush(stdout);
	/* The latest ones tell of what else the machine does. */
	ck_assert_int_lt(late_us[n_late * 9 / 10], LIMIT_US);
	check_mirror(&a);
	large_down();
}
END_TEST

START_TEST(answers_come_in_between)
{
	struct rpc_session *s = large_up(8 << 20);

	ck_assert_int_eq(send_big(s), 0);
	turns(2);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Ready, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(n_got, 0);
	until(&n_got, 1);
	ck_assert(got_equal);
	large_down();
}
END_TEST

START_TEST(what_is_withdrawn_does_not_come)
{
	struct rpc_session *s = large_up(8 << 20);

	ck_assert_int_eq(send_big(s), 0);
	rpc_session_on_room(s, on_room, NULL);
	turns(4);
	withdrawn = true;
	until(&n_rooms, 1);
	turns(20);
	ck_assert_int_eq(n_got, 0);
	withdrawn = false;
	ck_assert_int_eq(send_big(s), 0);
	until(&n_got, 1);
	ck_assert(got_equal);
	large_down();
}
END_TEST

START_TEST(a_connection_may_end_in_the_middle)
{
	struct rpc_session *s = large_up(8 << 20);

	ck_assert_int_eq(send_big(s), 0);
	turns(4);
	rpc_session_close(s, "enough");
	until(&a.n_closed, 1);
	ck_assert_int_eq(n_got, 0);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&a.n_ready, 2);
	ck_assert_int_eq(send_big(rpc_server_next(srv, NULL)), 0);
	until(&n_got, 1);
	ck_assert(got_equal);
	large_down();
}
END_TEST

UNIT_MAIN("large", a_clock_does_not_wait_for_64_mib, answers_come_in_between,
    what_is_withdrawn_does_not_come, a_connection_may_end_in_the_middle)
