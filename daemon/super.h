/* super.h - the supervisor: its parts, and the seam to the world outside.
 *
 * The supervisor is a machine. What happens outside comes in as a call of
 * worker.h, lease.h or waiter.h, which makes a mutation; the handlers in
 * supervisor.c do the work and reach the world through struct super_io only,
 * so a test plays it without processes or sockets. flows.md is the law. */
#ifndef DAEMON_SUPER_H
#define DAEMON_SUPER_H

#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/config.h"
#include "daemon/health.h"
#include "daemon/lease.h"
#include "daemon/pool.h"
#include "daemon/waiter.h"
#include "daemon/worker.h"
#include "lib/amnode.h"
#include "lib/base/rate.h"
#include "lib/node/due.h"
#include "lib/tls/module.h"
#include "proto/arpc.h"
#include "proto/supervisor.h"

/* A connection to the public socket whose hello was let in. */
struct client {
	TAILQ_ENTRY(client) link;
	uint64_t id; /* of its session, never used twice */
	uid_t uid;   /* (uid_t)-1 over TCP */
	pid_t pid;   /* 0 over TCP */
	bool admin;
	bool is_far; /* of another host */
	bool has_token;
	uint8_t token[ARPC_TOKEN_LEN];
	char name[64];
	/* Of its certificate; empty: none. */
	char subject[TLS_SUBJECT_MAX];
	void *session; /* borrowed; of the one who made it */
};
TAILQ_HEAD(client_list, client);

/* What the handlers do to the world. Each call returns at once. */
struct super_io {
	/* Starts w's process: fills w->pid and what watches it. -errno with a
	 * text in err. */
	int (*spawn)(struct super *s, struct worker *w, struct am_error *err);
	/* Connects to its private socket. -errno. */
	int (*connect)(struct super *s, struct worker *w);
	/* lease_begin; worker_on_served() comes. -errno. */
	int (*serve)(struct super *s, struct worker *w,
	    const struct arpc_lease *l);
	/* +LeaseEnding {lease, reason, keep, wait_ms}; worker_on_end_taken() or
	 * worker_on_end_refused() comes. -errno. */
	int (*end_lease)(struct super *s, struct worker *w,
	    const struct lease *l);
	/* +Healthcheck. -errno. */
	int (*ask)(struct super *s, struct worker *w);
	/* SIGTERM to the process, any other signal to its group. */
	void (*signal)(struct super *s, struct worker *w, int sig);
	/* Closes and frees what spawn and connect made. */
	void (*forget)(struct super *s, struct worker *w);
	/* A payload to one client. -errno. */
	int (*tell)(struct super *s, struct client *c, uint32_t req,
	    const char *name, struct am_val data);
	/* Makes the public socket. -errno with a sentence in err. */
	int (*listen)(struct super *s, struct am_error *err);
	/* Who made a mutation; NULL: we ourselves. */
	struct client *(
	    *client)(struct super *s, const void *source, uint32_t *ret_id);
	/* May a worker not get this number? NULL: all are free. */
	bool (*id_taken)(struct super *s, uint32_t number);
	/* Start has left: nothing runs any more. */
	void (*stopped)(struct super *s);
};

struct super {
	struct am_loop *loop;        /* borrowed */
	const struct config *config; /* borrowed */
	const char *instance;        /* borrowed */
	const struct super_io *io;   /* borrowed */
	void *world;                 /* of io; borrowed */
	struct am_schema *schema;
	struct am_machine *machine;
	struct due due; /* what its queue had no room for */
	struct pool pool;
	struct lease_list leases;
	struct lease_ends ends;
	uint32_t last_lease;
	struct waiters waiters;
	struct health health;
	struct client_list clients;
	int64_t started_ns;
	struct am_timer boot;
	struct am_timer drain;
	int drain_step;
	int64_t drain_end_ns; /* StopTimeout is over */
	/* Lines that clients can cause at will. */
	struct rate denied;
	struct rate refused;
	struct rate listed;
	bool hurry;  /* no grace any more */
	bool failed; /* the public socket could not be made */
};

/* Borrows everything. 0 or -errno with a sentence in err. */
int super_init(struct super *s, struct am_loop *loop,
    const struct config *config, const char *instance,
    const struct super_io *io, void *world, struct am_error *err);
void super_done(struct super *s); /* idempotent */

/* +Start; the rest follows from the loop. */
void super_start(struct super *s);
/* Flow 1, lines 2 and 3; by the loop after super_start(). */
void super_local_ready(struct super *s);
void super_public_ready(struct super *s);
/* TERM: leases may finish their request. */
void super_drain(struct super *s);
/* Kills everything now; it ends when all are reaped. */
void super_hurry(struct super *s);
/* Draining, and no worker is left: -Start. */
void super_end_if_empty(struct super *s);
/* Draining: ends leases without a running request. */
void super_drain_idle(struct super *s);

bool super_is(const struct super *s, am_id state);
/* Mutations by ourselves: what the queue has no room for comes when the drain is
 * over. */
am_result super_add(struct super *s, am_id state, struct am_val args);
am_result super_remove(struct super *s, am_id state, struct am_val args);
am_result super_add_all(struct super *s, const am_id *states, size_t n,
    struct am_val args);
am_result super_remove_all(struct super *s, const am_id *states, size_t n,
    struct am_val args);
/* The pulse [ErrWorker Exception]; Exception stays if ErrPool holds it. id may
 * be empty. */
void super_err_worker(struct super *s, const char *id, const char *err,
    bool stuck);

/* The pool in words, for STATUS= and info. */
void super_status(const struct super *s, char *buf, size_t size);
/* He may not do what he asked for: a line in the log. */
void super_denied(struct super *s, const struct client *c, const char *what);

/* Everything, to the log. */
void super_dump(const struct super *s);

struct client *super_client(const struct super *s, uint64_t id);
void super_client_add(struct super *s, struct client *c); /* c is borrowed */
void super_client_gone(struct super *s,
    struct client *c); /* its waiters and grants end */

#endif
