/* netmach_in.c - handles what the server sends: the welcome, updates of the
 * mirror, responses, payloads. */
#include "lib/rpc/netmach_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/utf8.h"
#include "lib/machine/machine.h"
#include "lib/rpc/schema_wire.h"
#include "proto/mp.h"

/* The server has broken the protocol. */
static void
protocol_error(struct netmach *nm, const char *why)
{
	char text[ARPC_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "bad_frame: %s", why);
	conn_close(nm->conn, text);
}

/* Ends the connection without a bye, after which the server would forget what
 * the next hello asks it to resume. */
static void
out_of_memory(struct netmach *nm)
{
	conn_drop(nm->conn);
	netmach_end(nm, -ENOMEM, "no memory");
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
		if (!nm->wrong && netmach_is_ready(nm) &&
		    netmach_sync(nm, NULL, NULL) < 0)
			protocol_error(nm, "wrong checksum, and no sync");
		nm->wrong = true;
		return true;
	}
	if (r < 0) {
		protocol_error(nm, why);
		return true;
	}
	/* Subscribers must not see clocks that are known to be wrong. */
	return nm->wrong || publish(nm);
}

/* ---- hello ---- */

/* The caller frees a mirror that cannot become the new one, because its
 * subscribers are called then, and may do anything with nm. */
static int
take_schema(struct netmach *nm, const struct arpc_welcome *w,
    struct am_machine **ret_old, struct am_error *err)
{
	struct am_schema *schema;

	if (nm->schema != NULL && w->hash == nm->hash &&
	    w->n_states == am_schema_len(nm->schema))
		return 0;
	if (w->schema.len == 0) {
		(void)snprintf(err->text, sizeof(err->text),
		    "no schema for an unknown hash");
		return -EBADMSG;
	}
	schema = schema_wire_decode(w->schema, err);
	if (schema == NULL)
		return -EBADMSG;
	if (nm->mirror != NULL && mach_mirror_grow(nm->mirror, schema) < 0) {
		mach_set_remote(nm->mirror, NULL);
		netmach_ask_nothing(nm);
		*ret_old = am_steal(&nm->mirror);
	}
	am_schema_unref(nm->schema);
	nm->schema = schema;
	nm->hash = w->hash;
	return 0;
}

/* New states start at tick 0. */
static int
grow_clock(struct netmach *nm)
{
	size_t n = am_schema_len(nm->schema);
	uint64_t *tick = reallocarray(nm->clock.tick, n, sizeof(*tick));

	if (tick == NULL)
		return -ENOMEM;
	for (size_t i = nm->clock.n; i < n; i++)
		tick[i] = 0;
	nm->clock.tick = tick;
	nm->clock.n = n;
	return 0;
}

/* [{hash, schema}]: the old states and more. */
static void
on_schema(struct netmach *nm, struct am_val params)
{
	struct am_error err = { "no memory" };
	struct mp c = mp_of(params);
	struct am_schema *schema;
	struct am_val map, rows, hash;
	uint64_t number;
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n == 0 || mp_get_val(&c, &map) < 0 ||
	    am_get(map, "schema", &rows) < 0 ||
	    am_get(map, "hash", &hash) < 0) {
		protocol_error(nm, "schema takes {hash, schema}");
		return;
	}
	c = mp_of(hash);
	schema = schema_wire_decode(rows, &err);
	if (schema == NULL || mp_get_uint(&c, UINT64_MAX, &number) < 0 ||
	    mach_mirror_grow(nm->mirror, schema) < 0) {
		protocol_error(nm,
		    schema == NULL
			? err.text
			: "schema: it is not an extension of the old one");
		am_schema_unref(schema);
		return;
	}
	am_schema_unref(nm->schema);
	nm->schema = schema;
	nm->hash = number;
	if (grow_clock(nm) < 0)
		out_of_memory(nm);
	else if (nm->ops->on_schema != NULL)
		nm->ops->on_schema(nm, nm->arg);
}

/* -EBADMSG with a message, or -ENOMEM. */
static int
take_welcome(struct netmach *nm, const struct arpc_welcome *w,
    struct am_machine **ret_old, struct am_error *err)
{
	uint64_t *tick;
	size_t n;
	int r;

	(void)snprintf(err->text, sizeof(err->text),
	    "the clocks do not match the schema");
	r = take_schema(nm, w, ret_old, err);
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
	mach_set_remote(nm->mirror, &nm->remote);
	return set_clock(nm, w);
}

