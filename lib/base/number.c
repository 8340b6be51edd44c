#include "lib/base/number.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIGITS_MAX = 767,     /* no double has more significant ones */
	DIGITS_SURE = 15,     /* any decimal of so many comes back (DBL_DIG) */
	DIGITS_ENOUGH = 17,   /* any double comes back by so many */
	EXPONENT_MAX = 99999, /* far beyond any double */
	FIXED_MIN = -4,       /* from 0.0001 */
	FIXED_END = 16,       /* below 1e16: without an exponent */
};

/* Those that are exact as doubles. */
static const double power[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
	1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
	1e21, 1e22 };

/* digits * 10^exponent, where the first digit is not 0. Text of this form has
 * no decimal point, so that strtod() reads it alike in every locale. */
struct decimal {
	char digit[DIGITS_MAX + 16]; /* with room for an exponent's text */
	int n;
	int exponent;
};

static double
decimal_value(struct decimal *dec)
{
	(void)sprintf(dec->digit + dec->n, "e%d", dec->exponent);
	return strtod(dec->digit, NULL);
}

static bool
decimal_equal(const struct decimal *a, const struct decimal *b)
{
	return a->n == b->n && a->exponent == b->exponent &&
	    memcmp(a->digit, b->digit, (size_t)a->n) == 0;
}

static void
decimal_strip(struct decimal *dec)
{
	while (dec->n > 1 && dec->digit[dec->n - 1] == '0') {
		dec->n--;
		dec->exponent++;
	}
}

/* A double greater than 0 with n digits, rounded correctly. The decimal point
 * of the locale is whatever stands between the digits. */
