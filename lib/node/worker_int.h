/* worker_int.h - the inside of a worker; each part has a file. */
#ifndef LIB_NODE_WORKER_INT_H
#define LIB_NODE_WORKER_INT_H

#include <event2/event.h>

#include "lib/base/rate.h"
#include "lib/node/worker_access.h"
#include "lib/node/common.h"
#include "lib/node/due.h"
#include "lib/node/worker_outbox.h"
#include "lib/node/worker.h"
#include "lib/rpc/server.h"
#include "proto/worker.h"

enum { WORKER_MAGIC = 0x776b7201 };

/* An open request (flow rules 7, 8, 12). */
struct worker_request {
	am_req handle; /* 0: this slot is free */
	uint64_t client_id;
	uint32_t id;         /* the number that the client gave it */
	bool late;           /* its deadline has passed, the program knows */
	int64_t deadline_ns; /* 0: none */
};

struct requests {
	struct worker_request *slot; /* [window], owned */
	unsigned window;
	unsigned n_open;
	am_req last;   /* the last count used in a handle */
	am_req taking; /* the one whose WorkRequested is running; 0: none */
	uint64_t n_taken;
};

/* A client of the lease: connected, or disconnected and expected back. */
struct lease_client {
	struct am_worker *worker;    /* borrowed; NULL: the slot is free */
	struct rpc_session *session; /* borrowed; NULL: it is away */
	uint64_t client_id;
	bool gets_events;
	struct outbox_entry *next; /* borrowed; the first one not sent yet */
	int64_t away_ns;           /* when it was disconnected */
};

struct worker_lease {
	char id[40]; /* empty: none */
	char client[64];
	uint8_t token[ARPC_TOKEN_LEN];
	int64_t ttl_ms; /* 0: none; runs while nothing is connected or open */
	int64_t max_ms; /* 0: none */
	int64_t begun_ns;
	int64_t quiet_ns; /* when ttl began to run; 0: it does not */
	char end_reason[64];
	bool keep;       /* do not tell the program to forget it */
	bool awaits;     /* the bye waits for acks */
	bool closing;    /* the bye was sent */
	bool reset_done; /* the program has forgotten it */
	/* The facts that the timers were set for: see lease_watch(). */
	unsigned watched;
};

struct am_worker {
	unsigned magic;
	bool freed; /* by the user; the memory goes after the turn */
	struct turn_item reap;
	struct am_loop *loop; /* borrowed */
	struct am_worker_conf conf;
	struct worker_env env;
	struct am_machine *machine;
	struct rpc_server *server;
	struct tls *tls; /* for the public socket; NULL: plain */
	int private_listener;
	int public_listener;
	struct am_timer start_timer;
	struct event *on_term; /* NULL in tests */
	struct event *on_int;
	bool said_ready;
	bool exiting;
	int status;

	struct requests requests;
	struct am_timer deadline_timer; /* the next deadline of all requests */
	/* Takes no more work, until the process ends: an answer is missing, or
	 * the program broke the rules. */
	bool stuck;
	char stuck_code[64];
	char stuck_message[256];

	struct outbox outbox;
	bool wants_room;     /* an answer got -EAGAIN */
	struct due due;      /* mutations put off: the queue was full */
	bool work_ready_due; /* WorkReady was put off */

	const struct arpc_lease *offer; /* during lease_begin only */
	struct worker_lease lease;
	struct lease_client client[WORKER_SESSIONS_MAX];
	unsigned n_sessions;
	unsigned n_supers;            /* private connections */
	struct am_timer close_timer;  /* says bye and resets the program */
	struct am_timer lease_timer;  /* ttl and max without a supervisor */
	struct am_timer orphan_timer; /* idle without a supervisor */
	struct rate denied;
};

/* worker.c */
void worker_stop(struct am_worker *w, const char *reason);

/* worker_request.c */
int requests_init(struct requests *r, unsigned window);
void requests_done(struct requests *r);
void requests_cancel_all(struct am_worker *w, const char *reason);
void requests_on_deadline(void *arg); /* arg is the worker */
bool work_requested_enter(struct am_event *ev);
bool work_requested_self(struct am_event *ev);
void work_requested_state(struct am_event *ev);
bool cancel_work_enter(struct am_event *ev);
void cancel_work_state(struct am_event *ev);
void exception_state(struct am_event *ev);

/* worker_access.c */
int worker_may(struct rpc_session *s, enum am_op op, const am_id *states,
    size_t n, struct am_error *err, void *arg);
size_t worker_keep(struct rpc_session *s, am_id *states, size_t n, void *arg);
/* Logs a hello that was refused. */
void worker_rejected(struct rpc_session *s, const char *why, void *arg);

/* worker_public.c */
extern const struct rpc_policy worker_public_policy;
bool client_send_payload_enter(struct am_event *ev);
bool client_send_payload_self(struct am_event *ev);
/* There is room: tells the program if it waits for that. */
void outbox_has_shrunk(struct am_worker *w);
int worker_info(struct rpc_session *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err, void *arg);

/* worker_payload.c */
/* Queues it for the connections that it is for, after what waits there. */
void payload_send(struct am_worker *w, struct outbox_entry *e);
/* A result leaves the outbox with its first ack, an event when every client
 * that gets it has acked it. */
void payload_acked(struct am_worker *w, struct lease_client *by, uint64_t seq);
void payloads_clear(struct am_worker *w);
/* Marks payloads that were asked for and are not acked, and whose client is
 * connected or expected back; counts them in outbox.n_awaited. */
void payloads_await(struct am_worker *w);
/* The slot for the client of a new connection. NULL: there are too many. */
struct lease_client *lease_client_up(struct am_worker *w,
    struct rpc_session *s);
void lease_client_catch_up(struct lease_client *c);
/* Its connection is lost, and it is expected back. */
void lease_client_down(struct lease_client *c);
/* It will not come back. */
void lease_client_forget(struct lease_client *c);
void lease_clients_forget_lost(struct am_worker *w);
bool lease_client_is_known(const struct am_worker *w, uint64_t client_id);

/* worker_private.c */
extern const struct rpc_policy worker_private_policy;
void worker_report(struct am_worker *w, const char *code, const char *message,
    bool stuck);
bool super_send_payload_self(struct am_event *ev);
void super_send_payload_state(struct am_event *ev);

/* worker_lease.c */
am_result lease_begin(struct rpc_session *s, const struct arpc_lease *l,
    void *arg);
bool serve_client_enter(struct am_event *ev);
void serve_client_state(struct am_event *ev);
void leased_state(struct am_event *ev);
void leased_end(struct am_event *ev);
bool lease_ending_enter(struct am_event *ev);
void lease_ending_state(struct am_event *ev);
void lease_on_close_timer(void *arg);
void lease_on_timer(void *arg);
void lease_on_orphan_timer(void *arg);
/* Sets the timers for the present facts; called after each drain. */
void lease_watch(struct am_worker *w);
/* An ack has arrived, or a client will not come back for its payloads. */
void lease_awaits_less(struct am_worker *w);
/* A connection of the lease has ended, or the program was reset. */
void lease_finish(struct am_worker *w);

#endif
