#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/rpc/netmach.h"
#include "lib/rpc/server.h"
#include "proto/mp.h"
#include "tests/unit/unit.h"

/* ---- the machine at the other end ---- */

enum {
	Exception,
	Ready,
	Work,   /* requires Ready; refused if args say so */
	Locked, /* not for this client */
	Log,    /* multi */
	N_STATES,
};

static const am_id ready_ids[] = { Ready };
static const struct am_state rows[N_STATES] = {
	[Exception] = { .name = "Exception", .doc = "", .multi = true },
	[Ready] = { .name = "Ready", .doc = "" },
	[Work] = { .name = "Work", .doc = "", .require = { ready_ids, 1 } },
	[Locked] = { .name = "Locked", .doc = "" },
	[Log] = { .name = "Log", .doc = "", .multi = true },
};
static const struct am_states states = {
	.name = "test",
	.row = rows,
	.len = N_STATES,
};

enum { ROLE = 7 };

/* One server, and up to two clients of it. */
struct client {
	struct netmach *nm;
	int n_ready, n_updates, n_payloads, n_closed;
	int code;
	char why[ARPC_TEXT_MAX];
	struct arpc_payload payload; /* numbers only */
	char payload_name[32];
	char source[32];
	int64_t payload_data;
	/* the last reply */
	int n_replies;
	uint32_t id;
	struct netmach_reply reply;
	char text[ARPC_TEXT_MAX];
	char reply_why[ARPC_TEXT_MAX];
	char value[64];
	size_t value_len;
	int n_fired;
	struct addr *again; /* connects from within on_close */
};

static char dir[64];
static char path[96];
static struct addr addr;
static struct am_loop *l;
static struct am_schema *schema;
static struct am_machine *m;
static struct rpc_server *srv;
static int listener;
static struct client a, b;
static int n_up, n_over;
static uint64_t acked[8];
static size_t n_acked;
static uint32_t source_id;
static int64_t source_deadline_ms;
static struct rpc_session *source_session;
static char over_why[ARPC_TEXT_MAX];

static bool
work_enter(struct am_event *ev)
{
	const struct rpc_source *source = ev->source;
	bool refuse = false;

	if (source != NULL) {
		source_id = source->id;
		source_deadline_ms = source->deadline_ms;
		source_session = source->session;
	}
	(void)am_get_bool(ev->args, "refuse", &refuse);
	if (refuse)
		return am_refuse(ev, "told to refuse");
	return true;
}

static const struct am_handler handler[N_STATES] = {
	[Work] = { .enter = work_enter },
};
static const struct am_handlers handlers = {
	.name = "test",
	.of = handler,
	.len = N_STATES,
};

static int
policy_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	ck_assert_ptr_eq(arg, &listener);
	if (h->has_token && h->token[0] != 1) {
		(void)snprintf(err->text, sizeof(err->text), "no such lease");
		return ARPC_E_bad_token;
	}
	rpc_session_set_role(s, ROLE);
	return 0;
}

static void
policy_up(struct rpc_session *s, void *arg)
{
	(void)arg;
	ck_assert_int_eq(rpc_session_role(s), ROLE);
	ck_assert_int_eq(rpc_session_listener(s), listener);
	ck_assert_uint_eq(rpc_session_peer(s)->uid, getuid());
	n_up++;
}

static bool
policy_may(struct rpc_session *s, enum am_op op, const am_id *ids, size_t n,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)op;
	(void)arg;
	for (size_t i = 0; i < n; i++) {
		if (ids[i] != Locked)
			continue;
		(void)snprintf(err->text, sizeof(err->text), "not Locked");
		return false;
	}
	return true;
}

static int
policy_info(struct rpc_session *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err, void *arg)
{
	(void)s;
	(void)arg;
	if (strcmp(topic, "echo") != 0)
		return ARPC_E_no_topic;
	if (params.len == 1) {
		(void)snprintf(err->text, sizeof(err->text), "nothing to echo");
		return ARPC_E_bad_params;
	}
	am_put_val(out, params);
	return 0;
}

