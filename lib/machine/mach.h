/* mach.h - the inside of a machine; only lib/machine includes it. */
#ifndef LIB_MACHINE_MACH_H
#define LIB_MACHINE_MACH_H

#include <string.h>

#include "lib/machine/machine.h"
#include "lib/machine/schema.h"

enum {
	QUEUE_LIMIT = 1000,     /* waiting mutations; semantics.md 3.1 */
	QUEUE_HARD_MAX = 65536, /* if handlers queue endlessly */
	CALLED_INLINE = 4,
	HANDLER_TIMEOUT_MS = 1000,
	FAILURES_MAX = 100, /* in a row, before auto states rest */
	WHY_MAX = 1024,
};

/* A waiting mutation. */
enum queued_flag {
	Q_APPENDED = 1, /* its turn ticks the queue */
	Q_CHECK = 2,
	Q_DISTINCT = 4, /* half of a pulse: never taken for a duplicate */
	Q_EVAL = 8,
};

/* A function that waits to run between transitions. */
struct eval {
	am_eval_fn fn;
	void *arg;
	char source[]; /* for logs */
};

/* The args and origin of a waiting mutation, copied. */
struct queued_args {
	size_t len;
	struct am_source from; /* machine: NULL, or stored after the data */
	unsigned char data[];
};

struct queued {
	union {
		am_id in[CALLED_INLINE];
		am_id *heap;       /* owned, if n > CALLED_INLINE */
		struct eval *eval; /* owned, if Q_EVAL; n is 0 then */
	} called;
	uint16_t n;
	uint8_t op;
	uint8_t flags;
	struct queued_args *args; /* owned; NULL: neither args nor origin */
	const void *source;
};

struct queue {
	struct queued *item; /* a ring; cap is a power of two or 0 */
	uint32_t cap;
	uint32_t head;
	uint32_t len;
};

/* ---- handlers ---- */

enum handler_set {
	H_ENTER,
	H_EXIT,
	H_SELF,
	H_STATE,
	H_END,
	H_PAIR, /* it is `before` in a pair */
	H__COUNT
};

/* A bound am_handlers, compiled for a schema and shared by its machines. */
struct handler_table {
	struct handler_table *next; /* of schema->tables */
	int refs;
	const struct am_handlers *h;  /* borrowed */
	struct am_pair_handler *pair; /* sorted by before, after */
	size_t n_pairs;
	uint64_t set[]; /* [H__COUNT][nw] */
};

struct binding {
	struct handler_table *table;
	void *arg;
};

static inline const uint64_t *
table_set(const struct handler_table *t, enum handler_set k, size_t nw)
{
	return t->set + (size_t)k * nw;
}

/* ---- the machine ---- */

struct tracer {
	const struct am_tracer *t; /* NULL: removed while tracers run */
	void *arg;
};

struct sub;
struct subs;
struct logger;
struct tx;
struct call;

/* Whether the active list is its own resolution, sorted, without a pair of
 * After. Then a mutation of one state may not need a general resolution. */
enum steady { STEADY_UNKNOWN, STEADY_NO, STEADY_YES };

struct am_machine {
	struct am_schema *schema;
	char *id;
	void *block;     /* owned: clock, active, order after am_set_schema() */
	uint64_t *clock; /* [len] */
	uint64_t *active; /* [nw] */
	am_id *order;     /* [len], the active list */
	uint16_t n_active;
	uint16_t n_bindings;
	uint16_t n_tracers;
	/* bits, so that am_mutate() can test the first ones at once */
	bool draining : 1;
	bool dying : 1; /* freed inside a callback */
	bool mirror : 1;
	bool self_or_pair : 1; /* such handlers are bound */
	bool any : 1;          /* any_enter or any_state is bound */
	bool sub_always : 1;   /* a subscription checks every transition */
	bool sub_ends : 1;     /* one waits for the end of the queue */
	bool held : 1;     /* its owner still needs the memory: mach_hold() */
	bool ended : 1;    /* and has nothing else any more */
	bool asks : 1;     /* negotiation handlers are bound */
	bool sub_held : 1; /* at the end: the condition of this one held */
	bool general : 1;  /* plan_one() always says so; set by tests */
	bool debugged : 1; /* AM_DEBUG has raised handler_limit_ms */
	uint8_t steady;    /* enum steady */
	uint32_t pins;     /* callers on the stack that need the memory */
	uint32_t pending;  /* appended mutations that wait */
	uint32_t failures; /* failed handlers since an appended mutation ran */
	uint64_t queue_tick;
	uint64_t machine_tick;
	uint64_t n_transitions;
	struct queue queue;
	struct binding *binding;
	/* [H__COUNT][nw] for all bindings; those of the only table, or
	 * owned. */
	const uint64_t *bound;
	uint64_t *bound_own;
	struct tracer *tracer;
	struct subs *subs;         /* NULL until the first one */
	const uint64_t *watch;     /* of subs: states that one waits for */
	const uint64_t *want_args; /* of subs: states that one may wait for */
	struct tx *tx;             /* the running transition */
	struct logger *logger;     /* NULL: nothing is logged */
	int64_t handler_ns;        /* when the last handler ended; 0: unknown */
	int64_t handler_limit_ms;  /* per handler; INT64_MAX: none */
	char *why;                 /* owned, may be NULL */
	char *last_error;          /* likewise */
	void *owner;               /* for its maker */
	struct mach_remote *remote; /* borrowed; mirrors only; may be NULL */
};

