#include "daemon/sys/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proc/fd.h"
#include "lib/proc/spawn.h"

static int
actions(posix_spawn_file_actions_t *a, const struct spawn *sp, const int *fd)
{
	int r = posix_spawn_file_actions_addopen(a, STDIN_FILENO, "/dev/null",
	    O_RDONLY, 0);

	/* Read-write: the FIFO then survives a dead reader. */
	if (r == 0)
		r = posix_spawn_file_actions_addopen(a, STDOUT_FILENO, sp->out,
		    O_RDWR, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(a, STDERR_FILENO, sp->err,
		    O_RDWR, 0);
	for (int i = 0; i < 2 + sp->n_extra && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(a, fd[i],
		    SPAWN_PRIVATE_FD + i);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(a,
		    SPAWN_EXTRA_FD + sp->n_extra);
	return r;
}

static int
spawn_with(const struct spawn *sp, const int *fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t a;
	int r = -posix_spawn_file_actions_init(&a);

	if (r < 0)
		return r;
	r = -actions(&a, sp, fd);
	if (r == 0)
		r = proc_spawn(&(struct proc_spawn){ .argv = sp->argv,
				   .env = sp->env,
				   .actions = &a,
				   .own_group = true },
		    ret_pid);
	(void)posix_spawn_file_actions_destroy(&a);
	return r;
}

/* A limit is inherited, so it is ours for as long as this takes: what we have
 * open beyond it stays open. */
static int
spawn_limited(const struct spawn *sp, const int *fd, pid_t *ret_pid)
{
	struct rlimit ours;
	int r;

	if (sp->files == NULL || getrlimit(RLIMIT_NOFILE, &ours) < 0)
		return spawn_with(sp, fd, ret_pid);
	(void)setrlimit(RLIMIT_NOFILE, sp->files);
	r = spawn_with(sp, fd, ret_pid);
	(void)setrlimit(RLIMIT_NOFILE, &ours);
	return r;
}

int
spawn_process(const struct spawn *sp, pid_t *ret_pid)
{
	int fd[2 + SPAWN_EXTRA_MAX] = { sp->private_fd, sp->public_fd };
	int n = 0;
	int r = 0;

	assert(sp->n_extra <= SPAWN_EXTRA_MAX);
	for (int i = 0; i < sp->n_extra; i++)
		fd[2 + i] = sp->extra[i];
	/* Out of the way of 3 and on, so that no dup2() hits another. */
	while (r == 0 && n < 2 + sp->n_extra) {
		fd[n] = proc_fd_above(fd[n]);
		if (fd[n] < 0)
			r = fd[n];
		else
			n++;
	}
	if (r == 0)
		r = spawn_limited(sp, fd, ret_pid);
	while (n > 0)
		(void)close(fd[--n]);
	return r;
}

static bool
begins_with(const char *var, const char *const *prefixes)
{
	for (; *prefixes != NULL; prefixes++)
		if (strncmp(var, *prefixes, strlen(*prefixes)) == 0)
			return true;
	return false;
}

static bool
is_private(const char *var)
{
	static const char *const private[] = { "LISTEN_",
		"NOTIFY_SOCKET=", "WATCHDOG_", "JOURNAL_STREAM=", "AM_", NULL };
	/* Of am_set_logger_env(): for all machines. */
	static const char *const log[] = { "AM_LOG=", "AM_LOG_ARGS=",
		"AM_DEBUG=", NULL };

	return begins_with(var, private) && !begins_with(var, log);
}

char **
spawn_env(char *const *own, const char *const *add)
{
	size_t n = 0, k = 0;
	char **env;

	for (char *const *p = own; *p != NULL; p++)
		n++;
	for (const char *const *p = add; *p != NULL; p++)
		n++;
	env = calloc(n + 1, sizeof(*env));
	if (env == NULL)
		return NULL;
	for (char *const *p = own; *p != NULL; p++)
		if (!is_private(*p) && (env[k] = strdup(*p)) != NULL)
			k++;
	for (const char *const *p = add; *p != NULL; p++) {
		env[k] = strdup(*p);
		if (env[k] == NULL) {
			spawn_env_free(env);
			return NULL;
		}
		k++;
	}
	return env;
}

void
spawn_env_free(char **env)
{
	for (char **p = env; p != NULL && *p != NULL; p++)
		free(*p);
	free(env);
}
