#include "lib/proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

enum { LIST_MAX = 64 * 1024 };

int
proc_adopt_orphans(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

char *
proc_children(void)
{
	char path[64];
	am_cleanup(am_closep) int fd = -1;
	char *list;
	size_t len = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	list = fd >= 0 ? calloc(1, LIST_MAX + 1) : NULL;
	if (list == NULL)
		return NULL;
	while (len < LIST_MAX && (n = read(fd, list + len, LIST_MAX - len)) > 0)
		len += (size_t)n;
	return list;
}

pid_t
proc_next_child(char **list)
{
	char *end;
	long pid = strtol(*list, &end, 10);

	if (end == *list || *end != ' ' || pid <= 0)
		return 0;
	*list = end;
	return (pid_t)pid;
}
