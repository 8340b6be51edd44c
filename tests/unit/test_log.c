#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "tests/unit/unit.h"

/* stderr goes here; each test has a process of its own. */
static FILE *captured;

static void
capture(void)
{
	captured = tmpfile();
	ck_assert_ptr_nonnull(captured);
	ck_assert_int_ge(dup2(fileno(captured), STDERR_FILENO), 0);
}

/* All that was written, in a static buffer. */
static const char *
written(void)
{
	static char text[8192];
	ssize_t n = pread(fileno(captured), text, sizeof(text) - 1, 0);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

START_TEST(the_journal_gets_a_priority)
{
	capture();
	log_init(LOG_LEVEL_DEBUG, LOG_MODE_JOURNAL);
	log_error("pool: broken reason=%s", "x");
	log_warn("w");
	log_info("i");
	log_debug("d");
	ck_assert_str_eq(written(),
	    "<3>pool: broken reason=x\n<4>w\n<6>i\n<7>d\n");
}
END_TEST

START_TEST(people_get_the_time)
{
	int h, m, s, ms;
	char rest[32];

	capture();
	log_init(LOG_LEVEL_INFO, LOG_MODE_PLAIN);
	log_warn("it rains");
	ck_assert_int_eq(sscanf(written(), "%2d:%2d:%2d.%3d %31[^\n]", &h, &m,
			     &s, &ms, rest),
	    5);
	ck_assert_str_eq(rest, "warning: it rains");
}
END_TEST

START_TEST(what_is_below_the_level_is_not_written)
{
	int evaluated = 0;

	capture();
	log_init(LOG_LEVEL_WARNING, LOG_MODE_JOURNAL);
	log_info("i");
	log_debug("%d", ++evaluated);
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(evaluated, 0);
	log_set_level((enum log_level)log_level_parse("debug"));
	log_debug("%d", ++evaluated);
	ck_assert_str_eq(written(), "<7>1\n");
	ck_assert_int_eq(log_level_parse("loud"), -EINVAL);
}
END_TEST

START_TEST(errno_is_kept)
{
	capture();
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	errno = ENOENT;
	log_info("open: %s", strerror(errno));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(written(), "<6>open: No such file or directory\n");
}
END_TEST

START_TEST(a_text_cannot_forge_a_line_or_flood_the_log)
{
	char big[5000];

	capture();
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	log_info("peer says %s", "a\n<3>root: hacked\x1b[2J");
	ck_assert_str_eq(written(),
	    "<6>peer says a\\x0a<3>root: hacked\\x1b[2J\n");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	ck_assert_uint_lt(strlen(written()), 2200);
	ck_assert_str_eq(written() + strlen(written()) - 5, "x...\n");
	memset(big, '\x1b', sizeof(big) - 1);
	log_info("%s", big);
	ck_assert_uint_lt(strlen(written()), 2200 + 4096);
	ck_assert_str_eq(written() + strlen(written()) - 8, "\\x1b...\n");
}
END_TEST

START_TEST(the_journal_is_known_by_its_stream)
{
	char stream[64];
	struct stat st;

	capture();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_init(LOG_LEVEL_INFO, LOG_MODE_AUTO);
	log_info("x");
	ck_assert_str_eq(written(), "<6>x\n");
	/* Inherited, but stderr is another file by now. */
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	log_init(LOG_LEVEL_INFO, LOG_MODE_AUTO);
	log_info("y");
	ck_assert_ptr_null(strstr(written(), "<6>y"));
	ck_assert_ptr_nonnull(strstr(written(), " y\n"));
}
END_TEST

/* stderr is a pipe; returns its other end. */
static int
capture_pipe(void)
{
	int fd[2];

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	ck_assert_int_ge(dup2(fd[1], STDERR_FILENO), 0);
	(void)close(fd[1]);
	(void)alarm(20);
	return fd[0];
}

/* Reads what there is, without waiting, and counts the lines. */
static unsigned
read_lines(int fd, char *last, size_t size)
{
	static char text[512 * 1024];
	unsigned n_lines = 0;
	ssize_t n, len = 0;
	char *p, *nl;

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, text + len, sizeof(text) - (size_t)len - 1)) > 0) {
		len += n;
		(void)log_flush();
	}
	text[len] = '\0';
	for (p = text; (nl = strchr(p, '\n')) != NULL; p = nl + 1) {
		n_lines++;
		(void)snprintf(last, size, "%.*s", (int)(nl - p), p);
		ck_assert_msg(p[0] == '<', "%s", last);
	}
	ck_assert_str_eq(p, "");
	return n_lines;
}

static unsigned n_waits;

static void
on_wait(int fd, void *arg)
{
	(void)arg;
	ck_assert_int_ge(fd, 0);
	n_waits++;
}

