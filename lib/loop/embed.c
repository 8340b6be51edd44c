/* A loop inside another one: what the other loop has to wait for. */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "lib/base/clock.h"
#include "lib/loop/loop_int.h"

/* Whether fd is an epoll set that contains wake_fd. No events are asked for, so
 * that another's set does not notice. */
static bool
is_set_with(int fd, int wake_fd)
{
	struct epoll_event none = { .events = 0 };

	if (epoll_ctl(fd, EPOLL_CTL_ADD, wake_fd, &none) < 0)
		return errno == EEXIST;
	(void)epoll_ctl(fd, EPOLL_CTL_DEL, wake_fd, &none);
	return false;
}

/* libevent does not reveal its epoll set. It is the only one that has the
 * descriptor that wakes this loop, and was opened next after it. */
static int
find_epoll(int wake_fd)
{
	struct rlimit lim;
	int n = INT_MAX;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < INT_MAX)
		n = (int)lim.rlim_cur;
	for (int fd = wake_fd + 1; fd < n; fd++) {
		if (is_set_with(fd, wake_fd))
			return fd;
	}
	for (int fd = 0; fd < wake_fd; fd++) {
		if (is_set_with(fd, wake_fd))
			return fd;
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
