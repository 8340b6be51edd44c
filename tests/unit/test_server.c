#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/rpc/addr.h"
#include "lib/rpc/server.h"
#include "proto/mp.h"
#include "tests/unit/unit.h"

/* A server, and raw sockets that say to it what no netmach would. */

static const struct am_state rows[] = {
	{ .name = "Exception", .doc = "", .multi = true },
	{ .name = "Ready", .doc = "" },
};
enum { Exception, Ready };

static struct am_loop *l;
static struct am_schema *schema;
static struct am_machine *m;
static struct rpc_server *srv;
static struct addr addr; /* of TCP on loopback: a port of its own */
static int n_closed;

static int
policy_may(struct rpc_session *s, enum am_op op, const am_id *ids, size_t n,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)op;
	(void)ids;
	(void)n;
	(void)err;
	(void)arg;
	return 0;
}

static int
policy_info(struct rpc_session *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err, void *arg)
{
	static const char big[100000];

	(void)s;
	(void)topic;
	(void)params;
	(void)err;
	(void)arg;
	am_put_bin(out, big, sizeof(big));
	return 0;
}

static void
policy_closed(struct rpc_session *s, const char *why, void *arg)
{
	(void)s;
	(void)why;
	(void)arg;
	n_closed++;
}

static const struct rpc_policy policy = {
	.may = policy_may,
	.info = policy_info,
	.closed = policy_closed,
};

