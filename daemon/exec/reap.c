#include "daemon/exec/reap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

enum { REAP_BATCH = 64 };

int
reap_init(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static void
close_filep(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
}

/* This process has one thread, so its list is complete. It is the kernel's,
 * and children stay in it until they are reaped: no pid of it can be another
 * process's. */
static size_t
list_children(pid_t pid[static REAP_BATCH])
{
	char path[64];
	size_t n = 0;
	int one;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	am_cleanup(close_filep) FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (n < REAP_BATCH && fscanf(f, "%d", &one) == 1)
		pid[n++] = one;
	return n;
}

/* Waits for a killed child until the deadline. */
static int
await_child(pid_t pid, int64_t deadline_ns)
{
	am_cleanup(am_closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left_ms = (deadline_ns - clock_ns()) / NS_PER_MS;

	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	if (poll(&p, 1, left_ms > 0 ? (int)left_ms : 0) <= 0)
		return -ETIMEDOUT;
	return 0;
}

int
reap_all(int64_t timeout_ms)
{
	int64_t deadline_ns = clock_ns() + timeout_ms * NS_PER_MS;
	pid_t pid[REAP_BATCH];
	int killed = 0;
	size_t n;

	/* Each round may bring new children: those of the ones just reaped. */
	while ((n = list_children(pid)) > 0) {
		for (size_t i = 0; i < n; i++)
			(void)kill(pid[i], SIGKILL);
		for (size_t i = 0; i < n; i++) {
			int r = await_child(pid[i], deadline_ns);

			if (r < 0)
				return r;
			(void)waitpid(pid[i], NULL, WNOHANG);
			killed++;
		}
	}
	return killed;
}
