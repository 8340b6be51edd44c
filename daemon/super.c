#include "daemon/super.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/handlers.h"
#include "lib/amnode_log.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/machine/machine.h"
#include "lib/node/common.h"
#include "proto/worker.h"

static void on_boot(void *arg);
static void on_drain(void *arg);

static void
on_pool_timer(void *arg)
{
	pool_on_timer(arg);
}

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct super *s = arg;

#ifdef AM_CHECK
	/* No pulse outlives its drain. */
	assert(node_pulse_left(m) == NULL);
#endif
	(void)m;
	due_run(&s->due);
}

static const struct am_tracer super_tracer = { .size = sizeof(super_tracer),
	.drain_end = on_drain_end };

/* Of am_set_logger_env(). */
static void
on_machine_line(const struct am_machine *m, enum am_log_level level,
    const char *line, void *arg)
{
	(void)m;
	(void)level;
	(void)arg;
	log_info("machine: %s", line);
}

static const struct am_logger logger = { .size = sizeof(logger),
	.line = on_machine_line };

int
super_init(struct super *s, struct am_loop *loop, const struct config *config,
    const char *instance, const struct super_io *io, void *world,
    struct am_error *err)
{
	char id[64];
	int r;

	*s = (struct super){
		.loop = loop,
		.config = config,
		.instance = instance,
		.io = io,
		.world = world,
		.started_ns = clock_ns(),
	};
	TAILQ_INIT(&s->clients);
	pool_init(s);
	waiters_init(s);
	r = leases_init(s);
	am_timer_init(&s->boot, loop, on_boot, s);
	am_timer_init(&s->drain, loop, on_drain, s);
	am_timer_init(&s->pool.timer, loop, on_pool_timer, s);
	if (r < 0)
		return r;
	s->schema = am_schema_new(&am_supervisor_states, err);
	if (s->schema == NULL)
		return -EINVAL;
	(void)snprintf(id, sizeof(id), "amnoded-%s", instance);
	s->machine = am_machine_new(s->schema, id);
	if (s->machine == NULL || am_bind(s->machine, &super_handlers, s) < 0 ||
	    am_bind(s->machine, &super_lease_handlers, s) < 0 ||
	    am_set_logger_env(s->machine, &logger) < 0)
		return -ENOMEM;
	due_init(&s->due, s->machine);
	if (am_trace(s->machine, &super_tracer, s) < 0)
		return -ENOMEM;
	health_init(s);
	return 0;
}

void
super_done(struct super *s)
{
	leases_done(s);
	waiters_done(s);
	pool_done(s);
	health_done(s);
	am_timer_done(&s->boot);
	am_timer_done(&s->drain);
	am_timer_done(&s->pool.timer);
	if (s->machine != NULL)
		am_untrace(s->machine, &super_tracer, s);
	s->machine = am_machine_free(s->machine);
	due_done(&s->due);
	s->schema = am_schema_unref(s->schema);
}

bool
super_is(const struct super *s, am_id state)
{
	return am_is1(s->machine, state);
}

am_result
super_add(struct super *s, am_id state, struct am_val args)
{
	return due_add1(&s->due, state, args);
}

am_result
super_remove(struct super *s, am_id state, struct am_val args)
{
	return due_remove1(&s->due, state, args);
}

am_result
super_add_all(struct super *s, const am_id *states, size_t n,
    struct am_val args)
{
	return due_mutate(&s->due, AM_ADD, states, n, args);
}

am_result
super_remove_all(struct super *s, const am_id *states, size_t n,
    struct am_val args)
{
	return due_mutate(&s->due, AM_REMOVE, states, n, args);
}

/* ---- start ---- */

void
super_start(struct super *s)
{
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 1);
	am_put_str(&b, "public");
	am_put_bool(&b, true);
	(void)super_add(s, Sup_Start, am_buf_val(&b));
	am_buf_done(&b);
}

static void
on_boot(void *arg)
{
	struct super *s = arg;
	struct am_error err;

	super_local_ready(s);
	if (s->io->listen(s, &err) < 0) {
		log_error("amnoded: %s", err.text);
		s->failed = true;
		super_hurry(s);
		return;
	}
	super_public_ready(s);
}

