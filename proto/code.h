/* code.h - the codes of what did not work: of requests that ended without an
 * answer, of leases that were not given, and of those that are over. A program
 * may make up further ones for its own errors (am_worker_fail()). */
#ifndef PROTO_CODE_H
#define PROTO_CODE_H

/* ---- requests: am_payload.code ---- */

/* AM_STATUS_FAILED: the program's own, or */
#define AM_CODE_ERROR "error"                   /* it gave none */
#define AM_CODE_HANDLER_FAILED "handler_failed" /* am_fail(), or too slow */
/* AM_STATUS_REFUSED: by a relation, by a handler or by the program; the message
 * is the reason. Or the worker could not take it at all: those of the protocol
 * (below). */
#define AM_CODE_REFUSED "refused"
/* AM_STATUS_TIMEOUT, and of a lease that was not given */
#define AM_CODE_TIMEOUT "timeout"
/* AM_STATUS_UNKNOWN: the link was cut; or the end of the lease (below) */
#define AM_CODE_UNKNOWN "unknown"
/* AM_STATUS_CANCELED */
#define AM_CODE_CANCELED "canceled"

/* ---- leases that were not given: on_lost ---- */

#define AM_CODE_NO_WORKER "no_worker" /* none is free, or the queue is full */
#define AM_CODE_LIMIT "limit"         /* this user has as many as he may */
#define AM_CODE_POOL_BROKEN "pool_broken" /* its workers do not start */
#define AM_CODE_DRAINING "draining"       /* the supervisor stops */
#define AM_CODE_UNREACHABLE "unreachable" /* no supervisor answers */
#define AM_CODE_BAD_ANSWER "bad_answer"   /* its answer names no worker */

/* ---- leases that are over: on_lost, and what was asked with them ---- */

#define AM_CODE_RELEASED "released"
#define AM_CODE_DISCARD "discard"       /* released, and the worker replaced */
#define AM_CODE_TTL "ttl"               /* without a connection for too long */
#define AM_CODE_MAX "max"               /* it had its time */
#define AM_CODE_OWNER_DIED "owner-died" /* the process it was bound to */
#define AM_CODE_CLIENT_GONE "client-gone" /* before it came to the worker */
#define AM_CODE_UNCONFIRMED "unconfirmed" /* it did not come in time */
#define AM_CODE_UNWANTED "unwanted"       /* it wanted none any more */
#define AM_CODE_ADMIN "admin"             /* an administrator ended it */
#define AM_CODE_DRAIN "drain"             /* the supervisor stops */
#define AM_CODE_WORKER_DIED "worker-died"
#define AM_CODE_RECYCLE "recycle"                 /* the worker was replaced */
#define AM_CODE_HEALTH "health"                   /* it did not answer */
#define AM_CODE_ERRORS "errors"                   /* it made too many */
#define AM_CODE_ERR_WORK_TIMEOUT "ErrWorkTimeout" /* a request did not end */
#define AM_CODE_ENDED "ended"                     /* nobody knows why */
#define AM_CODE_DETACHED "detached" /* this connection was closed */

/* ---- the protocol's (arpc.md) ---- */

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
