#include "tests/bench/floor.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { MESSAGE_LEN = 32 };

void
floor_die(const char *what, int error)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

static void
watch(int epfd, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		floor_die("epoll_ctl", errno);
}

static int
wait_one(int epfd)
{
	struct epoll_event ev;
	int n;

	do
		n = epoll_wait(epfd, &ev, 1, -1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		floor_die("epoll_wait", errno);
	return ev.data.fd;
}

/* Sends back what comes, for ever. */
static void
echo(int listener, void *arg)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	char buf[MESSAGE_LEN];

	(void)arg;
	watch(epfd, listener);
	for (;;) {
		int fd = wait_one(epfd);
		ssize_t n;

		if (fd == listener) {
			fd = accept4(listener, NULL, NULL,
			    SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd >= 0)
				watch(epfd, fd);
			continue;
		}
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			(void)close(fd);
		else if (write(fd, buf, (size_t)n) != n)
			floor_die("write", errno);
	}
}

pid_t
floor_child(struct addr *addr, void (*fn)(int fd, void *arg), void *arg)
{
	char name[128];
	pid_t child;
	int fd;

	/* The child before this one was killed and left it. */
	addr_format(addr, name, sizeof(name));
	if (name[0] == '/')
		(void)unlink(name);
	fd = addr_listen(addr, 0600);
	if (fd < 0)
		floor_die("listen", -fd);
	(void)addr_of_fd(fd, addr);
	(void)fflush(NULL);
	child = fork();
	if (child < 0)
		floor_die("fork", errno);
	if (child == 0) {
		fn(fd, arg);
		_exit(0);
	}
	(void)close(fd);
	return child;
}

void
floor_kill(pid_t child)
{
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

struct floor {
	struct addr addr;
	int epfd;
	int fd;
};

static void
exchange(int epfd, int fd)
{
	char buf[MESSAGE_LEN] = { 0 };

	if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
		floor_die("write", errno);
	(void)wait_one(epfd);
	if (read(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
		floor_die("read", errno);
}

static void
round_trips(void *arg, uint64_t n)
{
	struct floor *f = (struct floor *)arg;

	while (n-- > 0)
		exchange(f->epfd, f->fd);
}

/* The socket's connect may be under way still. */
static int
connect_now(struct floor *f)
{
	struct epoll_event ev = { .events = EPOLLOUT };
	int fd = addr_connect(&f->addr);

	if (fd < 0)
		floor_die("connect", -fd);
	ev.data.fd = fd;
	(void)epoll_ctl(f->epfd, EPOLL_CTL_ADD, fd, &ev);
	(void)wait_one(f->epfd);
	ev.events = EPOLLIN;
	(void)epoll_ctl(f->epfd, EPOLL_CTL_MOD, fd, &ev);
	return fd;
}

static void
connections(void *arg, uint64_t n)
{
	struct floor *f = (struct floor *)arg;

	while (n-- > 0) {
		int fd = connect_now(f);

		exchange(f->epfd, fd);
		(void)close(fd);
	}
}

static double
measure(const char *address, void (*fn)(void *arg, uint64_t n), bool connected)
{
	struct floor f = { .epfd = epoll_create1(EPOLL_CLOEXEC), .fd = -1 };
	pid_t child;
	double ns;

	if (addr_parse(address, &f.addr, NULL) < 0)
		floor_die(address, EINVAL);
	child = floor_child(&f.addr, echo, NULL);
	if (connected)
		f.fd = connect_now(&f);
	ns = bench_ns("floor", fn, &f);
	if (f.fd >= 0)
		(void)close(f.fd);
	(void)close(f.epfd);
	floor_kill(child);
	return ns;
}

double
floor_round_trip_ns(const char *address)
{
	return measure(address, round_trips, true);
}

double
floor_connect_ns(const char *address)
{
	return measure(address, connections, false);
}
