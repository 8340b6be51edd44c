/* amnode_help.h - around machines: log lines, waiting with a timeout, trying
 * again, and machines that follow each other. Words as in amnode.h. */
#ifndef AMNODE_HELP_H
#define AMNODE_HELP_H

#include <amnode.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- log lines (semantics.md 17) ---- */

enum am_log_level {
	AM_LOG_NOTHING,
	AM_LOG_EXTERNAL,  /* am_log() */
	AM_LOG_CHANGES,   /* what became active or inactive */
	AM_LOG_OPS,       /* mutations, handlers, refusals, subscriptions */
	AM_LOG_DECISIONS, /* automatic ones too */
	AM_LOG_EVERYTHING,
};

struct am_logger {
	size_t size; /* sizeof(struct am_logger) */
	enum am_log_level level;
	bool no_id; /* lines do not begin with "[mach1] " */
	bool
	    all_args; /* show all args of mutations, else those of these keys */
	const char *const *args; /* ends with NULL; NULL: none */
	/* Takes a line without its end. It must not call the machine. */
	void (*line)(const struct am_machine *m, enum am_log_level level,
	    const char *line, void *arg);
	void *arg;
};

/* Copies the logger, borrows its args; NULL or level 0: nothing is logged,
 * which costs nothing. -ENOMEM; -EBUSY: in a drain; -EINVAL: it has no size. */
AM_API int am_set_logger(struct am_machine *m, const struct am_logger *l);
/* The same with what the environment says: AM_LOG (0 to 5) sets the level,
 * AM_LOG_ARGS=1 shows all args; AM_DEBUG=1 gives handlers ten times their time,
 * once. Other values are ignored. l may not be NULL. */
AM_API int am_set_logger_env(struct am_machine *m, const struct am_logger *l);
/* Logs "[breakpoint] Machine.breakpoint" when just these states, in this order,
 * are added, or removed (AM_ADD, AM_REMOVE), for a debugger at
 * am_on_breakpoint() to see who does it. -EINVAL: no states, another operation,
 * or no logger; it stays until another logger is set. */
AM_API int am_breakpoint(struct am_machine *m, enum am_op op,
    const am_id *states, size_t n);
AM_API void am_on_breakpoint(const struct am_machine *m);
/* A line of the program's own; newlines become blanks. */
AM_API void am_log(struct am_machine *m, const char *fmt, ...) AM_PRINTF(2, 3);

/* ---- waiting for several things at once ---- */

enum am_cond_kind {
	AM_COND_ACTIVE,     /* all of the states, am_when() */
	AM_COND_INACTIVE,   /* all of the states, am_when_not() */
	AM_COND_TICKS,      /* am_when_time(), ticks by state */
	AM_COND_ARGS,       /* am_when_args(), of the first state */
	AM_COND_ERROR,      /* am_when_err() */
	AM_COND_QUEUE,      /* am_when_queue(), of ticks[0] */
	AM_COND_QUEUE_ENDS, /* am_when_queue_ends() */
};

struct am_cond {
	struct am_machine *machine;
	enum am_cond_kind kind;
	const am_id *states;
	size_t n_states;
	const uint64_t *ticks;
	struct am_val args;
};

enum am_wait_for {
	AM_WAIT_ALL, /* each condition has held once */
	AM_WAIT_ANY,
};

struct am_wait;

/* result: the condition that held (any), 0 (all), -ETIMEDOUT, or -ECANCELED: a
 * machine that was still waited for is freed. */
typedef void (*am_wait_fn)(void *arg, int result);

/* Calls fn once, never before it returns, and is gone then. timeout_ms -1: no
 * bound. Copies the conditions. Returns new, which nobody has to free; NULL: no
 * memory, args that are no map, or a machine that is being freed. */
AM_API struct am_wait *am_wait_new(struct am_loop *l, enum am_wait_for what,
    const struct am_cond *cond, size_t n, int64_t timeout_ms, am_wait_fn fn,
    void *arg);
/* Before fn was called: it will not be. NULL is fine; returns NULL. */
AM_API struct am_wait *am_wait_free(struct am_wait *w);

/* ---- a mutation that is tried again while it is canceled ---- */

struct am_retry;

struct am_retry_conf {
	size_t size; /* sizeof(struct am_retry_conf) */
	struct am_machine *machine;
	/* copied, with what it points to but the source, which has to live on */
	struct am_mutation mutation;
	unsigned retries;     /* after the first attempt */
	int64_t delay_ms;     /* before the second one, then doubled */
	int64_t max_delay_ms; /* 0: no bound */
	/* r: executed, queued, or canceled in the end, also by the machine's end;
	 * am_why() tells the reason of the last attempt. */
	void (*fn)(void *arg, am_result r);
	void *arg;
};

/* Tries in the next turn of the loop. As am_wait_new(). */
AM_API struct am_retry *am_retry_new(struct am_loop *l,
    const struct am_retry_conf *conf);
AM_API struct am_retry *am_retry_free(struct am_retry *r);

/* ---- pipes: what happens in one machine happens in another ---- */

struct am_pipe;

/* Each activation of the state in `from` (which may be a mirror) adds `active`
 * to `to`, now too if it is active; when it ends `inactive` is added, or, if
 * that is the same state, removed. Ends with either machine. Returns new; NULL:
 * no memory, or one of them is being freed. */
AM_API struct am_pipe *am_pipe_new(struct am_machine *from, am_id state,
    struct am_machine *to, am_id active, am_id inactive);
/* Each Exception of `from` adds err and Exception to `to`, with the last error
 * as `err` of the args. Nothing is removed. */
AM_API struct am_pipe *am_pipe_err(struct am_machine *from,
    struct am_machine *to, am_id err);
/* The state Ready of `from`; NULL too if it has none. */
AM_API struct am_pipe *am_pipe_ready(struct am_machine *from,
    struct am_machine *to, am_id active, am_id inactive);
/* The states Disconnected, Connecting, Connected, Disconnecting of `from`, in
 * this order; NULL too if it has not all of them. */
AM_API struct am_pipe *am_pipe_connected(struct am_machine *from,
    struct am_machine *to, const am_id states[4]);
/* NULL is fine; returns NULL. Also inside of what the pipe has caused. */
AM_API struct am_pipe *am_pipe_free(struct am_pipe *p);

#ifdef __cplusplus
}
#endif

#endif
