/* client_int.h - the inside of a client; each part has a file. */
#ifndef LIB_NODE_CLIENT_INT_H
#define LIB_NODE_CLIENT_INT_H

#include <sys/queue.h>

#include "lib/base/backoff.h"
#include "lib/node/client.h"
#include "lib/node/common.h"
#include "lib/node/due.h"
#include "lib/loop/loop.h"
#include "lib/rpc/tls.h"
#include "proto/client.h"

enum {
	CLIENT_MAGIC = 0x636c6901,
	CLIENT_BUCKETS = 64,
	CLIENT_SUPERVISORS_MAX = 16,
};

/* An am_view in the form in which it is sent. */
struct view {
	struct am_buf names;
	struct arpc_sync sync; /* borrows names */
};

struct supervisor {
	char *name; /* owned; as it was given */
	struct addr addr;
	/* In the present round: */
	bool tried;
	char code[64]; /* of its refusal; empty: none */
	char why[160]; /* it refused or did not answer; empty: neither */
	/* In any round: when it last failed to provide a worker; 0: never. */
	int64_t left_ns;
};

/* A request that has not ended. */
struct pending {
	uint64_t req;        /* the number that the user knows */
	uint32_t id;         /* of its add of WorkRequested */
	int64_t deadline_ns; /* when this side gives up; 0: never */
	LIST_ENTRY(pending) link;
};
LIST_HEAD(pending_list, pending);

struct am_client {
	unsigned magic;
	bool freed; /* by the user; the memory goes after the turn */
	struct turn_item reap;
	struct am_loop *loop;       /* borrowed */
	struct am_client_conf conf; /* its strings are not valid: see below */
	char name[64];
	uint64_t client_id;
	struct am_machine *machine;
	struct due due;  /* what its queue had no room for */
	struct tls *tls; /* owned; NULL: plain */

	struct view worker_view;
	struct view super_view;

	/* the supervisor: client_super.c */
	struct supervisor supervisor[CLIENT_SUPERVISORS_MAX];
	size_t n_supervisors;
	size_t at;             /* the one being tried, or connected */
	size_t home;           /* the one that granted the lease */
	struct netmach *super; /* NULL: none */
	struct am_timer super_timer;
	struct backoff super_backoff;
	char super_error[AM_ERROR_MAX]; /* why each one failed in this round */

	/* what is wanted: client_lease.c */
	struct client_wish wish;
	int64_t wish_deadline_ns; /* 0: no limit */
	bool no_wait;
	unsigned n_misses; /* leases of this wish that ended at once */
	struct am_timer wish_timer;
	uint64_t request; /* the LeaseRequested that waits; 0: none */
	uint64_t last_request;
	uint32_t asked_id;      /* of its call */
	struct am_val provided; /* during ServerPayload {ProvideWorker} */
	char unwanted[32];      /* why the wish ended, for the supervisor */

	/* what is held */
	struct client_lease lease;
	bool attached; /* the lease of another process */

	/* the worker: client_worker.c */
	struct addr worker_addr;
	struct netmach *worker; /* NULL: none */
	struct am_timer worker_timer;
	struct backoff worker_backoff;
	int64_t worker_lost_ns; /* 0: connected */
	uint64_t epoch;         /* of the worker's machine; 0: unknown */
	bool said_ready;        /* on_ready was called for this lease */

	/* client_request.c */
	struct pending_list pending[CLIENT_BUCKETS]; /* by id */
	size_t n_pending;
	struct pending_list lost; /* about to end as unknown */
	uint64_t last_req;
	struct am_timer guard_timer;
};

/* addr_parse(), or addr_parse_tls() with TLS. */
int client_addr(const struct am_client *c, const char *text, struct addr *ret,
    struct am_error *err);
/* Mutates one state (b == a), or two in one mutation. */
void client_put_change(struct am_client *c, enum am_op op, am_id a, am_id b);

/* client_super.c */
/* Begins a round of the list, unless one is connected or being tried. */
void super_connect(struct am_client *c);
/* Before a new wish: returns to a supervisor that precedes the connected one in
 * the list, if it has rested. */
void super_begin(struct am_client *c);
/* The connected one has refused: asks the next one, or ends the wish. */
void super_refused(struct am_client *c, const char *code, const char *why);
/* The code of the first refusal in this round; without one, unreachable. */
const char *super_code(const struct am_client *c);
/* There was no memory to release the lease: does so a moment later. */
void super_again(struct am_client *c);
void super_on_timer(void *arg);
bool super_is_ready(const struct am_client *c);

/* client_lease.c */
void wish_on_timer(void *arg);
/* No supervisor in the list provides a worker. */
void wish_refused(struct am_client *c, const char *code, const char *reason);
void provide_worker(struct am_client *c, struct am_val data);
void lease_release(struct am_client *c); /* asks the supervisor, if connected */
/* Its worker was never reached: asks for another while the wish has time, or
 * ends it. */
void lease_missed(struct am_client *c, const char *code, const char *reason);
/* The lease is over: ends the requests, the connection and Leased, and tells
 * the user. */
void lease_over(struct am_client *c, const char *code, const char *reason);
void super_ready_state(struct am_event *ev);
void worker_wanted_state(struct am_event *ev);
void worker_requested_state(struct am_event *ev);
void worker_requested_end(struct am_event *ev);
void server_payload_state(struct am_event *ev);
void releasing_state(struct am_event *ev);

/* client_worker.c */
int worker_set(struct am_client *c, const struct client_lease *l);
void worker_connect(struct am_client *c);
void worker_on_timer(void *arg);
void worker_forget(struct am_client *c);

/* client_request.c */
void request_on_payload(struct netmach *nm, const struct arpc_payload *p,
    void *arg);
/* Ends all pending requests as unknown. */
void requests_lost(struct am_client *c, const char *code, const char *reason);
void requests_on_guard(void *arg);
/* Whether the request with this id has no result yet. */
bool request_is_open(struct netmach *nm, uint32_t id, void *arg);

#endif
