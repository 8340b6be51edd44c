/* states.h - the schema of a hosted worker: ours first, then the program's. */
#ifndef DAEMON_EXEC_STATES_H
#define DAEMON_EXEC_STATES_H

#include "lib/amnode.h"

enum { STATES_FILE_MAX = 1024 * 1024 };

/* Returns new; NULL with a message in err. json: {"states":[...]}; NULL: only
 * the base states. The program's states may require base states, never add or
 * remove them. */
struct am_schema *states_from_json(const char *json, size_t len,
    struct am_error *err);
/* The same from a file; the message names it. */
struct am_schema *states_from_file(const char *path, struct am_error *err);
/* The same from the array in a ready message. */
struct am_schema *states_from_value(struct am_val rows, struct am_error *err);

#endif
