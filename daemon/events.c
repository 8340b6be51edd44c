#include "daemon/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/emit.h"
#include "daemon/flow_health.h"
#include "daemon/flow_release.h"
#include "daemon/settle.h"
#include "daemon/mirror.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "proto/worker.h"

/* ---- the supervisor itself ---- */

void
event_start(struct super *s)
{
	emit_start(s);
}

void
event_local_ready(struct super *s)
{
	emit_local_ready(s);
}

void
event_public_ready(struct super *s)
{
	emit_public_ready(s);
}

static void
on_boot(void *arg)
{
	struct super *s = arg;
	struct am_error err;

	event_local_ready(s);
	if (s->io->listen(s, &err) < 0) {
		log_error("amnoded: %s", err.text);
		s->failed = true;
		event_stop_now(s);
		return;
	}
	event_public_ready(s);
}

/* The next start, the end of an unfitness, or surplus: as the numbers are. */
static void
on_pool_timer(void *arg)
{
	settle(arg);
}

static void
on_heartbeat_timer(void *arg)
{
	struct super *s = arg;

	(void)am_timer_start(&s->heartbeat_timer, s->config->heartbeat_ms);
	event_heartbeat(s);
}

void
event_heartbeat(struct super *s)
{
	if (!super_is(s, Sup_Start))
		return;
	s->round_due = true;
	/* Active already, it would call no handler. */
	if (super_is(s, Sup_Heartbeat))
		flow_health_round(s);
	else
		emit_heartbeat(s, true);
}

static void
on_heartbeat_end(void *arg)
{
	struct super *s = arg;

	if (super_is(s, Sup_Heartbeat) && s->model.n_asked == 0)
		emit_heartbeat(s, false);
}

/* ---- stop ---- */

void
event_stop(struct super *s)
{
	log_info("amnoded: stopping, leases may finish their request "
		 "timeout=%" PRId64 "ms",
	    s->config->stop_timeout_ms);
	s->stop = STOP_DRAINING;
	s->stop_ns = clock_ns() + s->config->stop_timeout_ms * NS_PER_MS;
	emit_draining(s);
}

void
event_stop_now(struct super *s)
{
	struct worker *w, *next;

	if (s->stop != STOP_NOW)
		log_warn("amnoded: stopping at once workers=%u",
		    s->model.n_workers);
	s->stop = STOP_NOW;
	emit_draining(s);
	settle(s);
	for (w = TAILQ_FIRST(&s->model.in_state[WORKER_STOPPING]); w != NULL;
	     w = next) {
		next = TAILQ_NEXT(w, state_link);
		emit_killing_worker(s, w, true);
	}
}

/* StopTimeout is over; then it has lasted too long. */
static void
on_stop_timer(void *arg)
{
	struct super *s = arg;

	if (s->stop != STOP_DRAINING) {
		event_stop_now(s);
		return;
	}
	s->stop = STOP_LEASES;
	(void)am_timer_start(&s->stop_timer,
	    LEASE_END_MS + 2 * s->config->stop_grace_ms + 1000);
	settle(s);
}

/* ---- workers: start ---- */

static void
start_failed(struct worker *w)
{
	emit_err_worker(w->super, w, w->start_error, false);
}

static void
connect_now(struct worker *w)
{
	struct super *s = w->super;
	int r = s->io->connect(s, w);

	if (r < 0) {
		(void)snprintf(w->start_error, sizeof(w->start_error),
		    "its private socket cannot be connected: %s", strerror(-r));
		start_failed(w);
		return;
	}
	(void)am_timer_start(&w->timer, s->config->start_timeout_ms);
	event_worker_connected(w);
}

void
event_worker_connected(struct worker *w)
{
	worker_set_state(&w->super->model, w, WORKER_STARTING);
	emit_worker_connected(w->super, w);
}

void
event_worker_hello(struct worker *w)
{
	w->push_ns = clock_ns();
	emit_worker_forked(w->super, w);
}

static void
start_timeout(struct worker *w)
{
	if (w->start_error[0] == '\0')
		(void)snprintf(w->start_error, sizeof(w->start_error),
		    "was not ready within StartTimeout, %" PRId64 "ms",
		    w->super->config->start_timeout_ms);
	start_failed(w);
}

/* The one timer of a worker: what it means hangs on the state. */
static void
on_worker_timer(void *arg)
{
	struct worker *w = arg;

	switch (w->state) {
	case WORKER_SPAWNED:
		connect_now(w);
		return;
	case WORKER_STARTING:
		start_timeout(w);
		return;
	case WORKER_STOPPING:
	case WORKER_LOST:
		log_warn("worker: does not stop, killed id=%s pid=%d", w->id,
		    (int)w->pid);
		emit_killing_worker(w->super, w, true);
		return;
	case WORKER_FAILED:
		start_failed(w);
		return;
	case WORKER_EXITED:
	case WORKER_NEW:
	case WORKER_IDLE:
	case WORKER_UNFIT:
	case WORKER_LEASED:
	case WORKER__COUNT:
		return;
	}
	abort();
}

