#include "daemon/exec/prog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/exec/spawn.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

enum {
	PROG_TURN_READS = 4,   /* then others get their turn */
	PROG_LAST_READS = 256, /* of what it wrote before it exited */
	PROG_CLOSED_MS = 1000, /* from a closed pipe to its exit */
};

static void
broken(struct prog *p, const char *why)
{
	if (p->muted)
		return;
	p->muted = true;
	p->ops->on_broken(why, p->arg);
}

/* A program that exits closes its pipes first: that alone is no fault. */
static void
await_exit(struct prog *p, const char *why)
{
	if (p->pid == 0 || p->muted || p->closed.deadline_ns != 0)
		return;
	if (am_timer_start(&p->closed, PROG_CLOSED_MS) < 0)
		broken(p, why);
}

static void
on_closed_timer(void *arg)
{
	struct prog *p = arg;

	broken(p, p->out < 0 ? "fd 4 was closed" : "fd 3 was closed");
}

static void
close_pipe(int *fd, struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
	am_closep(fd);
}

/* ---- from the program ---- */

static void
dispatch(struct prog *p)
{
	const char *line;
	size_t len;

	while (!p->paused) {
		int r = line_in_next(&p->lines, &line, &len);

		if (r == 0)
			return;
		if (p->muted) {
			line_in_done(&p->lines);
			return;
		}
		r = r < 0 ? p->ops->on_long_line(line, len, p->arg)
			  : p->ops->on_line(line, len, p->arg);
		if (r == -EAGAIN) {
			p->paused = true;
			if (p->ev_out != NULL)
				(void)event_del(p->ev_out);
			return;
		}
		line_in_drop(&p->lines);
	}
}

/* One read and what it brings. False: nothing more is there now. */
static bool
read_some(struct prog *p)
{
	size_t room;
	char *to;
	ssize_t n;

	if (p->out < 0 || p->paused)
		return false;
	if (line_in_room(&p->lines, &to, &room) < 0) {
		broken(p, "no memory for its lines");
		close_pipe(&p->out, &p->ev_out);
		return false;
	}
	n = read(p->out, to, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close_pipe(&p->out, &p->ev_out);
		await_exit(p, "fd 4 was closed");
		return false;
	}
	line_in_put(&p->lines, (size_t)n);
	dispatch(p);
	return (size_t)n == room;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct prog *p = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < PROG_TURN_READS && read_some(p); i++)
		;
}

void
prog_resume(struct prog *p)
{
	if (!p->paused)
		return;
	p->paused = false;
	dispatch(p);
	if (!p->paused && p->ev_out != NULL)
		(void)event_add(p->ev_out, NULL);
}

void
prog_mute(struct prog *p)
{
	p->muted = true;
	prog_resume(p);
}

/* ---- to the program ---- */

static void
drop_queue(struct prog *p)
{
	am_buf_done(&p->queue);
	p->sent = 0;
}

static void
write_some(struct prog *p)
{
	while (p->in >= 0 && p->sent < p->queue.len) {
		ssize_t n = write(p->in, p->queue.data + p->sent,
		    p->queue.len - p->sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			(void)event_add(p->ev_in, NULL);
			p->was_full = prog_full(p);
			break;
		}
		if (n < 0) {
			close_pipe(&p->in, &p->ev_in);
			drop_queue(p);
			await_exit(p, "fd 3 was closed");
			return;
		}
		p->sent += (size_t)n;
	}
	if (p->sent == p->queue.len) {
		line_buf_reset(&p->queue);
		p->sent = 0;
		if (p->close_in)
			close_pipe(&p->in, &p->ev_in);
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct prog *p = arg;

	(void)fd;
	(void)what;
	write_some(p);
	if (p->was_full && !prog_full(p)) {
		p->was_full = false;
		p->ops->on_room(p->arg);
	}
}

static void
on_flush(void *arg)
{
	struct prog *p = arg;

	if (am_buf_error(&p->queue) < 0) {
		/* A line is missing in the middle: nothing after it can be
		 * trusted. */
		drop_queue(p);
		broken(p, "no memory for its requests");
	}
	write_some(p);
}

struct am_buf *
prog_out(struct prog *p)
{
	loop_at_flush(p->loop, &p->flush);
	if (p->in < 0)
		drop_queue(p);
	return &p->queue;
}

bool
prog_full(const struct prog *p)
{
	return p->queue.len - p->sent > PROG_OUT_SOFT;
}

void
prog_close_in(struct prog *p)
{
	p->close_in = true;
	loop_at_flush(p->loop, &p->flush);
}

/* ---- its life ---- */

/* Orphans of the program become our children (subreaper): all are reaped here,
 * and only here, so p->pid is never that of another process. */
static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	struct prog *p = arg;
	int status;
	int program = -1;
	pid_t pid;

	(void)sig;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == p->pid) {
			p->pid = 0;
			program = status;
		}
	}
	if (program < 0)
		return;
	am_timer_stop(&p->closed);
	for (int i = 0; i < PROG_LAST_READS && read_some(p); i++)
		;
	p->ops->on_exit(program, p->arg);
}

void
prog_kill(const struct prog *p, int sig)
{
	if (p->pid > 0)
		(void)kill(p->pid, sig);
}

int
prog_start(struct prog *p, struct am_loop *l, char *const *argv,
    size_t line_max, const struct prog_ops *ops, void *arg,
    struct am_error *err)
{
	struct event_base *base = loop_base(l);
	int r;

	*p = (struct prog){ .loop = l,
		.ops = ops,
		.arg = arg,
		.in = -1,
		.out = -1,
		.queue = AM_BUF_INIT,
		.lines = { .max = line_max } };
	p->flush = (struct turn_item){ .fn = on_flush, .arg = p };
	am_timer_init(&p->closed, l, on_closed_timer, p);
	/* Before there is a child whose end could be missed. */
	p->ev_child = evsignal_new(base, SIGCHLD, on_child, p);
	if (p->ev_child == NULL || event_add(p->ev_child, NULL) < 0)
		return error_set(err, "no memory"), -ENOMEM;
	r = spawn_program(argv, &p->in, &p->out, &p->pid, err);
	if (r < 0)
		return r;
	p->ev_in = event_new(base, p->in, EV_WRITE, on_writable, p);
	p->ev_out = event_new(base, p->out, EV_READ | EV_PERSIST, on_readable,
	    p);
	if (p->ev_in == NULL || p->ev_out == NULL ||
	    event_add(p->ev_out, NULL) < 0)
		return error_set(err, "no memory"), -ENOMEM;
	return 0;
}

void
prog_done(struct prog *p)
{
	if (p->loop == NULL)
		return;
	loop_forget(p->loop, &p->flush);
	am_timer_done(&p->closed);
	close_pipe(&p->in, &p->ev_in);
	close_pipe(&p->out, &p->ev_out);
	if (p->ev_child != NULL)
		event_free(p->ev_child);
	am_buf_done(&p->queue);
	line_in_done(&p->lines);
	*p = (struct prog){ .in = -1, .out = -1 };
}
