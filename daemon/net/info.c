/* Answers to `info`: maps for amctl; none holds a token. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/mirror.h"
#include "daemon/world.h"
#include "lib/base/clock.h"
#include "proto/mp.h"
#include "proto/worker.h"

static void
put_text(struct am_buf *b, const char *key, const char *text)
{
	am_put_str(b, key);
	am_put_str(b, text);
}

static void
put_int(struct am_buf *b, const char *key, int64_t v)
{
	am_put_str(b, key);
	am_put_int(b, v);
}

static void
put_seconds(struct am_buf *b, const char *key, int64_t ns)
{
	am_put_str(b, key);
	am_put_double(b, (double)(ns / NS_PER_MS) / 1000.0);
}

static void
put_status(const struct super *s, struct am_buf *b)
{
	const struct config *c = s->config;
	char message[400];

	super_status(s, message, sizeof(message));
	am_put_map(b, 8);
	put_text(b, "instance", s->instance);
	put_text(b, "kind", c->kind);
	put_text(b, "machine", am_machine_id(s->machine));
	am_put_str(b, "ready");
	am_put_bool(b, super_is(s, Sup_Ready));
	am_put_str(b, "pool");
	am_put_map(b, 8);
	put_int(b, "min", c->pool_min);
	put_int(b, "warm", c->pool_warm);
	put_int(b, "max", c->pool_max);
	put_int(b, "ready", model_ready(&s->model));
	put_int(b, "idle", s->model.n[WORKER_IDLE]);
	put_int(b, "leased", s->model.n_leases);
	put_int(b, "starting", model_starting(&s->model));
	put_int(b, "waiting", s->model.n_waiting);
	put_seconds(b, "uptime_s", clock_ns() - s->started_ns);
	put_text(b, "version", AM_VERSION);
	put_text(b, "message", message);
}

static void
put_workers(const struct super *s, struct am_buf *b)
{
	int64_t now_ns = clock_ns();
	const struct worker *w;

	am_put_array(b, s->model.n_workers);
	TAILQ_FOREACH(w, &s->model.workers, link) {
		am_put_map(b, 7);
		put_text(b, "id", w->id);
		put_int(b, "pid", w->pid);
		put_text(b, "state", super_worker_state(w));
		put_text(b, "lease", w->lease != NULL ? w->lease->id : NULL);
		/* It ticks twice a request (flows.md rule 4). */
		am_put_str(b, "requests");
		am_put_uint(b, mirror_tick(w, Wrk_WorkRequested) / 2);
		put_int(b, "errors", w->total_errors);
		put_seconds(b, "uptime_s", now_ns - w->started_ns);
	}
}

static void
put_lease(const struct lease *l, int64_t now_ns, struct am_buf *b)
{
	am_put_map(b, 9);
	put_text(b, "lease", l->id);
	put_text(b, "worker", l->worker->id);
	put_text(b, "client", l->waiter->name);
	put_int(b, "pid", l->waiter->owner.pid > 0 ? l->waiter->owner.pid : 0);
	put_int(b, "uid",
	    l->waiter->user->uid == (uid_t)-1 ? -1
					      : (int64_t)l->waiter->user->uid);
	put_text(b, "state", lease_state_name(l->state));
	put_seconds(b, "age_s", now_ns - l->since_ns);
	put_seconds(b, "ttl_s", l->waiter->ttl_ms * NS_PER_MS);
	put_seconds(b, "max_s", l->waiter->max_ms * NS_PER_MS);
}

static void
put_leases(const struct super *s, struct am_buf *b)
{
	int64_t now_ns = clock_ns();
	const struct lease *l;

	am_put_array(b, s->model.n_leases);
	TAILQ_FOREACH(l, &s->model.leases, link)
		put_lease(l, now_ns, b);
}

/* One lease, living or remembered. */
static int
put_one_lease(const struct super *s, const char *id, struct am_buf *b,
    struct am_error *err)
{
	const struct lease *l = lease_find(&s->model, id);
	const struct lease_end *end = lease_find_end(&s->model, id);

	if (l == NULL && end == NULL) {
		(void)snprintf(err->text, sizeof(err->text),
		    "no such lease: \"%s\"", id);
		return ARPC_E_no_lease;
	}
	am_put_map(b, 4);
	put_text(b, "lease", id);
	put_text(b, "state", l != NULL ? lease_state_name(l->state) : "ended");
	put_text(b, "reason", l != NULL ? l->reason : end->reason);
	put_text(b, "worker", l != NULL ? l->worker->id : end->worker);
	return 0;
}

/* The first element of the rest of info's params as a text. */
static int
text_param(struct am_val params, char *buf, size_t size)
{
	struct mp c = mp_of(params);
	const char *p;
	size_t len;
	uint32_t n;

	if (params.data == NULL || mp_get_array(&c, &n) < 0 || n < 1 ||
	    mp_get_str(&c, &p, &len) < 0 || len >= size ||
	    memchr(p, '\0', len) != NULL)
		return -1;
	memcpy(buf, p, len);
	buf[len] = '\0';
	return 0;
}

int
info_get(const struct super *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err)
{
	char id[40];

	if (strcmp(topic, "status") == 0) {
		put_status(s, out);
	} else if (strcmp(topic, "workers") == 0) {
		put_workers(s, out);
	} else if (strcmp(topic, "leases") == 0) {
		put_leases(s, out);
	} else if (strcmp(topic, "lease") == 0) {
		if (text_param(params, id, sizeof(id)) < 0) {
			(void)snprintf(err->text, sizeof(err->text),
			    "lease takes the id of a lease");
			return ARPC_E_bad_params;
		}
		return put_one_lease(s, id, out, err);
	} else {
		(void)snprintf(err->text, sizeof(err->text),
		    "no such topic: \"%.60s\"; there are status, workers, "
		    "leases, lease",
		    topic);
		return ARPC_E_no_topic;
	}
	return 0;
}
