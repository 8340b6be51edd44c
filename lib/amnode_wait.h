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

#ifdef __cplusplus
}
#endif

#endif
