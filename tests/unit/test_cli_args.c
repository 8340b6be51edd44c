#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "lib/base/buf.h"
#include "tests/unit/unit.h"

enum { MAX_PAIRS = 8 };

/* Builds args and gives them back as JSON; err has the message otherwise. */
static int
build(const char *json, const char *const *pairs, struct am_buf *text,
    struct am_error *err)
{
	char words[MAX_PAIRS][128];
	char *argv[MAX_PAIRS];
	struct am_buf b = AM_BUF_INIT;
	size_t n = 0;
	int rc;

	for (; pairs != NULL && pairs[n] != NULL; n++) {
		(void)snprintf(words[n], sizeof(words[n]), "%s", pairs[n]);
		argv[n] = words[n];
	}
	rc = args_build(json, json == NULL ? 0 : strlen(json), argv, n, &b,
	    err);
	if (rc == 0 && b.len > 0)
		ck_assert_int_eq(am_json_encode(am_buf_val(&b), text, err), 0);
	am_buf_done(&b);
	return rc;
}

START_TEST(pairs_become_one_map)
{
	static const struct {
		const char *json;
		const char *pairs[4];
		const char *want;
	} cases[] = {
		{ NULL, { "a=1" }, "{\"a\":\"1\"}" },
		{ NULL, { "a:=1" }, "{\"a\":1}" },
		{ NULL, { "a=" }, "{\"a\":\"\"}" },
		{ NULL, { "a==b" }, "{\"a\":\"=b\"}" },
		{ NULL, { "a:=[1,{\"b\":null}]", "c=x y" },
		    "{\"a\":[1,{\"b\":null}],\"c\":\"x y\"}" },
		{ NULL, { "n:=18446744073709551615" },
		    "{\"n\":18446744073709551615}" },
		{ "{\"a\":1,\"b\":2}", { NULL }, "{\"a\":1,\"b\":2}" },
		{ "{\"a\":1,\"b\":2}", { "a=x" }, "{\"b\":2,\"a\":\"x\"}" },
		{ "{}", { NULL }, "{}" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct am_buf text = AM_BUF_INIT;
		struct am_error err = { "" };

		ck_assert_msg(build(cases[i].json, cases[i].pairs, &text,
				  &err) == 0,
		    "%zu: %s", i, err.text);
		ck_assert_str_eq(buf_text(&text), cases[i].want);
		am_buf_done(&text);
	}
}
END_TEST

START_TEST(nothing_given_is_nothing_sent)
{
	struct am_buf text = AM_BUF_INIT;
	struct am_error err;

	ck_assert_int_eq(build(NULL, NULL, &text, &err), 0);
	ck_assert_uint_eq(text.len, 0);
	am_buf_done(&text);
}
END_TEST

START_TEST(what_would_be_changed_is_refused_and_named)
{
	static const struct {
		const char *json;
		const char *pairs[3];
		const char *says;
	} cases[] = {
		{ NULL, { "a:=nope" }, "a:=nope" },
		{ NULL, { "a:=" }, "a:=" },
		{ NULL, { "a:=18446744073709551616" }, "18446744073709551616" },
		{ NULL, { "a:=\"x\\u0000y\"" }, "NUL" },
		{ NULL, { "a:={\"k\":1,\"k\":2}" }, "\"k\"" },
		{ NULL, { "a:=1e400" }, "1e400" },
		{ NULL, { "a:=1 2" }, "a:=" },
		{ NULL, { "p:=\"C:\\users\\bob\"" },
		    "p:=\"C:\\users\\bob\": not JSON at byte 3: \\u without "
		    "four "
		    "hex digits" },
		{ "{\"p\":\"C:\\users\\bob\"}", { NULL },
		    "--args: not JSON at byte 8: \\u without four" },
		{ "\xef\xbb\xbf{}", { NULL },
		    "--args: not JSON at byte 0: a byte "
		    "order mark" },
		{ NULL, { "a=x\xff" },
		    "a=x...: not UTF-8 at byte 3: send it as k:={\"$bin\":" },
		{ NULL, { "\xc3=x" }, "not UTF-8 at byte 0" },
		{ NULL, { "a=\xed\xa0\x80" }, "not UTF-8 at byte 2" },
		{ NULL, { "=x" }, "no key" },
		{ NULL, { ":=1" }, "no key" },
		{ NULL, { "a=1", "a:=2" }, "twice" },
		{ "[1]", { NULL }, "object" },
		{ "{", { NULL }, "--args" },
		{ "", { NULL }, "--args" },
		{ "{\"a\":1,\"a\":2}", { NULL }, "--args" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct am_buf text = AM_BUF_INIT;
		struct am_error err = { "" };

		ck_assert_msg(build(cases[i].json, cases[i].pairs, &text,
				  &err) == -EINVAL,
		    "%zu is taken", i);
		ck_assert_msg(strstr(err.text, cases[i].says) != NULL,
		    "%zu: \"%s\" does not say %s", i, err.text, cases[i].says);
		am_buf_done(&text);
	}
}
END_TEST

/* The args are one of the 32 levels. */
START_TEST(args_have_at_most_32_levels)
{
	for (int levels = 31; levels <= 32; levels++) {
		struct am_buf text = AM_BUF_INIT;
		struct am_error err = { "" };
		char word[80] = "a:=";
		const char *pairs[] = { word, NULL };

		memset(word + 3, '[', (size_t)levels);
		memset(word + 3 + levels, ']', (size_t)levels);
		if (levels == 31) {
			ck_assert_int_eq(build(NULL, pairs, &text, &err), 0);
		} else {
			ck_assert_int_eq(build(NULL, pairs, &text, &err),
			    -EINVAL);
			ck_assert_str_eq(err.text,
			    "the arguments are nested deeper than 32 levels");
		}
		am_buf_done(&text);
	}
}
END_TEST

START_TEST(states_come_before_pairs)
{
	char words[][8] = { "a=1", "Foo", "b:=2", "Bar", "c=" };
	char *argv[5];

	for (size_t i = 0; i < 5; i++)
		argv[i] = words[i];
	ck_assert_uint_eq(args_sort(argv, 5), 2);
	ck_assert_str_eq(argv[0], "Foo");
	ck_assert_str_eq(argv[1], "Bar");
	ck_assert_str_eq(argv[2], "a=1");
	ck_assert_str_eq(argv[3], "b:=2");
	ck_assert_str_eq(argv[4], "c=");
}
END_TEST

UNIT_MAIN("cli_args", pairs_become_one_map, nothing_given_is_nothing_sent,
    what_would_be_changed_is_refused_and_named, args_have_at_most_32_levels,
    states_come_before_pairs)