static void
policy_ack(struct rpc_session *s, const uint64_t *seqs, size_t n, void *arg)
{
	(void)s;
	(void)arg;
	for (size_t i = 0; i < n && n_acked < 8; i++)
		acked[n_acked++] = seqs[i];
}

static uint64_t
policy_last_seq(struct rpc_session *s, void *arg)
{
	(void)s;
	(void)arg;
	return 41;
}

static am_result
policy_lease_begin(struct rpc_session *s, const struct arpc_lease *lease,
    void *arg)
{
	(void)s;
	(void)arg;
	ck_assert_str_eq(lease->lease, "L1");
	ck_assert_uint_eq(lease->token[3], 33);
	return am_add1(m, Log, AM_NONE);
}

static void
policy_closed(struct rpc_session *s, const char *why, void *arg)
{
	(void)arg;
	ck_assert_int_eq(rpc_session_role(s), ROLE);
	(void)snprintf(over_why, sizeof(over_why), "%s", why);
	n_over++;
}

static struct rpc_policy policy = {
	.hello = policy_hello,
	.up = policy_up,
	.may = policy_may,
	.info = policy_info,
	.ack = policy_ack,
	.lease_begin = policy_lease_begin,
	.last_seq = policy_last_seq,
	.closed = policy_closed,
	.max_sessions = 3,
};

static void
server_up(void)
{
	int fd;

	m = am_machine_new(schema, "tested");
	ck_assert_int_eq(am_bind(m, &handlers, NULL), 0);
	srv = rpc_server_new(l, m);
	ck_assert_ptr_nonnull(srv);
	fd = addr_listen(&addr, 0600);
	ck_assert_int_ge(fd, 0);
	listener = rpc_server_listen(srv, fd, &policy, &listener);
	ck_assert_int_eq(listener, 0);
}

static void
server_down(void)
{
	srv = rpc_server_free(srv);
	m = am_machine_free(m);
	(void)unlink(path);
}

static void
setup(void)
{
	struct am_error err;

	(void)snprintf(dir, sizeof(dir), "/tmp/test_rpc.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	ck_assert_int_eq(addr_parse(path, &addr, &err), 0);
	l = am_loop_new();
	schema = am_schema_new(&states, &err);
	ck_assert_ptr_nonnull(schema);
	a = b = (struct client){ 0 };
	n_up = n_over = 0;
	n_acked = 0;
	server_up();
}

static void
teardown(void)
{
	a.nm = netmach_free(a.nm);
	b.nm = netmach_free(b.nm);
	server_down();
	schema = am_schema_unref(schema);
	l = am_loop_free(l);
	(void)rmdir(dir);
}

/* ---- clients ---- */

static void
on_ready(struct netmach *nm, void *arg)
{
	struct client *c = arg;

	ck_assert_ptr_eq(nm, c->nm);
	ck_assert_int_eq(netmach_phase(nm), NETMACH_READY);
	c->n_ready++;
}

static void
on_update(struct netmach *nm, void *arg)
{
	struct client *c = arg;

	(void)nm;
	c->n_updates++;
}

static void
on_payload(struct netmach *nm, const struct arpc_payload *p, void *arg)
{
	struct client *c = arg;
	struct mp name = mp_of(p->name);
	struct mp source = mp_of(p->source);

	c->payload = *p;
	c->n_payloads++;
	(void)mp_get_text(&name, c->payload_name, sizeof(c->payload_name));
	(void)mp_get_text(&source, c->source, sizeof(c->source));
	(void)am_get_int(p->data, "n", &c->payload_data);
	netmach_ack(nm, p->seq);
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	struct client *c = arg;
	struct addr *again = c->again;

	ck_assert_int_eq(netmach_phase(nm), NETMACH_IDLE);
	c->n_closed++;
	c->code = code;
	(void)snprintf(c->why, sizeof(c->why), "%s", why);
	c->again = NULL;
	if (again != NULL)
		ck_assert_int_eq(netmach_connect(nm, again), 0);
}

static const struct netmach_ops ops = {
	.on_ready = on_ready,
	.on_update = on_update,
	.on_payload = on_payload,
	.on_close = on_close,
};

static void
on_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct client *c = arg;

	ck_assert_ptr_eq(nm, c->nm);
	c->n_replies++;
	c->id = id;
	c->reply = *r;
	(void)snprintf(c->text, sizeof(c->text), "%s", r->text);
	(void)snprintf(c->reply_why, sizeof(c->reply_why), "%s", r->why);
	c->value_len = r->value.len < sizeof(c->value) ? r->value.len : 0;
	if (c->value_len > 0)
		memcpy(c->value, r->value.data, c->value_len);
}

