/* exitcodes.h - what amctl's exit status says. `amctl help exit-codes`. */
#ifndef CLI_EXITCODES_H
#define CLI_EXITCODES_H

/* name, number, status in --json (a closed list, that of `stream`), meaning */
#define EXIT_CODES(X)                                                          \
	X(OK, 0, "ok", "done, or true")                                        \
	X(FAILED, 1, "failed", "the work failed")                              \
	X(USAGE, 2, "failed", "bad command, option, argument or JSON")         \
	X(FALSE, 3, "failed", "the condition is false")                        \
	X(MISSING, 4, "failed", "no such state, lease, process or field")      \
	X(REFUSED, 5, "refused", "refused by a relation, handler or worker")   \
	X(DENIED, 6, "refused", "not permitted")                               \
	X(LOST, 7, "canceled", "the lease was lost or released")               \
	X(UNKNOWN, 8, "unknown", "outcome unknown: worker died, or link cut")  \
	X(UNREACHABLE, 69, "failed", "amnoded cannot be reached")              \
	X(NO_WORKER, 75, "failed", "no worker now: none free, pool broken")    \
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
