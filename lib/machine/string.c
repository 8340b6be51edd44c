/* Machines as text: semantics.md 16. */
#include <assert.h>

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
	if (m->dying)
		return;
	buf_putc(out, '(');
	put_states(m, out, true);
	buf_putc(out, ')');
}

void
am_string_all(const struct am_machine *m, struct am_buf *out)
{
	if (m->dying)
		return;
	am_string(m, out);
	buf_puts(out, " [");
	put_states(m, out, false);
	buf_putc(out, ']');
}

/* The names of l that are in `set`; all of them if it is NULL. */
static void
put_list(const struct am_schema *s, struct am_buf *out, const char *label,
    const struct am_list *l, const uint64_t *set)
{
	const char *sep = "";

	if (l->len == 0)
		return;
	buf_printf(out, "    |%-9s", label);
	for (size_t i = 0; i < l->len; i++) {
		if (set != NULL && !bits_test(set, l->id[i]))
			continue;
		buf_printf(out, "%s%s", sep, s->row[l->id[i]].name);
		sep = " ";
	}
	buf_putc(out, '\n');
}

static void
inspect_state(const struct am_machine *m, struct am_buf *out, am_id id)
{
	const struct am_schema *s = m->schema;
	const struct am_state *row = &s->row[id];

	assert(id < s->len);
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
am_inspect_states(const struct am_machine *m, const am_id *states, size_t n,
    struct am_buf *out)
{
	for (size_t i = 0; i < n; i++)
		inspect_state(m, out, states[i]);
}

const char *
am_op_name(enum am_op op)
{
	static const char *const name[] = {
		[AM_ADD] = "add",
		[AM_REMOVE] = "remove",
		[AM_SET] = "set",
		[AM_TOGGLE] = "toggle",
		[AM_CAN_ADD] = "can_add",
		[AM_CAN_REMOVE] = "can_remove",
	};

	return name[op];
}

const char *
am_result_name(am_result r)
{
	if (r == AM_EXECUTED)
		return "executed";
	return r == AM_CANCELED ? "canceled" : "queued";
}

/* In order of ids, not in the order in which they were called. */
static void
put_called(const struct am_schema *s, struct am_buf *out, enum am_op op,
    const am_id *called, size_t n)
{
	const char *sep = "";
	struct set set;

	bits_zero(set.w, s->nw);
	for (size_t i = 0; i < n; i++) {
		assert(called[i] < s->len);
		bits_set(set.w, called[i]);
	}
	buf_printf(out, "[%s] ", am_op_name(op));
	for (SET_EACH(id, set.w, s->nw)) {
		buf_printf(out, "%s%s", sep, s->row[id].name);
		sep = " ";
	}
}

void
am_mutation_string(const struct am_schema *s, const struct am_mutation *mut,
    struct am_buf *out)
{
	put_called(s, out, mut->op, mut->states, mut->n_states);
}

void
am_transition_string(const struct am_schema *s, const struct am_transition *t,
    struct am_buf *out)
{
	buf_printf(out, "tx#%llu\n", (unsigned long long)t->id);
	put_called(s, out, t->op, t->called, t->n_called);
	if (t->from != NULL)
		buf_printf(out, "\nsource: [%llu](%s/%llu/t%llu)",
		    (unsigned long long)t->from->transition, t->from->machine,
		    (unsigned long long)t->from->transition,
		    (unsigned long long)t->from->time);
	buf_puts(out, t->steps != NULL ? t->steps : "");
}

void
am_inspect(const struct am_machine *m, struct am_buf *out)
{
	for (size_t i = 0; i < m->schema->len; i++)
		inspect_state(m, out, (am_id)i);
}