static void
on_welcome(struct netmach *nm, const struct arpc_frame *f)
{
	struct am_error err = { "no memory" };
	struct am_machine *old = NULL;
	const char *why = "welcome";
	struct arpc_welcome w;
	bool resumed;
	int r;

	if (arpc_welcome_get(f->params, &w, &why) < 0) {
		protocol_error(nm, why);
		return;
	}
	if (w.proto != ARPC_VERSION) {
		protocol_error(nm, "the server speaks another version");
		return;
	}
	r = take_welcome(nm, &w, &old, &err);
	if (r < 0) {
		if (r == -ENOMEM)
			out_of_memory(nm);
		else
			protocol_error(nm, err.text);
		(void)am_machine_free(old);
		return;
	}
	resumed = w.resumed && nm->epoch == w.epoch;
	if (nm->epoch != w.epoch) {
		seqs_done(&nm->told);
		seqs_done(&nm->unacked);
	}
	nm->epoch = w.epoch;
	nm->last_seq = w.last_seq;
	nm->window = w.window;
	nm->frame_max = w.frame_max;
	nm->phase = NETMACH_READY;
	nm->lost_why[0] = '\0';
	conn_deadline(nm->conn, 0, "");
	netmach_ask_again(nm);
	(void)am_machine_free(old);
	if (nm->phase != NETMACH_READY || !resend_resume(nm, resumed) ||
	    nm->phase != NETMACH_READY)
		return;
	mach_mirror_set(nm->mirror, nm->clock.tick, nm->clock.queue_tick,
	    nm->clock.machine_tick);
	if (!nm->freed && nm->phase == NETMACH_READY &&
	    nm->ops->on_ready != NULL)
		nm->ops->on_ready(nm, nm->arg);
}

static void
on_refused(struct netmach *nm, const struct arpc_frame *f)
{
	char text[ARPC_TEXT_MAX];
	const char *p = "";
	size_t len = 0;
	enum arpc_error e = arpc_error_get(f->error, &p, &len);

	utf8_copy(text, sizeof(text), p, len);
	conn_drop(nm->conn);
	netmach_end(nm, (int)e + 1, text);
}

/* ---- frames ---- */

/* A malformed response: the outcome of the call is unknown. */
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
		utf8_copy(why, size, p, len);
		r->why = why;
	}
	return apply_update(nm, update);
}

/* [update] */
static bool
on_when_args(struct netmach *nm, struct am_val params, struct netmach_reply *r)
{
	struct mp c = mp_of(params);
	struct am_val update;
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n < 1 || mp_get_val(&c, &update) < 0) {
		bad_answer(nm, r, "the result of when_args is malformed");
		return true;
	}
	return apply_update(nm, update);
}

static void
on_mutated(struct netmach *nm, struct am_val params)
{
	const char *why = "";
	struct arpc_mutated m;

	if (arpc_mutated_get(params, nm->clock.n, &m, &why) < 0) {
		protocol_error(nm, why);
		return;
	}
	if (apply_update(nm, m.update) && netmach_tell_mutated(nm, &m) &&
	    nm->ops->on_mutated != NULL)
		nm->ops->on_mutated(nm, &m, nm->arg);
}

static bool
on_synced(struct netmach *nm, struct am_val result, struct netmach_reply *r)
{
	const char *why = "the clocks of a sync do not match the schema";
	struct arpc_welcome w;

	if (arpc_welcome_get(result, &w, &why) < 0 || set_clock(nm, &w) < 0) {
		bad_answer(nm, r, why);
		return true;
	}
	return publish(nm);
}

static bool
call_of(struct netmach *nm, uint32_t id, struct netmach_call *ret)
{
	if (id <= OTHER_IDS)
		return calls_take(&nm->calls, id, ret);
	if (!calls_take(&nm->others, id - OTHER_IDS, ret))
		return false;
	ret->id = id;
	return true;
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
	struct netmach_call call;

	if (!call_of(nm, f->id, &call))
		return; /* to no call of ours */
	backoff_reset(&nm->backoff, 0);
	resend_drop(nm, call.resend);
	if (f->error.data != NULL) {
		r.status = NETMACH_ERROR;
		r.error = arpc_error_get(f->error, &p, &len);
		utf8_copy(text, sizeof(text), p, len);
		r.text = text;
		if (r.error == ARPC_E_forgotten)
			r.status = NETMACH_LOST;
		/* Without a sync a wrong mirror stays wrong. */
		if (call.method == ARPC_sync && nm->wrong)
			protocol_error(nm, "sync was refused");
	} else if (call.method == ARPC_info || call.method == ARPC_trace) {
		r.value = f->params;
	} else if (call.method == ARPC_when_args) {
		alive = on_when_args(nm, f->params, &r);
	} else if (call.method == ARPC_sync) {
		alive = on_synced(nm, f->params, &r);
	} else {
		alive = on_result(nm, f->params, &r, text, sizeof(text));
	}
	if (alive && call.fn != NULL)
		call.fn(nm, call.id, &r, call.arg);
}

