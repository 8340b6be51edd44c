#include "daemon/worker.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/super.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "proto/worker.h"

static const char *
phase_name(enum worker_phase p)
{
	switch (p) {
	case WORKER_NEW:
		return "new";
	case WORKER_STARTING:
		return "starting";
	case WORKER_UP:
		return "up";
	case WORKER_STOPPING:
		return "stopping";
	case WORKER_EXITED:
		return "exited";
	}
	abort();
}

/* The one place that changes it. */
static void
set_phase(struct worker *w, enum worker_phase to)
{
	if (w->phase == to)
		return;
	log_debug("worker: phase id=%s pid=%d from=%s to=%s", w->id,
	    (int)w->pid, phase_name(w->phase), phase_name(to));
	w->phase = to;
}

/* ---- rows ---- */

static void on_timer(void *arg);

static void
on_health_timer(void *arg)
{
	health_on_timeout(arg);
}

struct worker *
worker_new(struct super *s)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->super = s;
	do
		w->number = ++s->pool.last_number;
	while (s->io->id_taken != NULL && s->io->id_taken(s, w->number));
	(void)snprintf(w->id, sizeof(w->id), "w%" PRIu32, w->number);
	w->wanted = true;
	w->pidfd = -1;
	w->out.fd = w->err.fd = -1;
	w->started_ns = clock_ns();
	am_timer_init(&w->timer, s->loop, on_timer, w);
	am_timer_init(&w->health_timer, s->loop, on_health_timer, w);
	TAILQ_INSERT_TAIL(&s->pool.workers, w, link);
	s->pool.n_workers++;
	return w;
}

void
worker_free(struct worker *w)
{
	struct super *s = w->super;

	health_forget(w);
	s->io->forget(s, w);
	am_timer_done(&w->timer);
	am_timer_done(&w->health_timer);
	TAILQ_REMOVE(&s->pool.workers, w, link);
	s->pool.n_workers--;
	free(w);
}

struct worker *
worker_find(const struct super *s, const char *id)
{
	struct worker *w;

	TAILQ_FOREACH(w, &s->pool.workers, link)
		if (strcmp(w->id, id) == 0)
			return w;
	return NULL;
}

struct worker *
worker_arg(const struct super *s, struct am_val args)
{
	char id[sizeof(((struct worker *)0)->id)];

	return am_get_text(args, "worker", id, sizeof(id)) == 0
	    ? worker_find(s, id)
	    : NULL;
}

/* ---- what is known of it ---- */

bool
worker_is(const struct worker *w, am_id state)
{
	return w->mirror != NULL && am_is1(w->mirror, state);
}

uint64_t
worker_tick(const struct worker *w, am_id state)
{
	return w->mirror != NULL ? am_tick(w->mirror, state) : 0;
}

int64_t
worker_unfit_until(const struct worker *w)
{
	if (w->n_errors == 0)
		return 0;
	return w->error_ns[w->n_errors - 1] +
	    w->super->config->error_recent_ms * NS_PER_MS;
}

bool
worker_lendable(const struct worker *w, int64_t now_ns)
{
	return w->ready && w->wanted && w->lease == NULL && !w->suspect &&
	    worker_unfit_until(w) <= now_ns && worker_is(w, Wrk_RpcReady) &&
	    worker_is(w, Wrk_Idle) && !worker_is(w, Wrk_Leased);
}

const char *
worker_state(const struct worker *w, int64_t now_ns)
{
	if (w->phase >= WORKER_STOPPING || w->why[0] != '\0')
		return "stopping";
	if (!w->ready)
		return "starting";
	if (w->lease != NULL)
		return worker_is(w, Wrk_Working) ? "working" : "leased";
	return worker_lendable(w, now_ns) ? "idle" : "unfit";
}

unsigned
worker_count_error(struct worker *w, int64_t now_ns)
{
	int64_t oldest = now_ns - w->super->config->error_ttl_ms * NS_PER_MS;
	unsigned keep = 0;

	for (unsigned i = 0; i < w->n_errors; i++)
		if (w->error_ns[i] > oldest)
			w->error_ns[keep++] = w->error_ns[i];
	if (keep == WORKER_ERRORS_MAX) {
		memmove(w->error_ns, w->error_ns + 1,
		    (WORKER_ERRORS_MAX - 1) * sizeof(w->error_ns[0]));
		keep--;
	}
	w->error_ns[keep++] = now_ns;
	w->n_errors = keep;
	w->total_errors++;
	return keep;
}

/* ---- mutations ---- */

am_result
worker_add(struct worker *w, am_id state)
{
	struct am_buf b = AM_BUF_INIT;
	am_result r;

	am_put_map(&b, 1);
	am_put_str(&b, "worker");
	am_put_str(&b, w->id);
	r = super_add(w->super, state, am_buf_val(&b));
	am_buf_done(&b);
	return r;
}

