/* server.h - serves a machine to connections: hello, mutations, info, clock
 * updates once per turn.
 *
 * A server has one machine and any number of listeners, each with its own
 * policy (a worker has two: private and public). */
#ifndef LIB_RPC_SERVER_H
#define LIB_RPC_SERVER_H

#include "lib/rpc/conn.h"

struct rpc_server;
struct rpc_session;

/* The origin of a mutation that arrived on a connection: am_event.source points
 * to it. */
struct rpc_source {
	struct rpc_session *session;
	uint32_t id;         /* msgpack-rpc id; 0: it was a notification */
	int64_t deadline_ms; /* -1: none */
};

/* What one listener allows. Callbacks get the arg of rpc_server_listen(). */
struct rpc_policy {
	/* Accepts a hello (0), or refuses it and closes the connection: an enum
	 * arpc_error with a text in err. */
	int (*hello)(struct rpc_session *s, const struct arpc_hello *h,
	    struct am_error *err, void *arg);
	/* After the hello was answered. May be NULL. */
	void (*up)(struct rpc_session *s, void *arg);
	/* Whether this mutation is permitted: 0, or an enum arpc_error with a
	 * text in err. States are in range. NULL: nothing is. */
	int (*may)(struct rpc_session *s, enum am_op op, const am_id *states,
	    size_t n, struct am_error *err, void *arg);
	/* For a set that is permitted: appends the states that stay in any
	 * case, like allow_keep(). NULL: none. */
	size_t (
	    *keep)(struct rpc_session *s, am_id *states, size_t n, void *arg);
	/* Appends the result of `info` to out: 0, or an enum arpc_error with a
	 * text in err. params is the rest of the array after the topic. */
	int (*info)(struct rpc_session *s, const char *topic,
	    struct am_val params, struct am_buf *out, struct am_error *err,
	    void *arg);
	/* May be NULL. */
	void (*ack)(struct rpc_session *s, const uint64_t *seqs, size_t n,
	    void *arg);
	/* lease_begin; NULL: no_method. Returns the result of adding
	 * ServeClient. */
	am_result (*lease_begin)(struct rpc_session *s,
	    const struct arpc_lease *l, void *arg);
	/* The data of a payload that is being sent in parts, the same as
	 * rpc_session_payload() got; AM_NONE: it is withdrawn. NULL: large
	 * payloads are sent in one frame. */
	struct am_val (
	    *data_of)(struct rpc_session *s, uint64_t seq, void *arg);
	/* The highest seq of a payload, for the welcome. NULL: 0. */
	uint64_t (*last_seq)(struct rpc_session *s, void *arg);
	/* How many requests may be open at once, likewise. NULL: none. */
	unsigned (*window)(struct rpc_session *s, void *arg);
	/* A connection has ended before its hello was accepted, other than by
	 * eof: "TLS: ...", "bad_frame: ...", "no_hello: ...", or the error that
	 * answered the hello. For the log; may be NULL. */
	void (*rejected)(struct rpc_session *s, const char *why, void *arg);
	/* A session whose hello was accepted is over; it is freed after the
	 * turn. May be NULL. */
	void (*closed)(struct rpc_session *s, const char *why, void *arg);
	/* Sessions after hello; more are refused as busy. 0: no limit.
	 * Connections before hello do not count: of more than 256 the oldest is
	 * closed. */
	size_t max_sessions;
	size_t max_of_user; /* likewise, of one user */
	/* Clients whose mutations are remembered, connected or not; 0: 64. */
	size_t max_remembered;
	/* The longest frame after hello; 0: ARPC_FRAME_MAX. */
	size_t frame_max;
};

/* Returns new. Borrows the machine, which must outlive it. */
struct rpc_server *rpc_server_new(struct am_loop *l, struct am_machine *m);
/* Closes listeners and drops sessions, without closed(). NULL is allowed. */
struct rpc_server *rpc_server_free(struct rpc_server *srv);
/* Takes fd, which is bound and listening. Borrows policy. Returns the number of
 * the listener, or -errno. */
int rpc_server_listen(struct rpc_server *srv, int fd,
    const struct rpc_policy *policy, void *arg);
/* Connections accepted from now on use TLS. Borrows tls. */
void rpc_server_set_tls(struct rpc_server *srv, int listener,
    const struct tls *tls);
/* Stops accepting; sessions stay. */
void rpc_server_unlisten(struct rpc_server *srv, int listener);
/* Closes every session of the listener (-1: of all) with a bye. */
void rpc_server_close(struct rpc_server *srv, int listener, const char *reason);
/* Forgets the mutations of the clients of this listener, because a lease is
 * over: clients that resume are told that nothing is remembered. */
void rpc_server_forget(struct rpc_server *srv, int listener);
uint64_t rpc_server_epoch(const struct rpc_server *srv);
/* Unknown notifications so far, for status. */
uint64_t rpc_server_ignored(const struct rpc_server *srv);

/* The session after s; NULL: the first one. NULL at the end. Only sessions
 * whose hello was accepted. */
struct rpc_session *rpc_server_next(struct rpc_server *srv,
    struct rpc_session *s);
int rpc_session_listener(const struct rpc_session *s);
uint64_t rpc_session_id(const struct rpc_session *s); /* never used twice */
uint64_t rpc_session_client_id(const struct rpc_session *s); /* of its hello */
const char *rpc_session_name(const struct rpc_session *s);
/* The texts live until closed() or rejected() has returned. */
const struct conn_peer *rpc_session_peer(const struct rpc_session *s);
/* Like conn_peer_in(). */
bool rpc_session_peer_in(const struct rpc_session *s, const gid_t *gids,
    size_t n);
/* Like conn_is_local(). */
bool rpc_session_is_local(const struct rpc_session *s);
/* A pointer for the owner of the policy. */
void rpc_session_set_data(struct rpc_session *s, void *data);
void *rpc_session_data(const struct rpc_session *s);
/* A payload will answer the request `id` that is being handled: its response
 * may be sent late, if the client agreed to that (sync prompt). */
void rpc_session_is_late(struct rpc_session *s, uint32_t id);
/* For an Enter handler that refuses: the response to the mutation, if it is
 * canceled, is this error and not a result. source is that of the event; NULL
 * if the mutation did not come from a connection. */
void rpc_source_refuse(const struct rpc_source *source, enum arpc_error e,
    const char *text);
/* Whether it wants payloads of kind event (sync events). */
bool rpc_session_gets_events(const struct rpc_session *s);
/* Appends a payload; -EAGAIN if the backlog is over CONN_OUT_SOFT or a large
 * one is on the way, -ENOTCONN if the session is being closed. One of more than
 * ARPC_PART_LEN goes in parts, one a turn when the one before is in the kernel,
 * so that clocks and answers do not wait for it. */
int rpc_session_payload(struct rpc_session *s, uint64_t seq, uint32_t req,
    enum arpc_payload_kind kind, const char *name, struct am_val data);
/* For a session that is over: whether its client said bye. */
bool rpc_session_said_bye(const struct rpc_session *s);
void rpc_session_close(struct rpc_session *s,
    const char *reason); /* with a bye; closed() follows */
/* fn is called once when the backlog has fallen below CONN_OUT_SOFT again and
 * no large payload is on the way; to be called after a -EAGAIN. NULL: not any
 * more. */
void rpc_session_on_room(struct rpc_session *s,
    void (*fn)(struct rpc_session *s, void *arg), void *arg);

#endif
