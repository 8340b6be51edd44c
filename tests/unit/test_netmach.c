#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/rpc/netmach.h"
#include "proto/mp.h"
#include "tests/unit/unit.h"

/* A net machine against a server that is written by hand here and does what no
 * server should. */

static const struct am_state rows[] = {
	{ .name = "Exception", .doc = "", .multi = true },
	{ .name = "A", .doc = "" },
	{ .name = "B", .doc = "" },
};
static const struct am_states states = { .name = "x", .row = rows, .len = 3 };

static struct am_loop *l;
static struct netmach *nm;
static struct addr addr;
static int listen_fd, fd;
static int n_ready, n_updates, n_payloads, n_closed, n_replies, n_fired;
static int code;
static char why[ARPC_TEXT_MAX];
static struct netmach_reply reply;

static void
on_ready(struct netmach *n, void *arg)
{
	(void)n;
	(void)arg;
	n_ready++;
}

static void
on_update(struct netmach *n, void *arg)
{
	(void)n;
	(void)arg;
	n_updates++;
}

static void
on_payload(struct netmach *n, const struct arpc_payload *p, void *arg)
{
	(void)n;
	(void)p;
	(void)arg;
	n_payloads++;
}

static void
on_close(struct netmach *n, int c, const char *text, void *arg)
{
	(void)n;
	(void)arg;
	n_closed++;
	code = c;
	(void)snprintf(why, sizeof(why), "%s", text);
}

static const struct netmach_ops ops = {
	.on_ready = on_ready,
	.on_update = on_update,
	.on_payload = on_payload,
	.on_close = on_close,
};

static void
on_reply(struct netmach *n, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	(void)n;
	(void)id;
	(void)arg;
	reply = *r;
	n_replies++;
}

static void
on_fired(struct am_machine *m, void *arg)
{
	(void)m;
	(void)arg;
	n_fired++;
}

static void
turns(int n)
{
	while (n-- > 0)
		(void)am_loop_step(l, 5);
}

