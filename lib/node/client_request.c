/* Requests of a client: each ends exactly once, whatever happens to the worker
 * or the connection. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/node/client_int.h"
#include "proto/worker.h"

enum {
	/* How long to wait for a result after the deadline; the hard deadline
	 * of the worker is within that. */
	GUARD_MS = 2000,
};

/* ---- the table ---- */

static struct pending_list *
bucket_of(struct am_client *c, uint32_t id)
{
	return &c->pending[id % CLIENT_BUCKETS];
}

static struct pending *
pending_by_id(struct am_client *c, uint32_t id)
{
	struct pending *p;

	LIST_FOREACH(p, bucket_of(c, id), link) {
		if (p->id == id)
			return p;
	}
	return NULL;
}

bool
request_is_open(struct netmach *nm, uint32_t id, void *arg)
{
	(void)nm;
	return pending_by_id(arg, id) != NULL;
}

static struct pending *
pending_by_req(struct am_client *c, uint64_t req)
{
	struct pending *p;

	for (size_t i = 0; i < CLIENT_BUCKETS; i++) {
		LIST_FOREACH(p, &c->pending[i], link) {
			if (p->req == req)
				return p;
		}
	}
	return NULL;
}

static uint64_t
pending_take(struct am_client *c, struct pending *p)
{
	uint64_t req = p->req;

	LIST_REMOVE(p, link);
	c->n_pending--;
	free(p);
	return req;
}

/* ---- ends ---- */

static void
tell(struct am_client *c, const struct am_payload *p)
{
	if (c->conf.on_payload != NULL)
		c->conf.on_payload(c, p, c->conf.arg);
}

/* Ends a request without a payload from the worker. */
static void
end_here(struct am_client *c, uint64_t req, enum am_status status,
    const char *code, const char *message)
{
	const struct am_payload end = {
		.req = req,
		.kind = AM_PAYLOAD_RESULT,
		.name = code,
		.source = am_machine_id(c->machine),
		.data = AM_NONE,
		.status = status,
		.code = code,
		.message = message,
	};

	tell(c, &end);
}

void
requests_lost(struct am_client *c, const char *code, const char *reason)
{
	char text[ARPC_TEXT_MAX];
	struct pending *p;
	uint64_t req;

	(void)snprintf(text, sizeof(text), "%s", reason);
	/* Collect all of them first: new requests made by the callbacks belong
	 * to the next connection. */
	for (size_t i = 0; i < CLIENT_BUCKETS; i++) {
		while ((p = LIST_FIRST(&c->pending[i])) != NULL) {
			LIST_REMOVE(p, link);
			LIST_INSERT_HEAD(&c->lost, p, link);
			c->n_pending--;
		}
	}
	while ((p = LIST_FIRST(&c->lost)) != NULL) {
		req = p->req;
		LIST_REMOVE(p, link);
		free(p);
		end_here(c, req, AM_STATUS_UNKNOWN, code, text);
	}
}

/* ---- guard: the worker or the connection may never answer ---- */

static void
watch_guard(struct am_client *c, int64_t deadline_ns)
{
	struct am_timer *t = &c->guard_timer;
	int64_t left;

	if (deadline_ns == 0 ||
	    (t->deadline_ns != 0 && t->deadline_ns <= deadline_ns))
		return;
	left = (deadline_ns - clock_ns() + NS_PER_MS - 1) / NS_PER_MS;
	(void)am_timer_start(t, left > 0 ? left : 0);
}

static struct pending *
find_expired(struct am_client *c, int64_t now, int64_t *ret_next)
{
	struct pending *p;

	*ret_next = 0;
	for (size_t i = 0; i < CLIENT_BUCKETS; i++) {
		LIST_FOREACH(p, &c->pending[i], link) {
			if (p->deadline_ns == 0)
				continue;
			if (p->deadline_ns <= now)
				return p;
			if (*ret_next == 0 || p->deadline_ns < *ret_next)
				*ret_next = p->deadline_ns;
		}
	}
	return NULL;
}

