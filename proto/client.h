/* client.h - state ids of the client and its table. */
#ifndef PROTO_CLIENT_H
#define PROTO_CLIENT_H

#include "proto/schema.h"

enum cli_state {
#define STATE(name, ...) Cli_##name,
#include "proto/client.tbl.h"
#undef STATE
	Cli__COUNT
};

extern const struct am_states cli_states;

#endif
