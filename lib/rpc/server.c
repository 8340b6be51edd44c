#include "lib/rpc/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/random.h"
#include "lib/rpc/session.h"

enum {
	ACCEPT_TURN = 64,      /* connections per turn */
	ACCEPT_PAUSE_MS = 100, /* when there are no fds or no memory */
};

/* ---- clocks ---- */

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct rpc_server *srv = arg;

	(void)m;
	srv->version++;
	/* Its output goes out in the same write as everything else. */
	loop_at_flush_first(srv->loop, &srv->turn);
}

static void
on_transition(struct am_machine *m, const struct am_transition *t, void *arg)
{
	struct rpc_server *srv = arg;

	(void)m;
	watch_transition(srv, t);
}

int
server_reserve(struct rpc_server *srv, size_t n)
{
	uint64_t *p;

	if (n <= srv->n_scratch)
		return 0;
	p = reallocarray(srv->scratch, n, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	srv->scratch = p;
	srv->n_scratch = n;
	return 0;
}

/* Sent at once, so that it precedes everything about the new states. */
static void
on_schema_changed(struct am_machine *m, void *arg)
{
	struct rpc_server *srv = arg;
	int r = server_reserve(srv, am_schema_len(am_machine_schema(m)));
	struct rpc_session *s;

	am_buf_reset(&srv->rows);
	TAILQ_FOREACH(s, &srv->sessions, link) {
		if (r < 0 || session_grow(s) < 0)
			conn_close(s->conn, "internal: no memory");
	}
}

static const struct am_tracer tracer = {
	.size = sizeof(tracer),
	.drain_end = on_drain_end,
	.schema_changed = on_schema_changed,
};
/* Bound only while a session watches. */
static const struct am_tracer watcher = { .size = sizeof(watcher),
	.transition_end = on_transition };

int
server_watch(struct rpc_server *srv, bool on)
{
	if (on)
		return srv->n_watching++ > 0
		    ? 0
		    : am_trace(srv->machine, &watcher, srv);
	if (--srv->n_watching == 0)
		am_untrace(srv->machine, &watcher, srv);
	return 0;
}

/* A session that got the new clocks with a response needs no push. */
static void
on_flush(void *arg)
{
	struct rpc_server *srv = arg;
	struct rpc_session *s;

	TAILQ_FOREACH(s, &srv->sessions, link) {
		if (session_is_up(s) && s->version != srv->version)
			conn_dirty(s->conn);
	}
}

/* ---- listeners ---- */

static void
listener_pause(struct listener *li)
{
	(void)event_del(&li->ev);
	(void)am_timer_start(&li->pause, ACCEPT_PAUSE_MS);
}

static void
on_pause_over(void *arg)
{
	struct listener *li = arg;

	if (li->fd >= 0 && event_add(&li->ev, NULL) < 0)
		listener_pause(li);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *li = arg;
	/* No faster than those who are here are served. */
	size_t n = loop_share(li->srv->loop, ACCEPT_TURN);
	int peer;

	(void)what;
	for (; n > 0 && li->fd >= 0; n--) {
		peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (peer >= 0) {
			if (session_new(li, peer) == -ENOMEM)
				errno = ENOMEM;
			else
				continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			listener_pause(li);
			return;
		}
		/* This connection failed before it was accepted. */
	}
}

static int
listener_start(struct listener *li)
{
	int flags = fcntl(li->fd, F_GETFL);

	/* It may be inherited, and may be blocking. */
	if (flags < 0 || fcntl(li->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(li->fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	am_timer_init(&li->pause, li->srv->loop, on_pause_over, li);
	(void)event_assign(&li->ev, loop_base(li->srv->loop), li->fd,
	    EV_READ | EV_PERSIST, on_accept, li);
	return event_add(&li->ev, NULL) < 0 ? -ENOMEM : 0;
}

static void
listener_stop(struct listener *li)
{
	if (li->fd < 0)
		return;
	(void)event_del(&li->ev);
	am_timer_done(&li->pause);
	am_closep(&li->fd);
}

int
rpc_server_listen(struct rpc_server *srv, int fd,
    const struct rpc_policy *policy, void *arg)
{
	am_cleanup(am_closep) int own_fd = fd;
	am_cleanup(am_freep) struct listener *li = calloc(1, sizeof(*li));
	struct listener **list;
	int r;

	if (li == NULL)
		return -ENOMEM;
	list = reallocarray(srv->listener, srv->n_listeners + 1,
	    sizeof(struct listener *));
	if (list == NULL)
		return -ENOMEM;
	srv->listener = list;
	li->srv = srv;
	li->fd = fd;
	li->number = (int)srv->n_listeners;
	li->policy = policy;
	li->arg = arg;
	r = listener_start(li);
	if (r < 0)
		return r;
	(void)am_steal_fd(&own_fd);
	list[srv->n_listeners++] = am_steal(&li);
	return list[srv->n_listeners - 1]->number;
}

void
rpc_server_set_tls(struct rpc_server *srv, int listener, const struct tls *tls)
{
	assert(listener >= 0 && (size_t)listener < srv->n_listeners);
	srv->listener[listener]->tls = tls;
}

void
rpc_server_unlisten(struct rpc_server *srv, int listener)
{
	assert(listener >= 0 && (size_t)listener < srv->n_listeners);
	listener_stop(srv->listener[listener]);
}

/* ---- server ---- */

struct rpc_server *
rpc_server_new(struct am_loop *l, struct am_machine *m)
{
	struct rpc_server *srv = calloc(1, sizeof(*srv));

	if (srv == NULL)
		return NULL;
	srv->loop = l;
	srv->machine = m;
	srv->epoch = random_id();
	srv->rows = AM_BUF_INIT;
	srv->turn = (struct turn_item){ .fn = on_flush, .arg = srv };
	TAILQ_INIT(&srv->sessions);
	TAILQ_INIT(&srv->replays);
	LIST_INIT(&srv->users);
	if (am_trace(m, &tracer, srv) < 0) {
		free(srv);
		return NULL;
	}
	return srv;
}

static void
on_reap(void *arg)
{
	struct rpc_server *srv = arg;

	for (size_t i = 0; i < srv->n_listeners; i++)
		free(srv->listener[i]);
	free(srv->listener);
	am_buf_done(&srv->rows);
	free(srv->scratch);
	free(srv);
}

struct rpc_server *
rpc_server_free(struct rpc_server *srv)
{
	struct rpc_session *s;

	if (srv == NULL)
		return NULL;
	am_untrace(srv->machine, &tracer, srv);
	for (size_t i = 0; i < srv->n_listeners; i++)
		listener_stop(srv->listener[i]);
	while ((s = TAILQ_FIRST(&srv->sessions)) != NULL)
		session_drop(s);
	rpc_server_forget(srv, -1);
	/* The caller may be a callback of a session. */
	srv->turn.fn = on_reap;
	loop_at_reap(srv->loop, &srv->turn);
	return NULL;
}

void
rpc_server_close(struct rpc_server *srv, int listener, const char *reason)
{
	struct rpc_session *s;

	TAILQ_FOREACH(s, &srv->sessions, link) {
		if (listener < 0 || s->li->number == listener)
			conn_close(s->conn, reason);
	}
}

void
rpc_server_forget(struct rpc_server *srv, int listener)
{
	struct replay *m = TAILQ_FIRST(&srv->replays);
	struct replay *next;

	for (; m != NULL; m = next) {
		next = TAILQ_NEXT(m, link);
		if (listener >= 0 && m->listener != listener)
			continue;
		if (m->session != NULL)
			m->session->replay = NULL;
		m->session = NULL;
		replay_free(&srv->replays, m);
	}
}

uint64_t
rpc_server_epoch(const struct rpc_server *srv)
{
	return srv->epoch;
}

uint64_t
rpc_server_ignored(const struct rpc_server *srv)
{
	return srv->ignored;
}

struct rpc_session *
rpc_server_next(struct rpc_server *srv, struct rpc_session *s)
{
	s = s == NULL ? TAILQ_FIRST(&srv->sessions) : TAILQ_NEXT(s, link);
	while (s != NULL && !session_is_up(s))
		s = TAILQ_NEXT(s, link);
	return s;
}
