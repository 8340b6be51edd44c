/* conn.h - one aRPC connection: bytes to frames, frames to bytes, its end.
 *
 * Direct reads and writes; EV_WRITE is armed only after EAGAIN. What is put
 * into conn_out() goes out in one write at the end of the turn. */
#ifndef LIB_RPC_CONN_H
#define LIB_RPC_CONN_H

#include <sys/types.h>

#include "lib/loop/loop.h"
#include "proto/arpc.h"

enum conn_phase {
	CONN_CONNECTING, /* connect() or the handshake of TLS is under way */
	CONN_UP,
	CONN_CLOSING, /* the bye is being written; nothing is read any more */
	CONN_DEAD,    /* closed; freed after the turn */
};

struct conn;
struct tls;

/* Callbacks; none is called once on_close was. They may close the connection. */
struct conn_ops {
	/* Connected, and with TLS the handshake is done: the peer is known. Not
	 * of one that was accepted without TLS. May be NULL. */
	void (*on_up)(struct conn *c, void *arg);
	/* One whole, well-formed frame; borrowed. */
	void (*on_frame)(struct conn *c, const struct arpc_frame *f, void *arg);
	/* Called at the end of the turn before writing if conn_dirty() was:
	 * the last chance to append. With a slow reader it waits until the
	 * kernel has taken everything, so what is appended here (differences)
	 * never piles up. May be NULL. */
	void (*on_flush)(struct conn *c, void *arg);
	/* The backlog was over CONN_OUT_SOFT and is not any more. May be NULL. */
	void (*on_room)(struct conn *c, void *arg);
	/* The connection is over: why is "eof", the peer's bye reason, the
	 * reason of conn_close(), or what was wrong with a frame. It never
	 * comes from within conn_close(). The owner forgets the conn here; it
	 * frees itself after the turn. */
	void (*on_close)(struct conn *c, const char *why, void *arg);
};

enum {
	/* More waiting: a server reads nothing from this peer. */
	CONN_OUT_SOFT = 1 << 20,
	/* More waiting: closed ("reader too slow"). */
	CONN_OUT_HARD = 96 << 20,
	/* Of TCP, each way: what the kernel takes is in front of all that comes
	 * later, and left alone it takes many megabytes. */
	CONN_KERNEL = 256 * 1024,
	/* Of TCP: a host that is gone says nothing. Its kernel is asked after so
	 * long a silence and then so often, and who does not answer is eof. */
	CONN_IDLE_S = 15,
	CONN_ASK_S = 5,
	CONN_ASK_TIMES = 3,
	/* What it was sent is repeated so often, at growing intervals: 25 s. */
	CONN_REPEATS = 7,
	CONN_TURN_FRAMES = 256, /* frames a turn, then others get theirs */
	CONN_HELLO_MS = 5000,
	CONN_CLOSE_MS = 1000, /* for the bye to be written */
	CONN_ADDRESS_MAX = 56,
};

/* Takes fd, also on failure. Returns new; NULL: no memory. connecting: fd is of
 * addr_connect(), on_up comes when it is established. */
struct conn *conn_new(struct am_loop *l, int fd, bool connecting,
    const struct conn_ops *ops, void *arg);
/* It speaks TLS; before its first turn. host: whom the certificate of the server
 * must name; NULL: this is the server. tls is borrowed until the connection is
 * established. A handshake that fails ends it: conn_error() is EPROTO, or EACCES
 * if the peer refused our certificate, and on_close says why. -ENOMEM. */
int conn_tls(struct conn *c, const struct tls *tls, const char *host);
/* Closes at once without a bye and without on_close. What was put and fits into
 * the kernel's buffer is still sent. */
void conn_drop(struct conn *c);
/* Sends bye with the reason, then closes when it is written (bounded: 1 s). */
void conn_close(struct conn *c, const char *reason);

enum conn_phase conn_phase(const struct conn *c);
/* Why it ended: errno of a failed connect or of TLS, ETIMEDOUT of a deadline,
 * else 0. */
int conn_error(const struct conn *c);
/* Did it end by the peer's own word, and not by a cut? */
bool conn_said_bye(const struct conn *c);
/* Where to put frames; marks the connection for this turn's write. What is put
 * after conn_close() is forgotten. */
struct am_buf *conn_out(struct conn *c);
/* What was put so far goes with what is put next, or after conn_now(); it does not
 * cause a write by itself. */
void conn_later(struct conn *c);
void conn_now(struct conn *c);
/* Was anything put that is to be written in this turn? */
bool conn_has_news(const struct conn *c);
/* on_flush is wanted at the end of this turn. */
void conn_dirty(struct conn *c);
/* Writes now what the kernel takes, for an owner that drops it before the turn
 * ends. */
void conn_flush(struct conn *c);
/* Bytes put and not yet taken by the kernel. */
size_t conn_backlog(const struct conn *c);
/* A longer frame closes it with "too_big"; ARPC_FRAME_MAX unless set. Holds from
 * the next frame on. */
void conn_set_frame_max(struct conn *c, size_t len);
/* Stops and resumes reading (back-pressure); counted, so calls must pair. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* Closes the connection in timeout_ms unless called again; 0: no deadline.
 * `what` (static) is the reason given. Not after conn_close(). */
void conn_deadline(struct conn *c, int64_t timeout_ms, const char *what);

/* Who is at the other end. The texts live as long as the connection. */
struct conn_peer {
	pid_t pid; /* of a Unix socket */
	uid_t uid; /* (uid_t)-1 on TCP */
	gid_t gid;
	/* Of TCP, if it was accepted: "10.0.0.1:4000"; else empty. */
	char address[CONN_ADDRESS_MAX];
	/* Of its certificate ("CN=alice,O=Example"); NULL: it has none. If
	 * the handshake failed it is only what it claims to be. */
	const char *subject;
	const char *common_name; /* of it; NULL: none, or several */
};
const struct conn_peer *conn_peer(const struct conn *c);
/* Is the other end on this host? By a Unix socket, by loopback, or by the same
 * address. */
bool conn_is_local(const struct conn *c);
/* Is the peer of a Unix socket in one of these groups, by its own or one of its
 * supplementary ones (when it connected)? */
bool conn_peer_in(const struct conn *c, const gid_t *gids, size_t n);

#endif
