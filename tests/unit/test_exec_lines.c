#include <errno.h>
#include <string.h>

#include "daemon/exec/lines.h"
#include "lib/base/buf.h"
#include "tests/unit/unit.h"

/* Parses; the message's values live in buf. */
static struct line_msg
parsed(struct am_buf *buf, const char *line)
{
	struct am_error err = { "" };
	struct line_msg m;

	ck_assert_msg(line_parse(line, strlen(line), buf, &m, &err) == 0,
	    "%s: %s", line, err.text);
	return m;
}

static void
assert_json(struct am_val v, const char *want)
{
	struct am_buf text = AM_BUF_INIT;

	ck_assert_int_eq(am_json_encode(v, &text, NULL), 0);
	ck_assert_str_eq(buf_text(&text), want);
	am_buf_done(&text);
}

START_TEST(each_kind_of_line_is_told_from_the_others)
{
	static const struct {
		const char *line;
		enum line_kind kind;
		uint64_t req;
	} good[] = {
		{ "{\"ready\":1}", LINE_READY, 0 },
		{ "{\"req\":17,\"payload\":{\"a\":1}}", LINE_ANSWER, 17 },
		{ "{\"payload\":null,\"req\":17}", LINE_ANSWER, 17 },
		{ "{\"req\":17,\"error\":{}}", LINE_ERROR, 17 },
		{ "{\"req\":17,\"accept\":false}", LINE_REFUSAL, 17 },
		{ "{\"req\":17,\"accept\":true}", LINE_NOTHING, 0 },
		{ "{\"req\":17,\"progress\":[3,10]}", LINE_PROGRESS, 17 },
		{ "{\"req\":17,\"chunk\":\"x\"}", LINE_CHUNK, 17 },
		{ "{\"add\":[\"Fetching\"],\"args\":{}}", LINE_ADD, 0 },
		{ "{\"remove\":[\"Fetching\"]}", LINE_REMOVE, 0 },
		{ "{\"pong\":1}", LINE_PONG, 0 },
		{ "{\"idle\":1}\r", LINE_IDLE, 0 },
		{ "{}", LINE_NOTHING, 0 },
		{ "{\"req\":17,\"result\":1}", LINE_ERROR, 17 },
		{ "{\"req\":17}", LINE_ERROR, 17 },
		{ "{\"pong\":1,\"more\":{\"payload\":1}}", LINE_PONG, 0 },
	};
	struct am_buf buf = AM_BUF_INIT;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct line_msg m = parsed(&buf, good[i].line);

		ck_assert_msg(m.kind == good[i].kind, "%s: kind %d",
		    good[i].line, (int)m.kind);
		ck_assert_uint_eq(m.req, good[i].req);
	}
	am_buf_done(&buf);
}
END_TEST

START_TEST(what_an_answer_holds_is_passed_on)
{
	struct am_buf buf = AM_BUF_INIT;
	struct line_msg m;

	m = parsed(&buf, "{\"req\":1,\"payload\":{\"b\":[1,2.5,\"x\"]}}");
	assert_json(m.data, "{\"b\":[1,2.5,\"x\"]}");
	m = parsed(&buf,
	    "{\"req\":1,\"error\":{\"code\":\"lost\",\"message\":\"why\"}}");
	ck_assert_str_eq(m.code, "lost");
	ck_assert_str_eq(m.text, "why");
	m = parsed(&buf, "{\"req\":1,\"error\":\"why\"}");
	ck_assert_str_eq(m.code, "failed");
	ck_assert_str_eq(m.text, "why");
	m = parsed(&buf, "{\"req\":1,\"error\":{\"code\":7}}");
	ck_assert_str_eq(m.code, "failed");
	ck_assert_str_eq(m.text, "the program gave no message");
	m = parsed(&buf, "{\"req\":1,\"result\":7}");
	ck_assert_str_eq(m.code, "bad_answer");
	ck_assert_str_eq(m.text,
	    "the line has \"req\", but none of \"payload\", \"error\", "
	    "\"accept\", \"progress\" and \"chunk\"");
	m = parsed(&buf, "{\"req\":1,\"accept\":false,\"reason\":\"busy\"}");
	ck_assert_str_eq(m.text, "busy");
	m = parsed(&buf, "{\"add\":[\"A\",\"B\"],\"args\":{\"n\":1}}");
	assert_json(m.names, "[\"A\",\"B\"]");
	assert_json(m.data, "{\"n\":1}");
	am_buf_done(&buf);
}
END_TEST

