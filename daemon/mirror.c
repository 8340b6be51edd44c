#include "daemon/mirror.h"

#include "proto/worker.h"

bool
mirror_is(const struct worker *w, am_id state)
{
	return w->mirror != NULL && am_is1(w->mirror, state);
}

uint64_t
mirror_tick(const struct worker *w, am_id state)
{
	return w->mirror != NULL ? am_tick(w->mirror, state) : 0;
}

bool
mirror_is_free(const struct worker *w)
{
	return mirror_is(w, Wrk_RpcReady) && mirror_is(w, Wrk_Idle) &&
	    !mirror_is(w, Wrk_Leased);
}

bool
mirror_has_request(const struct worker *w)
{
	return mirror_is(w, Wrk_Working) || mirror_is(w, Wrk_WorkRequested);
}
