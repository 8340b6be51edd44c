/* lines.h - am-worker/1: the program's lines to messages, the host's messages
 * to lines. No I/O. am-worker(7) is the specification. */
#ifndef DAEMON_EXEC_LINES_H
#define DAEMON_EXEC_LINES_H

#include "lib/amnode.h"

enum {
	/* Worker.LineMax=, bytes without the newline. */
	LINE_MAX_LOWEST = 64 * 1024,
	LINE_MAX_DEFAULT = 16 * 1024 * 1024,
	LINE_READ = 64 * 1024,  /* bytes asked of one read() */
	LINE_KEEP = 256 * 1024, /* of a buffer, when a line is done with */
	LINE_CODE_MAX = 64,
	LINE_TEXT_MAX = 1024,
	LINE_SHOW_BYTES = 200, /* of a bad line, in the log */
	LINE_CONCURRENCY_MAX = 1024,
};

enum line_kind {
	LINE_NOTHING, /* no key that we know: ignored */
	LINE_READY,
	LINE_ANSWER,
	LINE_ERROR,
	LINE_REFUSAL,
	LINE_PROGRESS,
	LINE_CHUNK,
	LINE_BAD_PART, /* progress or chunk: the answer is still to come */
	LINE_ADD,
	LINE_REMOVE,
	LINE_PONG,
	LINE_IDLE,
};

/* One line of the program. Values are borrowed from the buffer that
 * line_parse() was given. */
struct line_msg {
	enum line_kind kind;
	uint64_t req;        /* LINE_ANSWER to LINE_CHUNK */
	struct am_val data;  /* payload, progress, chunk, args; or AM_NONE */
	struct am_val names; /* LINE_ADD, LINE_REMOVE: an array */
	/* LINE_ERROR, LINE_BAD_PART: of the error; LINE_REFUSAL: the reason */
	char code[LINE_CODE_MAX];
	char text[LINE_TEXT_MAX];
};

/* What the program said when it got ready. */
struct line_ready {
	bool can_ping;
	bool can_reset;
	bool can_cancel;
	unsigned int concurrency;
	struct am_val states; /* an array of rows, or AM_NONE */
};

/* Parses one line; buf is emptied and holds the values afterwards. -EBADMSG
 * with the reason in err: a protocol error. -ENOMEM. JSON that cannot be carried
 * spoils the request that it is for, not the program: it becomes a LINE_ERROR or
 * LINE_BAD_PART with the code "bad_payload". So does "req" without a key that we
 * know, with the code "bad_answer". */
int line_parse(const char *line, size_t len, struct am_buf *buf,
    struct line_msg *ret, struct am_error *err);
/* The same of a line that is longer than max, by its beginning, with the code
 * "too_big": "req" must be there, and the key of progress or a chunk: otherwise it
 * is taken for the answer. */
int line_parse_long(const char *line, size_t len, size_t max,
    struct am_buf *buf, struct line_msg *ret, struct am_error *err);
/* The details of a LINE_READY, from its buf. -EBADMSG with a message. */
int line_parse_ready(struct am_val whole, struct line_ready *ret,
    struct am_error *err);

/* Calls fn for each string of an array until it returns other than 0; gives
 * that, 0, or -EINVAL if val is no array of strings (fn may have been called
 * for those before). */
int line_each_name(struct am_val val,
    int (*fn)(const char *name, size_t len, void *arg), void *arg);

/* Each appends one whole line. args_json: an object; length 0 is {}.
 * deadline_ms: -1 is none. */
void line_put_request(struct am_buf *b, uint64_t req, const char *args_json,
    size_t len, int64_t deadline_ms);
void line_put_cancel(struct am_buf *b, uint64_t req);
void line_put_ping(struct am_buf *b);
void line_put_lease_begin(struct am_buf *b, const char *client);
void line_put_lease_end(struct am_buf *b);
void line_put_stop(struct am_buf *b, const char *reason);
/* Bytes that line_put_request() adds to the args at most. */
enum { LINE_REQUEST_FRAME = 128 };

/* Empties a buffer that held one, and gives back what a long one took. */
void line_buf_reset(struct am_buf *b);

/* Bytes to lines. Starts with max alone. */
struct line_in {
	size_t max; /* bytes of a line */
	char *data;
	size_t len; /* bytes that are there */
	size_t cap;
	size_t start;     /* of the line that comes next */
	size_t scanned;   /* no newline before this */
	bool is_skipping; /* the rest of a line that was too long */
};
void line_in_done(struct line_in *in);
/* Where to read to: at least LINE_READ bytes. Moves what is there: lines that
 * were borrowed are gone. -ENOMEM. */
int line_in_room(struct line_in *in, char **ret_p, size_t *ret_len);
void line_in_put(struct line_in *in, size_t n); /* n bytes were read */
/* 1: a line, borrowed, the same again until line_in_drop(). 0: none yet.
 * -EMSGSIZE: longer than max, of which *ret_line is the beginning; the same. */
int line_in_next(struct line_in *in, const char **ret_line, size_t *ret_len);
void line_in_drop(struct line_in *in);

#endif
