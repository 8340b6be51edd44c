/* Machines as text: semantics.md 16. */
#include "lib/base/buf.h"
#include "lib/machine/mach.h"

static void
put_states(const struct am_machine *m, struct am_buf *out, bool active)
{
	const char *sep = "";

	for (size_t i = 0; i < m->schema->len; i++) {
		if (bits_test(m->active, i) != active)
			continue;
		buf_printf(out, "%s%s:%llu", sep, m->schema->row[i].name,
		    (unsigned long long)m->clock[i]);
		sep = " ";
	}
}

void
am_string(const struct am_machine *m, struct am_buf *out)
{
	buf_putc(out, '(');
	put_states(m, out, true);
	buf_putc(out, ')');
}

void
am_string_all(const struct am_machine *m, struct am_buf *out)
{
	am_string(m, out);
	buf_puts(out, " [");
	put_states(m, out, false);
	buf_putc(out, ']');
}

/* The names of l that `set` has; all of them if it is NULL. */
static void
put_list(const struct am_schema *s, struct am_buf *out, const char *label,
    const struct am_list *l, const uint64_t *set)
{
	if (l->len == 0)
		return;
	buf_printf(out, "    |%-8s", label);
	for (size_t i = 0; i < l->len; i++)
		if (set == NULL || bits_test(set, l->id[i]))
			buf_printf(out, " %s", s->row[l->id[i]].name);
	buf_putc(out, '\n');
}

static void
inspect_state(const struct am_machine *m, struct am_buf *out, am_id id)
{
	const struct am_schema *s = m->schema;
	const struct am_state *row = &s->row[id];

	buf_printf(out, "%d %s\n", bits_test(m->active, id), row->name);
	buf_printf(out, "    |Tick     %llu\n",
	    (unsigned long long)m->clock[id]);
	if (row->automatic)
		buf_puts(out, "    |Auto     true\n");
	if (row->multi)
		buf_puts(out, "    |Multi    true\n");
	put_list(s, out, "Add", &row->add, NULL);
	put_list(s, out, "Require", &row->require, NULL);
	put_list(s, out, "Remove", &row->remove, schema_rel(s, id, F_REM));
	put_list(s, out, "After", &row->after, schema_rel(s, id, F_AFTX));
}

void
am_inspect(const struct am_machine *m, struct am_buf *out)
{
	for (size_t i = 0; i < m->schema->len; i++)
		inspect_state(m, out, (am_id)i);
}
