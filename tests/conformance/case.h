/* case.h - one recorded case: a schema, handlers, steps with their outcome. */
#ifndef TESTS_CONFORMANCE_CASE_H
#define TESTS_CONFORMANCE_CASE_H

#include <stdbool.h>

struct case_mode {
	bool sparse;   /* only the handlers that the case names are bound */
	bool untraced; /* steps are compared, transitions and calls are not */
	/* Steps are mutations of a mirror, over a connection, and what is
	 * compared is the mirror: without its order, which it has not. */
	bool rpc;
};

/* Runs the case of one line of NDJSON on a machine; *ret_passed if every step
 * came out as recorded, otherwise stderr says what differs first. -EINVAL: the
 * line is no case. *ret_id is the case's id, owned by the caller. */
int case_run(const char *line, struct case_mode mode, bool *ret_passed,
    char **ret_id);

#endif
