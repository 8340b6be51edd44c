/* watch.h - what a session sees of the machine beyond its own mutations: which
 * clocks, each mutation, and those whose args it waits for. */
#ifndef LIB_RPC_WATCH_H
#define LIB_RPC_WATCH_H

#include <sys/queue.h>

#include "lib/amnode.h"
#include "proto/arpc.h"

struct rpc_server;
struct rpc_session;

enum {
	/* Of a session: how many wait, and how long their args are together. */
	WHEN_ARGS_MAX = 64,
	WHEN_ARGS_BYTES = 64 * 1024,
};

/* A when_args that has not come. */
struct when_args {
	TAILQ_ENTRY(when_args) link;
	uint32_t id; /* of the request */
	am_id state;
	size_t len;
	uint8_t args[];
};
TAILQ_HEAD(when_args_list, when_args);

struct watch {
	/* A bit for each visible state; NULL: all are. Owned. */
	uint64_t *visible;
	/* A bit for each state whose change is told at once; NULL: all are.
	 * Owned. */
	uint64_t *prompt;
	bool others; /* states that come later are visible, too */
	bool no_schema;
	bool no_events;
	bool shallow;
	bool mutations; /* each is told */
	size_t n_when_args;
	size_t when_args_bytes;
	struct when_args_list when_args;
};

void watch_init(struct watch *w);
void watch_done(struct watch *w);
/* What hello wants to see. 0; -EINVAL with a text in err, -ENOMEM likewise. */
int watch_set(struct watch *w, const struct am_schema *schema,
    const struct arpc_sync *sync, struct am_error *err);
/* The schema has n states now. -ENOMEM. */
int watch_grow(struct watch *w, size_t n_old, size_t n);
/* The ticks as this session sees them: the machine's own, or made in scratch
 * (n ticks) of those and what was sent before. */
const uint64_t *watch_time(const struct watch *w, const uint64_t *now,
    const uint64_t *sent, uint64_t *scratch, size_t n);
/* Is any change among these that has to be told at once? */
bool watch_is_prompt(const struct watch *w, const uint64_t *seen,
    const uint64_t *sent, size_t n);
/* 0; -ENOSPC: too many; -ENOMEM. */
int watch_when_args(struct watch *w, uint32_t id, am_id state,
    struct am_val args);

/* Tells sessions of a transition that has ended. */
void watch_transition(struct rpc_server *srv, const struct am_transition *t);

#endif
