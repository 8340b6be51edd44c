/* due.h - mutations of a machine of our own that its queue has no room for: they
 * are put off, in their order, until its drain is over. */
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
};

void due_init(struct due *d, struct am_machine *m);
void due_done(struct due *d); /* also on zeroed memory */
bool due_is_empty(const struct due *d);

/* As am_pulse(), but a full queue puts it off. Only the first n_back of the
 * states are taken back. Without memory for that it is not made at all. */
void due_pulse(struct due *d, const am_id *states, size_t n, size_t n_back,
    struct am_val args);
/* The same as am_mutate(): AM_QUEUED if it is put off. */
am_result due_mutate(struct due *d, enum am_op op, const am_id *states,
    size_t n, struct am_val args);
am_result due_add1(struct due *d, am_id state, struct am_val args);
am_result due_remove1(struct due *d, am_id state, struct am_val args);
/* At the end of each drain: makes up for them, unless it does already. */
void due_run(struct due *d);

#endif
