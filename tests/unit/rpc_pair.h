/* rpc_pair.h - a server and its net machines in one loop, over a Unix socket:
 * what the tests of both share. */
#ifndef TESTS_UNIT_RPC_PAIR_H
#define TESTS_UNIT_RPC_PAIR_H

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
static int n_hellos, n_up, n_over;
static uint64_t acked[8];
static size_t n_acked;
static uint32_t source_id;
static int64_t source_deadline_ms;
static struct rpc_session *source_session;
static char over_why[ARPC_TEXT_MAX];
static bool makes_late; /* Work is answered by a payload */

static inline bool
work_enter(struct am_event *ev)
{
	const struct rpc_source *source = ev->source;
	bool refuse = false;

	if (source != NULL) {
		source_id = source->id;
		source_deadline_ms = source->deadline_ms;
		source_session = source->session;
		if (makes_late)
			rpc_session_is_late(source->session, source->id);
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

static inline int
policy_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	(void)s;
	ck_assert_ptr_eq(arg, &listener);
	n_hellos++;
	if (h->has_token && h->token[0] != 1) {
		(void)snprintf(err->text, sizeof(err->text), "no such lease");
		return ARPC_E_bad_token;
	}
	return 0;
}

static inline void
policy_up(struct rpc_session *s, void *arg)
{
	(void)arg;
	ck_assert_int_eq(rpc_session_listener(s), listener);
	ck_assert_uint_eq(rpc_session_peer(s)->uid, getuid());
	n_up++;
}

static inline int
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
		return ARPC_E_not_permitted;
	}
	return 0;
}

static inline int
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

static inline void
policy_ack(struct rpc_session *s, const uint64_t *seqs, size_t n, void *arg)
{
	(void)s;
	(void)arg;
	for (size_t i = 0; i < n && n_acked < 8; i++)
		acked[n_acked++] = seqs[i];
}

static inline uint64_t
policy_last_seq(struct rpc_session *s, void *arg)
{
	(void)s;
	(void)arg;
	return 41;
}

static inline am_result
policy_lease_begin(struct rpc_session *s, const struct arpc_lease *lease,
    void *arg)
{
	(void)s;
	(void)arg;
	ck_assert_str_eq(lease->lease, "L1");
	ck_assert_uint_eq(lease->token[3], 33);
	return am_add1(m, Log, AM_NONE);
}

static inline void
policy_closed(struct rpc_session *s, const char *why, void *arg)
{
	(void)s;
	(void)arg;
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

static inline void
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

static inline void
server_down(void)
{
	srv = rpc_server_free(srv);
	m = am_machine_free(m);
	(void)unlink(path);
}

static inline void
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
	n_hellos = n_up = n_over = 0;
	n_acked = 0;
	makes_late = false;
	server_up();
}

static inline void
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

static inline void
on_ready(struct netmach *nm, void *arg)
{
	struct client *c = arg;

	ck_assert_ptr_eq(nm, c->nm);
	ck_assert_int_eq(netmach_phase(nm), NETMACH_READY);
	c->n_ready++;
}

static inline void
on_update(struct netmach *nm, void *arg)
{
	struct client *c = arg;

	(void)nm;
	c->n_updates++;
}

static inline void
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

static inline void
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

static inline void
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

static inline void
on_fired(struct am_machine *mirror, void *arg)
{
	struct client *c = arg;

	ck_assert_ptr_eq(mirror, netmach_mirror(c->nm));
	c->n_fired++;
}

/* Turns until *counter has reached n, or 5 s are over. */
static inline void
until(const int *counter, int n)
{
	int64_t end_ns = clock_ns() + 5 * NS_PER_S;

	while (*counter < n && clock_ns() < end_ns)
		(void)am_loop_step(l, 100);
	ck_assert_int_ge(*counter, n);
}

static inline void
turns(int n)
{
	while (n-- > 0)
		(void)am_loop_step(l, 0);
}

static inline void
client_new(struct client *c, const struct netmach_conf *conf)
{
	c->nm = netmach_new(l, conf, &ops, c);
	ck_assert_ptr_nonnull(c->nm);
	ck_assert_int_eq(netmach_connect(c->nm, &addr), 0);
}

static inline void
client_up(struct client *c)
{
	client_new(c, &(struct netmach_conf){ .name = "unit" });
	until(&c->n_ready, 1);
}

/* One mutation of one state, waited for. */
static inline am_result
mutate1(struct client *c, enum am_op op, am_id state, struct am_val args)
{
	int n = c->n_replies;
	int id = netmach_mutate(c->nm, op, &state, 1, args, -1, on_reply, c);

	ck_assert_int_gt(id, 0);
	ck_assert_int_eq(c->n_replies, n);
	until(&c->n_replies, n + 1);
	ck_assert_uint_eq(c->id, (uint32_t)id);
	return c->reply.result;
}

static inline void
check_mirror(const struct client *c)
{
	const struct am_machine *mirror = netmach_mirror(c->nm);

	ck_assert_int_eq(memcmp(am_time(mirror), am_time(m),
			     N_STATES * sizeof(uint64_t)),
	    0);
	ck_assert_uint_eq(am_machine_tick(mirror), am_machine_tick(m));
}

#endif
