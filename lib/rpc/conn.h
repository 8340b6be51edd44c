/* conn.h - one aRPC connection: bytes to frames, frames to bytes, its end.
 *
 * It reads and writes directly, and arms EV_WRITE only after EAGAIN. Everything
 * put into conn_out() goes out in one write at the end of the turn. */
#ifndef LIB_RPC_CONN_H
#define LIB_RPC_CONN_H

#include <sys/types.h>

#include "lib/loop/loop.h"
#include "proto/arpc.h"

enum conn_phase {
	CONN_CONNECTING, /* connect() or the TLS handshake is in progress */
	CONN_UP,
	CONN_CLOSING, /* the bye is being written; nothing is read any more */
	CONN_DEAD,    /* closed; freed after the turn */
};

struct conn;
struct tls;

/* Callbacks. None is called after on_close. They may close the connection. */
struct conn_ops {
	/* Connected, with TLS after the handshake: the peer is known. Not
	 * called for a connection accepted without TLS. May be NULL. */
	void (*on_up)(struct conn *c, void *arg);
	/* One complete, well-formed frame; borrowed. */
	void (*on_frame)(struct conn *c, const struct arpc_frame *f, void *arg);
	/* After conn_dirty(), at the end of the turn, before writing: the last
	 * chance to append. If the peer reads slowly, this waits until the
	 * kernel has taken everything, so that differences appended here never
	 * pile up. May be NULL. */
	void (*on_flush)(struct conn *c, void *arg);
	/* The backlog has fallen to CONN_OUT_SOFT again. May be NULL. */
	void (*on_room)(struct conn *c, void *arg);
	/* The connection is over. why is "eof", the reason of the peer's bye,
	 * the reason given to conn_close(), or what was wrong with a frame. It
	 * is never called from within conn_close(). The owner must forget the
	 * conn here; it frees itself after the turn. */
	void (*on_close)(struct conn *c, const char *why, void *arg);
};

enum {
	/* With a larger backlog a server reads nothing from this peer. */
	CONN_OUT_SOFT = 1 << 20,
	/* With a larger backlog it is closed ("reader too slow"). */
	CONN_OUT_HARD = 96 << 20,
	/* TCP buffers, each way. Whatever the kernel has taken is ahead of
	 * later output, and by default it takes many megabytes. */
	CONN_KERNEL = 256 * 1024,
	/* TCP keepalive, since a host that is gone says nothing: asked after
	 * this long a silence, this often; without an answer it is eof. */
	CONN_IDLE_S = 15,
	CONN_ASK_S = 5,
	CONN_ASK_TIMES = 3,
	/* How often unacknowledged data is sent again, at growing intervals: 25
	 * s in all. */
	CONN_REPEATS = 7,
	CONN_TURN_FRAMES = 256, /* frames a turn, then others get their turn */
	CONN_HELLO_MS = 5000,
	CONN_CLOSE_MS = 1000, /* to write the bye */
	CONN_ADDRESS_MAX = 56,
};

/* Takes fd, also on failure. Returns new; NULL: no memory. connecting: fd is
 * from addr_connect(), and on_up is called when it is connected. */
struct conn *conn_new(struct am_loop *l, int fd, bool connecting,
    const struct conn_ops *ops, void *arg);
/* Makes it speak TLS; call this before its first turn. host is the name that
 * the certificate of the server must have; NULL on the server's side. tls is
 * borrowed until the connection is established. If the handshake fails the
 * connection ends: conn_error() is EPROTO, or EACCES if the peer refused our
 * certificate, and on_close gets the reason. -ENOMEM. */
int conn_tls(struct conn *c, const struct tls *tls, const char *host);
/* Closes at once, without a bye and without on_close. Output that fits into the
 * kernel's buffer is still sent. */
void conn_drop(struct conn *c);
/* Sends a bye with this reason, and closes when it is written, or after 1 s. */
void conn_close(struct conn *c, const char *reason);

enum conn_phase conn_phase(const struct conn *c);
/* Why it ended: the errno of a failed connect or of TLS, ETIMEDOUT for a
 * deadline, else 0. */
int conn_error(const struct conn *c);
/* Whether the peer said bye. */
bool conn_said_bye(const struct conn *c);
/* Where to put frames; schedules a write for this turn. Frames put after
 * conn_close() are dropped. */
struct am_buf *conn_out(struct conn *c);
/* Output put so far causes no write by itself: it goes out with the next frame,
 * or after conn_now(). */
void conn_later(struct conn *c);
void conn_now(struct conn *c);
/* Whether there is output to be written in this turn. */
bool conn_has_news(const struct conn *c);
/* Asks for on_flush at the end of this turn. */
void conn_dirty(struct conn *c);
/* Bytes of output that the kernel has not taken yet. */
size_t conn_backlog(const struct conn *c);
/* Longer frames close the connection with "too_big"; ARPC_FRAME_MAX unless set.
 * Applies from the next frame on. */
void conn_set_frame_max(struct conn *c, size_t len);
/* The backlog from which on on_room is called when it has fallen to it again;
 * CONN_OUT_SOFT at most, which it is unless set. */
void conn_set_soft(struct conn *c, size_t bytes);
/* With a larger backlog the connection ends; CONN_OUT_HARD unless set. */
void conn_set_hard(struct conn *c, size_t bytes);
/* Stop and resume reading, for back-pressure. They count, so calls must
 * pair. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* Closes the connection in timeout_ms unless called again; 0: no deadline.
 * `what` (static) is the reason. No effect after conn_close(). */
void conn_deadline(struct conn *c, int64_t timeout_ms, const char *what);

/* The peer. The texts live as long as the connection. */
struct conn_peer {
	pid_t pid; /* Unix sockets only */
	uid_t uid; /* (uid_t)-1 on TCP */
	gid_t gid;
	/* TCP connections that were accepted: "10.0.0.1:4000"; else empty. */
	char address[CONN_ADDRESS_MAX];
	/* Of its certificate ("CN=alice,O=Example"); NULL: it has none. If the
	 * handshake failed this is only a claim. */
	const char *subject;
	const char *common_name; /* likewise; NULL: none, or several */
};
const struct conn_peer *conn_peer(const struct conn *c);
/* Whether the peer is on this host: by a Unix socket, loopback, or its own
 * address. */
bool conn_is_local(const struct conn *c);
/* Whether the peer of a Unix socket was in one of these groups when it
 * connected, supplementary groups included. */
bool conn_peer_in(const struct conn *c, const gid_t *gids, size_t n);

#endif
