/* worker.h - the states of a worker: their ids, and the table. */
#ifndef PROTO_WORKER_H
#define PROTO_WORKER_H

#include <amnode/api.h>
#include <amnode/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

enum am_worker_state {
#define STATE(name, ...) Wrk_##name,
#include <amnode/worker.tbl.h>
#undef STATE
	Wrk__COUNT
};

AM_API extern const struct am_states am_worker_states;

#ifdef __cplusplus
}
#endif

#endif
