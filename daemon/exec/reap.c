#include "daemon/exec/reap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/proc/children.h"
#include "lib/proc/fd.h"

/* Waits for a killed child until the deadline. */
static int
await_child(pid_t pid, int64_t deadline_ns)
{
	am_cleanup(am_closep) int fd = proc_pidfd(pid);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left_ms = (deadline_ns - clock_ns()) / NS_PER_MS;

	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	if (poll(&p, 1, left_ms > 0 ? (int)left_ms : 0) <= 0)
		return -ETIMEDOUT;
	return 0;
}

/* Those of one list, which has no thread's children but ours: there is one. How
 * many they were, or -ETIMEDOUT. */
static int
reap_list(char *list, int64_t deadline_ns)
{
	char *rest = list;
	int n = 0, r;
	pid_t pid;

	while ((pid = proc_next_child(&rest)) > 0)
		(void)kill(pid, SIGKILL);
	rest = list;
	while ((pid = proc_next_child(&rest)) > 0) {
		r = await_child(pid, deadline_ns);
		if (r < 0)
			return r;
		(void)waitpid(pid, NULL, WNOHANG);
		n++;
	}
	return n;
}

int
reap_all(int64_t timeout_ms)
{
	int64_t deadline_ns = clock_ns() + timeout_ms * NS_PER_MS;
	int killed = 0;

	/* Each round may bring new children: those of the ones just reaped. */
	for (;;) {
		am_cleanup(am_freep) char *list = proc_children();
		int n = list != NULL ? reap_list(list, deadline_ns) : 0;

		if (n <= 0)
			return n < 0 ? n : killed;
		killed += n;
	}
}
