#include "lib/rpc/netmach.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/random.h"
#include "lib/machine/machine.h"
#include "lib/rpc/calls.h"
#include "lib/rpc/rows.h"
#include "proto/mp.h"

enum {
	NETMACH_MAGIC = 0x6e6d6163,
	CONNECT_MS = 5000,
	RETRY_MS = 20, /* while the server's queue of connections is full */
};

struct netmach {
	uint32_t magic;
	struct am_loop *loop;          /* borrowed */
	const struct netmach_ops *ops; /* borrowed */
	void *arg;
	enum netmach_phase phase;
	bool freed;        /* by the user; the memory goes after the turn */
	bool wrong;        /* the checksum did not fit, a sync is under way */
	struct conn *conn; /* NULL: none */
	struct addr addr;  /* of the last netmach_connect() */
	struct am_timer retry;
	int64_t give_up_ns; /* then it is no longer tried; 0: it is closed */
	struct arpc_hello hello;
	uint32_t hello_id;
	int64_t timeout_ms;
	struct am_schema *schema; /* NULL: none is known */
	uint64_t hash;            /* of schema, as the server counts it */
	struct am_machine *mirror;
	struct arpc_clock clock; /* what the server sent, by its diffs */
	uint64_t epoch;
	uint64_t last_seq;
	uint64_t mismatches;
	struct calls calls;
	struct turn_item reap;
};

static struct netmach *
netmach_of(void *arg)
{
	struct netmach *nm = arg;

	assert(nm->magic == NETMACH_MAGIC);
	return nm;
}

static bool
is_ready(const struct netmach *nm)
{
	return nm->phase == NETMACH_READY && nm->conn != NULL &&
	    conn_phase(nm->conn) == CONN_UP;
}

/* ---- end of a connection ---- */

static void
end(struct netmach *nm, int code, const char *why)
{
	struct netmach_reply r = {
		.status = NETMACH_LOST,
		.why = "",
		.text = why,
	};
	struct call call;

	nm->conn = NULL;
	nm->wrong = false;
	while (!nm->freed && calls_take_oldest(&nm->calls, &call)) {
		if (call.fn != NULL)
			call.fn(nm, call.id, &r, call.arg);
	}
	if (nm->freed)
		return;
	nm->phase = NETMACH_IDLE;
	if (nm->ops->on_close != NULL)
		nm->ops->on_close(nm, code, why, nm->arg);
}

/* What the server did is against the protocol. */
static void
protocol_error(struct netmach *nm, const char *why)
{
	char text[ARPC_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "bad_frame: %s", why);
	conn_close(nm->conn, text);
}

/* ---- the mirror ---- */

/* false: the user has freed the net machine meanwhile. */
static bool
publish(struct netmach *nm)
{
	mach_mirror_set(nm->mirror, nm->clock.tick, nm->clock.queue_tick,
	    nm->clock.machine_tick);
	if (!nm->freed && nm->ops->on_update != NULL)
		nm->ops->on_update(nm, nm->arg);
	return !nm->freed;
}

static int
set_clock(struct netmach *nm, const struct arpc_welcome *w)
{
	struct mp c = mp_of(w->time);
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n != nm->clock.n)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++) {
		if (mp_get_uint(&c, UINT64_MAX, &nm->clock.tick[i]) < 0)
			return -EBADMSG;
	}
	nm->clock.queue_tick = w->queue_tick;
	nm->clock.machine_tick = w->machine_tick;
	nm->clock.sum = arpc_clock_sum(&nm->clock);
	nm->wrong = false;
	return 0;
}

static bool
apply_update(struct netmach *nm, struct am_val update)
{
	const char *why = "update";
	int r = arpc_update_get(update, &nm->clock, &why);

	if (r == -EILSEQ) {
		nm->mismatches++;
		if (!nm->wrong && is_ready(nm) &&
		    netmach_sync(nm, NULL, NULL) == 0)
			protocol_error(nm, "wrong checksum, and no sync");
		nm->wrong = true;
		return true;
	}
	if (r < 0) {
		protocol_error(nm, why);
		return true;
	}
	/* Subscribers see nothing of what is known to be wrong. */
	return nm->wrong || publish(nm);
}

/* ---- hello ---- */

