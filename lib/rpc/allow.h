/* allow.h - which mutations come in from outside: one table of an actor, by
 * state and role (flows.md rule 22). */
#ifndef LIB_RPC_ALLOW_H
#define LIB_RPC_ALLOW_H

#include "lib/amnode.h"

/* Roles are bits, so that a row can name several. */
struct allow_row {
	am_id state;
	unsigned roles; /* who may add it; nobody may do more with it */
};

struct allow_list {
	const struct allow_row *row;
	size_t n_rows;
	/* States from n_base on are the program's own: these roles may change
	 * them as they like. */
	am_id n_base;
	unsigned own_roles;
};

/* May someone of this role (one bit) do this to m? States are in range. false
 * with a text in err. */
bool allow_check(const struct allow_list *list, unsigned role,
    const struct am_machine *m, enum am_op op, const am_id *states, size_t n,
    struct am_error *err);

#endif
