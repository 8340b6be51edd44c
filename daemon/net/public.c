/* The public socket: who may come in, and what they may do (flows.md rule 22). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/config_check.h"
#include "daemon/events.h"
#include "daemon/config/ids.h"
#include "daemon/world.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/rpc/addr.h"
#include "lib/rpc/allow.h"
#include "lib/rpc/addr_resolve.h"
#include "lib/rpc/server.h"

enum {
	SESSIONS_MAX = 1024,
	/* One user leaves some to the others, the administrators above all. */
	USER_SESSIONS_MAX = SESSIONS_MAX / 4 * 3,
	/* Each connected one, and as many that were cut: 1 KiB each. */
	REMEMBERED_MAX = 2 * SESSIONS_MAX,
};

enum { ALL = ACCESS_CLIENT | ACCESS_ADMIN };

static const struct allow_row rows[] = {
	{ Sup_LeaseRequested, ALL },
	{ Sup_ProvideWorker, ALL },
	{ Sup_ReleaseWorker, ALL },
	{ Sup_WorkerIssues, ALL },
	{ Sup_ListWorkers, ALL },
	{ Sup_KillWorker, ACCESS_ADMIN },
};

const struct allow_list access_allowed = {
	.row = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.n_base = Sup__COUNT,
};

/* ---- the policy ---- */

/* Over TCP there is no user to look at. */
static bool
may_connect(const struct config *conf, const struct rpc_session *ss,
    const struct client *c)
{
	if (c->admin || c->uid == (uid_t)-1)
		return true;
	return !access_has_list(conf) || ids_have(&conf->allow_user, c->uid) ||
	    rpc_session_peer_in(ss, conf->allow_group.id, conf->allow_group.n);
}

static int
on_hello(struct rpc_session *ss, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	const struct conn_peer *peer = rpc_session_peer(ss);
	const struct world *w = arg;
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)snprintf(err->text, sizeof(err->text), "no memory");
		return ARPC_E_internal;
	}
	c->id = rpc_session_id(ss);
	c->uid = peer->uid;
	c->pid = peer->pid;
	c->is_far = !rpc_session_is_local(ss);
	c->admin = peer->uid == 0 || peer->uid == geteuid() ||
	    security_is_admin(w->config, peer);
	if (!may_connect(w->config, ss, c)) {
		(void)snprintf(err->text, sizeof(err->text),
		    "user %u is in neither AllowUser nor AllowGroup",
		    (unsigned)c->uid);
		free(c);
		return ARPC_E_not_permitted;
	}
	(void)snprintf(c->subject, sizeof(c->subject), "%s",
	    peer->subject != NULL ? peer->subject : "");
	c->session = ss;
	/* A token is proof for this lease only; an old one makes no difference,
	 * so that its holder can still ask what became of the lease. */
	c->has_token = h->has_token;
	memcpy(c->token, h->token, sizeof(c->token));
	(void)snprintf(c->name, sizeof(c->name), "%s", h->name);
	rpc_session_set_data(ss, c);
	return 0;
}

static void
on_up(struct rpc_session *ss, void *arg)
{
	struct world *w = arg;
	struct client *c = rpc_session_data(ss);
	char name[80];

	log_debug("client: connected client=c%" PRIu64 " uid=%d name=%s", c->id,
	    (int)c->uid,
	    log_quote(name, sizeof(name), c->name, strlen(c->name)));
	if (event_client_connected(w->super, c) < 0)
		rpc_session_close(ss, "internal: no memory");
}

/* It has not come in: who it was, and why. */
static void
on_rejected(struct rpc_session *ss, const char *why, void *arg)
{
	const struct conn_peer *peer = rpc_session_peer(ss);
	const char *subject = peer->subject != NULL ? peer->subject : "";
	const struct world *w = arg;
	char who[200], text[400], more[RATE_TEXT_MAX];

	if (!rate_line(&w->super->denied, more))
		return;
	log_warn("client: refused client=c%" PRIu64
		 " peer=%s uid=%d pid=%d subject=%s why=%s%s",
	    rpc_session_id(ss),
	    peer->address[0] != '\0' ? peer->address : "unix", (int)peer->uid,
	    (int)peer->pid,
	    log_quote(who, sizeof(who), subject, strlen(subject)),
	    log_quote(text, sizeof(text), why, strlen(why)), more);
}

static void
on_closed(struct rpc_session *ss, const char *why, void *arg)
{
	struct world *w = arg;
	struct client *c = rpc_session_data(ss);

	if (c == NULL)
		return;
	rpc_session_set_data(ss, NULL);
	log_debug("client: gone client=c%" PRIu64 ": %s", c->id, why);
	if (client_find(&w->super->model, c->id) == c)
		event_client_gone(w->super, c);
	explicit_bzero(c->token, sizeof(c->token));
	free(c);
}

static bool
asks_for_worker(const am_id *states, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (states[i] == Sup_LeaseRequested ||
		    states[i] == Sup_ProvideWorker)
			return true;
	}
	return false;
}

static int
on_may(struct rpc_session *ss, enum am_op op, const am_id *states, size_t n,
    struct am_error *err, void *arg)
{
	const struct client *c = rpc_session_data(ss);
	const struct world *w = arg;

