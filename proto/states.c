/* states.c - the tables of the three actors, from their .tbl.h. */
#include <assert.h>

#include "proto/client.h"
#include "proto/supervisor.h"
#include "proto/worker.h"

#define STATE(n, d, ...) [S_ID(n)] = { .name = #n, .doc = d, __VA_ARGS__ },
#define S_ID(n) Sup_##n
#define S(...) AM_LIST(Sup_, __VA_ARGS__)
static const struct am_state sup_rows[Sup__COUNT] = {
#include "proto/supervisor.tbl.h"
};
#undef S
#undef S_ID

#define S_ID(n) Wrk_##n
#define S(...) AM_LIST(Wrk_, __VA_ARGS__)
static const struct am_state wrk_rows[Wrk__COUNT] = {
#include "proto/worker.tbl.h"
};
#undef S
#undef S_ID

#define S_ID(n) Cli_##n
#define S(...) AM_LIST(Cli_, __VA_ARGS__)
static const struct am_state cli_rows[Cli__COUNT] = {
#include "proto/client.tbl.h"
};
#undef S
#undef S_ID
#undef STATE

const struct am_states am_supervisor_states = AM_STATES("supervisor", sup_rows);
const struct am_states am_worker_states = AM_STATES("worker", wrk_rows);
const struct am_states am_client_states = AM_STATES("client", cli_rows);

static_assert((int)Sup__COUNT <= AM_STATES_MAX, "too many states");
static_assert((int)Wrk__COUNT <= AM_STATES_MAX, "too many states");
static_assert((int)Cli__COUNT <= AM_STATES_MAX, "too many states");
