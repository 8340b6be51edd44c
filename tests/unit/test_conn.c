#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/rpc/conn.h"
#include "tests/unit/unit.h"

/* The end under test and what it saw; the other end is a raw socket. */
struct end {
	struct conn *c;
	int raw;
	int n_frames;
	int n_flushes;
	int again; /* times that its flush wants another */
	int n_rooms;
	uint32_t last_id;
	char why[ARPC_TEXT_MAX];
	void (*on_frame)(struct end *e);
	int order; /* frames of both ends, when the last one came */
};

static struct am_loop *l;
static int n_all;

static void
on_frame(struct conn *c, const struct arpc_frame *f, void *arg)
{
	struct end *e = arg;

	ck_assert_ptr_eq(c, e->c);
	e->n_frames++;
	e->last_id = f->id;
	e->order = ++n_all;
	if (e->on_frame != NULL)
		e->on_frame(e);
}

static void
on_flush(struct conn *c, void *arg)
{
	struct end *e = arg;

	e->n_flushes++;
	if (e->again > 0) {
		e->again--;
		conn_dirty(c);
	}
	arpc_put_notification(conn_out(c), ARPC_t);
	am_put_array(conn_out(c), 0);
}

static void
on_room(struct conn *c, void *arg)
{
	struct end *e = arg;

	ck_assert_uint_le(conn_backlog(c), CONN_OUT_SOFT);
	e->n_rooms++;
}

static void
on_close(struct conn *c, const char *why, void *arg)
{
	struct end *e = arg;

	ck_assert_int_eq(conn_phase(c), CONN_DEAD);
	ck_assert_str_eq(e->why, "");
	(void)snprintf(e->why, sizeof(e->why), "%s", why);
	e->c = NULL;
}

static const struct conn_ops ops = {
	.on_frame = on_frame,
	.on_flush = on_flush,
	.on_room = on_room,
	.on_close = on_close,
};

static void
end_open(struct end *e)
{
	int fd[2];

	if (l == NULL)
		l = am_loop_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     fd),
	    0);
	*e = (struct end){ .raw = fd[1] };
	e->c = conn_new(l, fd[0], false, &ops, e);
	ck_assert_ptr_nonnull(e->c);
}

static void
end_close(struct end *e)
{
	if (e->c != NULL)
		conn_drop(e->c);
	(void)close(e->raw);
}

static void
loop_done(void)
{
	l = am_loop_free(l);
}

static void
turns(int n)
{
	while (n-- > 0)
		(void)am_loop_step(l, 0);
}

static void
send_raw(struct end *e, const void *p, size_t len)
{
	ck_assert_int_eq(send(e->raw, p, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* n small requests with ids from first on. */
static void
put_frames(struct am_buf *b, uint32_t first, int n)
{
	for (int i = 0; i < n; i++) {
		arpc_put_request(b, first + (uint32_t)i, ARPC_sync);
		am_put_array(b, 0);
	}
}

/* What came out at the raw end, as long as there is something. */
static size_t
recv_all(struct end *e, struct am_buf *b)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(e->raw, buf, sizeof(buf), 0)) > 0)
		buf_append(b, buf, (size_t)n);
	return b->len;
}

START_TEST(bytes_one_by_one_make_frames)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	put_frames(&b, 70000, 5);
	for (size_t i = 0; i < b.len; i++) {
		send_raw(&e, b.data + i, 1);
		turns(1);
	}
	ck_assert_int_eq(e.n_frames, 5);
	ck_assert_uint_eq(e.last_id, 70004);
	am_buf_done(&b);
	end_close(&e);
	loop_done();
}
END_TEST

START_TEST(a_frame_and_a_half_is_one_and_then_another)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;
	size_t cut;

	end_open(&e);
	put_frames(&b, 1, 2);
	cut = b.len - 3;
	send_raw(&e, b.data, cut);
	turns(2);
	ck_assert_int_eq(e.n_frames, 1);
	send_raw(&e, b.data + cut, 3);
	turns(1);
	ck_assert_int_eq(e.n_frames, 2);
	am_buf_done(&b);
	end_close(&e);
	loop_done();
}
END_TEST

