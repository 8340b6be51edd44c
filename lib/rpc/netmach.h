/* netmach.h - the client side of a connection: a mirror of the machine at the
 * other end, with its checks and subscriptions; mutations go over the wire. */
#ifndef LIB_RPC_NETMACH_H
#define LIB_RPC_NETMACH_H

#include "lib/rpc/addr.h"
#include "lib/rpc/conn.h"

struct netmach;

enum netmach_phase {
	NETMACH_IDLE, /* never connected, or closed: netmach_connect() may be called */
	NETMACH_CONNECTING,
	NETMACH_HELLO,
	NETMACH_READY,
};

struct netmach_ops {
	/* The hello was answered; the mirror is complete. */
	void (*on_ready)(struct netmach *nm, void *arg);
	/* The mirror changed (once per frame that changed it); may be NULL. */
	void (*on_update)(struct netmach *nm, void *arg);
	/* The machine has a longer schema, and the mirror, too: its clocks and
	 * subscriptions stay. May be NULL. */
	void (*on_schema)(struct netmach *nm, void *arg);
	/* One mutation of the machine, if sync.mutations or netmach_trace()
	 * asked for it; the mirror has its clocks. Borrowed; may be NULL. */
	void (*on_mutated)(struct netmach *nm, const struct arpc_mutated *m,
	    void *arg);
	/* Borrowed. Ack it by netmach_ack() when it is safe. Each is told once;
	 * one that comes again after a reconnect is acked again if it was. May
	 * be NULL. */
	void (*on_payload)(struct netmach *nm, const struct arpc_payload *p,
	    void *arg);
	/* Whether a mutation of this id has been answered, but what it asked for
	 * is still to come, so that no other one may have the id. May be NULL. */
	bool (*is_taken)(struct netmach *nm, uint32_t id, void *arg);
	/* The connection was lost and is made again (retry_ms); on_ready comes
	 * next, or on_close. May be NULL. */
	void (*on_down)(struct netmach *nm, const char *why, void *arg);
	/* Not connected (any more): code is 0 for an end of the connection (why
	 * is "eof" or the peer's bye reason), -errno for a failed connect (TLS:
	 * -EPROTO, or -EACCES if the server refused our certificate; a name:
	 * -EHOSTUNREACH), an enum arpc_error + 1 for a refused hello. Calls
	 * without an answer have been called back with NETMACH_LOST before, but
	 * for mutations of a resuming one, which wait for the next
	 * netmach_connect(). */
	void (*on_close)(struct netmach *nm, int code, const char *why,
	    void *arg);
};

enum netmach_status {
	NETMACH_OK,
	NETMACH_ERROR,    /* an error answer: error and text are set */
	NETMACH_LOST,     /* the connection ended first: outcome unknown */
	NETMACH_NOT_SENT, /* of a resuming one: no connection came in time */
};

struct netmach_reply {
	enum netmach_status status;
	am_result result;      /* of a mutation */
	const char *why;       /* of a canceled one; else empty */
	struct am_val value;   /* of info; borrowed */
	enum arpc_error error; /* of NETMACH_ERROR */
	const char *text;      /* of all but NETMACH_OK, terminated */
};
typedef void (*netmach_reply_fn)(struct netmach *nm, uint32_t id,
    const struct netmach_reply *r, void *arg);

struct netmach_conf {
	uint64_t client_id; /* 0: a random one */
	const char *name;   /* for people; copied */
	const uint8_t *
	    token; /* ARPC_TOKEN_LEN bytes; copied, zeroed when freed; NULL: none */
	int64_t timeout_ms; /* of connect and hello together; 0: 5 s */
	/* A schema that the other end probably has: it is not sent again, and
	 * mirrors share it. Refs it; NULL: none is known. */
	struct am_schema *schema;
	/* Mutations with a callback outlive the connection: they are sent again
	 * with their ids after the next one, and the server answers what it has
	 * made already from its memory. Those made without a connection wait
	 * for one. Both for as long as their deadline_ms, or else keep_ms after
	 * the connection was lost (0: 60 s). What the server cannot know any
	 * more (it was started anew) is NETMACH_LOST. At most 1,000 are on the
	 * way at a time, further ones wait here, 64 MiB of them. */
	bool resume;
	int64_t keep_ms;
	/* A lost connection is made again, with growing and jittered waits, for
	 * this long, then on_close tells how it was lost; one that is cut before
	 * its first hello was answered, a few times. 0: on_close comes at once,
	 * and the owner may connect. A refused hello and a bye are final. */
	int64_t retry_ms;
	/* Also if nobody listens there any more, or not yet. */
	bool retry_gone;
	/* TCP connections speak TLS, and the server's certificate must name the
	 * host of the address. Borrowed. NULL: plain, and then only to this
	 * host. */
	const struct tls *tls;
	/* What is seen of the machine; its arrays are borrowed for the life of
	 * the net machine. What is not seen stays as it was. */
	struct arpc_sync sync;
};

