/* owner.h - the process that a lease is bound to; its exit is noticed. */
#ifndef DAEMON_SYS_OWNER_H
#define DAEMON_SYS_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/amnode.h"

struct event;

struct owner {
	pid_t pid; /* 0: none */
	int fd;    /* pidfd, -1: none */
	struct event *event;
	void (*fn)(void *arg);
	void *arg;
};
#define OWNER_INIT ((struct owner){ .fd = -1 })

/* May uid bind to pid? start: field 22 of its stat, 0: unknown. uid -1: not
 * known (TCP), then any process. 0, -ESRCH, -EPERM. */
int owner_check(pid_t pid, uint64_t start, uid_t uid);
/* fn(arg) is called from the loop once when the process exits. 0 or -errno. */
int owner_watch(struct owner *o, struct am_loop *l, pid_t pid, uint64_t start,
    uid_t uid);
void owner_on_exit(struct owner *o, void (*fn)(void *arg), void *arg);
void owner_done(struct owner *o); /* idempotent */

#endif
