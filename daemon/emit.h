/* emit.h - the mutations that the supervisor makes, a function each. What the
 * machine's queue has no room for comes when the drain is over. */
#ifndef DAEMON_EMIT_H
#define DAEMON_EMIT_H

#include "daemon/super.h"

/* Of a multi pulse: its handler's first mutation (flows.md rule 6). */
void emit_end_pulse(struct am_event *ev);

void emit_start(struct super *s);
void emit_local_ready(struct super *s);
void emit_public_ready(struct super *s);
void emit_ready(struct super *s);

void emit_fork_worker(struct super *s, const struct worker *w);
void emit_forking_worker(struct super *s, const struct worker *w);
void emit_set_worker(struct super *s, const struct worker *w);
void emit_worker_connected(struct super *s, const struct worker *w);
void emit_worker_forked(struct super *s, const struct worker *w);
void emit_worker_ready(struct super *s, const struct worker *w);
void emit_worker_gone(struct super *s, const struct worker *w);
void emit_kill_worker(struct super *s, const struct worker *w,
    const char *reason, enum stop_how how);
/* at_once: no grace, or it is over. */
void emit_killing_worker(struct super *s, const struct worker *w, bool at_once);
void emit_worker_killed(struct super *s, const struct worker *w);
/* The pulse [ErrWorker Exception]; Exception stays if ErrPool holds it. */
void emit_err_worker(struct super *s, const struct worker *w, const char *err,
    bool stuck);

void emit_pool_ready(struct super *s);
void emit_pool_starting(struct super *s);
void emit_normalizing_pool(struct super *s);
void emit_pool_normalized(struct super *s);
void emit_workers_available(struct super *s, bool on);
void emit_clients_waiting(struct super *s, bool on);
void emit_err_pool(struct super *s, bool on);
void emit_heartbeat(struct super *s, bool on);

void emit_client_connected(struct super *s, const struct client *c);
void emit_client_disconnected(struct super *s, const struct client *c);

/* AM_EXECUTED, or nobody is asked now. */
am_result emit_lease_offered(struct super *s, const struct worker *w,
    const struct waiter *waiter);
void emit_lease_granted(struct super *s, const struct lease *l);
void emit_lease_confirmed(struct super *s, const struct lease *l);
void emit_lease_ended(struct super *s, const struct lease *l,
    const char *reason);
/* ReleaseWorker by ourselves: of a lease, unless it ends already, or of a waiter
 * in the queue. */
void emit_release_lease(struct super *s, const struct lease *l,
    const char *reason);
void emit_release_waiter(struct super *s, const struct waiter *w,
    const char *reason);
/* ClientSendPayload: the grant of a lease; or why there is none. */
void emit_grant(struct super *s, const struct lease *l);
void emit_refusal(struct super *s, const struct waiter *w, const char *code,
    const char *message);

void emit_draining(struct super *s);
void emit_stopped(struct super *s);

#endif
