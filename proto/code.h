/* code.h - codes of failures: why a request has no answer, why a lease was not
 * granted, why it is over. A program may use others for its own errors
 * (am_worker_fail()). */
#ifndef PROTO_CODE_H
#define PROTO_CODE_H

/* ---- requests: am_payload.code ---- */

/* AM_STATUS_FAILED: the program's own code, or */
#define AM_CODE_ERROR "error"                   /* it gave none */
#define AM_CODE_HANDLER_FAILED "handler_failed" /* am_fail(), or too slow */
/* AM_STATUS_REFUSED: refused by a relation, a handler or the program; the
 * message is the reason. If the worker could not take the request at all, a
 * code of the protocol (below). */
#define AM_CODE_REFUSED "refused"
/* AM_STATUS_TIMEOUT; also of a lease that was not granted in time */
#define AM_CODE_TIMEOUT "timeout"
/* AM_STATUS_UNKNOWN: the connection was lost; or the end of the lease
 * (below) */
#define AM_CODE_UNKNOWN "unknown"
/* AM_STATUS_CANCELED */
#define AM_CODE_CANCELED "canceled"

/* ---- leases that were not granted: on_lost ---- */

#define AM_CODE_NO_WORKER "no_worker" /* none is free, or the queue is full */
#define AM_CODE_LIMIT "limit"         /* this user may have no more */
#define AM_CODE_POOL_BROKEN "pool_broken" /* workers do not start */
#define AM_CODE_DRAINING "draining"       /* the supervisor is stopping */
#define AM_CODE_UNREACHABLE "unreachable" /* no supervisor answers */
#define AM_CODE_NO_PROCESS "no_process"   /* the one to bind it to */
#define AM_CODE_BAD_ANSWER "bad_answer"   /* the answer names no worker */

/* ---- leases that are over: on_lost, and requests that were open ---- */

#define AM_CODE_RELEASED "released"
#define AM_CODE_DISCARD "discard"       /* released; the worker is replaced */
#define AM_CODE_TTL "ttl"               /* no connection for too long */
#define AM_CODE_MAX "max"               /* its longest duration is over */
#define AM_CODE_OWNER_DIED "owner-died" /* its process has exited */
#define AM_CODE_CLIENT_GONE                                                    \
	"client-gone" /* before it said hello to the worker */
#define AM_CODE_UNCONFIRMED "unconfirmed" /* no hello to the worker in time */
#define AM_CODE_UNWANTED "unwanted"       /* the client no longer wanted it */
#define AM_CODE_ADMIN "admin"             /* an administrator ended it */
#define AM_CODE_DRAIN "drain"             /* the supervisor is stopping */
#define AM_CODE_WORKER_DIED "worker-died"
#define AM_CODE_RECYCLE "recycle" /* the worker was replaced */
#define AM_CODE_HEALTH "health"   /* the worker failed its health checks */
#define AM_CODE_ERRORS "errors"   /* the worker had too many errors */
#define AM_CODE_ERR_WORK_TIMEOUT "ErrWorkTimeout" /* a request did not end */
#define AM_CODE_ENDED "ended"                     /* the reason is unknown */
#define AM_CODE_DETACHED "detached" /* this connection was closed */

/* ---- codes of the protocol (arpc.md) ---- */

#define AM_CODE_NOT_PERMITTED "not_permitted"
#define AM_CODE_TOO_BIG "too_big"
#define AM_CODE_TOO_DEEP "too_deep"
#define AM_CODE_BAD_FRAME "bad_frame"
#define AM_CODE_BAD_PARAMS "bad_params"
#define AM_CODE_NO_STATE "no_state"
#define AM_CODE_NO_LEASE "no_lease"
#define AM_CODE_BUSY "busy" /* a limit is reached: try later */
#define AM_CODE_INTERNAL "internal"

#endif
