/* Flow 9: waiting, offers and leases end, whatever ends them. */
#include "daemon/flow_release.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/emit.h"
#include "daemon/flow.h"
#include "daemon/flow_health.h"
#include "daemon/mirror.h"
#include "daemon/refuse.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "proto/worker.h"

/* ---- waiters ---- */

static void
drop(struct super *s, struct waiter *w)
{
	owner_done(&w->owner);
	waiter_free(&s->model, w);
}

void
flow_refuse(struct super *s, struct waiter *w, const char *code,
    const char *message)
{
	char more[RATE_TEXT_MAX];

	if (rate_line(&s->refused, more))
		log_info("lease: refused client=c%" PRIu64 " request=%" PRIu64
			 " code=%s%s",
		    w->client_id, w->request, code, more);
	if (w->client != NULL)
		emit_refusal(s, w, code, message);
	drop(s, w);
}

void
flow_start_deadline(struct waiter *w)
{
	int64_t left_ns = w->deadline_ns - clock_ns();

	if (w->deadline_ns != 0)
		(void)am_timer_start(&w->timer,
		    left_ns > 0 ? left_ns / NS_PER_MS : 0);
}

/* Its worker did not take the lease: it has lost nothing by that. */
static void
back_to_queue(struct super *s, struct waiter *w)
{
	if (w->client == NULL) {
		drop(s, w);
		return;
	}
	waiter_queue_head(&s->model, w);
	flow_start_deadline(w);
}

/* Of our own reasons; any other is told as it is. */
static void
refuse_for(struct super *s, struct waiter *w, const char *reason)
{
	if (strcmp(reason, "timeout") == 0)
		flow_refuse(s, w, "timeout", "no worker became free in time");
	else if (strcmp(reason, "draining") == 0 ||
	    strcmp(reason, "drain") == 0)
		flow_refuse(s, w, "draining", "the supervisor stops");
	else if (strcmp(reason, "pool_broken") == 0)
		flow_refuse(s, w, "pool_broken", s->model.starts.reason);
	else
		flow_refuse(s, w, "no_worker", reason);
}

/* ---- ReleaseWorker ---- */

/* What it is about: a lease, or a waiter of this client. A request that was
 * granted meanwhile is its lease. */
struct release_target {
	struct client *client; /* that asks; NULL: we ourselves */
	struct lease *lease;
	struct waiter *waiter;
};

static struct release_target
find_target(struct super *s, const struct am_event *ev)
{
	struct release_target t = { NULL, NULL, NULL };
	int64_t request, id = -1;
	uint32_t unused;

	t.client = s->io->client(s, ev->source, &unused);
	t.lease = flow_lease(s, ev->args);
	if (t.lease != NULL || am_get_int(ev->args, "request", &request) < 0)
		return t;
	if (t.client != NULL)
		id = (int64_t)t.client->id;
	else
		(void)am_get_int(ev->args, "client", &id);
	t.waiter = waiter_find(&s->model, (uint64_t)id, (uint64_t)request);
	if (t.waiter != NULL && t.waiter->lease != NULL) {
		t.lease = t.waiter->lease;
		t.waiter = NULL;
	}
	return t;
}

static bool
release_worker_enter(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct release_target t = find_target(s, ev);

	if (t.lease == NULL && t.waiter == NULL)
		return refuse_unknown_lease(s, ev);
	if (t.client != NULL && t.lease != NULL &&
	    !lease_permits(t.lease, t.client)) {
		super_denied(s, t.client, "release of a lease of another");
		return refuse_with_code(s, ev, ARPC_E_not_permitted,
		    "%s is not your lease", t.lease->id);
	}
	if (t.lease != NULL && t.lease->state == LEASE_ENDING)
		return am_refuse(ev, "lease %s ends already: %s", t.lease->id,
		    t.lease->reason);
	return true;
}