/* Connects, and takes the hello, whose id is returned. */
static uint32_t
greet(void)
{
	static char bytes[4096];
	struct arpc_hello h;
	struct arpc_frame f;
	const char *text;
	ssize_t len;
	int on = 1;

	ck_assert_int_eq(netmach_connect(nm, &addr), 0);
	turns(2);
	fd = accept(listen_fd, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	len = recv(fd, bytes, sizeof(bytes), 0);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(arpc_frame_get(bytes, (size_t)len, &f, &text), 0);
	ck_assert_int_eq(f.method, ARPC_hello);
	ck_assert_int_eq(arpc_hello_get(f.params, &h, &text), 0);
	ck_assert_uint_eq(h.client_id, netmach_client_id(nm));
	return f.id;
}

static void
setup(void)
{
	struct am_error err;

	l = am_loop_new();
	ck_assert_int_eq(addr_parse("127.0.0.1:0", &addr, &err), 0);
	listen_fd = addr_listen(&addr, 0);
	ck_assert_int_ge(listen_fd, 0);
	ck_assert_int_eq(addr_of_fd(listen_fd, &addr), 0);
	n_ready = n_updates = n_payloads = n_closed = n_replies = n_fired = 0;
	nm = netmach_new(l, &(struct netmach_conf){ 0 }, &ops, NULL);
}

static void
teardown(void)
{
	nm = netmach_free(nm);
	(void)close(fd);
	(void)close(listen_fd);
	l = am_loop_free(l);
}

static void
say(struct am_buf *b)
{
	ck_assert_int_eq(send(fd, b->data, b->len, MSG_NOSIGNAL),
	    (ssize_t)b->len);
	am_buf_reset(b);
	turns(3);
}

static void
put_welcome(struct am_buf *b, uint32_t id, const uint64_t *tick)
{
	struct am_buf schema = AM_BUF_INIT;
	struct am_buf time = AM_BUF_INIT;

	arpc_put_schema(&schema, &states);
	am_put_array(&time, 3);
	for (int i = 0; i < 3; i++)
		am_put_uint(&time, tick[i]);
	arpc_put_response(b, id);
	arpc_put_welcome(b,
	    &(struct arpc_welcome){
		.proto = ARPC_VERSION,
		.machine = "fake",
		.epoch = 8,
		.hash = 1,
		.n_states = 3,
		.schema = am_buf_val(&schema),
		.time = am_buf_val(&time),
		.queue_tick = 10,
	    });
	am_buf_done(&schema);
	am_buf_done(&time);
}

/* [q delta, checksum, id, delta]; -1: no pair */
static void
put_update(struct am_buf *b, int q, int sum, int id, int delta)
{
	arpc_put_notification(b, ARPC_t);
	am_put_array(b, 1);
	am_put_array(b, id < 0 ? 2 : 4);
	am_put_int(b, q);
	am_put_int(b, sum);
	if (id >= 0) {
		am_put_int(b, id);
		am_put_int(b, delta);
	}
}

static const uint64_t zeros[] = { 0, 0, 0 };

START_TEST(a_wrong_checksum_takes_one_sync)
{
	const am_id b_ids[] = { 2 };
	const uint64_t now[] = { 0, 1, 3 };
	struct am_buf b = AM_BUF_INIT;
	char bytes[256];
	struct arpc_frame f;
	const char *text;
	ssize_t len;

	setup();
	put_welcome(&b, greet(), zeros);
	say(&b);
	ck_assert_int_eq(n_ready, 1);
	put_update(&b, 1, 12, 1, 1);
	say(&b);
	ck_assert_int_eq(n_updates, 1);
	ck_assert(am_is1(netmach_mirror(nm), 1));
	ck_assert_uint_eq(netmach_mismatches(nm), 0);
	(void)am_when(netmach_mirror(nm), b_ids, 1, on_fired, NULL);
	/* 14 would be right */
	put_update(&b, 1, 13, 2, 1);
	put_update(&b, 1, 13, 2, 2);
	say(&b);
	ck_assert_uint_eq(netmach_mismatches(nm), 2);
	ck_assert_int_eq(n_updates, 1);
	ck_assert_int_eq(n_fired, 0);
	len = recv(fd, bytes, sizeof(bytes), 0);
	ck_assert_int_eq(arpc_frame_get(bytes, (size_t)len, &f, &text), 0);
	ck_assert_int_eq(f.method, ARPC_sync);
	put_welcome(&b, f.id, now);
	say(&b);
	ck_assert_int_eq(n_updates, 2);
	ck_assert_int_eq(n_fired, 1);
	ck_assert_uint_eq(am_tick(netmach_mirror(nm), 2), 3);
	ck_assert_uint_eq(am_queue_tick(netmach_mirror(nm)), 10);
	/* the diffs go on from there: 4 + 10 + 1 + 1 */
	put_update(&b, 1, 16, 1, 1);
	say(&b);
	ck_assert_uint_eq(netmach_mismatches(nm), 2);
	ck_assert_uint_eq(am_tick(netmach_mirror(nm), 1), 2);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(nonsense_closes_with_a_reason)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool welcomed; /* before it */
	} cases[] = {
		{ "\x94\x01\x01\xc0\xc0", 5, false },
		{ "\x94\x01\xcd\x12\x34\xc0\xc0", 7, false },
		{ "\xc1", 1, false },
		{ "\x93\x02\xa1t\x90", 5, true },
		{ "\x93\x02\xa1t\x91\xa1x", 7, true },
		{ "\x93\x02\xa1t\x91\x94\x01\x0c\x03\x01", 10, true },
		{ "\x93\x02\xa1p\x91\x01", 6, true },
	};
	struct am_buf b = AM_BUF_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t id;

		setup();
		id = greet();
		if (cases[i].welcomed) {
			put_welcome(&b, id, zeros);
			say(&b);
		}
		buf_append(&b, cases[i].bytes, cases[i].len);
		say(&b);
		ck_assert_msg(n_closed == 1, "case %zu", i);
		ck_assert_msg(strncmp(why, "bad_frame: ", 11) == 0,
		    "case %zu: %s", i, why);
		ck_assert_int_eq(n_ready, cases[i].welcomed ? 1 : 0);
		teardown();
	}
	am_buf_done(&b);
}
END_TEST