START_TEST(a_large_frame_arrives_in_pieces)
{
	struct am_buf b = AM_BUF_INIT;
	char *big = calloc(1, 5000000);
	struct end e;
	ssize_t n;

	end_open(&e);
	arpc_put_request(&b, 7, ARPC_info);
	am_put_array(&b, 1);
	am_put_bin(&b, big, 5000000);
	put_frames(&b, 8, 1);
	for (size_t off = 0; off<b.len; off += n> 0 ? (size_t)n : 0) {
		n = send(e.raw, b.data + off, b.len - off, MSG_NOSIGNAL);
		turns(1);
	}
	turns(3);
	ck_assert_int_eq(e.n_frames, 2);
	ck_assert_uint_eq(e.last_id, 8);
	am_buf_done(&b);
	free(big);
	end_close(&e);
	loop_done();
}
END_TEST

START_TEST(what_is_malformed_closes_with_a_reason)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *why;
	} cases[] = {
		{ "\xc1", 1, "bad_frame: not MessagePack" },
		{ "GET / HTTP/1.0\r\n", 16,
		    "bad_frame: the frame is not an array" },
		{ "\x93\x07\xa1x\x90", 5,
		    "bad_frame: the type is not 0, 1 or 2" },
		{ "\x94\x00\x01\x02\x90", 5,
		    "bad_frame: the method is not a string" },
		{ "\x93\x00\x01\xa1x", 5,
		    "bad_frame: wrong number of elements" },
		/* bin of 17 MiB announced */
		{ "\x93\x02\xa1x\x91\xc6\x01\x10\x00\x00", 10,
		    "too_big: frame over 16 MiB" },
		{ "\xdd\xff\xff\xff\xff", 5, "too_big: frame over 16 MiB" },
		{ "\x93\x02\xa1x"
		  "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
		  "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
		  "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
		  "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90",
		    45, "too_deep: nested over 32 levels" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct am_buf b = AM_BUF_INIT;
		struct am_buf want = AM_BUF_INIT;
		struct end other;
		struct end e;

		end_open(&e);
		end_open(&other);
		send_raw(&e, cases[i].bytes, cases[i].len);
		turns(3);
		ck_assert_str_eq(e.why, cases[i].why);
		ck_assert_int_eq(e.n_frames, 0);
		(void)recv_all(&e, &b);
		arpc_put_bye(&want, cases[i].why);
		ck_assert_uint_eq(b.len, want.len);
		ck_assert_int_eq(memcmp(b.data, want.data, b.len), 0);
		ck_assert_int_eq(recv(e.raw, &b, 1, 0), 0);
		ck_assert_str_eq(other.why, "");
		end_close(&e);
		end_close(&other);
		am_buf_done(&b);
		am_buf_done(&want);
	}
	loop_done();
}
END_TEST

START_TEST(many_frames_of_one_leave_others_their_turn)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_buf one = AM_BUF_INIT;
	struct end flood, e;

	end_open(&flood);
	end_open(&e);
	n_all = 0;
	put_frames(&b, 1, CONN_TURN_FRAMES * 3 + 5);
	put_frames(&one, 1, 1);
	send_raw(&flood, b.data, b.len);
	send_raw(&e, one.data, one.len);
	turns(1);
	ck_assert_int_eq(e.n_frames, 1);
	ck_assert_int_le(e.order, CONN_TURN_FRAMES * 2 + 1);
	ck_assert_int_lt(flood.n_frames, CONN_TURN_FRAMES * 3);
	/* Nothing else comes, and the rest is taken without waiting. */
	for (int i = 0; i < 3; i++)
		(void)am_loop_step(l, -1);
	ck_assert_int_eq(flood.n_frames, CONN_TURN_FRAMES * 3 + 5);
	ck_assert_uint_eq(flood.last_id, CONN_TURN_FRAMES * 3 + 5);
	am_buf_done(&b);
	am_buf_done(&one);
	end_close(&flood);
	end_close(&e);
	loop_done();
}
END_TEST

/* Whether all send at once, or go on sending while others have some left. */
START_TEST(many_that_flood_share_a_turn)
{
	enum { N = 64, MOST = 4 * CONN_TURN_FRAMES + N };
	static struct end flood[N];
	struct am_buf b = AM_BUF_INIT;
	int taken = 0;

	put_frames(&b, 1, CONN_TURN_FRAMES);
	for (int i = 0; i < N; i++) {
		end_open(&flood[i]);
		send_raw(&flood[i], b.data, b.len);
	}
	for (int turn = 0; turn < 5; turn++) {
		n_all = 0;
		turns(1);
		ck_assert_int_gt(n_all, 0);
		ck_assert_int_le(n_all, MOST);
		taken += n_all;
	}
	for (int i = 0; i < N; i++)
		ck_assert_int_gt(flood[i].n_frames, 0);
	/* Nothing else comes, and nothing is left. */
	while (taken < N * CONN_TURN_FRAMES) {
		n_all = 0;
		turns(1);
		ck_assert_int_gt(n_all, 0);
		taken += n_all;
	}
	am_buf_done(&b);
	for (int i = 0; i < N; i++)
		end_close(&flood[i]);
	loop_done();
}
END_TEST

