/* case.h - one recorded case: a schema, handlers, steps with their outcome. */
#ifndef TESTS_CONFORMANCE_CASE_H
#define TESTS_CONFORMANCE_CASE_H

#include <stdbool.h>

/* Runs the case of one line of NDJSON on a machine; true if every step came
 * out as recorded. In sparse mode only the handlers that the case names are
 * bound. Otherwise says on stderr what differs first. -EINVAL: the line is no
 * case. *ret_id is the case's id, owned by the caller. */
int case_run(const char *line, bool sparse, bool *ret_passed, char **ret_id);

#endif