am_result
worker_kill(struct worker *w, const char *reason)
{
	struct am_buf b = AM_BUF_INIT;
	am_result r;

	/* Now: until the mutation runs it must not be lent or killed again. */
	w->wanted = false;
	am_put_map(&b, 2);
	am_put_str(&b, "worker");
	am_put_str(&b, w->id);
	am_put_str(&b, "reason");
	am_put_str(&b, reason);
	r = super_add(w->super, Sup_KillWorker, am_buf_val(&b));
	am_buf_done(&b);
	return r;
}

/* ---- its life ---- */

void
worker_spawn(struct worker *w)
{
	struct super *s = w->super;
	struct am_error err = { "" };
	struct am_buf b = AM_BUF_INIT;
	int r;

	r = s->io->spawn(s, w, &err);
	if (r < 0) {
		/* Told by the timer: an error is a mutation of its own. */
		(void)snprintf(w->fault, sizeof(w->fault), "%.190s", err.text);
		set_phase(w, WORKER_EXITED);
		(void)am_timer_start(&w->timer, 0);
		return;
	}
	set_phase(w, WORKER_STARTING);
	log_info("worker: started id=%s pid=%d", w->id, (int)w->pid);
	am_put_map(&b, 2);
	am_put_str(&b, "worker");
	am_put_str(&b, w->id);
	am_put_str(&b, "pid");
	am_put_int(&b, w->pid);
	(void)super_add(s, Sup_SetWorker, am_buf_val(&b));
	am_buf_done(&b);
	(void)am_timer_start(&w->timer, 0);
}

/* It ended, or has to, before it was ready. */
static void
start_failed(struct worker *w)
{
	struct super *s = w->super;

	/* Broken, the pool's own line says it each time. */
	if (!s->pool.broken)
		log_warn("worker: start failed id=%s pid=%d: %s", w->id,
		    (int)w->pid, w->fault);
	super_err_worker(s, w->id, w->fault, false);
	pool_start_failed(s, w);
}

static void
spawn_failed(struct worker *w)
{
	struct super *s = w->super;

	start_failed(w);
	worker_free(w);
	pool_check(s);
	super_drain_idle(s);
}

static void
start_timeout(struct worker *w)
{
	if (w->fault[0] == '\0')
		(void)snprintf(w->fault, sizeof(w->fault),
		    "was not ready within StartTimeout, %" PRId64 "ms",
		    w->super->config->start_timeout_ms);
	start_failed(w);
	(void)worker_kill(w, "start-timeout");
}

static void
connect_now(struct worker *w)
{
	struct super *s = w->super;
	int r = s->io->connect(s, w);

	w->connected = true;
	if (r < 0) {
		(void)snprintf(w->fault, sizeof(w->fault),
		    "its private socket cannot be connected: %s", strerror(-r));
		start_failed(w);
		(void)worker_kill(w, "connect");
		return;
	}
	worker_on_connected(w);
	(void)am_timer_start(&w->timer, s->config->start_timeout_ms);
}

/* The one timer of a worker: what it means hangs on the phase. */
static void
on_timer(void *arg)
{
	struct worker *w = arg;
	struct super *s = w->super;

	switch (w->phase) {
	case WORKER_NEW:
		return;
	case WORKER_STARTING:
		if (!w->connected)
			connect_now(w);
		else
			start_timeout(w);
		return;
	case WORKER_UP:
		if (!w->ready)
			start_timeout(w);
		return;
	case WORKER_STOPPING:
		log_warn("worker: does not stop, killed id=%s pid=%d", w->id,
		    (int)w->pid);
		s->io->signal(s, w, SIGKILL);
		return;
	case WORKER_EXITED:
		spawn_failed(w);
		return;
	}
	abort();
}

void
worker_stop(struct worker *w)
{
	struct super *s = w->super;
	/* A host may need one grace to ask its program and one after TERM; one
	 * that hangs gets no such time. */
	int64_t grace_ms = w->hung || w->n_errors > 0
	    ? s->config->stop_grace_ms
	    : 2 * s->config->stop_grace_ms + 500;

	if (w->phase == WORKER_EXITED || w->phase == WORKER_NEW)
		return;
	set_phase(w, WORKER_STOPPING);
	health_forget(w);
	if (s->hurry) {
		am_timer_stop(&w->timer);
		s->io->signal(s, w, SIGKILL);
		return;
	}
	s->io->signal(s, w, SIGTERM);
	(void)am_timer_start(&w->timer, grace_ms);
}

/* ---- what comes from the world ---- */

void
worker_on_connected(struct worker *w)
{
	(void)worker_add(w, Sup_WorkerConnected);
}

