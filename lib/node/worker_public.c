/* The public side of a worker: which clients may connect, and what they may do
 * (flow rules 9, 20, 22). */
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/secret.h"
#include "lib/node/worker_int.h"
#include "proto/mp.h"

enum {
	INFO_BYTES = 256 * 1024, /* of one answer; the client asks again */
};

/* ---- ClientSendPayload {req, seq, name, final} ---- */

static struct outbox_entry *
entry_of(const struct am_worker *w, const struct am_event *ev)
{
	int64_t seq;

	if (am_get_int(ev->args, "seq", &seq) < 0)
		return NULL;
	return outbox_find(&w->outbox, (uint64_t)seq);
}

bool
client_send_payload_enter(struct am_event *ev)
{
	if (entry_of(ev->arg, ev) == NULL)
		return am_refuse(ev,
		    "no such payload: use am_worker_answer() or "
		    "am_worker_event()");
	return true;
}

bool
client_send_payload_self(struct am_event *ev)
{
	if (ev->op != AM_REMOVE &&
	    node_has(ev->called, ev->n_called, Wrk_ClientSendPayload))
		return am_refuse(ev, "a payload is being sent");
	return true;
}

void
outbox_has_shrunk(struct am_worker *w)
{
	if (!w->wants_room || !outbox_has_room(&w->outbox, 0))
		return;
	w->wants_room = false;
	if (w->conf.on_room != NULL)
		w->conf.on_room(w, w->conf.arg);
}

/* ---- connections ---- */

/* Whether it may connect while the lease ends: only to fetch what it asked
 * for. */
static bool
is_awaited(const struct am_worker *w, uint64_t client_id)
{
	return !w->lease.closing && w->outbox.n_awaited > 0 &&
	    lease_client_is_known(w, client_id);
}

static int
on_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	const struct am_worker *w = arg;

	(void)s;
	if (w->lease.id[0] != '\0' && am_is1(w->machine, Wrk_Leased) &&
	    (!am_is1(w->machine, Wrk_LeaseEnding) ||
		is_awaited(w, h->client_id)) &&
	    h->has_token &&
	    secret_equal(h->token, w->lease.token, sizeof(h->token)))
		return 0;
	/* The same answer to all, which reveals nothing about the lease. */
	return node_error(err, ARPC_E_bad_token,
	    "not the token of a lease of this worker: it is over, or was never "
	    "granted");
}

static void
on_up(struct rpc_session *s, void *arg)
{
	struct am_worker *w = arg;
	struct lease_client *c;
	struct am_buf args = AM_BUF_INIT;

	/* This happens only if something changed while hello was answered. */
	c = w->lease.closing ? NULL : lease_client_up(w, s);
	if (c == NULL) {
		rpc_session_close(s,
		    w->lease.closing ? w->lease.end_reason
				     : "busy: too many connections");
		return;
	}
	rpc_session_set_data(s, c);
	if (w->n_sessions == 1) {
		am_put_map(&args, 1);
		node_put_str(&args, "client", rpc_session_name(s));
		(void)am_add1(w->machine, Wrk_ClientConnected,
		    am_buf_val(&args));
		am_buf_done(&args);
	} else {
		lease_watch(w);
	}
	if (c->session == s)
		lease_client_catch_up(c);
}

static void
on_closed(struct rpc_session *s, const char *why, void *arg)
{
	struct am_worker *w = arg;
	struct lease_client *c = rpc_session_data(s);

	(void)why;
	if (c == NULL || c->session != s)
		return;
	lease_client_down(c);
	/* A client that says bye does not come back. */
	if (rpc_session_said_bye(s) || w->lease.closing)
		lease_client_forget(c);
	if (w->n_sessions == 0)
		(void)am_remove1(w->machine, Wrk_ClientConnected, AM_NONE);
	lease_awaits_less(w);
	lease_finish(w);
}

/* ---- the policy ---- */

