/* waiter.h - clients that wait for a worker: a bounded queue, in order of
 * priority, then of arrival. */
#ifndef DAEMON_WAITER_H
#define DAEMON_WAITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/sys/owner.h"
#include "lib/amnode.h"
#include "lib/tls/module.h"

struct super;
struct client;

enum { WAITER_PRIORITY_MAX = 100 };

/* What was asked for. It becomes part of the lease. */
struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct super *super;   /* borrowed */
	struct client *client; /* borrowed; NULL when it has gone */
	uint64_t client_id;
	uid_t uid;
	char subject[TLS_SUBJECT_MAX]; /* as that of the client */
	char name[64];
	uint64_t request; /* the client's number */
	uint32_t req;     /* id of its mutation */
	int priority;
	int64_t deadline_ns; /* 0: none */
	bool no_wait;
	bool orphan; /* its owner exited meanwhile */
	int64_t ttl_ms;
	int64_t max_ms;
	struct owner owner;
	struct am_timer timer;
	bool queued;
};

struct waiters {
	TAILQ_HEAD(waiter_list, waiter) list;
	unsigned n;
};

void waiters_init(struct super *s);
void waiters_done(struct super *s);

/* Negotiation of LeaseRequested and ProvideWorker {client}: a reason to refuse
 * in err, or 0. */
int waiter_check(struct super *s, const struct client *c, struct am_val args,
    struct am_error *err);
/* Returns new; NULL: no memory. args passed waiter_check(). */
struct waiter *waiter_new(struct super *s, struct client *c, uint32_t req,
    struct am_val args);
struct waiter *waiter_free(
    struct waiter *w);               /* out of the queue, too; returns NULL */
void waiter_queue(struct waiter *w); /* takes; starts its timeout */
void waiter_queue_head(struct waiter *w);    /* takes; back where it was */
struct waiter *waiter_take(struct super *s); /* the first; NULL: none */
struct waiter *waiter_find(const struct super *s, uint64_t client_id,
    uint64_t request);
/* Does it wait for the same user as c: on a Unix socket the same uid, over TLS the
 * same certificate? */
bool waiter_is_of_user(const struct waiter *w, const struct client *c);
unsigned waiter_count_user(const struct super *s, const struct client *c);

/* Tells the client that it gets no worker (+ClientSendPayload); frees. */
void waiter_refuse(struct waiter *w, const char *code, const char *message);
void waiters_refuse_all(struct super *s, const char *code, const char *message);
/* ClientsWaiting on or off as it should be. */
void waiters_show(struct super *s);
/* ReleaseWorker {client, request, reason} by ourselves. */
void waiter_end(struct waiter *w, const char *reason);

#endif
