/* flow.h - the handlers: a table for each flow_*.c, bound with a struct super as
 * arg. A state that two flows are about has a handler in both; the first in
 * super_init()'s order ends its pulse. */
#ifndef DAEMON_FLOW_H
#define DAEMON_FLOW_H

#include "daemon/super.h"

extern const struct am_handlers flow_boot_handlers;    /* flows 1, 2 */
extern const struct am_handlers flow_pool_handlers;    /* flows 1, 2, 11 */
extern const struct am_handlers flow_lease_handlers;   /* flows 4, 5 */
extern const struct am_handlers flow_release_handlers; /* flow 9 */
extern const struct am_handlers flow_health_handlers;  /* flows 8b, 12 */
extern const struct am_handlers flow_stop_handlers;    /* flow 13 */

/* The worker, or lease, named in the args of a mutation; NULL: none. */
static inline struct worker *
flow_worker(const struct super *s, struct am_val args)
{
	char id[sizeof(((struct worker *)0)->id)];

	return am_get_text(args, "worker", id, sizeof(id)) == 0
	    ? worker_find(&s->model, id)
	    : NULL;
}

static inline struct lease *
flow_lease(const struct super *s, struct am_val args)
{
	char id[sizeof(((struct lease *)0)->id)];

	return am_get_text(args, "lease", id, sizeof(id)) == 0
	    ? lease_find(&s->model, id)
	    : NULL;
}

#endif
