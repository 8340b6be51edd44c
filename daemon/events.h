/* events.h - what happens outside: of workers, of clients, of our own process.
 * Each is one mutation, or tells the model something and settles it. Never to be
 * called from inside a drain; timers of the rows come here, too. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/super.h"

/* For super_init(): what the timers of rows call, and an owner's exit. */
extern const struct model_timers event_timers;
void event_owner_exit(void *waiter);
void events_init(struct super *s); /* the timers of s */
void events_done(struct super *s); /* idempotent */

/* +Start; the rest follows from the loop. */
void event_start(struct super *s);
/* Flow 1, lines 2 and 3; by the loop after event_start(). */
void event_local_ready(struct super *s);
void event_public_ready(struct super *s);
/* TERM: leases may finish their request. */
void event_stop(struct super *s);
/* Kills everything now; it ends when all are reaped. */
void event_stop_now(struct super *s);
void event_heartbeat(struct super *s); /* by its timer */

void event_worker_connected(struct worker *w);
void event_worker_hello(struct worker *w); /* mirror is set */
void event_worker_push(struct worker *w);  /* the mirror changed */
/* The answer to serve(): accepted, or why not. */
void event_worker_served(struct worker *w, bool accepted, const char *why);
/* LeaseEnding was executed; or it was canceled: it is over there already, or goes on. */
void event_worker_end_taken(struct worker *w);
void event_worker_end_refused(struct worker *w);
/* Its payload Error. */
void event_worker_error(struct worker *w, const char *err, bool stuck);
/* The private connection ended. */
void event_worker_gone(struct worker *w, const char *why);
/* The process is reaped; how: "status=1", "signal=9". Frees w. */
void event_worker_exit(struct worker *w, const char *how);

/* Its hello was let in; c is borrowed until it is gone. 0 or -ENOMEM. */
int event_client_connected(struct super *s, struct client *c);
/* Its waiters and grants end. */
void event_client_gone(struct super *s, struct client *c);

#endif