START_TEST(a_schema_that_is_none_is_refused)
{
	static const char *const bad[] = {
		"\x90",                                  /* no rows */
		"\x93\x01\x02\x03",                      /* no rows either */
		"\x91\x96\xa0\x00\x90\x90\x90\x90",      /* no name */
		"\x91\x96\xa1x\x00\x91\x01\x90\x90\x90", /* id out of range */
		"\x91\x95\xa1x\x00\x90\x90\x90",         /* no `after` */
	};
	static const size_t len[] = { 1, 4, 8, 10, 8 };
	struct am_buf b = AM_BUF_INIT;
	struct am_buf time = AM_BUF_INIT;

	am_put_array(&time, 1);
	am_put_uint(&time, 0);
	for (size_t i = 0; i < 5; i++) {
		setup();
		arpc_put_response(&b, greet());
		arpc_put_welcome(&b,
		    &(struct arpc_welcome){
			.proto = ARPC_VERSION,
			.n_states = 1,
			.schema = { bad[i], len[i] },
			.time = am_buf_val(&time),
		    });
		say(&b);
		ck_assert_msg(n_closed == 1, "case %zu", i);
		ck_assert_msg(strncmp(why, "bad_frame: ", 11) == 0,
		    "case %zu: %s", i, why);
		teardown();
	}
	am_buf_done(&time);
	am_buf_done(&b);
}
END_TEST

START_TEST(answers_that_nobody_waits_for_are_ignored)
{
	const am_id ids[] = { 1 };
	struct am_buf b = AM_BUF_INIT;
	char bytes[256];
	struct arpc_frame f;
	const char *text;
	uint32_t id;

	setup();
	put_welcome(&b, greet(), zeros);
	say(&b);
	id = netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1, on_reply, NULL);
	arpc_put_response(&b, id + 1);
	am_put_nil(&b);
	arpc_put_response(&b, 99999);
	am_put_nil(&b);
	say(&b);
	ck_assert_int_eq(n_replies, 0);
	for (int i = 0; i < 2; i++)
		arpc_put_error(&b, id, ARPC_E_busy, "window", "full");
	say(&b);
	ck_assert_int_eq(n_replies, 1);
	ck_assert_int_eq(reply.status, NETMACH_ERROR);
	ck_assert_int_eq(reply.error, ARPC_E_busy);
	/* it is no server itself */
	(void)recv(fd, bytes, sizeof(bytes), 0);
	arpc_put_request(&b, 5, ARPC_add);
	am_put_array(&b, 0);
	say(&b);
	ck_assert_int_gt(recv(fd, bytes, sizeof(bytes), 0), 0);
	ck_assert_int_eq(arpc_frame_get(bytes, 40, &f, &text), -EBADMSG);
	ck_assert_ptr_nonnull(memmem(bytes, 40, "no_method", 9));
	ck_assert_int_eq(netmach_phase(nm), NETMACH_READY);
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(a_malformed_answer_is_no_success)
{
	/* an array that is too short, no array, no update */
	static const char *const bad[] = { "\x91\x00", "\x05",
		"\x92\xa1x\x90" };
	static const size_t len[] = { 2, 1, 4 };
	const am_id ids[] = { 1 };
	struct am_buf b = AM_BUF_INIT;

	for (size_t i = 0; i < 3; i++) {
		setup();
		put_welcome(&b, greet(), zeros);
		say(&b);
		arpc_put_response(&b,
		    netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1, on_reply,
			NULL));
		buf_append(&b, bad[i], len[i]);
		say(&b);
		ck_assert_int_eq(n_replies, 1);
		ck_assert_int_eq(reply.status, NETMACH_LOST);
		ck_assert_int_eq(n_closed, 1);
		teardown();
	}
	am_buf_done(&b);
}
END_TEST

START_TEST(a_wrong_mirror_without_a_sync_is_the_end)
{
	struct am_buf b = AM_BUF_INIT;
	char bytes[256];
	struct arpc_frame f;
	const char *text;
	ssize_t len;

	setup();
	put_welcome(&b, greet(), zeros);
	say(&b);
	put_update(&b, 1, 99, 1, 1);
	say(&b);
	len = recv(fd, bytes, sizeof(bytes), 0);
	ck_assert_int_eq(arpc_frame_get(bytes, (size_t)len, &f, &text), 0);
	ck_assert_int_eq(f.method, ARPC_sync);
	arpc_put_error(&b, f.id, ARPC_E_no_method, NULL, "no sync");
	say(&b);
	ck_assert_int_eq(n_closed, 1);
	ck_assert_str_eq(why, "bad_frame: sync was refused");
	am_buf_done(&b);
	teardown();
}
END_TEST

