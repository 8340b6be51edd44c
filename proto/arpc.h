/* arpc.h - aRPC messages to bytes and back; arpc.md is the specification. */
#ifndef PROTO_ARPC_H
#define PROTO_ARPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/schema.h"
#include "proto/value.h"

enum {
	ARPC_VERSION = 1,
	ARPC_FRAME_MAX = 16 * 1024 * 1024,
	/* To a supervisor, and from it to its worker. */
	ARPC_FRAME_SMALL = 64 * 1024,
	/* The most that a frame has besides its args: method, id, states,
	 * deadline. */
	ARPC_FRAME_HEAD = 4096,
	ARPC_FRAME_MIN = 2 * ARPC_FRAME_HEAD, /* every server accepts this */
	ARPC_DEPTH_MAX = 32,
	ARPC_NAMES_MAX = AM_STATES_MAX, /* states in one mutation */
	ARPC_TOKEN_LEN = 16,
	ARPC_TEXT_MAX = 1024, /* of an error, a reason, a client's name */
};

/* 10,000 days. Longer durations from a peer are shortened to this, so that a
 * deadline in nanoseconds never overflows. */
#define ARPC_DURATION_MAX_MS INT64_C(864000000000)

enum arpc_kind {
	ARPC_REQUEST,
	ARPC_RESPONSE,
	ARPC_NOTIFICATION,
};

enum arpc_method {
#define MSG(name, dir, answer) ARPC_##name,
#include "proto/arpc_msg.tbl.h"
#undef MSG
	ARPC__COUNT,
	ARPC_UNKNOWN = ARPC__COUNT, /* the frame is well formed */
};

/* "add", "t", ... */
const char *arpc_method_name(enum arpc_method m);

/* One checked frame. Everything is borrowed from its bytes. */
struct arpc_frame {
	enum arpc_kind kind;
	uint32_t id;             /* requests and responses only */
	enum arpc_method method; /* not for responses */
	const char *name;        /* the method as sent, not terminated */
	size_t name_len;
	struct am_val params; /* an array; the result of a response */
	struct am_val error;  /* responses only; AM_NONE if nil */
};

/* 0, or -EBADMSG with *ret_why naming what is wrong ("type is not 0, 1 or 2").
 * The bytes must be one whole value (mp_scan() said so) of len bytes. */
int arpc_frame_get(const void *data, size_t len, struct arpc_frame *ret,
    const char **ret_why);

/* ---- the closed list of error codes ---- */

#define ARPC_ERRORS(X)                                                         \
	X(bad_frame)     /* closes the connection */                           \
	X(too_big)       /* likewise: frame over 16 MiB */                     \
	X(too_deep)      /* likewise: nesting over 32 */                       \
	X(no_hello)      /* likewise: traffic before hello */                  \
	X(bad_proto)     /* hello with another version; closes */              \
	X(bad_token)     /* no such lease, or not its token; closes */         \
	X(not_permitted) /* the role may not do this */                        \
	X(no_method)                                                           \
	X(bad_params)                                                          \
	X(no_state)    /* state id out of range */                             \
	X(no_topic)    /* info: no such topic */                               \
	X(no_lease)    /* no lease has this id, or it is over */               \
	X(busy)        /* a limit is reached: try later */                     \
	X(limit)       /* this user may have no more leases */                 \
	X(no_worker)   /* none is free, and the queue is full */               \
	X(pool_broken) /* workers do not start */                              \
	X(draining)    /* the supervisor is stopping */                        \
	X(no_process)  /* the process to bind a lease to does not exist */     \
	X(forgotten)   /* sent again, but the outcome is unknown */            \
	X(internal)

enum arpc_error {
#define X(name) ARPC_E_##name,
	ARPC_ERRORS(X)
#undef X
	    ARPC_E__COUNT
};
const char *arpc_error_name(enum arpc_error e);

/* ---- frames out ---- */