START_TEST(a_long_text_is_cut_between_characters)
{
	struct am_buf buf = AM_BUF_INIT, line = AM_BUF_INIT;
	struct line_msg m;

	buf_puts(&line, "{\"req\":1,\"error\":{\"message\":\"x");
	for (int i = 0; i < LINE_TEXT_MAX; i++)
		buf_puts(&line, "\xc3\xbc");
	buf_puts(&line, "\"}}");
	m = parsed(&buf, buf_text(&line));
	ck_assert_uint_eq(strlen(m.text), LINE_TEXT_MAX - 1);
	ck_assert_str_eq(m.text + LINE_TEXT_MAX - 3, "\xc3\xbc");
	am_buf_done(&buf);
	am_buf_done(&line);
}
END_TEST

START_TEST(a_broken_line_is_a_protocol_error)
{
	static const struct {
		const char *line;
		const char *why;
	} broken[] = {
		{ "hello", "" },
		{ "", "" },
		{ "{\"req\":1,\"payload\":", "" },
		{ "[1]", "not a JSON object" },
		{ "17", "not a JSON object" },
		{ "{\"payload\":1}", "\"payload\" without the \"req\"" },
		{ "{\"req\":\"1\",\"payload\":1}", "without the \"req\"" },
		{ "{\"req\":-1,\"payload\":1}", "without the \"req\"" },
		{ "{\"req\":1.5,\"payload\":1}", "without the \"req\"" },
		{ "{\"req\":1,\"payload\":1,\"error\":{}}",
		    "both \"payload\" and \"error\"" },
		{ "{\"req\":1,\"req\":2,\"pong\":1}", "twice" },
		{ "{\"req\":1,\"req\":2,\"payload\":1}",
		    "\"req\" is there twice" },
		{ "{\"req\":1e400,\"payload\":1}", "without the \"req\"" },
		{ "{\"req\":1,\"payload\":{\"p\":\"C:\\users\\bob\"}}",
		    "not JSON at byte 27: \\u without four hex digits" },
		{ "{\"req\":\"1\"}", "\"req\" is not a number" },
		{ "{\"add\":[\"A\"],\"args\":NaN}", "NaN at byte 20" },
		{ "{\"ready\":1,\"x\":NaN}", "NaN at byte 15" },
	};
	struct am_buf buf = AM_BUF_INIT;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		const char *line = broken[i].line;
		struct am_error err = { "" };
		struct line_msg m;

		ck_assert_msg(line_parse(line, strlen(line), &buf, &m, &err) ==
			-EBADMSG,
		    "%s", line);
		ck_assert_msg(strstr(err.text, broken[i].why) != NULL,
		    "%s: \"%s\" is not in: %s", line, broken[i].why, err.text);
		ck_assert_str_ne(err.text, "");
	}
	am_buf_done(&buf);
}
END_TEST

START_TEST(what_cannot_be_carried_spoils_its_request_only)
{
	static const struct {
		const char *line;
		enum line_kind kind;
		const char *why;
	} spoiled[] = {
		{ "{\"req\":5,\"payload\":{\"n\":18446744073709551616}}",
		    LINE_ERROR,
		    "number 18446744073709551616 at byte 24 is an integer "
		    "beyond 64 bits: send it as a string" },
		{ "{\"req\":5,\"payload\":{\"a\":1,\"a\":2}}", LINE_ERROR,
		    "key \"a\" at byte 26 is there twice" },
		{ "{\"req\":5,\"payload\":NaN}", LINE_ERROR,
		    "NaN at byte 19: JSON has no number for it" },
		{ "{\"req\":5,\"payload\":[-Infinity]}", LINE_ERROR,
		    "-Infinity at byte 20" },
		{ "{\"payload\":{\"p\":\"\\udc80\"},\"req\":5}", LINE_ERROR,
		    "\\udc80 at byte 17 is half of a surrogate" },
		{ "{\"req\":5,\"payload\":\"a\\u0000b\"}", LINE_ERROR, "NUL" },
		{ "{\"req\":5,\"payload\":\"a\xff\"}", LINE_ERROR,
		    "is not UTF-8 at byte 21" },
		{ "{\"req\":5,\"payload\":{\"$bin\":\"A\"}}", LINE_ERROR,
		    "base64" },
		{ "{\"req\":5,\"payload\":0.12345678901234567890}", LINE_ERROR,
		    "digits that a double cannot hold" },
		{ "{\"req\":5,\"error\":{\"message\":\"\\ud800\"}}", LINE_ERROR,
		    "half of" },
		{ "{\"req\":5,\"accept\":false,\"reason\":\"\xff\"}",
		    LINE_ERROR, "UTF-8" },
		{ "{\"req\":5,\"progress\":NaN}", LINE_BAD_PART, "NaN" },
		{ "{\"req\":5,\"chunk\":[1e999,NaN]}", LINE_BAD_PART, "1e999" },
	};
	struct am_buf buf = AM_BUF_INIT;

	for (size_t i = 0; i < sizeof(spoiled) / sizeof(spoiled[0]); i++) {
		struct line_msg m = parsed(&buf, spoiled[i].line);

		ck_assert_msg(m.kind == spoiled[i].kind, "%s: kind %d",
		    spoiled[i].line, (int)m.kind);
		ck_assert_uint_eq(m.req, 5);
		ck_assert_str_eq(m.code, "bad_payload");
		ck_assert_msg(strstr(m.text, spoiled[i].why) != NULL, "%s: %s",
		    spoiled[i].line, m.text);
	}
	am_buf_done(&buf);
}
END_TEST

