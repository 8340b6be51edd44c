#include <stdlib.h>
#include <sys/socket.h>

#include "tests/unit/rpc_pair.h"

/* A large payload comes in parts, and nothing else waits for it. */

/* A sanitizer's memory costs more. */
#if defined(__SANITIZE_ADDRESS__)
#define SLOWER 8
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOWER 8
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif

enum {
	SAMPLES = 4096,
	LIMIT_US = SLOWER * 5000,
	/* Before a push: one part and one read, and what the kernel takes: it
	 * doubles CONN_KERNEL for its own needs, and that at each end. */
	READ = 64 * 1024,
	BEFORE = ARPC_PART_LEN + READ,
};

static struct am_buf data;
static bool withdrawn;
static int n_got, n_rooms;
static uint64_t got_seq;
static bool got_equal;
static int64_t told_ns; /* when the machine changed; 0: it was seen */
static int64_t told_cpu_ns;
static size_t told_received;
static int64_t late_us[SAMPLES], cpu_us[SAMPLES];
static int n_late;
static size_t n_received;  /* by all */
static size_t most_before; /* of these, between a change and its being seen */

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);

ssize_t
__wrap_recv(int fd, void *buf, size_t len, int flags)
{
	ssize_t n = __real_recv(fd, buf, len, flags);

	n_received += n > 0 ? (size_t)n : 0;
	return n;
}

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static struct am_val
data_of(struct rpc_session *s, uint64_t seq, void *arg)
{
	(void)s;
	(void)arg;
	ck_assert_uint_eq(seq, 5);
	return withdrawn ? AM_NONE : am_buf_val(&data);
}

/* Not each byte: that would be the largest part of what is measured. */
static bool
is_equal(const uint8_t *p, size_t len)
{
	bool equal = len == data.len;

	for (size_t i = 0; equal && i < len; i += i < 64 ? 1 : 4001)
		equal = p[i] == (uint8_t)data.data[i];
	return equal && p[len - 1] == (uint8_t)data.data[len - 1];
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
	got_equal = is_equal(p->data.data, p->data.len);
	n_got++;
}

static void
on_seen(struct netmach *nm, void *arg)
{
	struct client *c = arg;

	(void)nm;
	c->n_updates++;
	if (told_ns != 0 && n_late < SAMPLES) {
		cpu_us[n_late] = (cpu_ns() - told_cpu_ns) / 1000;
		late_us[n_late++] = (clock_ns() - told_ns) / 1000;
		if (n_received - told_received > most_before)
			most_before = n_received - told_received;
	}
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

static void
listen_tcp(void)
{
	struct am_error err;
	int fd;

	ck_assert_int_eq(addr_parse("127.0.0.1:0", &addr, &err), 0);
	fd = addr_listen(&addr, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(addr_of_fd(fd, &addr), 0);
	policy.up = NULL; /* it looks at the peer's uid */
	listener = rpc_server_listen(srv, fd, &policy, &listener);
	ck_assert_int_eq(listener, 1);
}

static struct rpc_session *
large_up(size_t len, bool by_tcp)
{
	char *bytes = malloc(len);

	setup();
	policy.data_of = data_of;
	if (by_tcp)
		listen_tcp();
	most_before = 0;
	withdrawn = false;
	n_got = n_late = n_rooms = 0;
	told_ns = 0;
	data = AM_BUF_INIT;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i ^ i >> 8 ^ i >> 16);
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

static void
print_late(const char *what, int64_t *us)
{
	qsort(us, (size_t)n_late, sizeof(us[0]), by_value);
	(void)printf("#   %s: median %lld us, 99%% %lld us, latest %lld us\n",
	    what, (long long)us[n_late / 2], (long long)us[n_late * 99 / 100],
	    (long long)us[n_late - 1]);
	(void)fflush(stdout);
}

/* A change of the machine in each turn, until the payload is there. */
static void
push_through(struct rpc_session *s)
{
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
			told_cpu_ns = cpu_ns();
			told_received = n_received;
			(void)am_add1(m, Log, AM_NONE);
		}
		(void)am_loop_step(l, 100);
	}
	/* The last one may have come behind it. */
	while (told_ns != 0 && clock_ns() - start_ns < 20 * NS_PER_S)
		(void)am_loop_step(l, 100);
	ck_assert_int_eq(n_got, 1);
	ck_assert_uint_eq(got_seq, 5);
	ck_assert(got_equal);
	ck_assert_int_eq(n_rooms, 1);
	ck_assert_int_gt(n_late, 100);
	(void)
	    printf("# 64 MiB in %lld ms, %d pushes in it, each behind no more "
		   "than %zu KiB\n",
		(long long)((clock_ns() - start_ns) / NS_PER_MS), n_late,
		most_before / 1024);
	print_late("time", late_us);
	print_late("of it at work", cpu_us);
}

/* Both ends are in this process, so all that lies between a change and its being
 * seen is done here: what other processes take away from it is no delay of ours,
 * and is left out of the limit by counting the time at work. It holds for each
 * push, and so does that of the bytes, by which all of this is bounded. */
static void
check_late(size_t most)
{
	ck_assert_uint_le(most_before, most);
	ck_assert_int_lt(cpu_us[n_late - 1], LIMIT_US);
	ck_assert_int_lt(late_us[n_late / 2], LIMIT_US);
	check_mirror(&a);
}

/* What the kernel takes of a Unix socket. */
static size_t
unix_buffer(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &len),
	    0);
	(void)close(fd);
	return (size_t)bytes;
}

START_TEST(a_clock_does_not_wait_for_64_mib)
{
	struct rpc_session *s = large_up(ARPC_PAYLOAD_MAX - 5, false);

	push_through(s);
	check_late(BEFORE + unix_buffer());
	large_down();
}
END_TEST

START_TEST(a_clock_does_not_wait_for_64_mib_by_tcp)
{
	struct rpc_session *s = large_up(ARPC_PAYLOAD_MAX - 5, true);

	push_through(s);
	check_late(BEFORE + 4 * CONN_KERNEL);
	large_down();
}
END_TEST

START_TEST(answers_come_in_between)
{
	struct rpc_session *s = large_up(8 << 20, false);

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
	struct rpc_session *s = large_up(8 << 20, false);

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
	struct rpc_session *s = large_up(8 << 20, false);

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

UNIT_MAIN("large", a_clock_does_not_wait_for_64_mib,
    a_clock_does_not_wait_for_64_mib_by_tcp, answers_come_in_between,
    what_is_withdrawn_does_not_come, a_connection_may_end_in_the_middle)
