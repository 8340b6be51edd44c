#include "lib/base/dur.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DUR_MAX_MS (INT64_C(10000) * 86400 * 1000)

static const struct {
	const char *name;
	int64_t ms;
} units[] = {
	{ "d", 86400000 },
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};
enum { N_UNITS = sizeof(units) / sizeof(units[0]) };

/* Reads digits as a number that stops growing at max + 1. */
static const char *
digits(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	for (; isdigit((unsigned char)*s); s++) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > max)
			v = max + 1;
	}
	*ret = v;
	return s;
}

static int64_t
unit_ms(const char *name)
{
	if (*name == '\0')
		return 1000;
	for (size_t i = 0; i < N_UNITS; i++)
		if (strcmp(name, units[i].name) == 0)
			return units[i].ms;
	return 0;
}

int
dur_parse(const char *s, int64_t *ret_ms)
{
	uint64_t whole;
	int64_t fraction_ms = 0, unit;
	const char *point, *end;

	if (strcmp(s, "inf") == 0) {
		*ret_ms = DUR_INF;
		return 0;
	}
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	end = digits(s, DUR_MAX_MS, &whole);
	point = end;
	if (*point == '.') {
		if (!isdigit((unsigned char)point[1]))
			return -EINVAL;
		do
			end++;
		while (isdigit((unsigned char)*end));
	}
	unit = unit_ms(end);
	if (unit == 0)
		return -EINVAL;
	/* Digits below a millisecond are dropped. */
	for (int64_t part = unit / 10; ++point < end && part > 0; part /= 10)
		fraction_ms += part * (*point - '0');
	if (whole > (uint64_t)(DUR_MAX_MS / unit))
		return -ERANGE;
	*ret_ms = (int64_t)whole * unit + fraction_ms;
	return 0;
}

void
dur_format(int64_t ms, char *buf, size_t size)
{
	size_t i;

	if (ms == DUR_INF) {
		(void)snprintf(buf, size, "inf");
		return;
	}
	if (ms == 0) {
		(void)snprintf(buf, size, "0s");
		return;
	}
	for (i = 0; ms % units[i].ms != 0; i++)
		;
	(void)snprintf(buf, size, "%lld%s", (long long)(ms / units[i].ms),
	    units[i].name);
}

int
size_parse(const char *s, uint64_t *ret)
{
	static const char prefixes[] = "KMGT";
	const char *prefix;
	unsigned shift = 0;
	uint64_t v;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	s = digits(s, UINT64_MAX / 16, &v);
	prefix = *s == '\0' ? NULL : strchr(prefixes, *s);
	if (prefix != NULL) {
		shift = 10 * (unsigned)(prefix - prefixes + 1);
		s++;
	}
	if (*s == 'B')
		s++;
	if (*s != '\0')
		return -EINVAL;
	if (v > UINT64_MAX / 16 || v > UINT64_MAX >> shift)
		return -ERANGE;
	*ret = v << shift;
	return 0;
}