static int
take_schema(struct netmach *nm, const struct arpc_welcome *w,
    struct am_error *err)
{
	struct am_schema *schema;

	if (nm->schema != NULL && w->hash == nm->hash &&
	    w->n_states == am_schema_len(nm->schema))
		return 0;
	if (w->schema.data == NULL) {
		(void)snprintf(err->text, sizeof(err->text),
		    "no schema for an unknown hash");
		return -EBADMSG;
	}
	schema = rows_schema(w->schema, err);
	if (schema == NULL)
		return -EBADMSG;
	nm->mirror = am_machine_free(nm->mirror);
	am_schema_unref(nm->schema);
	nm->schema = schema;
	nm->hash = w->hash;
	return 0;
}

/* -EBADMSG with a message, or -ENOMEM. */
static int
take_welcome(struct netmach *nm, const struct arpc_welcome *w,
    struct am_error *err)
{
	uint64_t *tick;
	size_t n;
	int r;

	(void)snprintf(err->text, sizeof(err->text), "the clocks do not fit");
	r = take_schema(nm, w, err);
	if (r < 0)
		return r;
	n = am_schema_len(nm->schema);
	if (nm->clock.n != n || nm->clock.tick == NULL) {
		tick = reallocarray(nm->clock.tick, n, sizeof(*tick));
		if (tick == NULL)
			return -ENOMEM;
		nm->clock.tick = tick;
		nm->clock.n = n;
	}
	if (nm->mirror == NULL)
		nm->mirror = mach_new_mirror(nm->schema, w->machine);
	if (nm->mirror == NULL)
		return -ENOMEM;
	return set_clock(nm, w);
}

static void
on_welcome(struct netmach *nm, const struct arpc_frame *f)
{
	struct am_error err = { "no memory" };
	const char *why = "welcome";
	struct arpc_welcome w;
	int r;

	if (arpc_welcome_get(f->params, &w, &why) < 0) {
		protocol_error(nm, why);
		return;
	}
	if (w.proto != ARPC_VERSION) {
		protocol_error(nm, "the server speaks another version");
		return;
	}
	r = take_welcome(nm, &w, &err);
	if (r < 0) {
		protocol_error(nm, r == -ENOMEM ? "no memory" : err.text);
		return;
	}
	nm->epoch = w.epoch;
	nm->last_seq = w.last_seq;
	nm->phase = NETMACH_READY;
	conn_deadline(nm->conn, 0, "");
	mach_mirror_set(nm->mirror, nm->clock.tick, nm->clock.queue_tick,
	    nm->clock.machine_tick);
	if (!nm->freed && nm->phase == NETMACH_READY &&
	    nm->ops->on_ready != NULL)
		nm->ops->on_ready(nm, nm->arg);
}

/* "code: text" as an enum arpc_error + 1, 0 if it is of no code. */
static int
code_of(const char *text)
{
	size_t len;

	for (int e = 0; e < ARPC_E__COUNT; e++) {
		len = strlen(arpc_error_name((enum arpc_error)e));
		if (strncmp(text, arpc_error_name((enum arpc_error)e), len) ==
			0 &&
		    text[len] == ':')
			return e + 1;
	}
	return 0;
}

static void
copy_text(char *buf, size_t size, const char *text, size_t len)
{
	len = len < size ? len : size - 1;
	memcpy(buf, text, len);
	buf[len] = '\0';
}

static void
on_refused(struct netmach *nm, const struct arpc_frame *f)
{
	char text[ARPC_TEXT_MAX];
	const char *p = "";
	size_t len = 0;
	enum arpc_error e = arpc_error_get(f->error, &p, &len);

	copy_text(text, sizeof(text), p, len);
	conn_drop(nm->conn);
	end(nm, (int)e + 1, text);
}

/* ---- frames ---- */

/* An answer that says nothing: what became of the call is not known. */
static void
bad_answer(struct netmach *nm, struct netmach_reply *r, const char *why)
{
	protocol_error(nm, why);
	r->status = NETMACH_LOST;
	r->text = why;
}

