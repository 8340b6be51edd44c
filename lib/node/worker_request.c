/* The request table: WorkRequested adds entries, and one function ends them
 * (flow rules 2 to 13). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/utf8.h"
#include "lib/node/worker_int.h"

enum { SLOT_BITS = 10 };
_Static_assert(WORKER_WINDOW_MAX <= 1 << SLOT_BITS, "handles name slots");

int
requests_init(struct requests *r, unsigned window)
{
	r->slot = calloc(window, sizeof(*r->slot));
	r->window = window;
	return r->slot != NULL ? 0 : -ENOMEM;
}

void
requests_done(struct requests *r)
{
	free(r->slot);
	r->slot = NULL;
	r->window = 0;
}

/* A handle is a count and the number of its slot, so none is used twice. */
static struct worker_request *
request_find(const struct requests *r, am_req handle)
{
	size_t i = handle & ((1 << SLOT_BITS) - 1);

	if (handle == 0 || i >= r->window || r->slot[i].handle != handle)
		return NULL;
	return &r->slot[i];
}

static struct worker_request *
request_add(struct requests *r)
{
	for (unsigned i = 0; i < r->window; i++) {
		if (r->slot[i].handle != 0)
			continue;
		r->last++;
		r->slot[i].handle = r->last << SLOT_BITS | i;
		r->n_open++;
		r->n_taken++;
		return &r->slot[i];
	}
	return NULL;
}

static void
request_drop(struct requests *r, struct worker_request *q)
{
	*q = (struct worker_request){ .handle = 0 };
	r->n_open--;
}

static struct worker_request *
request_of_client(const struct requests *r, uint64_t client_id, uint32_t id)
{
	for (unsigned i = 0; i < r->window; i++) {
		struct worker_request *q = &r->slot[i];

		if (q->handle != 0 && q->client_id == client_id && q->id == id)
			return q;
	}
	return NULL;
}

/* ---- deadlines ---- */

static void
watch_deadline(struct am_worker *w, const struct worker_request *q)
{
	struct am_timer *t = &w->deadline_timer;
	int64_t left;

	if (q->deadline_ns == 0 ||
	    (t->deadline_ns != 0 && t->deadline_ns <= q->deadline_ns))
		return;
	left = (q->deadline_ns - clock_ns() + NS_PER_MS - 1) / NS_PER_MS;
	(void)am_timer_start(t, left > 0 ? left : 0);
}

/* How many ms the request may take: as its client says, else the worker's own
 * limit. -1: no limit, 0: its time is over. */
static int64_t
deadline_of(const struct am_worker *w, const struct am_event *ev)
{
	const struct rpc_source *src = ev->source;

	if (src != NULL && src->deadline_ms >= 0)
		return src->deadline_ms;
	return w->env.request_timeout_ms > 0 ? w->env.request_timeout_ms : -1;
}

/* ---- the end of a request ---- */

struct final {
	const char *name;
	struct am_val data;
	am_id error;  /* to pulse with Exception; 0: none */
	bool always;  /* even if the outbox is full */
	bool runs_on; /* the program did not stop: Working stays */
};

static void
pulse_error(struct am_worker *w, am_id error, uint32_t id)
{
	const am_id states[] = { error, Wrk_Exception };
	size_t n = node_error_held(w->machine, Wrk_ErrHandlerTimeout) ? 1 : 2;
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 1);
	node_put_uint(&args, "req", id);
	due_pulse(&w->due, states, n, n, am_buf_val(&args));
	am_buf_done(&args);
}

/* The payload has been sent already, and may be acked before this runs. */
static void
pulse_payload(struct am_worker *w, uint64_t seq, uint32_t id, const char *name,
    bool final)
{
	const am_id state = Wrk_ClientSendPayload;
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 4);
	node_put_uint(&args, "req", id);
	node_put_uint(&args, "seq", seq);
	node_put_str(&args, "name", name);
	am_put_str(&args, "final");
	am_put_bool(&args, final);
	due_pulse(&w->due, &state, 1, 1, am_buf_val(&args));
	am_buf_done(&args);
}