START_TEST(a_value_of_32_levels_is_an_answer)
{
	struct am_buf buf = AM_BUF_INIT, line = AM_BUF_INIT;

	for (int levels = 32; levels <= 500; levels += levels == 32 ? 1 : 467) {
		struct line_msg m;

		am_buf_reset(&line);
		buf_puts(&line, "{\"req\":5,\"payload\":");
		for (int i = 0; i < levels; i++)
			buf_putc(&line, '[');
		for (int i = 0; i < levels; i++)
			buf_putc(&line, ']');
		buf_putc(&line, '}');
		m = parsed(&buf, buf_text(&line));
		ck_assert_uint_eq(m.req, 5);
		ck_assert_int_eq(m.kind,
		    levels == 32 ? LINE_ANSWER : LINE_ERROR);
		if (levels > 32)
			ck_assert_str_eq(m.text,
			    "nested deeper than 32 levels at byte 51");
	}
	am_buf_done(&buf);
	am_buf_done(&line);
}
END_TEST

/* Only its beginning is there, which may end anywhere. */
START_TEST(a_line_that_is_too_long_spoils_its_request_only)
{
	static const char *const good[] = {
		"{\"req\":5,\"payload\":\"xxx",
		"{\"req\":5,\"payload\":[1,2.",
		"{\"req\":5,\"payload\":[[{\"k\":-",
		"{\"req\":5,\"payload\":tr",
		"{\"req\":5,\"payload\":[\"\\u12",
		"{\"req\":5,\"payload\":",
		"{\"req\":5,\"payload\":[\"\xe2\x82",
		"{\"payload\":1,\"req\":5,",
		"{\"req\":5,\"payload\":{\"a\":1}, ",
		"{\"req\":5,\"error\":{\"a",
		"{\"req\":5,\"payload\":1}    ",
		"{\"req\":5,\"payload\":NaN,",
		"{\"req\":5,\"payloa",
		"{\"req\":5,\"x\":\"",
	};
	static const char *const bad[] = { "xxx", "{\"payload\":\"xxx",
		"{\"payload\":1,\"req\":5", "[", "", "{\"pong\":1,\"x\":\"",
		"{\"add\":[\"A\"],\"args\":[",
		"{\"req\":5,\"payload\":\"a\" x" };
	struct am_buf buf = AM_BUF_INIT;
	struct am_error err;
	struct line_msg m;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(line_parse_long(good[i], strlen(good[i]), 99,
				  &buf, &m, &err) == 0,
		    "%s: %s", good[i], err.text);
		ck_assert_int_eq(m.kind, LINE_ERROR);
		ck_assert_uint_eq(m.req, 5);
		ck_assert_str_eq(m.code, "too_big");
		ck_assert_str_eq(m.text,
		    "a line is longer than 99 bytes (Worker.LineMax)");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(line_parse_long(bad[i], strlen(bad[i]), 99, &buf,
				  &m, &err) == -EBADMSG,
		    "%s", bad[i]);
	ck_assert_int_eq(line_parse_long("{\"req\":5,\"chunk\":\"x", 19, 99,
			     &buf, &m, &err),
	    0);
	ck_assert_int_eq(m.kind, LINE_BAD_PART);
	am_buf_done(&buf);
}
END_TEST

