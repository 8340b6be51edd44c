/* wire.h - a machine and its mirror, with a connection between them. */
#ifndef TESTS_CONFORMANCE_WIRE_H
#define TESTS_CONFORMANCE_WIRE_H

#include "lib/amnode.h"

struct wire;

/* Serves the machine on a Unix socket and connects to it. Returns new; NULL:
 * stderr says why. */
struct wire *wire_new(struct am_machine *m);
struct wire *wire_free(struct wire *w); /* NULL is fine */
/* borrowed */
struct am_machine *wire_mirror(const struct wire *w);
/* Mutates the mirror and waits for the result. false: none came in 5 s. */
bool wire_mutate(struct wire *w, const struct am_mutation *mut,
    am_result *ret_result);

#endif
