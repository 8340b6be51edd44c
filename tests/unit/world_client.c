/* The small supervisor of clients, and a client of it. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/node/common.h"
#include "tests/unit/world.h"

/* ---- the supervisor of clients ---- */

static bool
lease_requested_enter(struct am_event *ev)
{
	const struct world *w = ev->arg;

	if (!w->refuses)
		return true;
	rpc_source_refuse(ev->source, ARPC_E_pool_broken, "no such program");
	return am_refuse(ev, "pool broken");
}

static void
lease_requested_state(struct am_event *ev)
{
	struct world *w = ev->arg;
	const struct rpc_source *src = ev->source;
	int64_t v = 0;

	(void)am_remove1(ev->machine, Sup_LeaseRequested, AM_NONE);
	ck_assert_int_eq(am_get_int(ev->args, "request", &v), 0);
	w->asked = (uint64_t)v;
	w->asked_id = src->id;
	w->asked_by = src->session;
	w->asked_timeout_ms = -2;
	w->asked_pid = 0;
	(void)am_get_int(ev->args, "timeout_ms", &w->asked_timeout_ms);
	(void)am_get_int(ev->args, "pid", &w->asked_pid);
	w->n_asked++;
}

static void
release_worker_state(struct am_event *ev)
{
	struct world *w = ev->arg;
	struct am_buf args = AM_BUF_INIT;
	const am_id state = Wrk_LeaseEnding;
	char lease[40];
	int64_t v;

	(void)am_remove1(ev->machine, Sup_ReleaseWorker, AM_NONE);
	node_get_text(ev->args, "reason", w->released, sizeof(w->released));
	if (am_get_int(ev->args, "request", &v) == 0) {
		w->released_request = (uint64_t)v;
		return;
	}
	node_get_text(ev->args, "lease", lease, sizeof(lease));
	am_put_map(&args, 3);
	node_put_str(&args, "lease", lease);
	node_put_str(&args, "reason", w->released);
	node_put_int(&args, "wait_ms", w->wait_ms);
	(void)netmach_mutate(w->super.nm, AM_ADD, &state, 1, am_buf_val(&args),
	    -1, world_on_reply, &w->super);
	am_buf_done(&args);
}

static const struct am_handler super_handler[Sup__COUNT] = {
	[Sup_LeaseRequested] = { .enter = lease_requested_enter,
	    .state = lease_requested_state },
	[Sup_ReleaseWorker] = { .state = release_worker_state },
};

static const struct am_handlers super_handlers = {
	.name = "super",
	.of = super_handler,
	.len = Sup__COUNT,
};

static int
super_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	struct world *w = arg;

	(void)s;
	(void)err;
	w->hello_had_token = h->has_token;
	return 0;
}

static int
super_may(struct rpc_session *s, enum am_op op, const am_id *states, size_t n,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)op;
	(void)states;
	(void)n;
	(void)err;
	(void)arg;
	return 0;
}

static int
super_info(struct rpc_session *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err, void *arg)
{
	(void)s;
	(void)topic;
	(void)params;
	(void)out;
	(void)arg;
	return node_error(err, ARPC_E_no_topic, "none");
}

static const struct rpc_policy super_policy = {
	.hello = super_hello,
	.may = super_may,
	.info = super_info,
	.max_sessions = 16,
};

void
world_supervisor(struct world *w)
{
	struct am_schema *schema = am_schema_new(&am_supervisor_states, NULL);

	w->s = am_machine_new(schema, "s");
	am_schema_unref(schema);
	ck_assert_ptr_nonnull(w->s);
	ck_assert_int_eq(am_bind(w->s, &super_handlers, w), 0);
	(void)am_add1(w->s, Sup_Start, AM_NONE);
	w->server = rpc_server_new(w->loop, w->s);
	ck_assert_ptr_nonnull(w->server);
	ck_assert_int_ge(rpc_server_listen(w->server,
			     world_listen(w->super_path), &super_policy, w),
	    0);
}

void
world_supervisor_gone(struct world *w)
{
	w->server = rpc_server_free(w->server);
	w->s = am_machine_free(w->s);
	(void)unlink(w->super_path);
}

