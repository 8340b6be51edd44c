/* amnode_pipe.h - pipes: one machine follows another. Words as in amnode.h. */
#ifndef AMNODE_PIPE_H
#define AMNODE_PIPE_H

#include <amnode.h>

#ifdef __cplusplus
extern "C" {
#endif

struct am_pipe;

/* When the state of `from` (which may be a mirror) is activated, or if it is
 * active now, adds `active` to `to`. When it ends, adds `inactive`, or removes
 * it if it is the same state as `active`. The pipe ends with either machine,
 * but has to be freed all the same. Returns new; NULL: no memory, or a machine
 * is being freed. */
AM_API struct am_pipe *am_pipe_new(struct am_machine *from, am_id state,
    struct am_machine *to, am_id active, am_id inactive);
/* For each Exception of `from`, adds err and Exception to `to`, with the last
 * error as `err` in the args. Removes nothing. */
AM_API struct am_pipe *am_pipe_err(struct am_machine *from,
    struct am_machine *to, am_id err);
/* A pipe for the state Ready of `from`; NULL also if it has none. */
AM_API struct am_pipe *am_pipe_ready(struct am_machine *from,
    struct am_machine *to, am_id active, am_id inactive);
/* Pipes for the states Disconnected, Connecting, Connected and Disconnecting of
 * `from`, in this order; NULL also if it lacks one of them. */
AM_API struct am_pipe *am_pipe_connected(struct am_machine *from,
    struct am_machine *to, const am_id states[4]);
/* May be called from anything that the pipe has caused. NULL is allowed.
 * Returns NULL. */
AM_API struct am_pipe *am_pipe_free(struct am_pipe *p);

#ifdef __cplusplus
}
#endif

#endif
