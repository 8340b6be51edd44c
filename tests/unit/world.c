#include "tests/unit/world.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/node/common.h"
#include "lib/node/worker_int.h"

static int64_t
now_ms(void)
{
	return clock_ns() / NS_PER_MS;
}

/* ---- time ---- */

void
world_deadline(struct world *w)
{
	w->deadline_ms = now_ms() + 5000;
}

bool
world_step(struct world *w)
{
	ck_assert_int_ge(am_loop_step(w->loop, 20), 0);
	return now_ms() < w->deadline_ms;
}

void
world_until(struct world *w, const bool *flag)
{
	world_until_true(w, *flag);
}

void
world_until_state(struct world *w, const struct am_machine *m, am_id id,
    bool active)
{
	world_deadline(w);
	while (am_is1(m, id) != active)
		ck_assert_msg(world_step(w), "%s never became %s",
		    am_schema_name(am_machine_schema(m), id),
		    active ? "active" : "inactive");
}

/* ---- peers of the worker ---- */

static void
note_payload(struct world_payload *p, am_id kind, struct am_val name,
    struct am_val data)
{
	static const char *const kinds[] = { "result", "progress", "chunk",
		"event" };

	(void)snprintf(p->kind, sizeof(p->kind), "%s", kinds[kind]);
	node_text(name, p->name, sizeof(p->name));
	node_get_text(data, "code", p->code, sizeof(p->code));
	node_get_text(data, "message", p->message, sizeof(p->message));
	p->value = -1;
	(void)am_get_int(data, "output", &p->value);
}

static void
peer_on_ready(struct netmach *nm, void *arg)
{
	struct world_peer *p = arg;

	(void)nm;
	p->ready = true;
}

static void
peer_on_payload(struct netmach *nm, const struct arpc_payload *pl, void *arg)
{
	struct world_peer *p = arg;
	struct world_payload *got = &p->got[p->n_got++];

	ck_assert_uint_lt(p->n_got, WORLD_PAYLOADS);
	*got = (struct world_payload){ .seq = pl->seq, .req = pl->req };
	note_payload(got, (am_id)pl->kind, pl->name, pl->data);
	if (got->name[0] != '\0' && got->code[0] == '\0')
		node_get_text(pl->data, "err", got->code, sizeof(got->code));
	if (pl->seq != 0 && !p->no_ack)
		netmach_ack(nm, pl->seq);
}

static void
peer_on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	struct world_peer *p = arg;

	(void)nm;
	p->closed = true;
	p->ready = false;
	p->code = code;
	(void)snprintf(p->why, sizeof(p->why), "%s", why);
}

static const struct netmach_ops peer_ops = {
	.on_ready = peer_on_ready,
	.on_payload = peer_on_payload,
	.on_close = peer_on_close,
};

void
world_on_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct world_peer *p = arg;

	(void)nm;
	(void)id;
	p->replied = true;
	p->status = r->status;
	p->result = r->result;
	p->error = r->error;
	(void)snprintf(p->text, sizeof(p->text), "%s",
	    r->status == NETMACH_OK ? r->why : r->text);
	am_buf_reset(&p->value);
	if (r->status == NETMACH_OK && r->value.data != NULL)
		am_put_val(&p->value, r->value);
}

static void
peer_connect(struct world *w, struct world_peer *p, const char *path,
    const uint8_t *token)
{
	const struct netmach_conf conf = {
		.client_id = p->nm != NULL ? netmach_client_id(p->nm) : 0,
		.name = "c1",
		.token = token,
	};
	struct am_error err;
	struct addr a;

	ck_assert_msg(addr_parse(path, &a, &err) == 0, "%s", err.text);
	p->nm = netmach_free(p->nm);
	p->nm = netmach_new(w->loop, &conf, &peer_ops, p);
	ck_assert_ptr_nonnull(p->nm);
	p->ready = p->closed = false;
	p->code = 0;
	ck_assert_int_eq(netmach_connect(p->nm, &a), 0);
	world_until_true(w, p->ready || p->closed);
}

void
world_connect_super(struct world *w)
{
	peer_connect(w, &w->super, w->private_path, NULL);
	ck_assert(w->super.ready);
	world_until_state(w, w->w, Wrk_SuperConnected, true);
}

void
world_connect_peer(struct world *w, struct world_peer *p)
{
	peer_connect(w, p, w->public_path, w->token);
}

void
world_connect_client(struct world *w)
{
	world_connect_peer(w, &w->client);
}

