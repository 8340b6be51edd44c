/* user.h - whose memory it is: a server counts what it keeps for clients by the
 * user behind them, not by the connection, of which a user may have many. */
#ifndef LIB_RPC_USER_H
#define LIB_RPC_USER_H

#include <sys/queue.h>

#include "lib/rpc/conn.h"

enum {
	/* Unread output of all connections of a user; each may have an equal
	 * part of it, within these bounds. */
	USER_OUT_BYTES = 8 << 20,
	USER_OUT_LEAST = 16 * 1024,
	/* Texts that are remembered with the results of mutations. */
	USER_WHY_BYTES = 4 << 20,
	/* Keys of args that when_args wait for, each of these counting as one
	 * more, and the bytes of these args: both are compared with the args of
	 * each mutation. */
	USER_WHEN_KEYS = 8192,
	USER_WHEN_BYTES = 1 << 20,
};

struct rpc_user {
	LIST_ENTRY(rpc_user) link;
	uid_t uid;     /* (uid_t)-1 on TCP */
	char *subject; /* owned; NULL: no certificate */
	unsigned n_refs;
	size_t n_sessions; /* connections that were let in */
	size_t n_replays;  /* clients that are remembered */
	size_t why_bytes;
	size_t when_keys;
	size_t when_bytes;
};
LIST_HEAD(rpc_user_list, rpc_user);

/* The one of this peer; NULL: no memory. user_unref() follows. */
struct rpc_user *user_ref(struct rpc_user_list *l,
    const struct conn_peer *peer);
/* Frees it with the last one; NULL is fine. Returns NULL. */
struct rpc_user *user_unref(struct rpc_user *u);
/* How much output may wait for one of its connections before no more is read. */
size_t user_out_max(const struct rpc_user *u);

#endif
