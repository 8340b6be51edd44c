#include "daemon/sys/orphan.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/proc/fd.h"

/* Who listens on the worker's private socket, if that is one of our user; 0:
 * nobody. A worker listens itself, so this is its own number. */
static pid_t
listener(const struct runtime *rt, uint32_t id)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	am_cleanup(am_closep) int fd = -1;
	struct ucred cred = { .pid = 0 };
	char name[32];

	(void)snprintf(name, sizeof(name), "w%u.priv", id);
	if (runtime_path(rt, name, sun.sun_path, sizeof(sun.sun_path)) < 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    proc_peer(fd, &cred) < 0)
		return 0;
	return cred.uid == geteuid() && cred.pid > 1 && cred.pid != getpid()
	    ? cred.pid
	    : 0;
}

/* Opens what watches it, tells it to leave. Returns new fd, -1: it is gone. */
static int
stop_one(const struct runtime *rt, uint32_t id, pid_t *ret_pid)
{
	pid_t pid = listener(rt, id);
	am_cleanup(am_closep) int fd = pid > 0 ? proc_pidfd(pid) : -1;

	/* Still the one that listens: the number was not given again. */
	if (fd < 0 || listener(rt, id) != pid ||
	    proc_pidfd_signal(fd, SIGTERM) < 0)
		return -1;
	log_info("worker: of a dead amnoded, stopped id=w%u pid=%d", id,
	    (int)pid);
	*ret_pid = pid;
	return am_steal_fd(&fd);
}

static size_t
wait_for(struct pollfd *fds, const pid_t *pids, size_t n, int64_t until_ns)
{
	size_t left = n;

	while (left > 0) {
		int64_t ms = (until_ns - clock_ns()) / NS_PER_MS;

		if (ms <= 0 || (poll(fds, n, (int)ms) < 0 && errno != EINTR))
			break;
		for (size_t i = 0; i < n; i++) {
			if (fds[i].fd < 0 || fds[i].revents == 0)
				continue;
			/* What its group still holds. */
			(void)kill(-pids[i], SIGKILL);
			(void)close(fds[i].fd);
			fds[i].fd = -1;
			left--;
		}
	}
	return left;
}

void
orphans_stop(const struct runtime *rt, int64_t grace_ms)
{
	am_cleanup(
	    am_freep) struct pollfd *fds = calloc(rt->n_live + 1, sizeof(*fds));
	am_cleanup(am_freep)
	    pid_t *pids = calloc(rt->n_live + 1, sizeof(*pids));
	size_t n = 0;

	if (fds == NULL || pids == NULL)
		return;
	for (size_t i = 0; i < rt->n_live; i++) {
		int fd = stop_one(rt, rt->live[i], &pids[n]);

		if (fd >= 0)
			fds[n++] = (struct pollfd){ .fd = fd,
				.events = POLLIN };
	}
	if (wait_for(fds, pids, n, clock_ns() + grace_ms * NS_PER_MS) == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (fds[i].fd < 0)
			continue;
		log_warn("worker: of a dead amnoded, killed pid=%d",
		    (int)pids[i]);
		(void)proc_pidfd_signal(fds[i].fd, SIGKILL);
		(void)kill(-pids[i], SIGKILL);
	}
	(void)wait_for(fds, pids, n, clock_ns() + NS_PER_S);
	for (size_t i = 0; i < n; i++)
		if (fds[i].fd >= 0)
			(void)close(fds[i].fd);
}