void
world_disconnect(struct world *w, struct world_peer *p)
{
	struct netmach_conf conf = { .client_id = netmach_client_id(p->nm) };

	/* An unconnected one keeps the client's id for the next connect. */
	p->nm = netmach_free(p->nm);
	p->nm = netmach_new(w->loop, &conf, &peer_ops, p);
	p->ready = false;
}

static am_result
mutate(struct world *w, struct world_peer *p, enum am_op op, am_id state,
    struct am_val args, int64_t deadline_ms)
{
	p->replied = false;
	ck_assert_int_gt(netmach_mutate(p->nm, op, &state, 1, args, deadline_ms,
			     world_on_reply, p),
	    0);
	world_until(w, &p->replied);
	return p->result;
}

am_result
world_mutate(struct world *w, struct world_peer *p, enum am_op op, am_id state)
{
	return mutate(w, p, op, state, AM_NONE, -1);
}

am_result
world_add_deadline(struct world *w, struct world_peer *p, am_id state,
    const char *json, int64_t deadline_ms)
{
	struct am_buf args = AM_BUF_INIT;
	struct am_error err;
	am_result r;

	if (json != NULL)
		ck_assert_msg(am_json_decode(json, strlen(json), &args, &err) ==
			0,
		    "%s", err.text);
	r = mutate(w, p, AM_ADD, state, am_buf_val(&args), deadline_ms);
	am_buf_done(&args);
	return r;
}

am_result
world_add(struct world *w, struct world_peer *p, am_id state, const char *json)
{
	return world_add_deadline(w, p, state, json, -1);
}

void
world_info(struct world *w, struct world_peer *p, const char *topic)
{
	struct am_buf params = AM_BUF_INIT;

	am_put_array(&params, 1);
	am_put_str(&params, topic);
	p->replied = false;
	ck_assert_int_gt(netmach_info(p->nm, am_buf_val(&params),
			     world_on_reply, p),
	    0);
	am_buf_done(&params);
	world_until(w, &p->replied);
}

void
world_lease(struct world *w, const char *id, int64_t ttl_ms, int64_t max_ms)
{
	struct arpc_lease l = { .client = "c1",
		.ttl_ms = ttl_ms,
		.max_ms = max_ms };

	(void)snprintf(l.lease, sizeof(l.lease), "%s", id);
	memcpy(l.token, w->token, sizeof(l.token));
	w->super.replied = false;
	ck_assert_int_gt(netmach_lease_begin(w->super.nm, &l, world_on_reply,
			     &w->super),
	    0);
	world_until(w, &w->super.replied);
}

void
world_end_lease(struct world *w, const char *id, const char *reason)
{
	char json[128];

	(void)snprintf(json, sizeof(json),
	    "{\"lease\":\"%s\",\"reason\":\"%s\",\"wait_ms\":%d}", id, reason,
	    (int)w->wait_ms);
	(void)world_add(w, &w->super, Wrk_LeaseEnding, json);
}

/* ---- the worker and its program ---- */

static bool
program_work_enter(struct am_event *ev)
{
	char why[64];
	bool bad;

	if (am_get_bool(ev->args, "bad", &bad) == 0)
		return am_refuse(ev, "bad input");
	if (am_get_text(ev->args, "why", why, sizeof(why)) == 0)
		return am_refuse(ev, "%s\xff", why);
	return true;
}

static void
program_work_state(struct am_event *ev)
{
	struct world *w = ev->arg;
	am_req req = am_worker_req(w->worker, ev);
	bool crash, sync;

	ck_assert_uint_ne(req, 0);
	ck_assert_ptr_eq(am_worker_of(ev->machine), w->worker);
	if (am_get_bool(ev->args, "crash", &crash) == 0) {
		am_fail(ev, "crash");
		return;
	}
	if (w->adds_twice) {
		w->adds_twice = false;
		(void)am_add1(ev->machine, Wrk_WorkRequested, AM_NONE);
	}
	if (w->work != NULL) {
		w->work(w, req, ev->args);
		return;
	}
	ck_assert_uint_lt(w->n_reqs, WORLD_REQS);
	w->req[w->n_reqs++] = req;
	if (am_get_bool(ev->args, "sync", &sync) == 0)
		world_answer(w, w->n_reqs - 1, 1);
}

static void
program_cancel_state(struct am_event *ev)
{
	struct world *w = ev->arg;

	ck_assert_uint_ne(am_worker_req(w->worker, ev), 0);
	w->n_cancels++;
}

static void
program_leased_end(struct am_event *ev)
{
	const struct world *w = ev->arg;

	if (w->fails)
		am_fail(ev, "cannot forget");
}