void
requests_on_guard(void *arg)
{
	struct am_client *c = arg;
	int64_t now = clock_ns();
	struct pending *p;
	int64_t next;
	bool connected;

	while ((p = find_expired(c, now, &next)) != NULL) {
		connected = am_is1(c->machine, Cli_WorkerReady);
		(void)am_client_cancel(c, p->req);
		if (connected)
			end_here(c, pending_take(c, p), AM_STATUS_TIMEOUT,
			    AM_CODE_TIMEOUT,
			    "the worker did not answer in time");
		else
			end_here(c, pending_take(c, p), AM_STATUS_UNKNOWN,
			    AM_CODE_UNKNOWN,
			    "the connection was lost and not restored in "
			    "time");
	}
	watch_guard(c, next);
}

/* ---- asking ---- */

/* Its deadline has passed. */
static bool
is_over(const struct pending *p)
{
	return p->deadline_ns != 0 &&
	    p->deadline_ns - GUARD_MS * NS_PER_MS <= clock_ns();
}

static void
on_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct am_client *c = arg;
	struct pending *p = pending_by_id(c, id);

	(void)nm;
	/* The result may arrive before the response to the mutation. */
	if (p == NULL)
		return;
	switch (r->status) {
	case NETMACH_OK:
		if (r->result != AM_CANCELED)
			return;
		if (is_over(p))
			end_here(c, pending_take(c, p), AM_STATUS_TIMEOUT,
			    AM_CODE_TIMEOUT, r->why);
		else
			end_here(c, pending_take(c, p), AM_STATUS_REFUSED,
			    AM_CODE_REFUSED, r->why);
		return;
	case NETMACH_ERROR:
		end_here(c, pending_take(c, p), AM_STATUS_REFUSED,
		    arpc_error_name(r->error), r->text);
		return;
	case NETMACH_LOST:
		end_here(c, pending_take(c, p), AM_STATUS_UNKNOWN,
		    AM_CODE_UNKNOWN, r->text);
		return;
	case NETMACH_NOT_SENT:
		end_here(c, pending_take(c, p), AM_STATUS_TIMEOUT,
		    AM_CODE_TIMEOUT, r->text);
		return;
	}
}

unsigned
am_client_window(const struct am_client *c)
{
	return c->worker != NULL ? netmach_window(c->worker) : 0;
}

int
am_client_request(struct am_client *c, struct am_val args, int64_t timeout_ms,
    uint64_t *ret_req)
{
	const am_id state = Wrk_WorkRequested;
	struct pending *p;
	unsigned window;
	int id;

	if (client_lease(c) == NULL || am_is1(c->machine, Cli_Releasing))
		return -ENOLCK;
	if (!am_is1(c->machine, Cli_WorkerReady) || c->worker == NULL ||
	    netmach_phase(c->worker) != NETMACH_READY)
		return -ENOTCONN;
	window = am_client_window(c);
	if (window > 0 && c->n_pending >= window)
		return -EBUSY;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	id = netmach_mutate(c->worker, AM_ADD, &state, 1, args,
	    timeout_ms >= 0 ? timeout_ms : -1, on_reply, c);
	if (id < 0) {
		free(p);
		return id == -ENOBUFS ? -EBUSY : id;
	}
	p->id = (uint32_t)id;
	p->req = ++c->last_req;
	if (timeout_ms >= 0)
		p->deadline_ns = clock_ns() + node_ns(timeout_ms) +
		    GUARD_MS * NS_PER_MS;
	LIST_INSERT_HEAD(bucket_of(c, p->id), p, link);
	c->n_pending++;
	watch_guard(c, p->deadline_ns);
	if (ret_req != NULL)
		*ret_req = p->req;
	return 0;
}

/* The mutation is kept until it is answered, so it outlives the connection. Its
 * outcome shows in how the request ends. */
static void
on_cancel_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	(void)nm;
	(void)id;
	(void)r;
	(void)arg;
}

