/* spawn.h - starting programs by posix_spawn(): fast from a large parent, and
 * exec's error is its own result. */
#ifndef LIB_PROC_SPAWN_H
#define LIB_PROC_SPAWN_H

#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/types.h>

struct proc_spawn {
	char *const *argv; /* the program is looked for in PATH */
	char *const *env;
	/* Borrowed; NULL: descriptors are inherited as they are. */
	const posix_spawn_file_actions_t *actions;
	const sigset_t *mask;     /* NULL: no signal is blocked */
	const sigset_t *defaults; /* dispositions to reset; NULL: all */
	bool own_group;
};

/* 0 or -errno: of exec, too. */
int proc_spawn(const struct proc_spawn *sp, pid_t *ret_pid);

#endif
