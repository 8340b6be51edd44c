/* model.h - what the supervisor knows: rows of workers, leases, waiters, clients
 * and users. No machine, no I/O.
 *
 * A row has one state, which one function changes; that function keeps the
 * counts and lists, so no question costs more with more rows. A row is found by
 * its id through an index. */
#ifndef DAEMON_MODEL_H
#define DAEMON_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/starts.h"
#include "daemon/index.h"
#include "daemon/sys/logs.h"
#include "daemon/sys/owner.h"
#include "lib/amnode.h"
#include "lib/tls/module.h"
#include "proto/arpc.h"

struct client;
struct event;
struct lease;
struct netmach;
struct super;
struct waiter;
struct worker;

/* ---- workers ---- */

enum worker_state {
	WORKER_NEW,      /* a row only */
	WORKER_FAILED,   /* so, for its process cannot be started: told in the
			  * next turn */
	WORKER_SPAWNED,  /* its process runs */
	WORKER_STARTING, /* its private connection was tried; not ready yet */
	WORKER_IDLE,     /* it can be lent */
	WORKER_UNFIT,    /* it is ready, but cannot be lent now */
	WORKER_LEASED,
	WORKER_STOPPING, /* it was told to go, or is being killed */
	WORKER_LOST,     /* so, and its private connection is gone */
	WORKER_EXITED,   /* reaped */
	WORKER__COUNT
};

/* How a worker is stopped, and what that says about it. */
enum stop_how {
	STOP_GENTLY, /* a host may need one grace to ask its program, and one
		      * after TERM */
	STOP_HUNG,   /* it missed a deadline: one grace only */
	STOP_FAULTY, /* likewise, and it counts as a death */
};

enum { WORKER_ERRORS_MAX = 16, WORKER_REASON_MAX = 32 };

struct worker {
	TAILQ_ENTRY(worker) link;       /* of all */
	TAILQ_ENTRY(worker) state_link; /* of those in this state */
	struct index_item by_id;
	struct super *super; /* borrowed */
	char id[16];         /* "w12" */
	uint32_t number;
	enum worker_state state; /* worker_set_state() */
	enum stop_how how;
	char kill_reason[WORKER_REASON_MAX]; /* empty: nobody stopped it */
	char start_error[200];    /* why it did not get ready; may be empty */
	unsigned deaths_in_a_row; /* of those whose place it took */
	unsigned round;           /* of starts, see starts.h */

	pid_t pid;
	int pidfd;
	struct event *exit_event;
	struct worker_logs logs;
	char address[256];         /* public */
	struct netmach *net;       /* owned */
	struct am_machine *mirror; /* borrowed; NULL before the hello */
	bool shows_free; /* the mirror does: RpcReady, Idle, no lease */

	struct lease *lease; /* borrowed; may outlive LEASED for a moment */
	int64_t started_ns;
	int64_t ready_ns; /* 0: it never was */
	int64_t idle_ns;  /* since when it is idle */
	int64_t push_ns;  /* last sign of life */
	int64_t fit_ns;   /* it is not lent before; INT64_MAX: not before it
			   * answered a health check */
	int64_t error_ns[WORKER_ERRORS_MAX];
	unsigned n_errors;     /* that still count */
	unsigned total_errors; /* of its life */

	int tries; /* health check under way; 0: none */
	uint64_t asked_tick;
	int64_t asked_ns;
	struct am_timer health_timer;
	struct am_timer timer; /* of the state: connect, StartTimeout, grace */
};
TAILQ_HEAD(worker_list, worker);

/* ---- users, clients ---- */

/* On a Unix socket a uid, over TLS a certificate's subject; all of plain TCP is
 * one. Lives as long as a row refers to it. */
struct user {
	struct index_item by_name;
	uid_t uid; /* (uid_t)-1: not known */
	char subject[TLS_SUBJECT_MAX];
	unsigned refs;
	unsigned n_asked; /* leases held and waited for */
};

TAILQ_HEAD(client_waiter_list, waiter);

