#include "daemon/sys/reap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/proc/children.h"

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

void
reap_strays(bool (*is_ours)(pid_t pid, void *arg), void *arg)
{
	am_cleanup(am_freep) char *list = proc_children();
	siginfo_t info;
	char *rest = list;
	pid_t pid;

	while (list != NULL && (pid = proc_next_child(&rest)) > 0) {
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
