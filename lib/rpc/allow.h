/* allow.h - which mutations a peer may make: one table per actor, by state and
 * role (flows.md rule 22). */
#ifndef LIB_RPC_ALLOW_H
#define LIB_RPC_ALLOW_H

#include "lib/amnode.h"

/* Roles are bits, so that a row can name several. */
struct allow_row {
	am_id state;
	unsigned roles; /* may add it; nobody may do more with it */
};

struct allow_list {
	const struct allow_row *row;
	size_t n_rows;
	/* States from n_base on are the program's own. These roles may change
	 * them in any way. */
	am_id n_base;
	unsigned own_roles;
};

/* Whether this role (one bit) may do this to m. States must be in range. If
 * not, err has the reason. */
bool allow_check(const struct allow_list *list, unsigned role,
    const struct am_machine *m, enum am_op op, const am_id *states, size_t n,
    struct am_error *err);

/* For a set that allow_check() permits: appends the active states that are not
 * the program's own, which stay as they are. states has room for the whole
 * schema. Returns the number of states. */
size_t allow_keep(const struct allow_list *list, const struct am_machine *m,
    am_id *states, size_t n);

#endif
