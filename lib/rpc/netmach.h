/* netmach.h - the client side of a connection: a mirror of the machine at the
 * other end, with checks and subscriptions. Mutations are sent over the
 * wire. */
#ifndef LIB_RPC_NETMACH_H
#define LIB_RPC_NETMACH_H

#include "lib/rpc/addr.h"
#include "lib/rpc/conn.h"

struct netmach;

enum netmach_phase {
	NETMACH_IDLE, /* netmach_connect() may be called */
	NETMACH_CONNECTING,
	NETMACH_HELLO,
	NETMACH_READY,
};

struct netmach_ops {
	/* The welcome has arrived, and the mirror is complete. */
	void (*on_ready)(struct netmach *nm, void *arg);
	/* The mirror changed (once per frame that changed it); may be NULL. */
	void (*on_update)(struct netmach *nm, void *arg);
	/* The machine and its mirror have a longer schema. Clocks and
	 * subscriptions stay. May be NULL. */
	void (*on_schema)(struct netmach *nm, void *arg);
	/* One mutation of the machine, after sync.mutations or netmach_trace().
	 * The mirror has its clocks already. Borrowed; may be NULL. */
	void (*on_mutated)(struct netmach *nm, const struct arpc_mutated *m,
	    void *arg);
	/* A payload, borrowed. Call netmach_ack() when it is safe. Each payload
	 * is delivered once; one that arrives again after a reconnect is acked
	 * again if it was. May be NULL. */
	void (*on_payload)(struct netmach *nm, const struct arpc_payload *p,
	    void *arg);
	/* Whether the mutation with this id has been answered but its result
	 * payload is still to come, so that the id is taken. May be NULL. */
	bool (*is_taken)(struct netmach *nm, uint32_t id, void *arg);
	/* The connection was lost, and is being restored (retry_ms). on_ready
	 * or on_close follows. May be NULL. */
	void (*on_down)(struct netmach *nm, const char *why, void *arg);
	/* There is no connection. code is 0 if it has ended (why is "eof" or
	 * the reason of the bye); -errno if connecting failed (TLS: -EPROTO, or
	 * -EACCES if the server refused our certificate; a name:
	 * -EHOSTUNREACH); an enum arpc_error + 1 if the hello was refused.
	 * Before this, open calls were called back with NETMACH_LOST, except
	 * for mutations with resume, which wait for the next
	 * netmach_connect(). */
	void (*on_close)(struct netmach *nm, int code, const char *why,
	    void *arg);
};

/* Whether on_close() with this code is worth another attempt as far as the
 * server is concerned: it has not refused hello, or only for the moment. */
bool netmach_may_return(int code);

enum netmach_status {
	NETMACH_OK,
	NETMACH_ERROR,    /* an error response: error and text are set */
	NETMACH_LOST,     /* the connection ended first: outcome unknown */
	NETMACH_NOT_SENT, /* with resume: there was no connection in time */
};

struct netmach_reply {
	enum netmach_status status;
	am_result result;      /* mutations */
	const char *why;       /* canceled mutations; else empty */
	struct am_val value;   /* info; borrowed */
	enum arpc_error error; /* NETMACH_ERROR */
	const char *text;      /* all but NETMACH_OK; terminated */
};
typedef void (*netmach_reply_fn)(struct netmach *nm, uint32_t id,
    const struct netmach_reply *r, void *arg);

struct netmach_conf {
	uint64_t client_id;   /* 0: a random one */
	const char *name;     /* for people; copied */
	const uint8_t *token; /* ARPC_TOKEN_LEN bytes, copied; NULL: none */
	int64_t timeout_ms;   /* for connect and hello together; 0: 5 s */
	/* A longer frame from the server closes the connection; 0:
	 * ARPC_FRAME_MAX. */
	size_t take_max;
	/* So much may wait to be read by the server, or the connection ends; 0:
	 * CONN_OUT_HARD. */
	size_t out_max;
	/* A schema that the other end probably has: then it is not sent, and
	 * mirrors share this one. Refs it; NULL: none is known. */
	struct am_schema *schema;
	/* Mutations with a callback outlive the connection: they are sent again
	 * with their ids on the next one, and the server answers from memory
	 * those that it has executed. Mutations made without a connection wait
	 * for one. Both are kept for their deadline_ms, or else for keep_ms
	 * after the connection was lost (0: 60 s). If the server cannot know
	 * the outcome (it was restarted) they end with NETMACH_LOST. At most
	 * 1,000 are sent and unanswered; further ones wait here, up to 64
	 * MiB. */
	bool resume;
	int64_t keep_ms;
	/* How long to restore a lost connection, with growing and jittered
	 * waits; then on_close tells how it was lost. One that is lost before
	 * its first welcome is tried again a few times only. 0: on_close is
	 * called at once, and the owner may connect. A refused hello and a bye
	 * are final. */
	int64_t retry_ms;
	/* Retry also if nobody listens at the address (any more, or yet). */
	bool retry_gone;
	/* For TCP connections: use TLS, and the certificate of the server must
	 * name the host of the address. Borrowed. NULL: plain, and only to this
	 * host. */
	const struct tls *tls;
	/* What to see of the machine. The arrays are borrowed for the life of
	 * the net machine. States that are not seen stay as they were. */
	struct arpc_sync sync;
};