static void
setup(void)
{
	struct am_error err;
	struct am_states states = { .name = "x", .row = rows, .len = 2 };
	int fd;

	l = am_loop_new();
	schema = am_schema_new(&states, &err);
	m = am_machine_new(schema, "raw");
	srv = rpc_server_new(l, m);
	ck_assert_int_eq(addr_parse("127.0.0.1:0", &addr, &err), 0);
	fd = addr_listen(&addr, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(addr_of_fd(fd, &addr), 0);
	ck_assert_int_eq(rpc_server_listen(srv, fd, &policy, NULL), 0);
	n_closed = 0;
}

static void
teardown(void)
{
	srv = rpc_server_free(srv);
	m = am_machine_free(m);
	schema = am_schema_unref(schema);
	l = am_loop_free(l);
}

static void
turns(int n)
{
	while (n-- > 0)
		(void)am_loop_step(l, 5);
}

static int
dial(void)
{
	int fd = addr_connect(&addr);
	int on = 1;

	ck_assert_int_ge(fd, 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	turns(2);
	return fd;
}

static void
say(int fd, struct am_buf *b)
{
	ck_assert_int_eq(send(fd, b->data, b->len, MSG_NOSIGNAL),
	    (ssize_t)b->len);
	am_buf_reset(b);
	turns(3);
}

/* Everything that has come, as one line of text: "1:error ..." a frame. */
static const char *
heard(int fd)
{
	static char bytes[1 << 16];
	static char line[4096];
	char error[ARPC_TEXT_MAX + 1];
	ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	struct mp c = mp_of(
	    (struct am_val){ bytes, len < 0 ? 0 : (size_t)len });
	struct arpc_frame f;
	struct am_val v;
	const char *why;
	char *p = line;
	struct mp text;
	uint32_t n;

	line[0] = '\0';
	if (len == 0)
		return "(eof)";
	while (mp_get_val(&c, &v) == 0) {
		ck_assert_int_eq(arpc_frame_get(v.data, v.len, &f, &why), 0);
		text = mp_of(f.error.data != NULL ? f.error : f.params);
		if (f.error.data != NULL &&
		    mp_get_text(&text, error, sizeof(error)) == 0)
			p += sprintf(p, "%u:%s\n", f.id, error);
		else if (f.kind == ARPC_RESPONSE)
			p += sprintf(p, "%u:ok\n", f.id);
		else {
			p += sprintf(p, "%.*s", (int)f.name_len, f.name);
			if (mp_get_array(&text, &n) == 0 &&
			    mp_get_text(&text, p + 1, 200) == 0) {
				*p = ' ';
				p += strlen(p);
			}
			p += sprintf(p, "\n");
		}
	}
	return line;
}

static void
hello(int fd, struct am_buf *b)
{
	struct arpc_hello h = { .proto = ARPC_VERSION, .client_id = 5 };

	arpc_put_hello(b, 1, &h);
	say(fd, b);
	ck_assert_str_eq(heard(fd), "1:ok\n");
}

START_TEST(hello_comes_first)
{
	struct am_buf b = AM_BUF_INIT;
	int fd;

	setup();
	fd = dial();
	arpc_put_request(&b, 9, ARPC_sync);
	am_put_array(&b, 0);
	say(fd, &b);
	ck_assert_ptr_nonnull(strstr(heard(fd), "no_hello: "));
	ck_assert_str_eq(heard(fd), "(eof)");
	(void)close(fd);
	fd = dial();
	arpc_put_notification(&b, ARPC_ack);
	am_put_array(&b, 0);
	say(fd, &b);
	ck_assert_str_eq(heard(fd),
	    "bye no_hello: the first message must be the request hello\n");
	(void)close(fd);
	ck_assert_int_eq(n_closed, 0);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(another_version_is_refused_by_a_message)
{
	struct arpc_hello h = { .proto = 2, .client_id = 5 };
	struct am_buf b = AM_BUF_INIT;
	const char *answer;
	int fd;

	setup();
	fd = dial();
	arpc_put_hello(&b, 3, &h);
	say(fd, &b);
	answer = heard(fd);
	ck_assert_ptr_nonnull(strstr(answer, "bad_proto: version 2"));
	ck_assert_ptr_nonnull(strstr(answer, "bye bad_proto: version 2"));
	ck_assert_str_eq(heard(fd), "(eof)");
	(void)close(fd);
	/* a hello that is none */
	fd = dial();
	arpc_put_request(&b, 4, ARPC_hello);
	am_put_array(&b, 0);
	say(fd, &b);
	ck_assert_ptr_nonnull(strstr(heard(fd), "bad_params: hello: "));
	ck_assert_str_eq(heard(fd), "(eof)");
	(void)close(fd);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(what_is_unknown_leaves_the_connection_alone)
{
	struct am_buf b = AM_BUF_INIT;
	int fd;

	setup();
	fd = dial();
	hello(fd, &b);
	am_put_array(&b, 4);
	am_put_int(&b, 0);
	am_put_int(&b, 2);
	am_put_str(&b, "launch");
	am_put_array(&b, 0);
	say(fd, &b);
	ck_assert_str_eq(heard(fd), "2:no_method: no request \"launch\"\n");
	arpc_put_request(&b, 3, ARPC_ack);
	am_put_array(&b, 0);
	say(fd, &b);
	ck_assert_str_eq(heard(fd), "3:no_method: no request \"ack\"\n");
	ck_assert_uint_eq(rpc_server_ignored(srv), 0);
	am_put_array(&b, 3);
	am_put_int(&b, 2);
	am_put_str(&b, "nvim_error_event");
	am_put_array(&b, 0);
	arpc_put_notification(&b, ARPC_sync);
	am_put_array(&b, 0);
	arpc_put_response(&b, 17);
	am_put_nil(&b);
	say(fd, &b);
	ck_assert_uint_eq(rpc_server_ignored(srv), 3);
	/* and it still answers */
	arpc_put_request(&b, 5, ARPC_sync);
	am_put_array(&b, 0);
	say(fd, &b);
	ck_assert_str_eq(heard(fd), "5:ok\n");
	(void)close(fd);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(bad_params_are_answered)
{
	static const struct {
		const char *params;
		size_t len;
		const char *want;
	} cases[] = {
		{ "\x90", 1, "bad_params" },
		{ "\x91\x01", 2, "bad_params" },
		{ "\x91\x91\xa1x", 4, "bad_params" },
		{ "\x91\x91\x02", 3, "no_state" },
		{ "\x91\x91\xcd\xff\xff", 5, "no_state" },
		{ "\x92\x91\x01\x05", 4, "bad_params" },
	};
	struct am_buf b = AM_BUF_INIT;
	const char *answer;
	int fd;

	setup();
	fd = dial();
	hello(fd, &b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		arpc_put_request(&b, 2, ARPC_add);
		buf_append(&b, cases[i].params, cases[i].len);
		say(fd, &b);
		answer = heard(fd);
		ck_assert_msg(strstr(answer, cases[i].want) != NULL,
		    "case %zu: %s", i, answer);
	}
	ck_assert(!am_is1(m, Ready));
	(void)close(fd);
	turns(2);
	ck_assert_int_eq(n_closed, 1);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(who_does_not_read_is_not_read)
{
	struct am_buf b = AM_BUF_INIT;
	static char sink[1 << 20];
	ssize_t n, got = 0;
	int fd;

	setup();
	fd = dial();
	hello(fd, &b);
	for (int i = 0; i < 200; i++) {
		arpc_put_request(&b, 2, ARPC_info);
		am_put_array(&b, 1);
		am_put_str(&b, "big");
	}
	say(fd, &b);
	/* 20 MB were asked for; what lies here is bounded. */
	ck_assert_int_eq(am_add1(m, Ready, AM_NONE), AM_EXECUTED);
	for (int i = 0; i < 2000 && got < 200 * 100000; i++) {
		n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
		got += n > 0 ? n : 0;
		(void)am_loop_step(l, 1);
	}
	/* 200 answers and one push */
	turns(3);
	n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
	got += n > 0 ? n : 0;
	ck_assert_int_ge(got, 200 * 100005);
	ck_assert_int_lt(got, 200 * 100015);
	(void)close(fd);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(no_fds_is_a_pause_and_no_storm)
{
	struct rlimit old, low;
	struct am_buf b = AM_BUF_INIT;
	int64_t start_ns;
	int fd, probe;

	setup();
	fd = addr_connect(&addr);
	probe = dup(fd);
	ck_assert_int_ge(probe, 0);
	(void)close(probe);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)probe;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	(void)am_loop_step(l, 50);
	/* The listener is readable, and yet the loop sleeps. */
	start_ns = clock_ns();
	(void)am_loop_step(l, 50);
	ck_assert_int_ge(clock_ns() - start_ns, 30 * NS_PER_MS);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 0; i < 20; i++)
		(void)am_loop_step(l, 20);
	hello(fd, &b);
	(void)close(fd);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(it_stops_accepting_and_keeps_its_sessions)
{
	struct am_buf b = AM_BUF_INIT;
	int fd, late;

	setup();
	fd = dial();
	hello(fd, &b);
	rpc_server_unlisten(srv, 0);
	late = addr_connect(&addr);
	if (late >= 0)
		(void)close(late);
	arpc_put_request(&b, 2, ARPC_sync);
	am_put_array(&b, 0);
	say(fd, &b);
	ck_assert_str_eq(heard(fd), "2:ok\n");
	rpc_server_close(srv, 0, "drain");
	turns(2);
	ck_assert_str_eq(heard(fd), "bye drain\n");
	ck_assert_str_eq(heard(fd), "(eof)");
	ck_assert_int_eq(n_closed, 1);
	(void)close(fd);
	am_buf_done(&b);
	teardown();
}
END_TEST

static void
put_hello(struct am_buf *b)
{
	arpc_put_hello(b, 1,
	    &(struct arpc_hello){ .proto = ARPC_VERSION, .client_id = 1 });
}

START_TEST(a_user_leaves_places_to_others)
{
	static const struct rpc_policy fair = { .max_sessions = 4,
		.max_of_user = 2 };
	struct am_buf b = AM_BUF_INIT;
	int fd[4];

	setup();
	rpc_server_unlisten(srv, 0);
	fd[0] = addr_listen(&addr, 0);
	ck_assert_int_eq(rpc_server_listen(srv, fd[0], &fair, NULL), 1);
	for (int i = 0; i < 4; i++) {
		if (i == 3) {
			(void)close(fd[0]);
			turns(2);
		}
		fd[i] = dial();
		put_hello(&b);
		say(fd[i], &b);
		ck_assert_str_eq(heard(fd[i]),
		    i != 2 ? "1:ok\n"
			   : "1:busy: too many connections of this user (2)\n"
			     "bye busy: too many connections of this user (2)"
			     "\n");
	}
	for (int i = 1; i < 4; i++)
		(void)close(fd[i]);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(who_says_no_hello_takes_no_place)
{
	enum { SILENT = 300 };
	static const struct rpc_policy narrow = { .max_sessions = 2 };
	struct am_buf b = AM_BUF_INIT;
	int silent[SILENT];
	int fd[3];

	setup();
	rpc_server_unlisten(srv, 0);
	fd[0] = addr_listen(&addr, 0);
	ck_assert_int_eq(rpc_server_listen(srv, fd[0], &narrow, NULL), 1);
	for (int i = 0; i < SILENT; i++) {
		silent[i] = addr_connect(&addr);
		turns(1);
	}
	for (int i = 0; i < 3; i++) {
		fd[i] = dial();
		put_hello(&b);
		say(fd[i], &b);
		ck_assert_str_eq(heard(fd[i]),
		    i < 2 ? "1:ok\n"
			  : "1:busy: too many connections (2)\n"
			    "bye busy: too many connections (2)\n");
	}
	ck_assert_str_eq(heard(silent[0]),
	    "bye busy: too many connections before hello\n");
	/* the one that came last is still waited for */
	(void)close(fd[0]);
	turns(2);
	put_hello(&b);
	say(silent[SILENT - 1], &b);
	ck_assert_str_eq(heard(silent[SILENT - 1]), "1:ok\n");
	for (int i = 0; i < SILENT; i++)
		(void)close(silent[i]);
	for (int i = 1; i < 3; i++)
		(void)close(fd[i]);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(before_hello_frames_are_short)
{
	static const char zeros[70000];
	struct am_buf b = AM_BUF_INIT;
	int fd;

	setup();
	fd = dial();
	arpc_put_request(&b, 1, ARPC_hello);
	am_put_array(&b, 1);
	am_put_bin(&b, zeros, sizeof(zeros));
	say(fd, &b);
	ck_assert_str_eq(heard(fd), "bye too_big: frame over 64 KiB\n");
	(void)close(fd);
	fd = dial();
	put_hello(&b);
	arpc_put_request(&b, 2, ARPC_info);
	am_put_array(&b, 2);
	am_put_str(&b, "x");
	am_put_bin(&b, zeros, sizeof(zeros));
	say(fd, &b);
	turns(3);
	ck_assert_ptr_nonnull(strstr(heard(fd), "1:ok\n"));
	(void)close(fd);
	am_buf_done(&b);
	teardown();
}
END_TEST

UNIT_MAIN("server", hello_comes_first, another_version_is_refused_by_a_message,
    what_is_unknown_leaves_the_connection_alone, bad_params_are_answered,
    who_does_not_read_is_not_read, no_fds_is_a_pause_and_no_storm,
    it_stops_accepting_and_keeps_its_sessions, a_user_leaves_places_to_others,
    who_says_no_hello_takes_no_place, before_hello_frames_are_short)
