#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

enum { READ_LEN = 64 * 1024 };

/* epoll takes no files, and knows no end of them either. */
static bool
is_pollable(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || isatty(fd) == 1;
}

static bool
poll_now(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what };

	return poll(&p, 1, 0) == 1;
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct lines_in *in = (struct lines_in *)arg;

	(void)fd;
	(void)what;
	in->ready = true;
}

int
lines_in_init(struct lines_in *in, struct event_base *base, int fd)
{
	*in = (struct lines_in){ .fd = fd, .pollable = is_pollable(fd) };
	if (!in->pollable)
		return 0;
	in->event = event_new(base, fd, EV_READ, on_input, in);
	return in->event == NULL ? -ENOMEM : 0;
}

void
lines_in_done(struct lines_in *in)
{
	if (in->event != NULL)
		event_free(in->event);
	in->event = NULL;
	free(in->buf);
	in->buf = NULL;
}

void
lines_wait(struct lines_in *in)
{
	/* One shot: with what nobody wants to read the loop would spin. */
	if (in->event != NULL && !in->ready)
		(void)event_add(in->event, NULL);
}

/* A whole line is in the buffer; takes it. */
static enum line_kind
take(struct lines_in *in, const char *end, const char **ret_line,
    size_t *ret_len)
{
	*ret_line = in->buf + in->off;
	*ret_len = (size_t)(end - *ret_line);
	in->off += *ret_len + (end < in->buf + in->len);
	if (in->dropping || *ret_len > LINE_MAX_LEN) {
		in->dropping = false;
		return LINE_LONG;
	}
	return LINE_OK;
}

static enum line_kind
find(struct lines_in *in, const char **ret_line, size_t *ret_len)
{
	const char *nl = in->len == in->off
	    ? NULL
	    : memchr(in->buf + in->off, '\n', in->len - in->off);

	if (nl != NULL)
		return take(in, nl, ret_line, ret_len);
	if (in->eof && (in->len > in->off || in->dropping))
		return take(in, in->buf + in->len, ret_line, ret_len);
	return in->eof ? LINE_EOF : LINE_NONE;
}

/* Room for one more read; a line too long is dropped as it comes. */
static int
make_room(struct lines_in *in)
{
	char *buf;
	size_t cap;

	if (in->off > 0) {
		memmove(in->buf, in->buf + in->off, in->len - in->off);
		in->len -= in->off;
		in->off = 0;
	}
	if (in->len > LINE_MAX_LEN) {
		in->dropping = true;
		in->len = 0;
	}
	if (in->cap - in->len >= READ_LEN)
		return 0;
	cap = in->cap == 0 ? READ_LEN : 2 * in->cap;
	while (cap - in->len < READ_LEN)
		cap *= 2;
	buf = realloc(in->buf, cap);
	if (buf == NULL)
		return -ENOMEM;
	in->buf = buf;
	in->cap = cap;
	return 0;
}

int
lines_next(struct lines_in *in, enum line_kind *ret, const char **ret_line,
    size_t *ret_len)
{
	for (;;) {
		ssize_t n;
		int rc;

		*ret = find(in, ret_line, ret_len);
		if (*ret != LINE_NONE)
			return 0;
		if (in->pollable && !in->ready && !poll_now(in->fd, POLLIN))
			return 0;
		rc = make_room(in);
		if (rc < 0)
			return rc;
		n = read(in->fd, in->buf + in->len, READ_LEN);
		in->ready = false;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return -errno;
		in->eof = n == 0;
		in->len += (size_t)n;
	}
}

/* ---- out ---- */

static void
on_room(evutil_socket_t fd, short what, void *arg)
{
	struct lines_out *out = (struct lines_out *)arg;

	(void)fd;
	(void)what;
	out->waiting = false;
}

/* Another description of the same pipe or terminal: non-blocking for us alone. */
static int
reopen(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static enum lines_how
how_to(int fd, int *ret_own_fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return LINES_BLOCKING;
	if (S_ISSOCK(st.st_mode))
		return LINES_SOCKET;
	if (!S_ISFIFO(st.st_mode) && isatty(fd) != 1)
		return LINES_BLOCKING;
	*ret_own_fd = reopen(fd);
	return *ret_own_fd >= 0 ? LINES_OWN_FD : LINES_POLL;
}

int
lines_out_init(struct lines_out *out, struct event_base *base, int fd)
{
	*out = (struct lines_out){ .fd = fd, .own_fd = -1 };
	out->how = how_to(fd, &out->own_fd);
	if (out->own_fd >= 0)
		out->fd = out->own_fd;
	if (out->how == LINES_BLOCKING)
		return 0;
	out->event = event_new(base, out->fd, EV_WRITE, on_room, out);
	return out->event == NULL ? -ENOMEM : 0;
}

void
lines_out_done(struct lines_out *out)
{
	if (out->event != NULL)
		event_free(out->event);
	out->event = NULL;
	am_closep(&out->own_fd);
	am_buf_done(&out->buf);
}

static void
wrote(struct lines_out *out, size_t n)
{
	out->off += n;
	if (out->off == out->buf.len) {
		am_buf_reset(&out->buf);
		out->off = 0;
	} else if (out->off >= READ_LEN) {
		buf_consume(&out->buf, out->off);
		out->off = 0;
	}
}

/* As write(), and -1 with EAGAIN if it would have to wait. */
static ssize_t
write_now(const struct lines_out *out, const char *p, size_t len)
{
	if (out->how == LINES_SOCKET)
		return send(out->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (out->how == LINES_POLL) {
		if (!poll_now(out->fd, POLLOUT)) {
			errno = EAGAIN;
			return -1;
		}
		len = len < PIPE_BUF ? len : PIPE_BUF;
	}
	return write(out->fd, p, len);
}

int
lines_flush(struct lines_out *out)
{
	while (lines_out_len(out) > 0) {
		ssize_t n = write_now(out, out->buf.data + out->off,
		    lines_out_len(out));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && out->event != NULL) {
			if (!out->waiting && event_add(out->event, NULL) == 0)
				out->waiting = true;
			return 0;
		}
		if (n < 0)
			return -errno;
		wrote(out, (size_t)n);
	}
	return 0;
}
