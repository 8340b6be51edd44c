#include <string.h>

#include "cli/exitcodes.h"
#include "cli/output.h"
#include "lib/base/buf.h"
#include "tests/unit/unit.h"

static struct am_val
json(const char *text, struct am_buf *b)
{
	am_buf_reset(b);
	ck_assert_int_eq(am_json_decode(text, strlen(text), b, NULL), 0);
	return am_buf_val(b);
}

static const struct out_col cols[] = {
	{ "id", "ID", COL_TEXT },
	{ "up", "UPTIME", COL_TIME },
	{ "ok", "OK", COL_BOOL },
};
static const struct out_view view = { .cols = cols, .n_cols = 3 };

START_TEST(each_format_has_its_form)
{
	static const char rows[] = "[{\"id\":\"w1\",\"up\":3725,\"ok\":true},"
				   "{\"id\":\"w10\",\"up\":1.5}]";
	static const struct {
		enum out_format format;
		const char *want;
	} cases[] = {
		{ OUT_TABLE,
		    "ID   UPTIME  OK\n"
		    "w1   1h2m    yes\n"
		    "w10  1.5s    -\n" },
		{ OUT_RAW, "w1\t1h2m\tyes\nw10\t1.5s\t-\n" },
		{ OUT_JSON,
		    "[{\"id\":\"w1\",\"up\":3725,\"ok\":true},"
		    "{\"id\":\"w10\",\"up\":1.5}]\n" },
		{ OUT_NDJSON,
		    "{\"id\":\"w1\",\"up\":3725,\"ok\":true}\n"
		    "{\"id\":\"w10\",\"up\":1.5}\n" },
	};
	struct am_buf b = AM_BUF_INIT;
	struct am_val v = json(rows, &b);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct out o;

		out_init(&o, cases[i].format, NULL, false);
		ck_assert_int_eq(out_doc(&o, v, v, &view), 0);
		ck_assert_str_eq(buf_text(&o.buf), cases[i].want);
		out_done(&o);
	}
	am_buf_done(&b);
}
END_TEST

static void
lines_of(struct am_buf *out, struct am_val doc)
{
	buf_puts(out, "id: ");
	out_put(out, doc, true);
	buf_puts(out, "\nend\n");
}

START_TEST(text_of_others_steers_no_terminal)
{
	static const struct out_view lines = { .text = lines_of };
	static const char evil[] =
	    "[{\"id\":\"a\\u001b[2J\\n\\u009b\\u202eb\",\"up\":1.5}]";
	struct am_buf b = AM_BUF_INIT;
	struct am_val v = json(evil, &b);
	struct out o;

	out_init(&o, OUT_TABLE, NULL, false);
	ck_assert_int_eq(out_doc(&o, v, v, &view), 0);
	ck_assert_str_eq(buf_text(&o.buf),
	    "ID                         UPTIME  OK\n"
	    "a\\x1b[2J\\x0a\\u009b\\u202eb  1.5s    -\n");
	out_done(&o);
	v = json("\"a\\u001b\\u007fb\"", &b);
	out_init(&o, OUT_TABLE, NULL, false);
	ck_assert_int_eq(out_doc(&o, v, v, &lines), 0);
	ck_assert_str_eq(buf_text(&o.buf), "id: a\\x1b\\x7fb\nend\n");
	out_done(&o);
	/* Data of a worker stays what it is. */
	out_init(&o, OUT_TABLE, NULL, false);
	ck_assert_int_eq(out_doc(&o, v, v, NULL), 0);
	ck_assert_str_eq(buf_text(&o.buf),
	    "\"a\\u001b\x7f"
	    "b\"\n");
	out_done(&o);
	am_buf_done(&b);
}
END_TEST

START_TEST(a_field_is_a_path)
{
	static const struct {
		enum out_format format;
		const char *field;
		const char *want; /* NULL: there is none */
	} cases[] = {
		{ OUT_TABLE, "a.b", "x\n" },
		{ OUT_JSON, "a.b", "\"x\"\n" },
		{ OUT_TABLE, "a.c.1", "5\n" },
		{ OUT_TABLE, "a.c", "[4,5]\n" },
		{ OUT_TABLE, "a.d", NULL },
		{ OUT_TABLE, "a.c.2", NULL },
		{ OUT_TABLE, "a.c.x", NULL },
		{ OUT_TABLE, "", NULL },
		{ OUT_TABLE, "a..b", NULL },
	};
	struct am_buf b = AM_BUF_INIT;
	struct am_val v = json("{\"a\":{\"b\":\"x\",\"c\":[4,5]}}", &b);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct out o;
		int rc;

		out_init(&o, cases[i].format, cases[i].field, false);
		rc = out_doc(&o, v, v, NULL);
		ck_assert_msg(rc == (cases[i].want ? 0 : EX_MISSING), "%s",
		    cases[i].field);
		if (cases[i].want != NULL)
			ck_assert_str_eq(buf_text(&o.buf), cases[i].want);
		out_done(&o);
	}
	am_buf_done(&b);
}
END_TEST

