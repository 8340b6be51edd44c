/* lines.h - lines from a descriptor and to one, without ever blocking on it
 * and without changing its flags, which are shared with other processes. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <event2/event.h>

#include "lib/amnode.h"

enum { LINE_MAX_LEN = 1024 * 1024 };

enum line_kind {
	LINE_NONE, /* not yet: see lines_wait() */
	LINE_OK,
	LINE_LONG, /* over LINE_MAX_LEN; its bytes were dropped */
	LINE_EOF,
};

struct lines_in {
	int fd;
	bool
	    pollable; /* a pipe, a socket, a terminal; else it is always ready */
	bool eof;
	bool dropping; /* the rest of a long line */
	bool ready;    /* the event said so */
	char *buf;
	size_t off; /* of the next line */
	size_t len; /* the end of what was read */
	size_t cap;
	struct event *event;
};

/* Borrows fd. 0 or -ENOMEM. */
int lines_in_init(struct lines_in *in, struct event_base *base, int fd);
void lines_in_done(struct lines_in *in);
/* The next line without its newline; borrowed until the next call. Reads if
 * that does not block. *ret is an enum line_kind. -errno of read. */
int lines_next(struct lines_in *in, enum line_kind *ret, const char **ret_line,
    size_t *ret_len);
/* Has the loop wake up when lines_next() can go on. */
void lines_wait(struct lines_in *in);

enum lines_how {
	LINES_BLOCKING, /* a file: it never waits for anybody */
	LINES_OWN_FD, /* a pipe, a terminal: opened anew, its flags are ours */
	LINES_SOCKET, /* a flag of each write */
	LINES_POLL,   /* one that cannot be: PIPE_BUF bytes if poll() says so */
};

struct lines_out {
	int fd;
	int own_fd; /* closed with it; -1 */
	enum lines_how how;
	bool waiting; /* the event is armed */
	struct am_buf buf;
	size_t off; /* written of it */
	struct event *event;
};

int lines_out_init(struct lines_out *out, struct event_base *base, int fd);
void lines_out_done(struct lines_out *out);
static inline size_t
lines_out_len(const struct lines_out *out)
{
	return out->buf.len - out->off;
}
/* Writes what can be written at once, and has the loop wake up for the rest.
 * -errno of write; -EPIPE: the reader is gone. */
int lines_flush(struct lines_out *out);

#endif
