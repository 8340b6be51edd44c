/* supervisor.h - the states of a supervisor: their ids, and the table. */
#ifndef PROTO_SUPERVISOR_H
#define PROTO_SUPERVISOR_H

#include <amnode/api.h>
#include <amnode/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

enum am_supervisor_state {
#define STATE(name, ...) Sup_##name,
#include <amnode/supervisor.tbl.h>
#undef STATE
	Sup__COUNT
};

AM_API extern const struct am_states am_supervisor_states;

#ifdef __cplusplus
}
#endif

#endif
