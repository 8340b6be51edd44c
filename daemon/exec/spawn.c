#include "daemon/exec/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/exec/prog.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/proc/fd.h"
#include "lib/proc/spawn.h"

static const char *const added[] = {
	"AM_FD_IN=3",
	"AM_FD_OUT=4",
	"AM_PROTOCOL=1",
};
enum { N_ADDED = sizeof(added) / sizeof(added[0]) };

static int
pipe_above(int ret[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		ret[i] = proc_fd_above(low[i]);
		if (ret[i] < 0) {
			int r = ret[i];

			(void)close(low[0]);
			(void)close(low[1]);
			if (i > 0)
				(void)close(ret[0]);
			return r;
		}
	}
	(void)close(low[0]);
	(void)close(low[1]);
	return 0;
}

/* What tells this process its sockets and pipes means nothing to the program:
 * AM_*_FD, and those which it gets from us. */
static bool
is_ours(const char *entry)
{
	size_t name = strcspn(entry, "=");

	for (size_t i = 0; i < N_ADDED; i++) {
		size_t len = strcspn(added[i], "=");

		if (name == len && memcmp(entry, added[i], len) == 0)
			return true;
	}
	return name > 6 && memcmp(entry, "AM_", 3) == 0 &&
	    memcmp(entry + name - 3, "_FD", 3) == 0;
}

/* Returns new: an array to free; its strings are borrowed. */
static char **
program_env(void)
{
	size_t n = 0;
	size_t len = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = calloc(n + N_ADDED + 1, sizeof(*env));
	if (env == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (!is_ours(environ[i]))
			env[len++] = environ[i];
	}
	/* posix_spawn() does not write to them, whatever its prototype says. */
	for (size_t i = 0; i < N_ADDED; i++)
		env[len++] = (char *)(uintptr_t)added[i];
	return env;
}

static int
set_actions(posix_spawn_file_actions_t *fa, int in, int out)
{
	int r = posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY,
	    0);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(fa, in, PROG_FD_IN);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(fa, out, PROG_FD_OUT);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(fa,
		    PROG_FD_OUT + 1);
	return -r;
}

/* in and out: the program's ends. */
static int
spawn(char *const *argv, int in, int out, pid_t *ret_pid)
{
	am_cleanup(am_freep) char **env = program_env();
	posix_spawn_file_actions_t fa;
	int r;

	if (env == NULL || posix_spawn_file_actions_init(&fa) != 0)
		return -ENOMEM;
	r = set_actions(&fa, in, out);
	if (r == 0)
		r = proc_spawn(&(struct proc_spawn){ .argv = argv,
				   .env = env,
				   .actions = &fa },
		    ret_pid);
	(void)posix_spawn_file_actions_destroy(&fa);
	return r;
}

int
spawn_program(char *const *argv, int *ret_in, int *ret_out, pid_t *ret_pid,
    struct am_error *err)
{
	int to[2] = { -1, -1 };
	int from[2] = { -1, -1 };
	int r = pipe_above(to);

	if (r == 0)
		r = pipe_above(from);
	am_cleanup(am_closep) int to_read = to[0];
	am_cleanup(am_closep) int to_write = to[1];
	am_cleanup(am_closep) int from_read = from[0];
	am_cleanup(am_closep) int from_write = from[1];
	if (r == 0)
		r = proc_fd_set_nonblock(to_write);
	if (r == 0)
		r = proc_fd_set_nonblock(from_read);
	if (r == 0)
		r = spawn(argv, to_read, from_write, ret_pid);
	if (r < 0) {
		(void)error_set(err, "cannot start %s: %s", argv[0],
		    strerror(-r));
		return r;
	}
	*ret_in = am_steal_fd(&to_write);
	*ret_out = am_steal_fd(&from_read);
	return 0;
}
