#include "tests/unit/super_rig.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/loop/loop.h"

/* ---- the made-up world ---- */

static int
rig_spawn(struct super *s, struct worker *w, struct am_error *err)
{
	struct rig *r = s->world;

	if (r->spawn_error < 0) {
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot start it: %s", strerror(-r->spawn_error));
		return r->spawn_error;
	}
	r->n_spawned++;
	w->pid = (pid_t)(1000000 + w->number);
	(void)snprintf(w->address, sizeof(w->address), "/run/%s.pub", w->id);
	return 0;
}

static int
rig_connect(struct super *s, struct worker *w)
{
	(void)s;
	(void)w;
	return 0;
}

static int
rig_serve(struct super *s, struct worker *w, const struct arpc_lease *l)
{
	struct rig *r = s->world;

	(void)w;
	r->n_served++;
	memcpy(r->token, l->token, sizeof(r->token));
	return 0;
}

static int
rig_end_lease(struct super *s, struct worker *w, const struct lease *l)
{
	struct rig *r = s->world;

	(void)w;
	r->n_ended++;
	r->kept = s->config->on_release == ON_RELEASE_KEEP && !l->discard;
	return 0;
}

static int
rig_ask(struct super *s, struct worker *w)
{
	(void)w;
	((struct rig *)s->world)->n_asked++;
	return 0;
}

static void
rig_signal(struct super *s, struct worker *w, int sig)
{
	struct rig *r = s->world;

	r->last_signal = sig;
	r->last_signal_pid = w->pid;
}

static void
rig_forget(struct super *s, struct worker *w)
{
	(void)s;
	w->mirror = am_machine_free(w->mirror);
}

static int
rig_tell(struct super *s, struct client *c, uint32_t req, const char *name,
    struct am_val data)
{
	struct rig *r = s->world;
	struct am_val error;

	(void)req;
	ck_assert_str_eq(name, "ProvideWorker");
	r->n_told++;
	r->told_client = c->id;
	r->told_code[0] = r->told_lease[0] = '\0';
	if (am_get(data, "error", &error) == 0)
		(void)am_get_text(error, "code", r->told_code,
		    sizeof(r->told_code));
	else
		ck_assert_int_eq(am_get_text(data, "lease", r->told_lease,
				     sizeof(r->told_lease)),
		    0);
	return r->tell_error;
}

static int
rig_listen(struct super *s, struct am_error *err)
{
	(void)s;
	(void)err;
	return 0;
}

static struct client *
rig_client(struct super *s, const void *source, uint32_t *ret_id)
{
	(void)s;
	*ret_id = 7;
	return source == NULL
	    ? NULL
	    : client_find(&s->model, ((const struct client *)source)->id);
}

static void
rig_refuse(struct super *s, const void *source, enum arpc_error e,
    const char *text)
{
	(void)source;
	(void)text;
	((struct rig *)s->world)->refused = e;
}

static void
rig_stopped(struct super *s)
{
	((struct rig *)s->world)->stopped = true;
}

static const struct super_io rig_io = {
	.spawn = rig_spawn,
	.connect = rig_connect,
	.serve = rig_serve,
	.end_lease = rig_end_lease,
	.ask = rig_ask,
	.signal = rig_signal,
	.forget = rig_forget,
	.tell = rig_tell,
	.listen = rig_listen,
	.client = rig_client,
	.refuse = rig_refuse,
	.stopped = rig_stopped,
};

/* ---- the rig ---- */

static void
load(struct rig *r, const int pool[3], const char *const *set, size_t n_set)
{
	static const char *const keys[] = { "Pool.Min", "Pool.Warm",
		"Pool.Max" };
	struct config_errors errors = { .n = 0 };
	char text[3][32];
	const char *all[16];
	size_t n = 0;

	for (; n < 3; n++) {
		(void)snprintf(text[n], sizeof(text[n]), "%s=%d", keys[n],
		    pool[n]);
		all[n] = text[n];
	}
	for (size_t i = 0; i < n_set; i++)
		all[n++] = set[i];
	ck_assert_int_eq(config_load(&r->config,
			     &(struct config_source){ .set = all, .n_set = n },
			     &errors),
	    0);
}

struct rig *
rig_new(int min, int warm, int max, const char *const *set, size_t n_set)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct am_error err = { "" };

	ck_assert_ptr_nonnull(r);
	load(r, (const int[]){ min, warm, max }, set, n_set);
	r->loop = am_loop_new();
	r->worker_schema = am_schema_new(&am_worker_states, NULL);
	ck_assert_msg(super_init(&r->super, r->loop, &r->config, "test",
			  &rig_io, r, &err) == 0,
	    "%s", err.text);
	flow_log_attach(&r->log, r->super.machine);
	r->c1 = (struct client){ .id = 1, .uid = 1000, .name = "one" };
	r->c2 = (struct client){ .id = 2, .uid = 1001, .name = "two" };
	return r;
}

