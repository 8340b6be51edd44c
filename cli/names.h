/* names.h - states by name, and what was probably meant. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "cli/cli.h"

/* How many letters have to change, at most max + 1; case counts half. */
unsigned names_distance(const char *a, const char *b, unsigned max);
/* Up to 3 names of the schema near to name, as `"A", "B" or "C"`, appended to
 * out. False if none is near. */
bool names_near(const struct am_schema *s, const char *name,
    struct am_buf *out);
/* The id of a name. EX_OK, or EX_MISSING after a message. */
int names_one(struct cli *c, const struct am_schema *s, const char *name,
    am_id *ret);
/* The ids of n names. EX_OK, or EX_MISSING or EX_USAGE (one name twice) after
 * a message. ret has room for n. */
int names_resolve(struct cli *c, const struct am_schema *s, char *const *names,
    size_t n, am_id *ret);

#endif
