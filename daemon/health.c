#include "daemon/health.h"

#include "daemon/super.h"
#include "lib/base/clock.h"
#include "proto/worker.h"

static void
on_timer(void *arg)
{
	struct super *s = arg;

	(void)am_timer_start(&s->health.timer, s->config->heartbeat_ms);
	health_beat(s);
}

static void
on_end(void *arg)
{
	health_round_done(arg);
}

void
health_init(struct super *s)
{
	am_timer_init(&s->health.timer, s->loop, on_timer, s);
	am_timer_init(&s->health.end, s->loop, on_end, s);
	(void)am_timer_start(&s->health.timer, s->config->heartbeat_ms);
}

void
health_done(struct super *s)
{
	am_timer_done(&s->health.timer);
	am_timer_done(&s->health.end);
}

/* Nobody is asked any more: the round ends, in a turn of its own. */
static void
end_if_answered(struct super *s)
{
	const struct worker *w;

	if (!super_is(s, Sup_Heartbeat))
		return;
	TAILQ_FOREACH(w, &s->pool.workers, link)
		if (w->tries > 0)
			return;
	if (s->health.end.deadline_ns == 0)
		(void)am_timer_start(&s->health.end, 0);
}

/* Idle workers only; and one that works on without a sign of life. */
static bool
shall_ask(const struct worker *w, int64_t now_ns)
{
	const struct config *c = w->super->config;
	int64_t silent_ms = c->request_timeout_ms + HEALTH_STUCK_GRACE_MS;

	if (!w->ready || w->why[0] != '\0' || w->tries > 0)
		return false;
	if (w->lease == NULL)
		return worker_is(w, Wrk_Idle);
	return worker_is(w, Wrk_Working) &&
	    now_ns - w->push_ns > silent_ms * NS_PER_MS;
}

void
health_ask_later(struct worker *w)
{
	w->tries = 1; /* the pause takes the place of the first */
	w->asked_ns = clock_ns();
	w->asked_tick = worker_tick(w, Wrk_Healthcheck);
	(void)am_timer_start(&w->health_timer, HEALTH_PAUSE_MS);
}

static void
ask_now(struct worker *w)
{
	health_ask_later(w);
	(void)w->super->io->ask(w->super, w);
}

/* A lease that is not in our table, of somebody else on the private socket; a
 * public address that is gone; a kill that was not heard: as it is nobody would
 * ever get the worker. */
static bool
is_lost(const struct worker *w)
{
	return w->ready && w->lease == NULL && w->why[0] == '\0' &&
	    (!w->wanted || worker_is(w, Wrk_Leased) ||
		!worker_is(w, Wrk_RpcReady));
}

void
health_round(struct super *s)
{
	int64_t now_ns = clock_ns();
	struct worker *w;

	/* Many states imply Heartbeat; only the timer's is a real round. */
	if (s->health.due) {
		s->health.due = false;
		TAILQ_FOREACH(w, &s->pool.workers, link)
			if (is_lost(w))
				(void)worker_kill(w, "unwanted");
			else if (shall_ask(w, now_ns))
				ask_now(w);
	}
	end_if_answered(s);
}

void
health_beat(struct super *s)
{
	if (!super_is(s, Sup_Start))
		return;
	s->health.due = true;
	if (super_is(s, Sup_Heartbeat))
		health_round(s);
	else
		(void)super_add(s, Sup_Heartbeat, AM_NONE);
}

void
health_round_done(struct super *s)
{
	am_timer_stop(&s->health.end);
	if (super_is(s, Sup_Heartbeat))
		(void)super_remove(s, Sup_Heartbeat, AM_NONE);
}

void
health_forget(struct worker *w)
{
	if (w->tries == 0)
		return;
	w->tries = 0;
	am_timer_stop(&w->health_timer);
	end_if_answered(w->super);
}

void
health_look(struct worker *w)
{
	bool answered;

	if (w->tries == 0)
		return;
	/* Inactive again: a risen tick alone is no answer (rule 29). While it
	 * works its program may be too busy; then its loop is enough. */
	answered = worker_tick(w, Wrk_Healthcheck) > w->asked_tick &&
	    (w->lease != NULL || !worker_is(w, Wrk_Healthcheck));
	if (!answered)
		return;
	w->suspect = false;
	health_forget(w);
}

void
health_on_timeout(struct worker *w)
{
	struct super *s = w->super;

	if (w->tries == 0)
		return;
	if (w->tries < HEALTH_TRIES) {
		w->tries++;
		(void)s->io->ask(s, w);
		(void)am_timer_start(&w->health_timer, HEALTH_PAUSE_MS);
		return;
	}
	w->tries = 0;
	/* Leased since it was asked, it may be too busy to answer. */
	if (w->lease == NULL || w->push_ns < w->asked_ns)
		worker_on_error(w, "health", false);
	end_if_answered(s);
}