/* params follow */
void arpc_put_request(struct am_buf *b, uint32_t id, enum arpc_method m);
/* params follow */
void arpc_put_notification(struct am_buf *b, enum arpc_method m);
/* result follows */
void arpc_put_response(struct am_buf *b, uint32_t id);
/* Whole frame: [1, id, "code: text (field)", nil]; field may be NULL. */
void arpc_put_error(struct am_buf *b, uint32_t id, enum arpc_error e,
    const char *field, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Splits "code: text". ARPC_E_internal if the code is not in the list. */
enum arpc_error arpc_error_get(struct am_val error, const char **ret_text,
    size_t *ret_len);
/* Whole frame: [2, "bye", [reason]]. */
void arpc_put_bye(struct am_buf *b, const char *reason);

/* ---- hello ----
 * params: [{"proto":1,"id":client id,"name":text?,"token":bin?,"hash":uint?,
 *           "resume":{"epoch":uint?}?,
 *           "sync":{"allow":[names]? or "skip":[names]?,"shallow":bool?,
 *                   "mutations":bool?,"schema":bool?,"events":bool?,
 *                   "prompt":[names]?}?}]
 * result: {"proto","id":text,"epoch","states":n,"schema":rows?,"hash",
 *          "time":[...],"q","m","seq","window":uint?,"max":uint?,
 *          "resumed":bool?}
 * schema is left out if the client's hash is current, max if it is
 * ARPC_FRAME_MAX, resumed if the hello had no resume. */

/* Which parts of the clock a connection wants to see. */
struct arpc_sync {
	struct am_val allow; /* array of names: only these; AM_NONE: all */
	struct am_val skip;  /* array of names: all but these; or AM_NONE */
	bool shallow;        /* ticks only say active or not */
	bool mutations;      /* an m for each mutation */
	bool no_schema;
	bool no_events; /* no payloads of kind event */
	/* Array of names: changes of these are sent at once, changes of other
	 * states with the next output or within ARPC_LATE_MS. AM_NONE: all are
	 * sent at once. */
	struct am_val prompt;
};
enum { ARPC_LATE_MS = 50 };

struct arpc_hello {
	uint32_t proto;
	uint64_t client_id; /* random, 63 bits, new for each process */
	char name[64];      /* for people; truncated */
	bool has_token;
	uint8_t token[ARPC_TOKEN_LEN];
	bool has_hash;
	uint64_t hash;
	bool has_resume;       /* remember its mutations */
	uint64_t resume_epoch; /* of the last welcome; 0: none */
	struct arpc_sync sync;
};

/* whole frame */
void arpc_put_hello(struct am_buf *b, uint32_t id, const struct arpc_hello *h);
int arpc_hello_get(struct am_val params, struct arpc_hello *ret,
    const char **ret_why);

struct arpc_welcome {
	uint32_t proto;
	char machine[64];
	uint64_t epoch;
	uint64_t hash;
	uint32_t n_states;
	struct am_val schema; /* array of rows, or AM_NONE */
	struct am_val time;   /* array of n_states ticks */
	uint64_t queue_tick;
	uint64_t machine_tick;
	uint64_t last_seq;
	uint32_t window;  /* requests open at once; 0: none are taken */
	size_t frame_max; /* of frames to the server; 0: ARPC_FRAME_MAX */
	bool has_resumed;
	bool resumed; /* earlier mutations are remembered */
};

/* Puts the result only. w->schema must be encoded already; AM_NONE leaves it
 * out. */
void arpc_put_welcome(struct am_buf *b, const struct arpc_welcome *w);
int arpc_welcome_get(struct am_val result, struct arpc_welcome *ret,
    const char **ret_why);

/* Rows of a schema: [[name, flags (1 auto, 2 multi), require, add, remove,
 * after], ...], relations as arrays of ids. */
void arpc_put_schema(struct am_buf *b, const struct am_states *states);

/* ---- mutations: add remove set toggle can_add can_remove ----
 * params: [[ids], args?, deadline ms?]   result: [result, update, why?] */

struct arpc_mutation {
	am_id states[ARPC_NAMES_MAX];
	size_t n_states;
	struct am_val args;  /* AM_NONE or a map */
	int64_t deadline_ms; /* -1: none; at most ARPC_DURATION_MAX_MS */
};

void arpc_put_mutation(struct am_buf *b, const am_id *states, size_t n,
    struct am_val args, int64_t deadline_ms);
/* Args, or nil: AM_NONE. */
struct mp;
int arpc_args_get(struct mp *c, struct am_val *ret, const char **ret_why);
/* Each state once. Writes only the first n_states of *ret. -ERANGE if an id is
 * not below n_known. */
int arpc_mutation_get(struct am_val params, size_t n_known,
    struct arpc_mutation *ret, const char **ret_why);

/* ---- updates ----
 * [queue tick delta, checksum, id, delta, id, delta, ...] relative to what was
 * sent before on this connection; checksum = (sum of ticks + queue tick +
 * machine tick) mod 256 after it. A changed machine tick requires a sync. */

/* What a peer was sent last. arpc_put_update() writes the difference between
 * that and now (n ticks), and updates it. */
struct arpc_clock {
	uint64_t *tick;
	size_t n;
	uint64_t queue_tick;
	uint64_t machine_tick;
	uint8_t sum; /* kept up to date */
};
void arpc_put_update(struct am_buf *b, struct arpc_clock *sent,
    const uint64_t *now, uint64_t queue_tick);
/* Applies an update. -EBADMSG: malformed. -EILSEQ: applied, but the checksum
 * differs: ask for a sync. */
int arpc_update_get(struct am_val update, struct arpc_clock *clock,
    const char **ret_why);
uint8_t arpc_clock_sum(const struct arpc_clock *c);

/* ---- mutations as they happened: m ----
 * params: [update, op, [called ids], flags]; op: 0 add, 1 remove, 2 set; flags:
 * 1 accepted, 2 automatic. */

enum {
	ARPC_M_ACCEPTED = 1,
	ARPC_M_AUTOMATIC = 2,
};

struct arpc_mutated {
	struct am_val update;
	unsigned op;
	unsigned flags;
	size_t n_called;
	am_id called[ARPC_NAMES_MAX]; /* below n_known */
};
int arpc_mutated_get(struct am_val params, size_t n_known,
    struct arpc_mutated *ret, const char **ret_why);

/* ---- payloads ----
 * params: [seq, req, kind, name, source, data]. A large one has [seq, req,
 * kind, name, source, nil, bytes], and its data follows in parts [seq, bin],
 * each in a frame of its own. [seq, nil]: the rest will not come. */

enum {
	ARPC_PART_LEN = 256 * 1024,
	ARPC_PAYLOAD_MAX = 64 * 1024 * 1024,
};

enum arpc_payload_kind {
	ARPC_P_RESULT,   /* the one final answer of a request */
	ARPC_P_PROGRESS, /* before it */
	ARPC_P_CHUNK,    /* before it */
	ARPC_P_EVENT,    /* no request asked for it */
};

/* "result", ...: as people and programs read it. */
const char *arpc_payload_kind_name(enum arpc_payload_kind kind);

struct arpc_payload {
	uint64_t seq; /* 0: not numbered, not acked (a supervisor's) */
	uint32_t req; /* id of the mutation that asked; 0: none */
	enum arpc_payload_kind kind;
	/* Whole string values. */
	struct am_val name;
	struct am_val source;
	struct am_val data;
	size_t total; /* bytes that follow in parts; 0: data has all */
};

/* whole frame; the parts follow */
void arpc_put_payload_head(struct am_buf *b, uint64_t seq, uint32_t req,
    enum arpc_payload_kind kind, const char *name, const char *source,
    size_t total);
/* whole frame; NULL: the rest will not come */
void arpc_put_part(struct am_buf *b, uint64_t seq, const void *p, size_t len);
/* *ret_bytes is NULL if the rest will not come. */
int arpc_part_get(struct am_val params, uint64_t *ret_seq,
    const void **ret_bytes, size_t *ret_len, const char **ret_why);
void arpc_put_payload(struct am_buf *b, uint64_t seq, uint32_t req,
    enum arpc_payload_kind kind, const char *name, const char *source,
    struct am_val data); /* whole frame */
int arpc_payload_get(struct am_val params, struct arpc_payload *ret,
    const char **ret_why);

/* ---- lease_begin (private connections) ----
 * params: [{"lease","token":bin,"client","ttl_ms","max_ms"}]; the result
 * is that of a mutation: the handler adds ServeClient {lease, client}. */

struct arpc_lease {
	char lease[40];
	uint8_t token[ARPC_TOKEN_LEN];
	char client[64];
	int64_t ttl_ms; /* at most ARPC_DURATION_MAX_MS, like max_ms */
	int64_t max_ms;
};

/* params only */
void arpc_put_lease(struct am_buf *b, const struct arpc_lease *l);
int arpc_lease_get(struct am_val params, struct arpc_lease *ret,
    const char **ret_why);

#endif
