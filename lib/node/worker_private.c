/* The private side of a worker: the connection to the supervisor, and what it
 * is told. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/node/worker_int.h"

enum {
	/* A new supervisor may connect before the end of the old one is
	 * seen. */
	PRIVATE_SESSIONS = 4,
};

/* ---- SuperSendPayload {name, ...} ---- */

void
worker_report(struct am_worker *w, const char *code, const char *message,
    bool stuck)
{
	const am_id state = Wrk_SuperSendPayload;
	struct am_buf args = AM_BUF_INIT;
	char text[ARPC_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%s", message);
	if (stuck) {
		w->stuck = true;
		(void)snprintf(w->stuck_code, sizeof(w->stuck_code), "%s",
		    code);
		(void)snprintf(w->stuck_message, sizeof(w->stuck_message), "%s",
		    message);
	}
	am_put_map(&args, 4);
	node_put_str(&args, "name", "Error");
	node_put_text(&args, "err", code);
	node_put_text(&args, "message", text);
	am_put_str(&args, "stuck");
	am_put_bool(&args, stuck);
	due_pulse(&w->due, &state, 1, 1, am_buf_val(&args));
	am_buf_done(&args);
}

int
am_worker_stuck(struct am_worker *w, const char *code, const char *message)
{
	worker_report(w, code, message, true);
	return 0;
}

/* For a supervisor that connects during a lease, so that it can adopt it. The
 * token is in the payload only, never in args. */
static void
report_lease(struct am_worker *w)
{
	const am_id state = Wrk_SuperSendPayload;
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 2);
	node_put_str(&args, "name", "Lease");
	node_put_str(&args, "lease", w->lease.id);
	due_pulse(&w->due, &state, 1, 1, am_buf_val(&args));
	am_buf_done(&args);
}

static void
put_lease(const struct am_worker *w, struct am_buf *b)
{
	const struct worker_lease *l = &w->lease;

	am_put_map(b, 6);
	node_put_str(b, "lease", l->id);
	node_put_str(b, "client", l->client);
	am_put_str(b, "token");
	am_put_bin(b, l->token, sizeof(l->token));
	node_put_int(b, "ttl_ms", l->ttl_ms);
	node_put_int(b, "max_ms", l->max_ms);
	node_put_int(b, "age_ms", (clock_ns() - l->begun_ns) / NS_PER_MS);
}

bool
super_send_payload_self(struct am_event *ev)
{
	if (ev->op != AM_REMOVE &&
	    node_has(ev->called, ev->n_called, Wrk_SuperSendPayload))
		return am_refuse(ev, "a payload is being sent");
	return true;
}

void
super_send_payload_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;
	struct rpc_session *s = NULL;
	struct am_buf lease = AM_BUF_INIT;
	struct am_val data = ev->args;
	char name[64];

	node_get_text(ev->args, "name", name, sizeof(name));
	if (strcmp(name, "Lease") == 0) {
		put_lease(w, &lease);
		data = am_buf_val(&lease);
	}
	/* What the supervisor cannot take would cost its connection. */
	if (am_val_check(data, ARPC_FRAME_SMALL) < 0)
		data = AM_NONE;
	while ((s = rpc_server_next(w->server, s)) != NULL) {
		if (rpc_session_listener(s) == w->private_listener)
			(void)rpc_session_payload(s, 0, 0, ARPC_P_EVENT, name,
			    data);
	}
	if (lease.data != NULL)
		node_wipe(lease.data, lease.len);
	am_buf_done(&lease);
}

/* ---- the connection ---- */

static int
on_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	const struct conn_peer *peer = rpc_session_peer(s);

	(void)h;
	(void)arg;
	if (peer->uid == 0 || peer->uid == geteuid())
		return 0;
	return node_error(err, ARPC_E_not_permitted,
	    "uid %d may not supervise this worker", (int)peer->uid);
}

static void
on_up(struct rpc_session *s, void *arg)
{
	struct am_worker *w = arg;

	rpc_session_set_data(s, w);
	w->n_supers++;
	if (w->n_supers == 1)
		(void)am_add1(w->machine, Wrk_SuperConnected, AM_NONE);
	if (w->lease.id[0] != '\0')
		report_lease(w);
	if (w->stuck)
		worker_report(w, w->stuck_code, w->stuck_message, true);
}

static void
on_closed(struct rpc_session *s, const char *why, void *arg)
{
	struct am_worker *w = arg;

	(void)why;
	if (rpc_session_data(s) == NULL)
		return;
	rpc_session_set_data(s, NULL);
	w->n_supers--;
	if (w->n_supers == 0)
		(void)am_remove1(w->machine, Wrk_SuperConnected, AM_NONE);
}

static uint64_t
on_last_seq(struct rpc_session *s, void *arg)
{
	const struct am_worker *w = arg;

	(void)s;
	return w->outbox.last_seq;
}

const struct rpc_policy worker_private_policy = {
	.hello = on_hello,
	.up = on_up,
	.may = worker_may,
	.frame_max = ARPC_FRAME_SMALL,
	.info = worker_info,
	.lease_begin = lease_begin,
	.last_seq = on_last_seq,
	.rejected = worker_rejected,
	.closed = on_closed,
	.max_sessions = PRIVATE_SESSIONS,
};
