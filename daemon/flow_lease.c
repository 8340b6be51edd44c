/* Flows 4 and 5: a client asks for a worker, waits, is offered one, is told, and
 * comes to it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/emit.h"
#include "daemon/flow.h"
#include "daemon/flow_release.h"
#include "daemon/wish.h"
#include "daemon/mirror.h"
#include "daemon/refuse.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "proto/worker.h"

/* ---- asked ---- */

static bool
refuse_more(struct super *s, const struct client *c, struct am_event *ev)
{
	char uid[32];

	(void)snprintf(uid, sizeof(uid), "uid %d", (int)c->uid);
	return refuse_with_code(s, ev, ARPC_E_limit,
	    "limit of %.128s reached: %" PRId64 " leases (Lease.PerUser)",
	    c->uid != (uid_t)-1         ? uid
		: c->subject[0] != '\0' ? c->subject
					: "TCP",
	    s->config->per_user);
}

static bool
check_owner(struct super *s, const struct client *c, const struct wish *wish,
    struct am_event *ev)
{
	int r;

	/* Nor is it told which processes there are here. */
	if (c->is_far)
		return am_refuse(ev,
		    "pid %" PRId64 " is of another host: leave it out",
		    wish->pid);
	r = owner_check((pid_t)wish->pid, (uint64_t)wish->pid_start, c->uid);
	if (r == -EPERM) {
		super_denied(s, c, "a lease for a process of another");
		return refuse_with_code(s, ev, ARPC_E_not_permitted,
		    "pid %" PRId64 " belongs to another user", wish->pid);
	}
	if (r < 0)
		return refuse_with_code(s, ev, ARPC_E_no_process,
		    "pid %" PRId64 ": no such process", wish->pid);
	return true;
}

/* Of LeaseRequested and ProvideWorker. */
static bool
asked_enter(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct model *m = &s->model;
	int64_t per_user = s->config->per_user;
	uint32_t id;
	const struct client *c = s->io->client(s, ev->source, &id);
	bool is_idle = m->n[WORKER_IDLE] > m->n_waiting;
	struct am_error err;
	struct wish wish;

	if (wish_parse(s->config, ev->args, &wish, &err) < 0)
		return am_refuse(ev, "%s", err.text);
	if (m->n_waiting >= s->config->queue_max && !is_idle)
		return refuse_with_code(s, ev, ARPC_E_no_worker,
		    "queue full (%" PRId64 ")", s->config->queue_max);
	if (m->starts.broken && !is_idle)
		return refuse_with_code(s, ev, ARPC_E_pool_broken,
		    "pool broken%s%s", m->starts.reason[0] != '\0' ? ": " : "",
		    m->starts.reason);
	if (c == NULL)
		return true;
	if (waiter_find(m, c->id, (uint64_t)wish.request) != NULL)
		return am_refuse(ev,
		    "request %" PRId64 " is used already on this connection",
		    wish.request);
	if (per_user > 0 && c->user->n_asked >= per_user)
		return refuse_more(s, c, ev);
	return wish.pid == 0 || check_owner(s, c, &wish, ev);
}

/* Returns new, in no queue yet; NULL: no memory. */
static struct waiter *
make_waiter(struct super *s, struct client *c, uint32_t req,
    const struct wish *wish)
{
	struct waiter *w = waiter_new(s, &s->model, c, (uint64_t)wish->request);

	if (w == NULL)
		return NULL;
	w->req = req;
	if (wish->timeout_ms >= 0)
		w->deadline_ns = clock_ns() + wish->timeout_ms * NS_PER_MS;
	w->priority = (int)wish->priority;
	w->ttl_ms = wish->ttl_ms;
	w->max_ms = wish->max_ms;
	return w;
}

static void
asked(struct am_event *ev, bool waits)
{
	struct super *s = ev->arg;
	struct model *m = &s->model;
	uint32_t id = 0;
	struct client *c = s->io->client(s, ev->source, &id);
	struct am_error err;
	struct waiter *w;
	struct wish wish;

	emit_end_pulse(ev);
	if (wish_parse(s->config, ev->args, &wish, &err) < 0)
		return;
	w = make_waiter(s, c, id, &wish);
	if (w == NULL) {
		am_fail(ev, "no memory for a waiter");
		return;
	}
	if (wish.pid != 0 &&
	    owner_watch(&w->owner, s->loop, (pid_t)wish.pid,
		(uint64_t)wish.pid_start, w->user->uid) < 0) {
		flow_refuse(s, w, "no_process",
		    "the process to bind to has exited");
		return;
	}
	owner_on_exit(&w->owner, s->on_owner_exit, w);
	/* Those who wait already are before it. */
	if ((!waits || wish.timeout_ms == 0) &&
	    m->n[WORKER_IDLE] <= m->n_waiting) {
		flow_refuse(s, w, "no_worker", "no worker is free now");
		return;
	}
	waiter_queue(m, w);
	flow_start_deadline(w);
}

static void
lease_requested_state(struct am_event *ev)
{
	asked(ev, true);
}

static void
provide_worker_state(struct am_event *ev)
{
	asked(ev, false);
}

/* ---- offered: the worker is asked ---- */

