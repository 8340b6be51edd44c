#include "lib/rpc/allow.h"

#include "lib/base/buf.h"

static bool
may_change(const struct allow_list *list, unsigned role, bool adds, am_id state)
{
	if (state >= list->n_base)
		return (list->own_roles & role) != 0;
	for (size_t i = 0; adds && i < list->n_rows; i++) {
		if (list->row[i].state == state)
			return (list->row[i].roles & role) != 0;
	}
	return false;
}

bool
allow_check(const struct allow_list *list, unsigned role,
    const struct am_machine *m, enum am_op op, const am_id *states, size_t n,
    struct am_error *err)
{
	bool adds = op == AM_ADD || op == AM_CAN_ADD;

	for (size_t i = 0; i < n; i++) {
		if (may_change(list, role, adds, states[i]))
			continue;
		(void)error_set(err, "%s of \"%s\" is not allowed here",
		    am_op_name(op),
		    am_schema_name(am_machine_schema(m), states[i]));
		return false;
	}
	if (!adds && (list->own_roles & role) == 0) {
		(void)error_set(err, "%s is not allowed here, only add",
		    am_op_name(op));
		return false;
	}
	return true;
}

size_t
allow_keep(const struct allow_list *list, const struct am_machine *m,
    am_id *states, size_t n)
{
	size_t n_active;
	const am_id *active = am_active(m, &n_active);

	for (size_t i = 0; i < n_active; i++) {
		if (active[i] < list->n_base)
			states[n++] = active[i];
	}
	return n;
}