/* Others may give a reason of theirs only. */
static void
release_reason(const struct am_event *ev, const struct client *c, char *buf,
    size_t size)
{
	static const char *const theirs[] = { "released", "discard", "unwanted",
		"timeout" };

	if (am_get_text(ev->args, "reason", buf, size) < 0)
		(void)snprintf(buf, size, "released");
	if (c == NULL || (c->admin && strcmp(buf, "admin") == 0))
		return;
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		if (strcmp(buf, theirs[i]) == 0)
			return;
	(void)snprintf(buf, size, "released");
}

/* How long what was answered may take to reach the client. */
static int64_t
wait_of(const struct super *s, const char *reason)
{
	static const char *const graceful[] = { "released", "discard", "max" };
	int64_t left_ms = (s->stop_ns - clock_ns()) / NS_PER_MS;

	if (strcmp(reason, "drain") == 0)
		return left_ms > 0 ? left_ms : 0;
	for (size_t i = 0; i < sizeof(graceful) / sizeof(graceful[0]); i++)
		if (strcmp(reason, graceful[i]) == 0)
			return s->config->stop_grace_ms;
	return 0;
}

/* We hear up to 50 ms late that the worker works. Only what has waited long
 * enough for the request ends without asking. */
static bool
is_if_idle(const struct super *s, const struct lease *l, const char *reason)
{
	if (strcmp(reason, "drain") == 0)
		return s->stop < STOP_LEASES;
	return strcmp(reason, "max") == 0 &&
	    (l->state != LEASE_OVERDUE || l->max_timer.deadline_ns != 0);
}

/* The worker is told; it is killed if it is too slow. */
static void
begin_end(struct super *s, struct lease *l, const char *reason)
{
	l->if_idle = is_if_idle(s, l, reason);
	l->before_end = l->state;
	(void)snprintf(l->reason, sizeof(l->reason), "%s", reason);
	if (strcmp(reason, "discard") == 0 ||
	    s->config->on_release == ON_RELEASE_RECYCLE)
		l->discard = true;
	lease_set_state(l, LEASE_ENDING);
	l->wait_ms = wait_of(s, reason);
	(void)am_timer_start(&l->timer, LEASE_END_MS);
	/* Without a connection WorkerGone ends it. */
	(void)s->io->end_lease(s, l->worker, l);
}

static void
release_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct release_target t = find_target(s, ev);
	char reason[LEASE_REASON_MAX];

	emit_end_pulse(ev);
	release_reason(ev, t.client, reason, sizeof(reason));
	if (t.lease != NULL) {
		begin_end(s, t.lease, reason);
		return;
	}
	if (t.waiter == NULL)
		return;
	/* A client that gave up needs no answer (rule 21). */
	waiter_unqueue(&s->model, t.waiter);
	if (t.client != NULL)
		drop(s, t.waiter);
	else
		refuse_for(s, t.waiter, reason);
}

void
flow_release_taken(struct lease *l)
{
	if (l->state != LEASE_ENDING)
		return;
	am_timer_stop(&l->max_timer);
	if (l->wait_ms > 0)
		(void)am_timer_start(&l->timer, l->wait_ms + LEASE_END_MS);
}

void
flow_release_refused(struct super *s, struct lease *l)
{
	bool client_came = strcmp(l->reason, "client-gone") == 0 ||
	    strcmp(l->reason, "unconfirmed") == 0;

	if (l->state != LEASE_ENDING || !mirror_is(l->worker, Wrk_Leased) ||
	    (!client_came && !l->if_idle))
		return;
	log_info("lease: goes on lease=%s id=%s reason=%s", l->id,
	    l->worker->id, client_came ? "client-came" : "request-open");
	l->reason[0] = '\0';
	if (l->before_end != LEASE_CONFIRMED &&
	    l->before_end != LEASE_OVERDUE) {
		lease_set_state(l, LEASE_GRANTED);
		(void)am_timer_start(&l->timer, LEASE_CONFIRM_MS);
		return;
	}
	am_timer_stop(&l->timer);
	if (l->max_timer.deadline_ns != 0)
		lease_set_state(l, l->before_end);
	else
		flow_release_overdue(s, l);
}

