#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "proto/mp.h"
#include "tests/unit/unit.h"

/* splitmix64: the same numbers in every run */
static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int
decode(const char *json, struct mp_item *ret, struct am_error *err)
{
	struct am_buf val = AM_BUF_INIT;
	int r = am_json_decode(json, strlen(json), &val, err);

	if (r == 0) {
		struct mp c = mp_of(am_buf_val(&val));

		ck_assert_int_eq(mp_next(&c, ret), 0);
	}
	am_buf_done(&val);
	return r;
}

static void
encode_double(double d, char *text, size_t size)
{
	struct am_buf val = AM_BUF_INIT, json = AM_BUF_INIT;

	am_put_double(&val, d);
	ck_assert_int_eq(am_json_encode(am_buf_val(&val), &json, NULL), 0);
	ck_assert_uint_lt(json.len, size);
	(void)strcpy(text, buf_text(&json));
	am_buf_done(&val);
	am_buf_done(&json);
}

static void
assert_bits(const char *json, double want)
{
	struct mp_item it;
	struct am_error err = { "" };

	ck_assert_msg(decode(json, &it, &err) == 0, "%.50s: %s", json,
	    err.text);
	ck_assert_msg(it.type == MP_DOUBLE, "%.50s", json);
	ck_assert_msg(memcmp(&it.d, &want, sizeof(want)) == 0,
	    "%.50s: %a, not %a", json, it.d, want);
}

/* Back bit for bit, from our text and from those of others. */
static void
assert_comes_back(double d)
{
	char text[64];

	encode_double(d, text, sizeof(text));
	assert_bits(text, d);
	for (int digits = 17; digits <= 40; digits += 23) {
		(void)snprintf(text, sizeof(text), "%.*e", digits - 1, d);
		assert_bits(text, d);
	}
}

START_TEST(doubles_come_back_bit_for_bit)
{
	uint64_t seed = 9;

	for (int i = 0; i < 25000;) {
		uint64_t bits = random_next(&seed);
		double d;

		memcpy(&d, &bits, sizeof(d));
		if (!isfinite(d))
			continue;
		assert_comes_back(d);
		i++;
	}
	for (int e = -1074; e < 1024; e++) {
		double d = ldexp(1, e);

		assert_comes_back(d);
		assert_comes_back(-nextafter(d, 0));
		assert_comes_back(nextafter(d, 2 * d));
	}
}
END_TEST

/* What people measure: seconds, sums of money, percents. */
START_TEST(decimals_come_back_as_they_were_written)
{
	uint64_t seed = 10;

	for (int i = 0; i < 25000; i++) {
		int places = (int)(random_next(&seed) % 9) + 1;
		uint64_t whole = random_next(&seed) % 2000000;
		uint64_t part = random_next(&seed) % 1000000000;
		char json[64], again[64];
		struct mp_item it;
		char *end;

		(void)snprintf(json, sizeof(json), "%" PRIu64 ".%.*s", whole,
		    places,
		    (snprintf(again, sizeof(again), "%09" PRIu64, part),
			again));
		ck_assert_int_eq(decode(json, &it, NULL), 0);
		encode_double(it.d, again, sizeof(again));
		end = json + strlen(json);
		while (end[-1] == '0' && end[-2] != '.')
			*--end = '\0';
		if (it.d >= 0.0001 || it.d == 0)
			ck_assert_str_eq(again, json);
	}
}
END_TEST

START_TEST(a_double_is_written_as_short_as_can_be)
{
	static const struct {
		double d;
		const char *text;
	} cases[] = {
		{ 0.1, "0.1" },
		{ 1.5, "1.5" },
		{ 100, "100.0" },
		{ 1732800000.123456, "1732800000.123456" },
		{ 0.0001, "0.0001" },
		{ 0.00001, "1e-05" },
		{ 1e15, "1000000000000000.0" },
		{ 1e16, "1e+16" },
		{ 1e22, "1e+22" },
		{ 5e-324, "5e-324" },
		{ DBL_MAX, "1.7976931348623157e+308" },
		{ DBL_MIN, "2.2250738585072014e-308" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 0x1p-24, "5.960464477539063e-08" },
		{ 0x1p-44, "5.684341886080802e-14" },
		{ 9007199254740993.0, "9007199254740992.0" },
		{ -0.0, "-0.0" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];

		encode_double(cases[i].d, text, sizeof(text));
		ck_assert_str_eq(text, cases[i].text);
		assert_bits(text, cases[i].d);
	}
}
END_TEST

START_TEST(integers_of_64_bits_pass_exactly)
{
	static const char *const pass[] = { "0", "1", "-1", "127", "128", "255",
		"256", "65535", "65536", "2147483647", "2147483648",
		"4294967295", "4294967296", "9007199254740991",
		"9007199254740992", "9007199254740993", "9223372036854775807",
		"9223372036854775808", "18446744073709551614",
		"18446744073709551615", "-32", "-33", "-128", "-129", "-32768",
		"-32769", "-2147483648", "-2147483649", "-9007199254740993",
		"-9223372036854775807", "-9223372036854775808",
		"1732800000123456789" };
	static const char *const beyond[] = { "18446744073709551616",
		"18446744073709551620", "-9223372036854775809",
		"-18446744073709551615", "100000000000000000000",
		"123456789012345678901234567890" };

	for (size_t i = 0; i < sizeof(pass) / sizeof(pass[0]); i++) {
		struct am_buf val = AM_BUF_INIT, json = AM_BUF_INIT;

		ck_assert_int_eq(am_json_decode(pass[i], strlen(pass[i]), &val,
				     NULL),
		    0);
		ck_assert_int_eq(am_json_encode(am_buf_val(&val), &json, NULL),
		    0);
		ck_assert_str_eq(buf_text(&json), pass[i]);
		am_buf_done(&val);
		am_buf_done(&json);
	}
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		struct am_error err = { "" };
		struct mp_item it;

		ck_assert_int_eq(decode(beyond[i], &it, &err), -EINVAL);
		ck_assert_msg(strstr(err.text, beyond[i]) != NULL &&
			strstr(err.text, "beyond 64 bits") != NULL,
		    "%s", err.text);
	}
}
END_TEST

