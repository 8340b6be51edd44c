/* The handlers of waiting, leases and their ends; see supervisor.c. */
#include "daemon/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/super.h"

static void
add_next(struct super *s)
{
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 1);
	am_put_str(&b, "next");
	am_put_bool(&b, true);
	(void)super_add(s, Sup_ProvideWorker, am_buf_val(&b));
	am_buf_done(&b);
}

/* Rings for the head of the queue (rule 15); false: nobody waits, or all have
 * to. */
static bool
promote(struct super *s)
{
	if (s->waiters.n == 0 || !super_is(s, Sup_WorkersAvailable) ||
	    pool_free(s) == 0)
		return false;
	add_next(s);
	return true;
}

static void
workers_available_state(struct am_event *ev)
{
	(void)promote(ev->arg);
}

static bool
lease_requested_enter(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct am_error err;
	uint32_t id;

	if (waiter_check(s, s->io->client(s, ev->source, &id), ev->args, &err) <
	    0)
		return am_refuse(ev, "%s", err.text);
	return true;
}

static void
lease_requested_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	uint32_t id = 0;
	struct client *c = s->io->client(s, ev->source, &id);
	struct waiter *w = waiter_new(s, c, id, ev->args);

	handler_end_pulse(ev);
	if (w == NULL) {
		am_fail(ev, "no memory for a waiter");
		return;
	}
	if (w->orphan) {
		waiter_refuse(w, "no_worker",
		    "the process to bind to has exited");
		return;
	}
	if (w->no_wait &&
	    (s->waiters.n > 0 || pool_free(s) == 0 ||
		!super_is(s, Sup_WorkersAvailable))) {
		waiter_refuse(w, "no_worker", "no worker is free now");
		return;
	}
	waiter_queue(w);
	if (promote(s))
		return;
	waiters_show(s);
	pool_check(s);
}

static bool
provide_worker_enter(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct am_error err;
	bool next = false;
	uint32_t id;

	(void)am_get_bool(ev->args, "next", &next);
	if (next)
		return true;
	if (waiter_check(s, s->io->client(s, ev->source, &id), ev->args, &err) <
	    0)
		return am_refuse(ev, "%s", err.text);
	return true;
}

/* The waiter leaves the queue here, never before (rule 15). */
static void
provide_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = pool_first_free(s);
	struct waiter *waiter = NULL;
	bool next = false;
	uint32_t id = 0;
	struct client *c;

	handler_end_pulse(ev);
	(void)am_get_bool(ev->args, "next", &next);
	if (w != NULL && next) {
		waiter = waiter_take(s);
	} else if (w != NULL) {
		c = s->io->client(s, ev->source, &id);
		waiter = waiter_new(s, c, id, ev->args);
	}
	if (waiter == NULL) {
		waiters_show(s);
		pool_check(s);
		return;
	}
	(void)lease_offer(s, w, waiter);
	pool_available(s);
	waiters_show(s);
	(void)promote(s);
	pool_check(s);
}

static void
lease_granted_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct lease *l = lease_arg(s, ev->args);
	struct am_buf b = AM_BUF_INIT;

	handler_end_pulse(ev);
	if (l == NULL)
		return;
	am_put_map(&b, 4);
	am_put_str(&b, "to");
	am_put_uint(&b, l->waiter->client_id);
	am_put_str(&b, "name");
	am_put_str(&b, "ProvideWorker");
	am_put_str(&b, "req");
	am_put_uint(&b, l->waiter->req);
	am_put_str(&b, "lease");
	am_put_str(&b, l->id);
	(void)super_add(s, Sup_ClientSendPayload, am_buf_val(&b));
	am_buf_done(&b);
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
	struct lease *l = lease_arg(s, ev->args);
	struct am_buf b = AM_BUF_INIT;
	struct am_val error;
	int64_t to = -1, req = 0;
	struct client *c;
	int r = -EPIPE;

	handler_end_pulse(ev);
	(void)am_get_int(ev->args, "to", &to);
	(void)am_get_int(ev->args, "req", &req);
	c = super_client(s, (uint64_t)to);
	if (l == NULL && am_get(ev->args, "error", &error) < 0)
		return; /* it ended meanwhile */
	if (c != NULL) {
		if (l != NULL)
			put_grant(&b, l);
		else
			put_refusal(&b, ev->args);
		r = s->io->tell(s, c, (uint32_t)req, "ProvideWorker",
		    am_buf_val(&b));
		if (b.data != NULL)
			explicit_bzero(b.data, b.len);
		am_buf_done(&b);
	}
	if (r < 0 && l != NULL)
		lease_revoke(l, "client-gone");
}

