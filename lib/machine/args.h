/* args.h - args that are waited for, and whether a mutation has them. */
#ifndef LIB_MACHINE_ARGS_H
#define LIB_MACHINE_ARGS_H

#include "lib/amnode.h"

struct arg_key {
	const char *text; /* into the args */
	size_t len;
	struct am_val value;
};

/* A copy of what is waited for, keys in an order of its own. */
struct wanted {
	struct am_val args; /* the copy, as it was given */
	size_t n;
	struct arg_key key[]; /* the args' bytes are behind them */
};

/* Returns new, to be freed by free(). As am_args_check(); -E2BIG too for more
 * than AM_WHEN_ARGS_KEYS keys. */
int wanted_new(struct am_val args, struct wanted **ret);

/* The keys of a mutation's args, borrowed, read once for all who wait: a look-up
 * costs the logarithm of their number. Args that am_args_check() refuses have
 * none. */
struct given {
	size_t n;
	struct arg_key key[AM_ARGS_MAX];
};
void given_init(struct given *g, struct am_val args);
/* Whether each wanted key is there with the same value: the same bytes. */
bool given_has(const struct given *g, const struct wanted *w);

#endif
