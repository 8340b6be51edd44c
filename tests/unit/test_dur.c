#include <errno.h>
#include <string.h>

#include "lib/base/dur.h"
#include "tests/unit/unit.h"

START_TEST(durations_are_read)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "0", 0 },
		{ "5", 5000 },
		{ "5s", 5000 },
		{ "500ms", 500 },
		{ "1m", 60000 },
		{ "1h", 3600000 },
		{ "2d", 172800000 },
		{ "1.5s", 1500 },
		{ "0.25", 250 },
		{ "0.0009s", 0 },
		{ "1.5m", 90000 },
		{ "1.75ms", 1 },
		{ "10000d", INT64_C(864000000000) },
		{ "inf", DUR_INF },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int64_t ms = -1;

		ck_assert_msg(dur_parse(good[i].text, &ms) == 0, "%s",
		    good[i].text);
		ck_assert_int_eq(ms, good[i].ms);
	}
}
END_TEST

START_TEST(what_is_no_duration_is_refused)
{
	static const char *const bad[] = { "", "s", "-1", "+1", "1x", "1 s",
		"1.", ".5", "1.s", "5ss", "1e3", "infinite", "1m30s" };
	static const char *const far[] = { "10001d", "99999999999999999999",
		"18446744073709551617s" };
	int64_t ms = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(dur_parse(bad[i], &ms) == -EINVAL, "%s", bad[i]);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		ck_assert_msg(dur_parse(far[i], &ms) == -ERANGE, "%s", far[i]);
	ck_assert_int_eq(ms, 77);
}
END_TEST

START_TEST(a_formatted_duration_parses_back)
{
	static const int64_t values[] = { 0, 1, 500, 1000, 1500, 90000, 3600000,
		86400000, 86400001, DUR_INF };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char text[32];
		int64_t ms;

		dur_format(values[i], text, sizeof(text));
		ck_assert_msg(dur_parse(text, &ms) == 0, "%s", text);
		ck_assert_int_eq(ms, values[i]);
	}
}
END_TEST

START_TEST(sizes_are_read_and_refused)
{
	uint64_t v = 0;

	ck_assert_int_eq(size_parse("0", &v), 0);
	ck_assert_uint_eq(v, 0);
	ck_assert_int_eq(size_parse("10M", &v), 0);
	ck_assert_uint_eq(v, 10 << 20);
	ck_assert_int_eq(size_parse("3KB", &v), 0);
	ck_assert_uint_eq(v, 3072);
	ck_assert_int_eq(size_parse("1T", &v), 0);
	ck_assert_uint_eq(v, UINT64_C(1) << 40);
	ck_assert_int_eq(size_parse("", &v), -EINVAL);
	ck_assert_int_eq(size_parse("M", &v), -EINVAL);
	ck_assert_int_eq(size_parse("-1", &v), -EINVAL);
	ck_assert_int_eq(size_parse("1Q", &v), -EINVAL);
	ck_assert_int_eq(size_parse("1MM", &v), -EINVAL);
	ck_assert_int_eq(size_parse("99999999999T", &v), -ERANGE);
	ck_assert_int_eq(size_parse("999999999999999999999", &v), -ERANGE);
}
END_TEST

UNIT_MAIN("dur", durations_are_read, what_is_no_duration_is_refused,
    a_formatted_duration_parses_back, sizes_are_read_and_refused)
