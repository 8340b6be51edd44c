/* args.h - what a mutation carries, from words: k=v, k:=json, --args. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "cli/cli.h"

enum {
	ARGS_PAIRS_MAX = 256,
	/* Of the frame of 16 MiB something is for its head. */
	ARGS_LEN_MAX = 16 * 1024 * 1024 - 16 * 1024,
};

/* Is it k=v or k:=json? (Else it names a state.) */
bool args_is_pair(const char *word);
/* Moves the pairs behind the other words, both in their order; returns how many
 * others there are. */
size_t args_sort(char **words, size_t n);
/* Appends one map to out: json (may be NULL) is the whole, the pairs override
 * it. Nothing given: nothing is appended. 0, or -EINVAL with a message. */
int args_build(const char *json, size_t json_len, char *const *pairs,
    size_t n_pairs, struct am_buf *out, struct am_error *err);
/* The same from the command line: --args JSON|@FILE|- and the pairs. EX_OK, or
 * EX_USAGE after a message. */
int args_take(struct cli *c, char *const *pairs, size_t n_pairs,
    struct am_buf *out);

#endif
