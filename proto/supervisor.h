/* supervisor.h - state ids of the supervisor and its table. */
#ifndef PROTO_SUPERVISOR_H
#define PROTO_SUPERVISOR_H

#include "proto/schema.h"

enum sup_state {
#define STATE(name, ...) Sup_##name,
#include "proto/supervisor.tbl.h"
#undef STATE
	Sup__COUNT
};

extern const struct am_states sup_states;

#endif
