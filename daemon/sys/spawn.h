/* spawn.h - posix_spawn of a worker. */
#ifndef DAEMON_SYS_SPAWN_H
#define DAEMON_SYS_SPAWN_H

#include <sys/resource.h>
#include <sys/types.h>

/* All borrowed. fds are passed as 3 (private) and 4 (public). */
struct spawn {
	char *const *argv;
	char *const *env; /* of spawn_env() */
	int private_fd;
	int public_fd;
	const char *out; /* FIFOs, opened read-write by the child */
	const char *err;
	const int *extra; /* passed as 5 and on; each of them is open */
	int n_extra;
	const struct rlimit *files; /* its RLIMIT_NOFILE; NULL: ours */
};

enum {
	SPAWN_PRIVATE_FD = 3,
	SPAWN_PUBLIC_FD = 4,
	SPAWN_EXTRA_FD = 5,
	SPAWN_EXTRA_MAX = 3,
};

/* Own process group, default signals and mask, nothing open but 0 to 4 and the
 * extra ones.
 * Returns -errno, exec's included. */
int spawn_process(const struct spawn *sp, pid_t *ret_pid);

/* Our environment without what belongs to us alone (LISTEN_*, NOTIFY_SOCKET,
 * WATCHDOG_*, JOURNAL_STREAM, AM_*), and with these "K=V" (NULL-terminated).
 * Returns new, one block for spawn_env_free(); NULL: no memory. */
char **spawn_env(char *const *own, const char *const *add);
void spawn_env_free(char **env);

#endif
