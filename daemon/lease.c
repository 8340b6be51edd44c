#include "daemon/lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/super.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "proto/worker.h"

static struct lease *lease_free(struct lease *l);

int
leases_init(struct super *s)
{
	TAILQ_INIT(&s->leases);
	s->ends.ring = calloc(LEASE_ENDS_MAX, sizeof(*s->ends.ring));
	return s->ends.ring == NULL ? -ENOMEM : 0;
}

void
leases_done(struct super *s)
{
	struct lease *l;

	while ((l = TAILQ_FIRST(&s->leases)) != NULL)
		(void)lease_free(l);
	free(s->ends.ring);
	s->ends.ring = NULL;
}

/* ---- look-ups ---- */

struct lease *
lease_find(const struct super *s, const char *id)
{
	struct lease *l;

	TAILQ_FOREACH(l, &s->leases, link)
		if (strcmp(l->id, id) == 0)
			return l;
	return NULL;
}

struct lease *
lease_arg(const struct super *s, struct am_val args)
{
	char id[sizeof(((struct lease *)0)->id)];

	return am_get_text(args, "lease", id, sizeof(id)) == 0
	    ? lease_find(s, id)
	    : NULL;
}

struct lease *
lease_of_request(const struct super *s, uint64_t client_id, uint64_t request)
{
	struct lease *l;

	TAILQ_FOREACH(l, &s->leases, link)
		if (l->waiter != NULL && l->waiter->client_id == client_id &&
		    l->waiter->request == request)
			return l;
	return NULL;
}

const struct lease_end *
lease_ended(const struct super *s, const char *id)
{
	char name[16];

	for (unsigned i = 0; i < s->ends.n; i++) {
		(void)snprintf(name, sizeof(name), "L%" PRIu32,
		    s->ends.ring[i].number);
		if (strcmp(name, id) == 0)
			return &s->ends.ring[i];
	}
	return NULL;
}

const char *
lease_phase_name(enum lease_phase p)
{
	switch (p) {
	case LEASE_OFFERED:
		return "offered";
	case LEASE_GRANTED:
		return "granted";
	case LEASE_CONFIRMED:
		return "confirmed";
	case LEASE_ENDING:
		return "ending";
	}
	abort();
}

unsigned
lease_count_user(const struct super *s, const struct client *c)
{
	const struct lease *l;
	unsigned n = 0;

	TAILQ_FOREACH(l, &s->leases, link)
		n += waiter_is_of_user(l->waiter, c);
	return n;
}

bool
lease_permits(const struct lease *l, const struct client *c)
{
	if (c->has_token && secret_equal(c->token, l->token, sizeof(l->token)))
		return true;
	if (l->waiter->client_id == c->id)
		return true;
	return c->admin || (c->uid != (uid_t)-1 && c->uid == l->waiter->uid);
}

/* ---- its time ---- */

/* Its loop hangs: its waiter gets another one, it is replaced. */
static void
no_answer(struct lease *l)
{
	struct worker *w = l->worker;

	w->hung = true;
	w->faulty = true;
	lease_refused(l, "it does not answer");
	(void)worker_kill(w, "stuck");
}

static void
on_timer(void *arg)
{
	struct lease *l = arg;

	switch (l->phase) {
	case LEASE_OFFERED:
		no_answer(l);
		return;
	case LEASE_GRANTED:
		lease_revoke(l, "unconfirmed");
		return;
	case LEASE_CONFIRMED:
		lease_revoke(l, "ttl");
		return;
	case LEASE_ENDING:
		log_warn("lease: worker does not let go lease=%s id=%s", l->id,
		    l->worker->id);
		l->worker->hung = true;
		if (l->worker->why[0] == '\0')
			(void)worker_kill(l->worker, l->reason);
		return;
	}
	abort();
}

/* Max is over. A running request may end, but not longer than one may take. */
static void
on_max(void *arg)
{
	struct lease *l = arg;

	if (l->overdue || !worker_is(l->worker, Wrk_Working)) {
		lease_revoke(l, "max");
		return;
	}
	l->overdue = true;
	(void)am_timer_start(&l->max_timer,
	    l->super->config->request_timeout_ms);
}

static void
on_owner_exit(void *arg)
{
	lease_revoke(arg, "owner-died");
}

