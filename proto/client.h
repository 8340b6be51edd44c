/* client.h - the states of a client: their ids, and the table. */
#ifndef PROTO_CLIENT_H
#define PROTO_CLIENT_H

#include <amnode/api.h>
#include <amnode/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

enum am_client_state {
#define STATE(name, ...) Cli_##name,
#include <amnode/client.tbl.h>
#undef STATE
	Cli__COUNT
};

AM_API extern const struct am_states am_client_states;

#ifdef __cplusplus
}
#endif

#endif