static void
on_fired(struct am_machine *mirror, void *arg)
{
	struct client *c = arg;

	ck_assert_ptr_eq(mirror, netmach_mirror(c->nm));
	c->n_fired++;
}

/* Turns until *counter has reached n, or 5 s are over. */
static void
until(const int *counter, int n)
{
	int64_t end_ns = clock_ns() + 5 * NS_PER_S;

	while (*counter < n && clock_ns() < end_ns)
		(void)am_loop_step(l, 100);
	ck_assert_int_ge(*counter, n);
}

static void
turns(int n)
{
	while (n-- > 0)
		(void)am_loop_step(l, 0);
}

static void
client_new(struct client *c, const struct netmach_conf *conf)
{
	c->nm = netmach_new(l, conf, &ops, c);
	ck_assert_ptr_nonnull(c->nm);
	ck_assert_int_eq(netmach_connect(c->nm, &addr), 0);
}

static void
client_up(struct client *c)
{
	client_new(c, &(struct netmach_conf){ .name = "unit" });
	until(&c->n_ready, 1);
}

/* One mutation of one state, waited for. */
static am_result
mutate1(struct client *c, enum am_op op, am_id state, struct am_val args)
{
	int n = c->n_replies;
	uint32_t id = netmach_mutate(c->nm, op, &state, 1, args, -1, on_reply,
	    c);

	ck_assert_uint_ne(id, 0);
	ck_assert_int_eq(c->n_replies, n);
	until(&c->n_replies, n + 1);
	ck_assert_uint_eq(c->id, id);
	return c->reply.result;
}

static void
check_mirror(const struct client *c)
{
	const struct am_machine *mirror = netmach_mirror(c->nm);

	ck_assert_int_eq(memcmp(am_time(mirror), am_time(m),
			     N_STATES * sizeof(uint64_t)),
	    0);
	ck_assert_uint_eq(am_machine_tick(mirror), am_machine_tick(m));
}

/* ---- tests ---- */

START_TEST(hello_brings_schema_and_clocks)
{
	struct am_machine *mirror;
	struct rpc_session *s;

	setup();
	(void)am_add1(m, Ready, AM_NONE);
	client_up(&a);
	mirror = netmach_mirror(a.nm);
	ck_assert_str_eq(am_machine_id(mirror), "tested");
	ck_assert_uint_eq(am_schema_len(am_machine_schema(mirror)), N_STATES);
	for (am_id i = 0; i < N_STATES; i++)
		ck_assert_str_eq(am_schema_name(am_machine_schema(mirror), i),
		    rows[i].name);
	ck_assert_uint_eq(am_schema_hash(am_machine_schema(mirror)),
	    am_schema_hash(schema));
	ck_assert(am_is1(mirror, Ready));
	ck_assert_uint_eq(am_queue_tick(mirror), am_queue_tick(m));
	check_mirror(&a);
	ck_assert_uint_eq(netmach_epoch(a.nm), rpc_server_epoch(srv));
	ck_assert_uint_eq(netmach_last_seq(a.nm), 41);
	ck_assert_int_eq(n_up, 1);
	s = rpc_server_next(srv, NULL);
	ck_assert_ptr_nonnull(s);
	ck_assert_ptr_null(rpc_server_next(srv, s));
	ck_assert_str_eq(rpc_session_name(s), "unit");
	ck_assert_uint_eq(rpc_session_client_id(s), netmach_client_id(a.nm));
	ck_assert_int_eq(netmach_peer(a.nm)->pid, getpid());
	teardown();
}
END_TEST

