/* Descriptors that belong to the program. */
#include "lib/loop/loop_int.h"

#include <errno.h>
#include <sys/stat.h>

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct am_io *io = arg;

	(void)fd;
	io->fn(io->arg,
	    (what & EV_READ ? (unsigned)AM_IO_READ : 0) |
		(what & EV_WRITE ? (unsigned)AM_IO_WRITE : 0));
}

void
am_io_init(struct am_io *io, struct am_loop *l, int fd,
    void (*fn)(void *arg, unsigned events), void *arg)
{
	*io = (struct am_io){ .loop = l, .fn = fn, .arg = arg, .fd = fd };
}

/* libevent would print a warning, too. */
static int
check(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : 0;
}

int
am_io_watch(struct am_io *io, unsigned events)
{
	short what = EV_PERSIST;
	int r;

	if (events == io->events)
		return 0;
	am_io_done(io);
	if (events == 0)
		return 0;
	r = check(io->fd);
	if (r < 0)
		return r;
	what |= events & AM_IO_READ ? EV_READ : 0;
	what |= events & AM_IO_WRITE ? EV_WRITE : 0;
	io->event = event_new(loop_base(io->loop), io->fd, what, on_event, io);
	if (io->event == NULL)
		return -ENOMEM;
	errno = 0;
	if (event_add(io->event, NULL) < 0) {
		r = errno != 0 ? -errno : -ENOMEM;

		am_io_done(io);
		return r;
	}
	io->events = events;
	return 0;
}

void
am_io_done(struct am_io *io)
{
	if (io->event != NULL)
		event_free(io->event);
	io->event = NULL;
	io->events = 0;
}
