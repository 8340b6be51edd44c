/* cmd_show.c - a machine as it is: time, inspect, schema. */
#include "cli/cmds.h"

#include "cli/lease.h"
#include "cli/names.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "proto/mp.h"

/* ---- time ---- */

static void
time_text(struct am_buf *out, struct am_val doc)
{
	struct mp c = mp_of(doc);
	uint32_t n = 0;

	if (mp_get_map(&c, &n) < 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct am_val name;
		struct am_val tick;

		if (mp_get_val(&c, &name) < 0 || mp_get_val(&c, &tick) < 0)
			return;
		out_put(out, name, true);
		buf_putc(out, ' ');
		out_put(out, tick, true);
		buf_putc(out, '\n');
	}
}

int
cmd_time(struct cli *c)
{
	static const struct out_view view = { .text = time_text };
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	const struct am_schema *s;
	const struct am_machine *m;
	am_id ids[AM_STATES_MAX];
	size_t n = (size_t)c->argc;
	int rc = attach_open(c, &a);

	if (rc != EX_OK)
		return rc;
	if (n > AM_STATES_MAX)
		return cli_fail(c, EX_USAGE, "usage", "more than %d states",
		    AM_STATES_MAX);
	m = session_mirror(&a.s);
	s = am_machine_schema(session_mirror(&a.s));
	rc = names_resolve(c, s, c->argv, n, ids);
	if (rc != EX_OK)
		return rc;
	if (n == 0)
		for (n = 0; n < am_schema_len(s); n++)
			ids[n] = (am_id)n;
	am_put_map(&b, n);
	for (size_t i = 0; i < n; i++) {
		am_put_str(&b, am_schema_name(s, ids[i]));
		am_put_uint(&b, am_tick(m, ids[i]));
	}
	return cli_print(c, am_buf_val(&b), am_buf_val(&b), &view);
}

/* ---- schema ---- */

static void
put_relation(struct am_buf *b, const struct am_schema *s, const char *key,
    const struct am_list *l)
{
	am_put_str(b, key);
	am_put_array(b, l->len);
	for (size_t i = 0; i < l->len; i++)
		am_put_str(b, am_schema_name(s, l->id[i]));
}

/* A row as am_schema_from_json() takes it; m NULL: without its clock. */
static void
put_state(struct am_buf *b, const struct am_schema *s, am_id id,
    const struct am_machine *m)
{
	const struct am_state *row = am_schema_state(s, id);

	am_put_map(b, m == NULL ? 7 : 9);
	am_put_str(b, "name");
	am_put_str(b, row->name);
	if (m != NULL) {
		am_put_str(b, "active");
		am_put_bool(b, am_is1(m, id));
		am_put_str(b, "tick");
		am_put_uint(b, am_tick(m, id));
	}
	am_put_str(b, "auto");
	am_put_bool(b, row->automatic);
	am_put_str(b, "multi");
	am_put_bool(b, row->multi);
	put_relation(b, s, "require", &row->require);
	put_relation(b, s, "add", &row->add);
	put_relation(b, s, "remove", &row->remove);
	put_relation(b, s, "after", &row->after);
}

static void
relation_text(struct am_buf *out, struct am_val row, const char *key)
{
	struct am_val list = AM_NONE;
	struct mp c;
	uint32_t n = 0;

	(void)am_get(row, key, &list);
	c = mp_of(list);
	if (mp_get_array(&c, &n) < 0 || n == 0)
		return;
	buf_printf(out, " %s:", key);
	for (uint32_t i = 0; i < n; i++) {
		struct am_val name;

		if (mp_get_val(&c, &name) < 0)
			return;
		if (i > 0)
			buf_putc(out, ',');
		out_put(out, name, true);
	}
}

/* Name auto multi require:A,B add:C */
static void
schema_text(struct am_buf *out, struct am_val doc)
{
	static const char *const relations[] = { "require", "add", "remove",
		"after" };
	struct am_val states = AM_NONE;
	struct mp c;
	uint32_t n = 0;

	(void)am_get(doc, "states", &states);
	c = mp_of(states);
	(void)mp_get_array(&c, &n);
	for (uint32_t i = 0; i < n; i++) {
		struct am_val row;
		struct am_val name = AM_NONE;
		bool flag = false;

		if (mp_get_val(&c, &row) < 0)
			return;
		(void)am_get(row, "name", &name);
		out_put(out, name, true);
		if (am_get_bool(row, "auto", &flag) == 0 && flag)
			buf_puts(out, " auto");
		if (am_get_bool(row, "multi", &flag) == 0 && flag)
			buf_puts(out, " multi");
		for (size_t r = 0; r < 4; r++)
			relation_text(out, row, relations[r]);
		buf_putc(out, '\n');
	}
}

int
cmd_schema(struct cli *c)
{
	static const struct out_view view = { .text = schema_text };
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	const struct am_schema *s;
	int rc = attach_open(c, &a);

	if (rc != EX_OK)
		return rc;
	s = am_machine_schema(session_mirror(&a.s));
	am_put_map(&b, 1);
	am_put_str(&b, "states");
	am_put_array(&b, am_schema_len(s));
	for (size_t i = 0; i < am_schema_len(s); i++)
		put_state(&b, s, (am_id)i, NULL);
	return cli_print(c, am_buf_val(&b), am_buf_val(&b), &view);
}

/* ---- inspect ---- */

static void
inspect_text(struct am_buf *out, struct am_val doc)
{
	struct am_val text = AM_NONE;

	(void)am_get(doc, "text", &text);
	out_put(out, text, true);
	if (out->len > 0 && out->data[out->len - 1] != '\n')
		buf_putc(out, '\n');
}

static void
put_machine(struct am_buf *b, const struct am_machine *m, struct am_schema *s)
{
	size_t n = 0;
	const am_id *active = am_active(m, &n);

	am_put_map(b, 5);
	am_put_str(b, "machine");
	am_put_str(b, am_machine_id(m));
	am_put_str(b, "queue_tick");
	am_put_uint(b, am_queue_tick(m));
	am_put_str(b, "machine_tick");
	am_put_uint(b, am_machine_tick(m));
	am_put_str(b, "active");
	am_put_array(b, n);
	for (size_t i = 0; i < n; i++)
		am_put_str(b, am_schema_name(s, active[i]));
	am_put_str(b, "states");
	am_put_array(b, am_schema_len(s));
	for (size_t i = 0; i < am_schema_len(s); i++)
		put_state(b, s, (am_id)i, m);
}

int
cmd_inspect(struct cli *c)
{
	static const struct out_view view = { .text = inspect_text };
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf text = AM_BUF_INIT;
	const struct am_machine *m;
	int rc = attach_open(c, &a);

	if (rc != EX_OK)
		return rc;
	m = session_mirror(&a.s);
	if (c->out.ops == &out_json_ops || c->out.field != NULL) {
		put_machine(&b, m, am_machine_schema(m));
		return cli_print(c, am_buf_val(&b), am_buf_val(&b), NULL);
	}
	am_inspect(m, &text);
	am_put_map(&b, 1);
	am_put_str(&b, "text");
	am_put_strn(&b, text.data, text.len);
	return cli_print(c, am_buf_val(&b), am_buf_val(&b), &view);
}