/* A connection to the public socket whose hello was let in. */
struct client {
	TAILQ_ENTRY(client) link;
	struct index_item by_id;
	uint64_t id;       /* of its session, never used twice */
	struct user *user; /* owned reference; of model_add_client() */
	struct client_waiter_list waiters; /* that it asked for, leases too */
	uid_t uid;                         /* (uid_t)-1 over TCP */
	pid_t pid;                         /* 0 over TCP */
	bool admin;
	bool is_far; /* of another host */
	bool has_token;
	uint8_t token[ARPC_TOKEN_LEN];
	char name[64];
	char subject[TLS_SUBJECT_MAX]; /* of its certificate; empty: none */
	void *session;                 /* borrowed; of the one who made it */
};
TAILQ_HEAD(client_list, client);

/* ---- waiters ---- */

enum waiter_state {
	WAITER_NEW,
	WAITER_QUEUED,
	WAITER_OFFERED,  /* part of a lease; its client knows nothing yet */
	WAITER_ANSWERED, /* its client was told, or has gone */
};

/* What a client asked for. It becomes part of the lease. */
struct waiter {
	TAILQ_ENTRY(waiter) link;        /* of the queue */
	TAILQ_ENTRY(waiter) client_link; /* of its client */
	struct index_item by_request;
	struct super *super;     /* borrowed */
	struct client *client;   /* borrowed; NULL when it has gone */
	struct user *user;       /* owned reference */
	struct lease *lease;     /* borrowed; NULL: none yet */
	enum waiter_state state; /* set by the functions below */
	uint64_t client_id;
	char name[64];
	uint64_t request; /* the client's number */
	uint32_t req;     /* id of its mutation */
	int priority;
	int64_t deadline_ns; /* 0: none */
	int64_t ttl_ms;
	int64_t max_ms;
	struct owner owner;
	struct am_timer timer; /* of its deadline */
};
TAILQ_HEAD(waiter_list, waiter);

/* ---- leases ---- */

enum lease_state {
	LEASE_OFFERED,   /* the worker is asked */
	LEASE_GRANTED,   /* the client is told */
	LEASE_CONFIRMED, /* it said hello to the worker */
	LEASE_OVERDUE,   /* likewise; Max is over, a request still runs */
	LEASE_ENDING,
	LEASE__COUNT
};

enum {
	LEASE_OFFER_MS = 2000,   /* from the question to the worker's answer */
	LEASE_CONFIRM_MS = 2000, /* from the grant to the client's hello */
	LEASE_END_MS = 1000,     /* for LeaseEnding, and from its bye to reset
			      * done */
	LEASE_ENDS_MAX = 1024,   /* remembered */
	LEASE_REASON_MAX = 24,
};

struct lease {
	TAILQ_ENTRY(lease) link;
	struct index_item by_id;
	struct super *super;   /* borrowed */
	struct worker *worker; /* borrowed */
	struct waiter *waiter; /* owned: who asked, and for what */
	char id[16];           /* "L12" */
	uint8_t token[ARPC_TOKEN_LEN];
	enum lease_state state;        /* lease_set_state() */
	char reason[LEASE_REASON_MAX]; /* of its end; empty: it goes on */
	int64_t wait_ms;               /* at its end, for acks */
	enum lease_state before_end;   /* what it is if the worker refuses */
	bool if_idle;                  /* the worker is to refuse if it works */
	bool discard;                  /* the worker goes, too */
	bool complained;               /* its client did; it counts once */
	uint64_t client_tick;          /* of ClientConnected at the offer */
	uint64_t leased_tick;          /* of Leased at the offer */
	int64_t since_ns;
	struct am_timer timer; /* of the state: offer, confirm, ttl, end */
	struct am_timer max_timer;
};
TAILQ_HEAD(lease_list, lease);

/* A lease that is over. */
struct lease_end {
	struct index_item by_id;
	char id[16];
	char worker[16];
	char reason[LEASE_REASON_MAX];
};

/* ---- all of them ---- */

/* What the timers of rows call; each gets its row. */
struct model_timers {
	void (*worker)(void *worker);
	void (*health)(void *worker);
	void (*lease)(void *lease);
	void (*lease_max)(void *lease);
	void (*waiter)(void *waiter);
};