void
flow_release_overdue(const struct super *s, struct lease *l)
{
	lease_set_state(l, LEASE_OVERDUE);
	(void)am_timer_start(&l->max_timer, s->config->request_timeout_ms);
}

void
flow_release_look(struct super *s, struct lease *l)
{
	const struct worker *w = l->worker;
	bool working = mirror_has_request(w);

	if (l->state == LEASE_OVERDUE && !working)
		emit_release_lease(s, l, "max");
	else if (!lease_is_confirmed(l))
		return;
	else if (working || l->waiter->owner.pid != 0 ||
	    mirror_is(w, Wrk_ClientConnected))
		am_timer_stop(&l->timer);
	else if (l->timer.deadline_ns == 0)
		(void)am_timer_start(&l->timer, l->waiter->ttl_ms);
}

/* ---- LeaseEnded ---- */

/* It refused, or did not answer: not lent before it passed a health check; one
 * that hangs is replaced. */
static void
suspect(struct super *s, struct worker *w, const char *reason)
{
	if (strcmp(reason, "stuck") == 0) {
		emit_kill_worker(s, w, reason, STOP_FAULTY);
	} else if (strcmp(reason, "refused") == 0) {
		w->fit_ns = INT64_MAX;
		flow_health_later(s, w);
	}
}

static void
lease_ended_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct lease *l = flow_lease(s, ev->args);
	char reason[LEASE_REASON_MAX] = "unknown";
	bool discard, asked;
	struct waiter *waiter;
	struct worker *w;

	emit_end_pulse(ev);
	if (l == NULL)
		return;
	(void)am_get_text(ev->args, "reason", reason, sizeof(reason));
	/* What its program printed for this lease stands before its end. */
	logs_flush(&l->worker->logs);
	log_info("lease: ended lease=%s id=%s reason=%s after=%" PRId64 "ms",
	    l->id, l->worker->id, reason,
	    (clock_ns() - l->since_ns) / NS_PER_MS);
	w = l->worker;
	discard = l->discard;
	asked = l->reason[0] != '\0';
	suspect(s, w, reason);
	lease_free(&s->model, l, reason, &waiter);
	/* An offer of which the client never heard: was it asked to end, this
	 * is the answer. */
	if (waiter->state != WAITER_OFFERED)
		drop(s, waiter);
	else if (asked)
		refuse_for(s, waiter, reason);
	else
		back_to_queue(s, waiter);
	if (discard && !worker_is_leaving(w))
		emit_kill_worker(s, w, "recycle", STOP_GENTLY);
}

/* ---- the client's connection ---- */

static struct client *
client_of(const struct super *s, struct am_val args)
{
	int64_t id = -1;

	(void)am_get_int(args, "client", &id);
	return client_find(&s->model, (uint64_t)id);
}

static void
client_disconnected_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct client *c = client_of(s, ev->args);
	struct waiter *w, *next;

	emit_end_pulse(ev);
	if (c == NULL)
		return;
	for (w = TAILQ_FIRST(&c->waiters); w != NULL; w = next) {
		next = TAILQ_NEXT(w, client_link);
		if (w->lease == NULL)
			drop(s, w);
		/* Confirmed, it lives on by its ttl or owner. */
		else if (w->lease->state == LEASE_OFFERED ||
		    w->lease->state == LEASE_GRANTED)
			emit_release_lease(s, w->lease, "client-gone");
	}
}

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_ClientDisconnected] = { .state = client_disconnected_state },
	[Sup_ReleaseWorker] = { .enter = release_worker_enter,
	    .state = release_worker_state },
	[Sup_LeaseEnded] = { .state = lease_ended_state },
};

const struct am_handlers flow_release_handlers = {
	.name = "amnoded releases",
	.of = handlers,
	.len = Sup__COUNT,
};
