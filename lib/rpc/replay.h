/* replay.h - what became of the last mutations of a client, so that one which
 * is sent again after a reconnect is answered and not made twice.
 *
 * A client id has one memory in a server. Mutations of a client ascend by their
 * ids (16 bit, 1 follows 65,535) and arrive in this order, so an id that is not
 * after the last one is a repetition. */
#ifndef LIB_RPC_REPLAY_H
#define LIB_RPC_REPLAY_H

#include <sys/queue.h>
#include <sys/types.h>

#include "lib/rpc/conn.h"

enum {
	REPLAY_WINDOW = 1024, /* mutations of a client */
	REPLAY_CHUNK = 16,    /* of them, allocated when the first comes */
	REPLAY_CLIENTS = 64,  /* of a listener that says nothing else */
	REPLAY_WHY_MAX = 255, /* bytes kept of why one was canceled */
};

struct rpc_session;

struct replay_entry {
	am_result result;
	char *why;       /* NULL: none */
	uint64_t number; /* of the mutation; 0: none was executed */
};

struct replay {
	TAILQ_ENTRY(replay) link; /* the one used last is the last */
	uint64_t client_id;
	/* Of the peer: nobody else is answered. */
	uid_t uid;
	char *subject; /* owned; NULL: it has no certificate */
	int listener;
	struct rpc_session *session; /* borrowed; who has it now; may be NULL */
	uint32_t newest;             /* 0: no mutation came yet */
	/* Of the newest: counts on where ids wrap, which are 65,535, so that each
	 * of the last REPLAY_WINDOW has a slot of its own. */
	uint64_t number;
	struct replay_entry *chunk[REPLAY_WINDOW / REPLAY_CHUNK];
};
TAILQ_HEAD(replay_list, replay);

/* Returns new, in the list; the one that was unused for longest leaves if there
 * are max of that listener. NULL: no memory, or all are in use. */
struct replay *replay_new(struct replay_list *l, int listener, size_t max,
    uint64_t client_id, const struct conn_peer *peer);
/* NULL: there is none. It becomes the last one of the list. */
struct replay *replay_find(struct replay_list *l, int listener,
    uint64_t client_id, const struct conn_peer *peer);
/* Takes it out of the list. */
void replay_free(struct replay_list *l, struct replay *m);

enum replay_is {
	REPLAY_NEW,       /* to be made; replay_put() follows */
	REPLAY_KNOWN,     /* *ret is what became of it */
	REPLAY_FORGOTTEN, /* so long ago that nobody knows */
	REPLAY_FULL,      /* new, but there is no memory for it */
};
/* A mutation of this id arrives. */
enum replay_is replay_see(struct replay *m, uint32_t id,
    const struct replay_entry **ret);
/* What became of it. Without memory for the text the text is left out. */
void replay_put(struct replay *m, uint32_t id, am_result result,
    const char *why);

/* Ids between a and b, counted from a; of 65,535. */
static inline uint32_t
replay_distance(uint32_t a, uint32_t b)
{
	return (b + UINT16_MAX - a) % UINT16_MAX;
}

#endif