START_TEST(a_stderr_that_nobody_reads_stops_nobody)
{
	enum { N = 20000 };
	int fd = capture_pipe(), flags;
	unsigned own = 0, guests = 0, n;
	char last[200];

	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	log_on_wait(on_wait, NULL);
	for (int i = 0; i < N; i++)
		log_info("worker: started number=%d %040d", i, 0);
	ck_assert_uint_eq(n_waits, 1);
	ck_assert(!log_flush());
	log_finish(20);
	n = read_lines(fd, last, sizeof(last));
	/* The pipe and the queue were full, and the rest is told of. */
	ck_assert_uint_gt(n, (64 + 60) * 1024 / 80);
	ck_assert_int_eq(sscanf(last,
			     "<4>log: lines were lost on their way to stderr "
			     "own=%u workers=%u",
			     &own, &guests),
	    2);
	ck_assert_uint_eq(n - 1 + own, N);
	ck_assert_uint_eq(guests, 0);
	/* Others who have this pipe still wait for it, as they like it. */
	flags = fcntl(STDERR_FILENO, F_GETFL);
	ck_assert_int_eq(flags & O_NONBLOCK, 0);
}
END_TEST

START_TEST(lines_of_others_never_cost_one_of_our_own)
{
	enum { N = 20000, OWN = 500 };
	unsigned own = 0, guests = 0, n;
	int fd = capture_pipe();
	char last[200];

	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(log_guest("w1 | ", "0123456789abcdef", 16),
		    16);
	for (int i = 0; i < OWN; i++)
		log_info("lease: granted number=%d", i);
	n = read_lines(fd, last, sizeof(last));
	ck_assert_int_eq(sscanf(last,
			     "<4>log: lines were lost on their way to stderr "
			     "own=%u workers=%u",
			     &own, &guests),
	    2);
	ck_assert_uint_eq(own, 0);
	ck_assert_uint_gt(guests, 0);
	ck_assert_uint_eq(n - 1 + guests, N + OWN);
}
END_TEST

START_TEST(a_socket_for_stderr_does_not_block_either)
{
	static char buf[1 << 20];
	char last[200] = "";
	int fd[2];
	ssize_t n, len = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd),
	    0);
	ck_assert_int_ge(dup2(fd[1], STDERR_FILENO), 0);
	(void)alarm(20);
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	for (int i = 0; i < 20000; i++)
		log_info("number=%d %01000d", i, 0);
	while ((n = recv(fd[0], buf + len, sizeof(buf) - (size_t)len - 1,
		    MSG_DONTWAIT)) > 0) {
		len += n;
		(void)log_flush();
	}
	buf[len] = '\0';
	ck_assert_ptr_nonnull(strstr(buf, "<4>log: lines were lost"));
	/* No line is torn. */
	for (char *p = buf, *nl; (nl = strchr(p, '\n')) != NULL; p = nl + 1) {
		(void)snprintf(last, sizeof(last), "%.*s", 20, p);
		ck_assert_msg(strncmp(p, "<6>number=", 10) == 0 ||
			strncmp(p, "<4>log:", 7) == 0,
		    "%s", last);
	}
}
END_TEST

START_TEST(a_stderr_without_a_reader_is_no_end_either)
{
	int fd = capture_pipe();

	(void)signal(SIGPIPE, SIG_IGN);
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	(void)close(fd);
	for (int i = 0; i < 100; i++)
		log_info("number=%d", i);
	log_finish(10);
}
END_TEST

START_TEST(a_full_disk_costs_lines_and_no_count)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(full, 0);
	ck_assert_int_ge(dup2(full, STDERR_FILENO), 0);
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	for (int i = 0; i < 10; i++)
		log_info("number=%d", i);
	(void)log_guest("w1 | ", "x", 1);
	ck_assert(log_flush());
	capture();
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	log_info("there is room");
	ck_assert_str_eq(written(),
	    "<4>log: lines were lost on their way to stderr own=10 workers=1\n"
	    "<6>there is room\n");
}
END_TEST

START_TEST(a_line_of_others_is_shown_whole_or_in_pieces)
{
	char big[6000];
	size_t n;

	capture();
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
	ck_assert_uint_eq(log_guest("w1 | ", "a\0b\x1b", 4), 4);
	ck_assert_str_eq(written(), "<6>w1 | a\\x00b\\x1b\n");
	memset(big, '\x01', sizeof(big));
	n = log_guest("w1 | ", big, sizeof(big));
	ck_assert_uint_gt(n, 1000);
	ck_assert_uint_lt(n, 1024);
	ck_assert_uint_eq(strlen(written()), 19 + 8 + n * 4 + 1);
}
END_TEST

UNIT_MAIN("log", the_journal_gets_a_priority, people_get_the_time,
    what_is_below_the_level_is_not_written, errno_is_kept,
    a_text_cannot_forge_a_line_or_flood_the_log,
    the_journal_is_known_by_its_stream, a_stderr_that_nobody_reads_stops_nobody,
    lines_of_others_never_cost_one_of_our_own,
    a_socket_for_stderr_does_not_block_either,
    a_stderr_without_a_reader_is_no_end_either,
    a_full_disk_costs_lines_and_no_count,
    a_line_of_others_is_shown_whole_or_in_pieces)