START_TEST(frames_before_the_end_are_not_lost)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	put_frames(&b, 1, CONN_TURN_FRAMES * 2);
	arpc_put_bye(&b, "so long");
	send_raw(&e, b.data, b.len);
	(void)close(e.raw);
	turns(5);
	ck_assert_int_eq(e.n_frames, CONN_TURN_FRAMES * 2);
	ck_assert_str_eq(e.why, "so long");
	am_buf_done(&b);
	loop_done();
}
END_TEST

START_TEST(a_peer_that_leaves_is_eof)
{
	struct end e;

	end_open(&e);
	(void)close(e.raw);
	turns(2);
	ck_assert_str_eq(e.why, "eof");
	loop_done();
}
END_TEST

START_TEST(a_bye_has_a_reason_whatever_it_says)
{
	static const uint8_t says[][12] = {
		{ 0x93, 2, 0xa3, 'b', 'y', 'e', 0x90 },
		{ 0x93, 2, 0xa3, 'b', 'y', 'e', 0x91, 7 },
		{ 0x93, 2, 0xa3, 'b', 'y', 'e', 0x91, 0xa0 },
		{ 0x93, 2, 0xa3, 'b', 'y', 'e', 0x91, 0xa2, 0, 'w' },
		{ 0x93, 2, 0xa3, 'b', 'y', 'e', 0x91, 0xa3, 'a', '\n', 033 },
	};
	static const size_t len[] = { 7, 8, 8, 10, 11 };
	static const char *const why[] = { "bye", "bye", "bye", "bye", "a??" };
	struct end e;

	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		end_open(&e);
		ck_assert_int_eq(write(e.raw, says[i], len[i]), len[i]);
		turns(2);
		ck_assert_str_eq(e.why, why[i]);
		end_close(&e);
	}
	loop_done();
}
END_TEST

START_TEST(the_last_words_are_heard_by_who_writes)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	arpc_put_bye(&b, "drain");
	send_raw(&e, b.data, b.len);
	(void)close(e.raw);
	/* The write of this turn fails before the read of the next one. */
	put_frames(conn_out(e.c), 1, 1);
	turns(3);
	ck_assert_str_eq(e.why, "drain");
	am_buf_done(&b);
	loop_done();
}
END_TEST

START_TEST(all_of_a_turn_goes_out_at_its_end)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	put_frames(conn_out(e.c), 1, 1);
	conn_dirty(e.c);
	conn_dirty(e.c);
	put_frames(conn_out(e.c), 2, 1);
	ck_assert_uint_eq(recv_all(&e, &b), 0);
	turns(1);
	ck_assert_int_eq(e.n_flushes, 1);
	ck_assert_uint_eq(conn_backlog(e.c), 0);
	/* 2 x [0,1,"sync",[]] and [2,"t",[]] */
	ck_assert_uint_eq(recv_all(&e, &b), 2 * 9 + 5);
	am_buf_done(&b);
	end_close(&e);
	loop_done();
}
END_TEST

START_TEST(who_is_dirty_again_in_its_flush_gets_another)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	e.again = 1;
	conn_dirty(e.c);
	turns(2);
	ck_assert_int_eq(e.n_flushes, 2);
	ck_assert_uint_eq(conn_backlog(e.c), 0);
	ck_assert_uint_eq(recv_all(&e, &b), 2 * 5);
	am_buf_done(&b);
	end_close(&e);
	loop_done();
}
END_TEST