void
rig_free(struct rig *r)
{
	ck_assert_msg(r->log.pulse_left == NULL, "left active: %s",
	    r->log.pulse_left);
	flow_log_detach(&r->log);
	super_done(&r->super);
	(void)am_schema_unref(r->worker_schema);
	(void)am_loop_free(r->loop);
	config_done(&r->config);
	free(r);
}

struct rig *
rig_up(int min, int warm, int max)
{
	struct rig *r = rig_new(min, warm, max, NULL, 0);
	struct worker *w;

	event_start(&r->super);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	/* w1 last: the one that came last is lent first. */
	while ((w = TAILQ_LAST(&r->super.model.in_state[WORKER_SPAWNED],
		    worker_list)) != NULL) {
		rig_hello(w);
		rig_push(w);
	}
	ck_assert_int_eq(event_client_connected(&r->super, &r->c1), 0);
	ck_assert_int_eq(event_client_connected(&r->super, &r->c2), 0);
	rig_heartbeat_over(r);
	ck_assert(super_is(&r->super, Sup_Ready));
	ck_assert(super_is(&r->super, Sup_PoolNormalized));
	flow_log_clear(&r->log);
	return r;
}

struct worker *
rig_worker(struct rig *r, const char *id)
{
	struct worker *w = worker_find(&r->super.model, id);

	ck_assert_msg(w != NULL, "there is no worker %s", id);
	return w;
}

void
rig_mirror_add(struct worker *w, am_id state)
{
	ck_assert_uint_eq(am_add1(w->mirror, state, AM_NONE), AM_EXECUTED);
}

void
rig_mirror_remove(struct worker *w, am_id state)
{
	ck_assert_uint_eq(am_remove1(w->mirror, state, AM_NONE), AM_EXECUTED);
}

void
rig_hello(struct worker *w)
{
	static const am_id up[] = { Wrk_Start, Wrk_LocalRpcReady,
		Wrk_PublicRpcReady, Wrk_SuperConnected, Wrk_Ready };
	struct rig *r = w->super->world;

	event_worker_connected(w);
	w->mirror = am_machine_new(r->worker_schema, w->id);
	for (size_t i = 0; i < sizeof(up) / sizeof(up[0]); i++)
		rig_mirror_add(w, up[i]);
	ck_assert(am_is1(w->mirror, Wrk_Idle));
	event_worker_hello(w);
}

void
rig_push(struct worker *w)
{
	event_worker_push(w);
}

void
rig_heartbeat_over(struct rig *r)
{
	am_timer_stop(&r->super.heartbeat_end);
	if (super_is(&r->super, Sup_Heartbeat))
		emit_heartbeat(&r->super, false);
	am_timer_stop(&r->super.heartbeat_end);
}

void
rig_fire(struct am_timer *t)
{
	ck_assert_msg(t->deadline_ns != 0, "the timer does not run");
	am_timer_stop(t);
	t->fn(t->arg);
}

am_result
rig_add(struct rig *r, struct client *c, am_id state, const char *json)
{
	struct am_buf b = AM_BUF_INIT;
	am_result result;

	if (json != NULL)
		ck_assert_int_eq(am_json_decode(json, strlen(json), &b, NULL),
		    0);
	result = am_mutate(r->super.machine,
	    &(struct am_mutation){ .op = AM_ADD,
		.states = &state,
		.n_states = 1,
		.args = am_buf_val(&b),
		.source = c });
	am_buf_done(&b);
	/* As at the end of the turn. */
	settle(&r->super);
	return result;
}

void
rig_accept(struct worker *w)
{
	rig_mirror_add(w, Wrk_ServeClient);
	rig_mirror_add(w, Wrk_Leased);
	rig_push(w);
	event_worker_served(w, true, "");
}

void
rig_confirm(struct worker *w)
{
	rig_mirror_add(w, Wrk_ClientConnected);
	rig_push(w);
}

struct worker *
rig_lease(struct rig *r, struct client *c, const char *json)
{
	struct lease *l;

	ck_assert_uint_eq(rig_add(r, c, Sup_LeaseRequested, json), AM_EXECUTED);
	l = TAILQ_LAST(&r->super.model.leases, lease_list);
	ck_assert_ptr_nonnull(l);
	rig_accept(l->worker);
	rig_confirm(l->worker);
	ck_assert_int_eq(l->state, LEASE_CONFIRMED);
	return l->worker;
}

void
rig_end(struct worker *w)
{
	rig_mirror_add(w, Wrk_LeaseEnding);
	if (am_is1(w->mirror, Wrk_ClientConnected))
		rig_mirror_remove(w, Wrk_ClientConnected);
	rig_mirror_remove(w, Wrk_Leased);
	rig_push(w);
}
