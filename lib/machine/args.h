/* args.h - args that a subscription waits for, and whether a mutation has
 * them. */
#ifndef LIB_MACHINE_ARGS_H
#define LIB_MACHINE_ARGS_H

#include "lib/amnode.h"

struct arg_key {
	const char *text; /* into the args */
	size_t len;
	struct am_val value;
};

/* A copy of the wanted args, with sorted keys. */
struct wanted {
	struct am_val args; /* the copy, in the given order */
	size_t n;
	struct arg_key key[]; /* followed by the bytes of the args */
};

/* Returns new, to be freed by free(). Errors of am_args_check(); -E2BIG also
 * for more than AM_WHEN_ARGS_KEYS keys. */
int wanted_new(struct am_val args, struct wanted **ret);

/* The keys of the args of a mutation, borrowed, sorted once for all
 * subscriptions, so that finding one takes logarithmic time. Args that
 * am_args_check() refuses have none. */
struct given {
	size_t n;
	struct arg_key key[AM_ARGS_MAX];
};
void given_init(struct given *g, struct am_val args);
/* Whether every wanted key is there with the same value, byte by byte. */
bool given_has(const struct given *g, const struct wanted *w);

#endif
