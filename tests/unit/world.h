/* world.h - a worker, the supervisor's and the client's ends of its sockets and
 * a small supervisor for clients: all in one loop, over real Unix sockets in a
 * directory of their own. */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include "lib/node/client.h"
#include "lib/node/worker.h"
#include "lib/rpc/server.h"
#include "proto/client.h"
#include "proto/supervisor.h"
#include "proto/worker.h"
#include "tests/unit/flows.h"

enum {
	WORLD_PAYLOADS = 2048,
	WORLD_REQS = 1024,
};

/* What a peer has received; texts are copies. */
struct world_payload {
	uint64_t seq;
	uint64_t req;
	char kind[16];
	char name[160];
	char code[64];
	char message[256];
	int64_t value; /* of data {"output": value}, else -1 */
	int status;    /* enum am_status, of the client's */
};

/* One end of a connection to the worker. */
struct world_peer {
	struct netmach *nm;
	bool ready;
	bool closed;
	int code;
	char why[256];
	struct world_payload got[WORLD_PAYLOADS];
	size_t n_got;
	bool no_ack;
	/* The last reply. */
	bool replied;
	enum netmach_status status;
	am_result result;
	enum arpc_error error;
	char text[256];
	struct am_buf value;
};

struct world {
	struct am_loop *loop;
	int64_t deadline_ms; /* of world_step() */
	char dir[64];
	char super_path[128];
	char public_path[128];
	char private_path[128];
	uint8_t token[ARPC_TOKEN_LEN];

	struct am_worker_conf conf;
	struct worker_env env;
	struct am_worker *worker;
	struct am_machine *w; /* its machine */
	struct flow_log wlog;
	/* The program of the worker: what it was asked and not answered. */
	am_req req[WORLD_REQS];
	size_t n_reqs;
	unsigned n_cancels;
	unsigned n_leases;
	unsigned n_resets;
	unsigned n_rooms;
	/* Of WorkRequested, instead of noting it as open; may be NULL. */
	void (*work)(struct world *w, am_req req, struct am_val args);
	bool manual_reset;
	bool fails;      /* LeasedEnd does */
	bool adds_twice; /* one more WorkRequested from its handler */
	char stopped[64];
	int64_t wait_ms; /* of LeaseEnding; 0: it is not to wait */

	struct world_peer super; /* private connection */
	struct world_peer client;

	/* The supervisor of clients. */
	struct am_machine *s;
	struct rpc_server *server;
	bool refuses;      /* LeaseRequestedEnter: pool broken */
	bool waits;        /* no worker is free */
	bool drops;        /* keeps the grant to itself */
	bool wrong_token;  /* gives another one than the worker has */
	uint64_t asked;    /* request of the last LeaseRequested; 0: none */
	uint32_t asked_id; /* its call */
	int64_t asked_timeout_ms;
	int64_t asked_pid;
	struct rpc_session *asked_by;
	unsigned n_asked;
	char released[64]; /* reason of the last ReleaseWorker */
	uint64_t released_request;
	unsigned n_leases_given;
	bool hello_had_token; /* the last one */

	struct am_view worker_view, supervisor_view;
	struct am_client *c;
	struct am_machine *cm; /* its machine */
	struct flow_log clog;
	struct world_payload told[WORLD_PAYLOADS]; /* on_payload */
	size_t n_told;
	unsigned n_ready;
	unsigned n_lost;
	unsigned n_up;
	unsigned n_down;
	/* The program's part of on_payload and on_up; may be NULL. */
	void (*refill)(struct world *w);
	bool cuts; /* on_payload does, before the ack is sent */
	char lost_code[64];
	char lost_reason[256];
};

struct world *world_new(void);
void world_free(struct world *w);

/* Turns the loop until *flag is true, or fails the test after 5 s. */
void world_until(struct world *w, const bool *flag);
bool world_step(struct world *w); /* one turn; false: 5 s have passed */
void world_until_state(struct world *w, const struct am_machine *m, am_id id,
    bool active);
/* Until the machine has what the flow asks for; then compares. */
#define world_until_true(w, cond)                                              \
	do {                                                                   \
		world_deadline(w);                                             \
		while (!(cond))                                                \
			ck_assert_msg(world_step(w), "never true: %s", #cond); \
	} while (0)
void world_deadline(struct world *w); /* starts the 5 s of world_step() */

/* A worker of env and conf, idle and connected to its supervisor. */
void world_worker(struct world *w);
/* The same without the supervisor. */
void world_worker_alone(struct world *w);
void world_connect_super(struct world *w);
void world_lease(struct world *w, const char *id, int64_t ttl_ms,
    int64_t max_ms);
void world_connect_client(struct world *w);
void world_connect_peer(struct world *w, struct world_peer *p); /* likewise */
void world_disconnect(struct world *w, struct world_peer *p);

/* Sends and waits for the reply. args as JSON, NULL: none. */
am_result world_add(struct world *w, struct world_peer *p, am_id state,
    const char *json);
am_result world_add_deadline(struct world *w, struct world_peer *p, am_id state,
    const char *json, int64_t deadline_ms);
am_result world_mutate(struct world *w, struct world_peer *p, enum am_op op,
    am_id state);
void world_info(struct world *w, struct world_peer *p, const char *topic);
void world_end_lease(struct world *w, const char *id, const char *reason);
void world_answer(struct world *w, size_t i, int64_t output);
/* Cuts the connections of the lease; the worker lives on. */
void world_cut(struct world *w);
size_t world_outbox_len(const struct world *w);

/* Between the files of the world. */
int world_listen(const char *path);
void world_on_reply(struct netmach *nm, uint32_t id,
    const struct netmach_reply *r, void *arg);

/* The supervisor of clients, and a client of it. */
void world_supervisor(struct world *w);
void world_supervisor_gone(struct world *w);
void world_client(struct world *w);
void world_client_of(struct world *w, const char *first,
    const char *second);           /* second may be NULL */
void world_grant(struct world *w); /* the worker to who asked last */
void world_refuse(struct world *w, const char *code, const char *message);

#endif
