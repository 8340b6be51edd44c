/* session_put.c - what a session sends: responses, clocks, mutations,
 * payloads. */
#include "lib/rpc/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

/* With a larger backlog, mutations are merged instead of sent one by one. */
enum { MUTATED_BACKLOG = 256 * 1024 };

/* ---- answers ---- */

void
session_answer_error(struct rpc_session *s, const struct arpc_frame *f,
    enum arpc_error e, const char *fmt, ...)
{
	char text[ARPC_TEXT_MAX];
	va_list ap;

	if (f->kind != ARPC_REQUEST) {
		s->srv->ignored++;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->conn != NULL)
		arpc_put_error(conn_out(s->conn), f->id, e, NULL, "%s", text);
}

static const uint64_t *
seen_time(const struct rpc_session *s)
{
	return watch_time(&s->watch, am_time(s->srv->machine), s->sent.tick,
	    s->srv->scratch, s->sent.n);
}

/* Puts the update of a result: the difference to what this peer knows. */
static void
put_update(struct rpc_session *s, struct am_buf *out)
{
	const struct am_machine *m = s->srv->machine;
	uint64_t machine_tick = am_machine_tick(m);

	/* The peer cannot know a new machine tick: its checksum fails, and it
	 * asks for a sync. */
	if (s->sent.machine_tick != machine_tick) {
		s->sent.machine_tick = machine_tick;
		s->sent.sum = arpc_clock_sum(&s->sent);
	}
	arpc_put_update(out, &s->sent, seen_time(s), am_queue_tick(m));
	s->version = s->srv->version;
}

static void
start_late(struct rpc_session *s)
{
	if (s->late.deadline_ns == 0 &&
	    am_timer_start(&s->late, ARPC_LATE_MS) < 0)
		session_on_late(s);
}

void
session_on_late(void *arg)
{
	struct rpc_session *s = arg;

	s->is_due = true;
	conn_now(s->conn);
	conn_dirty(s->conn);
}

void
session_answer_result(struct rpc_session *s, uint32_t id, am_result result,
    const char *why)
{
	bool is_late = s->watch.prompt != NULL && id == s->late_id &&
	    result == AM_EXECUTED;
	char shown[ARPC_TEXT_MAX];
	struct am_buf *out;

	s->late_id = 0;
	if (!session_is_up(s))
		return;
	is_late = is_late && !conn_has_news(s->conn);
	out = conn_out(s->conn);
	arpc_put_response(out, id);
	am_put_array(out, *why == '\0' ? 2 : 3);
	am_put_uint(out, result);
	put_update(s, out);
	if (*why != '\0')
		am_put_str(out, text_utf8(shown, sizeof(shown), why));
	if (is_late) {
		conn_later(s->conn);
		start_late(s);
	}
}

void
rpc_session_is_late(struct rpc_session *s, uint32_t id)
{
	s->late_id = id;
}

void
rpc_source_refuse(const struct rpc_source *source, enum arpc_error e,
    const char *text)
{
	struct refusal *r;

	if (source == NULL)
		return;
	r = &source->session->srv->refusal;
	r->source = source;
	r->error = e;
	(void)snprintf(r->text, sizeof(r->text), "%s", text);
}

bool
rpc_session_gets_events(const struct rpc_session *s)
{
	return !s->watch.no_events;
}

void
session_answer_update(struct rpc_session *s, uint32_t id)
{
	struct am_buf *out = conn_out(s->conn);

	arpc_put_response(out, id);
	am_put_array(out, 1);
	put_update(s, out);
}

