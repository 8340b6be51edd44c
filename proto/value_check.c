/* value_check.c - checks values before they are sent, and maps before they
 * become args. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mp.h"

enum { FEW = 8 }; /* keys that are compared pair by pair */

struct key {
	const char *text;
	size_t len;
};

static int
compare(const void *a, const void *b)
{
	const struct key *x = (const struct key *)a;
	const struct key *y = (const struct key *)b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->text, y->text, x->len);
}

static bool
any_twice(struct key *key, size_t n)
{
	if (n > FEW)
		qsort(key, n, sizeof(*key), compare);
	for (size_t i = 1; i < n; i++) {
		size_t first = n > FEW ? i - 1 : 0;

		for (size_t j = first; j < i; j++)
			if (compare(&key[i], &key[j]) == 0)
				return true;
	}
	return false;
}

int
mp_get_args(struct mp *c, struct am_val *ret)
{
	struct key key[AM_ARGS_MAX];
	struct mp at = *c;
	uint32_t n;

	if (mp_get_map(&at, &n) < 0)
		return -EINVAL;
	if (n > AM_ARGS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < n; i++) {
		if (mp_get_str(&at, &key[i].text, &key[i].len) < 0 ||
		    mp_skip(&at) < 0)
			return -EINVAL;
	}
	if (any_twice(key, n))
		return -EEXIST;
	*ret = (struct am_val){ c->p, (size_t)(at.p - c->p) };
	*c = at;
	return 0;
}

int
am_val_check(struct am_val v, size_t max)
{
	if (v.len == 0)
		return am_val_is_failed(v) ? -ENOMEM : 0;
	if (v.len > max)
		return -E2BIG;
	return mp_is_value(v) ? 0 : -EINVAL;
}

int
am_args_check(struct am_val args, size_t max)
{
	struct mp c = mp_of(args);
	int r = am_val_check(args, max);

	if (r < 0 || args.len == 0)
		return r;
	r = mp_get_args(&c, &args);
	return r == -EEXIST ? -EINVAL : r;
}