int
am_client_cancel(struct am_client *c, uint64_t req)
{
	const struct pending *p = pending_by_req(c, req);
	const am_id state = Wrk_CancelWork;
	struct am_buf args = AM_BUF_INIT;
	int r = -ENOTCONN;

	if (p == NULL)
		return -ENOENT;
	am_put_map(&args, 2);
	node_put_uint(&args, "req", p->id);
	node_put_str(&args, "reason", "client");
	if (c->worker != NULL)
		r = netmach_mutate(c->worker, AM_ADD, &state, 1,
		    am_buf_val(&args), -1, on_cancel_reply, NULL);
	am_buf_done(&args);
	if (r == -ENOBUFS)
		return -EBUSY;
	return r < 0 ? r : 0;
}

/* ---- payloads ---- */

static_assert((int)AM_PAYLOAD_EVENT == (int)ARPC_P_EVENT, "as on the wire");

const char *
am_payload_kind_name(enum am_payload_kind k)
{
	return arpc_payload_kind_name((enum arpc_payload_kind)k);
}

const char *
am_status_name(enum am_status s)
{
	static const char *const names[] = {
		[AM_STATUS_OK] = "ok",
		[AM_STATUS_FAILED] = "failed",
		[AM_STATUS_REFUSED] = "refused",
		[AM_STATUS_TIMEOUT] = "timeout",
		[AM_STATUS_UNKNOWN] = "unknown",
		[AM_STATUS_CANCELED] = "canceled",
	};

	return names[s];
}

static enum am_status
status_of(const char *name)
{
	static const struct {
		const char *name;
		enum am_status status;
	} ends[] = {
		{ "result", AM_STATUS_OK },
		{ "ErrWork", AM_STATUS_FAILED },
		{ "ErrWorkTimeout", AM_STATUS_TIMEOUT },
		{ "refused", AM_STATUS_REFUSED },
		{ "canceled", AM_STATUS_CANCELED },
	};

	for (size_t i = 0; i < NODE_LEN(ends); i++) {
		if (strcmp(name, ends[i].name) == 0)
			return ends[i].status;
	}
	return AM_STATUS_FAILED;
}

static void
pulse_payload(struct am_client *c, const struct arpc_payload *p,
    const char *name)
{
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 3);
	node_put_uint(&args, "req", p->req);
	node_put_str(&args, "name", name);
	am_put_str(&args, "final");
	am_put_bool(&args, p->kind == ARPC_P_RESULT);
	(void)due_add1(&c->due, Cli_ServerPayload, am_buf_val(&args));
	am_buf_done(&args);
}

void
request_on_payload(struct netmach *nm, const struct arpc_payload *p, void *arg)
{
	struct am_client *c = arg;
	char name[EVENT_NAME_MAX + 1], source[64];
	char code[64] = "", message[ARPC_TEXT_MAX] = "";
	struct am_payload out = {
		.seq = p->seq,
		.kind = (enum am_payload_kind)p->kind,
		.name = name,
		.source = source,
		.data = p->data,
	};
	struct pending *q = p->req != 0 ? pending_by_id(c, p->req) : NULL;

	backoff_reset(&c->worker_backoff, 0);
	/* Before the call: what it asks for finds room in the outbox. */
	if (c->worker == nm && p->seq != 0)
		netmach_ack(nm, p->seq);
	/* A request that was given up here is only acked. */
	if (q != NULL || p->req == 0) {
		node_text(p->name, name, sizeof(name));
		node_text(p->source, source, sizeof(source));
		pulse_payload(c, p, name);
		out.req = q != NULL ? q->req : 0;
		if (q != NULL && p->kind == ARPC_P_RESULT)
			(void)pending_take(c, q);
		if (p->kind == ARPC_P_RESULT)
			out.status = status_of(name);
		if (out.status != AM_STATUS_OK) {
			node_get_text(p->data, "code", code, sizeof(code));
			node_get_text(p->data, "message", message,
			    sizeof(message));
			out.code = code;
			out.message = message;
		}
		tell(c, &out);
	}
}
