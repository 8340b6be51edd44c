/* due.h - mutations that the queue of a machine has no room for: they are put
 * off, in order, until its drain is over. */
#ifndef LIB_NODE_DUE_H
#define LIB_NODE_DUE_H

#include <sys/queue.h>

#include "lib/amnode.h"

enum { DUE_STATES_MAX = 2 };

struct due_item;
struct due {
	struct am_machine *machine; /* borrowed */
	STAILQ_HEAD(, due_item) items;
	bool running;
	bool *gone; /* borrowed; told by due_done() */
};

void due_init(struct due *d, struct am_machine *m);
void due_done(struct due *d); /* also on zeroed memory */
bool due_is_empty(const struct due *d);

/* Like am_pulse(), but put off if the queue is full. Only the first n_back
 * states are removed again. Without memory to put it off it is not made at
 * all. */
void due_pulse(struct due *d, const am_id *states, size_t n, size_t n_back,
    struct am_val args);
/* Like am_mutate(); AM_QUEUED if it is put off. */
am_result due_mutate(struct due *d, enum am_op op, const am_id *states,
    size_t n, struct am_val args);
am_result due_add1(struct due *d, am_id state, struct am_val args);
am_result due_remove1(struct due *d, am_id state, struct am_val args);
/* Call at the end of each drain: makes the mutations that were put off. */
void due_run(struct due *d);

#endif
