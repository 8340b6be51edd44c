/* session.c - one connection of a server: its hello, life and end. */
#include "lib/rpc/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

enum {
	HELLO_WAITING_MAX = 256, /* connections before hello, per listener */
};

bool
session_is_up(const struct rpc_session *s)
{
	return s->up && s->conn != NULL && conn_phase(s->conn) == CONN_UP;
}

size_t
session_frame_max(const struct rpc_session *s)
{
	size_t max = s->li->policy->frame_max;

	return max > 0 ? max : ARPC_FRAME_MAX;
}

int
session_watch(struct rpc_session *s)
{
	/* This is never switched off: a client that traced once may do so
	 * again. */
	if (!s->watch.mutations || s->watching)
		return 0;
	s->watching = server_watch(s->srv, true) == 0;
	return s->watching ? 0 : -ENOMEM;
}

/* Drops it without a bye, and tells its owner. */
static void session_end(struct rpc_session *s, const char *why);

/* Answers with an error and closes the connection for the same reason. */
__attribute__((format(printf, 4, 5))) static void
refuse(struct rpc_session *s, const struct arpc_frame *f, enum arpc_error e,
    const char *fmt, ...)
{
	char text[ARPC_TEXT_MAX];
	char reason[ARPC_TEXT_MAX + 32];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	session_answer_error(s, f, e, "%s", text);
	(void)snprintf(reason, sizeof(reason), "%s: %s", arpc_error_name(e),
	    text);
	if (s->conn != NULL)
		conn_close(s->conn, reason);
}

/* ---- hello ---- */

/* Ends an older connection of this client; what it has not received is sent
 * again on the new one. It ends now, not when its bye is written, because the
 * new one needs what it holds. */
static void
take_over(struct replay *m)
{
	static const char why[] = "resumed by another connection";
	struct rpc_session *old = m->session;

	if (old == NULL)
		return;
	arpc_put_bye(conn_out(old->conn), why);
	session_end(old, why);
}

/* If there is no memory, or too many clients are remembered, the client is told
 * that nothing is remembered. */
static void
resume(struct rpc_session *s, const struct arpc_hello *h)
{
	struct rpc_server *srv = s->srv;
	size_t max = s->li->policy->max_remembered > 0
	    ? s->li->policy->max_remembered
	    : REPLAY_CLIENTS;
	struct replay *m = replay_find(&srv->replays, s->li->number,
	    s->client_id, s->user);

	if (m != NULL) {
		take_over(m);
		s->resumed = h->resume_epoch == srv->epoch;
		/* The client has forgotten its mutations. */
		if (!s->resumed) {
			replay_free(&srv->replays, m);
			m = NULL;
		}
	}
	if (m == NULL)
		m = replay_new(&srv->replays, s->li->number, max, s->client_id,
		    s->user);
	if (m != NULL)
		m->session = s;
	s->replay = m;
}

static void
welcome(struct rpc_session *s, const struct arpc_frame *f,
    const struct arpc_hello *h)
{
	struct am_schema *schema = am_machine_schema(s->srv->machine);
	const struct rpc_policy *policy = s->li->policy;
	struct am_val rows = AM_NONE;

	conn_set_frame_max(s->conn, session_frame_max(s));
	if (!h->sync.no_schema &&
	    (!h->has_hash || h->hash != am_schema_hash(schema))) {
		rows = session_schema_rows(s->srv);
		if (rows.len == 0) {
			refuse(s, f, ARPC_E_internal, "no memory");
			return;
		}
	}
	if (h->has_resume)
		resume(s, h);
	session_answer_welcome(s, f->id, rows);
	conn_deadline(s->conn, 0, "");
	if (policy->up != NULL && session_is_up(s))
		policy->up(s, s->li->arg);
}