void
session_put_mutated(struct rpc_session *s, const struct am_transition *t)
{
	struct am_buf *out;
	size_t n_called = 0;

	if (conn_backlog(s->conn) > MUTATED_BACKLOG ||
	    conn_backlog(s->conn) > user_out_max(s->user))
		return;
	out = conn_out(s->conn);
	arpc_put_notification(out, ARPC_m);
	am_put_array(out, 4);
	put_update(s, out);
	am_put_uint(out, t->op == AM_ADD ? 0 : t->op == AM_REMOVE ? 1 : 2);
	for (size_t i = 0; i < t->n_called; i++)
		n_called += t->called[i] < s->sent.n;
	am_put_array(out, n_called);
	for (size_t i = 0; i < t->n_called; i++) {
		if (t->called[i] < s->sent.n)
			am_put_uint(out, t->called[i]);
	}
	am_put_uint(out,
	    (t->accepted ? ARPC_M_ACCEPTED : 0U) |
		(t->automatic ? ARPC_M_AUTOMATIC : 0U));
}

void
session_answer_welcome(struct rpc_session *s, uint32_t id, struct am_val rows)
{
	struct rpc_server *srv = s->srv;
	const struct am_machine *m = srv->machine;
	struct am_schema *schema = am_machine_schema(m);
	const struct rpc_policy *policy = s->li->policy;
	struct am_buf time = AM_BUF_INIT;
	struct arpc_welcome w = { 0 };
	struct am_buf *out = conn_out(s->conn);

	memcpy(s->sent.tick, seen_time(s), s->sent.n * sizeof(uint64_t));
	s->sent.queue_tick = am_queue_tick(m);
	s->sent.machine_tick = am_machine_tick(m);
	s->sent.sum = arpc_clock_sum(&s->sent);
	s->version = srv->version;
	am_put_array(&time, s->sent.n);
	for (size_t i = 0; i < s->sent.n; i++)
		am_put_uint(&time, s->sent.tick[i]);
	w.proto = ARPC_VERSION;
	(void)snprintf(w.machine, sizeof(w.machine), "%s", am_machine_id(m));
	w.epoch = srv->epoch;
	w.hash = am_schema_hash(schema);
	w.n_states = (uint32_t)s->sent.n;
	w.schema = rows;
	w.time = am_buf_val(&time);
	w.queue_tick = s->sent.queue_tick;
	w.machine_tick = s->sent.machine_tick;
	w.frame_max = session_frame_max(s);
	w.has_resumed = s->replay != NULL;
	w.resumed = s->resumed;
	if (policy->last_seq != NULL)
		w.last_seq = policy->last_seq(s, s->li->arg);
	if (policy->window != NULL)
		w.window = policy->window(s, s->li->arg);
	if (am_buf_error(&time) < 0) {
		conn_close(s->conn, "internal: no memory");
	} else {
		arpc_put_response(out, id);
		arpc_put_welcome(out, &w);
	}
	am_buf_done(&time);
}

/* ---- the schema ---- */

/* The schema as rows, encoded once for all connections. */
struct am_val
session_schema_rows(struct rpc_server *srv)
{
	const struct am_schema *schema = am_machine_schema(srv->machine);
	am_cleanup(am_freep) struct am_state *row = NULL;
	struct am_states states = { .name = "", .len = am_schema_len(schema) };

	if (srv->rows.len > 0)
		return am_buf_val(&srv->rows);
	row = calloc(states.len, sizeof(*row));
	if (row == NULL)
		return AM_NONE;
	for (size_t i = 0; i < states.len; i++)
		row[i] = *am_schema_state(schema, (am_id)i);
	states.row = row;
	arpc_put_schema(&srv->rows, &states);
	return am_buf_val(&srv->rows);
}

static void
put_schema(struct am_buf *out, const struct rpc_server *srv, struct am_val rows)
{
	am_put_map(out, 2);
	am_put_str(out, "hash");
	am_put_uint(out, am_schema_hash(am_machine_schema(srv->machine)));
	am_put_str(out, "schema");
	am_put_val(out, rows);
}

void
session_put_schema(struct rpc_session *s)
{
	struct am_val rows = session_schema_rows(s->srv);
	struct am_buf *out = conn_out(s->conn);

	if (rows.len == 0) {
		conn_close(s->conn, "internal: no memory");
		return;
	}
	arpc_put_notification(out, ARPC_schema);
	am_put_array(out, 1);
	put_schema(out, s->srv, rows);
}