static void
decimal_of(double d, int n, struct decimal *ret)
{
	char text[DIGITS_MAX + 32];
	const char *p = text;

	(void)snprintf(text, sizeof(text), "%.*e", n - 1, d);
	for (ret->n = 0; *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			ret->digit[ret->n++] = *p;
	ret->exponent = atoi(p + 1) - (n - 1);
}

static size_t
put_digits(char *to, uint64_t u)
{
	char reversed[NUMBER_TEXT_MAX];
	size_t n = 0;

	do {
		reversed[n++] = (char)('0' + u % 10);
		u /= 10;
	} while (u > 0);
	for (size_t i = 0; i < n; i++)
		to[i] = reversed[n - 1 - i];
	return n;
}

/* A number with few decimal places, as most are. Its digits are the shortest,
 * since there are at most DIGITS_SURE of them. */
static bool
decimal_of_few_places(double d, struct decimal *ret)
{
	enum { PLACES_MAX = 6 };

	for (int places = 0; places <= PLACES_MAX; places++) {
		double scaled = d * power[places];

		if (FLT_EVAL_METHOD != 0 || scaled >= power[DIGITS_SURE])
			return false;
		if (scaled != floor(scaled) || scaled / power[places] != d)
			continue;
		ret->n = (int)put_digits(ret->digit, (uint64_t)scaled);
		ret->exponent = -places;
		return true;
	}
	return false;
}

/* Below a power of two doubles lie closer than above it, so the nearest decimal
 * may miss it where the next one does not. */
static bool
try_next(struct decimal *dec, double d)
{
	int exponent;

	if (frexp(d, &exponent) != 0.5 || dec->digit[dec->n - 1] == '9')
		return false;
	dec->digit[dec->n - 1]++;
	return decimal_value(dec) == d;
}

static void
decimal_shortest(double d, struct decimal *ret)
{
	/* Subnormal doubles have fewer digits. */
	int n = d < DBL_MIN ? 1 : DIGITS_SURE;

	bool is_found = decimal_of_few_places(d, ret);

	for (; n < DIGITS_ENOUGH && !is_found; n++) {
		decimal_of(d, n, ret);
		is_found = decimal_value(ret) == d || try_next(ret, d);
	}
	if (!is_found)
		decimal_of(d, DIGITS_ENOUGH, ret);
	decimal_strip(ret);
}

/* ---- in ---- */

/* Where the parts of a number are. */
struct parts {
	const char *whole;
	size_t n_whole;
	const char *fraction;
	size_t n_fraction;
	const char *exponent; /* NULL: there is none */
	const char *end;
	bool is_negative;
};

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static bool
parts_find(const char *p, const char *end, struct parts *ret)
{
	*ret = (struct parts){ .is_negative = p < end && *p == '-' };
	p += ret->is_negative;
	ret->whole = p;
	p = skip_digits(p, end);
	ret->n_whole = (size_t)(p - ret->whole);
	if (ret->n_whole == 0 || (*ret->whole == '0' && ret->n_whole > 1))
		return false;
	if (p < end && *p == '.') {
		ret->fraction = ++p;
		p = skip_digits(p, end);
		ret->n_fraction = (size_t)(p - ret->fraction);
		if (ret->n_fraction == 0)
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		ret->exponent = ++p;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		if (skip_digits(p, end) == p)
			return false;
		p = skip_digits(p, end);
	}
	ret->end = p;
	return true;
}

static void
read_integer(const struct parts *t, struct number *ret)
{
	uint64_t u = 0;

	for (size_t i = 0; i < t->n_whole; i++) {
		unsigned digit = (unsigned)(t->whole[i] - '0');

		if (__builtin_mul_overflow(u, 10, &u) ||
		    __builtin_add_overflow(u, digit, &u)) {
			ret->kind = NUMBER_BEYOND_64_BITS;
			return;
		}
	}
	if (!t->is_negative)
		*ret = (struct number){ NUMBER_UINT, { .u = u } };
	else if (u == 0)
		*ret = (struct number){ NUMBER_DOUBLE, { .d = -0.0 } };
	else if (u > (uint64_t)INT64_MAX + 1)
		ret->kind = NUMBER_BEYOND_64_BITS;
	else
		*ret = (struct number){ NUMBER_INT,
			{ .i = -(int64_t)(u - 1) - 1 } };
}

static int64_t
exponent_of(const struct parts *t)
{
	const int64_t max = INT64_C(1) << 40; /* no text is so long */
	const char *p = t->exponent;
	int64_t e = 0;
	bool is_negative;

	if (p == NULL)
		return 0;
	is_negative = *p == '-';
	p += *p == '-' || *p == '+';
	for (; p < t->end; p++)
		if (e < max)
			e = e * 10 + (*p - '0');
	return is_negative ? -e : e;
}

/* Fewer digits than a double's 53 bits, and a power of ten that is exact: one
 * operation rounds correctly. */
static bool
read_short(const struct parts *t, int64_t exponent, double *ret)
{
	const int64_t n_powers = sizeof(power) / sizeof(power[0]);
	int64_t digits = 0;

	exponent -= (int64_t)t->n_fraction;
	if (FLT_EVAL_METHOD != 0 || exponent <= -n_powers ||
	    exponent >= n_powers || t->n_whole + t->n_fraction > DIGITS_SURE)
		return false;
	for (size_t i = 0; i < t->n_whole; i++)
		digits = digits * 10 + (t->whole[i] - '0');
	for (size_t i = 0; i < t->n_fraction; i++)
		digits = digits * 10 + (t->fraction[i] - '0');
	*ret = exponent < 0 ? (double)digits / power[-exponent]
			    : (double)digits * power[exponent];
	return true;
}

/* The digits between the zeros at both ends; n is 0 if all are zeros. False if
 * there are too many. */
static bool
decimal_read(const struct parts *t, int64_t exponent, struct decimal *ret)
{
	size_t n = t->n_whole + t->n_fraction;
	size_t zeros = 0; /* since the last other digit */

	ret->n = 0;
	for (size_t i = 0; i < n; i++) {
		char c = i < t->n_whole ? t->whole[i]
					: t->fraction[i - t->n_whole];

		if (c == '0') {
			zeros += ret->n > 0;
			continue;
		}
		if ((size_t)ret->n + zeros >= DIGITS_MAX)
			return false;
		memset(ret->digit + ret->n, '0', zeros);
		ret->n += (int)zeros;
		ret->digit[ret->n++] = c;
		zeros = 0;
	}
	exponent += (int64_t)zeros - (int64_t)t->n_fraction;
	ret->exponent = exponent > EXPONENT_MAX ? EXPONENT_MAX
	    : exponent < -EXPONENT_MAX          ? -EXPONENT_MAX
						: (int)exponent;
	return true;
}

/* Is the decimal what the double nearest to it says? */
static bool
comes_back(const struct decimal *dec, double d)
{
	struct decimal other;

	if (dec->n <= DIGITS_SURE && d >= DBL_MIN)
		return true;
	decimal_of(d, dec->n, &other);
	if (decimal_equal(dec, &other))
		return true;
	decimal_shortest(d, &other);
	return decimal_equal(dec, &other);
}

static void
read_decimal(const struct parts *t, struct number *ret)
{
	int64_t exponent = exponent_of(t);
	struct decimal dec;
	double d = 0;

	ret->kind = NUMBER_DOUBLE;
	if (!read_short(t, exponent, &d)) {
		if (!decimal_read(t, exponent, &dec)) {
			ret->kind = NUMBER_INEXACT;
			return;
		}
		d = dec.n == 0 ? 0 : decimal_value(&dec);
		if (dec.n > 0 && (isinf(d) || d == 0))
			ret->kind = NUMBER_OUT_OF_RANGE;
		else if (dec.n > 0 && !comes_back(&dec, d))
			ret->kind = NUMBER_INEXACT;
	}
	ret->d = t->is_negative ? -d : d;
}

size_t
number_read(const char *s, size_t len, struct number *ret)
{
	struct parts t;

	if (!parts_find(s, s + len, &t))
		return 0;
	if (t.n_fraction == 0 && t.exponent == NULL)
		read_integer(&t, ret);
	else
		read_decimal(&t, ret);
	return (size_t)(t.end - s);
}

/* ---- out ---- */

static char *
put(char *to, const char *from, size_t n)
{
	memcpy(to, from, n);
	return to + n;
}

static char *
put_zeros(char *to, int n)
{
	memset(to, '0', (size_t)n);
	return to + n;
}

static char *
put_fixed(char *to, const struct decimal *dec, int before_point)
{
	size_t n = (size_t)dec->n;

	if (before_point <= 0) {
		to = put_zeros(put(to, "0.", 2), -before_point);
		return put(to, dec->digit, n);
	}
	if (before_point >= dec->n) {
		to = put(to, dec->digit, n);
		return put(put_zeros(to, before_point - dec->n), ".0", 2);
	}
	to = put(to, dec->digit, (size_t)before_point);
	*to++ = '.';
	return put(to, dec->digit + before_point, n - (size_t)before_point);
}

static char *
put_scientific(char *to, const struct decimal *dec, int exponent)
{
	*to++ = dec->digit[0];
	if (dec->n > 1) {
		*to++ = '.';
		to = put(to, dec->digit + 1, (size_t)dec->n - 1);
	}
	return to +
	    sprintf(to, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

size_t
number_write(double d, char text[static NUMBER_TEXT_MAX])
{
	struct decimal dec;
	char *to = text;
	int exponent;

	if (signbit(d))
		*to++ = '-';
	if (d == 0)
		return (size_t)(put(to, "0.0", 3) - text);
	decimal_shortest(fabs(d), &dec);
	exponent = dec.n + dec.exponent - 1;
	to = exponent >= FIXED_MIN && exponent < FIXED_END
	    ? put_fixed(to, &dec, exponent + 1)
	    : put_scientific(to, &dec, exponent);
	return (size_t)(to - text);
}

size_t
number_write_uint(uint64_t u, char text[static NUMBER_TEXT_MAX])
{
	return put_digits(text, u);
}

size_t
number_write_int(int64_t i, char text[static NUMBER_TEXT_MAX])
{
	if (i >= 0)
		return put_digits(text, (uint64_t)i);
	text[0] = '-';
	return 1 + put_digits(text + 1, 0 - (uint64_t)i);
}
