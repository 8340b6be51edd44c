/* wire.h - one end of a connection as a fuzzer plays it: what it says goes out
 * as it is and is read along; what it hears must be frames. */
#ifndef TESTS_FUZZ_WIRE_H
#define TESTS_FUZZ_WIRE_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "proto/arpc.h"
#include "proto/mp.h"

/* The byte that MessagePack reserves is an escape in an input: the one after it
 * is an action, low four bits, and its argument. All others are said. */
enum { ESCAPE = 0xc1 };

/* A stream read along: its frames, and what is left of the last one. */
struct wire_reader {
	struct mp_scan scan;
	struct am_buf left;
	bool ended; /* by bye, or by something that is no frame */
};

struct wire {
	int fd; /* -1: none */
	struct wire_reader said;
	struct wire_reader heard;
	bool over; /* the other end has closed it */
	bool mute; /* nothing can be said any more */
};

typedef void (*wire_fn)(const struct arpc_frame *f, void *arg);

static inline void
wire_init(struct wire *w, int fd)
{
	*w = (struct wire){ .fd = fd };
	w->said.left = AM_BUF_INIT;
	w->heard.left = AM_BUF_INIT;
	mp_scan_init(&w->said.scan, ARPC_FRAME_MAX, MP_FRAME_DEPTH_MAX);
	mp_scan_init(&w->heard.scan, ARPC_FRAME_MAX, MP_FRAME_DEPTH_MAX);
}

static inline void
wire_done(struct wire *w)
{
	am_closep(&w->fd);
	am_buf_done(&w->said.left);
	am_buf_done(&w->heard.left);
}

/* Gives fn the whole frames up to a bye. */
static inline void
wire_read_along(struct wire_reader *r, const void *data, size_t len, wire_fn fn,
    void *arg)
{
	const char *why = NULL;
	const uint8_t *p;
	struct arpc_frame f;
	size_t off = 0, frame_len;
	enum mp_scan_result result;

	if (r->ended)
		return;
	buf_append(&r->left, data, len);
	assert(am_buf_error(&r->left) == 0);
	p = (const uint8_t *)r->left.data;
	while (!r->ended && off < r->left.len) {
		result = mp_scan(&r->scan, p + off, r->left.len - off,
		    &frame_len);
		if (result == MP_SCAN_MORE)
			break;
		if (result != MP_SCAN_DONE ||
		    arpc_frame_get(p + off, frame_len, &f, &why) < 0) {
			r->ended = true;
			return;
		}
		r->ended = f.kind == ARPC_NOTIFICATION && f.method == ARPC_bye;
		if (fn != NULL)
			fn(&f, arg);
		off += frame_len;
	}
	buf_consume(&r->left, off);
}

/* What the kernel does not take is not said. */
static inline void
wire_say(struct wire *w, const void *data, size_t len, wire_fn fn, void *arg)
{
	ssize_t n;

	if (w->fd < 0 || w->mute || len == 0)
		return;
	n = send(w->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n <= 0) {
		w->mute = true;
		return;
	}
	wire_read_along(&w->said, data, (size_t)n, fn, arg);
	w->mute = (size_t)n < len;
}

/* Nothing that is no frame may be heard, and nothing after a bye. Returns the
 * bytes that came. */
static inline size_t
wire_hear(struct wire *w, wire_fn fn, void *arg)
{
	static uint8_t bytes[256 * 1024];
	size_t sum = 0;
	ssize_t n;

	if (w->fd < 0 || w->over)
		return 0;
	do {
		n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n <= 0)
			break;
		assert(!w->heard.ended);
		wire_read_along(&w->heard, bytes, (size_t)n, fn, arg);
		assert(!w->heard.ended || w->heard.left.len == 0);
		sum += (size_t)n;
	} while ((size_t)n == sizeof(bytes));
	w->over = n == 0 || (n < 0 && errno == ECONNRESET);
	assert(n >= 0 || w->over || errno == EAGAIN);
	return sum;
}

/* A listening socket without a name in the file system, and its address. */
static inline int
wire_listen(struct sockaddr_un *ret, socklen_t *ret_len)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*ret_len = sizeof(*ret);
	assert(fd >= 0);
	assert(bind(fd, (struct sockaddr *)&sun, sizeof(sa_family_t)) == 0);
	assert(listen(fd, 16) == 0);
	assert(getsockname(fd, (struct sockaddr *)ret, ret_len) == 0);
	return fd;
}

#endif
