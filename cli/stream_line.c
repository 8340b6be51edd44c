#include "cli/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/names.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/dur.h"
#include "lib/base/json.h"
#include "proto/mp.h"

/* ---- slots ---- */

bool
stream_has_room(const struct stream *s)
{
	if (s->is_ordered)
		return s->next - s->head < s->window;
	return s->n_used < s->window;
}

bool
stream_in_flight(const struct stream *s)
{
	for (size_t i = 0; i < s->window; i++)
		if (slot_in_flight(&s->slot[i]))
			return true;
	return false;
}

struct slot *
stream_slot(struct stream *s, uint32_t id)
{
	for (size_t i = 0; i < s->window; i++) {
		struct slot *slot = &s->slot[i];

		if (slot_in_flight(slot) && slot->id == id)
			return slot;
	}
	return NULL;
}

void
stream_end_all(struct stream *s, const struct verdict *v, bool sent)
{
	for (size_t i = 0; i < s->window; i++) {
		struct slot *slot = &s->slot[i];

		if (slot->used && !slot->is_final && slot->sent == sent)
			stream_finish(s, slot, v, AM_NONE);
	}
}

static struct slot *
slot_new(struct stream *s)
{
	struct slot *slot = s->slot;
	struct am_buf doc;
	struct am_buf text;

	if (s->is_ordered)
		slot = &s->slot[s->next % s->window];
	else
		while (slot->used)
			slot++;
	doc = slot->doc;
	text = slot->text;
	am_buf_reset(&doc);
	am_buf_reset(&text);
	*slot = (struct slot){
		.used = true,
		.seq = s->next++,
		.start_ns = clock_ns(),
		.timeout_ms = s->timeout_ms,
		.doc = doc,
		.text = text,
	};
	s->n_used++;
	return slot;
}

static void
slot_free(struct stream *s, struct slot *slot)
{
	slot->used = false;
	s->n_used--;
	/* One big line does not make its slot big for good. */
	if (slot->doc.cap > 65536)
		am_buf_done(&slot->doc);
	if (slot->text.cap > 65536)
		am_buf_done(&slot->text);
}

/* Where the slot's next line goes. */
static struct am_buf *
slot_out(struct stream *s, struct slot *slot)
{
	return s->is_ordered && slot->seq != s->head ? &slot->text
						     : &s->out.buf;
}

/* Those whose turn has come. */
static void
advance(struct stream *s)
{
	for (;;) {
		struct slot *slot = &s->slot[s->head % s->window];

		if (!slot->used || slot->seq != s->head)
			return;
		buf_append(&s->out.buf, slot->text.data, slot->text.len);
		am_buf_reset(&slot->text);
		if (!slot->is_final)
			return;
		slot_free(s, slot);
		s->head++;
	}
}

/* ---- lines out ---- */

/* {"id":..,"seq":..,"status":"..", */
static void
put_head(struct am_buf *b, const struct stream *s, const struct slot *slot,
    const char *status)
{
	struct am_val id;

	buf_putc(b, '{');
	if (!s->is_raw && am_get(am_buf_val(&slot->doc), "id", &id) == 0) {
		buf_puts(b, "\"id\":");
		out_put(b, id, false);
		buf_putc(b, ',');
	}
	buf_printf(b, "\"seq\":%llu,\"status\":\"%s\",",
	    (unsigned long long)slot->seq, status);
}

static void
put_tail(struct am_buf *b, const struct slot *slot)
{
	int64_t us = (clock_ns() - slot->start_ns) / 1000;

	buf_printf(b, ",\"ms\":%lld.%03d}\n", (long long)(us / 1000),
	    (int)(us % 1000));
}

static void
put_error(struct am_buf *b, const struct verdict *v)
{
	am_cleanup(buf_donep) struct am_buf e = AM_BUF_INIT;

	am_put_map(&e, 2);
	am_put_str(&e, "code");
	am_put_str(&e, v->code);
	am_put_str(&e, "message");
	am_put_str(&e, v->message);
	buf_puts(b, "\"error\":");
	out_put(b, am_buf_val(&e), false);
}

void
stream_part(struct stream *s, struct slot *slot, const char *status,
    struct am_val data)
{
	struct am_buf *b = slot_out(s, slot);

	put_head(b, s, slot, status);
	buf_puts(b, "\"payload\":");
	out_put(b, data, false);
	put_tail(b, slot);
}

void
stream_finish(struct stream *s, struct slot *slot, const struct verdict *v,
    struct am_val data)
{
	struct am_buf *b = slot_out(s, slot);

	put_head(b, s, slot, v->status);
	if (v->exit == EX_OK) {
		buf_puts(b, "\"payload\":");
		out_put(b, data, false);
	} else {
		put_error(b, v);
		s->any_bad = true;
		s->any_unknown |= v->exit == EX_UNKNOWN;
	}
	put_tail(b, slot);
	slot->is_final = true;
	if (s->is_ordered)
		advance(s);
	else
		slot_free(s, slot);
}

/* ---- lines in ---- */

static int
take_timeout(struct slot *slot, struct am_val v, struct am_error *err)
{
	struct mp c = mp_of(v);
	char text[32];
	double seconds = 0;
	int64_t ms = 0;

	if (mp_get_double(&c, &seconds) == 0 && seconds > 0 && seconds < 1e9)
		ms = (int64_t)(seconds * 1000);
	else if (mp_get_text(&c, text, sizeof(text)) < 0 ||
	    dur_parse(text, &ms) < 0)
		return error_set(err,
		    "timeout: it has to be as \"5s\" or a number of seconds");
	if (ms <= 0)
		return error_set(err, "timeout: it has to be more than 0");
	slot->timeout_ms = ms == DUR_INF ? -1 : ms;
	return 0;
}

