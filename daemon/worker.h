/* worker.h - the supervisor's row of a worker.
 *
 * Three facts are kept apart: wanted (shall it live?), phase (what is known of
 * its process) and ready (does the pool count it?). */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/logs.h"
#include "lib/amnode.h"

struct super;
struct lease;
struct netmach;
struct event;

enum worker_phase {
	WORKER_NEW,      /* a row only */
	WORKER_STARTING, /* the process runs, no hello yet */
	WORKER_UP,       /* it answered the hello */
	WORKER_STOPPING, /* signals were sent */
	WORKER_EXITED,   /* reaped, or it never ran */
};

enum { WORKER_ERRORS_MAX = 16, WORKER_WHY_MAX = 32 };

struct worker {
	TAILQ_ENTRY(worker) link;
	struct super *super; /* borrowed */
	uint32_t number;
	char id[16]; /* "w12" */
	enum worker_phase phase;
	bool wanted;
	bool ready;
	bool
	    suspect; /* refused a lease: not lent until a health check answers */
	char why[WORKER_WHY_MAX]; /* it is being killed for; empty: it is not */
	char fault[200]; /* it never got ready because of; may be empty */
	unsigned fails;  /* deaths in a row of those whose place it took */
	unsigned round;  /* of starts, see pool.h */

	pid_t pid;
	int pidfd;
	struct event *exit_event;
	bool connected; /* it was tried */
	bool gone;      /* the private connection is lost */
	bool hung;      /* it missed a deadline: no second grace */
	bool faulty;    /* killed for its errors: it counts as a death */
	struct worker_log out;
	struct worker_log err;
	char address[256];         /* public */
	struct netmach *net;       /* owned */
	struct am_machine *mirror; /* borrowed; NULL before the hello */

	struct lease *lease; /* borrowed; owner is super */
	int64_t started_ns;
	int64_t ready_ns;
	int64_t idle_ns; /* since when it is free */
	int64_t push_ns; /* last sign of life */
	int64_t error_ns[WORKER_ERRORS_MAX];
	unsigned n_errors;     /* that still count */
	unsigned total_errors; /* of its life */

	int tries; /* health check under way; 0: none */
	uint64_t asked_tick;
	int64_t asked_ns;
	struct am_timer health_timer;
	struct am_timer timer; /* of the phase: connect, StartTimeout, grace */
};
TAILQ_HEAD(worker_list, worker);

struct worker *worker_new(
    struct super *s);               /* a row in phase NEW; NULL: no memory */
void worker_free(struct worker *w); /* takes it out of the pool */
struct worker *worker_find(const struct super *s,
    const char *id); /* NULL: none */
/* The worker named in the args of a mutation; NULL: none. */
struct worker *worker_arg(const struct super *s, struct am_val args);

/* May it be lent now? flows.md rule 14. */
bool worker_lendable(const struct worker *w, int64_t now_ns);
bool worker_is(const struct worker *w, am_id state); /* on its mirror */
uint64_t worker_tick(const struct worker *w, am_id state);
/* "idle", "leased", ... for people. */
const char *worker_state(const struct worker *w, int64_t now_ns);

/* Mutation calls for a worker: +X {worker}, +KillWorker {worker, reason}. */
am_result worker_add(struct worker *w, am_id state);
am_result worker_kill(struct worker *w, const char *reason);

/* ForkingWorker: starts the process. */
void worker_spawn(struct worker *w);
/* KillingWorker: TERM, then KILL after the grace (at once if in a hurry). */
void worker_stop(struct worker *w);
/* An error that counts; forgets those over ErrorTTL. Returns how many do. */
unsigned worker_count_error(struct worker *w, int64_t now_ns);
/* When the youngest error stops to keep it out of lending; 0: it does not. */
int64_t worker_unfit_until(const struct worker *w);

/* What comes from the world; never from inside a drain. */
void worker_on_connected(struct worker *w);
void worker_on_hello(struct worker *w); /* mirror is set */
/* LeaseEnding was taken: the lease ends when what was asked for is acked. */
void worker_on_end_taken(struct worker *w);
/* LeaseEnding was canceled: it is over there already, or goes on. */
void worker_on_end_refused(struct worker *w);
void worker_on_push(struct worker *w); /* the mirror changed */
/* The answer to serve(): accepted, or why not. */
void worker_on_served(struct worker *w, bool accepted, const char *why);
void worker_on_error(struct worker *w, const char *err,
    bool stuck); /* its payload Error */
void worker_on_gone(struct worker *w,
    const char *why); /* the connection ended */
/* The process is reaped; how: "status=1", "signal=9". Frees w. */
void worker_on_exit(struct worker *w, const char *how);

#endif