/* [result, update, why?]; false: the user has freed the net machine. */
static bool
on_result(struct netmach *nm, struct am_val params, struct netmach_reply *r,
    char *why, size_t size)
{
	struct mp c = mp_of(params);
	struct am_val update;
	const char *p;
	size_t len;
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n < 2 ||
	    mp_get_uint(&c, UINT64_MAX, &r->result) < 0 ||
	    mp_get_val(&c, &update) < 0) {
		bad_answer(nm, r, "the result of a mutation is malformed");
		return true;
	}
	if (n > 2 && mp_get_str(&c, &p, &len) == 0) {
		copy_text(why, size, p, len);
		r->why = why;
	}
	return apply_update(nm, update);
}

static bool
on_synced(struct netmach *nm, struct am_val result, struct netmach_reply *r)
{
	const char *why = "the clocks of a sync do not fit";
	struct arpc_welcome w;

	if (arpc_welcome_get(result, &w, &why) < 0 || set_clock(nm, &w) < 0) {
		bad_answer(nm, r, why);
		return true;
	}
	return publish(nm);
}

static void
on_response(struct netmach *nm, const struct arpc_frame *f)
{
	struct netmach_reply r = { .status = NETMACH_OK,
		.why = "",
		.text = "" };
	char text[ARPC_TEXT_MAX];
	bool alive = true;
	const char *p = "";
	size_t len = 0;
	struct call call;

	if (!calls_take(&nm->calls, f->id, &call))
		return; /* nothing was asked: nobody to tell */
	if (f->error.data != NULL) {
		r.status = NETMACH_ERROR;
		r.error = arpc_error_get(f->error, &p, &len);
		copy_text(text, sizeof(text), p, len);
		r.text = text;
		/* Nothing else makes a wrong mirror right. */
		if (call.method == ARPC_sync && nm->wrong)
			protocol_error(nm, "sync is refused");
	} else if (call.method == ARPC_info) {
		r.value = f->params;
	} else if (call.method == ARPC_sync) {
		alive = on_synced(nm, f->params, &r);
	} else {
		alive = on_result(nm, f->params, &r, text, sizeof(text));
	}
	if (alive && call.fn != NULL)
		call.fn(nm, call.id, &r, call.arg);
}

static void
on_push(struct netmach *nm, const struct arpc_frame *f)
{
	struct mp params = mp_of(f->params);
	const char *why = "payload";
	struct arpc_payload p;
	struct am_val update;
	uint32_t n;

	if (f->method == ARPC_t) {
		if (mp_get_array(&params, &n) < 0 || n == 0 ||
		    mp_get_val(&params, &update) < 0)
			protocol_error(nm, "t takes an update");
		else
			(void)apply_update(nm, update);
	} else if (f->method == ARPC_p) {
		if (arpc_payload_get(f->params, &p, &why) < 0)
			protocol_error(nm, why);
		else if (nm->ops->on_payload != NULL)
			nm->ops->on_payload(nm, &p, nm->arg);
	}
}

static void
on_frame(struct conn *c, const struct arpc_frame *f, void *arg)
{
	struct netmach *nm = netmach_of(arg);
	bool is_hello = nm->phase != NETMACH_READY;

	switch (f->kind) {
	case ARPC_REQUEST:
		arpc_put_error(conn_out(c), f->id, ARPC_E_no_method, NULL,
		    "a client answers no requests");
		return;
	case ARPC_RESPONSE:
		if (!is_hello)
			on_response(nm, f);
		else if (f->id != nm->hello_id)
			protocol_error(nm, "an answer before that to hello");
		else if (f->error.data != NULL)
			on_refused(nm, f);
		else
			on_welcome(nm, f);
		return;
	case ARPC_NOTIFICATION:
		if (!is_hello)
			on_push(nm, f);
		return;
	}
}

static void
on_up(struct conn *c, void *arg)
{
	(void)c;
	netmach_of(arg)->phase = NETMACH_HELLO;
}

static void
on_close(struct conn *c, const char *why, void *arg)
{
	struct netmach *nm = netmach_of(arg);
	int code = -conn_error(c);

	if (code == 0 && nm->phase == NETMACH_HELLO)
		code = code_of(why);
	end(nm, code, why);
}

static const struct conn_ops conn_ops = {
	.on_up = on_up,
	.on_frame = on_frame,
	.on_close = on_close,
};

/* ---- life ---- */

static void
on_reap(void *arg)
{
	struct netmach *nm = netmach_of(arg);

	am_timer_done(&nm->retry);
	calls_done(&nm->calls);
	free(nm->clock.tick);
	am_schema_unref(nm->schema);
	explicit_bzero(&nm->hello, sizeof(nm->hello));
	nm->magic = 0;
	free(nm);
}

