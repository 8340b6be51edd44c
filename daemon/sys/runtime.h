/* runtime.h - the runtime directory of an instance: who owns it, what lies in
 * it, what a dead one left there. */
#ifndef DAEMON_SYS_RUNTIME_H
#define DAEMON_SYS_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/amnode.h"

enum { RUNTIME_PATH_MAX = 108 }; /* of sun_path */

struct runtime {
	char *dir;    /* owned; absolute */
	int lock_fd;  /* flock for life */
	bool created; /* by us: removed at the end */
	/* Ids of workers of a dead amnoded which still live; sorted by nothing. */
	uint32_t *live;
	size_t n_live;
};

/* Which directory it is: `wanted`, RuntimeDir=, or by the environment if that is
 * empty. *ret is new, also on failure; -errno with a full sentence in err. */
int runtime_choose(const char *wanted, const char *instance, char **ret,
    struct am_error *err);
/* Finds, makes and locks the directory and removes what a dead amnoded left in
 * it. `wanted` is RuntimeDir= (empty: by the environment). 0, or -errno with a
 * full sentence in err; -EBUSY: another amnoded runs. */
int runtime_open(struct runtime *ret, const char *wanted, const char *instance,
    struct am_error *err);
/* Removes the leavings of the dead (ours by now), the public socket, the lock,
 * and the directory if it was made here. Idempotent. */
void runtime_close(struct runtime *rt);

/* DIR/NAME into buf; -ENAMETOOLONG if it is no path for a socket. */
int runtime_path(const struct runtime *rt, const char *name, char *buf,
    size_t size);
/* Was this id's socket alive when we came? Then it must not be given again. */
bool runtime_is_live(const struct runtime *rt, uint32_t id);

enum runtime_socket {
	RUNTIME_SOCKET_NONE,
	RUNTIME_SOCKET_STALE, /* nobody listens */
	RUNTIME_SOCKET_LIVE,
	RUNTIME_SOCKET_OTHER, /* a file that is no socket */
};
/* Tries the socket at path; never waits. */
enum runtime_socket runtime_try(const char *path);

#endif