START_TEST(a_field_of_an_array_is_one_of_each)
{
	static const struct {
		const char *doc;
		const char *field;
		enum out_format format;
		const char *want; /* NULL: there is none */
	} cases[] = {
		{ "[{\"pid\":1},{\"pid\":2}]", "pid", OUT_NDJSON, "1\n2\n" },
		{ "[{\"pid\":1},{\"pid\":2}]", "pid", OUT_TABLE, "1\n2\n" },
		/* One document, however many there are. */
		{ "[{\"pid\":1},{\"pid\":2}]", "pid", OUT_JSON, "[1,2]\n" },
		{ "[{\"pid\":1}]", "pid", OUT_JSON, "[1]\n" },
		{ "[]", "pid", OUT_JSON, "[]\n" },
		{ "[]", "pid", OUT_TABLE, "" },
		{ "[{\"pid\":1},{\"pid\":2}]", "1.pid", OUT_JSON, "2\n" },
		{ "[{\"pid\":1},{}]", "pid", OUT_TABLE, NULL },
		{ "{\"s\":[{\"n\":\"A\"},{\"n\":\"B\"}]}", "s.n", OUT_TABLE,
		    "A\nB\n" },
		{ "{\"s\":[{\"n\":\"A\"},{\"n\":\"B\"}]}", "s.n", OUT_JSON,
		    "[\"A\",\"B\"]\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct am_buf b = AM_BUF_INIT;
		struct am_val v = json(cases[i].doc, &b);
		const char *want = cases[i].want;
		struct out o;

		out_init(&o, cases[i].format, cases[i].field, false);
		ck_assert_int_eq(out_doc(&o, v, v, &view),
		    want == NULL ? EX_MISSING : 0);
		ck_assert_str_eq(buf_text(&o.buf), want == NULL ? "" : want);
		out_done(&o);
		am_buf_done(&b);
	}
}
END_TEST

START_TEST(only_json_has_a_document_of_an_error)
{
	struct out o;

	out_init(&o, OUT_TABLE, NULL, false);
	out_fail(&o, "canceled", "lost", "it is over");
	ck_assert_uint_eq(o.buf.len, 0);
	out_done(&o);
	out_init(&o, OUT_JSON, NULL, true);
	out_fail(&o, "canceled", "lost", "it is over");
	/* One document, not two. */
	out_fail(&o, "canceled", "lost", "it is over");
	ck_assert_str_eq(buf_text(&o.buf),
	    "{\"status\":\"canceled\",\"error\":{\"code\":\"lost\","
	    "\"message\":\"it is over\"}}\n");
	out_done(&o);
}
END_TEST

START_TEST(a_result_is_json_and_a_line_is_bare)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_val v = json("\"x y\"", &b);
	struct out o;

	out_init(&o, OUT_TABLE, NULL, false);
	ck_assert_int_eq(out_doc(&o, v, v, NULL), 0);
	ck_assert_int_eq(out_line(&o, "lease", "L1"), 0);
	ck_assert_str_eq(buf_text(&o.buf), "\"x y\"\nL1\n");
	out_done(&o);
	out_init(&o, OUT_RAW, NULL, false);
	ck_assert_int_eq(out_doc(&o, v, v, NULL), 0);
	ck_assert_str_eq(buf_text(&o.buf), "x y\n");
	out_done(&o);
	am_buf_done(&b);
}
END_TEST

/* A worker's data has up to 32 levels, an array of payloads two more. */
START_TEST(what_a_worker_may_say_can_be_printed)
{
	struct am_buf b = AM_BUF_INIT;
	struct out o;

	for (int i = 0; i < 34; i++)
		am_put_array(&b, 1);
	am_put_nil(&b);
	out_init(&o, OUT_JSON, NULL, false);
	ck_assert_int_eq(out_doc(&o, am_buf_val(&b), AM_NONE, NULL), 0);
	ck_assert_uint_eq(o.buf.len, 2 * 34 + 5);
	out_done(&o);
	am_buf_done(&b);
}
END_TEST

START_TEST(what_json_cannot_carry_is_said_in_json)
{
	struct am_buf b = AM_BUF_INIT;
	struct out o;

	am_put_map(&b, 1);
	am_put_str(&b, "$bin");
	am_put_str(&b, "x");
	out_init(&o, OUT_JSON, NULL, false);
	ck_assert_int_eq(out_doc(&o, am_buf_val(&b), AM_NONE, NULL), 0);
	ck_assert_str_eq(buf_text(&o.buf),
	    "{\"unprintable\":\"a map of the one key \\\"$bin\\\" would be "
	    "taken for binary\"}\n");
	out_done(&o);
	am_buf_done(&b);
}
END_TEST

START_TEST(quiet_prints_nothing)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_val v = json("{\"a\":1}", &b);
	struct out o;

	out_init(&o, OUT_JSON, NULL, true);
	ck_assert_int_eq(out_doc(&o, v, v, NULL), 0);
	ck_assert_uint_eq(o.buf.len, 0);
	out_done(&o);
	am_buf_done(&b);
}
END_TEST

UNIT_MAIN("cli_output", each_format_has_its_form,
    text_of_others_steers_no_terminal, a_field_is_a_path,
    a_field_of_an_array_is_one_of_each, only_json_has_a_document_of_an_error,
    a_result_is_json_and_a_line_is_bare, what_a_worker_may_say_can_be_printed,
    what_json_cannot_carry_is_said_in_json, quiet_prints_nothing)
