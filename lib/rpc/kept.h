/* kept.h - mutations of a net machine that outlive its connection: they are
 * sent again with their ids, or wait for a connection that takes them. */
#ifndef LIB_RPC_KEPT_H
#define LIB_RPC_KEPT_H

#include <sys/queue.h>

#include "proto/arpc.h"

struct netmach;

enum {
	/* Unanswered at a time; less than what a server remembers, so that
	 * what is sent again is never forgotten. */
	KEPT_WINDOW = 1000,
	KEPT_BYTES_MAX = 64 * 1024 * 1024,
};

struct kept {
	TAILQ_ENTRY(kept) link; /* in order of ids */
	uint32_t id;
	enum arpc_method method;
	bool sent;           /* it may have arrived */
	int64_t deadline_ns; /* -1: none */
	size_t len;
	uint8_t params[]; /* [states, args], without the array's head */
};
TAILQ_HEAD(kept_list, kept);

/* Keeps one mutation; kept_send() follows. NULL: no memory, or too
 * much is kept. */
struct kept *kept_put(struct netmach *nm, uint32_t id, enum arpc_method method,
    const am_id *states, size_t n, struct am_val args, int64_t deadline_ms);
/* It was answered; NULL is fine. */
void kept_drop(struct netmach *nm, struct kept *k);
/* Sends what is not sent yet, as much as the window takes; without a connection
 * it waits for one. */
void kept_send(struct netmach *nm);
/* There is a new connection. resumed: the server remembers what was sent, and
 * gets it again; else it is lost. false: the user has freed the net machine. */
bool kept_resume(struct netmach *nm, bool resumed);
/* No connection any more: for how long they are kept is watched from now on. */
void kept_wait(struct netmach *nm);
/* None will come: all are called back. */
void kept_give_up(struct netmach *nm, const char *why);
void kept_on_timer(void *arg);
/* Without callbacks. */
void kept_done(struct netmach *nm);

#endif
