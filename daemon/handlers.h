/* handlers.h - the handler tables of the supervisor's machine. */
#ifndef DAEMON_HANDLERS_H
#define DAEMON_HANDLERS_H

#include "lib/amnode.h"

/* Both are bound with a struct super as arg. */
extern const struct am_handlers super_handlers;       /* supervisor.c */
extern const struct am_handlers super_lease_handlers; /* supervisor_lease.c */

/* Of a multi pulse: its handler's first mutation (flows.md rule 6). */
static inline void
handler_end_pulse(struct am_event *ev)
{
	(void)am_remove1(ev->machine, ev->state, AM_NONE);
}

#endif