static void
on_ack(struct rpc_session *s, const uint64_t *seqs, size_t n, void *arg)
{
	struct am_worker *w = arg;
	struct lease_client *c = rpc_session_data(s);

	if (c == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		payload_acked(w, c, seqs[i]);
	outbox_has_shrunk(w);
	lease_awaits_less(w);
}

static struct am_val
on_data_of(struct rpc_session *s, uint64_t seq, void *arg)
{
	const struct am_worker *w = arg;
	const struct outbox_entry *e = outbox_find(&w->outbox, seq);

	(void)s;
	return e != NULL ? e->data : AM_NONE;
}

static uint64_t
on_last_seq(struct rpc_session *s, void *arg)
{
	const struct am_worker *w = arg;

	(void)s;
	return w->outbox.last_seq;
}

static unsigned
on_window(struct rpc_session *s, void *arg)
{
	const struct am_worker *w = arg;

	(void)s;
	return w->requests.window;
}

/* ---- info ---- */

static const char *
state_word(const struct am_worker *w)
{
	if (w->stuck)
		return "stuck";
	if (am_is1(w->machine, Wrk_LeaseEnding))
		return "ending";
	if (am_is1(w->machine, Wrk_Working))
		return "working";
	if (am_is1(w->machine, Wrk_Leased))
		return "leased";
	return am_is1(w->machine, Wrk_Ready) ? "idle" : "starting";
}

static void
info_status(const struct am_worker *w, struct am_buf *out)
{
	am_put_map(out, 9);
	node_put_str(out, "worker", am_machine_id(w->machine));
	node_put_str(out, "kind", w->env.kind);
	node_put_str(out, "address", w->env.address);
	node_put_str(out, "state", state_word(w));
	node_put_str(out, "lease", w->lease.id[0] != '\0' ? w->lease.id : NULL);
	node_put_uint(out, "requests", w->requests.n_taken);
	node_put_uint(out, "open", w->requests.n_open);
	node_put_uint(out, "window", w->requests.window);
	node_put_uint(out, "outbox", w->outbox.len);
}

static void
info_payload(const struct am_worker *w, const struct outbox_entry *e,
    struct am_buf *out)
{
	am_put_array(out, 6);
	am_put_uint(out, e->seq);
	am_put_uint(out, e->req);
	am_put_str(out, arpc_payload_kind_name(e->kind));
	am_put_str(out, e->name);
	am_put_str(out, am_machine_id(w->machine));
	am_put_val(out, e->data);
}

/* Larger payloads are sent in parts only. */
static bool
fits_frame(const struct outbox_entry *e)
{
	return e->data.len <= ARPC_FRAME_MAX - OUTBOX_FRAME;
}

/* As many as fit, the oldest first, but at least one. */
static int
info_payloads(const struct am_worker *w, struct am_val params,
    struct am_buf *out, struct am_error *err)
{
	struct mp c = mp_of(params);
	const struct outbox_entry *first;
	const struct outbox_entry *e;
	uint64_t since = 0;
	size_t bytes = 0, n = 0;
	uint32_t n_params = 0;

	if (params.len > 0 &&
	    (mp_get_array(&c, &n_params) < 0 ||
		(n_params > 0 && mp_get_uint(&c, UINT64_MAX, &since) < 0)))
		return node_error(err, ARPC_E_bad_params,
		    "payloads: expected the number of the last one seen");
	first = outbox_after(&w->outbox, since);
	for (e = first; e != NULL; e = TAILQ_NEXT(e, link)) {
		if (!fits_frame(e))
			continue;
		bytes += e->data.len + OUTBOX_FRAME;
		if (n > 0 && bytes > INFO_BYTES)
			break;
		n++;
	}
	am_put_array(out, n);
	for (e = first; n > 0; e = TAILQ_NEXT(e, link)) {
		if (!fits_frame(e))
			continue;
		info_payload(w, e, out);
		n--;
	}
	return 0;
}

/* The requests of this client that are known here: open, or answered and not
 * acked. After a lost connection, others never arrived. */
static void
info_open(const struct am_worker *w, uint64_t client_id, struct am_buf *out)
{
	am_cleanup(am_buf_done) struct am_buf ids = AM_BUF_INIT;
	const struct requests *r = &w->requests;
	const struct outbox_entry *e;
	size_t n = 0;

	for (unsigned i = 0; i < r->window; i++) {
		if (r->slot[i].handle == 0 || r->slot[i].client_id != client_id)
			continue;
		am_put_uint(&ids, r->slot[i].id);
		n++;
	}
	/* Only once: the outbox may be long. */
	TAILQ_FOREACH(e, &w->outbox.entries, link) {
		if (e->kind != ARPC_P_RESULT || e->client_id != client_id)
			continue;
		am_put_uint(&ids, e->req);
		n++;
	}
	am_put_array(out, n);
	if (n > 0)
		am_put_val(out, am_buf_val(&ids));
}

int
worker_info(struct rpc_session *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err, void *arg)
{
	const struct am_worker *w = arg;

	if (strcmp(topic, "status") == 0)
		info_status(w, out);
	else if (strcmp(topic, "open") == 0)
		info_open(w, rpc_session_client_id(s), out);
	else if (strcmp(topic, "payloads") == 0)
		return info_payloads(w, params, out, err);
	else
		return node_error(err, ARPC_E_no_topic,
		    "a worker has the topics status, open, payloads");
	return 0;
}

const struct rpc_policy worker_public_policy = {
	.hello = on_hello,
	.up = on_up,
	.may = worker_may,
	.keep = worker_keep,
	.info = worker_info,
	.ack = on_ack,
	.data_of = on_data_of,
	.last_seq = on_last_seq,
	.window = on_window,
	.rejected = worker_rejected,
	.closed = on_closed,
	.max_sessions = WORKER_SESSIONS_MAX,
};
