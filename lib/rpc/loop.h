/* loop.h - the event loop: the only place that runs libevent's. */
#ifndef LIB_RPC_LOOP_H
#define LIB_RPC_LOOP_H

#include <event2/event.h>
#include <sys/queue.h>

#include "lib/amnode.h"

/* One thing to do at the end of this turn, after all callbacks and mutations:
 * write what was queued (flush), or free what was marked dead (reap; runs after
 * every flush). Embedded in its owner; queueing twice is once. */
struct turn_item {
	void (*fn)(void *arg);
	void *arg;
	bool queued;
	TAILQ_ENTRY(turn_item) link;
};

struct event_base *loop_base(struct am_loop *l); /* borrowed; for event_new() */
void loop_at_flush(struct am_loop *l, struct turn_item *it);
void loop_at_reap(struct am_loop *l, struct turn_item *it);
/* Takes the item out again; call it before its owner is freed. */
void loop_forget(struct am_loop *l, struct turn_item *it);
/* Time at the start of this turn, monotonic. */
int64_t loop_now_ns(const struct am_loop *l);

#endif
