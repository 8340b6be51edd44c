#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/utf8.h"
#include "proto/mp.h"
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
		"9007199254740993", "-9007199254740993", "0.1", "3.0", "-0.0",
		"1e+300", "1.5e-07", "\"\"", "\"a\\\"b\"",
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
	assert_round("12345678901234568000e1", "1.2345678901234568e+20");
	assert_round("-0", "-0.0");
}
END_TEST

START_TEST(what_would_be_changed_is_refused)
{
	static const struct {
		const char *json, *why;
	} bad[] = {
		{ "[18446744073709551616]",
		    "number 18446744073709551616 at byte 1 is an integer "
		    "beyond 64 bits: send it as a string" },
		{ "{\"a\":-9223372036854775809}",
		    "-9223372036854775809 at byte 5" },
		{ "1e400", "1e400" },
		{ "[-1e999]", "byte 1" },
		{ "\"x\\u0000y\"",
		    "string at byte 0 holds a NUL at byte 2: send it as "
		    "{\"$bin\":\"base64\"}" },
		{ "{\"a\\u0000b\":1}", "NUL" },
		{ "{\"a\":1,\"b\":2,\"a\":3}",
		    "key \"a\" at byte 13 is there twice: one would be lost" },
		{ "{\"x\":{\"k\":1,\"\\u006b\":1}}", "\"k\" at byte 12" },
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
	am_put_map(&b, 2);
	for (int i = 0; i < 2; i++) {
		am_put_str(&b, "twice");
		am_put_int(&b, i);
	}
	assert_not_encoded(&b, "key \"twice\" is there twice");
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

START_TEST(a_bad_escape_is_named_with_its_place)
{
	static const struct {
		const char *json, *why;
	} bad[] = {
		{ "{\"p\":\"C:\\users\\bob\"}",
		    "not JSON at byte 8: \\u without four hex digits; write a "
		    "backslash as \\\\" },
		{ "\"\\q\"",
		    "not JSON at byte 1: no such escape; write a backslash as "
		    "\\\\" },
		{ "\"ab\\u00g0\"", "byte 3: \\u without four" },
		{ "[\"\\ud83d!\"]",
		    "string at byte 1: \\ud83d at byte 2 is half of a "
		    "surrogate "
		    "pair" },
		{ "\"\\uDE00\"", "half of a surrogate pair" },
		{ "{\"\\udfff\":1}", "half of a surrogate pair" },
		{ "\"a\tb\"",
		    "not JSON at byte 2: control character in a string; write "
		    "it as \\u0009" },
		{ "\xef\xbb\xbf{}",
		    "not JSON at byte 0: a byte order mark (BOM)" },
		{ "\xff\xfe{", "a byte order mark (BOM) of UTF-16" },
		{ "[NaN]", "NaN at byte 1: JSON has no number for it" },
		{ "-Infinity", "-Infinity at byte 0" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i].json, strlen(bad[i].json), bad[i].why);
}
END_TEST

/* U+0001 to U+FFFF but for surrogates, and pairs. */
START_TEST(every_escape_is_its_character)
{
	struct am_buf val = AM_BUF_INIT;
	const char *text;
	size_t len;

	for (uint32_t code = 1; code < 0x110000;
	     code += code < 0x10000 ? 1 : 61) {
		char json[32], want[4], upper[32];
		struct mp c;

		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		if (code < 0x10000)
			(void)snprintf(json, sizeof(json), "\"\\u%04x\"", code);
		else
			(void)snprintf(json, sizeof(json), "\"\\u%04x\\u%04x\"",
			    0xd800 + ((code - 0x10000) >> 10),
			    0xdc00 + (code & 0x3ff));
		for (size_t i = 0; i <= strlen(json); i++)
			upper[i] = json[i] == 'u' ? 'u'
						  : (char)toupper(json[i]);
		am_buf_reset(&val);
		ck_assert_int_eq(am_json_decode(upper, strlen(upper), &val,
				     NULL),
		    0);
		c = mp_of(am_buf_val(&val));
		ck_assert_int_eq(mp_get_str(&c, &text, &len), 0);
		ck_assert_uint_eq(len, utf8_put(want, code));
		ck_assert_mem_eq(text, want, len);
		ck_assert_uint_eq(utf8_len(text, len), len);
	}
	am_buf_done(&val);
}
END_TEST

/* Strings and containers around each size at which MessagePack's head grows,
 * with an escape in front that makes the text longer than the string. */
START_TEST(every_size_gets_its_head)
{
	static const size_t sizes[] = { 14, 15, 16, 30, 31, 32, 254, 255, 256,
		65534, 65535, 65536 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct am_buf json = AM_BUF_INIT, val = AM_BUF_INIT,
			      want = AM_BUF_INIT;

		buf_puts(&json, "{\"s\":\"\\u0041");
		for (size_t k = 1; k < sizes[i]; k++)
			buf_putc(&json, 'A');
		buf_puts(&json, "\",\"a\":[0");
		for (size_t k = 1; k < sizes[i]; k++)
			buf_puts(&json, ",0");
		buf_puts(&json, "],\"m\":{");
		for (size_t k = 0; k < sizes[i]; k++)
			buf_printf(&json, "%s\"%zu\":{}", k > 0 ? "," : "", k);
		buf_puts(&json, "}}");
		ck_assert_int_eq(am_json_decode(json.data, json.len, &val,
				     NULL),
		    0);
		am_put_map(&want, 3);
		am_put_str(&want, "s");
		am_buf_reset(&json);
		for (size_t k = 0; k < sizes[i]; k++)
			buf_putc(&json, 'A');
		am_put_strn(&want, json.data, json.len);
		am_put_str(&want, "a");
		am_put_array(&want, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			am_put_int(&want, 0);
		am_put_str(&want, "m");
		am_put_map(&want, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++) {
			am_buf_reset(&json);
			buf_printf(&json, "%zu", k);
			am_put_str(&want, buf_text(&json));
			am_put_map(&want, 0);
		}
		ck_assert_uint_eq(val.len, want.len);
		ck_assert_mem_eq(val.data, want.data, want.len);
		am_buf_done(&json);
		am_buf_done(&val);
		am_buf_done(&want);
	}
}
END_TEST

/* n keys of one length with a long beginning in common, the first one twice if
 * asked for. Returns CPU time in ms. */
static double
keys_ms(int n, bool twice)
{
	struct am_buf json = AM_BUF_INIT, val = AM_BUF_INIT;
	clock_t start;
	int r;

	for (int i = 0; i < n; i++)
		buf_printf(&json, "%c\"a_long_beginning_%08d\":0",
		    i == 0 ? '{' : ',', twice && i == n - 1 ? 0 : i);
	buf_putc(&json, '}');
	start = clock();
	r = am_json_decode(json.data, json.len, &val, NULL);
	ck_assert_int_eq(r, twice ? -EINVAL : 0);
	am_buf_done(&json);
	am_buf_done(&val);
	return (double)(clock() - start) * 1e3 / CLOCKS_PER_SEC;
}

/* Each key with each other would take more than 100 times as long. */
START_TEST(many_keys_take_no_long_time)
{
	double few = 1e9, many = 1e9;

	for (int i = 0; i < 5; i++) {
		few = fmin(few, keys_ms(1000, i % 2 == 0));
		many = fmin(many, keys_ms(100000, i % 2 == 0));
	}
	ck_assert_msg(many < 1000 * few + 10,
	    "%.2f ms for 1,000 keys, %.2f "
	    "for 100,000",
	    few, many);
}
END_TEST

START_TEST(a_long_message_is_cut_between_characters)
{
	struct am_error err;
	char long_text[AM_ERROR_MAX * 2] = "";

	for (int shift = 0; shift < 3; shift++) {
		memset(long_text, 'x', (size_t)shift);
		long_text[shift] = '\0';
		while (strlen(long_text) < AM_ERROR_MAX + 20)
			(void)strcat(long_text, "\xe2\x82\xac");
		(void)error_set(&err, "%s", long_text);
		ck_assert_uint_ge(strlen(err.text), AM_ERROR_MAX - 3);
		ck_assert_uint_eq(utf8_check(err.text, strlen(err.text)),
		    strlen(err.text));
	}
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

START_TEST(an_encoder_with_a_bound_writes_no_more)
{
	static const char zeros[1 << 20];
	struct am_buf v = AM_BUF_INIT, out = AM_BUF_INIT;
	struct am_error err;

	buf_puts(&out, "x");
	am_put_array(&v, 3);
	for (int i = 0; i < 3; i++)
		am_put_str(&v, "abc");
	ck_assert_int_eq(json_encode_most(am_buf_val(&v), 0, 19, &out, &err),
	    0);
	ck_assert_str_eq(buf_text(&out), "x[\"abc\",\"abc\",\"abc\"]");
	for (size_t max = 0; max < 19; max++) {
		out.len = 1;
		ck_assert_int_eq(json_encode_most(am_buf_val(&v), 0, max, &out,
				     &err),
		    -E2BIG);
		ck_assert_uint_eq(out.len, 1);
	}
	/* Nor does it make room for more. */
	am_buf_done(&out);
	am_buf_reset(&v);
	am_put_array(&v, 2);
	am_put_array(&v, 100000);
	for (int i = 0; i < 100000; i++)
		am_put_uint(&v, 1);
	am_put_bin(&v, zeros, sizeof(zeros));
	ck_assert_int_eq(json_encode_most(am_buf_val(&v), 0, 1000, &out, &err),
	    -E2BIG);
	ck_assert_uint_le(out.cap, 2048);
	am_buf_done(&out);
	am_buf_done(&v);
}
END_TEST

UNIT_MAIN("json", an_encoder_with_a_bound_writes_no_more,
    values_come_back_as_they_went, other_spellings_come_back_in_ours,
    what_would_be_changed_is_refused, what_is_no_json_is_refused,
    text_is_read_to_its_length_only,
    thirty_two_levels_pass_and_one_more_does_not,
    what_json_cannot_carry_is_not_encoded, integers_are_written_as_raw_digits,
    a_bad_escape_is_named_with_its_place, every_escape_is_its_character,
    every_size_gets_its_head, many_keys_take_no_long_time,
    a_long_message_is_cut_between_characters)
