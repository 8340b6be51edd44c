/* super.h - the supervisor: what its parts share, and the seam to the world.
 *
 * The supervisor is a machine. The parts of it know each other in one direction:
 *
 *	events.c   what happens outside, and every timer: each is one mutation
 *	flow_*.c   the handlers: what a state does; a flow of flows.md a file
 *	settle.c   after each drain: what follows from the numbers
 *	emit.c     the mutations that the supervisor makes
 *	model.c    rows and counts
 *
 * They reach the world through struct super_io only, so a test plays them
 * without processes or sockets. flows.md is the law. */
#ifndef DAEMON_SUPER_H
#define DAEMON_SUPER_H

#include <sys/types.h>

#include "daemon/config/config.h"
#include "daemon/model.h"
#include "lib/amnode.h"
#include "lib/base/rate.h"
#include "lib/loop/loop.h"
#include "lib/node/due.h"
#include "proto/arpc.h"
#include "proto/supervisor.h"

/* What the handlers do to the world. Each call returns at once. */
struct super_io {
	/* Starts w's process: fills w->pid and what watches it. -errno with a
	 * text in err. */
	int (*spawn)(struct super *s, struct worker *w, struct am_error *err);
	/* Connects to its private socket. -errno. */
	int (*connect)(struct super *s, struct worker *w);
	/* lease_begin; event_worker_served() comes. -errno. */
	int (*serve)(struct super *s, struct worker *w,
	    const struct arpc_lease *l);
	/* +LeaseEnding {lease, reason, keep, wait_ms}; event_worker_end_taken() or
	 * event_worker_end_refused() comes. -errno. */
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
	/* The client that made a mutation; NULL: we ourselves. */
	struct client *(
	    *client)(struct super *s, const void *source, uint32_t *ret_id);
	/* The mutation is refused: its client, if there is one, gets this
	 * error. */
	void (*refuse)(struct super *s, const void *source, enum arpc_error e,
	    const char *text);
	/* May a worker not get this number? NULL: all are free. */
	bool (*id_taken)(struct super *s, uint32_t number);
	/* Start has left: nothing runs any more. */
	void (*stopped)(struct super *s);
};

/* How far it has come with its end. */
enum stop_step {
	STOP_NOT,
	STOP_DRAINING, /* leases may finish their running request */
	STOP_LEASES,   /* StopTimeout is over: all leases end */
	STOP_NOW,      /* everything is killed */
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
	struct model model;
	void (*on_owner_exit)(void *waiter); /* of events.c */
	int64_t started_ns;
	enum stop_step stop;
	int64_t stop_ns; /* when StopTimeout is over */
	bool failed;     /* the public socket could not be made */

	struct am_timer boot_timer;
	struct am_timer pool_timer; /* the next start, surplus or fitness */
	struct am_timer heartbeat_timer;
	struct am_timer heartbeat_end; /* of this round, in the next turn */
	struct am_timer stop_timer;    /* of the stop step */
	bool round_due;                /* the next Heartbeat asks the workers */

	bool settling;
	/* Each time all is settled: for STATUS=. NULL: nobody listens. */
	void (*on_settled)(void *arg);
	void *settled_arg;
	struct turn_item settle_later;

	/* Lines that clients can cause at will. */
	struct rate denied;
	struct rate refused;
	struct rate listed;
};

static inline bool
super_is(const struct super *s, am_id state)
{
	return am_is1(s->machine, state);
}

/* Borrows everything. 0 or -errno with a sentence in err. */
int super_init(struct super *s, struct am_loop *loop,
    const struct config *config, const char *instance,
    const struct super_io *io, void *world, struct am_error *err);
void super_done(struct super *s); /* idempotent */

/* report.c: the pool in words, for STATUS= and info. */
void super_status(const struct super *s, char *buf, size_t size);
/* Logs, rate-limited, that a client was not permitted to do something. */
void super_denied(struct super *s, const struct client *c, const char *what);
/* Everything, to the log. */
void super_dump(const struct super *s);
/* "idle", "working", ... */
const char *super_worker_state(const struct worker *w);

#endif
