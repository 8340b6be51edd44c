/* prog.h - the program: its process, and the two pipes to it. */
#ifndef DAEMON_EXEC_PROG_H
#define DAEMON_EXEC_PROG_H

#include <event2/event.h>
#include <sys/types.h>

#include "daemon/exec/lines.h"
#include "lib/loop/loop.h"

enum {
	PROG_FD_IN = 3,  /* the program reads from it */
	PROG_FD_OUT = 4, /* and writes to it */
	/* More than this waiting for the program: it gets no new request. */
	PROG_OUT_SOFT = 1024 * 1024,
};

/* None is called from within a function of this header, but for the first two
 * from prog_resume(). */
struct prog_ops {
	/* One line of fd 4. -EAGAIN: keep it, read no more until
	 * prog_resume(). */
	int (*on_line)(const char *line, size_t len, void *arg);
	/* The same of the beginning of one that is too long. */
	int (*on_long_line)(const char *line, size_t len, void *arg);
	/* A pipe was closed, or memory ran out; nothing more is read or
	 * written. */
	void (*on_broken)(const char *why, void *arg);
	/* What waits for the program fell below PROG_OUT_SOFT. */
	void (*on_room)(void *arg);
	/* It is gone and reaped; status as of waitpid(). */
	void (*on_exit)(int status, void *arg);
};

struct prog {
	struct am_loop *loop;       /* borrowed */
	const struct prog_ops *ops; /* borrowed */
	void *arg;
	pid_t pid;     /* 0: none */
	int in;        /* our end of its fd 3; -1: closed */
	int out;       /* our end of its fd 4; -1: closed */
	bool close_in; /* when all is written */
	bool paused;   /* on_line said -EAGAIN */
	bool muted;
	bool was_full;
	struct event *ev_in;
	struct event *ev_out;
	struct event *ev_child;
	struct am_timer closed; /* a pipe is closed, its exit is awaited */
	struct turn_item flush;
	struct am_buf queue; /* for fd 3 */
	size_t sent;         /* of the queue */
	struct line_in lines;
};

/* Starts argv[0] (searched in PATH), whose lines have line_max bytes at most, with the environment of am-worker/1, and
 * reads its lines when the loop runs. -errno of exec, with a message in err.
 * To be ended by prog_done(), also after a failure. */
int prog_start(struct prog *p, struct am_loop *l, char *const *argv,
    size_t line_max, const struct prog_ops *ops, void *arg,
    struct am_error *err);
/* Closes the pipes; kills nothing. */
void prog_done(struct prog *p);

/* Where to append lines; they are written at the end of this turn. */
struct am_buf *prog_out(struct prog *p);
bool prog_full(const struct prog *p);
/* EOF for the program, after what is queued. */
void prog_close_in(struct prog *p);
/* Goes on with the line that was kept. */
void prog_resume(struct prog *p);
/* What it writes is thrown away from now on. */
void prog_mute(struct prog *p);
void prog_kill(const struct prog *p, int sig);

#endif