void
super_local_ready(struct super *s)
{
	(void)super_add(s, Sup_LocalRpcReady, AM_NONE);
}

void
super_public_ready(struct super *s)
{
	(void)super_add(s, Sup_PublicRpcReady, AM_NONE);
}

/* ---- stop ---- */

void
super_drain(struct super *s)
{
	s->drain_end_ns = clock_ns() + s->config->stop_timeout_ms * NS_PER_MS;
	log_info("amnoded: stopping, leases may finish their request "
		 "timeout=%" PRId64 "ms",
	    s->config->stop_timeout_ms);
	(void)super_add(s, Sup_Draining, AM_NONE);
}

void
super_drain_idle(struct super *s)
{
	struct lease *l, *next;

	if (!super_is(s, Sup_Draining))
		return;
	for (l = TAILQ_FIRST(&s->leases); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		if (!worker_is(l->worker, Wrk_Working) &&
		    !worker_is(l->worker, Wrk_WorkRequested))
			lease_revoke(l, "drain");
	}
}

void
super_end_if_empty(struct super *s)
{
	static const am_id last[] = { Sup_Start, Sup_PoolStarting };

	/* -Start alone would leave PoolStarting (rule 30). */
	if (super_is(s, Sup_Draining) && s->pool.n_workers == 0)
		(void)super_remove_all(s, last, 2, AM_NONE);
}

/* First at once, then when StopTimeout is over, then it has lasted too long. */
static void
on_drain(void *arg)
{
	struct super *s = arg;
	struct lease *l, *next;

	switch (s->drain_step++) {
	case 0:
		super_drain_idle(s);
		(void)am_timer_start(&s->drain, s->config->stop_timeout_ms);
		return;
	case 1:
		for (l = TAILQ_FIRST(&s->leases); l != NULL; l = next) {
			next = TAILQ_NEXT(l, link);
			lease_revoke(l, "drain");
		}
		(void)am_timer_start(&s->drain,
		    LEASE_END_MS + 2 * s->config->stop_grace_ms + 1000);
		return;
	default:
		super_hurry(s);
	}
}

void
super_hurry(struct super *s)
{
	struct worker *w, *next;

	if (!s->hurry)
		log_warn("amnoded: stopping at once workers=%u",
		    s->pool.n_workers);
	s->hurry = true;
	(void)super_add(s, Sup_Draining, AM_NONE);
	for (w = TAILQ_FIRST(&s->pool.workers); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->why[0] == '\0')
			(void)worker_kill(w, "drain");
		else if (w->phase == WORKER_STOPPING)
			s->io->signal(s, w, SIGKILL);
	}
}

/* ---- errors ---- */

void
super_err_worker(struct super *s, const char *id, const char *text, bool stuck)
{
	static const am_id states[] = { Sup_ErrWorker, Sup_Exception };
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 3);
	am_put_str(&b, "worker");
	am_put_str(&b, id);
	am_put_str(&b, "err");
	am_put_str(&b, text);
	am_put_str(&b, "stuck");
	am_put_bool(&b, stuck);
	/* While ErrPool holds Exception it must stay (rule 28). */
	due_pulse(&s->due, states, 2, s->pool.broken ? 1 : 2, am_buf_val(&b));
	am_buf_done(&b);
}

/* ---- clients ---- */

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

struct client *
super_client(const struct super *s, uint64_t id)
{
	struct client *c;

	TAILQ_FOREACH(c, &s->clients, link)
		if (c->id == id)
			return c;
	return NULL;
}

static void
add_client_state(struct super *s, am_id state, const struct client *c)
{
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 1);
	am_put_str(&b, "client");
	am_put_uint(&b, c->id);
	(void)super_add(s, state, am_buf_val(&b));
	am_buf_done(&b);
}

void
super_client_add(struct super *s, struct client *c)
{
	TAILQ_INSERT_TAIL(&s->clients, c, link);
	add_client_state(s, Sup_ClientConnected, c);
}