START_TEST(ids_wrap_and_spare_open_calls)
{
	const am_id ids[] = { 1 };
	struct am_buf b = AM_BUF_INIT;
	static char sink[1 << 20];
	int first, id = 0;

	setup();
	put_welcome(&b, greet(), zeros);
	say(&b);
	first = netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1, on_reply, NULL);
	ck_assert_int_gt(first, 0);
	for (int i = 0; i < 70000; i++) {
		id = netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1, on_reply,
		    NULL);
		if (id < 0)
			break;
		ck_assert_int_le(id, 65535);
	}
	/* all 65,535 are open */
	ck_assert_int_eq(id, -EBUSY);
	arpc_put_error(&b, 300, ARPC_E_busy, NULL, "x");
	say(&b);
	ck_assert_int_eq(n_replies, 1);
	ck_assert_int_eq(netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1,
			     on_reply, NULL),
	    300);
	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		turns(1);
	(void)shutdown(fd, SHUT_RDWR);
	for (int i = 0; i < 100 && n_closed == 0; i++)
		turns(1);
	ck_assert_int_eq(n_replies, 1 + 65535);
	ck_assert_int_eq(reply.status, NETMACH_LOST);
	am_buf_done(&b);
	teardown();
}
END_TEST

/* Takes what the net machine says: the ids of its requests. */
static size_t
hear(uint32_t *ids, size_t n)
{
	static uint8_t bytes[1 << 16];
	ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t at = 0, got = 0, frame_len;
	struct mp_scan scan;

	mp_scan_init(&scan, ARPC_FRAME_MAX, MP_FRAME_DEPTH_MAX);
	while (len > 0 && at < (size_t)len) {
		struct arpc_frame f;
		const char *text;

		ck_assert_int_eq(mp_scan(&scan, bytes + at, (size_t)len - at,
				     &frame_len),
		    MP_SCAN_DONE);
		ck_assert_int_eq(arpc_frame_get(bytes + at, frame_len, &f,
				     &text),
		    0);
		at += frame_len;
		if (f.kind == ARPC_REQUEST && f.method != ARPC_hello && got < n)
			ids[got++] = f.id;
	}
	return got;
}

static uint32_t
hello_id_of(int from)
{
	char bytes[4096];
	struct arpc_frame f;
	const char *text;
	ssize_t len = recv(from, bytes, sizeof(bytes), 0);

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(arpc_frame_get(bytes, (size_t)len, &f, &text), 0);
	ck_assert_int_eq(f.method, ARPC_hello);
	return f.id;
}

/* The net machine connects by itself. */
static uint32_t
greet_again(void)
{
	(void)close(fd);
	for (int i = 0; i < 500; i++) {
		fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
		if (fd >= 0)
			break;
		turns(1);
	}
	ck_assert_int_ge(fd, 0);
	turns(2);
	return hello_id_of(fd);
}

static void
put_resumed(struct am_buf *b, uint32_t id)
{
	static const uint8_t yes[] = { 0xa7, 'r', 'e', 's', 'u', 'm', 'e', 'd',
		0xc3 };
	struct am_buf w = AM_BUF_INIT;

	/* A welcome with one key more. */
	put_welcome(&w, id, zeros);
	for (size_t i = 0; i < w.len; i++) {
		if (((uint8_t *)w.data)[i] == 0x8a) {
			w.data[i] = (char)0x8b;
			break;
		}
	}
	buf_append(b, w.data, w.len);
	buf_append(b, yes, sizeof(yes));
	am_buf_done(&w);
}

START_TEST(a_frame_that_was_refused_is_not_sent_again)
{
	static const struct {
		const char *bye;
		enum arpc_error error;
	} byes[] = {
		{ "bad_frame: no MessagePack", ARPC_E_bad_frame },
		{ "too_big: frame over 64 KiB", ARPC_E_too_big },
		{ "too_deep: nested over 32 levels", ARPC_E_too_deep },
	};
	const am_id ids[] = { 1 };
	struct am_buf b = AM_BUF_INIT;
	uint32_t sent[8];

	for (size_t i = 0; i < 3; i++) {
		int first, second;

		setup();
		nm = netmach_free(nm);
		nm = netmach_new(l,
		    &(struct netmach_conf){ .resume = true, .retry_ms = 5000 },
		    &ops, NULL);
		put_resumed(&b, greet());
		say(&b);
		first = netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1,
		    on_reply, NULL);
		second = netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1,
		    on_reply, NULL);
		turns(1);
		ck_assert_uint_eq(hear(sent, 8), 2);
		ck_assert_uint_eq(sent[0], (uint32_t)first);
		arpc_put_bye(&b, byes[i].bye);
		say(&b);
		ck_assert_int_eq(n_replies, 1);
		ck_assert_int_eq(reply.status, NETMACH_ERROR);
		ck_assert_int_eq(reply.error, byes[i].error);
		put_resumed(&b, greet_again());
		say(&b);
		ck_assert_uint_eq(hear(sent, 8), 1);
		ck_assert_uint_eq(sent[0], (uint32_t)second);
		ck_assert_int_eq(n_closed, 0);
		teardown();
	}
	am_buf_done(&b);
}
END_TEST

