/* amnode_wait.h - waiting for several things at once with a timeout, and trying a
 * mutation again. Words as in amnode.h. */
#ifndef AMNODE_WAIT_H
#define AMNODE_WAIT_H

#include <amnode.h>

#ifdef __cplusplus
extern "C" {
#endif

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

/* A handle, never used twice; 0 is none. */
typedef uint64_t am_wait;

/* result: the condition that held (any), 0 (all), -ETIMEDOUT, or -ECANCELED: a
 * machine that was still waited for is freed, or the loop is. */
typedef void (*am_wait_fn)(void *arg, int result);

/* Calls fn once, never before it returns. timeout_ms -1: no bound. Copies the
 * conditions. 0: no memory, args that are no map, or a machine that is being
 * freed. */
AM_API am_wait am_wait_start(struct am_loop *l, enum am_wait_for what,
    const struct am_cond *cond, size_t n, int64_t timeout_ms, am_wait_fn fn,
    void *arg);
/* fn will not be called. 0 and what has ended are fine. */
AM_API void am_wait_cancel(struct am_loop *l, am_wait w);

/* ---- a mutation that is tried again while it is canceled ---- */

/* A handle, as of am_wait_start(). */
typedef uint64_t am_retry;

struct am_retry_conf {
	size_t size; /* sizeof(struct am_retry_conf) */
	struct am_machine *machine;
	/* copied, with what it points to but the source, which has to live on */
	struct am_mutation mutation;
	unsigned retries;     /* after the first attempt */
	int64_t delay_ms;     /* before the second one, then doubled */
	int64_t max_delay_ms; /* 0: no bound */
	/* r: executed, queued, or canceled in the end, also by the machine's end
	 * or the loop's;
	 * am_why() tells the reason of the last attempt. */
	void (*fn)(void *arg, am_result r);
	void *arg;
};

/* Tries in the next turn of the loop, and calls fn once. 0: no memory, conf
 * without a size, or a machine that is being freed. */
AM_API am_retry am_retry_start(struct am_loop *l,
    const struct am_retry_conf *conf);
/* Nothing is tried any more, and fn is not called. 0 and what has ended are
 * fine. */
AM_API void am_retry_cancel(struct am_loop *l, am_retry r);

#ifdef __cplusplus
}
#endif

#endif