	if (!allow_check(&access_allowed,
		c->admin ? ACCESS_ADMIN : ACCESS_CLIENT, w->super->machine, op,
		states, n, err)) {
		super_denied(w->super, c, err->text);
		return ARPC_E_not_permitted;
	}
	/* A relation would refuse this, without a code. */
	if (op == AM_ADD && asks_for_worker(states, n) &&
	    (super_is(w->super, Sup_Draining) ||
		!super_is(w->super, Sup_Start))) {
		(void)snprintf(err->text, sizeof(err->text),
		    "the supervisor is stopping");
		return ARPC_E_draining;
	}
	return 0;
}

static int
on_info(struct rpc_session *ss, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err, void *arg)
{
	const struct world *w = arg;

	(void)ss;
	return info_get(w->super, topic, params, out, err);
}

static const struct rpc_policy policy = {
	.hello = on_hello,
	.up = on_up,
	.may = on_may,
	.info = on_info,
	.rejected = on_rejected,
	.closed = on_closed,
	.max_sessions = SESSIONS_MAX,
	.max_of_user = USER_SESSIONS_MAX,
	.max_remembered = REMEMBERED_MAX,
	.frame_max = ARPC_FRAME_SMALL,
};

/* ---- the socket ---- */

bool
access_has_list(const struct config *c)
{
	return c->allow_user.n > 0 || c->allow_group.n > 0;
}

mode_t
access_mode(const struct config *c)
{
	return access_has_list(c) ? 0666 : 0660;
}

/* Removes a socket that nobody serves. */
static int
clear_path(const char *path, struct am_error *err)
{
	switch (runtime_try(path)) {
	case RUNTIME_SOCKET_NONE:
		return 0;
	case RUNTIME_SOCKET_STALE:
		(void)unlink(path);
		return 0;
	case RUNTIME_SOCKET_LIVE:
		(void)snprintf(err->text, sizeof(err->text),
		    "%s is served by another process: stop it, or choose "
		    "another path with Supervisor.Listen",
		    path);
		return -EADDRINUSE;
	case RUNTIME_SOCKET_OTHER:
		break;
	}
	(void)snprintf(err->text, sizeof(err->text),
	    "%s exists and is no socket: choose another path with "
	    "Supervisor.Listen",
	    path);
	return -EADDRINUSE;
}

/* Listen=HOST:PORT: the number of a name, and what clients may be told. Blocks,
 * at start only. */
static int
find_tcp(struct world *w, const char *text, struct addr *a,
    struct am_error *err)
{
	struct addr found[RESOLVE_MAX];
	struct am_error why;

	if (addr_is_name(a)) {
		if (resolve_now(a, found, err) < 0)
			return -EHOSTUNREACH;
		*a = found[0];
	}
	if (config_check_listen(a, w->security->tls != NULL, &why) < 0)
		return error_set(err, "Supervisor.Listen \"%.200s\" %s", text,
		    why.text);
	w->tcp = *a;
	addr_set_port(&w->tcp, 0);
	(void)snprintf(w->tcp_host, sizeof(w->tcp_host),
	    strchr(a->host, ':') != NULL ? "[%s]" : "%s", a->host);
	return 0;
}

int
access_bind(struct world *w, struct am_error *err)
{
	char path[RUNTIME_PATH_MAX];
	const char *text = w->config->listen;
	struct addr a;

	if (text[0] == '\0') {
		if (runtime_path(w->runtime, "sock", path, sizeof(path)) < 0)
			return -ENAMETOOLONG;
		text = path;
	}
	if (addr_parse_tls(text, &a, err) < 0)
		return -EINVAL;
	if (a.sa.ss_family == AF_UNIX) {
		/* The lock of the runtime directory is ours: what lies in it is
		 * of a dead one. Elsewhere this is not known. */
		if (clear_path(text, err) < 0)
			return -EADDRINUSE;
	} else if (find_tcp(w, text, &a, err) < 0) {
		return -EINVAL;
	}
	w->listen_fd = addr_listen(&a, access_mode(w->config));
	if (w->listen_fd < 0) {
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot listen on %s: %s", text, strerror(-w->listen_fd));
		return w->listen_fd;
	}
	if (a.sa.ss_family == AF_UNIX)
		(void)snprintf(w->listen_path, sizeof(w->listen_path), "%s",
		    text);
	return 0;
}

int
access_listen(struct super *s, struct am_error *err)
{
	struct world *w = s->world;
	bool tls = w->tcp_host[0] != '\0' && w->security->tls != NULL;
	int r = rpc_server_listen(w->server, am_steal_fd(&w->listen_fd),
	    &policy, w);

	if (r < 0) {
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot accept clients: %s", strerror(-r));
		return r;
	}
	if (tls)
		rpc_server_set_tls(w->server, r, w->security->tls);
	log_info("amnoded: listening address=%s instance=%s kind=%s%s",
	    w->listen_path[0] != '\0' ? w->listen_path : s->config->listen,
	    w->instance, s->config->kind, tls ? " tls=1.3" : "");
	return 0;
}

int
access_tell(struct super *s, struct client *c, uint32_t req, const char *name,
    struct am_val data)
{
	(void)s;
	return rpc_session_payload(c->session, 0, req, ARPC_P_EVENT, name,
	    data);
}

struct client *
access_client(struct super *s, const void *source, uint32_t *ret_id)
{
	const struct rpc_source *src = source;

	(void)s;
	if (src == NULL)
		return NULL;
	*ret_id = src->id;
	return rpc_session_data(src->session);
}

void
access_refuse(struct super *s, const void *source, enum arpc_error e,
    const char *text)
{
	(void)s;
	rpc_source_refuse(source, e, text);
}
