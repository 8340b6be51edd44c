#include "daemon/waiter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/super.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

void
waiters_init(struct super *s)
{
	TAILQ_INIT(&s->waiters.list);
}

void
waiters_done(struct super *s)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&s->waiters.list)) != NULL)
		(void)waiter_free(w);
}

static int __attribute__((format(printf, 2, 3)))
refuse(struct am_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* An optional number within bounds; *ret stays as it is without one. */
static int
number(struct am_val args, const char *key, int64_t lo, int64_t hi,
    int64_t *ret, struct am_error *err)
{
	int64_t v;
	int r = am_get_int(args, key, &v);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || v < lo || v > hi)
		return refuse(err,
		    "%s must be a whole number from %" PRId64 " to %" PRId64,
		    key, lo, hi);
	*ret = v;
	return 0;
}

/* What LeaseRequested carries. */
struct wish {
	int64_t request;
	int64_t timeout_ms;
	int64_t priority;
	int64_t ttl_ms;
	int64_t max_ms;
	int64_t pid;
	int64_t pid_start;
};

static int
parse(const struct super *s, struct am_val args, struct wish *ret,
    struct am_error *err)
{
	const struct config *c = s->config;

	*ret = (struct wish){
		.request = -1,
		.timeout_ms = -1,
		.ttl_ms = c->lease_ttl_ms,
		.max_ms = c->lease_max_ms,
	};
	if (number(args, "request", 0, INT64_MAX, &ret->request, err) < 0 ||
	    number(args, "timeout_ms", -1, INT64_C(31622400000),
		&ret->timeout_ms, err) < 0 ||
	    number(args, "priority", -WAITER_PRIORITY_MAX, WAITER_PRIORITY_MAX,
		&ret->priority, err) < 0 ||
	    number(args, "ttl_ms", 1, c->lease_max_ms, &ret->ttl_ms, err) < 0 ||
	    number(args, "max_ms", 1, c->lease_max_ms, &ret->max_ms, err) < 0 ||
	    number(args, "pid", 1, INT32_MAX, &ret->pid, err) < 0 ||
	    number(args, "pid_start", 0, INT64_MAX, &ret->pid_start, err) < 0)
		return -EINVAL;
	if (ret->request < 0)
		return refuse(err,
		    "request, a number for the answer, is missing");
	if (ret->ttl_ms > c->lease_max_ms)
		ret->ttl_ms = c->lease_max_ms;
	return 0;
}

static int
refuse_more(const struct super *s, const struct client *c, struct am_error *err)
{
	char uid[32];

	(void)snprintf(uid, sizeof(uid), "uid %d", (int)c->uid);
	return refuse(err,
	    "limit of %.128s reached: %" PRId64 " leases (Lease.PerUser)",
	    c->uid != (uid_t)-1         ? uid
		: c->subject[0] != '\0' ? c->subject
					: "TCP",
	    s->config->per_user);
}

int
waiter_check(struct super *s, const struct client *c, struct am_val args,
    struct am_error *err)
{
	int64_t per_user = s->config->per_user;
	struct wish wish;
	int r;

	if (parse(s, args, &wish, err) < 0)
		return -EINVAL;
	if (s->waiters.n >= s->config->queue_max &&
	    (s->waiters.n > 0 || pool_free(s) == 0))
		return refuse(err, "queue full (%" PRId64 ")",
		    s->config->queue_max);
	if (s->pool.broken)
		return refuse(err, "pool broken%s%s",
		    s->pool.reason[0] != '\0' ? ": " : "", s->pool.reason);
	if (c == NULL)
		return 0;
	if (waiter_find(s, c->id, (uint64_t)wish.request) != NULL ||
	    lease_of_request(s, c->id, (uint64_t)wish.request) != NULL)
		return refuse(err,
		    "request %" PRId64 " is used already on this connection",
		    wish.request);
	if (per_user > 0 &&
	    waiter_count_user(s, c) + lease_count_user(s, c) >= per_user)
		return refuse_more(s, c, err);
	if (wish.pid == 0)
		return 0;
	/* Nor is it told which processes there are here. */
	if (c->is_far)
		return refuse(err,
		    "pid %" PRId64 " is of another host: leave it out",
		    wish.pid);
	r = owner_check((pid_t)wish.pid, (uint64_t)wish.pid_start, c->uid);
	if (r == -EPERM) {
		super_denied(s, c, "a lease for a process of another");
		return refuse(err, "pid %" PRId64 " belongs to another user",
		    wish.pid);
	}
	return r < 0 ? refuse(err, "pid %" PRId64 ": no such process", wish.pid)
		     : 0;
}

static void
on_timeout(void *arg)
{
	waiter_end(arg, "timeout");
}

static void
on_owner_exit(void *arg)
{
	waiter_end(arg, "owner-died");
}