static const struct am_handler program[Wrk__COUNT] = {
	[Wrk_Leased] = { .end = program_leased_end },
	[Wrk_WorkRequested] = { .enter = program_work_enter,
	    .state = program_work_state },
	[Wrk_CancelWork] = { .state = program_cancel_state },
};

static const struct am_handlers program_handlers = {
	.name = "program",
	.of = program,
	.len = Wrk__COUNT,
};

static void
on_lease(struct am_worker *worker, const char *client, void *arg)
{
	struct world *w = arg;

	(void)worker;
	(void)client;
	w->n_leases++;
}

static void
on_reset(struct am_worker *worker, void *arg)
{
	struct world *w = arg;

	w->n_resets++;
	if (!w->manual_reset)
		am_worker_reset_done(worker);
}

static void
on_stop(struct am_worker *worker, const char *reason, void *arg)
{
	struct world *w = arg;

	(void)worker;
	(void)snprintf(w->stopped, sizeof(w->stopped), "%s", reason);
}

static void
on_room(struct am_worker *worker, void *arg)
{
	struct world *w = arg;

	(void)worker;
	w->n_rooms++;
}

void
world_answer(struct world *w, size_t i, int64_t output)
{
	struct am_buf data = AM_BUF_INIT;

	am_put_map(&data, 1);
	node_put_int(&data, "output", output);
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[i],
			     am_buf_val(&data)),
	    0);
	am_buf_done(&data);
}

void
world_cut(struct world *w)
{
	rpc_server_close(w->worker->server, w->worker->public_listener, "cut");
}

size_t
world_outbox_len(const struct world *w)
{
	return w->worker->outbox.len;
}

int
world_listen(const char *path)
{
	struct am_error err;
	struct addr a;
	int fd;

	ck_assert_msg(addr_parse(path, &a, &err) == 0, "%s", err.text);
	fd = addr_listen(&a, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

void
world_worker_alone(struct world *w)
{
	struct am_error err = { .text = "" };

	w->env.private_fd = world_listen(w->private_path);
	w->env.public_fd = world_listen(w->public_path);
	w->worker = worker_new(w->loop, &w->conf, &w->env, &err);
	ck_assert_msg(w->worker != NULL, "%s", err.text);
	w->w = am_worker_machine(w->worker);
	flow_log_attach(&w->wlog, w->w);
}

void
world_worker(struct world *w)
{
	world_worker_alone(w);
	world_until_state(w, w->w, Wrk_Idle, true);
	world_connect_super(w);
	flow_log_clear(&w->wlog);
}

/* ---- life ---- */

struct world *
world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	ck_assert_ptr_nonnull(w);
	w->loop = am_loop_new();
	ck_assert_ptr_nonnull(w->loop);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/amnode-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(w->dir));
	(void)snprintf(w->super_path, sizeof(w->super_path), "%s/sock", w->dir);
	(void)snprintf(w->public_path, sizeof(w->public_path), "%s/w1.pub",
	    w->dir);
	(void)snprintf(w->private_path, sizeof(w->private_path), "%s/w1.priv",
	    w->dir);
	memset(w->token, 7, sizeof(w->token));
	worker_env_init(&w->env);
	(void)snprintf(w->env.id, sizeof(w->env.id), "w1");
	w->conf = (struct am_worker_conf){
		.size = sizeof(struct am_worker_conf),
		.handlers = &program_handlers,
		.arg = w,
		.on_lease = on_lease,
		.on_reset = on_reset,
		.on_stop = on_stop,
		.on_room = on_room,
	};
	return w;
}

static void
peer_done(struct world_peer *p)
{
	p->nm = netmach_free(p->nm);
	am_buf_done(&p->value);
}

/* No machine of any test may have left a pulse active after a drain. */
static void
log_done(struct flow_log *log)
{
	if (log->machine == NULL)
		return;
	ck_assert_msg(log->pulse_left == NULL,
	    "pulse %s was active after a drain", log->pulse_left);
	flow_log_detach(log);
}

void
world_free(struct world *w)
{
	log_done(&w->wlog);
	log_done(&w->clog);
	peer_done(&w->super);
	peer_done(&w->client);
	w->c = am_client_free(w->c);
	w->worker = am_worker_free(w->worker);
	w->server = rpc_server_free(w->server);
	w->s = am_machine_free(w->s);
	w->loop = am_loop_free(w->loop);
	(void)unlink(w->super_path);
	(void)unlink(w->public_path);
	(void)unlink(w->private_path);
	(void)rmdir(w->dir);
	free(w);
}
