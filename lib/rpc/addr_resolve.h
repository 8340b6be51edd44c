/* addr_resolve.h - resolves host names without blocking the loop: a thread
 * asks, and tells the loop by a descriptor. */
#ifndef LIB_RPC_ADDR_RESOLVE_H
#define LIB_RPC_ADDR_RESOLVE_H

#include "lib/rpc/addr.h"

enum { RESOLVE_MAX = 16 }; /* addresses per name; more are left out */

struct resolve;

/* Gets n addresses, borrowed; or n is 0, and err has the reason, with the name
 * of the host. */
typedef void (*resolve_fn)(const struct addr *found, size_t n, const char *why,
    void *arg);

/* Returns new. fn is called once, later. The owner calls resolve_free() then or
 * before. NULL: no memory, fds or threads (errno). */
struct resolve *resolve_new(struct am_loop *l, const struct addr *a,
    resolve_fn fn, void *arg);
/* fn is not called any more. The thread ends by itself, even if the loop is
 * freed first. NULL is allowed. */
struct resolve *resolve_free(struct resolve *r);

/* Blocks. Fills ret and returns the number of addresses, or -EHOSTUNREACH with
 * a message in err. */
int resolve_now(const struct addr *a, struct addr ret[RESOLVE_MAX],
    struct am_error *err);

#endif