void
super_client_gone(struct super *s, struct client *c)
{
	struct waiter *w, *w_next;
	struct lease *l, *l_next;
	bool waited = false;

	TAILQ_REMOVE(&s->clients, c, link);
	for (w = TAILQ_FIRST(&s->waiters.list); w != NULL; w = w_next) {
		w_next = TAILQ_NEXT(w, link);
		if (w->client == c) {
			(void)waiter_free(w);
			waited = true;
		}
	}
	if (waited) {
		waiters_show(s);
		pool_check(s);
	}
	for (l = TAILQ_FIRST(&s->leases); l != NULL; l = l_next) {
		l_next = TAILQ_NEXT(l, link);
		if (l->waiter->client != c)
			continue;
		l->waiter->client = NULL;
		/* Confirmed, it lives on by its ttl or owner. */
		if (l->phase == LEASE_OFFERED || l->phase == LEASE_GRANTED)
			lease_revoke(l, "client-gone");
	}
	add_client_state(s, Sup_ClientDisconnected, c);
}

/* ---- for people ---- */

void
super_status(const struct super *s, char *buf, size_t size)
{
	unsigned ready = pool_ready(s), leased = pool_leased(s);

	if (super_is(s, Sup_Draining))
		(void)snprintf(buf, size,
		    "stopping: %u workers left, %u leased", s->pool.n_workers,
		    leased);
	else if (s->pool.broken)
		(void)snprintf(buf, size, "pool broken, trying on: %s",
		    s->pool.reason);
	else if (ready < s->config->pool_min)
		(void)snprintf(buf, size,
		    "starting: %u of %" PRId64 " workers ready%s%s", ready,
		    s->config->pool_min,
		    s->pool.reason[0] != '\0' ? "; last failure: " : "",
		    s->pool.reason);
	else
		(void)snprintf(buf, size,
		    "ready: %u workers, %u idle, %u leased, %u clients waiting",
		    ready, pool_free(s), leased, s->waiters.n);
}

void
super_dump(const struct super *s)
{
	struct am_buf b = AM_BUF_INIT;
	char status[400], name[80];
	int64_t now_ns = clock_ns();
	const struct worker *w;
	const struct lease *l;
	const struct waiter *wt;
	const struct client *c;

	super_status(s, status, sizeof(status));
	log_info("dump: %s", status);
	am_string(s->machine, &b);
	log_info("dump: machine %.*s", (int)b.len,
	    b.data != NULL ? b.data : "");
	am_buf_done(&b);
	log_info("dump: pool rows=%u wanted=%u ready=%u starting=%u "
		 "failed_rounds=%u broken=%d "
		 "retries=%u",
	    s->pool.n_workers, pool_wanted(s), pool_ready(s), pool_starting(s),
	    s->pool.failed_rounds, s->pool.broken, s->pool.n_retry);
	TAILQ_FOREACH(w, &s->pool.workers, link)
		log_info("dump: worker id=%s pid=%d state=%s wanted=%d "
			 "ready=%d lease=%s errors=%u "
			 "deaths_in_a_row=%u uptime=%" PRId64
			 "ms timer=%" PRId64 "ms",
		    w->id, (int)w->pid, worker_state(w, now_ns), w->wanted,
		    w->ready, w->lease != NULL ? w->lease->id : "-",
		    w->n_errors, w->fails, (now_ns - w->started_ns) / NS_PER_MS,
		    w->timer.deadline_ns != 0
			? (w->timer.deadline_ns - now_ns) / NS_PER_MS
			: -1);
	TAILQ_FOREACH(l, &s->leases, link)
		log_info("dump: lease lease=%s id=%s phase=%s client=c%" PRIu64
			 " uid=%d owner=%d "
			 "reason=%s age=%" PRId64 "ms",
		    l->id, l->worker->id, lease_phase_name(l->phase),
		    l->waiter->client_id, (int)l->waiter->uid,
		    (int)l->waiter->owner.pid,
		    l->reason[0] != '\0' ? l->reason : "-",
		    (now_ns - l->since_ns) / NS_PER_MS);
	TAILQ_FOREACH(wt, &s->waiters.list, link)
		log_info("dump: waiter client=c%" PRIu64 " request=%" PRIu64
			 " priority=%d uid=%d",
		    wt->client_id, wt->request, wt->priority, (int)wt->uid);
	TAILQ_FOREACH(c, &s->clients, link)
		log_info("dump: client id=c%" PRIu64 " uid=%d admin=%d name=%s",
		    c->id, (int)c->uid, c->admin,
		    log_quote(name, sizeof(name), c->name, strlen(c->name)));
}
