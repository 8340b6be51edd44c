/* conn.c - a connection's life and its output. */
#include "lib/proc/fd.h"
#include "lib/rpc/conn_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/rpc/addr.h"

/* ---- end ---- */

/* It may contain a token; a large one contains payloads. */
static void
wipe(void *p, size_t cap)
{
	if (p != NULL && cap <= KEEP_MAX)
		explicit_bzero(p, cap);
}

static void
conn_free(struct conn *c)
{
	am_timer_done(&c->timer);
	am_timer_done(&c->ask);
	conn_tls_free(c->tls);
	wipe(c->out.data, c->out.cap);
	wipe(c->in, c->in_cap);
	wipe(c->junk.data, c->junk.cap);
	am_buf_done(&c->out);
	am_buf_done(&c->junk);
	free(c->in);
	free(c->why);
	c->magic = 0;
	free(c);
}

static void
on_reap(void *arg)
{
	conn_free(conn_of(arg));
}

/* The only place that kills a connection. Callers on the stack may still read
 * c. */
static void
conn_kill(struct conn *c)
{
	c->phase = CONN_DEAD;
	(void)event_del(&c->rd);
	(void)event_del(&c->wr);
	am_timer_stop(&c->timer);
	am_timer_stop(&c->ask);
	if (c->tls != NULL)
		conn_tls_close(c);
	am_closep(&c->fd);
	loop_forget(c->loop, &c->next);
	c->turn.fn = on_reap;
	loop_at_reap(c->loop, &c->turn);
}

void
conn_end(struct conn *c, const char *why)
{
	if (c->phase == CONN_DEAD)
		return;
	conn_kill(c);
	c->ops->on_close(c, why, c->arg);
}

void
conn_end_errno(struct conn *c, int error)
{
	char why[ARPC_TEXT_MAX];

	switch (error) {
	case ECONNRESET:
	case EPIPE:
	case ETIMEDOUT: /* TCP: no acknowledgement */
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		conn_end(c, "eof");
		return;
	case EPROTO:
	case EACCES:
		if (c->tls == NULL)
			break;
		/* In TLS 1.3 the refusal of a server follows the handshake. */
		c->error = error;
		(void)snprintf(why, sizeof(why), "%s", conn_tls_error(c));
		conn_end(c, why);
		return;
	}
	conn_end(c, strerror(error));
}

void
conn_drop(struct conn *c)
{
	if (c->phase == CONN_DEAD)
		return;
	if (c->phase != CONN_CONNECTING && conn_backlog(c) > 0 &&
	    am_buf_error(&c->out) == 0)
		(void)!conn_send(c, c->out.data + c->out_off, conn_backlog(c));
	conn_kill(c);
}

static void
conn_close_text(struct conn *c, const char *reason, size_t len)
{
	if (c->phase == CONN_DEAD || c->phase == CONN_CLOSING)
		return;
	c->why = strndup(reason, len);
	(void)event_del(&c->rd);
	loop_forget(c->loop, &c->next);
	if (c->phase == CONN_CONNECTING) {
		(void)event_del(&c->wr);
		am_buf_reset(&c->out);
	} else {
		arpc_put_bye(&c->out, c->why == NULL ? "closed" : c->why);
	}
	c->phase = CONN_CLOSING;
	(void)am_timer_start(&c->timer, CONN_CLOSE_MS);
	loop_at_flush(c->loop, &c->turn);
}

void
conn_close(struct conn *c, const char *reason)
{
	conn_close_text(c, reason, strnlen(reason, ARPC_TEXT_MAX));
}

static void
on_timer(void *arg)
{
	struct conn *c = conn_of(arg);

	if (c->phase == CONN_CLOSING) {
		conn_end(c, c->why == NULL ? "closed" : c->why);
		return;
	}
	c->error = ETIMEDOUT;
	conn_close(c, c->late);
}

void
conn_deadline(struct conn *c, int64_t timeout_ms, const char *what)
{
	if (c->phase == CONN_CLOSING || c->phase == CONN_DEAD)
		return;
	c->late = what;
	if (timeout_ms > 0)
		(void)am_timer_start(&c->timer, timeout_ms);
	else
		am_timer_done(&c->timer);
}

/* ---- out ---- */

size_t
conn_backlog(const struct conn *c)
{
	return c->out.len - c->out_off;
}

