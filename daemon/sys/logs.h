/* logs.h - what a worker prints, line by line into our log. */
#ifndef DAEMON_SYS_LOGS_H
#define DAEMON_SYS_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/amnode.h"

struct event;
struct worker_logs;

enum {
	LOGS_LINE_MAX = 2048, /* longer ones are logged in pieces */
	/* Of one stream, before it rests for a moment. */
	LOGS_TURN_LINES = 32,
	LOGS_TURN_BYTES = 16 * 1024,
	LOGS_LAST_MAX = 200,
	LOGS_END_LINES = 1000, /* of what a dead worker left in its FIFOs */
};

/* Lines of a worker that are let through; per_s 0: all. */
struct logs_rate {
	int64_t per_s;
	int64_t burst;
};

struct worker_log {
	struct worker_logs *logs; /* borrowed; NULL: not open */
	const char *stream;       /* static: "stdout", "stderr" */
	int fd;
	char *path; /* owned */
	char *line; /* owned; LOGS_LINE_MAX */
	size_t len;
	bool in_piece;   /* the beginning of this line is logged already */
	bool is_skipped; /* the rest of this line is left out */
	bool flush_due;  /* a line without a newline is one, too */
	struct event *event;
	struct am_timer rest;
};

struct worker_logs {
	const char *id; /* borrowed */
	struct worker_log out;
	struct worker_log err;
	struct logs_rate rate;
	int64_t credit_ns; /* what may be logged, in time at that rate */
	int64_t last_ns;
	uint64_t n_left_out; /* lines, not told yet */
	struct am_timer tell;
	char last[LOGS_LAST_MAX]; /* line of stderr, fit to be shown; or "" */
	unsigned n_end;           /* lines since the worker is dead */
	bool is_closing;
};

/* Makes the FIFOs (0600) and reads them. The worker opens them read-write, so
 * its end is not seen here: logs_done() drains them. 0 or -errno; logs_done() is
 * due either way. */
int logs_open(struct worker_logs *logs, struct am_loop *l, const char *id,
    struct logs_rate rate, const char *out_path, const char *err_path);
/* Logs what was printed so far, also without a newline at its end. */
void logs_flush(struct worker_logs *logs);
/* The worker is dead: logs what is left, so that `last` holds its last words. */
void logs_end(struct worker_logs *logs);
/* Logs what is left and removes the FIFOs. Idempotent, fine on zeroed memory. */
void logs_done(struct worker_logs *logs);

#endif
