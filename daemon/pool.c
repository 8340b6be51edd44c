#include "daemon/pool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/super.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "proto/worker.h"

void
pool_init(struct super *s)
{
	TAILQ_INIT(&s->pool.workers);
	s->pool.round = 1;
}

void
pool_done(struct super *s)
{
	struct worker *w;

	while ((w = TAILQ_FIRST(&s->pool.workers)) != NULL)
		worker_free(w);
	free(s->pool.retry);
	s->pool.retry = NULL;
}

/* ---- counts ---- */

unsigned
pool_ready(const struct super *s)
{
	const struct worker *w;
	unsigned n = 0;

	TAILQ_FOREACH(w, &s->pool.workers, link)
		n += w->ready;
	return n;
}

unsigned
pool_leased(const struct super *s)
{
	const struct worker *w;
	unsigned n = 0;

	TAILQ_FOREACH(w, &s->pool.workers, link)
		n += w->lease != NULL;
	return n;
}

unsigned
pool_starting(const struct super *s)
{
	const struct worker *w;
	unsigned n = 0;

	TAILQ_FOREACH(w, &s->pool.workers, link)
		n += w->wanted && !w->ready && w->phase < WORKER_STOPPING;
	return n;
}

unsigned
pool_free(const struct super *s)
{
	int64_t now_ns = clock_ns();
	const struct worker *w;
	unsigned n = 0;

	TAILQ_FOREACH(w, &s->pool.workers, link)
		n += worker_lendable(w, now_ns);
	return n;
}

struct worker *
pool_first_free(const struct super *s)
{
	int64_t now_ns = clock_ns();
	struct worker *w;

	TAILQ_FOREACH(w, &s->pool.workers, link)
		if (worker_lendable(w, now_ns))
			return w;
	return NULL;
}

unsigned
pool_wanted(const struct super *s)
{
	const struct config *c = s->config;
	int64_t busy = (int64_t)pool_leased(s) + s->waiters.n;
	int64_t base = c->pool_min > busy ? c->pool_min : busy;
	int64_t n = base + c->pool_warm;

	return (unsigned)(n < c->pool_max ? n : c->pool_max);
}

/* ---- states as they should be ---- */

void
pool_check(struct super *s)
{
	static const am_id starting[] = { Sup_PoolStarting,
		Sup_NormalizingPool };
	unsigned ready = pool_ready(s);
	unsigned wanted = pool_wanted(s);

	if (!super_is(s, Sup_Start) || super_is(s, Sup_Draining))
		return;
	if (ready >= s->config->pool_min) {
		if (!super_is(s, Sup_PoolReady))
			(void)super_add(s, Sup_PoolReady, AM_NONE);
	} else if (!super_is(s, Sup_PoolStarting)) {
		(void)super_add_all(s, starting, 2, AM_NONE);
	}
	if (s->pool.n_workers < wanted) {
		/* Active already, it calls no handler again (rule 25). */
		if (super_is(s, Sup_NormalizingPool))
			pool_normalize(s);
		else
			(void)super_add(s, Sup_NormalizingPool, AM_NONE);
	} else if (ready >= wanted && super_is(s, Sup_NormalizingPool) &&
	    !super_is(s, Sup_ErrPool)) {
		(void)super_add(s, Sup_PoolNormalized, AM_NONE);
	}
	pool_schedule(s);
}

void
pool_available(struct super *s)
{
	bool is = super_is(s, Sup_WorkersAvailable);
	bool want = pool_free(s) > 0;

	if (want && !is && super_is(s, Sup_PoolReady) &&
	    !super_is(s, Sup_Draining))
		(void)super_add(s, Sup_WorkersAvailable, AM_NONE);
	else if (!want && is)
		(void)super_remove(s, Sup_WorkersAvailable, AM_NONE);
	pool_schedule(s);
}

/* ---- back-off ---- */

