/* fd.h - descriptors of processes: pidfds, and those that a child gets. */
#ifndef LIB_PROC_FD_H
#define LIB_PROC_FD_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Lower ones may be the targets of dup2() in a child. */
enum { PROC_FD_MIN = 10 };

/* Returns new fd, a copy of fd out of the way of dup2(); or -errno. */
static inline int
proc_fd_above(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, PROC_FD_MIN);

	return copy < 0 ? -errno : copy;
}

/* 0 or -errno. */
static inline int
proc_fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* Returns new fd: readable when the process has exited; or -errno. */
static inline int
proc_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

/* Reaches this process or none, whoever has its number now. 0 or -errno. */
static inline int
proc_pidfd_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno
								       : 0;
}

/* Who connected to this Unix socket, or called listen() on it. 0 or -errno. */
static inline int
proc_peer(int fd, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
		return -errno;
	return len == sizeof(*ret) ? 0 : -ENOTSUP;
}

#endif
