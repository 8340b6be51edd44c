/* Merges schemas, compares them with lists, writes them as JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/machine/schema.h"

/* ---- merging ---- */

struct merge {
	struct am_state *row;
	size_t len;
	am_id *list; /* all relations and groups that come from `more` */
	size_t list_len;
	struct am_group *group;
	size_t n_groups;
	am_id *place; /* of each state of `more` */
};

static void
merge_done(struct merge *m)
{
	free(m->row);
	free(m->list);
	free(m->place);
	free(m->group);
}

static size_t
count_relations(const struct am_schema *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->len; i++)
		n += s->row[i].require.len + s->row[i].add.len +
		    s->row[i].remove.len + s->row[i].after.len;
	for (size_t i = 0; i < s->n_groups; i++)
		n += s->group[i].states.len;
	return n;
}

static int
merge_alloc(struct merge *m, const struct am_schema *base,
    const struct am_schema *more)
{
	m->row = calloc((size_t)base->len + more->len, sizeof(*m->row));
	m->list = calloc(count_relations(more) + 1, sizeof(*m->list));
	m->place = calloc(more->len, sizeof(*m->place));
	m->group = calloc(base->n_groups + more->n_groups + 1,
	    sizeof(*m->group));
	return m->row == NULL || m->list == NULL || m->place == NULL ||
		m->group == NULL
	    ? -ENOMEM
	    : 0;
}

static void
find_places(struct merge *m, const struct am_schema *base,
    const struct am_schema *more)
{
	for (; m->len < base->len; m->len++)
		m->row[m->len] = base->row[m->len];
	for (size_t i = 0; i < more->len; i++) {
		const char *name = more->row[i].name;
		int id = am_schema_id(base, name, strlen(name));

		m->place[i] = (am_id)(id >= 0 ? (size_t)id : m->len++);
	}
}

static void
translate(struct merge *m, struct am_list *l)
{
	am_id *to = m->list + m->list_len;

	for (size_t i = 0; i < l->len; i++)
		to[i] = m->place[l->id[i]];
	m->list_len += l->len;
	l->id = to;
}

static void
merge_groups(struct merge *m, const struct am_schema *base,
    const struct am_schema *more)
{
	for (; m->n_groups < base->n_groups; m->n_groups++)
		m->group[m->n_groups] = base->group[m->n_groups];
	for (size_t i = 0; i < more->n_groups; i++) {
		struct am_group *g = m->group;

		while (g < m->group + m->n_groups &&
		    strcmp(g->name, more->group[i].name) != 0)
			g++;
		if (g == m->group + m->n_groups)
			m->n_groups++;
		*g = more->group[i];
		translate(m, &g->states);
	}
}

struct am_schema *
am_schema_merge(const struct am_schema *base, const struct am_schema *more,
    struct am_error *err)
{
	am_cleanup(merge_done) struct merge m = { .row = NULL };
	struct am_schema *s;

	if (merge_alloc(&m, base, more) < 0) {
		(void)error_set(err, "no memory for a schema");
		return NULL;
	}
	find_places(&m, base, more);
	for (size_t i = 0; i < more->len; i++) {
		struct am_state *row = &m.row[m.place[i]];

		/* An Exception that was appended does not replace a defined
		 * one. */
		if (i == more->exception && !more->exception_given)
			continue;
		*row = more->row[i];
		translate(&m, &row->require);
		translate(&m, &row->add);
		translate(&m, &row->remove);
		translate(&m, &row->after);
	}
	merge_groups(&m, base, more);
	s = am_schema_new(
	    &(struct am_states){
		.row = m.row,
		.len = m.len,
		.group = m.group,
		.n_groups = m.n_groups,
	    },
	    err);
	if (s != NULL)
		s->exception_given = base->exception_given ||
		    more->exception_given;
	return s;
}

/* ---- comparing ---- */

int
am_schema_verify(const struct am_schema *s, const char *const *names, size_t n,
    struct am_error *err)
{
	for (size_t i = 0; i < n && i < s->len; i++) {
		if (strcmp(s->row[i].name, names[i]) != 0)
			return error_set(err,
			    "state %zu is \"%s\", not \"%.128s\"", i,
			    s->row[i].name, names[i]);
	}
	if (n < s->len)
		return error_set(err, "state \"%s\" is missing in the list",
		    s->row[n].name);
	if (n > s->len)
		return error_set(err, "there is no state \"%.128s\"",
		    names[s->len]);
	return 0;
}

/* ---- writing ---- */

static void
put_names(const struct am_schema *s, struct am_buf *out, const char *key,
    const struct am_list *l)
{
	buf_printf(out, "\"%s\":[", key);
	for (size_t i = 0; i < l->len; i++)
		buf_printf(out, "%s\"%s\"", i > 0 ? "," : "",
		    s->row[l->id[i]].name);
	buf_putc(out, ']');
}

static void
put_list(const struct am_schema *s, struct am_buf *out, const char *key,
    const struct am_list *l)
{
	if (l->len == 0)
		return;
	buf_putc(out, ',');
	put_names(s, out, key, l);
}

static void
put_doc(struct am_buf *out, const char *doc)
{
	am_cleanup(buf_donep) struct am_buf text = AM_BUF_INIT;
	size_t before = out->len;

	if (doc[0] == '\0')
		return;
	am_put_str(&text, doc);
	buf_puts(out, ",\"doc\":");
	/* A doc that is not UTF-8 is left out. */
	if (am_json_encode(am_buf_val(&text), out, NULL) < 0)
		out->len = before;
}

void
am_schema_to_json(const struct am_schema *s, struct am_buf *out)
{
	buf_puts(out, "{\"states\":[");
	for (size_t i = 0; i < s->len; i++) {
		const struct am_state *row = &s->row[i];

		buf_printf(out, "%s{\"name\":\"%s\"", i > 0 ? "," : "",
		    row->name);
		put_doc(out, row->doc);
		if (row->automatic)
			buf_puts(out, ",\"auto\":true");
		if (row->multi)
			buf_puts(out, ",\"multi\":true");
		put_list(s, out, "require", &row->require);
		put_list(s, out, "add", &row->add);
		put_list(s, out, "remove", &row->remove);
		put_list(s, out, "after", &row->after);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
	for (size_t i = 0; i < s->n_groups; i++) {
		buf_puts(out, i == 0 ? ",\"groups\":{" : ",");
		put_names(s, out, s->group[i].name, &s->group[i].states);
	}
	buf_puts(out, s->n_groups > 0 ? "}}" : "}");
}
