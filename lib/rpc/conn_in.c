/* conn_in.c - a connection's input: bytes to frames. */
#include "lib/rpc/conn_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	IN_ROOM = 16 * 1024,
	/* Read, and put, by a connection in a turn. */
	TURN_BYTES = 256 * 1024,
	/* A frame counts as one more for each of these, so that two parts of a
	 * large payload and a clock fit into one turn. */
	FRAME_WORK = 8 * 1024,
};

static void
on_bye(struct conn *c, const struct arpc_frame *f)
{
	struct mp params = mp_of(f->params);
	char why[ARPC_TEXT_MAX] = "bye";
	const char *text;
	size_t len;
	uint32_t n;

	if (mp_get_array(&params, &n) == 0 && n > 0 &&
	    mp_get_str(&params, &text, &len) == 0 && len > 0 &&
	    text[0] != '\0') {
		len = len < sizeof(why) ? len : sizeof(why) - 1;
		/* It is printed: it must not forge lines in a log, or set
		 * colours. */
		for (size_t i = 0; i < len; i++)
			why[i] = iscntrl((unsigned char)text[i]) ? '?'
								 : text[i];
		why[len] = '\0';
	}
	c->said_bye = true;
	conn_end(c, why);
}

static void
close_too_big(struct conn *c)
{
	size_t max = c->scan.max_len;
	bool is_large = max >= 1024 * 1024;
	char text[64];

	(void)snprintf(text, sizeof(text), "too_big: frame over %zu %s",
	    is_large ? max / (1024 * 1024) : max / 1024,
	    is_large ? "MiB" : "KiB");
	conn_close(c, text);
}

static void
on_scan_error(struct conn *c, enum mp_scan_result r)
{
	switch (r) {
	case MP_SCAN_DONE:
	case MP_SCAN_MORE:
		return;
	case MP_SCAN_BAD:
		conn_close(c, "bad_frame: not MessagePack");
		return;
	case MP_SCAN_DEEP:
		conn_close(c, "too_deep: nested over 32 levels");
		return;
	case MP_SCAN_BIG:
		close_too_big(c);
		return;
	}
}

void
conn_set_frame_max(struct conn *c, size_t len)
{
	c->scan.max_len = len;
}

static void
take_frame(struct conn *c, const uint8_t *p, size_t len)
{
	struct arpc_frame f;
	const char *why = NULL;
	char text[ARPC_TEXT_MAX];

	if (arpc_frame_get(p, len, &f, &why) < 0) {
		(void)snprintf(text, sizeof(text), "bad_frame: %s", why);
		conn_close(c, text);
	} else if (f.kind == ARPC_NOTIFICATION && f.method == ARPC_bye) {
		on_bye(c, &f);
	} else {
		c->ops->on_frame(c, &f, c->arg);
	}
}

/* Passes the complete frames in p to the owner; returns the bytes they took. */
static size_t
take_frames(struct conn *c, const uint8_t *p, size_t len)
{
	size_t backlog = conn_backlog(c);
	size_t share = loop_share(c->loop, CONN_TURN_FRAMES);
	enum mp_scan_result r;
	size_t off = 0;
	size_t frame_len;
	size_t work;

	for (size_t done = 0; off < len; done += work) {
		if (c->phase != CONN_UP || c->paused > 0)
			return off;
		if (done >= share || conn_backlog(c) > backlog + TURN_BYTES) {
			loop_at_next(c->loop, &c->next);
			return off;
		}
		r = mp_scan(&c->scan, p + off, len - off, &frame_len);
		if (r == MP_SCAN_MORE)
			return off;
		if (r != MP_SCAN_DONE) {
			on_scan_error(c, r);
			return off;
		}
		take_frame(c, p + off, frame_len);
		off += frame_len;
		work = 1 + frame_len / FRAME_WORK;
		loop_worked(c->loop, work);
	}
	return off;
}

