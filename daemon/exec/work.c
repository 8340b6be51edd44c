#include "daemon/exec/host.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "proto/worker.h"

void
work_init(struct work *w)
{
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->running);
	w->concurrency = 1;
}

static void
unlink_req(struct work *w, struct work_req *r)
{
	if (r->n == 0) {
		TAILQ_REMOVE(&w->waiting, r, link);
		w->n_waiting--;
	} else {
		TAILQ_REMOVE(&w->running, r, link);
		w->n_running--;
	}
}

static struct work_req *
free_req(struct work_req *r)
{
	am_buf_done(&r->args);
	free(r);
	return NULL;
}

static void
forget(struct work *w, struct work_req *r)
{
	unlink_req(w, r);
	(void)free_req(r);
}

static void
forget_waiting(struct work *w)
{
	struct work_req *r;

	while ((r = TAILQ_FIRST(&w->waiting)) != NULL)
		forget(w, r);
}

void
work_done(struct work *w)
{
	struct work_req *r;

	forget_waiting(w);
	while ((r = TAILQ_FIRST(&w->running)) != NULL)
		forget(w, r);
	am_buf_done(&w->args);
}

struct work_req *
work_find(struct host *h, uint64_t n)
{
	struct work_req *r;

	TAILQ_FOREACH(r, &h->work.running, link) {
		if (r->n == n)
			return r;
	}
	return NULL;
}

/* ---- to the program ---- */

static void
tell_request(struct host *h, struct work_req *r)
{
	struct work *w = &h->work;
	int64_t left_ms = am_worker_req_left_ms(h->worker, r->req);

	unlink_req(w, r);
	r->n = ++w->last_n;
	TAILQ_INSERT_TAIL(&w->running, r, link);
	w->n_running++;
	line_put_request(prog_out(&h->prog), r->n, r->args.data, r->args.len,
	    left_ms == INT64_MAX ? -1 : left_ms);
	am_buf_done(&r->args);
}

void
work_cancel(struct host *h, struct work_req *r)
{
	if (r->is_canceled)
		return;
	r->is_canceled = true;
	if (h->can_cancel)
		line_put_cancel(prog_out(&h->prog), r->n);
}

static struct work_req *
first_canceled(struct host *h)
{
	struct work_req *r;

	TAILQ_FOREACH(r, &h->work.waiting, link) {
		if (r->is_canceled ||
		    am_worker_req_left_ms(h->worker, r->req) <= 0)
			return r;
	}
	return NULL;
}

/* What is over while it waits never reaches the program. False: the outbox is
 * full, one is left. */
static bool
end_canceled(struct host *h)
{
	struct work *w = &h->work;
	struct work_req *r;

	while ((r = first_canceled(h)) != NULL) {
		/* Out of the list first: the end of a request may be the end
		 * of the lease, which forgets what waits. */
		unlink_req(w, r);
		if (am_worker_canceled(h->worker, r->req) == -EAGAIN) {
			r->is_canceled = true;
			TAILQ_INSERT_HEAD(&w->waiting, r, link);
			w->n_waiting++;
			return false;
		}
		(void)free_req(r);
	}
	return true;
}

static void
step_reset(struct host *h)
{
	struct work *w = &h->work;

	if (w->reset != WORK_RESET_WANTED || w->n_running > 0)
		return;
	if (h->can_reset) {
		w->reset = WORK_RESET_TOLD;
		line_put_lease_end(prog_out(&h->prog));
		return;
	}
	w->reset = WORK_RESET_NONE;
	am_worker_reset_done(h->worker);
}

void
work_pump(struct host *h)
{
	struct work *w = &h->work;

	if (h->phase != HOST_SERVING)
		return;
	if (!end_canceled(h))
		return;
	while (w->n_running < w->concurrency && w->n_waiting > 0 &&
	    !prog_full(&h->prog))
		tell_request(h, TAILQ_FIRST(&w->waiting));
	step_reset(h);
}

void
work_end(struct host *h, struct work_req *r)
{
	forget(&h->work, r);
	work_pump(h);
}

static void
fail_list(struct host *h, struct work_list *l, const char *code,
    const char *message)
{
	struct work_req *r;

	while ((r = TAILQ_FIRST(l)) != NULL) {
		unlink_req(&h->work, r);
		/* A full outbox, or a request that has ended: nobody is told,
		 * and the worker's end tells who still waits. */
		(void)am_worker_fail(h->worker, r->req, code, message);
		(void)free_req(r);
	}
}

void
work_fail_all(struct host *h, const char *code, const char *message)
{
	fail_list(h, &h->work.running, code, message);
	fail_list(h, &h->work.waiting, code, message);
}

/* ---- leases ---- */

void
work_reset(struct host *h)
{
	struct work_req *r;

	/* The library has answered all of them. */
	forget_waiting(&h->work);
	TAILQ_FOREACH(r, &h->work.running, link)
		work_cancel(h, r);
	h->work.reset = WORK_RESET_WANTED;
	step_reset(h);
}

void
work_idle(struct host *h)
{
	if (h->work.reset != WORK_RESET_TOLD)
		return;
	h->work.reset = WORK_RESET_NONE;
	am_worker_reset_done(h->worker);
}

/* ---- handlers ---- */

static bool
work_requested_enter(struct am_event *ev)
{
	struct host *h = ev->arg;
	size_t max = h->line_max - LINE_REQUEST_FRAME;
	struct am_error err;
	int r = 0;

	if (h->phase != HOST_SERVING)
		return am_refuse(ev,
		    h->phase == HOST_BROKEN
			? "the program broke the protocol, it is being replaced"
			: "the program is being stopped");
	line_buf_reset(&h->work.args);
	if (ev->args.len > 0)
		r = json_encode_most(ev->args, 0, max, &h->work.args, &err);
	if (r == -E2BIG)
		return am_refuse(ev,
		    "too_big: the args are more than %zu bytes of JSON "
		    "(Worker.LineMax)",
		    max);
	if (r == -ENOMEM)
		return am_refuse(ev, "no memory for the args");
	if (r < 0)
		return am_refuse(ev, "bad_args: %s", err.text);
	return true;
}

static void
work_requested_state(struct am_event *ev)
{
	struct host *h = ev->arg;
	am_req req = am_worker_req(h->worker, ev);
	struct work_req *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		am_fail(ev, "no memory for a request");
		return;
	}
	r->req = req;
	r->args = h->work.args;
	h->work.args = AM_BUF_INIT;
	TAILQ_INSERT_TAIL(&h->work.waiting, r, link);
	h->work.n_waiting++;
	work_pump(h);
}

static void
cancel_work_state(struct am_event *ev)
{
	struct host *h = ev->arg;
	am_req req = am_worker_req(h->worker, ev);
	struct work_req *r;

	TAILQ_FOREACH(r, &h->work.running, link) {
		if (r->req == req) {
			work_cancel(h, r);
			return;
		}
	}
	TAILQ_FOREACH(r, &h->work.waiting, link) {
		if (r->req == req)
			r->is_canceled = true;
	}
	work_pump(h);
}

static const struct am_handler of[Wrk__COUNT] = {
	[Wrk_WorkRequested] = {
		.enter = work_requested_enter,
		.state = work_requested_state,
	},
	[Wrk_CancelWork] = { .state = cancel_work_state },
};

const struct am_handlers work_handlers = {
	.name = "amnode-exec",
	.of = of,
	.len = Wrk__COUNT,
};
