/* amnode_log.h - log what a machine does, as lines for people (semantics.md
 * 17). Words as in amnode.h. */
#ifndef AMNODE_LOG_H
#define AMNODE_LOG_H

#include <amnode.h>

#ifdef __cplusplus
extern "C" {
#endif

enum am_log_level {
	AM_LOG_NOTHING,
	AM_LOG_EXTERNAL,  /* am_log() */
	AM_LOG_CHANGES,   /* what became active or inactive */
	AM_LOG_OPS,       /* mutations, handlers, refusals, subscriptions */
	AM_LOG_DECISIONS, /* automatic ones too */
	AM_LOG_EVERYTHING,
};

struct am_logger {
	size_t size; /* sizeof(struct am_logger) */
	enum am_log_level level;
	bool no_id;    /* lines do not begin with "[mach1] " */
	bool all_args; /* show all args of mutations; else only these keys */
	const char *const *args; /* ends with NULL; NULL: none */
	/* Gets a line without its newline. What could forge another line or
	 * steer a terminal is shown as an escape, \x0a. Must not call the
	 * machine. */
	void (*line)(const struct am_machine *m, enum am_log_level level,
	    const char *line, void *arg);
	void *arg;
};

/* Copies the logger and borrows its args. NULL or level 0: nothing is logged,
 * which costs nothing. -ENOMEM; -EBUSY: in a drain; -EINVAL: its size is not
 * set. */
AM_API int am_set_logger(struct am_machine *m, const struct am_logger *l);
/* The same, but the environment decides: AM_LOG (0 to 5) sets the level,
 * AM_LOG_ARGS=1 shows all args, AM_DEBUG=1 multiplies the handler timeout by
 * ten, once. Other values are ignored. l must not be NULL. */
AM_API int am_set_logger_env(struct am_machine *m, const struct am_logger *l);
/* Logs "[breakpoint] Machine.breakpoint" and calls am_on_breakpoint(), where a
 * debugger can stop, when exactly these states, in this order, are added
 * (AM_ADD) or removed (AM_REMOVE). Stays until another logger is set. -EINVAL:
 * no states, another operation, or no logger. */
AM_API int am_breakpoint(struct am_machine *m, enum am_op op,
    const am_id *states, size_t n);
AM_API void am_on_breakpoint(const struct am_machine *m);
/* Logs a line of the program. Newlines become blanks. */
AM_API void am_log(struct am_machine *m, const char *fmt, ...) AM_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif

#endif
