/* amnode_pipe.h - pipes: what happens in one machine happens in another. Words as
 * in amnode.h. */
#ifndef AMNODE_PIPE_H
#define AMNODE_PIPE_H

#include <amnode.h>

#ifdef __cplusplus
extern "C" {
#endif

struct am_pipe;

/* Each activation of the state in `from` (which may be a mirror) adds `active`
 * to `to`, now too if it is active; when it ends `inactive` is added, or, if
 * that is the same state, removed. Ends with either machine. Returns new; NULL:
 * no memory, or one of them is being freed. */
AM_API struct am_pipe *am_pipe_new(struct am_machine *from, am_id state,
    struct am_machine *to, am_id active, am_id inactive);
/* Each Exception of `from` adds err and Exception to `to`, with the last error
 * as `err` of the args. Nothing is removed. */
AM_API struct am_pipe *am_pipe_err(struct am_machine *from,
    struct am_machine *to, am_id err);
/* The state Ready of `from`; NULL too if it has none. */
AM_API struct am_pipe *am_pipe_ready(struct am_machine *from,
    struct am_machine *to, am_id active, am_id inactive);
/* The states Disconnected, Connecting, Connected, Disconnecting of `from`, in
 * this order; NULL too if it has not all of them. */
AM_API struct am_pipe *am_pipe_connected(struct am_machine *from,
    struct am_machine *to, const am_id states[4]);
/* NULL is fine; returns NULL. Also inside of what the pipe has caused. */
AM_API struct am_pipe *am_pipe_free(struct am_pipe *p);

#ifdef __cplusplus
}
#endif

#endif
