/* host.h - a worker whose work is done by a program: the two together.
 *
 * host.c has the life of both from start to exit, work.c the requests between
 * them, answer.c what the program says. */
#ifndef DAEMON_EXEC_HOST_H
#define DAEMON_EXEC_HOST_H

#include <sys/queue.h>

#include "daemon/exec/prog.h"
#include "lib/amnode.h"
#include "lib/base/log.h"

/* Of amnode-exec itself; else it exits as the program did. */
enum {
	HOST_EXIT_USAGE = 2,
	HOST_EXIT_FAILED = 70,
	HOST_EXIT_PROTOCOL = 76,
	HOST_EXIT_SCHEMA = 78,
	HOST_EXIT_START = 124,
	HOST_EXIT_NOEXEC = 126,
	HOST_EXIT_MISSING = 127,
};

enum host_phase {
	HOST_STARTING, /* the program has not said ready: no worker yet */
	HOST_SERVING,
	HOST_BROKEN,   /* it broke the protocol: nothing it says counts */
	HOST_STOPPING, /* told to leave, its exit is awaited */
	HOST_GONE,     /* status is final */
};

/* One request that the program has not answered. */
struct work_req {
	uint64_t n;         /* its number for the program; 0: it waits here */
	am_req req;         /* the worker's */
	bool is_canceled;   /* told to the program, or to be ended here */
	bool is_spoiled;    /* failed; the program's answer is awaited */
	struct am_buf args; /* JSON, while it waits */
	TAILQ_ENTRY(work_req) link;
};
TAILQ_HEAD(work_list, work_req);

enum work_reset {
	WORK_RESET_NONE,
	WORK_RESET_WANTED, /* when the program has answered what it has */
	WORK_RESET_TOLD,   /* "idle" is awaited */
};

struct work {
	struct work_list waiting;
	struct work_list running; /* in the order of their numbers */
	size_t n_waiting;
	size_t n_running;
	size_t concurrency;
	uint64_t last_n;
	struct am_buf args; /* as JSON, of the request that is being taken */
	enum work_reset reset;
	bool pinged; /* "pong" is awaited */
};

struct host {
	struct am_loop *loop;     /* borrowed */
	struct am_schema *schema; /* owned; NULL: not known yet */
	struct am_worker *worker; /* owned; NULL while starting */
	struct prog prog;
	enum host_phase phase;
	bool can_ping;
	bool can_reset;
	bool can_cancel;
	int status; /* exit status, when HOST_GONE */
	int64_t start_timeout_ms;
	int64_t stop_grace_ms;
	size_t line_max;
	struct work work;
	struct am_buf values;  /* of the line at hand */
	struct am_timer timer; /* of the phase */
	bool is_termed;        /* HOST_STOPPING: SIGTERM was sent */
	struct event *ev_term;
	struct event *ev_int;
};

/* Starts the program; takes schema (NULL: the ready message's, or the base
 * states only). 0, or an exit status (1 to 127) after it has said why on
 * stderr. To be ended by host_done(), also after a failure. */
int host_start(struct host *h, struct am_loop *l, struct am_schema *schema,
    char *const *argv);
void host_done(struct host *h);

/* The program broke the protocol; line may be NULL. Open requests fail, the
 * supervisor is told, the program is ended. */
void host_broken(struct host *h, const char *why, const char *line, size_t len);
/* Asks the program to leave, then makes it. */
void host_stop(struct host *h, const char *reason);
/* One line on stderr, which is the worker's log. */
#define host_log(...) log_info("amnode-exec: " __VA_ARGS__)

/* ---- answer.c ---- */

/* One line of a program that has said ready. 0; -EAGAIN: the outbox is full,
 * the line must come again; -EBADMSG with a message: a protocol error. */
int answer_line(struct host *h, const char *line, size_t len,
    struct am_error *err);
/* The same of a line that is too long. */
int answer_long_line(struct host *h, const char *line, size_t len,
    struct am_error *err);

/* ---- work.c ---- */

extern const struct am_handlers work_handlers; /* arg: the host */

void work_init(struct work *w);
void work_done(struct work *w);
/* The request that the program has by this number; NULL: none. */
struct work_req *work_find(struct host *h, uint64_t n);
/* Tells the program, if it can, that nobody waits for it. */
void work_cancel(struct host *h, struct work_req *r);
/* The program has answered it: frees it and goes on with the next. */
void work_end(struct host *h, struct work_req *r);
/* Gives the program what it can take; ends here what was canceled here. */
void work_pump(struct host *h);
/* Fails all that is open. */
void work_fail_all(struct host *h, const char *code, const char *message);
/* The lease is over: forget its requests, then tell the program. */
void work_reset(struct host *h);
void work_idle(struct host *h); /* the program has forgotten */

#endif
