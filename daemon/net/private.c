/* The private connections to workers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/events.h"
#include "daemon/world.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/rpc/addr.h"
#include "lib/rpc/netmach.h"
#include "proto/mp.h"
#include "proto/worker.h"

/* A worker's own table begins with ours, or its states mean something else. */
static bool
is_worker_schema(const struct am_machine *mirror)
{
	const struct am_schema *schema = am_machine_schema(mirror);

	if (am_schema_len(schema) < Wrk__COUNT)
		return false;
	for (am_id i = 0; i < Wrk__COUNT; i++)
		if (strcmp(am_schema_name(schema, i),
			am_worker_states.row[i].name) != 0)
			return false;
	return true;
}

static void
on_ready(struct netmach *nm, void *arg)
{
	struct worker *w = arg;

	if (!is_worker_schema(netmach_mirror(nm))) {
		(void)snprintf(w->start_error, sizeof(w->start_error),
		    "its states do not begin with those of a worker: is it "
		    "built with "
		    "another libamnode?");
		netmach_close(nm, "bad_proto: no worker's schema");
		return;
	}
	w->mirror = netmach_mirror(nm);
	event_worker_hello(w);
	event_worker_push(w);
}

static void
on_update(struct netmach *nm, void *arg)
{
	(void)nm;
	event_worker_push(arg);
}

static bool
is_error(struct am_val name)
{
	struct mp c = mp_of(name);
	const char *s;
	size_t len;

	return mp_get_str(&c, &s, &len) == 0 && len == 5 &&
	    memcmp(s, "Error", 5) == 0;
}

/* SuperSendPayload {name: Error, err, message, stuck}; a program may send others,
 * which are not for us, and Lease tells of one that we know. */
static void
on_payload(struct netmach *nm, const struct arpc_payload *p, void *arg)
{
	struct am_error text = { "" };
	char err[WORKER_REASON_MAX] = "errors";
	struct worker *w = arg;
	bool stuck = false;

	if (p->seq != 0)
		netmach_ack(nm, p->seq);
	if (!is_error(p->name))
		return;
	(void)am_get_bool(p->data, "stuck", &stuck);
	(void)am_get_text(p->data, "err", err, sizeof(err));
	if (am_get_text(p->data, "message", text.text, sizeof(text.text)) ==
		0 &&
	    text.text[0] != '\0')
		log_warn("worker: says id=%s err=%s: %.300s", w->id, err,
		    text.text);
	event_worker_error(w, err, stuck);
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	(void)nm;
	(void)code;
	event_worker_gone(arg, why);
}

static const struct netmach_ops ops = {
	.on_ready = on_ready,
	.on_update = on_update,
	.on_payload = on_payload,
	.on_close = on_close,
};

/* What we act on at once. The rest, a leased worker's requests above all, comes
 * with it or a moment later: it shall not wake us each time. */
static struct am_val
prompt_states(struct am_buf *b)
{
	static const am_id ids[] = { Wrk_Start, Wrk_LocalRpcReady,
		Wrk_PublicRpcReady, Wrk_RpcReady, Wrk_SuperConnected,
		Wrk_ServeClient, Wrk_ClientConnected, Wrk_Healthcheck,
		Wrk_Ready, Wrk_Leased, Wrk_LeaseEnding };

	if (b->len == 0) {
		am_put_array(b, sizeof(ids) / sizeof(ids[0]));
		for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
			am_put_str(b, am_worker_states.row[ids[i]].name);
	}
	return am_buf_val(b);
}

int
link_connect(struct super *s, struct worker *w)
{
	struct world *world = s->world;
	struct netmach_conf conf = {
		.name = world->instance,
		/* A little later than our own timer, which says it better. */
		.timeout_ms = s->config->start_timeout_ms + 1000,
		/* A worker is not to be trusted; its schema is the longest. */
		.take_max = 1024 * 1024,
		/* Nor do we say much to it, but acks, and that it may ask
		 * nothing. */
		.out_max = 1024 * 1024,
		.sync.prompt = prompt_states(&world->prompt),
	};
	char name[32], path[RUNTIME_PATH_MAX];
	struct am_error err;
	struct addr a;
	int r;

	(void)snprintf(name, sizeof(name), "%s.priv", w->id);
	r = runtime_path(world->runtime, name, path, sizeof(path));
	if (r == 0)
		r = addr_parse(path, &a, &err);
	if (r < 0)
		return r;
	w->net = netmach_new(s->loop, &conf, &ops, w);
	return w->net == NULL ? -ENOMEM : netmach_connect(w->net, &a);
}

static void
on_served(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	(void)nm;
	(void)id;
	if (r->status == NETMACH_LOST)
		return; /* WorkerGone follows */
	if (r->status == NETMACH_ERROR)
		event_worker_served(arg, false, r->text);
	else
		event_worker_served(arg, r->result == AM_EXECUTED, r->why);
}

int
link_serve(struct super *s, struct worker *w, const struct arpc_lease *l)
{
	(void)s;
	if (w->net == NULL || netmach_lease_begin(w->net, l, on_served, w) < 0)
		return -ENOTCONN;
	return 0;
}

static void
on_told(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	const struct worker *w = arg;

	(void)nm;
	(void)id;
	if (r->status == NETMACH_ERROR)
		log_warn("worker: answers id=%s: %.200s", w->id, r->text);
}

static void
on_end_told(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	on_told(nm, id, r, arg);
	if (r->status != NETMACH_OK)
		return;
	if (r->result == AM_CANCELED)
		event_worker_end_refused(arg);
	else
		event_worker_end_taken(arg);
}

int
link_end_lease(struct super *s, struct worker *w, const struct lease *l)
{
	static const am_id state = Wrk_LeaseEnding;
	struct am_buf b = AM_BUF_INIT;
	int r = -ENOTCONN;

	am_put_map(&b, 5);
	am_put_str(&b, "lease");
	am_put_str(&b, l->id);
	am_put_str(&b, "reason");
	am_put_str(&b, l->reason);
	am_put_str(&b, "keep");
	am_put_bool(&b,
	    s->config->on_release == ON_RELEASE_KEEP && !l->discard);
	am_put_str(&b, "wait_ms");
	am_put_int(&b, l->wait_ms);
	am_put_str(&b, "if_idle");
	am_put_bool(&b, l->if_idle);
	if (w->net != NULL)
		r = netmach_mutate(w->net, AM_ADD, &state, 1, am_buf_val(&b),
		    -1, on_end_told, w);
	am_buf_done(&b);
	return r < 0 ? r : 0;
}

int
link_ask(struct super *s, struct worker *w)
{
	static const am_id state = Wrk_Healthcheck;

	(void)s;
	if (w->net == NULL ||
	    netmach_mutate(w->net, AM_ADD, &state, 1, AM_NONE, -1, on_told, w) <
		0)
		return -ENOTCONN;
	return 0;
}