static int
check_payload(struct am_worker *w, struct am_val data, bool always)
{
	int r = am_val_check(data, ARPC_PAYLOAD_MAX);

	if (r < 0)
		return r;
	if (always || outbox_has_room(&w->outbox, data.len))
		return 0;
	lease_clients_forget_lost(w);
	if (outbox_has_room(&w->outbox, data.len))
		return 0;
	w->wants_room = true;
	return -EAGAIN;
}

static int
request_end(struct am_worker *w, am_req handle, const struct final *f)
{
	const am_id work_ready = Wrk_WorkReady;
	struct worker_request *q = request_find(&w->requests, handle);
	struct outbox_entry *e;
	uint64_t seq = 0;
	uint32_t id;
	int r;

	if (q == NULL)
		return -ENOENT;
	r = check_payload(w, f->data, f->always);
	if (r < 0)
		return r;
	e = outbox_put(&w->outbox, q->client_id, q->id, ARPC_P_RESULT, f->name,
	    f->data);
	if (e == NULL && !f->always)
		return -ENOMEM;
	id = q->id;
	request_drop(&w->requests, q);
	if (e != NULL) {
		seq = e->seq;
		payload_send(w, e);
	}
	if (f->error != 0)
		pulse_error(w, f->error, id);
	if (seq != 0)
		pulse_payload(w, seq, id, f->name, true);
	if (w->requests.n_open == 0 && !f->runs_on && !w->stuck)
		w->work_ready_due = !due_is_empty(&w->due) ||
		    am_pulse(w->machine, &work_ready, 1, AM_NONE) < 0;
	return 0;
}

static int
request_end_error(struct am_worker *w, am_req handle, struct final f,
    const char *code, const char *message)
{
	struct am_buf data = AM_BUF_INIT;
	int r;

	am_put_map(&data, 2);
	if (code == NULL || code[0] == '\0')
		code = AM_CODE_ERROR;
	node_put_text(&data, "code", code);
	node_put_text(&data, "message", message != NULL ? message : "");
	f.data = am_buf_val(&data);
	r = am_buf_error(&data);
	if (r == 0)
		r = request_end(w, handle, &f);
	am_buf_done(&data);
	return r;
}

int
am_worker_answer(struct am_worker *w, am_req req, struct am_val data)
{
	return request_end(w, req,
	    &(struct final){ .name = "result", .data = data });
}

int
am_worker_fail(struct am_worker *w, am_req req, const char *code,
    const char *message)
{
	return request_end_error(w, req,
	    (struct final){ .name = "ErrWork", .error = Wrk_ErrWork }, code,
	    message);
}

int
am_worker_refuse(struct am_worker *w, am_req req, const char *reason)
{
	return request_end_error(w, req, (struct final){ .name = "refused" },
	    AM_CODE_REFUSED, reason);
}

/* Also before the timer has seen it. */
static bool
is_late(const struct worker_request *q)
{
	return q->late || (q->deadline_ns != 0 && q->deadline_ns <= clock_ns());
}

int
am_worker_canceled(struct am_worker *w, am_req req)
{
	const struct worker_request *q = request_find(&w->requests, req);

	if (q == NULL)
		return -ENOENT;
	if (is_late(q))
		return request_end_error(w, req,
		    (struct final){ .name = "ErrWorkTimeout",
			.error = Wrk_ErrWorkTimeout },
		    AM_CODE_TIMEOUT, "the deadline passed");
	return request_end_error(w, req, (struct final){ .name = "canceled" },
	    AM_CODE_CANCELED, "canceled by the client");
}

static int
put_and_send(struct am_worker *w, uint64_t client_id, uint32_t id,
    enum arpc_payload_kind kind, const char *name, struct am_val data)
{
	struct outbox_entry *e = outbox_put(&w->outbox, client_id, id, kind,
	    name, data);

	if (e == NULL)
		return -ENOMEM;
	payload_send(w, e);
	pulse_payload(w, e->seq, id, name, false);
	return 0;
}