/* Makes room for len more bytes after those that wait. */
static int
in_reserve(struct conn *c, size_t len)
{
	uint8_t *in;
	size_t cap;

	if (c->in_off > 0) {
		memmove(c->in, c->in + c->in_off, c->in_len - c->in_off);
		c->in_len -= c->in_off;
		c->in_off = 0;
	}
	if (c->in_cap - c->in_len >= len)
		return 0;
	cap = c->in_cap * 2 > c->in_len + len ? c->in_cap * 2 : c->in_len + len;
	in = realloc(c->in, cap);
	if (in == NULL)
		return -ENOMEM;
	c->in = in;
	c->in_cap = cap;
	return 0;
}

static void
take_waiting(struct conn *c)
{
	if (c->in_off < c->in_len)
		c->in_off += take_frames(c, c->in + c->in_off,
		    c->in_len - c->in_off);
	if (c->in_off < c->in_len || c->phase == CONN_DEAD)
		return;
	c->in_off = 0;
	c->in_len = 0;
	if (c->in_cap > KEEP_MAX) {
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
}

static void
on_no_data(struct conn *c, ssize_t n)
{
	if (n == 0)
		conn_end(c, "eof");
	else if (errno != EAGAIN && errno != EINTR)
		conn_end_errno(c, errno);
}

/* Reads once. If nothing waits, it reads into the memory of the loop and copies
 * only the rest. Returns whether there may be more. */
static bool
conn_read(struct conn *c)
{
	size_t used;
	size_t size;
	uint8_t *p;
	ssize_t n;

	if (c->in_len > c->in_off) {
		if (in_reserve(c, IN_ROOM) < 0) {
			conn_end(c, "no memory");
			return false;
		}
		size = c->in_cap - c->in_len;
		n = conn_recv(c, c->in + c->in_len,
		    size < TURN_BYTES ? size : TURN_BYTES);
		if (n <= 0) {
			on_no_data(c, n);
			return false;
		}
		c->in_len += (size_t)n;
		take_waiting(c);
		return c->phase == CONN_UP;
	}
	p = loop_scratch(c->loop, &size);
	n = conn_recv(c, p, size);
	if (n <= 0) {
		on_no_data(c, n);
		return false;
	}
	used = take_frames(c, p, (size_t)n);
	if (used == (size_t)n || c->phase != CONN_UP)
		return c->phase == CONN_UP;
	if (in_reserve(c, (size_t)n - used) < 0) {
		conn_end(c, "no memory");
		return false;
	}
	memcpy(c->in + c->in_len, p + used, (size_t)n - used);
	c->in_len += (size_t)n - used;
	return true;
}

/* TLS may hold the rest of a record, which the socket does not signal. */
static void
read_pending(struct conn *c)
{
	if (c->tls != NULL && c->phase == CONN_UP && c->paused == 0 &&
	    conn_tls_pending(c))
		loop_at_next(c->loop, &c->next);
}

void
conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = conn_of(arg);

	(void)fd;
	(void)what;
	if (c->shaking && c->phase == CONN_CONNECTING) {
		conn_tls_shake(c);
		return;
	}
	/* conn_on_next() handles leftover input first. */
	if (c->phase == CONN_UP && c->next.in == NULL)
		(void)conn_read(c);
	read_pending(c);
}

void
conn_on_next(void *arg)
{
	struct conn *c = conn_of(arg);

	if (c->phase != CONN_UP || (c->paused > 0 && !c->broken))
		return;
	take_waiting(c);
	if (c->tls != NULL && !c->broken && c->phase == CONN_UP &&
	    c->paused == 0 && c->next.in == NULL) {
		if (conn_tls_pending(c))
			(void)conn_read(c);
		read_pending(c);
	}
	if (!c->broken || c->phase != CONN_UP || c->next.in != NULL)
		return;
	if (c->paused == 0 && conn_read(c))
		loop_at_next(c->loop, &c->next);
	else
		conn_end(c, "eof");
}

void
conn_pause(struct conn *c)
{
	if (c->paused++ == 0 && c->phase == CONN_UP)
		(void)event_del(&c->rd);
}

void
conn_resume(struct conn *c)
{
	assert(c->paused > 0);
	if (--c->paused > 0 || c->phase != CONN_UP)
		return;
	if (event_add(&c->rd, NULL) < 0)
		conn_close(c, "internal: no memory");
	if (c->in_len > c->in_off || c->tls != NULL)
		loop_at_next(c->loop, &c->next);
}