void
lease_look(struct lease *l)
{
	const struct worker *w = l->worker;
	bool working = worker_is(w, Wrk_Working) ||
	    worker_is(w, Wrk_WorkRequested);

	if (l->phase != LEASE_CONFIRMED)
		return;
	if (l->overdue && !working) {
		lease_revoke(l, "max");
		return;
	}
	if (working || l->waiter->owner.pid != 0 ||
	    worker_is(w, Wrk_ClientConnected))
		am_timer_stop(&l->timer);
	else if (l->timer.deadline_ns == 0)
		(void)am_timer_start(&l->timer, l->waiter->ttl_ms);
}

/* ---- its life ---- */

static struct lease *
lease_free(struct lease *l)
{
	TAILQ_REMOVE(&l->super->leases, l, link);
	if (l->worker != NULL && l->worker->lease == l)
		l->worker->lease = NULL;
	explicit_bzero(l->token, sizeof(l->token));
	am_timer_done(&l->timer);
	am_timer_done(&l->max_timer);
	(void)waiter_free(l->waiter);
	free(l);
	return NULL;
}

struct lease *
lease_offer(struct super *s, struct worker *w, struct waiter *waiter)
{
	struct lease *l = calloc(1, sizeof(*l));
	struct arpc_lease begin = { .ttl_ms = waiter->ttl_ms,
		.max_ms = waiter->max_ms };

	if (l == NULL ||
	    getrandom(l->token, sizeof(l->token), 0) != sizeof(l->token)) {
		free(l);
		waiter_refuse(waiter, "no_worker", "no memory for a lease");
		return NULL;
	}
	l->super = s;
	l->worker = w;
	l->waiter = waiter;
	l->number = ++s->last_lease;
	(void)snprintf(l->id, sizeof(l->id), "L%" PRIu32, l->number);
	l->since_ns = clock_ns();
	l->client_tick = worker_tick(w, Wrk_ClientConnected);
	l->leased_tick = worker_tick(w, Wrk_Leased);
	am_timer_init(&l->timer, s->loop, on_timer, l);
	am_timer_init(&l->max_timer, s->loop, on_max, l);
	TAILQ_INSERT_TAIL(&s->leases, l, link);
	w->lease = l;
	am_timer_stop(&waiter->timer);
	(void)am_timer_start(&l->timer, LEASE_OFFER_MS);
	if (waiter->owner.pid != 0)
		owner_on_exit(&waiter->owner, on_owner_exit, l);

	(void)snprintf(begin.lease, sizeof(begin.lease), "%s", l->id);
	(void)snprintf(begin.client, sizeof(begin.client), "%s", waiter->name);
	memcpy(begin.token, l->token, sizeof(begin.token));
	/* A connection that is just dying ends the lease by WorkerGone. */
	(void)s->io->serve(s, w, &begin);
	explicit_bzero(&begin, sizeof(begin));
	return l;
}

/* Its worker did not take the lease: the waiter has lost nothing by it. */
static void
waiter_back(struct waiter *waiter)
{
	if (waiter->client == NULL) {
		(void)waiter_free(waiter);
		return;
	}
	if (super_is(waiter->super, Sup_Draining))
		waiter_refuse(waiter, "draining", "the supervisor stops");
	else
		waiter_queue_head(waiter);
}

void
lease_refused(struct lease *l, const char *why)
{
	struct super *s = l->super;
	struct waiter *waiter = l->waiter;
	struct am_buf b = AM_BUF_INIT;

	log_warn("lease: worker refused lease=%s id=%s: %s", l->id,
	    l->worker->id, why);
	l->worker->suspect = true;
	health_ask_later(l->worker);
	/* Nobody wants it any more. */
	if (l->phase == LEASE_ENDING) {
		lease_add_ended(l, l->reason);
		return;
	}
	l->waiter = NULL;
	/* Before it is freed, nobody may find it half dead. */
	(void)lease_free(l);
	waiter_back(waiter);
	am_put_map(&b, 1);
	am_put_str(&b, "next");
	am_put_bool(&b, true);
	if (super_add(s, Sup_ProvideWorker, am_buf_val(&b)) == AM_CANCELED)
		waiters_show(s);
	am_buf_done(&b);
}

static am_result
add(struct lease *l, am_id state, const char *reason)
{
	struct super *s = l->super;
	struct am_buf b = AM_BUF_INIT;
	am_result r;

	am_put_map(&b, reason != NULL ? 3 : 2);
	am_put_str(&b, "lease");
	am_put_str(&b, l->id);
	am_put_str(&b, "worker");
	am_put_str(&b, l->worker->id);
	if (reason != NULL) {
		am_put_str(&b, "reason");
		am_put_str(&b, reason);
	}
	r = super_add(s, state, am_buf_val(&b));
	am_buf_done(&b);
	return r;
}

