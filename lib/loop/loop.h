/* loop.h - the event loop: the only place that runs libevent's. */
#ifndef LIB_LOOP_LOOP_H
#define LIB_LOOP_LOOP_H

#include <event2/event.h>
#include <sys/queue.h>

#include "lib/amnode.h"

struct turn_list;

/* One thing to do at the end of this turn, after all callbacks and mutations:
 * write what was queued (flush), or free what was marked dead (reap; runs after
 * every flush); or in the next turn, which then does not wait (next). Embedded
 * in its owner; queueing twice is once, and an item is in one list only: the
 * last call decides. */
struct turn_item {
	void (*fn)(void *arg);
	void *arg;
	struct turn_list *in; /* NULL: not queued */
	TAILQ_ENTRY(turn_item) link;
};

struct event_base *loop_base(struct am_loop *l); /* borrowed; for event_new() */
void loop_at_flush(struct am_loop *l, struct turn_item *it);
/* Before all others: it decides what they write. */
void loop_at_flush_first(struct am_loop *l, struct turn_item *it);
void loop_at_reap(struct am_loop *l, struct turn_item *it);
void loop_at_next(struct am_loop *l, struct turn_item *it);
/* Takes the item out again; call it before its owner is freed. */
void loop_forget(struct am_loop *l, struct turn_item *it);
/* Frees what is of malloc(), len bytes, a large one piece by piece in the turns to
 * come: 64 MiB at once stop a loop for 5 ms. NULL is fine. */
void loop_free(struct am_loop *l, void *p, size_t len);
/* Time of this turn, monotonic: read once, when it is first asked for. */
int64_t loop_now_ns(struct am_loop *l);
/* Memory that anybody may use until he returns to the loop: what is read from
 * a socket lies there, so that idle connections need no buffer. */
uint8_t *loop_scratch(struct am_loop *l, size_t *ret_len);

#endif
