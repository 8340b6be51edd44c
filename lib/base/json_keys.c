#include "lib/base/json_keys.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COMPARE_ALL = 8 }; /* so few are compared each with each */

void
json_keys_init(struct json_keys *k)
{
	k->n = 0;
	k->cap = 0;
	k->more = NULL;
}

void
json_keys_done(struct json_keys *k)
{
	free(k->more);
	k->more = NULL;
}

static int
grow(struct json_keys *k)
{
	size_t cap = k->more == NULL ? (size_t)4 * JSON_KEYS_FEW : k->cap * 2;
	struct json_key *more = realloc(k->more, cap * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	if (k->more == NULL)
		memcpy(more, k->few, sizeof(k->few));
	k->more = more;
	k->cap = cap;
	return 0;
}

int
json_keys_push(struct json_keys *k, const struct json_key *key)
{
	if (k->n == (k->more == NULL ? JSON_KEYS_FEW : k->cap) && grow(k) < 0)
		return -ENOMEM;
	(k->more == NULL ? k->few : k->more)[k->n++] = *key;
	return 0;
}

static int
compare(const struct json_key *a, const struct json_key *b, const char *bytes)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(bytes + a->start, bytes + b->start, a->len);
}

static int
by_bytes(const void *a, const void *b, void *bytes)
{
	return compare(a, b, bytes);
}

static const struct json_key *
find_among_few(const struct json_key *key, size_t n, const char *bytes)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (compare(&key[i], &key[j], bytes) == 0)
				return &key[i];
	return NULL;
}

const struct json_key *
json_keys_pop(struct json_keys *k, size_t n, const char *bytes)
{
	struct json_key *key = (k->more == NULL ? k->few : k->more) + n;
	size_t len = k->n - n;

	k->n = n;
	if (len <= COMPARE_ALL)
		return find_among_few(key, len, bytes);
	qsort_r(key, len, sizeof(*key), by_bytes, (void *)(uintptr_t)bytes);
	for (size_t i = 1; i < len; i++)
		if (compare(&key[i - 1], &key[i], bytes) == 0)
			return key[i - 1].at > key[i].at ? &key[i - 1]
							 : &key[i];
	return NULL;
}
