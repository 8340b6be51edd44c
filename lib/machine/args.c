/* Compares args with those that subscriptions wait for: the rule of
 * am_when_args(), which also serves when_args on the wire. */
#include "lib/machine/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mp.h"

static int
compare(const void *va, const void *vb)
{
	const struct arg_key *a = va, *b = vb;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->text, b->text, a->len);
}

/* The sorted keys of a map; SIZE_MAX: it is not a map, a key is not a string,
 * or there are more than max. */
static size_t
read_keys(struct am_val map, struct arg_key *key, size_t max)
{
	struct mp c = mp_of(map);
	uint32_t n = 0;

	if (map.len > 0 && (mp_get_map(&c, &n) < 0 || n > max))
		return SIZE_MAX;
	for (uint32_t i = 0; i < n; i++)
		if (mp_get_str(&c, &key[i].text, &key[i].len) < 0 ||
		    mp_get_val(&c, &key[i].value) < 0)
			return SIZE_MAX;
	qsort(key, n, sizeof(*key), compare);
	return n;
}

int
wanted_new(struct am_val args, struct wanted **ret)
{
	struct arg_key key[AM_WHEN_ARGS_KEYS];
	int r = am_args_check(args, SIZE_MAX);
	struct wanted *w;
	size_t n;

	if (r < 0)
		return r;
	n = read_keys(args, key, AM_WHEN_ARGS_KEYS);
	if (n == SIZE_MAX)
		return -E2BIG;
	w = malloc(sizeof(*w) + n * sizeof(w->key[0]) + args.len);
	if (w == NULL)
		return -ENOMEM;
	w->args = (struct am_val){ w->key + n, args.len };
	if (args.len > 0)
		memcpy(w->key + n, args.data, args.len);
	w->n = read_keys(w->args, w->key, n);
	*ret = w;
	return 0;
}

void
given_init(struct given *g, struct am_val args)
{
	g->n = read_keys(args, g->key, AM_ARGS_MAX);
	if (g->n == SIZE_MAX)
		g->n = 0;
}

bool
given_has(const struct given *g, const struct wanted *w)
{
	if (w->n > g->n)
		return false;
	for (size_t i = 0; i < w->n; i++) {
		const struct arg_key *have = bsearch(&w->key[i], g->key, g->n,
		    sizeof(*have), compare);

		if (have == NULL || have->value.len != w->key[i].value.len ||
		    memcmp(have->value.data, w->key[i].value.data,
			have->value.len) != 0)
			return false;
	}
	return true;
}