static void
let_in(struct rpc_session *s, const struct arpc_frame *f,
    const struct arpc_hello *h)
{
	const struct rpc_policy *policy = s->li->policy;
	struct am_error err = { "refused" };
	int r = 0;

	if (h->proto != ARPC_VERSION) {
		refuse(s, f, ARPC_E_bad_proto,
		    "version %u is not supported, only %d", (unsigned)h->proto,
		    ARPC_VERSION);
		return;
	}
	if (policy->max_sessions > 0 && s->li->n_up >= policy->max_sessions) {
		refuse(s, f, ARPC_E_busy, "too many connections (%zu)",
		    policy->max_sessions);
		return;
	}
	s->client_id = h->client_id;
	(void)snprintf(s->name, sizeof(s->name), "%s", h->name);
	/* Check who it is before looking at what it wants to see, so that the
	 * lists of a stranger cost nothing. */
	if (policy->hello != NULL)
		r = policy->hello(s, h, &err, s->li->arg);
	if (s->conn == NULL)
		return;
	if (r != 0) {
		refuse(s, f, (enum arpc_error)r, "%s", err.text);
		return;
	}
	s->up = true;
	s->li->n_waiting--;
	s->li->n_up++;
	s->user = user_ref(&s->srv->users, &s->peer);
	if (s->user == NULL) {
		refuse(s, f, ARPC_E_internal, "no memory");
		return;
	}
	s->user->n_sessions++;
	if (policy->max_of_user > 0 &&
	    s->user->n_sessions > policy->max_of_user) {
		refuse(s, f, ARPC_E_busy,
		    "too many connections of this user (%zu)",
		    policy->max_of_user);
		return;
	}
	r = watch_set(&s->watch, am_machine_schema(s->srv->machine), &h->sync,
	    &err);
	if (r == 0 && session_watch(s) < 0) {
		r = -ENOMEM;
		(void)error_set(&err, "no memory");
	}
	if (r < 0)
		refuse(s, f, r == -EINVAL ? ARPC_E_bad_params : ARPC_E_internal,
		    "%s", err.text);
	else
		welcome(s, f, h);
}

static void
on_hello(struct rpc_session *s, const struct arpc_frame *f)
{
	struct arpc_hello h;
	const char *why = "";

	if (arpc_hello_get(f->params, &h, &why) < 0) {
		refuse(s, f, ARPC_E_bad_params, "hello: %s", why);
		return;
	}
	let_in(s, f, &h);
	explicit_bzero(h.token, sizeof(h.token));
}

/* ---- the connection's callbacks ---- */

/* A client that does not read its answers gets no further ones. */
static void
throttle(struct rpc_session *s)
{
	size_t max;

	if (s->conn == NULL || s->throttled || s->user == NULL)
		return;
	max = user_out_max(s->user);
	conn_set_soft(s->conn, max);
	if (conn_backlog(s->conn) <= max)
		return;
	s->throttled = true;
	conn_pause(s->conn);
}

static void
on_frame(struct conn *c, const struct arpc_frame *f, void *arg)
{
	struct rpc_session *s = arg;

	(void)c;
	if (s->up && f->kind == ARPC_REQUEST)
		session_on_request(s, f);
	else if (s->up && f->kind == ARPC_NOTIFICATION)
		session_on_notification(s, f);
	else if (s->up)
		s->srv->ignored++; /* we send no requests */
	else if (f->kind == ARPC_REQUEST && f->method == ARPC_hello)
		on_hello(s, f);
	else
		refuse(s, f, ARPC_E_no_hello,
		    "the first message must be the request hello");
	throttle(s);
}

static void
on_flush(struct conn *c, void *arg)
{
	struct rpc_session *s = arg;

	(void)c;
	session_flush(s);
}

static void
on_room(struct conn *c, void *arg)
{
	struct rpc_session *s = arg;

	if (s->throttled) {
		s->throttled = false;
		conn_resume(c);
	}
	session_tell_room(s);
}

static void
on_reap(void *arg)
{
	struct rpc_session *s = arg;

	watch_done(&s->watch);
	free(s->sent.tick);
	free(s);
}

void
session_drop(struct rpc_session *s)
{
	if (s->conn != NULL)
		conn_drop(s->conn);
	s->conn = NULL;
	if (s->replay != NULL)
		s->replay->session = NULL;
	s->replay = NULL;
	watch_end(&s->watch);
	if (s->user != NULL)
		s->user->n_sessions--;
	s->user = user_unref(s->user);
	loop_forget(s->srv->loop, &s->large.next);
	am_timer_done(&s->late);
	if (s->watching)
		(void)server_watch(s->srv, false);
	s->watching = false;
	TAILQ_REMOVE(&s->srv->sessions, s, link);
	if (s->up)
		s->li->n_up--;
	else
		s->li->n_waiting--;
	loop_at_reap(s->srv->loop, &s->reap);
}

/* With TLS, the identity of the peer is known only now. */
static void
on_up(struct conn *c, void *arg)
{
	struct rpc_session *s = arg;

	s->peer = *conn_peer(c);
}

static void
session_end(struct rpc_session *s, const char *why)
{
	const struct rpc_policy *policy = s->li->policy;
	void *policy_arg = s->li->arg;

	session_drop(s);
	if (s->up && policy->closed != NULL)
		policy->closed(s, why, policy_arg);
	else if (!s->up && policy->rejected != NULL && strcmp(why, "eof") != 0)
		policy->rejected(s, why, policy_arg);
}

static void
on_close(struct conn *c, const char *why, void *arg)
{
	struct rpc_session *s = arg;
	struct replay *m = s->replay;

	s->peer = *conn_peer(c);
	s->said_bye = conn_said_bye(c);
	s->conn = NULL; /* it frees itself */
	/* A client that says bye does not come back for answers. */
	if (m != NULL && conn_said_bye(c)) {
		s->replay = NULL;
		m->session = NULL;
		replay_free(&s->srv->replays, m);
	}
	session_end(s, why);
}

