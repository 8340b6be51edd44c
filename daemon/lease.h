/* lease.h - leases: offered, granted, confirmed, ending; and how those that are
 * over ended. */
#ifndef DAEMON_LEASE_H
#define DAEMON_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "lib/amnode.h"
#include "proto/arpc.h"

struct super;
struct worker;
struct waiter;
struct client;

enum {
	LEASE_OFFER_MS = 2000,   /* from the question to the worker's answer */
	LEASE_CONFIRM_MS = 2000, /* from the grant to the client's hello */
	LEASE_END_MS =
	    1000, /* for LeaseEnding, and from its bye to reset done */
	LEASE_ENDS_MAX = 1024, /* remembered */
	LEASE_REASON_MAX = 24,
};

enum lease_phase {
	LEASE_OFFERED,   /* the worker is asked */
	LEASE_GRANTED,   /* the client is told */
	LEASE_CONFIRMED, /* it said hello to the worker */
	LEASE_ENDING,
};

struct lease {
	TAILQ_ENTRY(lease) link;
	struct super *super;   /* borrowed */
	struct worker *worker; /* borrowed */
	struct waiter *waiter; /* owned: who asked, and for what */
	uint32_t number;
	char id[16]; /* "L12" */
	uint8_t token[ARPC_TOKEN_LEN];
	enum lease_phase phase;
	char reason[LEASE_REASON_MAX]; /* of its end; empty: it goes on */
	int64_t wait_ms;               /* at its end, for acks */
	bool discard;                  /* the worker goes, too */
	bool overdue;                  /* Max passed while a request ran */
	uint64_t client_tick;          /* of ClientConnected at the offer */
	uint64_t leased_tick;          /* of Leased at the offer */
	int64_t since_ns;
	struct am_timer timer; /* of the phase: offer, confirm, ttl, end */
	struct am_timer max_timer;
};
TAILQ_HEAD(lease_list, lease);

/* A lease that is over. */
struct lease_end {
	uint32_t number;
	char worker[16];
	char reason[LEASE_REASON_MAX];
};
struct lease_ends {
	struct lease_end *ring; /* owned */
	unsigned n;
	unsigned next;
};

int leases_init(struct super *s);
void leases_done(struct super *s);

struct lease *lease_find(const struct super *s, const char *id);
struct lease *lease_arg(const struct super *s, struct am_val args);
/* The lease that came from this request of this client; NULL: none. */
struct lease *lease_of_request(const struct super *s, uint64_t client_id,
    uint64_t request);
const struct lease_end *lease_ended(const struct super *s, const char *id);
const char *lease_phase_name(enum lease_phase p);
unsigned lease_count_user(const struct super *s, const struct client *c);

/* Reserves the worker and asks it. Takes the waiter. NULL: no memory, then the
 * waiter is refused. */
struct lease *lease_offer(struct super *s, struct worker *w,
    struct waiter *waiter);
/* The worker said no: the lease is forgotten, its waiter goes back to the head
 * of the queue (if its client is still there). */
void lease_refused(struct lease *l, const char *why);
void lease_granted(struct lease *l);   /* starts the time to confirm */
void lease_confirmed(struct lease *l); /* starts Max; ttl as the mirror says */
/* ttl runs only without connection, request and owner; Max waits for the
 * running request. After each push. */
void lease_look(struct lease *l);
/* +ReleaseWorker {lease, reason} by ourselves. */
void lease_revoke(struct lease *l, const char *reason);
/* In ReleaseWorkerState: the worker is told; KillWorker if it is too slow. */
void lease_ending(struct lease *l, const char *reason);
/* The worker ends it: that may take its wait for acks. */
void lease_end_taken(struct lease *l);
/* The worker refused its end: if that was for want of a client, one has come. */
void lease_stays(struct lease *l);
/* +LeaseEnded {lease, worker, reason} */
void lease_add_ended(struct lease *l, const char *reason);
/* In LeaseEndedState: remembers the end, gives the worker back; frees. If the
 * worker was still being asked, the waiter goes back to the head. */
void lease_close(struct lease *l, const char *reason);

/* May this client end it? Its token, the connection that asked, the same user, an
 * administrator. */
bool lease_permits(const struct lease *l, const struct client *c);

#endif
