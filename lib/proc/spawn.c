#include "lib/proc/spawn.h"

static int
set_attributes(posix_spawnattr_t *attr, const struct proc_spawn *sp)
{
	short group = sp->own_group ? POSIX_SPAWN_SETPGROUP : 0;
	sigset_t all, none;
	int r;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	r = posix_spawnattr_setflags(attr,
	    (short)(group | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
	if (r == 0)
		r = posix_spawnattr_setpgroup(attr, 0);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr,
		    sp->defaults != NULL ? sp->defaults : &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attr,
		    sp->mask != NULL ? sp->mask : &none);
	return r;
}

int
proc_spawn(const struct proc_spawn *sp, pid_t *ret_pid)
{
	posix_spawnattr_t attr;
	int r = posix_spawnattr_init(&attr);

	if (r != 0)
		return -r;
	r = set_attributes(&attr, sp);
	if (r == 0)
		r = posix_spawnp(ret_pid, sp->argv[0], sp->actions, &attr,
		    sp->argv, sp->env);
	(void)posix_spawnattr_destroy(&attr);
	return -r;
}
