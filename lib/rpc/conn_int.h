/* conn_int.h - the inside of a connection; private to conn*.c. */
#ifndef LIB_RPC_CONN_INT_H
#define LIB_RPC_CONN_INT_H

#include <assert.h>
#include <event2/event_struct.h>
#include <sys/socket.h>

#include "lib/rpc/conn.h"
#include "proto/mp.h"

enum {
	CONN_MAGIC = 0x636f6e6e,
	KEEP_MAX = 4096, /* the largest buffer that an idle connection keeps */
};

struct conn {
	uint32_t magic;
	struct am_loop *loop;       /* borrowed */
	const struct conn_ops *ops; /* borrowed */
	void *arg;
	int fd;
	enum conn_phase phase;
	int error;
	bool dirty;    /* on_flush was asked for */
	bool blocked;  /* the kernel's buffer is full, EV_WRITE is armed */
	bool said_bye; /* the peer */
	bool over;     /* the backlog was over soft */
	size_t soft;   /* at that on_room is called */
	size_t hard;   /* beyond it the connection ends */
	bool broken; /* the peer is gone: read its last frames, write nothing */
	bool is_tcp;
	bool shaking;         /* CONN_CONNECTING: in the TLS handshake */
	struct conn_tls *tls; /* owned; NULL: plain */
	unsigned paused;
	struct event rd;
	struct event wr;
	struct turn_item turn; /* to write; when dead: to be freed */
	struct turn_item next; /* frames that were left over */
	struct am_timer timer;
	struct am_timer ask; /* TCP: checks that the peer still answers */
	const char *late;    /* the reason when the timer fires */
	char *why;           /* given to conn_close() */
	struct mp_scan scan;
	/* Bytes that are not a complete frame yet. */
	uint8_t *in;
	size_t in_off, in_len, in_cap;
	struct am_buf out;
	size_t out_off; /* taken by the kernel */
	size_t later;   /* bytes that wait for other output */
	struct am_buf junk;
	struct conn_peer peer;
};

static inline struct conn *
conn_of(void *arg)
{
	struct conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	return c;
}

/* Ends it without a bye; calls on_close now. */
void conn_end(struct conn *c, const char *why);
/* The same for an errno of the socket. */
void conn_end_errno(struct conn *c, int error);

/* ---- conn_in.c: callbacks ---- */

void conn_on_readable(evutil_socket_t fd, short what, void *arg);
/* In the next turn: handles the frames that were left over. */
void conn_on_next(void *arg);

/* ---- conn_tcp.c ---- */

/* A TCP connection is connected. */
void conn_tcp_up(struct conn *c);
/* Something was written: checks that it gets acknowledged. */
void conn_tcp_wrote(struct conn *c);
void conn_tcp_on_ask(void *arg);

/* ---- conn_tls.c: for connections with TLS ---- */

/* Begins the handshake. -ENOMEM. */
int conn_tls_start(struct conn *c);
/* Continues it; calls on_up, or ends the connection. */
void conn_tls_shake(struct conn *c);
ssize_t conn_tls_recv(struct conn *c, void *p, size_t len);
ssize_t conn_tls_send(struct conn *c, const void *p, size_t len);
/* The socket has room: continues what TLS was waiting to write. */
void conn_tls_writable(struct conn *c);
/* Whether TLS holds input that the socket does not signal. */
bool conn_tls_pending(const struct conn *c);
/* The text for the last call that failed with EPROTO or EACCES. */
const char *conn_tls_error(const struct conn *c);
/* Sends close_notify, before the fd is closed. */
void conn_tls_close(struct conn *c);
void conn_tls_free(struct conn_tls *t);

static inline ssize_t
conn_recv(struct conn *c, void *p, size_t len)
{
	return c->tls == NULL ? recv(c->fd, p, len, 0)
			      : conn_tls_recv(c, p, len);
}

static inline ssize_t
conn_send(struct conn *c, const void *p, size_t len)
{
	return c->tls == NULL ? send(c->fd, p, len, MSG_NOSIGNAL)
			      : conn_tls_send(c, p, len);
}

#endif