int64_t
pool_backoff_ms(unsigned n, uint8_t random)
{
	int64_t ms = POOL_BACKOFF_MS;

	if (n <= 1)
		return 0;
	for (; n > 2 && ms < POOL_BACKOFF_MAX_MS; n--)
		ms *= 2;
	if (ms > POOL_BACKOFF_MAX_MS)
		ms = POOL_BACKOFF_MAX_MS;
	/* A fifth of jitter, downwards: many pools shall not beat in step. */
	return ms - ms * random / (5 * 256);
}

static int64_t
backoff_ms(unsigned n)
{
	uint8_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0; /* no jitter then */
	return pool_backoff_ms(n, random);
}

static void
retry_drop(struct pool *p, unsigned i)
{
	p->n_retry--;
	p->retry[i] = p->retry[p->n_retry];
}

/* Position of the retry that is due first; n_retry: there is none. */
static unsigned
retry_first(const struct pool *p)
{
	unsigned best = 0;

	for (unsigned i = 1; i < p->n_retry; i++)
		if (p->retry[i].not_before_ns < p->retry[best].not_before_ns)
			best = i;
	return p->n_retry > 0 ? best : 0;
}

static void
retry_add(struct pool *p, unsigned fails, int64_t not_before_ns)
{
	struct pool_retry *grown;

	if (p->n_retry == p->cap_retry) {
		if (p->cap_retry >= POOL_RETRIES_MAX)
			return;
		grown = realloc(p->retry, (p->cap_retry + 16) * sizeof(*grown));
		if (grown == NULL)
			return; /* then it is a fresh start */
		p->retry = grown;
		p->cap_retry += 16;
	}
	p->retry[p->n_retry++] = (struct pool_retry){ fails, not_before_ns };
}

void
pool_worker_ready(struct super *s, struct worker *w)
{
	w->ready_ns = clock_ns();
	w->idle_ns = w->ready_ns;
	s->pool.failed_rounds = 0;
	s->pool.hold_until_ns = 0;
	s->pool.round++;
}

void
pool_worker_died(struct super *s, struct worker *w, int64_t now_ns)
{
	unsigned fails = 1;
	int64_t pause_ms;

	if (now_ns - w->ready_ns < POOL_HEALTHY_MS * NS_PER_MS)
		fails += w->fails;
	pause_ms = backoff_ms(fails);
	retry_add(&s->pool, fails, now_ns + pause_ms * NS_PER_MS);
	if (fails > 1)
		log_warn("pool: worker died young id=%s deaths_in_a_row=%u "
			 "retry_in=%" PRId64 "ms",
		    w->id, fails, pause_ms);
}

static void
break_pool(struct super *s)
{
	static const am_id err_pool[] = { Sup_ErrPool, Sup_Exception };
	struct am_buf b = AM_BUF_INIT;

	s->pool.broken = true;
	log_error("pool: broken after %u failed rounds, it goes on trying: %s",
	    POOL_ROUNDS_MAX, s->pool.reason);
	am_put_map(&b, 1);
	am_put_str(&b, "err");
	am_put_str(&b, s->pool.reason);
	(void)super_add_all(s, err_pool, 2, am_buf_val(&b));
	am_buf_done(&b);
}

void
pool_start_failed(struct super *s, struct worker *w)
{
	struct pool *p = &s->pool;
	int64_t pause_ms;

	(void)snprintf(p->reason, sizeof(p->reason), "%s: %s", w->id, w->fault);
	if (w->round != p->round)
		return; /* this round is counted already */
	p->round++;
	p->failed_rounds++;
	pause_ms = backoff_ms(p->failed_rounds);
	p->hold_until_ns = clock_ns() + pause_ms * NS_PER_MS;
	log_warn("pool: workers do not start failed_rounds=%u retry_in=%" PRId64
		 "ms: %s",
	    p->failed_rounds, pause_ms, p->reason);
	if (p->failed_rounds >= POOL_ROUNDS_MAX && !p->broken &&
	    super_is(s, Sup_Start) && pool_ready(s) < s->config->pool_min)
		break_pool(s);
}

/* ---- starts ---- */