struct am_buf *
conn_out(struct conn *c)
{
	if (c->phase == CONN_CLOSING || c->phase == CONN_DEAD) {
		am_buf_reset(&c->junk);
		return &c->junk;
	}
	if (c->out_off > 0 && c->out_off >= conn_backlog(c)) {
		memmove(c->out.data, c->out.data + c->out_off, conn_backlog(c));
		c->out.len -= c->out_off;
		c->out_off = 0;
	}
	loop_at_flush(c->loop, &c->turn);
	return &c->out;
}

void
conn_later(struct conn *c)
{
	c->later = conn_backlog(c);
}

void
conn_now(struct conn *c)
{
	c->later = 0;
	if (c->phase == CONN_UP)
		loop_at_flush(c->loop, &c->turn);
}

bool
conn_has_news(const struct conn *c)
{
	return conn_backlog(c) > c->later;
}

void
conn_dirty(struct conn *c)
{
	c->dirty = true;
	if (c->phase == CONN_UP)
		loop_at_flush(c->loop, &c->turn);
}

static void
out_reset(struct conn *c)
{
	c->out_off = 0;
	c->later = 0;
	if (c->out.cap > KEEP_MAX)
		am_buf_done(&c->out);
	else
		am_buf_reset(&c->out);
}

/* The peer is gone, but its bye may still be in the kernel's buffer. */
static void
on_write_error(struct conn *c, int error)
{
	/* Our own reason says more than that the bye did not arrive. */
	if (c->phase == CONN_CLOSING) {
		conn_end(c, c->why == NULL ? "closed" : c->why);
		return;
	}
	if ((error != EPIPE && error != ECONNRESET) || c->phase != CONN_UP) {
		conn_end_errno(c, error);
		return;
	}
	c->broken = true;
	loop_at_next(c->loop, &c->next);
}

static void
conn_write(struct conn *c)
{
	ssize_t n;

	/* Set before anything is written: the owner has seen this backlog, and
	 * waits for on_room. */
	if (conn_backlog(c) > c->soft)
		c->over = true;
	if (c->broken) {
		out_reset(c);
		return;
	}
	/* After a failed allocation the output is cut off; check_backlog() ends
	 * the connection. */
	if (!conn_has_news(c) || am_buf_error(&c->out) < 0)
		return;
	c->later = 0;
	n = conn_send(c, c->out.data + c->out_off, conn_backlog(c));
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		on_write_error(c, errno);
		return;
	}
	if (n > 0) {
		c->out_off += (size_t)n;
		conn_tcp_wrote(c);
	}
	if (conn_backlog(c) == 0) {
		out_reset(c);
		return;
	}
	c->blocked = true;
	if (event_add(&c->wr, NULL) < 0)
		conn_end(c, "no memory");
}

static void
check_backlog(struct conn *c)
{
	size_t backlog = conn_backlog(c);

	if (am_buf_error(&c->out) < 0) {
		conn_end(c, "no memory");
	} else if (c->phase == CONN_CLOSING) {
		if (backlog == 0)
			conn_end(c, c->why == NULL ? "closed" : c->why);
	} else if (backlog > c->hard) {
		conn_end(c, "reader too slow");
	} else if (c->over && backlog <= c->soft) {
		c->over = false;
		if (c->ops->on_room != NULL)
			c->ops->on_room(c, c->arg);
	}
}

static void
conn_up(struct conn *c)
{
	struct ucred cred;

	c->phase = CONN_UP;
	/* Only Unix sockets have credentials; the others are TCP. */
	if (proc_peer(c->fd, &cred) == 0 && cred.uid != (uid_t)-1)
		c->peer = (struct conn_peer){
			.pid = cred.pid,
			.uid = cred.uid,
			.gid = cred.gid,
		};
	else
		conn_tcp_up(c);
}

static void
know_address(struct conn *c)
{
	struct addr a = { .len = sizeof(a.sa) };

	if (c->peer.uid == (uid_t)-1 &&
	    getpeername(c->fd, (struct sockaddr *)&a.sa, &a.len) == 0)
		addr_format(&a, c->peer.address, sizeof(c->peer.address));
}

static void
check_connected(struct conn *c)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa);
	socklen_t len = sizeof(int);
	int error = 0;

	if (getpeername(c->fd, (struct sockaddr *)&sa, &sa_len) == 0) {
		if (c->tls != NULL) {
			error = -conn_tls_start(c);
		} else {
			conn_up(c);
			if (c->paused == 0 && event_add(&c->rd, NULL) < 0)
				error = ENOMEM;
		}
	} else {
		(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error == 0 && event_add(&c->wr, NULL) < 0)
			error = ENOMEM;
	}
	if (error != 0) {
		c->error = error;
		conn_end(c, strerror(error));
	} else if (c->shaking) {
		conn_tls_shake(c);
	} else if (c->phase == CONN_UP && c->ops->on_up != NULL) {
		c->ops->on_up(c, c->arg);
	}
}