static void
lease_offered_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);
	struct arpc_lease begin = { .ttl_ms = 0 };
	int64_t client = -1, request = -1;
	struct waiter *waiter;
	struct lease *l;

	emit_end_pulse(ev);
	(void)am_get_int(ev->args, "client", &client);
	(void)am_get_int(ev->args, "request", &request);
	waiter = waiter_find(&s->model, (uint64_t)client, (uint64_t)request);
	if (w == NULL || w->state != WORKER_IDLE || waiter == NULL ||
	    waiter->state != WAITER_QUEUED)
		return;
	l = lease_new(&s->model, w, waiter);
	if (l == NULL) {
		flow_refuse(s, waiter, "no_worker", "no memory for a lease");
		return;
	}
	l->client_tick = mirror_tick(w, Wrk_ClientConnected);
	l->leased_tick = mirror_tick(w, Wrk_Leased);
	(void)am_timer_start(&l->timer, LEASE_OFFER_MS);
	begin.ttl_ms = waiter->ttl_ms;
	begin.max_ms = waiter->max_ms;
	(void)snprintf(begin.lease, sizeof(begin.lease), "%s", l->id);
	(void)snprintf(begin.client, sizeof(begin.client), "%s", waiter->name);
	memcpy(begin.token, l->token, sizeof(begin.token));
	/* A connection that is just dying ends the lease by WorkerGone. */
	(void)s->io->serve(s, w, &begin);
	explicit_bzero(&begin, sizeof(begin));
}

/* ---- granted: the client is told ---- */

static void
lease_granted_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct lease *l = flow_lease(s, ev->args);
	const struct waiter *w = l != NULL ? l->waiter : NULL;
	char name[80];

	emit_end_pulse(ev);
	if (l == NULL || l->state != LEASE_OFFERED)
		return;
	lease_set_state(l, LEASE_GRANTED);
	(void)am_timer_start(&l->timer, LEASE_CONFIRM_MS);
	log_info("lease: granted lease=%s id=%s client=c%" PRIu64
		 " name=%s uid=%d pid=%d",
	    l->id, l->worker->id, w->client_id,
	    log_quote(name, sizeof(name), w->name, strlen(w->name)),
	    (int)w->user->uid, (int)w->owner.pid);
	emit_grant(s, l);
}

/* The token goes from the lease into this payload and nowhere else. */
static void
put_grant(struct am_buf *b, const struct lease *l)
{
	am_put_map(b, 8);
	am_put_str(b, "request");
	am_put_uint(b, l->waiter->request);
	am_put_str(b, "lease");
	am_put_str(b, l->id);
	am_put_str(b, "worker");
	am_put_str(b, l->worker->id);
	am_put_str(b, "pid");
	am_put_int(b, l->worker->pid);
	am_put_str(b, "address");
	am_put_str(b, l->worker->address);
	am_put_str(b, "token");
	am_put_bin(b, l->token, sizeof(l->token));
	am_put_str(b, "ttl_ms");
	am_put_int(b, l->waiter->ttl_ms);
	am_put_str(b, "max_ms");
	am_put_int(b, l->waiter->max_ms);
}

static void
put_refusal(struct am_buf *b, struct am_val args)
{
	struct am_val request = AM_NONE, error = AM_NONE;

	(void)am_get(args, "request", &request);
	(void)am_get(args, "error", &error);
	am_put_map(b, 2);
	am_put_str(b, "request");
	am_put_val(b, request);
	am_put_str(b, "error");
	am_put_val(b, error);
}

static void
client_send_payload_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct lease *l = flow_lease(s, ev->args);
	struct am_buf b = AM_BUF_INIT;
	int64_t to = -1, req = 0;
	struct am_val error;
	struct client *c;
	int r = -EPIPE;

	emit_end_pulse(ev);
	(void)am_get_int(ev->args, "to", &to);
	(void)am_get_int(ev->args, "req", &req);
	if (l != NULL)
		put_grant(&b, l);
	else if (am_get(ev->args, "error", &error) == 0)
		put_refusal(&b, ev->args);
	else
		return; /* it ended meanwhile */
	c = client_find(&s->model, (uint64_t)to);
	if (c != NULL)
		r = s->io->tell(s, c, (uint32_t)req, "ProvideWorker",
		    am_buf_val(&b));
	if (b.data != NULL)
		explicit_bzero(b.data, b.len);
	am_buf_done(&b);
	if (l == NULL)
		return;
	waiter_answered(l->waiter);
	if (r < 0)
		emit_release_lease(s, l, "client-gone");
}

/* ---- confirmed: the client came to the worker ---- */

static void
lease_confirmed_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct lease *l = flow_lease(s, ev->args);

	emit_end_pulse(ev);
	if (l == NULL || l->state != LEASE_GRANTED)
		return;
	lease_set_state(l, LEASE_CONFIRMED);
	am_timer_stop(&l->timer);
	(void)am_timer_start(&l->max_timer, l->waiter->max_ms);
}

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_ProvideWorker] = { .enter = asked_enter,
	    .state = provide_worker_state },
	[Sup_ClientSendPayload] = { .state = client_send_payload_state },
	[Sup_LeaseRequested] = { .enter = asked_enter,
	    .state = lease_requested_state },
	[Sup_LeaseOffered] = { .state = lease_offered_state },
	[Sup_LeaseGranted] = { .state = lease_granted_state },
	[Sup_LeaseConfirmed] = { .state = lease_confirmed_state },
};

const struct am_handlers flow_lease_handlers = {
	.name = "amnoded leases",
	.of = handlers,
	.len = Sup__COUNT,
};