START_TEST(a_slow_reader_gets_one_flush_when_he_has_read)
{
	static char data[300000];
	struct am_buf b = AM_BUF_INIT;
	struct end e;
	size_t sent = 0;

	end_open(&e);
	for (int i = 0; i < 10; i++) {
		am_put_bin(conn_out(e.c), data, sizeof(data));
		sent += sizeof(data) + 5;
		conn_dirty(e.c);
		turns(1);
	}
	ck_assert_int_eq(e.n_flushes, 1); /* of the first turn */
	ck_assert_uint_gt(conn_backlog(e.c), CONN_OUT_SOFT);
	ck_assert_int_eq(e.n_rooms, 0);
	for (int i = 0; i < 1000 && conn_backlog(e.c) > 0; i++) {
		(void)recv_all(&e, &b);
		turns(1);
	}
	turns(2);
	ck_assert_uint_eq(recv_all(&e, &b), sent + 2 * 5);
	ck_assert_int_eq(e.n_rooms, 1);
	ck_assert_int_eq(e.n_flushes, 2);
	am_buf_done(&b);
	end_close(&e);
	loop_done();
}
END_TEST

static struct end *filled;

static void
fill_over_soft(struct end *e)
{
	char junk[1024] = "";

	(void)e;
	while (conn_backlog(filled->c) <= CONN_OUT_SOFT)
		buf_append(conn_out(filled->c), junk, sizeof(junk));
}

/* Put by another's callback, and taken by the socket in the same turn: at its
 * end the backlog is small again. */
START_TEST(who_was_told_to_wait_is_told_of_room)
{
	struct am_buf b = AM_BUF_INIT;
	char junk[1024] = "";
	struct end e;
	struct end other;

	end_open(&e);
	end_open(&other);
	filled = &e;
	other.on_frame = fill_over_soft;
	while (conn_backlog(e.c) < CONN_OUT_SOFT - sizeof(junk))
		buf_append(conn_out(e.c), junk, sizeof(junk));
	turns(2);
	put_frames(&b, 1, 1);
	send_raw(&other, b.data, b.len); /* first in the next turn */
	(void)recv_all(&e, &b);
	turns(1);
	ck_assert_int_eq(other.n_frames, 1);
	ck_assert_uint_le(conn_backlog(e.c), CONN_OUT_SOFT);
	ck_assert_int_eq(e.n_rooms, 1);
	am_buf_done(&b);
	end_close(&e);
	end_close(&other);
	loop_done();
}
END_TEST

START_TEST(who_reads_in_small_steps_gets_no_flush_meanwhile)
{
	static char data[4000000];
	struct end e;
	int n_flushes = 0;

	end_open(&e);
	am_put_bin(conn_out(e.c), data, sizeof(data));
	turns(1);
	for (int i = 0; i < 1000 && conn_backlog(e.c) > 0; i++) {
		n_flushes = e.n_flushes;
		conn_dirty(e.c);
		ck_assert_int_gt(recv(e.raw, data, 65536, 0), 0);
		turns(1);
	}
	ck_assert_int_eq(n_flushes, 0);
	turns(1);
	ck_assert_int_eq(e.n_flushes, 1);
	end_close(&e);
	loop_done();
}
END_TEST

START_TEST(who_never_reads_is_closed)
{
	char *data = calloc(1, 1 << 20);
	struct end e;

	end_open(&e);
	for (int i = 0; i < 200 && e.c != NULL; i++) {
		am_put_bin(conn_out(e.c), data, 1 << 20);
		turns(1);
	}
	ck_assert_str_eq(e.why, "reader too slow");
	free(data);
	(void)close(e.raw);
	loop_done();
}
END_TEST

START_TEST(without_memory_no_frame_is_sent_in_part)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	arpc_put_request(conn_out(e.c), 1, ARPC_sync);
	/* As if there were no memory for the params. */
	conn_out(e.c)->failed = true;
	am_put_array(conn_out(e.c), 0);
	turns(2);
	ck_assert_str_eq(e.why, "no memory");
	ck_assert_uint_eq(recv_all(&e, &b), 0);
	am_buf_done(&b);
	(void)close(e.raw);
	loop_done();
}
END_TEST

START_TEST(a_close_says_bye_and_forgets_what_follows)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_buf want = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	put_frames(conn_out(e.c), 1, 1);
	conn_close(e.c, "ttl");
	conn_close(e.c, "another");
	put_frames(conn_out(e.c), 2, 1);
	ck_assert_str_eq(e.why, "");
	turns(1);
	ck_assert_str_eq(e.why, "ttl");
	put_frames(&want, 1, 1);
	arpc_put_bye(&want, "ttl");
	ck_assert_uint_eq(recv_all(&e, &b), want.len);
	ck_assert_int_eq(memcmp(b.data, want.data, b.len), 0);
	am_buf_done(&b);
	am_buf_done(&want);
	(void)close(e.raw);
	loop_done();
}
END_TEST