/* ---- workers: life ---- */

/* Did the client of the lease come, is the lease over? By ticks: a state that
 * came and went within a turn is never seen active (rule 17). */
static void
look_at_lease(struct super *s, struct worker *w)
{
	struct lease *l = w->lease;

	if (l->state == LEASE_GRANTED &&
	    mirror_tick(w, Wrk_ClientConnected) > l->client_tick)
		emit_lease_confirmed(s, l);
	if (w->lease != l)
		return;
	if (mirror_tick(w, Wrk_Leased) >= l->leased_tick + 2 &&
	    !mirror_is(w, Wrk_Leased))
		emit_lease_ended(s, l,
		    l->reason[0] != '\0' ? l->reason : "worker");
	else
		flow_release_look(s, l);
}

void
event_worker_push(struct worker *w)
{
	struct super *s = w->super;

	w->push_ns = clock_ns();
	w->shows_free = mirror_is_free(w);
	if (w->state == WORKER_STARTING && mirror_is(w, Wrk_Ready))
		emit_worker_ready(s, w);
	worker_refit(&s->model, w, w->push_ns);
	if (w->lease != NULL)
		look_at_lease(s, w);
	flow_health_look(s, w);
	settle(s);
}

void
event_worker_served(struct worker *w, bool accepted, const char *why)
{
	struct super *s = w->super;
	struct lease *l = w->lease;

	if (l == NULL ||
	    (l->state != LEASE_OFFERED && l->state != LEASE_ENDING))
		return;
	if (!accepted) {
		log_warn("lease: worker refused lease=%s id=%s: %s", l->id,
		    w->id, why);
		emit_lease_ended(s, l,
		    l->state == LEASE_ENDING ? l->reason : "refused");
	} else if (l->state == LEASE_OFFERED) {
		emit_lease_granted(s, l);
	}
}

void
event_worker_end_taken(struct worker *w)
{
	if (w->lease != NULL)
		flow_release_taken(w->lease);
}

void
event_worker_end_refused(struct worker *w)
{
	if (w->lease == NULL)
		return;
	flow_release_refused(w->super, w->lease);
	look_at_lease(w->super, w);
}

void
event_worker_error(struct worker *w, const char *err, bool stuck)
{
	log_warn("worker: error id=%s pid=%d stuck=%s: %s", w->id, (int)w->pid,
	    stuck ? "yes" : "no", err);
	emit_err_worker(w->super, w, err, stuck);
}

/* No answer. An idle one has nothing else to do than to answer; a leased one was
 * silent for long, unless it showed a sign of life since it was asked. */
static void
on_health_timer(void *arg)
{
	struct worker *w = arg;
	struct super *s = w->super;

	if (w->tries == 0 || flow_health_again(s, w))
		return;
	worker_set_tries(&s->model, w, 0);
	if (w->lease == NULL || w->push_ns < w->asked_ns)
		event_worker_error(w, "health", true);
	else
		settle(s);
}

/* ---- workers: end ---- */

void
event_worker_gone(struct worker *w, const char *why)
{
	struct super *s = w->super;

	log_debug("worker: connection lost id=%s: %s", w->id, why);
	worker_set_tries(&s->model, w, 0);
	if (worker_is_ready(w) ||
	    (w->state == WORKER_STOPPING && w->ready_ns != 0)) {
		emit_worker_gone(s, w);
		return;
	}
	if (w->state != WORKER_SPAWNED && w->state != WORKER_STARTING)
		return;
	/* Its exit, most likely seen in a moment, says more; if there is none
	 * it has to go anyway. */
	if (w->start_error[0] == '\0')
		(void)snprintf(w->start_error, sizeof(w->start_error),
		    "closed its private connection before it was ready: %.100s",
		    why);
	(void)am_timer_start(&w->timer, 500);
}

/* As amnode-exec means them, 126 and 127 as sh does, too. */
static const char *
exit_means(const char *how)
{
	if (strcmp(how, "status=124") == 0)
		return "its program was not ready within StartTimeout";
	if (strcmp(how, "status=126") == 0)
		return "its program cannot be executed";
	if (strcmp(how, "status=127") == 0)
		return "its program was not found";
	return "it printed nothing on stderr";
}

