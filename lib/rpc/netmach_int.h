/* netmach_int.h - the inside of a net machine; private to netmach*.c and
 * resend.c. */
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
	/* Added to the ids of calls that are not mutations, on the wire, so
	 * that mutations have the lower ids to themselves. */
	OTHER_IDS = 1 << 16,
	/* Ranges of delivered payloads. A server sends them in order, so no gap
	 * is filled later, and the oldest gap can be closed. */
	TOLD_RANGES_MAX = 1024,
};

/* A payload whose data arrives in parts. */
struct payload_parts {
	uint8_t *data; /* NULL: none is arriving */
	size_t len;
	struct arpc_payload payload;
	struct mp_scan scan;
	uint8_t name[160], source[96]; /* encoded */
};

struct netmach {
	uint32_t magic;
	struct am_loop *loop;          /* borrowed */
	const struct netmach_ops *ops; /* borrowed */
	void *arg;
	enum netmach_phase phase;
	bool freed;        /* by the user; the memory goes after the turn */
	bool wrong;        /* the checksum was wrong, a sync is in progress */
	struct conn *conn; /* NULL: none */
	struct addr addr;  /* of the last netmach_connect() */
	const struct tls *tls; /* borrowed; NULL: plain */
	/* The addresses of its name, tried in order. */
	struct resolve *resolve; /* while they are being resolved */
	struct addr *found;      /* owned; NULL: there is only addr */
	size_t n_found;
	size_t at;
	struct am_timer retry;
	int64_t give_up_ns; /* until then it is tried; 0: it is closed */
	bool closing;       /* by the user: do not connect again */
	int64_t retry_ms;
	bool retry_gone;
	struct backoff backoff;
	unsigned n_early;   /* connections lost before the first welcome */
	char lost_why[128]; /* how it was lost; empty: it was not */
	struct arpc_hello hello;
	uint32_t hello_id;
	int64_t timeout_ms;
	size_t take_max;          /* of frames from the server */
	size_t out_max;           /* that the server has not read */
	size_t frame_max;         /* of the server, as far as known */
	struct am_schema *schema; /* NULL: none is known */
	uint64_t hash;            /* of schema, as the server computes it */
	struct am_machine *mirror;
	struct mach_remote remote; /* of the mirror: netmach_ask.c */
	bool traced;               /* the mirror has tracers */
	bool all_mutations;        /* the conf asked for them */
	TAILQ_HEAD(, asked_args) asked;
	size_t n_asked;
	size_t asked_bytes;
	struct arpc_clock clock; /* the sum of what the server sent */
	uint64_t epoch;
	uint64_t last_seq;
	unsigned window; /* from the welcome */
	uint64_t mismatches;
	struct calls calls;  /* mutations */
	struct calls others; /* their ids without OTHER_IDS */
	/* With resume: */
	bool resume;
	int64_t keep_ms;
	int64_t lost_ns; /* when the connection was lost; 0: there is one */
	struct resend_list resend;
	struct resend_list over; /* about to be called back */
	struct resend *unsent;   /* borrowed; the first not sent yet */
	size_t resend_bytes;
	struct am_timer keep_timer;
	struct payload_parts parts;
	/* Seqs of payloads in this epoch. */
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

/* The connection is over: calls back open calls, and then on_close, unless the
 * user frees the net machine meanwhile. */
void netmach_end(struct netmach *nm, int code, const char *why);

/* The server has closed the connection because of a frame: the oldest
 * unanswered mutation has failed. false: the user has freed the net machine. */
bool netmach_refused(struct netmach *nm, enum arpc_error e, const char *why);

/* ---- netmach_up.c ---- */

/* Whether a bye with this reason is about a frame of ours, which must not be
 * sent again. */
bool netmach_is_of_a_frame(const char *why);

/* Makes one attempt, with all addresses of the host. -errno: it failed at
 * once. */
int netmach_begin(struct netmach *nm);
/* The address that is being tried, or is connected. */
const struct addr *netmach_at(const struct netmach *nm);
/* The callback of the timer retry. */
void netmach_on_retry(void *arg);

/* ---- netmach_ask.c ---- */

void netmach_ask_init(struct netmach *nm);
/* There is a new connection: asks for what waited for one. */
void netmach_ask_again(struct netmach *nm);
/* The mirror is being freed. */
void netmach_ask_nothing(struct netmach *nm);
/* Tells the tracers of the mirror; false: the user has freed the net
 * machine. */
bool netmach_tell_mutated(struct netmach *nm, const struct arpc_mutated *mu);

/* netmach_in.c: handles one frame from the server; for struct conn_ops. */
void netmach_on_frame(struct conn *c, const struct arpc_frame *f, void *arg);

#endif
