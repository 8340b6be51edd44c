/* worker.h - state ids of the worker and its table. */
#ifndef PROTO_WORKER_H
#define PROTO_WORKER_H

#include "proto/schema.h"

enum wrk_state {
#define STATE(name, ...) Wrk_##name,
#include "proto/worker.tbl.h"
#undef STATE
	Wrk__COUNT
};

extern const struct am_states wrk_states;

#endif
