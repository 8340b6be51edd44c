/* A loop inside another one: what the other loop has to wait for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/loop/loop_int.h"

/* Whether NAME is an epoll set with fd in it, by /proc/self/fdinfo. */
static bool
is_set_with(int dir_fd, const char *name, int fd)
{
	am_cleanup(
	    am_closep) int info = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	FILE *f;
	char line[256];
	bool found = false;
	int tfd;

	if (info < 0)
		return false;
	f = fdopen(info, "r");
	if (f == NULL)
		return false;
	(void)am_steal_fd(&info);
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd;
	(void)fclose(f);
	return found;
}

/* libevent does not reveal its epoll set. It is the only one of this process
 * that has the descriptor that wakes this loop. */
static int
find_epoll(int wake_fd)
{
	am_cleanup(am_closedirp) DIR *d = opendir("/proc/self/fdinfo");
	const struct dirent *e;

	if (d == NULL)
		return -errno;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' &&
		    is_set_with(dirfd(d), e->d_name, wake_fd))
			return atoi(e->d_name);
	}
	return -ENOTSUP;
}

int
am_loop_fd(struct am_loop *l)
{
	int fd;

	if (l->fd > 0)
		return l->fd;
	fd = find_epoll(l->wake_fd);
	if (fd > 0)
		l->fd = fd;
	return fd;
}

int
am_loop_timeout_ms(const struct am_loop *l)
{
	int64_t next_ns = timers_next_ns(l);
	int64_t left;

	if (l->flush.len > 0 || l->reap.len > 0 || l->next.len > 0 ||
	    event_base_get_num_events(l->base, EVENT_BASE_COUNT_ACTIVE) > 0)
		return 0;
	if (next_ns == 0)
		return -1;
	left = (next_ns - clock_ns() + NS_PER_MS - 1) / NS_PER_MS;
	if (left < 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}