/* A server that closes whatever it has welcomed is not asked all the time. */
START_TEST(a_close_after_the_hello_backs_off)
{
	struct am_buf b = AM_BUF_INIT;
	int64_t end_ns;
	int n = 0;

	setup();
	nm = netmach_free(nm);
	nm = netmach_new(l, &(struct netmach_conf){ .retry_ms = 60000 }, &ops,
	    NULL);
	put_welcome(&b, greet(), zeros);
	say(&b);
	(void)shutdown(fd, SHUT_RDWR);
	end_ns = clock_ns() + NS_PER_S;
	while (clock_ns() < end_ns) {
		int got = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);

		(void)am_loop_step(l, 1);
		if (got < 0)
			continue;
		(void)close(fd);
		fd = got;
		n++;
		(void)am_loop_step(l, 1);
		put_welcome(&b, hello_id_of(fd), zeros);
		(void)send(fd, b.data, b.len, MSG_NOSIGNAL);
		am_buf_reset(&b);
		(void)am_loop_step(l, 1);
		(void)shutdown(fd, SHUT_RDWR);
	}
	/* 0, 10, 20, ... 640 ms, each shortened by up to half. */
	ck_assert_int_ge(n, 2);
	ck_assert_int_le(n, 9);
	am_buf_done(&b);
	teardown();
}
END_TEST

/* It asks what a client does not answer, and reads nothing. */
START_TEST(a_server_that_never_reads_costs_no_more_than_was_allowed)
{
	enum { MOST = 64 * 1024, TURN = 256 * 1024, FRAMES = 8000 };
	struct am_buf b = AM_BUF_INIT;
	size_t backlog = 0, off = 0;

	setup();
	nm = netmach_free(nm);
	nm = netmach_new(l, &(struct netmach_conf){ .out_max = MOST }, &ops,
	    NULL);
	put_welcome(&b, greet(), zeros);
	say(&b);
	for (uint32_t i = 0; i < FRAMES; i++) {
		arpc_put_request(&b, i + 1, ARPC_sync);
		am_put_array(&b, 0);
	}
	for (int i = 0; i < 1000 && n_closed == 0; i++) {
		ssize_t n = send(fd, b.data + off, b.len - off,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		off = n > 0 ? (off + (size_t)n) % b.len : off;
		turns(1);
		if (n_closed == 0 && netmach_backlog(nm) > backlog)
			backlog = netmach_backlog(nm);
	}
	ck_assert_int_eq(n_closed, 1);
	ck_assert_str_eq(why, "reader too slow");
	ck_assert_uint_le(backlog, MOST + 2 * TURN);
	am_buf_done(&b);
	teardown();
}
END_TEST

static bool
is_taken(struct netmach *n, uint32_t id, void *arg)
{
	(void)n;
	(void)arg;
	return id == 2 || id == 3;
}

START_TEST(an_id_whose_result_has_not_come_is_not_given_away)
{
	const struct netmach_ops keeping = { .is_taken = is_taken };
	const am_id ids[] = { 1 };
	struct am_buf b = AM_BUF_INIT;

	setup();
	nm = netmach_free(nm);
	nm = netmach_new(l, &(struct netmach_conf){ 0 }, &keeping, NULL);
	put_welcome(&b, greet(), zeros);
	say(&b);
	ck_assert_int_eq(netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1,
			     on_reply, NULL),
	    1);
	ck_assert_int_eq(netmach_mutate(nm, AM_ADD, ids, 1, AM_NONE, -1,
			     on_reply, NULL),
	    4);
	am_buf_done(&b);
	teardown();
}
END_TEST

UNIT_MAIN("netmach", a_wrong_checksum_takes_one_sync,
    nonsense_closes_with_a_reason, a_schema_that_is_none_is_refused,
    answers_that_nobody_waits_for_are_ignored, a_malformed_answer_is_no_success,
    a_wrong_mirror_without_a_sync_is_the_end, ids_wrap_and_spare_open_calls,
    a_frame_that_was_refused_is_not_sent_again,
    a_close_after_the_hello_backs_off,
    a_server_that_never_reads_costs_no_more_than_was_allowed,
    an_id_whose_result_has_not_come_is_not_given_away)
