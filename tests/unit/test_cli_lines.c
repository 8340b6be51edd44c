#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "cli/lines.h"
#include "lib/base/buf.h"
#include "lib/loop/loop.h"
#include "tests/unit/unit.h"

struct rig {
	struct am_loop *l;
	int r;
	int w;
	struct lines_in in;
};

static void
up(struct rig *r)
{
	int fd[2];

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	r->r = fd[0];
	r->w = fd[1];
	r->l = am_loop_new();
	ck_assert_ptr_nonnull(r->l);
	ck_assert_int_eq(lines_in_init(&r->in, loop_base(r->l), r->r), 0);
}

static void
down(struct rig *r)
{
	lines_in_done(&r->in);
	am_loop_free(r->l);
	(void)close(r->r);
	if (r->w >= 0)
		(void)close(r->w);
}

static void
put(struct rig *r, const char *text, size_t len)
{
	ck_assert_int_eq(write(r->w, text, len), (ssize_t)len);
}

static void
expect(struct rig *r, enum line_kind want, const char *text)
{
	enum line_kind kind;
	const char *line = NULL;
	size_t len = 0;

	ck_assert_int_eq(lines_next(&r->in, &kind, &line, &len), 0);
	ck_assert_int_eq(kind, want);
	if (text == NULL)
		return;
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_mem_eq(line, text, len);
}

START_TEST(lines_come_whole_and_in_order)
{
	struct rig r;

	up(&r);
	expect(&r, LINE_NONE, NULL);
	put(&r, "one\n\ntw", 7);
	expect(&r, LINE_OK, "one");
	expect(&r, LINE_OK, "");
	expect(&r, LINE_NONE, NULL);
	put(&r, "o\nlast", 6);
	expect(&r, LINE_OK, "two");
	(void)close(r.w);
	r.w = -1;
	expect(&r, LINE_OK, "last");
	expect(&r, LINE_EOF, NULL);
	expect(&r, LINE_EOF, NULL);
	down(&r);
}
END_TEST

START_TEST(the_loop_wakes_up_when_there_is_more)
{
	struct rig r;

	up(&r);
	expect(&r, LINE_NONE, NULL);
	lines_wait(&r.in);
	put(&r, "x\n", 2);
	ck_assert_int_eq(am_loop_step(r.l, 5000), 0);
	ck_assert(r.in.ready);
	expect(&r, LINE_OK, "x");
	down(&r);
}
END_TEST

START_TEST(a_line_too_long_is_one_line_and_no_memory)
{
	static char chunk[32768];
	struct rig r;

	up(&r);
	memset(chunk, 'a', sizeof(chunk));
	/* 1 MiB and a bit; each part is read as it comes. */
	for (int i = 0; i < 33; i++) {
		put(&r, chunk, sizeof(chunk));
		expect(&r, LINE_NONE, NULL);
	}
	for (int i = 0; i < 200; i++) {
		put(&r, chunk, sizeof(chunk));
		expect(&r, LINE_NONE, NULL);
		ck_assert_uint_le(r.in.cap, 4 * 1024 * 1024);
	}
	put(&r, "\nnext\n", 6);
	expect(&r, LINE_LONG, NULL);
	expect(&r, LINE_OK, "next");
	down(&r);
}
END_TEST

START_TEST(a_long_line_at_the_end_is_still_one_line)
{
	static char chunk[32768];
	struct rig r;

	up(&r);
	memset(chunk, 'a', sizeof(chunk));
	for (int i = 0; i < 40; i++) {
		put(&r, chunk, sizeof(chunk));
		expect(&r, LINE_NONE, NULL);
	}
	(void)close(r.w);
	r.w = -1;
	expect(&r, LINE_LONG, NULL);
	expect(&r, LINE_EOF, NULL);
	down(&r);
}
END_TEST

