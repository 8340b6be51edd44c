/* machine.h - what the rest of lib needs of machines besides amnode.h. */
#ifndef LIB_MACHINE_MACHINE_H
#define LIB_MACHINE_MACHINE_H

#include "lib/amnode.h"

/* A mirror of a machine elsewhere. Checks, ticks, contexts, strings and
 * subscriptions work as on a local machine, but its clocks are set from
 * outside, and am_mutate() asks the remote; without one it is canceled. Returns
 * new; refs the schema. */
struct am_machine *mach_new_mirror(struct am_schema *schema, const char *id);

/* The connection from a mirror to its machine. */
struct mach_remote {
	/* Sends a mutation. Returns a number for its handle, or -errno. */
	int (*mutate)(struct am_machine *m, const struct am_mutation *mut,
	    void *arg);
	/* The first tracer was added, or the last one removed. */
	void (*trace)(struct am_machine *m, bool on, void *arg);
	/* The subscription waits for these args; mach_sub_fire() reports them.
	 * -errno: this cannot be asked for. */
	int (*when_args)(struct am_machine *m, am_id state, struct am_val args,
	    am_sub sub, void *arg);
	void *arg;
	/* of am_on_result() */
	am_result_fn on_result;
	void *result_arg;
};
/* Borrows it until it is set to NULL. */
void mach_set_remote(struct am_machine *m, struct mach_remote *r);

/* Sets all clocks of a mirror (in order of ids) and the counters, then calls
 * the subscriptions that hold now. The active list is then in order of ids. */
void mach_mirror_set(struct am_machine *m, const uint64_t *ticks,
    uint64_t queue_tick, uint64_t machine_tick);

/* The condition of a subscription of a mirror holds; does nothing if it was
 * called or canceled already. Whether it still waits. */
void mach_sub_fire(struct am_machine *m, am_sub sub);
bool mach_sub_waits(const struct am_machine *m, am_sub sub);
/* Tells the tracers of a mirror about a mutation: transition_end. */
void mach_mirror_tell(struct am_machine *m, const struct am_transition *t);

/* In the callback of a subscription: whether its condition held, although the
 * machine may be disposing now. */
bool mach_sub_held(const struct am_machine *m);

/* am_set_schema() for a mirror: its clocks and subscriptions stay. */
int mach_mirror_grow(struct am_machine *m, struct am_schema *s);

/* Keeps the memory of a machine when it is freed, until mach_release(), for an
 * owner whose functions are on the stack: it is one that is being freed. NULL
 * is fine; returns NULL. */
void mach_hold(struct am_machine *m);
struct am_machine *mach_release(struct am_machine *m);

/* A pointer for the maker of the machine; NULL at first. */
void mach_set_owner(struct am_machine *m, void *owner);
void *mach_owner(const struct am_machine *m);

/* am_pulse() whose second half removes other states than the first half adds:
 * an error pulse leaves Exception if another error state needs it. */
int mach_pulse(struct am_machine *m, const am_id *add, size_t n_add,
    const am_id *remove, size_t n_remove, struct am_val args);

#endif
