/* Flows 8b and 12: rounds of health checks, and errors of workers. */
#include "daemon/flow_health.h"

#include <stdio.h>
#include <string.h>

#include "daemon/emit.h"
#include "daemon/flow.h"
#include "daemon/mirror.h"
#include "daemon/refuse.h"
#include "lib/base/clock.h"
#include "proto/worker.h"

/* Idle ones; and one whose client may wait for a loop that hangs (rule 12). */
static bool
shall_ask(const struct super *s, const struct worker *w, int64_t now_ns)
{
	int64_t silent_ms = s->config->request_timeout_ms +
	    HEALTH_STUCK_GRACE_MS;

	if (!worker_is_ready(w) || w->tries > 0)
		return false;
	if (w->lease == NULL)
		return mirror_is(w, Wrk_Idle);
	return now_ns - w->push_ns > silent_ms * NS_PER_MS;
}

/* A lease that is not in our table, of somebody else on the private socket, or a
 * public address that is gone: nobody would ever get the worker. */
static bool
is_lost(const struct worker *w)
{
	return w->state == WORKER_UNFIT &&
	    (mirror_is(w, Wrk_Leased) || !mirror_is(w, Wrk_RpcReady));
}

void
flow_health_later(struct super *s, struct worker *w)
{
	/* The pause takes the place of the first. */
	worker_set_tries(&s->model, w, 1);
	w->asked_ns = clock_ns();
	w->asked_tick = mirror_tick(w, Wrk_Healthcheck);
	(void)am_timer_start(&w->health_timer, HEALTH_PAUSE_MS);
}

void
flow_health_round(struct super *s)
{
	int64_t now_ns = clock_ns();
	struct worker *w;

	/* Many states imply Heartbeat; only the timer's is a real round. */
	if (!s->round_due)
		return;
	s->round_due = false;
	TAILQ_FOREACH(w, &s->model.workers, link) {
		if (is_lost(w)) {
			emit_kill_worker(s, w, "unwanted", STOP_GENTLY);
		} else if (shall_ask(s, w, now_ns)) {
			flow_health_later(s, w);
			(void)s->io->ask(s, w);
		}
	}
}

/* An error keeps it out of lending for a while. */
static int64_t
fit_ns(const struct super *s, const struct worker *w)
{
	return w->n_errors == 0 ? 0
				: w->error_ns[w->n_errors - 1] +
		s->config->error_recent_ms * NS_PER_MS;
}

void
flow_health_look(struct super *s, struct worker *w)
{
	bool answered;

	if (w->tries == 0)
		return;
	/* Inactive again: a risen tick alone is no answer (rule 29). While it
	 * works its program may be too busy; then its loop is enough. */
	answered = mirror_tick(w, Wrk_Healthcheck) > w->asked_tick &&
	    (w->lease != NULL || !mirror_is(w, Wrk_Healthcheck));
	if (!answered)
		return;
	worker_set_tries(&s->model, w, 0);
	/* Had it refused a lease, it is well now. */
	w->fit_ns = fit_ns(s, w);
	worker_refit(&s->model, w, clock_ns());
}

bool
flow_health_again(struct super *s, struct worker *w)
{
	if (w->tries == HEALTH_TRIES)
		return false;
	worker_set_tries(&s->model, w, w->tries + 1);
	(void)s->io->ask(s, w);
	(void)am_timer_start(&w->health_timer, HEALTH_PAUSE_MS);
	return true;
}

static void
heartbeat_state(struct am_event *ev)
{
	flow_health_round(ev->arg);
}

/* What clients complain of costs the pool no pause. */
static enum stop_how
how_to_stop(const char *err)
{
	return strcmp(err, "issues") == 0 ? STOP_HUNG : STOP_FAULTY;
}

static void
err_worker_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct worker *w = flow_worker(s, ev->args);
	const struct config *c = s->config;
	char err[WORKER_REASON_MAX] = "errors";
	int64_t now_ns = clock_ns();
	bool stuck = false;
	unsigned n;

	if (w == NULL || !worker_is_ready(w))
		return;
	(void)am_get_bool(ev->args, "stuck", &stuck);
	n = worker_count_error(w, now_ns, c->error_ttl_ms);
	if (w->fit_ns != INT64_MAX)
		w->fit_ns = fit_ns(s, w);
	worker_refit(&s->model, w, now_ns);
	if (!stuck && n <= c->error_kill)
		return;
	if (am_get_text(ev->args, "err", err, sizeof(err)) < 0 ||
	    strchr(err, ' ') != NULL)
		(void)snprintf(err, sizeof(err), "errors");
	emit_kill_worker(s, w, err, how_to_stop(err));
}

static bool
worker_issues_enter(struct am_event *ev)
{
	struct super *s = ev->arg;
	const struct lease *l = flow_lease(s, ev->args);
	const struct client *c;
	uint32_t id;

	if (l == NULL)
		return refuse_unknown_lease(s, ev);
	c = s->io->client(s, ev->source, &id);
	if (c != NULL && !lease_permits(l, c))
		return refuse_with_code(s, ev, ARPC_E_not_permitted,
		    "%s is not your lease", l->id);
	return true;
}

/* A complaint counts once a lease. */
static void
worker_issues_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	struct lease *l = flow_lease(s, ev->args);

	emit_end_pulse(ev);
	if (l == NULL || l->complained)
		return;
	l->complained = true;
	emit_err_worker(s, l->worker, "issues", false);
}

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_ErrWorker] = { .state = err_worker_state },
	[Sup_Heartbeat] = { .state = heartbeat_state },
	[Sup_WorkerIssues] = { .enter = worker_issues_enter,
	    .state = worker_issues_state },
	[Sup_Healthcheck] = { .state = emit_end_pulse },
};

const struct am_handlers flow_health_handlers = {
	.name = "amnoded health",
	.of = handlers,
	.len = Sup__COUNT,
};