START_TEST(a_file_is_read_without_events)
{
	char path[] = "/tmp/amctl-lines.XXXXXX";
	struct am_loop *l = am_loop_new();
	int fd = mkstemp(path);
	struct rig r = { .l = l };

	ck_assert_int_eq(write(fd, "a\nb\n", 4), 4);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(lines_in_init(&r.in, loop_base(l), fd), 0);
	ck_assert_ptr_null(r.in.event);
	expect(&r, LINE_OK, "a");
	expect(&r, LINE_OK, "b");
	expect(&r, LINE_EOF, NULL);
	lines_in_done(&r.in);
	(void)unlink(path);
	(void)close(fd);
	am_loop_free(l);
}
END_TEST

/* Fills it, reads some, and it goes on. */
static void
check_full(struct am_loop *l, int r, int w, enum lines_how how)
{
	static char sink[4 * 1024 * 1024];
	struct lines_out out;
	int flags = fcntl(w, F_GETFL);
	size_t before;

	ck_assert_int_eq(lines_out_init(&out, loop_base(l), w), 0);
	ck_assert_int_eq(out.how, how);
	memset(sink, 'x', sizeof(sink));
	buf_append(&out.buf, sink, sizeof(sink));
	ck_assert_int_eq(lines_flush(&out), 0);
	before = lines_out_len(&out);
	ck_assert_uint_gt(before, 0);
	ck_assert(out.waiting);
	for (int i = 0; i < 10 && out.waiting; i++) {
		ck_assert_int_gt(read(r, sink, sizeof(sink)), 0);
		ck_assert_int_eq(am_loop_step(l, 100), 0);
	}
	ck_assert(!out.waiting);
	ck_assert_int_eq(lines_flush(&out), 0);
	ck_assert_uint_lt(lines_out_len(&out), before);
	/* The descriptor is shared with others: its flags are as before. */
	ck_assert_int_eq(fcntl(w, F_GETFL), flags);
	lines_out_done(&out);
}

START_TEST(a_full_pipe_does_not_block)
{
	struct rig r;

	up(&r);
	check_full(r.l, r.r, r.w, LINES_OWN_FD);
	down(&r);
}
END_TEST

START_TEST(a_full_socket_does_not_block)
{
	struct am_loop *l = am_loop_new();
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	check_full(l, fd[0], fd[1], LINES_SOCKET);
	(void)close(fd[0]);
	(void)close(fd[1]);
	am_loop_free(l);
}
END_TEST

START_TEST(a_full_terminal_does_not_block)
{
	struct am_loop *l = am_loop_new();
	struct termios raw;
	int fd[2];

	ck_assert_int_eq(openpty(&fd[0], &fd[1], NULL, NULL, NULL), 0);
	ck_assert_int_eq(tcgetattr(fd[1], &raw), 0);
	cfmakeraw(&raw);
	ck_assert_int_eq(tcsetattr(fd[1], TCSANOW, &raw), 0);
	check_full(l, fd[0], fd[1], LINES_OWN_FD);
	(void)close(fd[0]);
	(void)close(fd[1]);
	am_loop_free(l);
}
END_TEST

START_TEST(a_reader_that_left_is_epipe)
{
	struct lines_out out;
	struct rig r;

	(void)signal(SIGPIPE, SIG_IGN);
	up(&r);
	ck_assert_int_eq(lines_out_init(&out, loop_base(r.l), r.w), 0);
	lines_in_done(&r.in);
	(void)close(r.r);
	buf_puts(&out.buf, "x\n");
	ck_assert_int_eq(lines_flush(&out), -EPIPE);
	lines_out_done(&out);
	r.r = -1;
	am_loop_free(r.l);
	(void)close(r.w);
}
END_TEST

UNIT_MAIN("cli_lines", lines_come_whole_and_in_order,
    the_loop_wakes_up_when_there_is_more,
    a_line_too_long_is_one_line_and_no_memory,
    a_long_line_at_the_end_is_still_one_line, a_file_is_read_without_events,
    a_full_pipe_does_not_block, a_full_socket_does_not_block,
    a_full_terminal_does_not_block, a_reader_that_left_is_epipe)
