#include "proto/client.h"

#include <assert.h>

#define S(...) AM_LIST(Cli_, __VA_ARGS__)
static const struct am_state rows[Cli__COUNT] = {
#define STATE(n, d, ...) [Cli_##n] = { .name = #n, .doc = d, __VA_ARGS__ },
#include "proto/client.tbl.h"
#undef STATE
};

const struct am_states cli_states = {
	.name = "client",
	.row = rows,
	.len = Cli__COUNT,
};

static_assert((int)Cli__COUNT <= AM_STATES_MAX, "too many states");