START_TEST(a_mutation_is_answered_with_its_clocks)
{
	setup();
	client_up(&a);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Ready, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert(am_is1(m, Ready));
	ck_assert(am_is1(netmach_mirror(a.nm), Ready));
	ck_assert_uint_eq(am_queue_tick(netmach_mirror(a.nm)),
	    am_queue_tick(m));
	ck_assert_int_eq(a.n_updates, 1);
	ck_assert_uint_eq(mutate1(&a, AM_TOGGLE, Ready, AM_NONE), AM_EXECUTED);
	ck_assert(!am_is1(netmach_mirror(a.nm), Ready));
	ck_assert_uint_eq(mutate1(&a, AM_SET, Log, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(mutate1(&a, AM_REMOVE, Log, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(mutate1(&a, AM_CAN_ADD, Work, AM_NONE), AM_CANCELED);
	ck_assert_uint_eq(mutate1(&a, AM_CAN_ADD, Ready, AM_NONE), AM_EXECUTED);
	ck_assert(!am_is1(m, Ready));
	ck_assert_uint_eq(mutate1(&a, AM_CAN_REMOVE, Ready, AM_NONE),
	    AM_EXECUTED);
	turns(2);
	check_mirror(&a);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 0);
	teardown();
}
END_TEST

START_TEST(a_canceled_one_says_why)
{
	struct am_buf args = AM_BUF_INIT;

	setup();
	client_up(&a);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Work, AM_NONE), AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(a.reply_why, "Ready"));
	(void)mutate1(&a, AM_ADD, Ready, AM_NONE);
	ck_assert_str_eq(a.reply_why, "");
	am_put_map(&args, 1);
	am_put_str(&args, "refuse");
	am_put_bool(&args, true);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Work, am_buf_val(&args)),
	    AM_CANCELED);
	ck_assert_ptr_nonnull(strstr(a.reply_why, "told to refuse"));
	am_buf_done(&args);
	teardown();
}
END_TEST

START_TEST(a_handler_knows_who_asks)
{
	am_id ids[] = { Work, Ready };
	uint32_t id;

	setup();
	client_up(&a);
	id = netmach_mutate(a.nm, AM_ADD, ids, 2, AM_NONE, 250, on_reply, &a);
	until(&a.n_replies, 1);
	ck_assert_uint_eq(source_id, id);
	ck_assert_int_eq(source_deadline_ms, 250);
	ck_assert_ptr_eq(source_session, rpc_server_next(srv, NULL));
	(void)mutate1(&a, AM_REMOVE, Work, AM_NONE);
	/* without fn: a notification, answered by a push only */
	ck_assert_uint_ne(netmach_mutate(a.nm, AM_ADD, ids, 1, AM_NONE, -1,
			      NULL, NULL),
	    0);
	until(&a.n_updates, 3);
	ck_assert_uint_eq(source_id, 0);
	ck_assert_int_eq(source_deadline_ms, -1);
	ck_assert(am_is1(netmach_mirror(a.nm), Work));
	teardown();
}
END_TEST