static int
request_send(struct am_worker *w, am_req req, enum arpc_payload_kind kind,
    const char *name, struct am_val data)
{
	const struct worker_request *q = request_find(&w->requests, req);
	int r;

	if (q == NULL)
		return -ENOENT;
	r = check_payload(w, data, false);
	if (r < 0)
		return r;
	return put_and_send(w, q->client_id, q->id, kind, name, data);
}

int
am_worker_progress(struct am_worker *w, am_req req, struct am_val data)
{
	return request_send(w, req, ARPC_P_PROGRESS, "progress", data);
}

int
am_worker_chunk(struct am_worker *w, am_req req, struct am_val data)
{
	return request_send(w, req, ARPC_P_CHUNK, "chunk", data);
}

int
am_worker_event(struct am_worker *w, const char *name, struct am_val data)
{
	size_t len;
	int r;

	if (!am_is1(w->machine, Wrk_Leased))
		return -ENOENT;
	len = name != NULL ? strlen(name) : 0;
	if (len == 0 || len > EVENT_NAME_MAX || utf8_check(name, len) < len)
		return -EINVAL;
	r = check_payload(w, data, false);
	if (r < 0)
		return r;
	return put_and_send(w, 0, 0, ARPC_P_EVENT, name, data);
}

void
requests_cancel_all(struct am_worker *w, const char *reason)
{
	const struct final canceled = { .name = "canceled", .always = true };

	for (unsigned i = 0; i < w->requests.window; i++)
		(void)request_end_error(w, w->requests.slot[i].handle, canceled,
		    AM_CODE_CANCELED, reason);
}

/* ---- WorkRequested ---- */

/* Refuses because of a limit: asking again later may succeed. */
static bool AM_PRINTF(2, 3)
    refuse_busy(struct am_event *ev, const char *fmt, ...)
{
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	rpc_source_refuse(ev->source, ARPC_E_busy, why);
	return am_refuse(ev, "%s", why);
}

bool
work_requested_enter(struct am_event *ev)
{
	const struct am_worker *w = ev->arg;
	const struct rpc_source *src = ev->source;

	if (!am_is1(ev->machine, Wrk_Leased))
		return am_refuse(ev, "no lease");
	if (w->stuck)
		return am_refuse(ev, "the worker is stuck (%s)", w->stuck_code);
	if (w->requests.n_open >= w->requests.window)
		return refuse_busy(ev, "window full (%u)", w->requests.window);
	if (deadline_of(w, ev) == 0)
		return am_refuse(ev, "deadline passed");
	if (!outbox_has_room(&w->outbox, 0))
		return refuse_busy(ev,
		    "outbox full: %zu payloads wait to be fetched and acked",
		    w->outbox.len);
	/* Ids wrap at 16 bits; a result must name one request only. */
	if (src != NULL && src->id != 0 &&
	    request_of_client(&w->requests, rpc_session_client_id(src->session),
		src->id) != NULL)
		return am_refuse(ev, "request %u is open already", src->id);
	return true;
}

bool
work_requested_self(struct am_event *ev)
{
	if (node_has(ev->called, ev->n_called, Wrk_WorkRequested))
		return am_refuse(ev, "a request is being taken");
	return true;
}

void
work_requested_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;
	const struct rpc_source *src = ev->source;
	struct worker_request *q = request_add(&w->requests);
	int64_t deadline_ms = deadline_of(w, ev);

	if (q == NULL) {
		am_fail(ev, "window full");
		return;
	}
	if (src != NULL) {
		q->client_id = rpc_session_client_id(src->session);
		q->id = src->id;
		if (src->id != 0)
			rpc_session_is_late(src->session, src->id);
	}
	if (deadline_ms > 0)
		q->deadline_ns = clock_ns() + node_ns(deadline_ms);
	w->requests.taking = q->handle;
	(void)due_add1(&w->due, Wrk_Working, AM_NONE);
	watch_deadline(w, q);
}

/* ---- CancelWork {req, reason} ---- */

/* A client names its own number; a deadline names the handle, because two
 * clients may use the same number. */