/* ---- payloads ---- */

/* Whether this is the first delivery. -ENOMEM: that cannot be recorded. */
static int
is_news(struct netmach *nm, uint64_t seq)
{
	int r;

	if (seq == 0)
		return true;
	if (seqs_has(&nm->told, seq))
		return false;
	r = seqs_add(&nm->unacked, seq);
	if (r < 0)
		return r;
	r = seqs_add(&nm->told, seq);
	if (r < 0)
		return r;
	if (seqs_n_ranges(&nm->told) > TOLD_RANGES_MAX)
		seqs_fill_lower_half(&nm->told);
	return true;
}

static void
tell_payload(struct netmach *nm, const struct arpc_payload *p)
{
	int r = is_news(nm, p->seq);

	backoff_reset(&nm->backoff, 0);
	if (r < 0) {
		out_of_memory(nm);
		return;
	}
	/* Its ack was lost with the last connection. */
	if (r == 0 && !seqs_has(&nm->unacked, p->seq))
		netmach_ack(nm, p->seq);
	if (r > 0 && nm->ops->on_payload != NULL)
		nm->ops->on_payload(nm, p, nm->arg);
}

static int
copy_val(uint8_t *buf, size_t size, struct am_val *v)
{
	if (v->len > size)
		return -ERANGE;
	memcpy(buf, v->data, v->len);
	v->data = buf;
	return 0;
}

static void
on_large(struct netmach *nm, const struct arpc_payload *p)
{
	struct payload_parts *t = &nm->parts;

	t->payload = *p;
	if (t->data != NULL ||
	    copy_val(t->name, sizeof(t->name), &t->payload.name) < 0 ||
	    copy_val(t->source, sizeof(t->source), &t->payload.source) < 0) {
		protocol_error(nm, "a payload in parts has a wrong length");
		return;
	}
	mp_scan_init(&t->scan, p->total, ARPC_DEPTH_MAX);
	t->len = 0;
	t->data = malloc(p->total);
	if (t->data == NULL)
		out_of_memory(nm);
}

static void
end_parts(struct netmach *nm)
{
	struct arpc_payload p = nm->parts.payload;
	uint8_t *data = nm->parts.data;

	nm->parts.data = NULL;
	p.data = (struct am_val){ data, p.total };
	tell_payload(nm, &p);
	loop_free(nm->loop, data, p.total);
}

/* Checks the data as it arrives, so that the last part does not take long. */
static void
on_part(struct netmach *nm, struct am_val params)
{
	struct payload_parts *t = &nm->parts;
	const char *why = "";
	enum mp_scan_result r;
	const void *bytes;
	size_t len, whole = 0;
	uint64_t seq;

	if (arpc_part_get(params, &seq, &bytes, &len, &why) < 0) {
		protocol_error(nm, why);
		return;
	}
	if (t->data == NULL || seq != t->payload.seq ||
	    len > t->payload.total - t->len) {
		protocol_error(nm, "a part belongs to no payload");
		return;
	}
	if (bytes == NULL) {
		loop_free(nm->loop, t->data, t->len);
		t->data = NULL;
		return;
	}
	memcpy(t->data + t->len, bytes, len);
	t->len += len;
	r = mp_scan(&t->scan, t->data, t->len, &whole);
	if (r == MP_SCAN_DONE && whole == t->payload.total)
		end_parts(nm);
	else if (r != MP_SCAN_MORE || t->len == t->payload.total)
		protocol_error(nm,
		    "the data of a payload in parts is not a value");
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
	} else if (f->method == ARPC_m) {
		on_mutated(nm, f->params);
	} else if (f->method == ARPC_p) {
		if (arpc_payload_get(f->params, &p, &why) < 0)
			protocol_error(nm, why);
		else if (p.total > 0)
			on_large(nm, &p);
		else
			tell_payload(nm, &p);
	} else if (f->method == ARPC_part) {
		on_part(nm, f->params);
	} else if (f->method == ARPC_schema) {
		on_schema(nm, f->params);
	}
}

void
netmach_on_frame(struct conn *c, const struct arpc_frame *f, void *arg)
{
	struct netmach *nm = netmach_of(arg);
	bool is_hello = nm->phase != NETMACH_READY;

	switch (f->kind) {
	case ARPC_REQUEST:
		arpc_put_error(conn_out(c), f->id, ARPC_E_no_method, NULL,
		    "clients do not answer requests");
		return;
	case ARPC_RESPONSE:
		if (!is_hello)
			on_response(nm, f);
		else if (f->id != nm->hello_id)
			protocol_error(nm,
			    "a response arrived before the welcome");
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
