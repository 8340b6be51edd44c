/* What people are told of the supervisor. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/mirror.h"
#include "daemon/settle.h"
#include "daemon/super.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "proto/worker.h"

const char *
super_worker_state(const struct worker *w)
{
	return w->state == WORKER_LEASED && mirror_is(w, Wrk_Working)
	    ? "working"
	    : worker_state_name(w->state);
}

void
super_denied(struct super *s, const struct client *c, const char *what)
{
	char who[200], more[RATE_TEXT_MAX];

	if (rate_line(&s->denied, more))
		log_warn("client: denied client=c%" PRIu64
			 " uid=%d pid=%d subject=%s: %s%s",
		    c->id, (int)c->uid, (int)c->pid,
		    log_quote(who, sizeof(who), c->subject, strlen(c->subject)),
		    what, more);
}

void
super_status(const struct super *s, char *buf, size_t size)
{
	const struct model *m = &s->model;
	unsigned ready = model_ready(m);

	if (super_is(s, Sup_Draining))
		(void)snprintf(buf, size,
		    "stopping: %u workers left, %u leased", m->n_workers,
		    m->n_leases);
	else if (m->starts.broken)
		(void)snprintf(buf, size, "pool broken, still retrying: %s",
		    m->starts.reason);
	else if (ready < s->config->pool_min)
		(void)snprintf(buf, size,
		    "starting: %u of %" PRId64 " workers ready%s%s", ready,
		    s->config->pool_min,
		    m->starts.reason[0] != '\0' ? "; last failure: " : "",
		    m->starts.reason);
	else
		(void)snprintf(buf, size,
		    "ready: %u workers, %u idle, %u leased, %u clients waiting",
		    ready, m->n[WORKER_IDLE], m->n_leases, m->n_waiting);
}

static void
dump_workers(const struct model *m)
{
	int64_t now_ns = clock_ns();
	const struct worker *w;

	TAILQ_FOREACH(w, &m->workers, link)
		log_info(
		    "dump: worker id=%s pid=%d state=%s lease=%s errors=%u "
		    "deaths_in_a_row=%u uptime=%" PRId64 "ms timer=%" PRId64
		    "ms",
		    w->id, (int)w->pid, super_worker_state(w),
		    w->lease != NULL ? w->lease->id : "-", w->n_errors,
		    w->deaths_in_a_row, (now_ns - w->started_ns) / NS_PER_MS,
		    w->timer.deadline_ns != 0
			? (w->timer.deadline_ns - now_ns) / NS_PER_MS
			: -1);
}

static void
dump_leases(const struct model *m)
{
	const struct waiter *w;
	const struct lease *l;

	TAILQ_FOREACH(l, &m->leases, link)
		log_info("dump: lease lease=%s id=%s phase=%s client=c%" PRIu64
			 " uid=%d owner=%d reason=%s age=%" PRId64 "ms",
		    l->id, l->worker->id, lease_state_name(l->state),
		    l->waiter->client_id, (int)l->waiter->user->uid,
		    (int)l->waiter->owner.pid,
		    l->reason[0] != '\0' ? l->reason : "-",
		    (clock_ns() - l->since_ns) / NS_PER_MS);
	TAILQ_FOREACH(w, &m->queue, link)
		log_info("dump: waiter client=c%" PRIu64 " request=%" PRIu64
			 " priority=%d uid=%d",
		    w->client_id, w->request, w->priority, (int)w->user->uid);
}

void
super_dump(const struct super *s)
{
	const struct model *m = &s->model;
	struct am_buf b = AM_BUF_INIT;
	char status[400], name[80];
	const struct client *c;

	super_status(s, status, sizeof(status));
	log_info("dump: %s", status);
	am_string(s->machine, &b);
	log_info("dump: machine %.*s", (int)b.len,
	    b.data != NULL ? b.data : "");
	am_buf_done(&b);
	log_info("dump: pool rows=%u wanted=%u ready=%u starting=%u "
		 "failed_rounds=%u broken=%d retries=%u",
	    m->n_workers, settle_wanted(s), model_ready(m), model_starting(m),
	    m->starts.failed_rounds, m->starts.broken, m->starts.n_retry);
	dump_workers(m);
	dump_leases(m);
	TAILQ_FOREACH(c, &m->clients, link)
		log_info("dump: client id=c%" PRIu64 " uid=%d admin=%d name=%s",
		    c->id, (int)c->uid, c->admin,
		    log_quote(name, sizeof(name), c->name, strlen(c->name)));
}