void
session_answer_schema(struct rpc_session *s, const struct arpc_frame *f)
{
	struct am_val rows = session_schema_rows(s->srv);
	struct am_buf *out = conn_out(s->conn);

	if (rows.len == 0) {
		session_answer_error(s, f, ARPC_E_internal, "no memory");
		return;
	}
	arpc_put_response(out, f->id);
	put_schema(out, s->srv, rows);
}

/* ---- payloads ---- */

void
session_tell_room(struct rpc_session *s)
{
	void (*fn)(struct rpc_session * s, void *arg) = s->room_fn;

	if (s->large.seq != 0)
		return;
	s->room_fn = NULL;
	if (fn != NULL)
		fn(s, s->room_arg);
}

void
session_on_next_part(void *arg)
{
	struct rpc_session *s = arg;

	if (s->conn != NULL)
		conn_dirty(s->conn);
}

/* Called when the output of earlier turns has been written. */
static void
put_part(struct rpc_session *s)
{
	const struct rpc_policy *policy = s->li->policy;
	struct am_val data = policy->data_of(s, s->large.seq, s->li->arg);
	struct am_buf *out = conn_out(s->conn);
	size_t len = s->large.total - s->large.off;

	if (data.len != s->large.total) {
		arpc_put_part(out, s->large.seq, NULL, 0);
		s->large.off = s->large.total;
	} else {
		len = len < ARPC_PART_LEN ? len : ARPC_PART_LEN;
		arpc_put_part(out, s->large.seq,
		    (const uint8_t *)data.data + s->large.off, len);
		s->large.off += len;
	}
	if (s->large.off < s->large.total) {
		loop_at_next(s->srv->loop, &s->large.next);
		return;
	}
	s->large.seq = 0;
	session_tell_room(s);
}

int
rpc_session_payload(struct rpc_session *s, uint64_t seq, uint32_t req,
    enum arpc_payload_kind kind, const char *name, struct am_val data)
{
	if (!session_is_up(s))
		return -ENOTCONN;
	if (conn_backlog(s->conn) > CONN_OUT_SOFT || s->large.seq != 0)
		return -EAGAIN;
	if (data.len > ARPC_PART_LEN && s->li->policy->data_of != NULL) {
		arpc_put_payload_head(conn_out(s->conn), seq, req, kind, name,
		    am_machine_id(s->srv->machine), data.len);
		s->large.seq = seq;
		s->large.off = 0;
		s->large.total = data.len;
		conn_dirty(s->conn);
		return 0;
	}
	arpc_put_payload(conn_out(s->conn), seq, req, kind, name,
	    am_machine_id(s->srv->machine), data);
	return 0;
}

void
rpc_session_on_room(struct rpc_session *s,
    void (*fn)(struct rpc_session *s, void *arg), void *arg)
{
	s->room_fn = fn;
	s->room_arg = arg;
}

/* ---- at the end of a turn ---- */

static void
put_clocks(struct rpc_session *s)
{
	bool is_due = s->is_due || conn_has_news(s->conn);
	const uint64_t *seen;
	struct am_buf *out;

	s->is_due = false;
	if (s->version == s->srv->version)
		return;
	seen = seen_time(s);
	if (s->sent.machine_tick == am_machine_tick(s->srv->machine)) {
		if (memcmp(s->sent.tick, seen, s->sent.n * sizeof(uint64_t)) ==
		    0) {
			s->version = s->srv->version;
			return;
		}
		if (!is_due &&
		    !watch_is_prompt(&s->watch, seen, s->sent.tick,
			s->sent.n)) {
			start_late(s);
			return;
		}
	}
	out = conn_out(s->conn);
	arpc_put_notification(out, ARPC_t);
	am_put_array(out, 1);
	put_update(s, out);
}

void
session_flush(struct rpc_session *s)
{
	put_clocks(s);
	if (s->large.seq != 0)
		put_part(s);
}