struct model {
	struct am_loop *loop;              /* borrowed */
	const struct model_timers *timers; /* borrowed */
	struct worker_list workers;
	struct worker_list in_state[WORKER__COUNT];
	unsigned n_workers; /* rows */
	unsigned n[WORKER__COUNT];
	unsigned n_asked; /* health checks under way */
	uint32_t last_worker;
	/* When the first unfit worker may be lent again, or earlier. */
	int64_t next_fit_ns;
	struct lease_list leases;
	unsigned n_leases;
	uint32_t last_lease;
	struct lease_end *ends; /* owned; a ring */
	unsigned next_end;
	struct waiter_list queue;
	unsigned n_waiting;
	struct client_list clients;
	struct starts starts;
	struct index worker_index;
	struct index lease_index;
	struct index end_index;
	struct index request_index;
	struct index client_index;
	struct index user_index;
};

int model_init(struct model *m, struct am_loop *l,
    const struct model_timers *timers); /* 0 or -ENOMEM */
/* All rows must be gone. Idempotent. */
void model_done(struct model *m);

/* Rows of processes that can be lent, are lent, or will be. */
unsigned model_serving(const struct model *m);
/* Rows that are lent or could be if they were well: what Min counts. */
unsigned model_ready(const struct model *m);
unsigned model_starting(const struct model *m);

/* A row in state NEW; NULL: no memory. id_taken may be NULL. */
struct worker *model_new_worker(struct super *s, struct model *m,
    bool (*id_taken)(struct super *s, uint32_t number));
void model_free_worker(struct model *m, struct worker *w);
struct worker *worker_find(const struct model *m, const char *id);
/* The one place that changes it. */
void worker_set_state(struct model *m, struct worker *w, enum worker_state to);
/* IDLE or UNFIT, whichever it is now; other states stay. */
void worker_refit(struct model *m, struct worker *w, int64_t now_ns);
/* LEASED no more: IDLE or UNFIT. */
void worker_give_back(struct model *m, struct worker *w, int64_t now_ns);
/* Every unfit one that may be lent by now. */
void model_refit(struct model *m, int64_t now_ns);
/* The one that was lent last; NULL: none is idle. */
struct worker *model_idle(const struct model *m);
/* The one that is idle for longest; NULL: none. */
struct worker *model_longest_idle(const struct model *m);
bool worker_is_ready(const struct worker *w);
bool worker_is_leaving(const struct worker *w);
void worker_set_tries(struct model *m, struct worker *w, int tries);
/* An error that counts, and those of the last ttl_ms; how many these are. */
unsigned worker_count_error(struct worker *w, int64_t now_ns, int64_t ttl_ms);
/* "idle", "leased", ... for people. */
const char *worker_state_name(enum worker_state state);

struct client *client_find(const struct model *m, uint64_t id);
/* Borrows c until it is removed. 0 or -ENOMEM. */
int model_add_client(struct model *m, struct client *c);
/* Its waiters and leases stay, without a client. */
void model_remove_client(struct model *m, struct client *c);

/* Returns new in state NEW; c may be NULL (we ourselves). NULL: no memory. */
struct waiter *waiter_new(struct super *s, struct model *m, struct client *c,
    uint64_t request);
/* Its owner must be done. */
void waiter_free(struct model *m, struct waiter *w);
struct waiter *waiter_find(const struct model *m, uint64_t client_id,
    uint64_t request);
void waiter_queue(struct model *m, struct waiter *w); /* behind its equals */
/* Back where it was: before all others. */
void waiter_queue_head(struct model *m, struct waiter *w);
void waiter_unqueue(struct model *m, struct waiter *w);
void waiter_answered(struct waiter *w);

/* The waiter leaves the queue, the worker is leased. Takes the waiter, unless it
 * fails (NULL: no memory). */
struct lease *lease_new(struct model *m, struct worker *w,
    struct waiter *waiter);
/* Remembers how it ended; reason NULL: not at all. Gives the worker back, and the
 * waiter to *ret_waiter. */
void lease_free(struct model *m, struct lease *l, const char *reason,
    struct waiter **ret_waiter);
struct lease *lease_find(const struct model *m, const char *id);
const struct lease_end *lease_find_end(const struct model *m, const char *id);
void lease_set_state(struct lease *l, enum lease_state to);
bool lease_is_confirmed(const struct lease *l); /* overdue or not */
const char *lease_state_name(enum lease_state state);
/* May this client end it? Its token, the connection that asked, the same user, an
 * administrator. */
bool lease_permits(const struct lease *l, const struct client *c);

#endif