/* " last=..." of what it printed on stderr, if anything. */
static const char *
last_words(const struct worker *w, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, " last=");

	if (w->logs.last[0] == '\0')
		return "";
	(void)log_quote(buf + n, size - n, w->logs.last, strlen(w->logs.last));
	return buf;
}

void
event_worker_exit(struct worker *w, const char *how)
{
	enum worker_state was = w->state;
	struct super *s = w->super;
	char last[2 * LOGS_LAST_MAX];

	logs_end(&w->logs);
	log_info("worker: exited id=%s pid=%d %s uptime=%" PRId64
		 "ms reason=%s%s",
	    w->id, (int)w->pid, how, (clock_ns() - w->started_ns) / NS_PER_MS,
	    w->kill_reason[0] != '\0' ? w->kill_reason : "unasked",
	    last_words(w, last, sizeof(last)));
	am_timer_stop(&w->timer);
	worker_set_tries(&s->model, w, 0);
	/* From now on its number is another's. */
	worker_set_state(&s->model, w, WORKER_EXITED);
	if (was == WORKER_SPAWNED || was == WORKER_STARTING) {
		(void)snprintf(w->start_error, sizeof(w->start_error),
		    w->logs.last[0] != '\0'
			? "exited before it was ready, %s; last words: %s"
			: "exited before it was ready, %s: %s",
		    how,
		    w->logs.last[0] != '\0' ? w->logs.last : exit_means(how));
		if (!super_is(s, Sup_Draining))
			start_failed(w);
	} else if (was != WORKER_LOST && w->ready_ns != 0) {
		emit_worker_gone(s, w);
	}
	emit_worker_killed(s, w);
}

/* ---- leases and waiters ---- */

static void
on_lease_timer(void *arg)
{
	struct lease *l = arg;
	struct super *s = l->super;

	switch (l->state) {
	case LEASE_OFFERED:
		/* Its loop hangs: the waiter gets another worker. */
		log_warn("lease: worker does not answer lease=%s id=%s", l->id,
		    l->worker->id);
		emit_lease_ended(s, l, "stuck");
		return;
	case LEASE_GRANTED:
		emit_release_lease(s, l, "unconfirmed");
		return;
	case LEASE_CONFIRMED:
	case LEASE_OVERDUE:
		emit_release_lease(s, l, "ttl");
		return;
	case LEASE_ENDING:
		log_warn("lease: not released in time lease=%s id=%s", l->id,
		    l->worker->id);
		emit_kill_worker(s, l->worker, l->reason, STOP_HUNG);
		return;
	case LEASE__COUNT:
		break;
	}
	abort();
}

static void
on_lease_max(void *arg)
{
	struct lease *l = arg;

	/* If the worker refuses its end, flow_release_refused() looks. */
	if (l->state == LEASE_ENDING)
		return;
	if (l->state == LEASE_OVERDUE || !mirror_has_request(l->worker))
		emit_release_lease(l->super, l, "max");
	else
		flow_release_overdue(l->super, l);
}

static void
on_waiter_timer(void *arg)
{
	const struct waiter *w = arg;

	emit_release_waiter(w->super, w, "timeout");
}

void
event_owner_exit(void *arg)
{
	const struct waiter *w = arg;

	if (w->lease != NULL)
		emit_release_lease(w->super, w->lease, "owner-died");
	else
		emit_release_waiter(w->super, w, "owner-died");
}

/* ---- clients ---- */

int
event_client_connected(struct super *s, struct client *c)
{
	int r = model_add_client(&s->model, c);

	if (r == 0)
		emit_client_connected(s, c);
	return r;
}

void
event_client_gone(struct super *s, struct client *c)
{
	emit_client_disconnected(s, c);
	model_remove_client(&s->model, c);
}

/* ---- timers ---- */

const struct model_timers event_timers = {
	.worker = on_worker_timer,
	.health = on_health_timer,
	.lease = on_lease_timer,
	.lease_max = on_lease_max,
	.waiter = on_waiter_timer,
};

void
events_init(struct super *s)
{
	am_timer_init(&s->boot_timer, s->loop, on_boot, s);
	am_timer_init(&s->pool_timer, s->loop, on_pool_timer, s);
	am_timer_init(&s->heartbeat_timer, s->loop, on_heartbeat_timer, s);
	am_timer_init(&s->heartbeat_end, s->loop, on_heartbeat_end, s);
	am_timer_init(&s->stop_timer, s->loop, on_stop_timer, s);
}

void
events_done(struct super *s)
{
	am_timer_done(&s->boot_timer);
	am_timer_done(&s->pool_timer);
	am_timer_done(&s->heartbeat_timer);
	am_timer_done(&s->heartbeat_end);
	am_timer_done(&s->stop_timer);
}