START_TEST(others_get_one_push_a_turn)
{
	am_sub sub;

	setup();
	client_up(&a);
	client_up(&b);
	sub = am_when(netmach_mirror(b.nm), ready_ids, 1, on_fired, &b);
	ck_assert_uint_ne(sub, 0);
	/* three mutations of one turn */
	for (int i = 0; i < 3; i++)
		(void)netmach_mutate(a.nm, AM_TOGGLE, ready_ids, 1, AM_NONE, -1,
		    on_reply, &a);
	until(&a.n_replies, 3);
	until(&b.n_updates, 1);
	turns(3);
	ck_assert_int_eq(a.n_updates, 3);
	ck_assert_int_eq(b.n_updates, 1);
	ck_assert_int_eq(b.n_fired, 1);
	ck_assert_uint_eq(am_tick(netmach_mirror(b.nm), Ready), 3);
	/* and what the server does itself */
	(void)am_add1(m, Log, AM_NONE);
	(void)am_remove1(m, Log, AM_NONE);
	until(&a.n_updates, 4);
	until(&b.n_updates, 2);
	check_mirror(&a);
	check_mirror(&b);
	/* what changes no clock is not pushed */
	(void)am_add1(m, Ready, AM_NONE);
	turns(3);
	ck_assert_int_eq(a.n_updates, 4);
	ck_assert_uint_eq(netmach_mismatches(a.nm), 0);
	ck_assert_uint_eq(netmach_mismatches(b.nm), 0);
	teardown();
}
END_TEST

START_TEST(a_payload_arrives_and_is_acked)
{
	struct am_buf data = AM_BUF_INIT;
	struct rpc_session *s;
	int n = 0;

	setup();
	client_up(&a);
	s = rpc_server_next(srv, NULL);
	am_put_map(&data, 1);
	am_put_str(&data, "n");
	am_put_int(&data, 9);
	ck_assert_int_eq(rpc_session_payload(s, 42, 17, ARPC_P_CHUNK, "part",
			     am_buf_val(&data)),
	    0);
	until(&a.n_payloads, 1);
	ck_assert_uint_eq(a.payload.seq, 42);
	ck_assert_uint_eq(a.payload.req, 17);
	ck_assert_int_eq(a.payload.kind, ARPC_P_CHUNK);
	ck_assert_str_eq(a.payload_name, "part");
	ck_assert_str_eq(a.source, "tested");
	ck_assert_int_eq(a.payload_data, 9);
	while (n_acked < 1 && n++ < 100)
		(void)am_loop_step(l, 10);
	ck_assert_uint_eq(n_acked, 1);
	ck_assert_uint_eq(acked[0], 42);
	rpc_session_close(s, "over");
	ck_assert_int_eq(rpc_session_payload(s, 43, 0, ARPC_P_EVENT, "x",
			     AM_NONE),
	    -ENOTCONN);
	ck_assert_ptr_null(rpc_server_next(srv, NULL));
	am_buf_done(&data);
	teardown();
}
END_TEST

START_TEST(errors_have_a_code_and_a_text)
{
	struct am_buf params = AM_BUF_INIT;
	am_id locked = Locked;
	am_id none = N_STATES;

	setup();
	client_up(&a);
	(void)netmach_mutate(a.nm, AM_ADD, &locked, 1, AM_NONE, -1, on_reply,
	    &a);
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_ERROR);
	ck_assert_int_eq(a.reply.error, ARPC_E_not_permitted);
	ck_assert_str_eq(a.text, "not Locked");
	(void)netmach_mutate(a.nm, AM_ADD, &none, 1, AM_NONE, -1, on_reply, &a);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_state);
	am_put_array(&params, 1);
	am_put_str(&params, "weather");
	(void)netmach_info(a.nm, am_buf_val(&params), on_reply, &a);
	until(&a.n_replies, 3);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_topic);
	ck_assert_str_eq(a.text, "no topic \"weather\"");
	am_buf_reset(&params);
	am_put_array(&params, 1);
	am_put_str(&params, "echo");
	(void)netmach_info(a.nm, am_buf_val(&params), on_reply, &a);
	until(&a.n_replies, 4);
	ck_assert_int_eq(a.reply.error, ARPC_E_bad_params);
	ck_assert_str_eq(a.text, "nothing to echo");
	am_buf_reset(&params);
	am_put_array(&params, 3);
	am_put_str(&params, "echo");
	am_put_int(&params, 5);
	am_put_str(&params, "x");
	(void)netmach_info(a.nm, am_buf_val(&params), on_reply, &a);
	until(&a.n_replies, 5);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert_uint_eq(a.value_len, 4);
	ck_assert_int_eq(memcmp(a.value, "\x92\x05\xa1x", 4), 0);
	ck_assert_int_eq(netmach_phase(a.nm), NETMACH_READY);
	am_buf_done(&params);
	teardown();
}
END_TEST

