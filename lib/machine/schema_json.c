/* A schema from JSON: it is user input, so every error is named. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/utf8.h"
#include "lib/machine/schema.h"
#include "proto/mp.h"

enum { JSON_MAX = 4 * 1024 * 1024 };

/* The table being built; the ids of base come first. */
struct draft {
	const struct am_states *base; /* may be NULL */
	size_t n_base;
	struct am_state *row;
	size_t len;
	bool exception_given;
	am_id *list; /* owned; all relations and groups of the JSON */
	size_t list_len;
	struct am_group *group; /* owned; those of base come first */
	size_t n_groups;
	char *text; /* owned; names and docs of the JSON, each terminated */
	size_t text_len;
	struct am_error *err;
};

static void
draft_done(struct draft *d)
{
	free(d->row);
	free(d->list);
	free(d->group);
	free(d->text);
}

static int
find(const struct draft *d, const char *name, size_t len)
{
	for (size_t i = 0; i < d->len; i++)
		if (d->row[i].name != NULL &&
		    strncmp(d->row[i].name, name, len) == 0 &&
		    d->row[i].name[len] == '\0')
			return (int)i;
	return -ENOENT;
}

/* The string as a terminated text; NULL: it is not a string. */
static const char *
text_of(struct draft *d, struct am_val val)
{
	struct mp c = mp_of(val);
	char *to = d->text + d->text_len;
	const char *s;
	size_t len;

	if (mp_get_str(&c, &s, &len) < 0)
		return NULL;
	memcpy(to, s, len);
	to[len] = '\0';
	d->text_len += len + 1;
	return to;
}

/* ---- names first, since relations may refer to later states ---- */

static int
read_name(struct draft *d, size_t i, struct am_val row)
{
	struct mp c = mp_of(row);
	struct am_val val = AM_NONE;
	const char *name;
	int there;

	if (mp_type(&c) != MP_MAP)
		return error_set(d->err, "states[%zu]: must be an object", i);
	(void)am_get(row, "name", &val);
	name = text_of(d, val);
	if (name == NULL || name[0] == '\0')
		return error_set(d->err,
		    "states[%zu]: \"name\" must be a string that is not empty",
		    i);
	there = find(d, name, strlen(name));
	if (there >= 0 && (size_t)there < d->n_base)
		return error_set(d->err,
		    "state \"%s\": is a base state, which cannot be defined "
		    "again",
		    name);
	if (there >= 0)
		return error_set(d->err, "state \"%s\": defined twice", name);
	d->row[d->len++].name = name;
	return 0;
}

/* ---- then the rest of each row ---- */

/* where: the owner of the list, for messages */
static int
read_names(struct draft *d, const char *where, struct am_val names,
    struct am_list *ret)
{
	am_id *to = d->list + d->list_len;
	struct mp c = mp_of(names);
	uint32_t n = 0;
	bool is_array = mp_get_array(&c, &n) == 0;

	for (uint32_t i = 0; i < n && is_array; i++) {
		const char *name;
		size_t len;
		int id;

		is_array = mp_get_str(&c, &name, &len) == 0;
		if (!is_array)
			break;
		id = find(d, name, len);
		if (id < 0)
			return error_set(d->err, "%s: no such state: \"%.*s\"",
			    where, (int)utf8_cut(name, len, SCHEMA_NAME_MAX),
			    name);
		to[i] = (am_id)id;
	}
	if (!is_array)
		return error_set(d->err, "%s: must be an array of state names",
		    where);
	d->list_len += n;
	*ret = (struct am_list){ .id = to, .len = n };
	return 0;
}

static int
read_list(struct draft *d, const struct am_state *row, const char *key,
    struct am_val val, struct am_list *ret)
{
	char where[2 * SCHEMA_NAME_MAX];

	(void)snprintf(where, sizeof(where), "state \"%.128s\": %s", row->name,
	    key);
	return read_names(d, where, val, ret);
}

static int
read_bool(struct draft *d, const struct am_state *row, const char *key,
    struct am_val val, bool *ret)
{
	struct mp c = mp_of(val);

	if (mp_get_bool(&c, ret) < 0)
		return error_set(d->err,
		    "state \"%s\": %s: must be true or false", row->name, key);
	return 0;
}

static int
read_key(struct draft *d, struct am_state *row, const char *key,
    struct am_val val)
{
	if (strcmp(key, "name") == 0)
		return 0;
	if (strcmp(key, "auto") == 0)
		return read_bool(d, row, key, val, &row->automatic);
	if (strcmp(key, "multi") == 0)
		return read_bool(d, row, key, val, &row->multi);
	if (strcmp(key, "require") == 0)
		return read_list(d, row, key, val, &row->require);
	if (strcmp(key, "add") == 0)
		return read_list(d, row, key, val, &row->add);
	if (strcmp(key, "remove") == 0)
		return read_list(d, row, key, val, &row->remove);
	if (strcmp(key, "after") == 0)
		return read_list(d, row, key, val, &row->after);
	if (strcmp(key, "doc") == 0) {
		row->doc = text_of(d, val);
		if (row->doc == NULL)
			return error_set(d->err,
			    "state \"%s\": doc: must be a string", row->name);
		return 0;
	}
	return error_set(d->err,
	    "state \"%s\": unknown key \"%s\"; known: name, doc, auto, multi, "
	    "require, add, remove, after",
	    row->name, key);
}

