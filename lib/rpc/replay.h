/* replay.h - remembers the outcome of a client's last mutations, so that one
 * that is sent again after a reconnect is answered and not executed twice.
 *
 * A server has one memory per client id. The ids of a client's mutations ascend
 * (16 bits, 1 follows 65,535) and arrive in this order, so an id that is not
 * after the newest is a repetition. */
#ifndef LIB_RPC_REPLAY_H
#define LIB_RPC_REPLAY_H

#include <sys/queue.h>
#include <sys/types.h>

#include "lib/rpc/user.h"

enum {
	REPLAY_WINDOW = 1024, /* mutations per client */
	REPLAY_CHUNK = 16,    /* slots, allocated together */
	REPLAY_CLIENTS = 64,  /* default per listener */
	REPLAY_WHY_MAX = 255, /* bytes kept of a reason */
};

struct rpc_session;

struct replay_entry {
	am_result result;
	char *why;       /* NULL: none */
	uint64_t number; /* of the mutation; 0: the slot is empty */
};

struct replay {
	TAILQ_ENTRY(replay) link; /* the most recently used is last */
	uint64_t client_id;
	struct rpc_user *user; /* owned; nobody else is answered */
	int listener;
	struct rpc_session *session; /* borrowed; uses it now; may be NULL */
	uint32_t newest;             /* 0: there was no mutation yet */
	/* The number of the newest. It does not wrap like the 65,535 ids, so
	 * that each of the last REPLAY_WINDOW mutations has a slot of its
	 * own. */
	uint64_t number;
	struct replay_entry *chunk[REPLAY_WINDOW / REPLAY_CHUNK];
};
TAILQ_HEAD(replay_list, replay);

/* Returns new, in the list. With max of that listener, the user who has most of
 * them loses the one that was unused for longest, but nobody for a user who has
 * more. NULL: no memory, or no room. */
struct replay *replay_new(struct replay_list *l, int listener, size_t max,
    uint64_t client_id, struct rpc_user *user);
/* Finds it and moves it to the end of the list. NULL: there is none. */
struct replay *replay_find(struct replay_list *l, int listener,
    uint64_t client_id, const struct rpc_user *user);
/* Removes it from the list and frees it. */
void replay_free(struct replay_list *l, struct replay *m);

enum replay_is {
	REPLAY_NEW,       /* execute it, and call replay_put() */
	REPLAY_KNOWN,     /* *ret has its outcome */
	REPLAY_FORGOTTEN, /* too old: the outcome is unknown */
	REPLAY_FULL,      /* new, but there is no memory for it */
};
/* A mutation with this id has arrived. */
enum replay_is replay_see(struct replay *m, uint32_t id,
    const struct replay_entry **ret);
/* Records its outcome. Without memory for the reason, the reason is left
 * out. */
void replay_put(struct replay *m, uint32_t id, am_result result,
    const char *why);

/* How many ids b is after a, modulo 65,535. */
static inline uint32_t
replay_distance(uint32_t a, uint32_t b)
{
	return (b + UINT16_MAX - a) % UINT16_MAX;
}

#endif
