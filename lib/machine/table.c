/* Handler tables are compiled once for a schema and shared by the machines that
 * bind them: one set per kind tells a transition which handlers there are. */
#include "lib/machine/mach.h"

#include <errno.h>
#include <stdlib.h>

static int
compare_pairs(const void *va, const void *vb)
{
	const struct am_pair_handler *a = va, *b = vb;

	if (a->before != b->before)
		return a->before < b->before ? -1 : 1;
	return (a->after > b->after) - (a->after < b->after);
}

static void
fill_sets(struct handler_table *t, const struct am_handlers *h, size_t nw)
{
	uint64_t *set = t->set;

	for (size_t i = 0; i < h->len; i++) {
		if (h->of[i].enter != NULL)
			bits_set(set + H_ENTER * nw, i);
		if (h->of[i].exit != NULL)
			bits_set(set + H_EXIT * nw, i);
		if (h->of[i].self != NULL)
			bits_set(set + H_SELF * nw, i);
		if (h->of[i].state != NULL)
			bits_set(set + H_STATE * nw, i);
		if (h->of[i].end != NULL)
			bits_set(set + H_END * nw, i);
	}
	for (size_t i = 0; i < h->n_pairs; i++)
		bits_set(set + H_PAIR * nw, h->pair[i].before);
}

static struct handler_table *
table_new(struct am_schema *s, const struct am_handlers *h)
{
	size_t nw = s->nw;
	struct handler_table *t = calloc(1,
	    sizeof(*t) + H__COUNT * nw * sizeof(t->set[0]));

	if (t == NULL)
		return NULL;
	if (h->n_pairs > 0) {
		t->pair = malloc(h->n_pairs * sizeof(*t->pair));
		if (t->pair == NULL) {
			free(t);
			return NULL;
		}
		memcpy(t->pair, h->pair, h->n_pairs * sizeof(*t->pair));
		qsort(t->pair, h->n_pairs, sizeof(*t->pair), compare_pairs);
	}
	t->n_pairs = h->n_pairs;
	t->h = h;
	fill_sets(t, h, nw);
	t->next = s->tables;
	s->tables = t;
	return t;
}

static void
table_unref(struct am_schema *s, struct handler_table *t)
{
	struct handler_table **at = &s->tables;

	if (--t->refs > 0)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	free(t->pair);
	free(t);
}

void
tables_unref(struct am_machine *m)
{
	for (size_t i = 0; i < m->n_bindings; i++)
		table_unref(m->schema, m->binding[i].table);
	free(m->binding);
	free(m->bound_own);
	m->binding = NULL;
	m->n_bindings = 0;
}

/* Joins the sets of several tables in room for nw words per kind, which it
 * takes. A single table needs no room. */
static void
join_sets(struct am_machine *m, size_t nw, uint64_t *room)
{
	free(m->bound_own);
	m->bound_own = room;
	m->bound = room != NULL ? room : m->binding[0].table->set;
	for (size_t i = 0; room != NULL && i < m->n_bindings; i++)
		bits_or(room, m->binding[i].table->set, H__COUNT * nw);
}

static uint64_t *
sets_new(size_t nw)
{
	return calloc(H__COUNT * nw, sizeof(uint64_t));
}

static struct handler_table *
find_table(struct am_schema *s, const struct am_handlers *h)
{
	struct handler_table *t = s->tables;

	while (t != NULL && t->h != h)
		t = t->next;
	return t != NULL ? t : table_new(s, h);
}

int
tables_move(struct am_machine *m, struct am_schema *to)
{
	uint64_t *room = m->n_bindings > 1 ? sets_new(to->nw) : NULL;
	struct binding *moved = NULL;
	size_t n = 0;

	if (m->n_bindings == 0)
		return 0;
	if (m->n_bindings == 1 || room != NULL)
		moved = malloc(m->n_bindings * sizeof(*moved));
	for (; moved != NULL && n < m->n_bindings; n++) {
		moved[n] = m->binding[n];
		moved[n].table = find_table(to, m->binding[n].table->h);
		if (moved[n].table == NULL)
			break;
		moved[n].table->refs++;
	}
	if (moved != NULL && n == m->n_bindings) {
		for (size_t i = 0; i < n; i++)
			table_unref(m->schema, m->binding[i].table);
		free(m->binding);
		m->binding = moved;
		join_sets(m, to->nw, room);
		return 0;
	}
	while (n-- > 0)
		table_unref(to, moved[n].table);
	free(moved);
	free(room);
	return -ENOMEM;
}

static bool
negotiates(const struct handler_table *t, size_t nw)
{
	return t->n_pairs > 0 || bits_any(table_set(t, H_ENTER, nw), nw) ||
	    bits_any(table_set(t, H_EXIT, nw), nw) ||
	    bits_any(table_set(t, H_SELF, nw), nw);
}

int
tables_add(struct am_machine *m, const struct am_handlers *h, void *arg)
{
	struct am_schema *s = m->schema;
	uint64_t *room = NULL;
	struct handler_table *t;
	struct binding *grown;

	grown = realloc(m->binding, (m->n_bindings + 1U) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	m->binding = grown;
	if (m->n_bindings > 0)
		room = sets_new(s->nw);
	t = m->n_bindings == 0 || room != NULL ? find_table(s, h) : NULL;
	if (t == NULL) {
		free(room);
		return -ENOMEM;
	}
	t->refs++;
	if (h->n_pairs > 0 || bits_any(table_set(t, H_SELF, s->nw), s->nw))
		m->self_or_pair = true;
	if (h->any_enter != NULL || h->any_state != NULL)
		m->any = true;
	if (h->any_enter != NULL || negotiates(t, s->nw))
		m->asks = true;
	grown[m->n_bindings++] = (struct binding){ .table = t, .arg = arg };
	join_sets(m, s->nw, room);
	return 0;
}