struct waiter *
waiter_new(struct super *s, struct client *c, uint32_t req, struct am_val args)
{
	struct waiter *w = calloc(1, sizeof(*w));
	struct am_error err;
	struct wish wish;

	if (w == NULL)
		return NULL;
	w->super = s;
	w->owner = OWNER_INIT;
	w->uid = (uid_t)-1;
	w->req = req;
	am_timer_init(&w->timer, s->loop, on_timeout, w);
	if (c != NULL) {
		w->client = c;
		w->client_id = c->id;
		w->uid = c->uid;
		(void)snprintf(w->subject, sizeof(w->subject), "%s",
		    c->subject);
		(void)snprintf(w->name, sizeof(w->name), "%s", c->name);
	}
	if (parse(s, args, &wish, &err) < 0)
		return waiter_free(w);
	w->request = (uint64_t)wish.request;
	w->no_wait = wish.timeout_ms == 0;
	if (wish.timeout_ms >= 0)
		w->deadline_ns = clock_ns() + wish.timeout_ms * NS_PER_MS;
	w->priority = (int)wish.priority;
	w->ttl_ms = wish.ttl_ms;
	w->max_ms = wish.max_ms;
	if (wish.pid == 0)
		return w;
	owner_on_exit(&w->owner, on_owner_exit, w);
	if (owner_watch(&w->owner, s->loop, (pid_t)wish.pid,
		(uint64_t)wish.pid_start, w->uid) < 0)
		w->orphan = true;
	return w;
}

static void
start_timeout(struct waiter *w)
{
	int64_t left_ns = w->deadline_ns - clock_ns();

	if (w->deadline_ns != 0)
		(void)am_timer_start(&w->timer,
		    left_ns > 0 ? left_ns / NS_PER_MS : 0);
}

static void
unqueue(struct waiter *w)
{
	if (!w->queued)
		return;
	TAILQ_REMOVE(&w->super->waiters.list, w, link);
	w->super->waiters.n--;
	w->queued = false;
}

struct waiter *
waiter_free(struct waiter *w)
{
	if (w == NULL)
		return NULL;
	unqueue(w);
	owner_done(&w->owner);
	am_timer_done(&w->timer);
	free(w);
	return NULL;
}

void
waiter_queue(struct waiter *w)
{
	struct waiters *q = &w->super->waiters;
	struct waiter *other;

	w->queued = true;
	q->n++;
	start_timeout(w);
	TAILQ_FOREACH(other, &q->list, link)
		if (other->priority < w->priority) {
			TAILQ_INSERT_BEFORE(other, w, link);
			return;
		}
	TAILQ_INSERT_TAIL(&q->list, w, link);
}

void
waiter_queue_head(struct waiter *w)
{
	struct waiters *q = &w->super->waiters;

	w->queued = true;
	q->n++;
	TAILQ_INSERT_HEAD(&q->list, w, link);
	owner_on_exit(&w->owner, on_owner_exit, w);
	start_timeout(w);
}

struct waiter *
waiter_take(struct super *s)
{
	struct waiter *w = TAILQ_FIRST(&s->waiters.list);

	if (w != NULL)
		unqueue(w);
	return w;
}

struct waiter *
waiter_find(const struct super *s, uint64_t client_id, uint64_t request)
{
	struct waiter *w;

	TAILQ_FOREACH(w, &s->waiters.list, link)
		if (w->client_id == client_id && w->request == request)
			return w;
	return NULL;
}

bool
waiter_is_of_user(const struct waiter *w, const struct client *c)
{
	return w->uid == c->uid && strcmp(w->subject, c->subject) == 0;
}

unsigned
waiter_count_user(const struct super *s, const struct client *c)
{
	const struct waiter *w;
	unsigned n = 0;

	TAILQ_FOREACH(w, &s->waiters.list, link)
		n += waiter_is_of_user(w, c);
	return n;
}

static void
put_text(struct am_buf *b, const char *key, const char *text)
{
	am_put_str(b, key);
	am_put_str(b, text);
}

void
waiter_refuse(struct waiter *w, const char *code, const char *message)
{
	struct super *s = w->super;
	struct am_buf b = AM_BUF_INIT;
	char more[RATE_TEXT_MAX];

	if (rate_line(&s->refused, more))
		log_info("lease: refused client=c%" PRIu64 " request=%" PRIu64
			 " code=%s%s",
		    w->client_id, w->request, code, more);
	if (w->client != NULL) {
		am_put_map(&b, 5);
		am_put_str(&b, "to");
		am_put_uint(&b, w->client_id);
		put_text(&b, "name", "ProvideWorker");
		am_put_str(&b, "req");
		am_put_uint(&b, w->req);
		am_put_str(&b, "request");
		am_put_uint(&b, w->request);
		am_put_str(&b, "error");
		am_put_map(&b, 2);
		put_text(&b, "code", code);
		put_text(&b, "message", message);
		(void)super_add(s, Sup_ClientSendPayload, am_buf_val(&b));
		am_buf_done(&b);
	}
	(void)waiter_free(w);
}

void
waiters_refuse_all(struct super *s, const char *code, const char *message)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&s->waiters.list)) != NULL)
		waiter_refuse(w, code, message);
}

void
waiters_show(struct super *s)
{
	bool is = super_is(s, Sup_ClientsWaiting);

	if (s->waiters.n > 0 && !is)
		(void)super_add(s, Sup_ClientsWaiting, AM_NONE);
	else if (s->waiters.n == 0 && is)
		(void)super_remove(s, Sup_ClientsWaiting, AM_NONE);
}

void
waiter_end(struct waiter *w, const char *reason)
{
	struct super *s = w->super;
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 3);
	am_put_str(&b, "client");
	am_put_uint(&b, w->client_id);
	am_put_str(&b, "request");
	am_put_uint(&b, w->request);
	put_text(&b, "reason", reason);
	(void)super_add(s, Sup_ReleaseWorker, am_buf_val(&b));
	am_buf_done(&b);
}
