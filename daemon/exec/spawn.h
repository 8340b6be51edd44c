/* spawn.h - the program as a process of its own: pipes, environment, exec. */
#ifndef DAEMON_EXEC_SPAWN_H
#define DAEMON_EXEC_SPAWN_H

#include <sys/types.h>

#include "lib/amnode.h"

/* Starts argv[0] (searched in PATH) in our process group, with default signals,
 * stdin /dev/null, our stdout and stderr, pipes as fd 3 and 4, and nothing else
 * open. Gives our ends of the pipes (non-blocking, CLOEXEC; the caller closes
 * them) and the pid. -errno of exec too, with a message in err. */
int spawn_program(char *const *argv, int *ret_in, int *ret_out, pid_t *ret_pid,
    struct am_error *err);

#endif