START_TEST(a_lease_begins_only_where_it_may)
{
	struct arpc_lease lease = { .lease = "L1", .client = "c" };

	setup();
	lease.token[3] = 33;
	client_up(&a);
	(void)netmach_lease_begin(a.nm, &lease, on_reply, &a);
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert_uint_eq(a.reply.result, AM_EXECUTED);
	ck_assert(am_is1(netmach_mirror(a.nm), Log));
	policy.lease_begin = NULL;
	(void)netmach_lease_begin(a.nm, &lease, on_reply, &a);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.error, ARPC_E_no_method);
	policy.lease_begin = policy_lease_begin;
	teardown();
}
END_TEST

START_TEST(a_wrong_token_is_refused)
{
	uint8_t token[ARPC_TOKEN_LEN] = { 2 };

	setup();
	client_new(&a, &(struct netmach_conf){ .token = token });
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, ARPC_E_bad_token + 1);
	ck_assert_str_eq(a.why, "no such lease");
	ck_assert_int_eq(n_over, 0);
	token[0] = 1;
	client_new(&b, &(struct netmach_conf){ .token = token });
	until(&b.n_ready, 1);
	teardown();
}
END_TEST

START_TEST(too_many_connections_are_busy)
{
	struct client more[3] = { 0 };

	setup();
	client_up(&a);
	for (int i = 0; i < 3; i++)
		client_new(&more[i], &(struct netmach_conf){ .name = "more" });
	until(&more[1].n_ready, 1);
	until(&more[2].n_closed, 1);
	ck_assert_int_eq(more[2].code, ARPC_E_busy + 1);
	/* there is room again */
	more[0].nm = netmach_free(more[0].nm);
	turns(3);
	ck_assert_int_eq(netmach_connect(more[2].nm, &addr), 0);
	until(&more[2].n_ready, 1);
	for (int i = 0; i < 3; i++)
		more[i].nm = netmach_free(more[i].nm);
	teardown();
}
END_TEST

START_TEST(nobody_there_is_an_errno)
{
	struct am_error err;
	struct addr tcp;
	int fd;

	setup();
	server_down();
	a.nm = netmach_new(l, &(struct netmach_conf){ 0 }, &ops, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), -ENOENT);
	ck_assert_int_eq(netmach_phase(a.nm), NETMACH_IDLE);
	/* over TCP it shows later */
	ck_assert_int_eq(addr_parse("127.0.0.1:0", &tcp, &err), 0);
	fd = addr_listen(&tcp, 0);
	ck_assert_int_eq(addr_of_fd(fd, &tcp), 0);
	(void)close(fd);
	if (netmach_connect(a.nm, &tcp) == 0) {
		until(&a.n_closed, 1);
		ck_assert_int_eq(a.code, -ECONNREFUSED);
	}
	/* and one that never answers */
	a.nm = netmach_free(a.nm);
	fd = addr_listen(&addr, 0600);
	client_new(&b, &(struct netmach_conf){ .timeout_ms = 30 });
	until(&b.n_closed, 1);
	ck_assert_int_eq(b.code, -ETIMEDOUT);
	(void)close(fd);
	(void)unlink(path);
	server_up();
	teardown();
}
END_TEST