START_TEST(ready_says_what_the_program_can)
{
	struct am_buf buf = AM_BUF_INIT;
	struct am_error err = { "" };
	struct line_ready r;

	(void)parsed(&buf, "{\"ready\":1}");
	ck_assert_int_eq(line_parse_ready(am_buf_val(&buf), &r, &err), 0);
	ck_assert(!r.can_ping && !r.can_reset && !r.can_cancel);
	ck_assert_uint_eq(r.concurrency, 1);
	ck_assert_ptr_null(r.states.data);
	(void)parsed(&buf,
	    "{\"ready\":1,\"can\":[\"ping\",\"fly\",\"cancel\"],"
	    "\"concurrency\":4,\"states\":[{\"name\":\"A\"}]}");
	ck_assert_int_eq(line_parse_ready(am_buf_val(&buf), &r, &err), 0);
	ck_assert(r.can_ping && !r.can_reset && r.can_cancel);
	ck_assert_uint_eq(r.concurrency, 4);
	assert_json(r.states, "[{\"name\":\"A\"}]");
	am_buf_done(&buf);
}
END_TEST

START_TEST(a_bad_ready_is_refused)
{
	static const char *const bad[] = { "{\"ready\":2}", "{\"ready\":true}",
		"{\"ready\":1,\"can\":\"ping\"}", "{\"ready\":1,\"can\":[1]}",
		"{\"ready\":1,\"concurrency\":0}",
		"{\"ready\":1,\"concurrency\":1025}",
		"{\"ready\":1,\"concurrency\":\"4\"}" };
	struct am_buf buf = AM_BUF_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct am_error err = { "" };
		struct line_ready r;

		(void)parsed(&buf, bad[i]);
		ck_assert_msg(line_parse_ready(am_buf_val(&buf), &r, &err) ==
			-EBADMSG,
		    "%s", bad[i]);
		ck_assert_str_ne(err.text, "");
	}
	am_buf_done(&buf);
}
END_TEST

START_TEST(the_hosts_lines_are_those_of_the_manual)
{
	struct am_buf b = AM_BUF_INIT;

	line_put_request(&b, 17, "{\"input\":3}", 11, 4980);
	line_put_request(&b, 18, NULL, 0, -1);
	line_put_cancel(&b, 17);
	line_put_ping(&b);
	line_put_lease_begin(&b, "a \"b\"\n");
	line_put_lease_end(&b);
	line_put_stop(&b, "reload");
	ck_assert_str_eq(buf_text(&b),
	    "{\"req\":17,\"add\":[\"WorkRequested\"],\"args\":{\"input\":3},"
	    "\"deadline_ms\":4980}\n"
	    "{\"req\":18,\"add\":[\"WorkRequested\"],\"args\":{}}\n"
	    "{\"cancel\":17}\n"
	    "{\"ping\":1}\n"
	    "{\"lease\":\"begin\",\"client\":\"a \\\"b\\\"\\n\"}\n"
	    "{\"lease\":\"end\"}\n"
	    "{\"stop\":\"reload\"}\n");
	am_buf_done(&b);
}
END_TEST

START_TEST(the_frame_of_a_request_fits_its_bound)
{
	struct am_buf b = AM_BUF_INIT;

	line_put_request(&b, UINT64_MAX, "{}", 2, INT64_MAX);
	ck_assert_uint_le(b.len - 2, LINE_REQUEST_FRAME);
	am_buf_done(&b);
}
END_TEST

static void
feed(struct line_in *in, const char *bytes, size_t len)
{
	while (len > 0) {
		char *to;
		size_t room;

		ck_assert_int_eq(line_in_room(in, &to, &room), 0);
		ck_assert_uint_ge(room, LINE_READ);
		room = room < len ? room : len;
		memcpy(to, bytes, room);
		line_in_put(in, room);
		bytes += room;
		len -= room;
	}
}

START_TEST(lines_come_whole_wherever_reads_end)
{
	static const char text[] = "one\ntwo three\n\nfour\nrest";
	static const char *const want[] = { "one", "two three", "", "four" };

	for (size_t step = 1; step < sizeof(text); step++) {
		struct line_in in = { .max = LINE_MAX_LOWEST };
		size_t got = 0;

		for (size_t at = 0; at < sizeof(text) - 1; at += step) {
			size_t left = sizeof(text) - 1 - at;
			const char *line;
			size_t len;

			feed(&in, text + at, left < step ? left : step);
			while (line_in_next(&in, &line, &len) == 1) {
				const char *again;

				ck_assert_uint_lt(got, 4);
				ck_assert_uint_eq(len, strlen(want[got]));
				ck_assert_mem_eq(line, want[got], len);
				ck_assert_int_eq(line_in_next(&in, &again,
						     &len),
				    1);
				ck_assert_ptr_eq(again, line);
				line_in_drop(&in);
				got++;
			}
		}
		ck_assert_uint_eq(got, 4);
		line_in_done(&in);
	}
}
END_TEST