void
worker_on_hello(struct worker *w)
{
	w->push_ns = clock_ns();
	if (w->phase == WORKER_STARTING)
		set_phase(w, WORKER_UP);
	(void)worker_add(w, Sup_WorkerForked);
}

/* Did the client of the lease come, is the lease over? By ticks: a state that
 * came and went within a turn is never seen active (rule 17). */
static void
look_at_lease(struct worker *w)
{
	struct lease *l = w->lease;

	if (l->phase == LEASE_GRANTED &&
	    worker_tick(w, Wrk_ClientConnected) > l->client_tick)
		lease_confirmed(l);
	if (w->lease != l)
		return;
	if (worker_tick(w, Wrk_Leased) >= l->leased_tick + 2 &&
	    !worker_is(w, Wrk_Leased))
		lease_add_ended(l, l->reason[0] != '\0' ? l->reason : "worker");
	else
		lease_look(l);
}

void
worker_on_end_taken(struct worker *w)
{
	if (w->lease != NULL)
		lease_end_taken(w->lease);
}

void
worker_on_end_refused(struct worker *w)
{
	if (w->lease == NULL)
		return;
	lease_stays(w->lease);
	look_at_lease(w);
}

void
worker_on_push(struct worker *w)
{
	struct super *s = w->super;

	w->push_ns = clock_ns();
	if (w->phase == WORKER_UP && !w->ready && w->wanted &&
	    worker_is(w, Wrk_Ready)) {
		am_timer_stop(&w->timer);
		(void)worker_add(w, Sup_WorkerReady);
	}
	if (w->lease != NULL)
		look_at_lease(w);
	health_look(w);
	/* Nothing that a leased one does changes who can be lent. */
	if (w->lease == NULL) {
		if (!worker_is(w, Wrk_Idle))
			w->idle_ns = w->push_ns;
		pool_available(s);
	}
	super_drain_idle(s);
}

void
worker_on_served(struct worker *w, bool accepted, const char *why)
{
	struct lease *l = w->lease;

	if (l == NULL || l->phase == LEASE_GRANTED ||
	    l->phase == LEASE_CONFIRMED)
		return;
	if (!accepted) {
		lease_refused(l, why);
		return;
	}
	if (l->phase == LEASE_OFFERED)
		lease_granted(l);
}

void
worker_on_error(struct worker *w, const char *err, bool stuck)
{
	log_warn("worker: error id=%s pid=%d stuck=%s: %s", w->id, (int)w->pid,
	    stuck ? "yes" : "no", err);
	super_err_worker(w->super, w->id, err, stuck);
}

void
worker_on_gone(struct worker *w, const char *why)
{
	if (w->gone)
		return;
	w->gone = true;
	health_forget(w);
	log_debug("worker: connection lost id=%s: %s", w->id, why);
	if (w->ready) {
		(void)worker_add(w, Sup_WorkerGone);
		return;
	}
	if (w->phase == WORKER_STOPPING || w->phase == WORKER_EXITED)
		return;
	/* Its exit, most likely seen in a moment, says more; if there is none
	 * it has to go anyway. */
	if (w->fault[0] == '\0')
		(void)snprintf(w->fault, sizeof(w->fault),
		    "closed its private connection before it was ready: %.100s",
		    why);
	(void)am_timer_start(&w->timer, 500);
}

/* 126 and 127 as amnode-exec and sh mean them. */
static const char *
exit_means(const char *how)
{
	if (strcmp(how, "status=126") == 0)
		return "its program cannot be executed";
	if (strcmp(how, "status=127") == 0)
		return "its program was not found";
	return "what it printed is in the log";
}

void
worker_on_exit(struct worker *w, const char *how)
{
	struct super *s = w->super;
	int64_t now_ns = clock_ns();
	bool started = w->phase == WORKER_STARTING || w->phase == WORKER_UP;
	bool was_ready = w->ready;

	am_timer_stop(&w->timer);
	worker_on_gone(w, "the process exited");
	am_timer_stop(&w->timer);
	log_info("worker: exited id=%s pid=%d %s uptime=%" PRId64
		 "ms reason=%s",
	    w->id, (int)w->pid, how, (now_ns - w->started_ns) / NS_PER_MS,
	    w->why[0] != '\0' ? w->why : "unasked");
	set_phase(w, WORKER_EXITED);
	if (!was_ready && started && w->ready_ns == 0 &&
	    !super_is(s, Sup_Draining)) {
		(void)snprintf(w->fault, sizeof(w->fault),
		    "exited before it was ready, %s: %s", how, exit_means(how));
		start_failed(w);
	} else if (w->ready_ns != 0 && (w->wanted || w->faulty) &&
	    !super_is(s, Sup_Draining)) {
		pool_worker_died(s, w, now_ns);
	}
	(void)worker_add(w, Sup_WorkerKilled);
}
