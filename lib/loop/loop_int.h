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

/* The running timers, as a heap with the next one first. Each timer knows its
 * place. */
struct timers {
	struct am_timer **heap; /* owned; its timers are borrowed */
	size_t len;
	size_t cap;
};

/* An object that is known by a number; see loop_handle(). */
struct handle {
	void *obj; /* NULL: free */
	void (*end)(void *obj);
	uint32_t gen;
	uint32_t next; /* free one */
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
	int64_t timeout_ns;    /* when it is due; 0: not set */
	int fd;                /* of am_loop_fd(); 0: not known yet */
	struct turn_list flush;
	struct turn_list reap;
	struct turn_list next;
	SLIST_HEAD(, freed) freed;
	struct turn_item free_turn;
	struct timers timers;
	struct handles handles;
	size_t worked; /* in this turn; see loop_share() */
	bool stop;
	int wake_fd;
	pthread_mutex_t lock; /* guards the two members below */
	struct post_head posts;
	bool ends; /* posts are refused */
	uint8_t scratch[LOOP_SCRATCH_LEN];
};

/* timer.c: the next deadline (0: none); run the timers that are due; stop all
 * of them. */
int64_t timers_next_ns(const struct am_loop *l);
void timers_run(struct am_loop *l);
void timers_done(struct am_loop *l);

/* post.c: calls what was posted; r < 0 tells it that the loop is being
 * freed. */
void posts_run(struct am_loop *l, int r);
/* Refuses posts from now on. */
void posts_end(struct am_loop *l);

/* handle.c: returns a number, never used twice, for an object that frees
 * itself, so that an old handle can do no harm. 0: no memory. If the object is
 * still there when the loop is freed, end(obj) is called. */
uint64_t loop_handle(struct am_loop *l, void *obj, void (*end)(void *obj));
/* NULL if the object has ended. */
void *loop_handle_get(const struct am_loop *l, uint64_t handle);
void loop_handle_drop(struct am_loop *l, uint64_t handle);
void handles_done(struct am_loop *l);

#endif