static const struct conn_ops ops = {
	.on_up = on_up,
	.on_frame = on_frame,
	.on_flush = on_flush,
	.on_room = on_room,
	.on_close = on_close,
};

/* An honest client says hello at once, so close the oldest waiting connection,
 * not the newest. */
static void
close_oldest_waiting(const struct listener *li)
{
	struct rpc_session *s;

	TAILQ_FOREACH(s, &li->srv->sessions, link) {
		if (s->li != li || s->up || conn_phase(s->conn) == CONN_CLOSING)
			continue;
		conn_close(s->conn, "busy: too many connections before hello");
		return;
	}
}

static int
grow_ticks(struct arpc_clock *c, size_t n)
{
	uint64_t *tick = reallocarray(c->tick, n, sizeof(*tick));

	if (tick == NULL)
		return -ENOMEM;
	memset(tick + c->n, 0, (n - c->n) * sizeof(*tick));
	c->tick = tick;
	c->n = n;
	return 0;
}

/* A client that asked for no schema continues with the states that it knows. */
int
session_grow(struct rpc_session *s)
{
	size_t n = am_schema_len(am_machine_schema(s->srv->machine));

	if (s->watch.no_schema)
		return 0;
	if (watch_grow(&s->watch, s->sent.n, n) < 0 ||
	    grow_ticks(&s->sent, n) < 0)
		return -ENOMEM;
	if (session_is_up(s))
		session_put_schema(s);
	return 0;
}

int
session_new(struct listener *li, int fd)
{
	struct rpc_server *srv = li->srv;
	size_t n = am_schema_len(am_machine_schema(srv->machine));
	am_cleanup(am_closep) int own_fd = fd;
	am_cleanup(am_freep) struct rpc_session *s = calloc(1, sizeof(*s));
	am_cleanup(am_freep) uint64_t *tick = calloc(n, sizeof(*tick));

	if (s == NULL || tick == NULL || server_reserve(srv, n) < 0)
		return -ENOMEM;
	s->conn = conn_new(srv->loop, am_steal_fd(&own_fd), false, &ops, s);
	if (s->conn == NULL)
		return -ENOMEM;
	if (li->tls != NULL && conn_tls(s->conn, li->tls, NULL) < 0) {
		conn_drop(s->conn);
		return -ENOMEM;
	}
	watch_init(&s->watch);
	s->srv = srv;
	s->li = li;
	s->id = ++srv->last_id;
	s->peer = *conn_peer(s->conn);
	s->reap = (struct turn_item){ .fn = on_reap, .arg = s };
	s->large.next = (struct turn_item){ .fn = session_on_next_part,
		.arg = s };
	am_timer_init(&s->late, srv->loop, session_on_late, s);
	s->sent.tick = am_steal(&tick);
	s->sent.n = n;
	TAILQ_INSERT_TAIL(&srv->sessions, s, link);
	li->n_waiting++;
	conn_set_frame_max(s->conn, ARPC_FRAME_SMALL);
	conn_deadline(s->conn, CONN_HELLO_MS, "no_hello: no hello within 5 s");
	if (li->n_waiting > HELLO_WAITING_MAX)
		close_oldest_waiting(li);
	s = NULL; /* the list has it */
	return 0;
}

/* ---- for the policy's owner ---- */

int
rpc_session_listener(const struct rpc_session *s)
{
	return s->li->number;
}

uint64_t
rpc_session_id(const struct rpc_session *s)
{
	return s->id;
}

uint64_t
rpc_session_client_id(const struct rpc_session *s)
{
	return s->client_id;
}

const char *
rpc_session_name(const struct rpc_session *s)
{
	return s->name;
}

const struct conn_peer *
rpc_session_peer(const struct rpc_session *s)
{
	return &s->peer;
}

bool
rpc_session_peer_in(const struct rpc_session *s, const gid_t *gids, size_t n)
{
	return s->conn != NULL && conn_peer_in(s->conn, gids, n);
}

bool
rpc_session_is_local(const struct rpc_session *s)
{
	return s->conn != NULL && conn_is_local(s->conn);
}

void
rpc_session_set_data(struct rpc_session *s, void *data)
{
	s->data = data;
}

void *
rpc_session_data(const struct rpc_session *s)
{
	return s->data;
}

bool
rpc_session_said_bye(const struct rpc_session *s)
{
	return s->said_bye;
}

void
rpc_session_close(struct rpc_session *s, const char *reason)
{
	if (s->conn != NULL)
		conn_close(s->conn, reason);
}