/* The plan of a transition: what happens to the one called state if nothing
 * else changes; otherwise the general plan, which resolve() makes. */
enum plan {
	PLAN_UNKNOWN, /* plan_one() was not called yet */
	PLAN_GENERAL,
	PLAN_STAY, /* it is active already, and not multi */
	PLAN_ENTER,
	PLAN_REENTER,
	PLAN_EXIT,
	PLAN_NONE, /* it is removed but inactive */
};

/* A request to the machine: an am_mutation that passed the guards. */
struct request {
	enum am_op op; /* AM_ADD, AM_REMOVE, AM_SET */
	bool automatic;
	bool check;
	enum plan plan;      /* the result of plan_one(), if called */
	const am_id *called; /* unique */
	size_t n_called;
	struct am_val args;
	const void *source;
	const struct am_source *from;
};

static inline bool
has_called(const struct request *rq, am_id id)
{
	for (size_t i = 0; i < rq->n_called; i++)
		if (rq->called[i] == id)
			return true;
	return false;
}

/* A running transition and its scratch memory, on the stack of the drain. */
struct tx {
	struct request rq;
	struct am_machine *m;
	struct am_event ev;      /* of the running handler */
	const struct call *call; /* likewise */
	bool accepted;
	bool completed; /* a handler failed: call no more */
	bool failing;   /* the running handler has called am_fail() */
	bool refused;   /* an automatic state was left out */
	bool ticked;    /* clocks of enters and exits have ticked */
	bool may_auto;  /* an automatic transition may follow */
	bool timeout;   /* the handler failed by taking too long */
	size_t n_target;
	size_t n_enters;
	size_t n_exits;
	uint64_t *time_after; /* owned; NULL: the present clocks */
	/* What changes, as sets and in the order of the handlers. exit_list is
	 * empty if nothing is bound. */
	struct set enters;
	struct set exits;
	am_id enter_list[AM_STATES_MAX];
	am_id exit_list[AM_STATES_MAX];
	/* For the general plan, and while there is a logger. */
	struct set called;
	struct set target_set; /* auto: rejected states are taken out */
	am_id target[AM_STATES_MAX];
	am_id called_buf[AM_STATES_MAX];
	char refusal[AM_ERROR_MAX];
	size_t why_len;
	char why[WHY_MAX];
};

/* An encoded empty map counts as no args. */
static inline struct am_val
real_args(struct am_val args)
{
	if (args.len == 1 && *(const unsigned char *)args.data == 0x80)
		return AM_NONE;
	return args;
}

/* ---- the files, each calling only those above it ----
 *
 * string.c, mlog*.c, trace.c: what is told. */

void trace_queued(struct am_machine *m, const struct request *rq);
/* False: a tracer has freed the machine. */
bool trace_start(struct tx *tx);
void trace_finals(struct tx *tx);
void trace_end(struct tx *tx);
void trace_drain_end(struct am_machine *m);
void trace_schema_changed(struct am_machine *m);
/* The end of a transition in the machine of a mirror. The caller pins. */
void trace_remote(struct am_machine *m, const struct am_transition *t);
void mlog_free(struct am_machine *m); /* the rest is in mlog.h */

/* queue.c */
int queued_init(struct queued *it, const struct request *rq);
int queued_init_eval(struct queued *it, const char *source, am_eval_fn fn,
    void *arg);
void queued_done(struct queued *it);
const am_id *queued_called(const struct queued *it);
/* Take *it on success. */
int queue_append(struct queue *q, const struct queued *it);
int queue_prepend(struct queue *q, const struct queued *it);
bool queue_pop(struct queue *q, struct queued *ret);
void queue_drop_last(struct queue *q);
/* Whether an equal mutation waits (semantics.md 3.2). */
bool queue_holds(const struct queue *q, const struct request *rq);
void queue_done(struct queue *q);

