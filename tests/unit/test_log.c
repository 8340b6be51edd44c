#include <errno.h>
#include <stdio.h>
#include <string.h>
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
	ck_assert_str_eq(written(), "<6>peer says a?<3>root: hacked?[2J\n");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	ck_assert_uint_lt(strlen(written()), 2200);
	ck_assert_int_eq(written()[strlen(written()) - 1], '\n');
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

UNIT_MAIN("log", the_journal_gets_a_priority, people_get_the_time,
    what_is_below_the_level_is_not_written, errno_is_kept,
    a_text_cannot_forge_a_line_or_flood_the_log,
    the_journal_is_known_by_its_stream)
