/* mlog.h - the log lines of semantics.md 17. Called only if the machine has a
 * logger; each function knows the level of its lines. */
#ifndef LIB_MACHINE_MLOG_H
#define LIB_MACHINE_MLOG_H

#include "lib/amnode_log.h"
#include "lib/machine/mach.h"

struct breakpoint {
	struct breakpoint *next;
	enum am_op op;
	size_t n;
	am_id states[];
};

struct logger {
	struct am_logger conf;
	struct breakpoint *breakpoint; /* owned */
	struct set ctx;                /* states with a valid context */
	struct am_buf steps;           /* of the running transition */
	/* the target that mlog_resolve() found */
	size_t n_target;
	am_id target[AM_STATES_MAX];
	/* the last failed handler */
	enum am_op op;
	size_t n_called;
	am_id called[AM_STATES_MAX];
};

/* ---- parts of lines ---- */

bool mlog_on(const struct am_machine *m, enum am_log_level level);
static inline bool
mlog_all(const struct am_machine *m)
{
	return m->logger != NULL && m->logger->conf.level >= AM_LOG_EVERYTHING;
}

/* Whether a handler or tracer is called in every transition. */
static inline bool
any_heard(const struct am_machine *m)
{
	return m->any || mlog_all(m);
}

/* Begins a line with the id. mlog_end() writes it, and frees the buffer. */
void mlog_begin(const struct am_machine *m, struct am_buf *b);
void mlog_end(const struct am_machine *m, enum am_log_level level,
    struct am_buf *b);
/* `before`, then the names separated by blanks; nothing if there are no
 * names. */
void mlog_names(const struct am_machine *m, struct am_buf *b,
    const char *before, const am_id *list, size_t n);
/* The states of the list that are in set, each after `before`. Returns whether
 * there are any. */
bool mlog_some(const struct am_machine *m, struct am_buf *b, const char *before,
    const am_id *list, size_t n, const uint64_t *set);
/* " (k=v k2=v2)" for the args that the logger shows; else nothing. */
void mlog_args(const struct am_machine *m, struct am_buf *b,
    struct am_val args);
void mlog_line(struct am_machine *m, enum am_log_level level, const char *fmt,
    ...) AM_PRINTF(3, 4);

/* ---- the queue ---- */

void mlog_queued(struct am_machine *m, const struct request *rq, bool in_front);
void mlog_eval_queued(struct am_machine *m, const char *source);
void mlog_duplicate(struct am_machine *m, const struct request *rq);
void mlog_breakpoint(struct am_machine *m, const struct request *rq);

/* ---- a transition, in this order ---- */

void mlog_start(const struct tx *tx);
void mlog_not_accepted(const struct tx *tx);
/* Its turn has come, bound or not. */
void mlog_handle(const struct tx *tx, size_t binding, const char *name);
void mlog_handler(const struct tx *tx, size_t binding, const char *name);
void mlog_handler_end(const struct tx *tx, size_t binding, const char *name);
/* A bound handler: the transition is over already; it took too long. */
void mlog_handler_invalid(const struct tx *tx, size_t binding,
    const char *name);
void mlog_handler_timeout(const struct tx *tx, size_t binding,
    const char *name);
void mlog_refused(const struct tx *tx, const char *name, bool self);
/* Before the active list changes: list has the entered states, the active list
 * those that leave. */
void mlog_states(const struct tx *tx, const am_id *list, size_t n,
    const uint64_t *entered, const uint64_t *left);
void mlog_exception(const struct tx *tx);
/* The automatic mutation that follows. */
void mlog_auto(const struct tx *tx, const am_id *called, size_t n);

/* ---- mlog_step.c: what a transition does, for its string ---- */

void mlog_steps_begin(const struct tx *tx);
void mlog_step(const struct tx *tx, const char *what, am_id id);
/* The states to set: new ones, and those that a set leaves out. */
void mlog_step_set(const struct tx *tx, const am_id *list, size_t n);
void mlog_step_relation(const struct tx *tx, am_id from, const char *relation,
    am_id to);
void mlog_step_add(const struct tx *tx, am_id from, const am_id *list,
    size_t n);
/* The sort by After has compared these two. */
void mlog_step_compared(const struct tx *tx, am_id a, am_id b);
/* second and suffix may be "" */
void mlog_step_handler(const struct tx *tx, const char *first,
    const char *second, const char *suffix);
const char *mlog_steps(const struct am_machine *m);

/* ---- mlog_resolve.c ---- */

/* Logs how the first n states of tx->target, the wanted ones, become the
 * target. Leaves that in tx->target, n_target and target_set, for the lines
 * above, if the plan needs no list. */
void mlog_resolve(struct tx *tx, size_t n);
/* Asserts that the plan has the same target. */
void mlog_resolved(const struct tx *tx);

/* ---- contexts of states ---- */

void mlog_ctx_new(const struct am_machine *m, am_id state);
/* These have ticked. */
void mlog_ctx_ended(const struct am_machine *m, const uint64_t *ticked);

/* ---- failures ---- */

void mlog_failing(const struct tx *tx);
/* What remains of the active list without these. */
void mlog_rolling_back(const struct tx *tx, const uint64_t *left);
void mlog_recovered(const struct tx *tx);

/* ---- subscriptions ---- */

void mlog_subscribed(struct am_machine *m, const struct sub *b);
void mlog_match(struct am_machine *m, const struct sub *b);

#endif