/* Makes the connection, or the timer that tries again. -errno. */
static int
try_connect(struct netmach *nm)
{
	int64_t left_ms = (nm->give_up_ns - clock_ns()) / NS_PER_MS;
	int fd = addr_connect(&nm->addr);

	/* Only a Unix socket says so: the server lives, but is behind. */
	if (fd == -EAGAIN)
		return am_timer_start(&nm->retry, RETRY_MS);
	if (fd < 0)
		return fd;
	nm->conn = conn_new(nm->loop, fd, true, &conn_ops, nm);
	if (nm->conn == NULL)
		return -ENOMEM;
	nm->hello.has_hash = nm->schema != NULL;
	nm->hello.hash = nm->hash;
	nm->hello_id = calls_next_id(&nm->calls);
	conn_deadline(nm->conn, left_ms > 0 ? left_ms : 1,
	    "timeout: no answer to hello");
	/* It waits there until the connection is established. */
	arpc_put_hello(conn_out(nm->conn), nm->hello_id, &nm->hello);
	return 0;
}

static void
on_retry(void *arg)
{
	struct netmach *nm = netmach_of(arg);
	int r;

	if (nm->give_up_ns == 0) {
		end(nm, 0, "closed");
	} else if (clock_ns() >= nm->give_up_ns) {
		end(nm, -ETIMEDOUT, "timeout: too many wait to connect");
	} else {
		r = try_connect(nm);
		if (r < 0)
			end(nm, r, strerror(-r));
	}
}

struct netmach *
netmach_new(struct am_loop *l, const struct netmach_conf *conf,
    const struct netmach_ops *ops, void *arg)
{
	struct netmach *nm = calloc(1, sizeof(*nm));

	if (nm == NULL)
		return NULL;
	nm->magic = NETMACH_MAGIC;
	nm->loop = l;
	nm->ops = ops;
	nm->arg = arg;
	nm->timeout_ms = conf->timeout_ms > 0 ? conf->timeout_ms : CONNECT_MS;
	nm->hello.proto = ARPC_VERSION;
	nm->hello.client_id = conf->client_id != 0 ? conf->client_id
						   : random_id();
	if (conf->name != NULL)
		copy_text(nm->hello.name, sizeof(nm->hello.name), conf->name,
		    strlen(conf->name));
	if (conf->token != NULL) {
		nm->hello.has_token = true;
		memcpy(nm->hello.token, conf->token, ARPC_TOKEN_LEN);
	}
	if (conf->schema != NULL) {
		nm->schema = am_schema_ref(conf->schema);
		nm->hash = am_schema_hash(nm->schema);
	}
	nm->reap = (struct turn_item){ .fn = on_reap, .arg = nm };
	am_timer_init(&nm->retry, l, on_retry, nm);
	return nm;
}

struct netmach *
netmach_free(struct netmach *nm)
{
	if (nm == NULL || nm->freed)
		return NULL;
	nm->freed = true;
	nm->phase = NETMACH_IDLE;
	if (nm->conn != NULL)
		conn_drop(nm->conn);
	nm->conn = NULL;
	am_timer_stop(&nm->retry);
	nm->mirror = am_machine_free(nm->mirror);
	loop_at_reap(nm->loop, &nm->reap);
	return NULL;
}

void
netmach_flush(struct netmach *nm)
{
	if (is_ready(nm))
		conn_flush(nm->conn);
}

int
netmach_connect(struct netmach *nm, const struct addr *a)
{
	int r;

	if (nm->phase != NETMACH_IDLE || nm->conn != NULL)
		return -EALREADY;
	nm->addr = *a;
	nm->give_up_ns = clock_ns() + nm->timeout_ms * NS_PER_MS;
	r = try_connect(nm);
	if (r == 0)
		nm->phase = NETMACH_CONNECTING;
	return r;
}

void
netmach_close(struct netmach *nm, const char *reason)
{
	if (nm->conn != NULL) {
		conn_close(nm->conn, reason);
	} else if (nm->phase == NETMACH_CONNECTING) {
		nm->give_up_ns = 0;
		(void)am_timer_start(&nm->retry, 0);
	}
}