START_TEST(open_calls_are_lost_with_the_connection)
{
	setup();
	client_up(&a);
	a.again = &addr;
	for (int i = 0; i < 20; i++)
		(void)netmach_mutate(a.nm, AM_ADD, ready_ids, 1, AM_NONE, -1,
		    on_reply, &a);
	rpc_server_close(srv, -1, "going away");
	/* The bye is there before the calls are read. */
	until(&a.n_replies, 20);
	ck_assert_int_eq(a.reply.status, NETMACH_LOST);
	ck_assert_str_eq(a.text, "going away");
	ck_assert_int_eq(a.n_closed, 1);
	ck_assert_int_eq(a.code, 0);
	ck_assert_str_eq(a.why, "going away");
	ck_assert_int_eq(n_over, 1);
	ck_assert_str_eq(over_why, "going away");
	/* on_close has connected again */
	until(&a.n_ready, 2);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Log, AM_NONE), AM_EXECUTED);
	teardown();
}
END_TEST

START_TEST(a_mirror_survives_a_new_server_of_the_same_schema)
{
	struct am_machine *mirror;
	uint64_t epoch;

	setup();
	client_up(&a);
	(void)mutate1(&a, AM_ADD, Ready, AM_NONE);
	mirror = netmach_mirror(a.nm);
	epoch = netmach_epoch(a.nm);
	server_down();
	until(&a.n_closed, 1);
	ck_assert_str_eq(a.why, "eof");
	ck_assert_uint_eq(netmach_mutate(a.nm, AM_ADD, ready_ids, 1, AM_NONE,
			      -1, on_reply, &a),
	    0);
	ck_assert_ptr_eq(netmach_mirror(a.nm), mirror);
	server_up();
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	ck_assert_int_eq(netmach_connect(a.nm, &addr), -EALREADY);
	until(&a.n_ready, 2);
	ck_assert_ptr_eq(netmach_mirror(a.nm), mirror);
	ck_assert_uint_ne(netmach_epoch(a.nm), epoch);
	ck_assert(!am_is1(mirror, Ready));
	check_mirror(&a);
	netmach_close(a.nm, "enough");
	until(&a.n_closed, 2);
	ck_assert_str_eq(a.why, "enough");
	turns(2);
	ck_assert_str_eq(over_why, "enough");
	teardown();
}
END_TEST

START_TEST(a_known_schema_is_shared)
{
	setup();
	client_new(&a, &(struct netmach_conf){ .schema = schema });
	until(&a.n_ready, 1);
	ck_assert_ptr_eq(am_machine_schema(netmach_mirror(a.nm)), schema);
	teardown();
}
END_TEST

static void
free_it(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct client *c = arg;

	(void)id;
	(void)r;
	c->n_replies++;
	c->nm = netmach_free(nm);
}

START_TEST(it_may_be_freed_by_its_own_callback)
{
	setup();
	client_up(&a);
	for (int i = 0; i < 5; i++)
		(void)netmach_mutate(a.nm, AM_TOGGLE, ready_ids, 1, AM_NONE, -1,
		    free_it, &a);
	until(&a.n_replies, 1);
	until(&n_over, 1);
	ck_assert_int_eq(a.n_replies, 1);
	ck_assert_int_eq(a.n_closed, 0);
	client_up(&b);
	for (int i = 0; i < 5; i++)
		(void)netmach_mutate(b.nm, AM_TOGGLE, ready_ids, 1, AM_NONE, -1,
		    free_it, &b);
	rpc_server_close(srv, listener, "lost");
	until(&b.n_replies, 1);
	turns(3);
	ck_assert_int_eq(b.n_replies, 1);
	ck_assert_int_eq(b.n_closed, 0);
	teardown();
}
END_TEST

UNIT_MAIN("rpc", hello_brings_schema_and_clocks,
    a_mutation_is_answered_with_its_clocks, a_canceled_one_says_why,
    a_handler_knows_who_asks, others_get_one_push_a_turn,
    a_payload_arrives_and_is_acked, errors_have_a_code_and_a_text,
    a_lease_begins_only_where_it_may, a_wrong_token_is_refused,
    too_many_connections_are_busy, nobody_there_is_an_errno,
    open_calls_are_lost_with_the_connection,
    a_mirror_survives_a_new_server_of_the_same_schema, a_known_schema_is_shared,
    it_may_be_freed_by_its_own_callback)