/* Returns new; borrows ops. */
struct netmach *netmach_new(struct am_loop *l, const struct netmach_conf *conf,
    const struct netmach_ops *ops, void *arg);
/* Drops the connection. No callback is called any more, not even for open
 * calls. May be called from a callback. NULL is allowed. */
struct netmach *netmach_free(struct netmach *nm);
/* Says bye, for an owner that frees it next: netmach_free() writes as much output
 * as possible without waiting. */
void netmach_leave(struct netmach *nm, const char *reason);
/* Connects. 0, or -errno if that fails at once (on_close is not called then);
 * -EALREADY if it is not idle. A name is resolved without blocking the loop,
 * and its addresses are tried in order, within timeout_ms. While the backlog of
 * the server is full (EAGAIN of a Unix socket) it tries again within that time.
 * May be called again after on_close, also from within it. */
int netmach_connect(struct netmach *nm, const struct addr *a);
void netmach_close(struct netmach *nm,
    const char *reason); /* with a bye; on_close follows */
enum netmach_phase netmach_phase(const struct netmach *nm);

/* The mirror. Its mutations are sent like those of netmach_mutate(), and
 * am_on_result() gets the results. NULL before the first welcome. Borrowed. It
 * survives a reconnect to the same schema or a longer one; otherwise there is a
 * new one at on_ready. */
struct am_machine *netmach_mirror(const struct netmach *nm);
uint64_t netmach_epoch(const struct netmach *nm);
uint64_t netmach_client_id(const struct netmach *nm);
uint64_t netmach_last_seq(const struct netmach *nm);
/* How many requests the worker takes at once; 0: unknown, or not a worker. */
unsigned netmach_window(const struct netmach *nm);
const struct conn_peer *netmach_peer(const struct netmach *nm);
/* Whether the server is on this host, so that a pid means the same there. */
bool netmach_is_local(const struct netmach *nm);
size_t netmach_backlog(const struct netmach *nm);
/* Whether the mirror is right. false: a sync is in progress. */
bool netmach_is_exact(const struct netmach *nm);
/* How often a wrong checksum required a sync. */
uint64_t netmach_mismatches(const struct netmach *nm);

/* Calls back the mutations that are kept for a reconnect, for an owner that
 * will not connect again. */
void netmach_give_up(struct netmach *nm, const char *why);

/* Each returns the id of the call, which is more than 0, and calls fn exactly
 * once, never from within. A mutation with fn NULL is sent as a notification
 * and returns 0. -ENOTCONN: there is no connection in phase READY (with resume,
 * mutations with fn are accepted at any time); -EBUSY: 65,535 calls are open;
 * -ENOBUFS: too much is kept for a reconnect; -EINVAL, -E2BIG, -ENOMEM:
 * am_args_check() or am_val_check() refused the value, by the limits of the
 * server. deadline_ms -1: none. */
int netmach_mutate(struct netmach *nm, enum am_op op, const am_id *states,
    size_t n, struct am_val args, int64_t deadline_ms, netmach_reply_fn fn,
    void *arg);
/* A mutation that makes sense on this connection only, because what it asks for
 * ends with it: never sent again, even with resume. Requires phase READY. */
int netmach_mutate_once(struct netmach *nm, enum am_op op, const am_id *states,
    size_t n, struct am_val args, netmach_reply_fn fn, void *arg);
/* params: the whole array, topic first. */
int netmach_info(struct netmach *nm, struct am_val params, netmach_reply_fn fn,
    void *arg);
int netmach_lease_begin(struct netmach *nm, const struct arpc_lease *lease,
    netmach_reply_fn fn, void *arg);
int netmach_sync(struct netmach *nm, netmach_reply_fn fn, void *arg);
/* Calls fn when the state is activated by a mutation whose args have all of
 * these (AM_NONE: any). A server holds 64. */
int netmach_when_args(struct netmach *nm, am_id state, struct am_val args,
    netmach_reply_fn fn, void *arg);
/* Switches on_mutated on or off, for this connection. */
int netmach_trace(struct netmach *nm, bool on, netmach_reply_fn fn, void *arg);
void netmach_ack(struct netmach *nm, uint64_t seq);

#endif