void
lease_granted(struct lease *l)
{
	char name[80];

	l->phase = LEASE_GRANTED;
	(void)am_timer_start(&l->timer, LEASE_CONFIRM_MS);
	log_info("lease: granted lease=%s id=%s client=c%" PRIu64
		 " name=%s uid=%d pid=%d",
	    l->id, l->worker->id, l->waiter->client_id,
	    log_quote(name, sizeof(name), l->waiter->name,
		strlen(l->waiter->name)),
	    (int)l->waiter->uid, (int)l->waiter->owner.pid);
	(void)add(l, Sup_LeaseGranted, NULL);
}

void
lease_confirmed(struct lease *l)
{
	l->phase = LEASE_CONFIRMED;
	am_timer_stop(&l->timer);
	(void)am_timer_start(&l->max_timer, l->waiter->max_ms);
	(void)add(l, Sup_LeaseConfirmed, NULL);
}

void
lease_revoke(struct lease *l, const char *reason)
{
	if (l->phase != LEASE_ENDING)
		(void)add(l, Sup_ReleaseWorker, reason);
}

/* How long what was answered may take to reach the client. */
static int64_t
wait_of(const struct super *s, const char *reason)
{
	static const char *const graceful[] = { "released", "discard", "max" };
	int64_t left_ms = (s->drain_end_ns - clock_ns()) / NS_PER_MS;

	if (strcmp(reason, "drain") == 0)
		return left_ms > 0 ? left_ms : 0;
	for (size_t i = 0; i < sizeof(graceful) / sizeof(graceful[0]); i++)
		if (strcmp(reason, graceful[i]) == 0)
			return s->config->stop_grace_ms;
	return 0;
}

void
lease_ending(struct lease *l, const char *reason)
{
	struct super *s = l->super;

	(void)snprintf(l->reason, sizeof(l->reason), "%s", reason);
	if (strcmp(reason, "discard") == 0 ||
	    s->config->on_release == ON_RELEASE_RECYCLE)
		l->discard = true;
	if (l->discard)
		l->worker->wanted = false;
	l->phase = LEASE_ENDING;
	l->wait_ms = wait_of(s, reason);
	am_timer_stop(&l->max_timer);
	(void)am_timer_start(&l->timer, LEASE_END_MS);
	/* Without a connection WorkerGone ends it. */
	(void)s->io->end_lease(s, l->worker, l);
}

void
lease_end_taken(struct lease *l)
{
	if (l->phase == LEASE_ENDING && l->wait_ms > 0)
		(void)am_timer_start(&l->timer, l->wait_ms + LEASE_END_MS);
}

void
lease_stays(struct lease *l)
{
	if (l->phase != LEASE_ENDING || !worker_is(l->worker, Wrk_Leased) ||
	    (strcmp(l->reason, "client-gone") != 0 &&
		strcmp(l->reason, "unconfirmed") != 0))
		return;
	log_info("lease: its client has come lease=%s id=%s", l->id,
	    l->worker->id);
	l->phase = LEASE_GRANTED;
	l->reason[0] = '\0';
	(void)am_timer_start(&l->timer, LEASE_CONFIRM_MS);
}

void
lease_add_ended(struct lease *l, const char *reason)
{
	(void)add(l, Sup_LeaseEnded, reason);
}

void
lease_close(struct lease *l, const char *reason)
{
	struct super *s = l->super;
	struct lease_end *end = &s->ends.ring[s->ends.next];
	struct waiter *waiter = NULL;

	*end = (struct lease_end){ .number = l->number };
	(void)snprintf(end->reason, sizeof(end->reason), "%s", reason);
	(void)snprintf(end->worker, sizeof(end->worker), "%s", l->worker->id);
	s->ends.next = (s->ends.next + 1) % LEASE_ENDS_MAX;
	if (s->ends.n < LEASE_ENDS_MAX)
		s->ends.n++;
	log_info("lease: ended lease=%s id=%s reason=%s after=%" PRId64 "ms",
	    l->id, l->worker->id, reason,
	    (clock_ns() - l->since_ns) / NS_PER_MS);
	l->worker->idle_ns = clock_ns();
	/* The worker died while it was asked: the client knows of nothing. */
	if (l->phase == LEASE_OFFERED) {
		waiter = l->waiter;
		l->waiter = NULL;
	}
	(void)lease_free(l);
	if (waiter != NULL)
		waiter_back(waiter);
}