static struct worker_request *
request_of_cancel(const struct am_worker *w, const struct am_event *ev)
{
	const struct rpc_source *src = ev->source;
	int64_t v;

	if (src == NULL && am_get_int(ev->args, "handle", &v) == 0)
		return request_find(&w->requests, (am_req)v);
	if (am_get_int(ev->args, "req", &v) < 0 || v < 0 || v > UINT32_MAX)
		return NULL;
	return request_of_client(&w->requests,
	    src != NULL ? rpc_session_client_id(src->session) : 0, (uint32_t)v);
}

bool
cancel_work_enter(struct am_event *ev)
{
	if (request_of_cancel(ev->arg, ev) == NULL)
		return am_refuse(ev, "no such request is open");
	return true;
}

void
cancel_work_state(struct am_event *ev)
{
	/* In the place that it had itself: there is room, and nothing is before. */
	(void)am_remove1(ev->machine, Wrk_CancelWork, AM_NONE);
}

am_req
am_worker_req(const struct am_worker *w, const struct am_event *ev)
{
	const struct worker_request *q = NULL;

	if (node_has(ev->called, ev->n_called, Wrk_WorkRequested))
		return w->requests.taking;
	if (node_has(ev->called, ev->n_called, Wrk_CancelWork))
		q = request_of_cancel(w, ev);
	return q != NULL ? q->handle : 0;
}

int64_t
am_worker_req_left_ms(const struct am_worker *w, am_req req)
{
	const struct worker_request *q = request_find(&w->requests, req);

	if (q == NULL || is_late(q))
		return 0;
	if (q->deadline_ns == 0)
		return INT64_MAX;
	/* Rounded up: 0 is over. */
	return (q->deadline_ns - clock_ns()) / NS_PER_MS + 1;
}

/* The soft deadline: tells the program. */
static void
deadline_soft(struct am_worker *w, struct worker_request *q)
{
	struct am_buf args = AM_BUF_INIT;

	q->late = true;
	q->deadline_ns = clock_ns() + node_ns(w->env.hard_ms);
	am_put_map(&args, 3);
	node_put_uint(&args, "req", q->id);
	node_put_str(&args, "reason", "deadline");
	node_put_uint(&args, "handle", q->handle);
	(void)am_add1(w->machine, Wrk_CancelWork, am_buf_val(&args));
	am_buf_done(&args);
}

/* The hard deadline: the client gets a result, but the program is still
 * working. */
static void
deadline_hard(struct am_worker *w, const struct worker_request *q)
{
	const struct final timeout = { .name = "ErrWorkTimeout",
		.error = Wrk_ErrWorkTimeout,
		.always = true,
		.runs_on = true };
	const char *why = "the deadline passed and the program did not stop";

	(void)request_end_error(w, q->handle, timeout, "timeout", why);
	worker_report(w, "ErrWorkTimeout", why, true);
}

void
requests_on_deadline(void *arg)
{
	struct am_worker *w = arg;
	int64_t now = clock_ns();

	for (unsigned i = 0; i < w->requests.window; i++) {
		struct worker_request *q = &w->requests.slot[i];

		if (q->handle == 0 || q->deadline_ns == 0 ||
		    q->deadline_ns > now)
			continue;
		if (q->late)
			deadline_hard(w, q);
		else
			deadline_soft(w, q);
	}
	for (unsigned i = 0; i < w->requests.window; i++)
		watch_deadline(w, &w->requests.slot[i]);
}

/* ---- a handler failed (flow rule 10) ---- */

void
exception_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;
	const char *text = am_last_error(ev->machine);
	const struct final failed = { .name = "ErrWork",
		.error = Wrk_ErrWork,
		.always = true };

	if (!node_is_failure(ev, Wrk_ErrHandlerTimeout))
		return;
	/* The request that was being taken fails. If it had been answered
	 * already, nothing is lost. */
	if (w->requests.taking != 0)
		(void)request_end_error(w, w->requests.taking, failed,
		    AM_CODE_HANDLER_FAILED, text);
	else
		worker_report(w, AM_CODE_HANDLER_FAILED, text, false);
	w->requests.taking = 0;
	node_failure_over(ev->machine, Wrk_ErrHandlerTimeout);
}
