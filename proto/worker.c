#include "proto/worker.h"

#include <assert.h>

#define S(...) AM_LIST(Wrk_, __VA_ARGS__)
static const struct am_state rows[Wrk__COUNT] = {
#define STATE(n, d, ...) [Wrk_##n] = { .name = #n, .doc = d, __VA_ARGS__ },
#include "proto/worker.tbl.h"
#undef STATE
};

const struct am_states wrk_states = {
	.name = "worker",
	.row = rows,
	.len = Wrk__COUNT,
};

static_assert((int)Wrk__COUNT <= AM_STATES_MAX, "too many states");