void
world_grant(struct world *w)
{
	struct am_buf data = AM_BUF_INIT;
	char id[40];

	(void)snprintf(id, sizeof(id), "L%u", ++w->n_leases_given);
	memset(w->token, (int)w->n_leases_given, sizeof(w->token));
	world_lease(w, id, 0, 0);
	ck_assert_uint_eq(w->super.result, AM_EXECUTED);
	am_put_map(&data, 8);
	node_put_uint(&data, "request", w->asked);
	node_put_str(&data, "lease", id);
	node_put_str(&data, "worker", "w1");
	node_put_int(&data, "pid", getpid());
	node_put_str(&data, "address", w->public_path);
	am_put_str(&data, "token");
	w->token[0] ^= w->wrong_token;
	am_put_bin(&data, w->token, sizeof(w->token));
	node_put_int(&data, "ttl_ms", 60000);
	node_put_int(&data, "max_ms", 0);
	ck_assert_int_eq(rpc_session_payload(w->asked_by, 0, w->asked_id,
			     ARPC_P_EVENT, "ProvideWorker", am_buf_val(&data)),
	    0);
	am_buf_done(&data);
}

void
world_refuse(struct world *w, const char *code, const char *message)
{
	struct am_buf data = AM_BUF_INIT;

	am_put_map(&data, 2);
	node_put_uint(&data, "request", w->asked);
	am_put_str(&data, "error");
	am_put_map(&data, 2);
	node_put_str(&data, "code", code);
	node_put_str(&data, "message", message);
	ck_assert_int_eq(rpc_session_payload(w->asked_by, 0, w->asked_id,
			     ARPC_P_EVENT, "ProvideWorker", am_buf_val(&data)),
	    0);
	am_buf_done(&data);
}

/* ---- the client ---- */

static void
on_payload(struct am_client *c, const struct am_payload *p, void *arg)
{
	struct world *w = arg;
	struct world_payload *t = &w->told[w->n_told++];

	(void)c;
	ck_assert_uint_lt(w->n_told, WORLD_PAYLOADS);
	*t = (struct world_payload){ .seq = p->seq,
		.req = p->req,
		.status = p->status,
		.value = -1 };
	(void)snprintf(t->kind, sizeof(t->kind), "%s",
	    am_payload_kind_name(p->kind));
	(void)snprintf(t->name, sizeof(t->name), "%s", p->name);
	(void)snprintf(t->code, sizeof(t->code), "%s",
	    p->code != NULL ? p->code : "");
	(void)snprintf(t->message, sizeof(t->message), "%s",
	    p->message != NULL ? p->message : "");
	(void)am_get_int(p->data, "output", &t->value);
	if (w->cuts)
		world_cut(w);
	w->cuts = false;
	if (w->refill != NULL)
		w->refill(w);
}

static void
on_down(struct am_client *c, const char *reason, void *arg)
{
	struct world *w = arg;

	ck_assert_str_ne(reason, "");
	ck_assert_int_eq(am_client_request(c, AM_NONE, -1, NULL),
	    am_is1(w->cm, Cli_Releasing) ? -ENOLCK : -ENOTCONN);
	w->n_down++;
}

static void
on_up(struct am_client *c, void *arg)
{
	struct world *w = arg;

	ck_assert_uint_ne(am_client_window(c), 0);
	w->n_up++;
	ck_assert_uint_le(w->n_up, w->n_down);
	if (w->refill != NULL)
		w->refill(w);
}

static void
on_ready(struct am_client *c, void *arg)
{
	struct world *w = arg;

	(void)c;
	w->n_ready++;
}

static void
on_lost(struct am_client *c, const char *code, const char *reason, void *arg)
{
	struct world *w = arg;

	(void)c;
	w->n_lost++;
	(void)snprintf(w->lost_code, sizeof(w->lost_code), "%s", code);
	(void)snprintf(w->lost_reason, sizeof(w->lost_reason), "%s", reason);
}

void
world_client(struct world *w)
{
	world_client_of(w, w->super_path, NULL);
}

void
world_client_of(struct world *w, const char *first, const char *second)
{
	const char *const supervisors[] = { first, second };
	const struct am_client_conf conf = {
		.size = sizeof(conf),
		.name = "c1",
		.supervisors = supervisors,
		.n_supervisors = second != NULL ? 2 : 1,
		.arg = w,
		.on_payload = on_payload,
		.on_ready = on_ready,
		.on_down = on_down,
		.on_up = on_up,
		.on_lost = on_lost,
		.worker_view = w->worker_view,
		.supervisor_view = w->supervisor_view,
	};
	struct am_error err;

	w->c = am_client_new(w->loop, &conf, &err);
	ck_assert_msg(w->c != NULL, "%s", err.text);
	w->cm = am_client_machine(w->c);
	flow_log_attach(&w->clog, w->cm);
}
