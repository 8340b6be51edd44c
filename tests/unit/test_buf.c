#include <errno.h>
#include <string.h>

#include "lib/base/base64.h"
#include "proto/bits.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "tests/unit/unit.h"

START_TEST(text_grows_and_is_consumed_from_the_front)
{
	struct am_buf b = AM_BUF_INIT;

	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	ck_assert_uint_eq(b.len, 10 * 2 + 90 * 3 + 900 * 4);
	ck_assert_int_eq(strncmp(buf_text(&b), "0,1,2,", 6), 0);
	buf_consume(&b, 4);
	ck_assert_int_eq(strncmp(buf_text(&b), "2,3,", 4), 0);
	buf_consume(&b, b.len);
	ck_assert_str_eq(buf_text(&b), "");
	am_buf_done(&b);
	am_buf_done(&b);
	ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(a_failed_buffer_stays_failed_until_it_is_reset)
{
	struct am_buf b = AM_BUF_INIT, other = AM_BUF_INIT;

	buf_puts(&b, "abc");
	ck_assert_int_eq(am_buf_reserve(&b, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(am_buf_error(&b), -ENOMEM);
	buf_puts(&b, "def");
	am_put_int(&b, 1);
	ck_assert_uint_eq(b.len, 3);
	ck_assert_uint_eq(am_buf_val(&b).len, 0);
	ck_assert_int_eq(am_val_check(am_buf_val(&b), 100), -ENOMEM);
	am_put_val(&other, am_buf_val(&b));
	ck_assert_int_eq(am_buf_error(&other), -ENOMEM);
	ck_assert_str_eq(buf_text(&b), "");
	am_buf_reset(&b);
	ck_assert_int_eq(am_val_check(am_buf_val(&b), 100), 0);
	ck_assert_int_eq(am_buf_error(&b), 0);
	buf_puts(&b, "xy");
	ck_assert_str_eq(buf_text(&b), "xy");
	am_buf_done(&b);
	am_buf_done(&other);
}
END_TEST

START_TEST(an_error_is_cut_to_its_size)
{
	struct am_error err;

	ck_assert_int_eq(error_set(NULL, "%s", "x"), -EINVAL);
	ck_assert_int_eq(error_set(&err, "%0600d", 1), -EINVAL);
	ck_assert_uint_eq(strlen(err.text), AM_ERROR_MAX - 1);
}
END_TEST

START_TEST(base64_goes_both_ways)
{
	static const struct {
		const char *raw, *text;
	} pair[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "\xff\xfe\xfd", "//79" } };

	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
		struct am_buf b = AM_BUF_INIT;

		base64_encode(&b, pair[i].raw, strlen(pair[i].raw));
		ck_assert_str_eq(buf_text(&b), pair[i].text);
		am_buf_reset(&b);
		ck_assert_int_eq(base64_decode(&b, pair[i].text,
				     strlen(pair[i].text)),
		    0);
		ck_assert_str_eq(buf_text(&b), pair[i].raw);
		am_buf_done(&b);
	}
}
END_TEST

START_TEST(what_is_no_base64_is_refused)
{
	static const char *const bad[] = { "Zg=", "Zg",
		"Z===", "====", "Zh==", "Zm9=", "Z g=", "Zg==Zg==", "Zm9\n" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct am_buf b = AM_BUF_INIT;

		ck_assert_msg(base64_decode(&b, bad[i], strlen(bad[i])) ==
			-EINVAL,
		    "%s", bad[i]);
		am_buf_done(&b);
	}
}
END_TEST

START_TEST(bits_are_visited_in_order)
{
	static const size_t want[] = { 0, 1, 63, 64, 130, 191 };
	uint64_t set[BITS_WORDS(192)] = { 0 }, other[3] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < 6; i++)
		bits_set(set, want[i]);
	for (size_t i = bits_next(set, 3, 0); i < 192;
	     i = bits_next(set, 3, i + 1))
		ck_assert_uint_eq(i, want[n++]);
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_eq(bits_count(set, 3), 6);
	ck_assert(!bits_meet(set, other, 3));
	ck_assert(bits_within(other, set, 3));
	bits_copy(other, set, 3);
	ck_assert(bits_equal(other, set, 3));
	bits_clear(other, 130);
	ck_assert(!bits_test(other, 130) && bits_test(other, 191));
	ck_assert(bits_within(other, set, 3) && !bits_within(set, other, 3));
	bits_and_not(set, other, 3);
	ck_assert_uint_eq(bits_next(set, 3, 0), 130);
	bits_or(other, set, 3);
	ck_assert_uint_eq(bits_count(other, 3), 6);
	bits_zero(set, 3);
	bits_and(other, set, 3);
	ck_assert(!bits_any(other, 3));
	ck_assert_uint_eq(bits_next(set, 3, 0), 192);
}
END_TEST

START_TEST(quoted_text_is_escaped_and_bounded)
{
	char buf[16];

	ck_assert_str_eq(log_quote(buf, sizeof(buf), "a\"b", 3), "\"a\\\"b\"");
	ck_assert_str_eq(log_quote(buf, sizeof(buf), "a\nb", 3), "\"a\\x0ab\"");
	ck_assert_str_eq(log_quote(buf, sizeof(buf), "0123456789", 10),
	    "\"0123456789\"");
	ck_assert_str_eq(log_quote(buf, sizeof(buf), "0123456789abcdef", 16),
	    "\"0123456789...\"");
	for (size_t size = 1; size < sizeof(buf); size++)
		ck_assert_uint_lt(strlen(log_quote(buf, size, "\n\n\"\"\n", 5)),
		    size);
}
END_TEST

UNIT_MAIN("buf", text_grows_and_is_consumed_from_the_front,
    a_failed_buffer_stays_failed_until_it_is_reset, an_error_is_cut_to_its_size,
    base64_goes_both_ways, what_is_no_base64_is_refused,
    bits_are_visited_in_order, quoted_text_is_escaped_and_bounded)
