/* Groups of a schema: named lists of states, which no rule uses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/machine/schema.h"

static int
check_group(const struct am_schema *s, const struct am_group *g,
    struct am_error *err)
{
	struct set seen = { { 0 } };

	if (g->name == NULL || !schema_name_ok(g->name))
		return error_set(err,
		    "group %zu: \"%.40s\" is not a name: letters, digits and "
		    "_, a "
		    "letter first, at most %d",
		    s->n_groups, g->name != NULL ? g->name : "",
		    SCHEMA_NAME_MAX);
	if (am_schema_group(s, g->name) != NULL)
		return error_set(err, "group \"%s\": defined twice", g->name);
	for (size_t i = 0; i < g->states.len; i++) {
		am_id id = g->states.id[i];

		if (id >= s->len)
			return error_set(err,
			    "group \"%s\": no such state: id %u", g->name,
			    (unsigned)id);
		if (bits_test(seen.w, id))
			return error_set(err, "group \"%s\": \"%s\" twice",
			    g->name, s->row[id].name);
		bits_set(seen.w, id);
	}
	return 0;
}

static int
copy_group(struct am_schema *s, const struct am_group *g)
{
	struct am_group *to = &s->group[s->n_groups++];
	am_id *id = malloc((g->states.len + 1) * sizeof(*id));

	to->name = strdup(g->name);
	to->states = (struct am_list){ .id = id, .len = g->states.len };
	if (to->name == NULL || id == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < g->states.len; i++)
		id[i] = g->states.id[i];
	return 0;
}

int
schema_copy_groups(struct am_schema *s, const struct am_states *st,
    struct am_error *err)
{
	int r = 0;

	if (st->n_groups == 0)
		return 0;
	if (st->n_groups > AM_STATES_MAX)
		return error_set(err, "%zu groups: at most %d are allowed",
		    st->n_groups, AM_STATES_MAX);
	s->group = calloc(st->n_groups, sizeof(*s->group));
	if (s->group == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < st->n_groups; i++) {
		r = check_group(s, &st->group[i], err);
		if (r == 0)
			r = copy_group(s, &st->group[i]);
	}
	return r;
}

void
schema_free_groups(struct am_schema *s)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		free((void *)(uintptr_t)s->group[i].name);
		free((void *)(uintptr_t)s->group[i].states.id);
	}
	free(s->group);
}

const struct am_list *
am_schema_group(const struct am_schema *s, const char *name)
{
	for (size_t i = 0; i < s->n_groups; i++)
		if (strcmp(s->group[i].name, name) == 0)
			return &s->group[i].states;
	return NULL;
}

const struct am_group *
am_schema_groups(const struct am_schema *s, size_t *ret_n)
{
	*ret_n = s->n_groups;
	return s->group;
}