START_TEST(a_bye_that_nobody_takes_is_given_up)
{
	char *data = calloc(1, 4 << 20);
	int64_t start_ns = clock_ns();
	struct end e;

	end_open(&e);
	am_put_bin(conn_out(e.c), data, 4 << 20);
	turns(1);
	conn_close(e.c, "ttl");
	while (e.c != NULL && clock_ns() - start_ns < 5 * NS_PER_S)
		(void)am_loop_step(l, 100);
	ck_assert_str_eq(e.why, "ttl");
	ck_assert_int_ge(clock_ns() - start_ns, CONN_CLOSE_MS * NS_PER_MS);
	free(data);
	(void)close(e.raw);
	loop_done();
}
END_TEST

START_TEST(a_deadline_closes_unless_lifted)
{
	struct end e, kept;
	int64_t start_ns = clock_ns();

	end_open(&e);
	end_open(&kept);
	conn_deadline(e.c, 20, "too late");
	conn_deadline(kept.c, 20, "too late");
	conn_deadline(kept.c, 0, "");
	while (e.c != NULL && clock_ns() - start_ns < NS_PER_S)
		(void)am_loop_step(l, 100);
	ck_assert_str_eq(e.why, "too late");
	(void)am_loop_step(l, 30);
	ck_assert_str_eq(kept.why, "");
	end_close(&kept);
	(void)close(e.raw);
	loop_done();
}
END_TEST

static void
pause_at_3(struct end *e)
{
	if (e->n_frames == 3)
		conn_pause(e->c);
}

START_TEST(a_paused_connection_keeps_what_it_has_read)
{
	struct am_buf b = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	e.on_frame = pause_at_3;
	put_frames(&b, 1, 8);
	send_raw(&e, b.data, b.len);
	turns(3);
	ck_assert_int_eq(e.n_frames, 3);
	send_raw(&e, b.data, b.len);
	turns(2);
	ck_assert_int_eq(e.n_frames, 3);
	conn_resume(e.c);
	turns(3);
	ck_assert_int_eq(e.n_frames, 16);
	am_buf_done(&b);
	end_close(&e);
	loop_done();
}
END_TEST

static void
drop_at_2(struct end *e)
{
	if (e->n_frames == 2) {
		conn_drop(e->c);
		e->c = NULL;
	}
}

START_TEST(dropped_in_its_own_callback_it_says_nothing_more)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_buf got = AM_BUF_INIT;
	struct end e;

	end_open(&e);
	e.on_frame = drop_at_2;
	put_frames(&b, 1, 8);
	send_raw(&e, b.data, b.len);
	put_frames(conn_out(e.c), 1, 1);
	turns(3);
	ck_assert_int_eq(e.n_frames, 2);
	ck_assert_str_eq(e.why, "");
	ck_assert_uint_eq(recv_all(&e, &got), 9);
	am_buf_done(&b);
	am_buf_done(&got);
	(void)close(e.raw);
	loop_done();
}
END_TEST

START_TEST(the_peer_of_a_unix_socket_is_known)
{
	struct end e;

	end_open(&e);
	ck_assert_int_eq(conn_peer(e.c)->pid, getpid());
	ck_assert_uint_eq(conn_peer(e.c)->uid, getuid());
	end_close(&e);
	loop_done();
}
END_TEST

UNIT_MAIN("conn", bytes_one_by_one_make_frames,
    a_frame_and_a_half_is_one_and_then_another, a_large_frame_arrives_in_pieces,
    what_is_malformed_closes_with_a_reason,
    many_frames_of_one_leave_others_their_turn, many_that_flood_share_a_turn,
    frames_before_the_end_are_not_lost, a_peer_that_leaves_is_eof,
    a_bye_has_a_reason_whatever_it_says, the_last_words_are_heard_by_who_writes,
    all_of_a_turn_goes_out_at_its_end,
    who_is_dirty_again_in_its_flush_gets_another,
    a_slow_reader_gets_one_flush_when_he_has_read,
    who_was_told_to_wait_is_told_of_room,
    who_reads_in_small_steps_gets_no_flush_meanwhile, who_never_reads_is_closed,
    without_memory_no_frame_is_sent_in_part,
    a_close_says_bye_and_forgets_what_follows,
    a_bye_that_nobody_takes_is_given_up, a_deadline_closes_unless_lifted,
    a_paused_connection_keeps_what_it_has_read,
    dropped_in_its_own_callback_it_says_nothing_more,
    the_peer_of_a_unix_socket_is_known)