START_TEST(a_line_of_the_limit_passes_and_a_longer_one_does_not)
{
	static char big[LINE_MAX_LOWEST + 2];
	struct line_in in = { .max = LINE_MAX_LOWEST };
	const char *line;
	size_t len;

	memset(big, 'x', sizeof(big));
	feed(&in, big, LINE_MAX_LOWEST);
	ck_assert_int_eq(line_in_next(&in, &line, &len), 0);
	feed(&in, "\nx\n", 3);
	ck_assert_int_eq(line_in_next(&in, &line, &len), 1);
	ck_assert_uint_eq(len, LINE_MAX_LOWEST);
	line_in_drop(&in);
	ck_assert_int_eq(line_in_next(&in, &line, &len), 1);
	ck_assert_uint_eq(len, 1);
	line_in_drop(&in);
	feed(&in, big, LINE_MAX_LOWEST + 1);
	ck_assert_int_eq(line_in_next(&in, &line, &len), -EMSGSIZE);
	ck_assert_int_eq(line[0], 'x');
	ck_assert_int_eq(line_in_next(&in, &line, &len), -EMSGSIZE);
	/* Its rest is not kept, and the next one is whole. */
	line_in_drop(&in);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(line_in_next(&in, &line, &len), 0);
		feed(&in, big, LINE_MAX_LOWEST);
	}
	feed(&in, "x\nnext\n", 7);
	ck_assert_int_eq(line_in_next(&in, &line, &len), 1);
	ck_assert_uint_eq(len, 4);
	ck_assert_int_eq(memcmp(line, "next", 4), 0);
	line_in_drop(&in);
	/* One whose newline is there already is dropped up to it. */
	feed(&in, big, LINE_MAX_LOWEST + 1);
	feed(&in, "\nnext\n", 6);
	ck_assert_int_eq(line_in_next(&in, &line, &len), -EMSGSIZE);
	line_in_drop(&in);
	ck_assert_int_eq(line_in_next(&in, &line, &len), 1);
	ck_assert_uint_eq(len, 4);
	line_in_drop(&in);
	line_in_done(&in);
	line_in_done(&in);
}
END_TEST

START_TEST(a_long_line_leaves_no_large_buffer_behind)
{
	struct line_in in = { .max = LINE_MAX_DEFAULT };
	char *big = calloc(1, LINE_MAX_DEFAULT);
	struct am_buf b = AM_BUF_INIT;
	const char *line;
	size_t len;

	ck_assert_ptr_nonnull(big);
	memset(big, 'x', LINE_MAX_DEFAULT);
	for (int i = 0; i < 2; i++) {
		feed(&in, big, LINE_MAX_DEFAULT);
		ck_assert_int_eq(line_in_next(&in, &line, &len), 0);
		feed(&in, "\n", 1);
		ck_assert_int_eq(line_in_next(&in, &line, &len), 1);
		ck_assert_uint_eq(len, LINE_MAX_DEFAULT);
		line_in_drop(&in);
		ck_assert_uint_le(in.cap, LINE_KEEP);
		ck_assert_int_eq(line_in_next(&in, &line, &len), 0);
	}
	buf_append(&b, big, LINE_MAX_DEFAULT);
	line_buf_reset(&b);
	ck_assert_uint_le(b.cap, LINE_KEEP);
	buf_append(&b, big, 100);
	line_buf_reset(&b);
	ck_assert_uint_gt(b.cap, 0);
	am_buf_done(&b);
	line_in_done(&in);
	free(big);
}
END_TEST

UNIT_MAIN("exec_lines", each_kind_of_line_is_told_from_the_others,
    what_an_answer_holds_is_passed_on, a_long_text_is_cut_between_characters,
    a_broken_line_is_a_protocol_error,
    what_cannot_be_carried_spoils_its_request_only,
    a_value_of_32_levels_is_an_answer,
    a_line_that_is_too_long_spoils_its_request_only,
    ready_says_what_the_program_can, a_bad_ready_is_refused,
    the_hosts_lines_are_those_of_the_manual,
    the_frame_of_a_request_fits_its_bound, lines_come_whole_wherever_reads_end,
    a_line_of_the_limit_passes_and_a_longer_one_does_not,
    a_long_line_leaves_no_large_buffer_behind)
