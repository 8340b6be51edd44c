/* super_rig.h - the real supervisor on a made-up world: no process, no socket.
 *
 * A worker's mirror is a machine that the test changes; what the supervisor
 * wanted of the world is noted. The loop never runs: timers are looked at and
 * fired by hand. */
#ifndef TESTS_UNIT_SUPER_RIG_H
#define TESTS_UNIT_SUPER_RIG_H

#include "daemon/emit.h"
#include "daemon/events.h"
#include "daemon/flow_health.h"
#include "daemon/settle.h"
#include "proto/worker.h"
#include "tests/unit/flows.h"

struct rig {
	struct am_loop *loop;
	struct config config;
	struct super super;
	struct flow_log log;
	struct am_schema *worker_schema;
	struct client c1;
	struct client c2;
	/* What the world does and was asked to do. */
	int spawn_error; /* 0 or -errno */
	unsigned n_spawned;
	unsigned n_served;
	uint8_t token[ARPC_TOKEN_LEN]; /* of the last serve() */
	unsigned n_ended;
	bool kept; /* of the last end_lease() */
	unsigned n_asked;
	int last_signal;
	pid_t last_signal_pid;
	unsigned n_told;
	uint64_t told_client;
	char told_code[32];      /* of an error; empty: a grant */
	enum arpc_error refused; /* the last code; ARPC_E_internal: none yet */
	char told_lease[16];
	int tell_error;
	bool stopped;
};

/* Min, Warm, Max of the pool; further keys as --set does. */
struct rig *rig_new(int min, int warm, int max, const char *const *set,
    size_t n_set);
void rig_free(struct rig *r);
/* Started, everything wanted is up, c1 connected, heartbeat over. */
struct rig *rig_up(int min, int warm, int max);

struct worker *rig_worker(struct rig *r, const char *id);
/* Connected, hello, Ready on the mirror; no push yet. */
void rig_hello(struct worker *w);
void rig_push(struct worker *w);
/* The round of health checks ends, as in the turn after it. */
void rig_heartbeat_over(struct rig *r);
/* Fires a timer that runs. */
void rig_fire(struct am_timer *t);
void rig_mirror_add(struct worker *w, am_id state);
void rig_mirror_remove(struct worker *w, am_id state);

/* A mutation as it comes from c's connection; args as JSON, NULL: none. */
am_result rig_add(struct rig *r, struct client *c, am_id state,
    const char *json);
/* The worker takes the lease: on its mirror and as the answer. */
void rig_accept(struct worker *w);
/* The client is connected to its worker (mirror and push). */
void rig_confirm(struct worker *w);
/* c asks, the first free worker accepts, c confirms. */
struct worker *rig_lease(struct rig *r, struct client *c, const char *json);
/* The worker has reset itself. */
void rig_end(struct worker *w);

#endif
