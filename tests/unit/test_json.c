#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "tests/unit/unit.h"

/* Decodes and encodes again. */
static void
assert_round(const char *json, const char *want)
{
	struct am_buf val = AM_BUF_INIT, text = AM_BUF_INIT;
	struct am_error err = { "" };

	ck_assert_msg(am_json_decode(json, strlen(json), &val, &err) == 0,
	    "%s: %s", json, err.text);
	ck_assert_msg(am_json_encode(am_buf_val(&val), &text, &err) == 0,
	    "%s: %s", json, err.text);
	ck_assert_str_eq(buf_text(&text), want);
	am_buf_done(&val);
	am_buf_done(&text);
}

static void
assert_refused(const char *json, size_t len, const char *why)
{
	struct am_buf val = AM_BUF_INIT;
	struct am_error err = { "" };

	am_put_bool(&val, true);
	ck_assert_msg(am_json_decode(json, len, &val, &err) == -EINVAL, "%s",
	    json);
	ck_assert_msg(strstr(err.text, why) != NULL, "%s: \"%s\" is not in: %s",
	    json, why, err.text);
	ck_assert_uint_eq(val.len, 1);
	ck_assert_int_eq(am_json_decode(json, len, &val, NULL), -EINVAL);
	am_buf_done(&val);
}

START_TEST(values_come_back_as_they_went)
{
	static const char *const same[] = { "null", "true", "false", "0", "-1",
		"9007199254740992", "-9007199254740992", "9007199254740991",
		"0.1", "3.0", "-0.0", "1e+300", "1.5e-07", "\"\"", "\"a\\\"b\"",
		"\"\\\\\\b\\f\\n\\r\\t\\u001f\"", "\"gr\xc3\xbc\xc3\x9f\"",
		"\"\xf0\x9f\x98\x80\"", "[]", "{}", "[1,[2,[3.5,null]]]",
		"{\"a\":{\"b\":[1,2.0,3]},\"c\":\"d\"}",
		"{\"$bin\":\"AAEC/w==\"}", "{\"$bin\":\"\"}",
		"{\"$bin\":\"no base64\",\"x\":1}", "[1,2.0,3,4.5,5]" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_round(same[i], same[i]);
}
END_TEST

START_TEST(other_spellings_come_back_in_ours)
{
	assert_round(" { \"a\" :\t[ 1 , 2 ]\r\n} \n", "{\"a\":[1,2]}");
	assert_round("\"\\u00e9\\ud83d\\ude00\\/\"",
	    "\"\xc3\xa9\xf0\x9f\x98\x80/\"");
	assert_round("1E2", "100.0");
	assert_round("123456789012345678.0", "1.2345678901234568e+17");
	assert_round("-0", "-0.0");
}
END_TEST

START_TEST(what_would_be_changed_is_refused)
{
	static const struct {
		const char *json, *why;
	} bad[] = {
		{ "9007199254740993", "9007199254740993 at byte 0" },
		{ "{\"a\":-9007199254740993}", "byte 5" },
		{ "[18446744073709551616]", "beyond 2^53" },
		{ "1e400", "1e400" },
		{ "[-1e999]", "byte 1" },
		{ "\"x\\u0000y\"", "NUL" },
		{ "{\"a\\u0000b\":1}", "NUL" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", "\"a\"" },
		{ "{\"x\":{\"k\":1,\"\\u006b\":1}}", "\"k\"" },
		{ "\"\xff\"", "UTF-8" },
		{ "\"\xc0\x80\"", "UTF-8" },
		{ "\"\xed\xa0\x80\"", "UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", "UTF-8" },
		{ "\"\xe2\x82\"", "UTF-8" },
		{ "{\"$bin\":\"Zg=\"}", "base64" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i].json, strlen(bad[i].json), bad[i].why);
	assert_refused("\"a\0b\"", 5, "control character");
}
END_TEST

START_TEST(what_is_no_json_is_refused)
{
	static const char *const bad[] = { "", " ", "nul", "nulll", "True",
		"tru", "1 2", "1,", "[1,]", "[1 2]", "[,]", "{\"a\"}",
		"{\"a\":}", "{\"a\":1,}", "{1:2}", "{a:1}", "[1", "1]", "]",
		"\"a", "\"a\\", "\"a\\\"", "\"\\x\"", "\"\\u12\"",
		"\"\\ud800\"", "\"\\ud800\\u0041\"", "\"a\nb\"", "01", "-",
		"+1", "1.", ".5", "1e", "1e+", "0x10", "NaN", "Infinity",
		"-Infinity", "\xef\xbb\xbf{}", "'a'", "{} {}", "// c\n1",
		"[1]\x01" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i], strlen(bad[i]), "");
	assert_refused("[1] x", 5, "byte 4");
	assert_refused("[1, 02]", 7, "byte 4");
	assert_refused("1", 0, "not JSON");
}
END_TEST

