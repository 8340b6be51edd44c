/* loop_int.h - the inside of the loop; only lib/loop includes it. */
#ifndef LIB_LOOP_LOOP_INT_H
#define LIB_LOOP_LOOP_INT_H

#include <pthread.h>

#include "lib/loop/loop.h"

enum { LOOP_SCRATCH_LEN = 64 * 1024 };

TAILQ_HEAD(turn_head, turn_item);
struct turn_list {
	struct turn_head head;
	size_t len;
};

struct freed;
struct post;
STAILQ_HEAD(post_head, post);

/* Timers that run, the next one first: a heap whose places they know. */
struct timers {
	struct am_timer **heap; /* owned; its timers are borrowed */
	size_t len;
	size_t cap;
};

/* What is waited for, by number; see loop_handle(). */
struct handle {
	void *obj; /* NULL: free */
	void (*end)(void *obj);
	uint32_t gen;
	uint32_t next; /* of the free ones */
};
struct handles {
	struct handle *slot; /* owned */
	uint32_t len;
	uint32_t free; /* UINT32_MAX: none */
};

struct am_loop {
	struct event_base *base;
	struct event *wake;    /* readable: something was posted */
	struct event *timeout; /* the next timer, or the end of a step */
	int64_t timeout_ns;    /* when it comes; 0: it does not */
	int fd;                /* of am_loop_fd(); 0: nobody has asked */
	struct turn_list flush;
	struct turn_list reap;
	struct turn_list next;
	SLIST_HEAD(, freed) freed;
	struct turn_item free_turn;
	struct timers timers;
	struct handles handles;
	int64_t now_ns; /* 0: not read in this turn */
	bool stop;
	int wake_fd;
	pthread_mutex_t lock; /* guards the two */
	struct post_head posts;
	bool ends; /* nothing is posted any more */
	uint8_t scratch[LOOP_SCRATCH_LEN];
};

/* timer.c: the deadline of the next one (0: none); runs those that are due;
 * stops all. */
int64_t timers_next_ns(const struct am_loop *l);
void timers_run(struct am_loop *l);
void timers_done(struct am_loop *l);

/* post.c: runs what was posted, or tells it that it will not (r < 0). */
void posts_run(struct am_loop *l, int r);
/* From now on nothing can be posted. */
void posts_end(struct am_loop *l);

/* handle.c: a number that is never used twice for what ends by itself, so that
 * who holds it cannot be wrong about it. 0: no memory. If it is still there when
 * the loop is freed end(obj) is called. */
uint64_t loop_handle(struct am_loop *l, void *obj, void (*end)(void *obj));
/* NULL: it has ended. */
void *loop_handle_get(const struct am_loop *l, uint64_t handle);
void loop_handle_drop(struct am_loop *l, uint64_t handle);
void handles_done(struct am_loop *l);

#endif