/* Each key is one we know: a misspelt one would be silently ignored. */
static int
check_keys(struct slot *slot, struct am_error *err)
{
	struct mp c = mp_of(am_buf_val(&slot->doc));
	uint32_t n = 0;

	(void)mp_get_map(&c, &n);
	for (uint32_t i = 0; i < n; i++) {
		char key[32] = "";
		struct am_val name;
		struct am_val v;
		struct mp kc;
		struct mp vc;

		if (mp_get_val(&c, &name) < 0 || mp_get_val(&c, &v) < 0)
			return error_set(err, "it cannot be read");
		kc = mp_of(name);
		vc = mp_of(v);
		(void)mp_get_text(&kc, key, sizeof(key));
		if (strcmp(key, "id") == 0)
			continue;
		if (strcmp(key, "timeout") == 0) {
			if (take_timeout(slot, v, err) < 0)
				return -EINVAL;
		} else if (strcmp(key, "add") == 0) {
			if (mp_type(&vc) != MP_ARRAY)
				return error_set(err,
				    "add: it has to be an array of names");
		} else if (strcmp(key, "args") == 0) {
			if (mp_type(&vc) != MP_MAP)
				return error_set(err,
				    "args: it has to be an object");
		} else {
			return error_set(err,
			    "unknown key \"%s\": there are id, add, args, "
			    "timeout",
			    key);
		}
	}
	return 0;
}

static bool
is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	return true;
}

static int
parse(struct stream *s, struct slot *slot, const char *line, size_t len,
    struct am_error *err)
{
	struct mp c;

	if (is_blank(line, len))
		return error_set(err, "the line is blank");
	/* The object around the args is none of their levels. */
	if (json_decode(line, len, s->is_raw ? 0 : 1, &slot->doc, err) < 0)
		return -EINVAL;
	c = mp_of(am_buf_val(&slot->doc));
	if (mp_type(&c) != MP_MAP)
		return error_set(err, "the line has to be an object");
	if (slot->doc.len > ARGS_LEN_MAX)
		return error_set(err, "the line is too long");
	return s->is_raw ? 0 : check_keys(slot, err);
}

static void
bad_input(struct stream *s, struct slot *slot, const char *message)
{
	struct verdict v = { .exit = EX_FAILED,
		.status = "failed",
		.code = "bad_input" };

	(void)snprintf(v.message, sizeof(v.message), "%s", message);
	stream_finish(s, slot, &v, AM_NONE);
}

void
stream_take(struct stream *s, enum line_kind kind, const char *line, size_t len)
{
	struct slot *slot = slot_new(s);
	struct am_error err;

	if (kind == LINE_LONG)
		bad_input(s, slot, "the line is longer than 1 MiB");
	else if (parse(s, slot, line, len, &err) < 0)
		bad_input(s, slot, err.text);
}

struct am_val
slot_args(const struct stream *s, const struct slot *slot)
{
	struct am_val args = AM_NONE;

	if (s->is_raw)
		return am_buf_val(&slot->doc);
	(void)am_get(am_buf_val(&slot->doc), "args", &args);
	return args;
}

static int
no_such_state(const struct am_schema *schema, const char *name, size_t len,
    struct am_error *err)
{
	am_cleanup(buf_donep) struct am_buf near = AM_BUF_INIT;
	char text[65];

	(void)snprintf(text, sizeof(text), "%.*s", len > 64 ? 64 : (int)len,
	    name);
	if (names_near(schema, text, &near))
		return error_set(err,
		    "state \"%s\": no such state; did you mean %s?", text,
		    buf_text(&near));
	return error_set(err, "state \"%s\": no such state", text);
}

static int
add_name(const struct am_schema *schema, struct mp *c, am_id *ret,
    struct am_error *err)
{
	const char *name;
	size_t len;
	int id;

	if (mp_get_str(c, &name, &len) < 0)
		return error_set(err, "add: it has to be an array of names");
	id = am_schema_id(schema, name, len);
	if (id < 0)
		return no_such_state(schema, name, len, err);
	*ret = (am_id)id;
	return 0;
}

int
slot_states(const struct stream *s, const struct slot *slot, am_id *ids,
    struct am_error *err)
{
	const struct am_schema *schema = am_machine_schema(
	    session_mirror(&s->at.s));
	struct am_val add;
	struct mp c;
	uint32_t n = 0;

	if (s->is_raw || am_get(am_buf_val(&slot->doc), "add", &add) < 0) {
		int id = am_schema_id(schema, "WorkRequested", 13);

		ids[0] = (am_id)id;
		return id < 0
		    ? error_set(err, "the machine has no WorkRequested")
		    : 1;
	}
	c = mp_of(add);
	if (mp_get_array(&c, &n) < 0 || n == 0 || n > AM_STATES_MAX)
		return error_set(err, "add: it has to name states");
	for (uint32_t i = 0; i < n; i++) {
		if (add_name(schema, &c, &ids[i], err) < 0)
			return -EINVAL;
		for (uint32_t j = 0; j < i; j++)
			if (ids[j] == ids[i])
				return error_set(err,
				    "add: a state is named twice");
	}
	return (int)n;
}
