/* watch.h - what a session sees of the machine besides its own mutations: some
 * or all clocks, each mutation, and mutations with args it waits for. */
#ifndef LIB_RPC_WATCH_H
#define LIB_RPC_WATCH_H

#include <sys/queue.h>

#include "lib/amnode.h"
#include "proto/arpc.h"

struct rpc_server;
struct rpc_session;

enum {
	/* Per session: how many when_args wait, and the bytes of their args. */
	WHEN_ARGS_MAX = 64,
	WHEN_ARGS_BYTES = 64 * 1024,
};

/* A when_args that waits. */
struct when_args {
	TAILQ_ENTRY(when_args) link;
	struct rpc_session *session;
	uint32_t id; /* of the request */
	am_sub sub;
	size_t len;    /* of its args */
	size_t n_keys; /* of its args, and one */
};
TAILQ_HEAD(when_args_list, when_args);

struct watch {
	/* The visible states as bits; NULL: all. Owned. */
	uint64_t *visible;
	/* The states whose changes are sent at once, as bits; NULL: all.
	 * Owned. */
	uint64_t *prompt;
	bool others; /* states that are added later are visible */
	bool no_schema;
	bool no_events;
	bool shallow;
	bool mutations; /* each is sent */
	size_t n_when_args;
	size_t when_args_bytes;
	struct when_args_list when_args;
};

void watch_init(struct watch *w);
/* Ends the when_args of a session that still has its user. */
void watch_end(struct watch *w);
/* After watch_end(). */
void watch_done(struct watch *w);
/* Sets what hello asked to see. -EINVAL or -ENOMEM, with a text in err. */
int watch_set(struct watch *w, const struct am_schema *schema,
    const struct arpc_sync *sync, struct am_error *err);
/* The schema now has n states. -ENOMEM. */
int watch_grow(struct watch *w, size_t n_old, size_t n);
/* The ticks as this session sees them: those of the machine, or, in scratch (n
 * ticks), made from those and from what was sent before. */
const uint64_t *watch_time(const struct watch *w, const uint64_t *now,
    const uint64_t *sent, uint64_t *scratch, size_t n);
/* Whether there is a change that must be sent at once. */
bool watch_is_prompt(const struct watch *w, const uint64_t *seen,
    const uint64_t *sent, size_t n);
/* am_when_args(), whose callback answers the request. 0; -ENOSPC: too many of
 * this session; -EDQUOT: of this user; -ENOMEM. */
int watch_when_args(struct rpc_session *s, uint32_t id, am_id state,
    struct am_val args);

/* Tells the sessions that a transition has ended. */
void watch_transition(struct rpc_server *srv, const struct am_transition *t);

#endif