/* Returns new; borrows ops. */
struct netmach *netmach_new(struct am_loop *l, const struct netmach_conf *conf,
    const struct netmach_ops *ops, void *arg);
/* Drops the connection; no callback comes any more, not even for open calls.
 * May be called from within a callback. NULL is fine. */
struct netmach *netmach_free(struct netmach *nm);
/* Writes what was sent so far, as far as that works without waiting: for an
 * owner that frees it before the turn ends. */
void netmach_flush(struct netmach *nm);
/* 0, or -errno if it fails at once (then on_close is not called); -EALREADY if
 * it is not idle. A name is resolved without blocking the loop, and all of its
 * addresses are tried in order, within the time of the conf. While the server's
 * queue of connections is full (EAGAIN of a Unix socket) it tries again, until
 * the time of the conf is over. May be called again after on_close, also from
 * within it. */
int netmach_connect(struct netmach *nm, const struct addr *a);
void netmach_close(struct netmach *nm,
    const char *reason); /* with bye; on_close comes */
enum netmach_phase netmach_phase(const struct netmach *nm);

/* The mirror, whose mutations are sent as by netmach_mutate() and answered to
 * am_on_result(); NULL before the first hello. Borrowed; it survives a reconnect
 * to the same schema or a longer one, else it is a new one after on_ready. */
struct am_machine *netmach_mirror(const struct netmach *nm);
uint64_t netmach_epoch(const struct netmach *nm);
uint64_t netmach_client_id(const struct netmach *nm);
uint64_t netmach_last_seq(const struct netmach *nm);
/* Requests that the worker takes at once; 0: it is none, or not known yet. */
unsigned netmach_window(const struct netmach *nm);
const struct conn_peer *netmach_peer(const struct netmach *nm);
/* Is it connected to this very host, so that a pid means the same there? */
bool netmach_is_local(const struct netmach *nm);
size_t netmach_backlog(const struct netmach *nm);
/* Is the mirror known to be right? false: a sync is under way. */
bool netmach_is_exact(const struct netmach *nm);
/* How often a wrong checksum took a sync. */
uint64_t netmach_mismatches(const struct netmach *nm);

/* Calls back what a resuming one keeps, for an owner that will not connect
 * again. */
void netmach_give_up(struct netmach *nm, const char *why);

/* Each returns the id of the call, which is more than 0, and fn is called exactly
 * once, never from within the call. A mutation with fn NULL is sent as a
 * notification and returns 0. -ENOTCONN: there is no connection (phase READY; a
 * resuming one takes mutations with fn at any time); -EBUSY: 65,535 calls are
 * open; -ENOBUFS: a resuming one keeps too much; -EINVAL, -E2BIG, -ENOMEM: of
 * am_args_check(), am_val_check(), by what the server takes. deadline_ms: -1
 * none. */
int netmach_mutate(struct netmach *nm, enum am_op op, const am_id *states,
    size_t n, struct am_val args, int64_t deadline_ms, netmach_reply_fn fn,
    void *arg);
/* A mutation that makes sense on this connection only (what it asks for ends with
 * it): never sent again, also by a resuming one. As a request, of phase READY. */
int netmach_mutate_once(struct netmach *nm, enum am_op op, const am_id *states,
    size_t n, struct am_val args, netmach_reply_fn fn, void *arg);
/* params: the whole array, topic first. */
int netmach_info(struct netmach *nm, struct am_val params, netmach_reply_fn fn,
    void *arg);
int netmach_lease_begin(struct netmach *nm, const struct arpc_lease *lease,
    netmach_reply_fn fn, void *arg);
int netmach_sync(struct netmach *nm, netmach_reply_fn fn, void *arg);
/* fn is answered when the state is activated by a mutation whose args have all
 * of these (AM_NONE: any). A server holds 64. */
int netmach_when_args(struct netmach *nm, am_id state, struct am_val args,
    netmach_reply_fn fn, void *arg);
/* Switches on_mutated on or off; until the connection ends. */
int netmach_trace(struct netmach *nm, bool on, netmach_reply_fn fn, void *arg);
void netmach_ack(struct netmach *nm, uint64_t seq);

#endif
