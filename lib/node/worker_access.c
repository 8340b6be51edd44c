/* Who may do what to a worker (flow rule 22), and a log of refusals. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/node/worker_int.h"

static const struct allow_row rows[] = {
	{ Wrk_WorkRequested, WORKER_CLIENT },
	{ Wrk_CancelWork, WORKER_CLIENT },
	{ Wrk_LeaseEnding, WORKER_SUPER },
	{ Wrk_Healthcheck, WORKER_SUPER },
};

const struct allow_list worker_allow = {
	.row = rows,
	.n_rows = NODE_LEN(rows),
	.n_base = Wrk__COUNT,
	.own_roles = WORKER_CLIENT,
};

/* Logs, rate-limited, that a client was refused. */
static void
tell(struct am_worker *w, const struct rpc_session *s, const char *what)
{
	const struct conn_peer *peer = rpc_session_peer(s);
	char line[AM_ERROR_MAX + 256];
	char more[RATE_TEXT_MAX];

	if (w->conf.on_denied == NULL || !rate_line(&w->denied, more))
		return;
	(void)snprintf(line, sizeof(line),
	    "denied client=%" PRIu64
	    " peer=%s uid=%d pid=%d subject=\"%.128s\": %.500s%s",
	    rpc_session_client_id(s),
	    peer->address[0] != '\0' ? peer->address : "unix", (int)peer->uid,
	    (int)peer->pid, peer->subject != NULL ? peer->subject : "", what,
	    more);
	w->conf.on_denied(w, line, w->conf.arg);
}

void
worker_rejected(struct rpc_session *s, const char *why, void *arg)
{
	tell(arg, s, why);
}

size_t
worker_keep(struct rpc_session *s, am_id *states, size_t n, void *arg)
{
	const struct am_worker *w = arg;

	(void)s;
	return allow_keep(&worker_allow, w->machine, states, n);
}

int
worker_may(struct rpc_session *s, enum am_op op, const am_id *states, size_t n,
    struct am_error *err, void *arg)
{
	struct am_worker *w = arg;
	unsigned role = rpc_session_listener(s) == w->private_listener
	    ? WORKER_SUPER
	    : WORKER_CLIENT;

	if (allow_check(&worker_allow, role, w->machine, op, states, n, err))
		return 0;
	tell(w, s, err->text);
	return ARPC_E_not_permitted;
}
