#include "proto/supervisor.h"

#include <assert.h>

#define S(...) AM_LIST(Sup_, __VA_ARGS__)
static const struct am_state rows[Sup__COUNT] = {
#define STATE(n, d, ...) [Sup_##n] = { .name = #n, .doc = d, __VA_ARGS__ },
#include "proto/supervisor.tbl.h"
#undef STATE
};

const struct am_states sup_states = {
	.name = "supervisor",
	.row = rows,
	.len = Sup__COUNT,
};

static_assert((int)Sup__COUNT <= AM_STATES_MAX, "too many states");