static void
start_one(struct super *s, unsigned fails)
{
	struct worker *w = worker_new(s);

	if (w == NULL) {
		log_error("pool: no memory for a worker");
		return;
	}
	w->fails = fails;
	w->round = s->pool.round;
	(void)worker_add(w, Sup_ForkWorker);
}

void
pool_normalize(struct super *s)
{
	struct pool *p = &s->pool;
	int64_t now_ns = clock_ns();
	unsigned wanted = pool_wanted(s);
	unsigned missing = wanted > p->n_workers ? wanted - p->n_workers : 0;
	unsigned room = (unsigned)s->config->start_parallel;
	unsigned starting = pool_starting(s);

	if (!super_is(s, Sup_Start) || super_is(s, Sup_Draining) ||
	    super_is(s, Sup_AdoptingWorkers))
		return;
	/* Broken: one trial at a time. */
	if (p->broken)
		room = 1;
	room = room > starting ? room - starting : 0;
	while (p->n_retry > missing)
		p->n_retry--;
	while (missing > 0 && room > 0 && now_ns >= p->hold_until_ns) {
		unsigned i = retry_first(p), fails = 0;

		if (p->n_retry > 0 && p->retry[i].not_before_ns <= now_ns) {
			fails = p->retry[i].fails;
			retry_drop(p, i);
		} else if (p->n_retry == missing) {
			break; /* each place has to wait */
		}
		start_one(s, fails);
		missing--;
		room--;
	}
	pool_schedule(s);
}

/* ---- the timer ---- */

static int64_t
sooner(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t
surplus_due(const struct super *s, const struct worker *w)
{
	return w->idle_ns + s->config->idle_ttl_ms * NS_PER_MS;
}

void
pool_schedule(struct super *s)
{
	struct pool *p = &s->pool;
	int64_t now_ns = clock_ns(), at = 0;
	unsigned wanted = pool_wanted(s);
	const struct worker *w;

	if (!super_is(s, Sup_Start) || super_is(s, Sup_Draining)) {
		am_timer_stop(&p->timer);
		return;
	}
	if (p->n_workers < wanted &&
	    pool_starting(s) < (p->broken ? 1 : s->config->start_parallel)) {
		if (p->hold_until_ns > now_ns)
			at = p->hold_until_ns;
		else if (p->n_retry > 0)
			at = p->retry[retry_first(p)].not_before_ns;
	}
	TAILQ_FOREACH(w, &p->workers, link) {
		int64_t unfit = worker_unfit_until(w);

		if (unfit > now_ns)
			at = sooner(at, unfit);
		if (p->n_workers > wanted && worker_lendable(w, now_ns))
			at = sooner(at, surplus_due(s, w));
	}
	if (at == 0)
		am_timer_stop(&p->timer);
	else if (p->timer.deadline_ns == 0 ||
	    at < p->timer.deadline_ns - NS_PER_MS ||
	    at > p->timer.deadline_ns + NS_PER_MS)
		(void)am_timer_start(&p->timer,
		    at > now_ns ? (at - now_ns + NS_PER_MS - 1) / NS_PER_MS
				: 0);
}

/* Idle beyond what is wanted for IdleTTL: the longest idle go first. */
static void
end_surplus(struct super *s)
{
	int64_t now_ns = clock_ns();

	for (;;) {
		struct worker *w, *oldest = NULL;
		unsigned alive = 0;

		TAILQ_FOREACH(w, &s->pool.workers, link) {
			alive += w->wanted;
			if (worker_lendable(w, now_ns) &&
			    surplus_due(s, w) <= now_ns &&
			    (oldest == NULL || w->idle_ns < oldest->idle_ns))
				oldest = w;
		}
		if (oldest == NULL || alive <= pool_wanted(s))
			return;
		(void)worker_kill(oldest, "surplus");
	}
}

void
pool_on_timer(struct super *s)
{
	if (!super_is(s, Sup_Start) || super_is(s, Sup_Draining))
		return;
	end_surplus(s);
	pool_check(s);
	pool_available(s);
}