/* The next pair of a map from the decoder, whose keys are strings. */
static const char *
next_pair(struct draft *d, struct mp *c, struct am_val *ret)
{
	struct am_val key = AM_NONE;

	(void)mp_get_val(c, &key);
	(void)mp_get_val(c, ret);
	return text_of(d, key);
}

static int
read_row(struct draft *d, struct am_state *row, struct am_val val)
{
	struct mp c = mp_of(val);
	uint32_t n = 0;

	(void)mp_get_map(&c, &n);
	for (; n > 0; n--) {
		struct am_val of_key;
		const char *key = next_pair(d, &c, &of_key);
		int r = read_key(d, row, key, of_key);

		if (r < 0)
			return r;
	}
	return 0;
}

static int
read_groups(struct draft *d, struct am_val groups)
{
	size_t n_base = d->base != NULL ? d->base->n_groups : 0;
	struct mp c = mp_of(groups);
	uint32_t n = 0;

	if (groups.data != NULL && mp_get_map(&c, &n) < 0)
		return error_set(d->err,
		    "\"groups\" must be an object of arrays of state names");
	d->group = calloc(n_base + n + 1, sizeof(*d->group));
	if (d->group == NULL)
		return error_set(d->err, "no memory");
	for (; d->n_groups < n_base; d->n_groups++)
		d->group[d->n_groups] = d->base->group[d->n_groups];
	for (; n > 0; n--) {
		struct am_group *g = &d->group[d->n_groups++];
		char where[2 * SCHEMA_NAME_MAX];
		struct am_val names;
		int r;

		g->name = next_pair(d, &c, &names);
		(void)snprintf(where, sizeof(where), "group \"%.128s\"",
		    g->name);
		r = read_names(d, where, names, &g->states);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Every machine has Exception, so relations may name it. */
static void
add_exception(struct draft *d)
{
	d->exception_given = find(d, "Exception", 9) >= 0;
	if (!d->exception_given)
		d->row[d->len++] = (struct am_state){ .name = "Exception",
			.doc = "level: an error state is active",
			.multi = true };
}

static int
read_states(struct draft *d, struct mp states, uint32_t n)
{
	struct mp again = states;
	struct am_val row = AM_NONE;
	int r = 0;

	if (d->n_base + n > AM_STATES_MAX)
		return error_set(d->err, "%zu states: at most %d are allowed",
		    d->n_base + n, AM_STATES_MAX);
	d->row = calloc(d->n_base + n + 1, sizeof(*d->row));
	if (d->row == NULL)
		return error_set(d->err, "no memory");
	for (; d->len < d->n_base; d->len++)
		d->row[d->len] = d->base->row[d->len];
	for (uint32_t i = 0; i < n && r == 0; i++) {
		(void)mp_get_val(&states, &row);
		r = read_name(d, i, row);
	}
	if (r < 0)
		return r;
	add_exception(d);
	for (uint32_t i = 0; i < n && r == 0; i++) {
		(void)mp_get_val(&again, &row);
		r = read_row(d, &d->row[d->n_base + i], row);
	}
	return r;
}

static int
read_doc(struct draft *d, struct am_val doc)
{
	struct am_val states = AM_NONE, groups = AM_NONE;
	struct mp c;
	uint32_t n;
	int r;

	(void)am_get(doc, "states", &states);
	(void)am_get(doc, "groups", &groups);
	c = mp_of(states);
	if (mp_get_array(&c, &n) < 0)
		return error_set(d->err,
		    "must be an object with the array \"states\"");
	/* Each string and each name of a list needs one more byte there. */
	d->text = malloc(doc.len);
	d->list = calloc(doc.len, sizeof(*d->list));
	if (d->text == NULL || d->list == NULL)
		return error_set(d->err, "no memory");
	r = read_states(d, c, n);
	return r < 0 ? r : read_groups(d, groups);
}

static int
parse(const char *json, size_t len, struct am_buf *ret, struct am_error *err)
{
	int r;

	if (len > JSON_MAX)
		return error_set(err, "a schema of %zu bytes: at most %d", len,
		    JSON_MAX);
	r = am_json_decode(json, len, ret, err);
	return r == -ENOMEM ? error_set(err, "no memory") : r;
}

struct am_schema *
am_schema_from_json(const char *json, size_t len, const struct am_states *base,
    struct am_error *err)
{
	am_cleanup(buf_donep) struct am_buf doc = AM_BUF_INIT;
	am_cleanup(draft_done) struct draft d = {
		.base = base,
		.n_base = base != NULL ? base->len : 0,
		.err = err,
	};
	struct am_schema *s;

	if (parse(json, len, &doc, err) < 0 ||
	    read_doc(&d, am_buf_val(&doc)) < 0)
		return NULL;
	s = am_schema_new(
	    &(struct am_states){
		.row = d.row,
		.len = d.len,
		.group = d.group,
		.n_groups = d.n_groups,
	    },
	    err);
	if (s != NULL)
		s->exception_given = d.exception_given;
	return s;
}