/* A number passes if its double says the same; else it is refused by name. */
START_TEST(a_decimal_that_a_double_cannot_hold_is_refused)
{
	static const char *const pass[] = { "0.1", "1.0", "1e2", "1E+2",
		"100e-2", "0.30000000000000004", "1732800000.1234567",
		"1.10000000000000000000000", "0.0", "-0.0", "0e-9999999999",
		"0.000e99999999999999999999", "1e308", "5e-324", "2.5e-323",
		"4.9406564584124654e-324", "1.7976931348623157e308",
		"0.1000000000000000055511151231257827",
		"0.1000000000000000055511151231257827021181583404541015625",
		"1180591620717411303424.000000", "9007199254740992.0",
		"0.0000000000000000000000000000000000000000000000000000001" };
	static const struct {
		const char *json, *why;
	} bad[] = {
		{ "0.12345678901234567890", "digits that a double cannot" },
		{ "3.14159265358979323846", "digits that a double cannot" },
		{ "0.12345678901234567", "digits that a double cannot" },
		{ "9007199254740993.0", "digits that a double cannot" },
		{ "0.1000000000000000000000000000001", "digits that a double" },
		{ "2.5e-324", "digits that a double cannot" },
		{ "1e309", "out of the range" },
		{ "-1.8e308", "out of the range" },
		{ "1e-400", "out of the range" },
		{ "1e99999999999999999999", "out of the range" },
		{ "-1e-99999999999999999999", "out of the range" },
	};

	for (size_t i = 0; i < sizeof(pass) / sizeof(pass[0]); i++)
		assert_bits(pass[i], strtod(pass[i], NULL));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct am_error err = { "" };
		struct mp_item it;

		ck_assert_msg(decode(bad[i].json, &it, &err) == -EINVAL, "%s",
		    bad[i].json);
		ck_assert_msg(strstr(err.text, bad[i].why) != NULL &&
			strstr(err.text, bad[i].json) != NULL &&
			strstr(err.text, "send it as a string") != NULL,
		    "%s", err.text);
	}
}
END_TEST

/* More digits than any double has, and zeros on all sides. */
START_TEST(a_number_may_be_as_long_as_it_likes)
{
	enum { LEN = 100000 };
	char *json = malloc(LEN + 32);
	struct am_error err = { "" };
	struct mp_item it;

	ck_assert_ptr_nonnull(json);
	memset(json, '0', LEN);
	memcpy(json, "0.", 2);
	(void)strcpy(json + LEN, "15e99998");
	assert_bits(json, 0.15);
	memcpy(json, "1.", 2);
	(void)strcpy(json + LEN, "e1");
	assert_bits(json, 10);
	json[LEN - 1] = '1';
	ck_assert_int_eq(decode(json, &it, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "00... at byte 0 has digits"));
	ck_assert_uint_lt(strlen(err.text), 200);
	free(json);
}
END_TEST

/* A locale of our own making, as not every machine has one with a comma. */
START_TEST(a_decimal_comma_of_the_locale_changes_nothing)
{
	char dir[] = "/tmp/amnode-locale-XXXXXX", command[256], text[64];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(command, sizeof(command),
	    "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>&1", dir);
	ck_assert_msg(system(command) == 0, "%s", command);
	ck_assert_int_eq(setenv("LOCPATH", dir, 1), 0);
	ck_assert_ptr_nonnull(setlocale(LC_ALL, "de_DE.UTF-8"));
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
	(void)snprintf(text, sizeof(text), "%.1f", 1.5);
	ck_assert_str_eq(text, "1,5");

	encode_double(1.5, text, sizeof(text));
	ck_assert_str_eq(text, "1.5");
	assert_bits("1.5", 1.5);
	assert_bits("1.25e300", 1.25e300);
	encode_double(1.0 / 3, text, sizeof(text));
	ck_assert_str_eq(text, "0.3333333333333333");
	assert_bits("0.3333333333333333", 1.0 / 3);
	assert_bits("0.33333333333333331", 1.0 / 3);
	encode_double(0x1p-44, text, sizeof(text));
	ck_assert_str_eq(text, "5.684341886080802e-14");
}
END_TEST

UNIT_MAIN("json_numbers", doubles_come_back_bit_for_bit,
    decimals_come_back_as_they_were_written,
    a_double_is_written_as_short_as_can_be, integers_of_64_bits_pass_exactly,
    a_decimal_that_a_double_cannot_hold_is_refused,
    a_number_may_be_as_long_as_it_likes,
    a_decimal_comma_of_the_locale_changes_nothing)