/* Queues a mutation and tells tracers. -ENOMEM, -ENOBUFS. */
int mach_enqueue(struct am_machine *m, const struct request *rq,
    unsigned flags);

/* error.c: why the transition is canceled, reasons joined. */
__attribute__((format(printf, 2, 3))) void why_add(struct tx *tx,
    const char *fmt, ...);
void why_relations(struct tx *tx);
/* Set what am_why() and am_last_error() return. */
void mach_set_why(struct am_machine *m, const char *text);
void mach_error(struct am_machine *m, const char *text);
/* Handles a failed handler: semantics.md 11, up to the rollback. */
void error_of_handler(struct tx *tx, const char *handler, bool is_final,
    const char *text, bool timeout);

/* sub.c: call the subscriptions that hold: after a transition; after the clocks
 * of these states were set from outside; when the queue is empty; at the
 * end. */
void subs_after(struct am_machine *m, const struct tx *tx);
/* Inside a transition, after the final handlers of the state: those that wait
 * for these args. */
void subs_args(struct am_machine *m, am_id id, struct am_val args);
/* The caller pins the machine. */
void subs_update(struct am_machine *m, const uint64_t *changed);
/* One that waits. The caller pins. */
void subs_fire(struct am_machine *m, am_sub sub);
void subs_queue_ends(struct am_machine *m);
void subs_disposed(struct am_machine *m);
void subs_free(struct am_machine *m);
/* For a longer schema: allocates room (NULL: no memory, or not needed); moves
 * there and takes it. */
struct subs *subs_longer(const struct am_machine *m,
    const struct am_schema *to);
void subs_move(struct am_machine *m, const struct am_schema *to,
    struct subs *n);

/* table.c: binds a table; -ENOMEM. */
int tables_add(struct am_machine *m, const struct am_handlers *h, void *arg);
void tables_unref(struct am_machine *m);
/* Compiles the bindings for another schema; on -ENOMEM nothing changes. */
int tables_move(struct am_machine *m, struct am_schema *to);

/* life.c: a new machine of the schema; the id is copied. */
struct am_machine *mach_alloc(struct am_schema *schema, const char *id);
/* Between these calls the machine is not freed. */
static inline void
mach_pin(struct am_machine *m)
{
	m->pins++;
}
void mach_destroy(struct am_machine *m);
static inline void
mach_unpin(struct am_machine *m)
{
	if (--m->pins == 0 && m->dying)
		mach_destroy(m);
}

/* sort.c: semantics.md 7. set has the states in list. told: NULL, or the
 * transition whose steps record the comparisons. */
void sort_states(const struct am_schema *s, am_id *list, size_t n,
    const uint64_t *set, const struct tx *told);
void list_reverse(am_id *list, size_t n);

/* resolve.c: semantics.md 6. Makes the target, in tx->target, n_target and
 * target_set, of the first n states of tx->target, which must be unique. */
void resolve(struct tx *tx, size_t n);

/* plan.c; plan_one() is in plan.h. Ticks the clock of the one state and updates
 * the order. */
void plan_apply(struct am_machine *m, enum plan plan, am_id id);
/* Finds out, if m->steady does not say. */
bool plan_find_steady(struct am_machine *m);

/* handler.c */
bool negotiate(struct tx *tx);
/* False: a handler failed, and the caller rolls back. *ret_failed is the
 * position of its state in enter_list; SIZE_MAX for an end handler. */
bool run_finals(struct tx *tx, size_t *ret_failed);
bool run_any_state(struct tx *tx);

/* transition.c: runs one transition, from its plan to its end: that of tx->rq,
 * whose states may be in tx->called_buf; the rest of tx is scratch. */
void transition_run(struct am_machine *m, struct tx *tx);
/* The states that an automatic mutation would call now. Returns their
 * number. */
size_t auto_states(const struct am_machine *m, am_id *to);

/* drain.c: runs tx->rq, then everything that waits. The result, and the reason
 * in am_why(), are those of tx->rq. */
am_result mach_run(struct am_machine *m, struct tx *tx);
/* Runs everything that waits. */
void mach_drain(struct am_machine *m, struct tx *tx);

/* mutate.c: why this machine cannot be mutated; NULL: it can. */
const char *mach_not_mutable(const struct am_machine *m);
/* Sets am_why(), and returns AM_CANCELED. */
am_result mach_refuse(struct am_machine *m, const char *why);

/* read.c: the origin of what happens in m now; borrows its id. */
struct am_source mach_source(const struct am_machine *m);

#endif
