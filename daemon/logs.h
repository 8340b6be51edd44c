/* logs.h - what a worker prints, line by line into our log. */
#ifndef DAEMON_LOGS_H
#define DAEMON_LOGS_H

#include <stddef.h>

#include "lib/amnode.h"

struct event;

enum {
	LOGS_LINE_MAX = 2048,      /* longer ones are split */
	LOGS_TURN_MAX = 64 * 1024, /* bytes a turn of one worker */
};

struct worker_log {
	int fd;             /* -1: none */
	const char *id;     /* borrowed */
	const char *stream; /* static: "stdout", "stderr" */
	char *path;         /* owned */
	char *line;         /* owned; LOGS_LINE_MAX */
	size_t len;
	struct event *event;
};

/* Makes the FIFO at path (0600) and reads it. The worker opens it read-write,
 * so its end is not seen here: logs_done() drains it. 0 or -errno. */
int logs_open(struct worker_log *log, struct am_loop *l, const char *id,
    const char *stream, const char *path);
/* Reads what is left, writes the last piece, removes the FIFO. Idempotent, fine
 * on zeroed memory. */
void logs_done(struct worker_log *log);

#endif
