#include "daemon/sys/reap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

enum { CHILDREN_MAX = 64 * 1024 }; /* bytes of the list of our children */

int
reap_adopt_orphans(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int
wait_for(pid_t pid, siginfo_t *info, int flags)
{
	int r;

	info->si_pid = 0;
	do
		r = waitid(P_PID, (id_t)pid, info, WEXITED | flags);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

bool
reap_process(pid_t pid, char *how, size_t size)
{
	siginfo_t info;
	int r = wait_for(pid, &info, WNOHANG | WNOWAIT);

	if (r == 0 && info.si_pid == 0)
		return false;
	/* Its children, before anyone else can get this number. */
	(void)kill(-pid, SIGKILL);
	if (r < 0 || wait_for(pid, &info, 0) < 0)
		(void)snprintf(how, size, "status=unknown");
	else if (info.si_code == CLD_EXITED)
		(void)snprintf(how, size, "status=%d", info.si_status);
	else
		(void)snprintf(how, size, "signal=%d", info.si_status);
	return true;
}

static char *
children(void)
{
	char path[64];
	am_cleanup(am_closep) int fd = -1;
	char *list;
	size_t len = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	list = fd >= 0 ? calloc(1, CHILDREN_MAX + 1) : NULL;
	if (list == NULL)
		return NULL;
	while (len < CHILDREN_MAX &&
	    (n = read(fd, list + len, CHILDREN_MAX - len)) > 0)
		len += (size_t)n;
	return list;
}

pid_t
reap_next(char **list)
{
	char *end;
	long pid = strtol(*list, &end, 10);

	if (end == *list || *end != ' ' || pid <= 0)
		return 0;
	*list = end;
	return (pid_t)pid;
}

void
reap_strays(bool (*is_ours)(pid_t pid, void *arg), void *arg)
{
	am_cleanup(am_freep) char *list = children();
	siginfo_t info;
	char *rest = list;
	pid_t pid;

	while (list != NULL && (pid = reap_next(&rest)) > 0) {
		if (is_ours(pid, arg))
			continue;
		/* Dead now, or SIGCHLD calls us again when it is. */
		(void)kill(pid, SIGKILL);
		if (wait_for(pid, &info, WNOHANG) == 0 && info.si_pid == pid)
			log_info(
			    "worker: killed what escaped from its group pid=%d",
			    (int)pid);
	}
}
