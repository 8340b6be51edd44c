/* amnode_wait.h - wait for several conditions with a timeout, and try a
 * mutation again. Words as in amnode.h. */
#ifndef AMNODE_WAIT_H
#define AMNODE_WAIT_H

#include <amnode.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- waiting for several conditions ---- */

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

/* A handle, never used twice; 0 is none. */
typedef uint64_t am_wait;

/* result: the condition that held (any), 0 (all), -ETIMEDOUT, or -ECANCELED if
 * a machine whose condition has not held, or the loop, is freed. */
typedef void (*am_wait_fn)(void *arg, int result);

/* Calls fn once, never before this returns. timeout_ms -1: no limit. Copies the
 * conditions. 0: no memory, args are not a map, or a machine is being freed. */
AM_API am_wait am_wait_start(struct am_loop *l, enum am_wait_for what,
    const struct am_cond *cond, size_t n, int64_t timeout_ms, am_wait_fn fn,
    void *arg);
/* fn will not be called. 0 and a wait that has ended are allowed. */
AM_API void am_wait_cancel(struct am_loop *l, am_wait w);

/* ---- a mutation that is tried again while it is canceled ---- */

/* A handle, like that of am_wait_start(). */
typedef uint64_t am_retry;

struct am_retry_conf {
	size_t size; /* sizeof(struct am_retry_conf) */
	struct am_machine *machine;
	/* copied with what it points to, except the source, which must live
	 * on */
	struct am_mutation mutation;
	unsigned retries;     /* after the first attempt */
	int64_t delay_ms;     /* before the second attempt, then doubled */
	int64_t max_delay_ms; /* 0: no limit */
	/* r: executed, queued, or canceled in the end, also because the machine
	 * or the loop is freed. am_why() has the reason of the last attempt. */
	void (*fn)(void *arg, am_result r);
	void *arg;
};

/* Makes the first attempt in the next turn of the loop, and calls fn once. 0:
 * no memory, conf has no size, or the machine is being freed. */
AM_API am_retry am_retry_start(struct am_loop *l,
    const struct am_retry_conf *conf);
/* Ends it; fn will not be called. 0 and a retry that has ended are allowed. */
AM_API void am_retry_cancel(struct am_loop *l, am_retry r);

#ifdef __cplusplus
}
#endif

#endif