START_TEST(text_is_read_to_its_length_only)
{
	struct am_buf val = AM_BUF_INIT;
	int64_t n = 0;

	ck_assert_int_eq(am_json_decode("{\"a\":12}34", 8, &val, NULL), 0);
	ck_assert_int_eq(am_get_int(am_buf_val(&val), "a", &n), 0);
	ck_assert_int_eq(n, 12);
	am_buf_done(&val);
}
END_TEST

START_TEST(thirty_two_levels_pass_and_one_more_does_not)
{
	char text[100];

	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	assert_refused(text, 66, "32 levels at byte 32");
	text[65] = '\0';
	assert_round(text + 1, text + 1);
}
END_TEST

static void
assert_not_encoded(struct am_buf *val, const char *why)
{
	struct am_buf text = AM_BUF_INIT;
	struct am_error err = { "" };

	buf_putc(&text, 'x');
	ck_assert_int_eq(am_json_encode(am_buf_val(val), &text, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
	ck_assert_str_eq(buf_text(&text), "x");
	am_buf_done(&text);
	am_buf_reset(val);
}

START_TEST(what_json_cannot_carry_is_not_encoded)
{
	struct am_buf b = AM_BUF_INIT;

	am_put_double(&b, (double)INFINITY);
	assert_not_encoded(&b, "infinity");
	am_put_double(&b, (double)NAN);
	assert_not_encoded(&b, "not-a-number");
	am_put_strn(&b, "a\0b", 3);
	assert_not_encoded(&b, "NUL at its byte 1");
	am_put_strn(&b, "ab\xff", 3);
	assert_not_encoded(&b, "byte 2");
	am_put_map(&b, 1);
	am_put_int(&b, 1);
	am_put_nil(&b);
	assert_not_encoded(&b, "key");
	am_put_map(&b, 1);
	am_put_str(&b, "$bin");
	am_put_str(&b, "Zg==");
	assert_not_encoded(&b, "$bin");
	buf_append(&b, "\xd4\x01\x02", 3);
	assert_not_encoded(&b, "extension");
	am_put_array(&b, 2);
	am_put_int(&b, 1);
	assert_not_encoded(&b, "malformed");
	am_put_int(&b, 1);
	am_put_int(&b, 1);
	assert_not_encoded(&b, "behind");
	for (int i = 0; i < 33; i++)
		am_put_array(&b, 1);
	am_put_nil(&b);
	assert_not_encoded(&b, "32 levels");
	am_buf_done(&b);
}
END_TEST

START_TEST(integers_are_written_as_raw_digits)
{
	struct am_buf b = AM_BUF_INIT, text = AM_BUF_INIT;

	am_put_array(&b, 3);
	am_put_uint(&b, UINT64_MAX);
	am_put_int(&b, INT64_MIN);
	am_put_int(&b, INT64_C(9007199254740993));
	ck_assert_int_eq(am_json_encode(am_buf_val(&b), &text, NULL), 0);
	ck_assert_str_eq(buf_text(&text),
	    "[18446744073709551615,-9223372036854775808,9007199254740993]");
	am_buf_reset(&text);
	ck_assert_int_eq(am_json_encode(AM_NONE, &text, NULL), 0);
	ck_assert_str_eq(buf_text(&text), "null");
	am_buf_done(&b);
	am_buf_done(&text);
}
END_TEST

UNIT_MAIN("json", values_come_back_as_they_went,
    other_spellings_come_back_in_ours, what_would_be_changed_is_refused,
    what_is_no_json_is_refused, text_is_read_to_its_length_only,
    thirty_two_levels_pass_and_one_more_does_not,
    what_json_cannot_carry_is_not_encoded, integers_are_written_as_raw_digits)
