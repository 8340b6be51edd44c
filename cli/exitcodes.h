/* exitcodes.h - what amctl's exit status says. `amctl help exit-codes`. */
#ifndef CLI_EXITCODES_H
#define CLI_EXITCODES_H

/* name, number, status in --json, meaning */
#define EXIT_CODES(X)                                                          \
	X(OK, 0, "ok", "done, or true")                                        \
	X(FAILED, 1, "failed", "the work failed")                              \
	X(USAGE, 2, "usage",                                                   \
	    "bad command, option, duration, argument or JSON")                 \
	X(FALSE, 3, "false", "the condition is false")                         \
	X(MISSING, 4, "missing", "no such state, lease, topic or field")       \
	X(REFUSED, 5, "refused",                                               \
	    "refused by a relation, a handler or the worker")                  \
	X(DENIED, 6, "not_permitted", "not permitted")                         \
	X(LOST, 7, "lost", "the lease was lost or released")                   \
	X(UNKNOWN, 8, "unknown",                                               \
	    "outcome unknown: the worker died or the link was cut meanwhile")  \
	X(UNREACHABLE, 69, "unreachable", "amnoded cannot be reached")         \
	X(NO_WORKER, 75, "no_worker",                                          \
	    "no worker now: none free, queue full, draining or pool broken")   \
	X(TIMEOUT, 124, "timeout", "timeout; the request is canceled")         \
	X(RUN_SELF, 125, "failed", "run: amctl itself failed")                 \
	X(RUN_EXEC, 126, "failed", "run: CMD cannot be executed")              \
	X(RUN_NOENT, 127, "failed", "run: CMD was not found")                  \
	X(INT, 130, "canceled", "interrupted")                                 \
	X(TERM, 143, "canceled", "terminated")

enum exit_code {
#define X(name, number, status, help) EX_##name = (number),
	EXIT_CODES(X)
#undef X
};

#endif