enum netmach_phase
netmach_phase(const struct netmach *nm)
{
	return nm->phase;
}

struct am_machine *
netmach_mirror(const struct netmach *nm)
{
	return nm->mirror;
}

uint64_t
netmach_epoch(const struct netmach *nm)
{
	return nm->epoch;
}

uint64_t
netmach_client_id(const struct netmach *nm)
{
	return nm->hello.client_id;
}

uint64_t
netmach_last_seq(const struct netmach *nm)
{
	return nm->last_seq;
}

uint64_t
netmach_mismatches(const struct netmach *nm)
{
	return nm->mismatches;
}

const struct conn_peer *
netmach_peer(const struct netmach *nm)
{
	static const struct conn_peer nobody = {
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
	};

	return nm->conn == NULL ? &nobody : conn_peer(nm->conn);
}

size_t
netmach_backlog(const struct netmach *nm)
{
	return nm->conn == NULL ? 0 : conn_backlog(nm->conn);
}

/* ---- calls ---- */

/* Opens a call and puts the head of its frame, whose params follow into
 * *ret_out. */
static uint32_t
call_begin(struct netmach *nm, enum arpc_method method, netmach_reply_fn fn,
    void *arg, struct am_buf **ret_out)
{
	struct call call = { .method = method, .fn = fn, .arg = arg };

	if (!is_ready(nm))
		return 0;
	call.id = calls_next_id(&nm->calls);
	if (call.id == 0 || calls_put(&nm->calls, &call) < 0)
		return 0;
	*ret_out = conn_out(nm->conn);
	arpc_put_request(*ret_out, call.id, method);
	return call.id;
}

static enum arpc_method
method_of(enum am_op op)
{
	switch (op) {
	case AM_ADD:
		return ARPC_add;
	case AM_REMOVE:
		return ARPC_remove;
	case AM_SET:
		return ARPC_set;
	case AM_TOGGLE:
		return ARPC_toggle;
	case AM_CAN_ADD:
		return ARPC_can_add;
	case AM_CAN_REMOVE:
		return ARPC_can_remove;
	}
	return ARPC_UNKNOWN;
}

uint32_t
netmach_mutate(struct netmach *nm, enum am_op op, const am_id *states, size_t n,
    struct am_val args, int64_t deadline_ms, netmach_reply_fn fn, void *arg)
{
	bool is_check = op == AM_CAN_ADD || op == AM_CAN_REMOVE;
	struct am_buf *out;
	uint32_t id;

	if (fn == NULL && !is_check) {
		if (!is_ready(nm))
			return 0;
		id = calls_next_id(&nm->calls);
		if (id == 0)
			return 0;
		out = conn_out(nm->conn);
		arpc_put_notification(out, method_of(op));
		arpc_put_mutation(out, states, n, args, deadline_ms);
		return id;
	}
	id = call_begin(nm, method_of(op), fn, arg, &out);
	if (id != 0)
		arpc_put_mutation(out, states, n, args, deadline_ms);
	return id;
}

uint32_t
netmach_info(struct netmach *nm, struct am_val params, netmach_reply_fn fn,
    void *arg)
{
	struct am_buf *out;
	uint32_t id = call_begin(nm, ARPC_info, fn, arg, &out);

	if (id != 0)
		am_put_val(out, params);
	return id;
}

uint32_t
netmach_lease_begin(struct netmach *nm, const struct arpc_lease *lease,
    netmach_reply_fn fn, void *arg)
{
	struct am_buf *out;
	uint32_t id = call_begin(nm, ARPC_lease_begin, fn, arg, &out);

	if (id != 0)
		arpc_put_lease(out, lease);
	return id;
}

uint32_t
netmach_sync(struct netmach *nm, netmach_reply_fn fn, void *arg)
{
	struct am_buf *out;
	uint32_t id = call_begin(nm, ARPC_sync, fn, arg, &out);

	if (id != 0)
		am_put_array(out, 0);
	return id;
}

void
netmach_ack(struct netmach *nm, uint64_t seq)
{
	struct am_buf *out;

	if (!is_ready(nm))
		return;
	out = conn_out(nm->conn);
	arpc_put_notification(out, ARPC_ack);
	am_put_array(out, 1);
	am_put_array(out, 1);
	am_put_uint(out, seq);
}
