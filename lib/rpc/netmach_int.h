/* netmach_int.h - what a net machine is made of; private to netmach.c,
 * netmach_up.c and netmach_in.c. */
#ifndef LIB_RPC_NETMACH_INT_H
#define LIB_RPC_NETMACH_INT_H

#include <assert.h>

#include "lib/base/backoff.h"
#include "lib/base/seqs.h"
#include "lib/machine/machine.h"
#include "lib/rpc/calls.h"
#include "proto/mp.h"

enum {
	NETMACH_MAGIC = 0x6e6d6163,
	/* Added to the ids of calls that are no mutations, on the wire: those
	 * of mutations are to ascend without them. */
	OTHER_IDS = 1 << 16,
	/* Of payloads that were told. A server that keeps to their order fills
	 * no gap between those that came, so the oldest can be closed. */
	TOLD_RANGES_MAX = 1024,
};

/* A payload whose data comes in parts. */
struct parts {
	uint8_t *data; /* NULL: none is on the way */
	size_t len;
	struct arpc_payload payload;
	struct mp_scan scan;
	uint8_t name[160], source[96]; /* of the payload, encoded */
};

struct netmach {
	uint32_t magic;
	struct am_loop *loop;          /* borrowed */
	const struct netmach_ops *ops; /* borrowed */
	void *arg;
	enum netmach_phase phase;
	bool freed;        /* by the user; the memory goes after the turn */
	bool wrong;        /* the checksum did not fit, a sync is under way */
	struct conn *conn; /* NULL: none */
	struct addr addr;  /* of the last netmach_connect() */
	const struct tls *tls; /* borrowed; NULL: plain */
	/* The addresses of its name, tried in order. */
	struct resolve *resolve; /* they are being asked for */
	struct addr *found;      /* owned; NULL: there is only addr */
	size_t n_found;
	size_t at;
	struct am_timer retry;
	int64_t give_up_ns; /* then it is no longer tried; 0: it is closed */
	bool closing;       /* by the user: no connection is wanted any more */
	int64_t retry_ms;
	bool retry_gone;
	struct backoff backoff;
	unsigned n_early;   /* cut before the first hello was answered */
	char lost_why[128]; /* how it was lost; empty: it is not */
	struct arpc_hello hello;
	uint32_t hello_id;
	int64_t timeout_ms;
	size_t frame_max;         /* of the server, as far as it is known */
	struct am_schema *schema; /* NULL: none is known */
	uint64_t hash;            /* of schema, as the server counts it */
	struct am_machine *mirror;
	struct mach_remote remote; /* of the mirror: netmach_ask.c */
	bool traced;               /* by tracers of the mirror */
	bool all_mutations;        /* as the conf says */
	TAILQ_HEAD(, asked_args) asked;
	size_t n_asked;
	size_t asked_bytes;
	struct arpc_clock clock;   /* what the server sent, by its diffs */
	uint64_t epoch;
	uint64_t last_seq;
	unsigned window; /* of the welcome */
	uint64_t mismatches;
	struct calls calls;  /* mutations */
	struct calls others; /* their ids without OTHER_IDS */
	/* Of a resuming one. */
	bool resume;
	int64_t keep_ms;
	int64_t lost_ns; /* since when there is no connection; 0: there is */
	struct resend_list resend;
	struct resend_list over; /* those that are about to be called back */
	struct resend *unsent;   /* borrowed; the first that is not sent */
	size_t resend_bytes;
	struct am_timer keep_timer;
	struct parts parts;
	/* Seqs of payloads, of this epoch. */
	struct seqs told;
	struct seqs unacked; /* of these */
	struct turn_item reap;
};

static inline struct netmach *
netmach_of(void *arg)
{
	struct netmach *nm = arg;

	assert(nm->magic == NETMACH_MAGIC);
	return nm;
}

static inline bool
netmach_is_ready(const struct netmach *nm)
{
	return nm->phase == NETMACH_READY && nm->conn != NULL &&
	    conn_phase(nm->conn) == CONN_UP;
}

/* The connection is over: answers open calls, then on_close, if the user has
 * not freed the net machine meanwhile. */
void netmach_end(struct netmach *nm, int code, const char *why);

/* The server has closed the connection for a frame of ours: the oldest mutation without an answer has failed. false: the user has
 * freed the net machine. */
bool netmach_refused(struct netmach *nm, enum arpc_error e, const char *why);

/* ---- netmach_up.c ---- */

/* Whether a bye of this reason is about one frame of ours, which is not to be
 * sent again. */
bool netmach_is_of_a_frame(const char *why);

/* One attempt, all addresses of the host. -errno: it failed at once. */
int netmach_begin(struct netmach *nm);
/* The one that is tried or connected. */
const struct addr *netmach_at(const struct netmach *nm);
/* Of the timer retry. */
void netmach_on_retry(void *arg);

/* ---- netmach_ask.c ---- */

void netmach_ask_init(struct netmach *nm);
/* With a new connection, what waits for one. */
void netmach_ask_again(struct netmach *nm);
/* The mirror is gone. */
void netmach_ask_nothing(struct netmach *nm);
/* To tracers of the mirror; false: the user has freed the net machine. */
bool netmach_tell_mutated(struct netmach *nm, const struct arpc_mutated *mu);

/* netmach_in.c: one frame of the server; of struct conn_ops. */
void netmach_on_frame(struct conn *c, const struct arpc_frame *f, void *arg);

#endif