/* What a ReleaseWorker is about: a lease, or a waiter of this client. A request
 * that was granted meanwhile is its lease. */
struct release_target {
	struct client *client; /* who asks; NULL: we ourselves */
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
	t.lease = lease_arg(s, ev->args);
	if (t.lease != NULL || am_get_int(ev->args, "request", &request) < 0)
		return t;
	if (t.client != NULL)
		id = (int64_t)t.client->id;
	else
		(void)am_get_int(ev->args, "client", &id);
	t.waiter = waiter_find(s, (uint64_t)id, (uint64_t)request);
	if (t.waiter == NULL)
		t.lease = lease_of_request(s, (uint64_t)id, (uint64_t)request);
	return t;
}

/* Refuses because there is no such lease; says how it ended if that is known. */
static bool
refuse_unknown(const struct super *s, struct am_event *ev)
{
	char id[16] = "";
	const struct lease_end *end;

	(void)am_get_text(ev->args, "lease", id, sizeof(id));
	end = lease_ended(s, id);
	if (end != NULL)
		return am_refuse(ev, "lease %s is over: %s", id, end->reason);
	return am_refuse(ev, "no such lease: \"%s\"", id);
}

static bool
release_worker_enter(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct release_target t = find_target(s, ev);

	if (t.lease == NULL && t.waiter == NULL)
		return refuse_unknown(s, ev);
	if (t.client != NULL && t.lease != NULL &&
	    !lease_permits(t.lease, t.client)) {
		super_denied(s, t.client, "release of a lease of another");
		return am_refuse(ev, "%s is not your lease", t.lease->id);
	}
	if (t.lease != NULL && t.lease->phase == LEASE_ENDING)
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

static void
release_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct release_target t = find_target(s, ev);
	char reason[LEASE_REASON_MAX];

	handler_end_pulse(ev);
	release_reason(ev, t.client, reason, sizeof(reason));
	if (t.lease != NULL) {
		lease_ending(t.lease, reason);
		return;
	}
	if (t.waiter == NULL)
		return;
	/* Who gave up by himself needs no answer. */
	if (t.client != NULL)
		(void)waiter_free(t.waiter);
	else if (strcmp(reason, "timeout") == 0)
		waiter_refuse(t.waiter, "timeout",
		    "no worker became free in time");
	else
		waiter_refuse(t.waiter, "no_worker", reason);
	waiters_show(s);
	pool_check(s);
}

static void
lease_ended_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct lease *l = lease_arg(s, ev->args);
	char reason[LEASE_REASON_MAX] = "unknown";
	struct worker *w;

	handler_end_pulse(ev);
	if (l == NULL)
		return;
	(void)am_get_text(ev->args, "reason", reason, sizeof(reason));
	w = l->worker;
	lease_close(l, reason);
	waiters_show(s);
	pool_available(s);
	(void)promote(s);
	if (w->ready && w->why[0] == '\0' &&
	    (super_is(s, Sup_Draining) || !w->wanted))
		(void)worker_kill(w,
		    super_is(s, Sup_Draining) ? "drain" : "recycle");
	pool_check(s);
}

static bool
worker_issues_enter(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct lease *l = lease_arg(s, ev->args);
	const struct client *c;
	uint32_t id;

	if (l == NULL)
		return refuse_unknown(s, ev);
	c = s->io->client(s, ev->source, &id);
	if (c != NULL && !lease_permits(l, c))
		return am_refuse(ev, "%s is not your lease", l->id);
	return true;
}

static void
worker_issues_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct lease *l = lease_arg(s, ev->args);

	handler_end_pulse(ev);
	if (l != NULL)
		super_err_worker(s, l->worker->id, "issues", false);
}

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_WorkersAvailable] = { .state = workers_available_state },
	[Sup_ProvideWorker] = { .enter = provide_worker_enter,
	    .state = provide_worker_state },
	[Sup_WorkerIssues] = { .enter = worker_issues_enter,
	    .state = worker_issues_state },
	[Sup_ClientSendPayload] = { .state = client_send_payload_state },
	[Sup_LeaseRequested] = { .enter = lease_requested_enter,
	    .state = lease_requested_state },
	[Sup_LeaseGranted] = { .state = lease_granted_state },
	[Sup_ReleaseWorker] = { .enter = release_worker_enter,
	    .state = release_worker_state },
	[Sup_LeaseEnded] = { .state = lease_ended_state },
};

const struct am_handlers super_lease_handlers = {
	.name = "amnoded leases",
	.of = handlers,
	.len = Sup__COUNT,
};
