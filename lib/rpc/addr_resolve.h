/* addr_resolve.h - names of hosts to addresses, without blocking the loop: a thread
 * asks, the loop is told by a descriptor. */
#ifndef LIB_RPC_ADDR_RESOLVE_H
#define LIB_RPC_ADDR_RESOLVE_H

#include "lib/rpc/addr.h"

enum { RESOLVE_MAX = 16 }; /* addresses of a name; more are left out */

struct resolve;

/* n addresses, n > 0; borrowed. Or n 0, and why in words: it names the host. */
typedef void (*resolve_fn)(const struct addr *found, size_t n, const char *why,
    void *arg);

/* Returns new; fn comes later, once, and then it is over: the owner calls
 * resolve_free() then or before. NULL: no memory, fds or threads (errno). */
struct resolve *resolve_new(struct am_loop *l, const struct addr *a,
    resolve_fn fn, void *arg);
/* fn does not come any more. The thread ends by itself, even if the loop is
 * freed before. NULL is fine. */
struct resolve *resolve_free(struct resolve *r);

/* Blocks. Fills ret, returns how many; -EHOSTUNREACH with a message in err. */
int resolve_now(const struct addr *a, struct addr ret[RESOLVE_MAX],
    struct am_error *err);

#endif
