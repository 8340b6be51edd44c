#include "daemon/sys/owner.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/node/client.h"
#include "lib/loop/loop.h"
#include "lib/proc/fd.h"

int
owner_check(pid_t pid, uint64_t start, uid_t uid)
{
	char path[32];
	struct stat st;
	uint64_t now;

	if (pid < 1 || client_pid_start(pid, &now) < 0 ||
	    (start != 0 && start != now))
		return -ESRCH;
	if (uid == 0 || uid == (uid_t)-1)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) < 0)
		return -ESRCH;
	return st.st_uid == uid ? 0 : -EPERM;
}

static void
on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct owner *o = arg;

	(void)fd;
	(void)what;
	if (o->fn != NULL)
		o->fn(o->arg);
}

int
owner_watch(struct owner *o, struct am_loop *l, pid_t pid, uint64_t start,
    uid_t uid)
{
	am_cleanup(am_closep) int fd = proc_pidfd(pid);
	int r;

	if (fd < 0)
		return fd;
	/* After the open: the number cannot have gone to another one. */
	r = owner_check(pid, start, uid);
	if (r < 0)
		return r;
	o->event = event_new(loop_base(l), fd, EV_READ, on_exit_event, o);
	if (o->event == NULL || event_add(o->event, NULL) < 0) {
		if (o->event != NULL)
			event_free(o->event);
		o->event = NULL;
		return -ENOMEM;
	}
	o->pid = pid;
	o->fd = am_steal_fd(&fd);
	return 0;
}

void
owner_on_exit(struct owner *o, void (*fn)(void *arg), void *arg)
{
	o->fn = fn;
	o->arg = arg;
}

void
owner_done(struct owner *o)
{
	if (o->event != NULL)
		event_free(o->event);
	if (o->fd >= 0)
		(void)close(o->fd);
	*o = OWNER_INIT;
}
