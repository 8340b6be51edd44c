/* loop.h - the event loop: the only place that runs libevent's. */
#ifndef LIB_LOOP_LOOP_H
#define LIB_LOOP_LOOP_H

#include <event2/event.h>
#include <sys/queue.h>

#include "lib/amnode.h"

struct turn_list;

/* Something to do at the end of this turn, after all callbacks and mutations:
 * write queued output (flush) or free dead objects (reap, after every flush).
 * Or in the next turn, which then does not wait (next). The item is embedded in
 * its owner. It is in one list at most: the last call decides. */
struct turn_item {
	void (*fn)(void *arg);
	void *arg;
	struct turn_list *in; /* NULL: not queued */
	TAILQ_ENTRY(turn_item) link;
};

struct event_base *loop_base(struct am_loop *l); /* borrowed; for event_new() */
void loop_at_flush(struct am_loop *l, struct turn_item *it);
/* Runs before all others, because it decides what they write. */
void loop_at_flush_first(struct am_loop *l, struct turn_item *it);
void loop_at_reap(struct am_loop *l, struct turn_item *it);
void loop_at_next(struct am_loop *l, struct turn_item *it);
/* How much work, in units of the caller's, one of many may do before the others
 * have their turn: at most so much, less if others wait for the next turn or have
 * worked in this one, and at least 1. So a turn grows with the number of those
 * who have work, but not with how much each has. */
size_t loop_share(const struct am_loop *l, size_t most);
void loop_worked(struct am_loop *l, size_t n);
/* Removes the item. Call this before its owner is freed. */
void loop_forget(struct am_loop *l, struct turn_item *it);
/* Frees len bytes of malloc(). A large block is freed piece by piece in later
 * turns, since freeing 64 MiB at once stops a loop for 5 ms. NULL is
 * allowed. */
void loop_free(struct am_loop *l, void *p, size_t len);
/* Memory that a callback may use until it returns to the loop. Sockets are read
 * into it, so that idle connections need no buffer. */
uint8_t *loop_scratch(struct am_loop *l, size_t *ret_len);

#endif