/* The only write of the turn. */
static void
on_flush(void *arg)
{
	struct conn *c = conn_of(arg);

	if (c->phase == CONN_CONNECTING && !c->shaking)
		check_connected(c);
	if (c->phase == CONN_CONNECTING || c->phase == CONN_DEAD)
		return;
	if (c->blocked) {
		check_backlog(c);
		return;
	}
	if (c->dirty && c->phase == CONN_UP) {
		c->dirty = false;
		if (c->ops->on_flush != NULL)
			c->ops->on_flush(c, c->arg);
		if (c->phase == CONN_DEAD)
			return;
	}
	loop_forget(c->loop, &c->turn);
	conn_write(c);
	/* If on_flush made it dirty again, no other event would wake it. */
	if (c->dirty && c->phase == CONN_UP && !c->blocked)
		loop_at_next(c->loop, &c->turn);
	if (c->phase != CONN_DEAD)
		check_backlog(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = conn_of(arg);

	(void)fd;
	(void)what;
	c->blocked = false;
	if (c->tls != NULL && c->phase != CONN_CLOSING)
		conn_tls_writable(c);
	if (c->phase == CONN_DEAD)
		return;
	/* First the old output: differences are made when that is written. */
	if (c->phase != CONN_CONNECTING)
		conn_write(c);
	if (c->phase != CONN_DEAD)
		loop_at_flush(c->loop, &c->turn);
}

/* ---- life ---- */

struct conn *
conn_new(struct am_loop *l, int fd, bool connecting, const struct conn_ops *ops,
    void *arg)
{
	am_cleanup(am_closep) int own_fd = fd;
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = (struct conn){
		.magic = CONN_MAGIC,
		.loop = l,
		.ops = ops,
		.arg = arg,
		.fd = fd,
		.phase = CONN_CONNECTING,
		.soft = CONN_OUT_SOFT,
		.hard = CONN_OUT_HARD,
		.turn = { .fn = on_flush, .arg = c },
		.next = { .fn = conn_on_next, .arg = c },
		.out = AM_BUF_INIT,
		.junk = AM_BUF_INIT,
		.peer = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 },
	};
	mp_scan_init(&c->scan, ARPC_FRAME_MAX,
	    connecting ? MP_FRAME_DEPTH_MAX : MP_CALL_DEPTH_MAX);
	am_timer_init(&c->timer, l, on_timer, c);
	am_timer_init(&c->ask, l, conn_tcp_on_ask, c);
	(void)event_assign(&c->rd, loop_base(l), fd, EV_READ | EV_PERSIST,
	    conn_on_readable, c);
	(void)event_assign(&c->wr, loop_base(l), fd, EV_WRITE, on_writable, c);
	if (connecting) {
		loop_at_flush(l, &c->turn);
	} else {
		conn_up(c);
		know_address(c);
		if (event_add(&c->rd, NULL) < 0) {
			conn_free(c);
			return NULL;
		}
	}
	(void)am_steal_fd(&own_fd);
	return c;
}

void
conn_set_soft(struct conn *c, size_t bytes)
{
	c->soft = bytes;
}

void
conn_set_hard(struct conn *c, size_t bytes)
{
	c->hard = bytes;
}

enum conn_phase
conn_phase(const struct conn *c)
{
	return c->phase;
}

int
conn_error(const struct conn *c)
{
	return c->error;
}

bool
conn_said_bye(const struct conn *c)
{
	return c->said_bye;
}

const struct conn_peer *
conn_peer(const struct conn *c)
{
	return &c->peer;
}

static bool
has_gid(const gid_t *gids, size_t n, gid_t gid)
{
	for (size_t i = 0; i < n; i++) {
		if (gids[i] == gid)
			return true;
	}
	return false;
}

bool
conn_peer_in(const struct conn *c, const gid_t *gids, size_t n)
{
	am_cleanup(am_freep) gid_t *of_peer = NULL;
	socklen_t len = 0;

	if (c->peer.uid == (uid_t)-1 || n == 0)
		return false;
	if (has_gid(gids, n, c->peer.gid))
		return true;
	/* This returns the number of groups. */
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 ||
	    errno != ERANGE)
		return false;
	of_peer = malloc(len);
	if (of_peer == NULL ||
	    getsockopt(c->fd, SOL_SOCKET, SO_PEERGROUPS, of_peer, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*of_peer); i++) {
		if (has_gid(gids, n, of_peer[i]))
			return true;
	}
	return false;
}
