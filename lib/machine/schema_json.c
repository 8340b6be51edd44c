/* A schema from JSON: user input, so every mistake is named. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/machine/schema.h"

enum { JSON_MAX = 4 * 1024 * 1024 };

/* The table that is being built; ids of base come first. */
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
	struct am_error *err;
};

static void
json_freep(cJSON **j)
{
	cJSON_Delete(*j);
}

static void
draft_done(struct draft *d)
{
	free(d->row);
	free(d->list);
	free(d->group);
}

static int
find(const struct draft *d, const char *name)
{
	for (size_t i = 0; i < d->len; i++)
		if (d->row[i].name != NULL && strcmp(d->row[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

/* ---- names first, since relations may point forward ---- */

static int
read_name(struct draft *d, size_t i, const cJSON *j)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(j, "name");
	int there;

	if (!cJSON_IsObject(j))
		return error_set(d->err, "states[%zu]: must be an object", i);
	if (!cJSON_IsString(name) || name->valuestring[0] == '\0')
		return error_set(d->err,
		    "states[%zu]: \"name\" must be a string that is not empty",
		    i);
	there = find(d, name->valuestring);
	if (there >= 0 && (size_t)there < d->n_base)
		return error_set(d->err,
		    "state \"%s\": is a base state, which cannot be defined "
		    "again",
		    name->valuestring);
	if (there >= 0)
		return error_set(d->err, "state \"%s\": there are two of it",
		    name->valuestring);
	d->row[d->len++].name = name->valuestring;
	return 0;
}

/* ---- then the rest of each row ---- */

/* where: what the list belongs to, for messages */
static int
read_names(struct draft *d, const char *where, const cJSON *j,
    struct am_list *ret)
{
	am_id *to = d->list + d->list_len;
	const cJSON *item;
	size_t n = 0;

	if (!cJSON_IsArray(j))
		return error_set(d->err, "%s: must be an array of state names",
		    where);
	cJSON_ArrayForEach(item, j)
	{
		int id;

		if (!cJSON_IsString(item))
			return error_set(d->err,
			    "%s: must be an array of state names", where);
		id = find(d, item->valuestring);
		if (id < 0)
			return error_set(d->err, "%s: no such state: \"%s\"",
			    where, item->valuestring);
		to[n++] = (am_id)id;
	}
	d->list_len += n;
	*ret = (struct am_list){ .id = to, .len = n };
	return 0;
}

static int
read_list(struct draft *d, const struct am_state *row, const cJSON *j,
    struct am_list *ret)
{
	char where[2 * SCHEMA_NAME_MAX];

	(void)snprintf(where, sizeof(where), "state \"%.128s\": %s", row->name,
	    j->string);
	return read_names(d, where, j, ret);
}

static int
read_bool(struct draft *d, const struct am_state *row, const cJSON *j,
    bool *ret)
{
	if (!cJSON_IsBool(j))
		return error_set(d->err,
		    "state \"%s\": %s: must be true or false", row->name,
		    j->string);
	*ret = cJSON_IsTrue(j);
	return 0;
}

static int
read_key(struct draft *d, struct am_state *row, const cJSON *j)
{
	const char *key = j->string;

	if (strcmp(key, "name") == 0)
		return 0;
	if (strcmp(key, "auto") == 0)
		return read_bool(d, row, j, &row->automatic);
	if (strcmp(key, "multi") == 0)
		return read_bool(d, row, j, &row->multi);
	if (strcmp(key, "require") == 0)
		return read_list(d, row, j, &row->require);
	if (strcmp(key, "add") == 0)
		return read_list(d, row, j, &row->add);
	if (strcmp(key, "remove") == 0)
		return read_list(d, row, j, &row->remove);
	if (strcmp(key, "after") == 0)
		return read_list(d, row, j, &row->after);
	if (strcmp(key, "doc") == 0) {
		if (!cJSON_IsString(j))
			return error_set(d->err,
			    "state \"%s\": doc: must be a string", row->name);
		row->doc = j->valuestring;
		return 0;
	}
	return error_set(d->err,
	    "state \"%s\": unknown key \"%s\"; known: name, doc, auto, multi, "
	    "require, add, remove, after",
	    row->name, key);
}

static int
read_row(struct draft *d, struct am_state *row, const cJSON *j)
{
	const cJSON *key, *before;

	cJSON_ArrayForEach(key, j)
	{
		int r;

		for (before = j->child; before != key; before = before->next)
			if (strcmp(before->string, key->string) == 0)
				return error_set(d->err,
				    "state \"%s\": \"%s\" twice", row->name,
				    key->string);
		r = read_key(d, row, key);
		if (r < 0)
			return r;
	}
	return 0;
}

static size_t
count_items(const cJSON *object)
{
	const cJSON *key;
	size_t n = 0;

	cJSON_ArrayForEach(key, object)
	{
		if (cJSON_IsArray(key))
			n += (size_t)cJSON_GetArraySize(key);
	}
	return n;
}

static size_t
count_relations(const cJSON *states)
{
	const cJSON *row;
	size_t n = 0;

	cJSON_ArrayForEach(row, states)
	{
		n += count_items(row);
	}
	return n;
}

static int
read_groups(struct draft *d, const cJSON *groups)
{
	size_t n = (size_t)cJSON_GetArraySize(groups);
	size_t n_base = d->base != NULL ? d->base->n_groups : 0;
	const cJSON *j;

	if (groups != NULL && !cJSON_IsObject(groups))
		return error_set(d->err,
		    "\"groups\" must be an object of arrays of state names");
	d->group = calloc(n_base + n + 1, sizeof(*d->group));
	if (d->group == NULL)
		return error_set(d->err, "no memory");
	for (; d->n_groups < n_base; d->n_groups++)
		d->group[d->n_groups] = d->base->group[d->n_groups];
	cJSON_ArrayForEach(j, groups)
	{
		struct am_group *g = &d->group[d->n_groups++];
		char where[2 * SCHEMA_NAME_MAX];
		int r;

		(void)snprintf(where, sizeof(where), "group \"%.128s\"",
		    j->string);
		g->name = j->string;
		r = read_names(d, where, j, &g->states);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
read_states(struct draft *d, const cJSON *states, const cJSON *groups)
{
	size_t n = (size_t)cJSON_GetArraySize(states), i = 0;
	const cJSON *j;

	if (d->n_base + n > AM_STATES_MAX)
		return error_set(d->err, "%zu states: at most %d are possible",
		    d->n_base + n, AM_STATES_MAX);
	d->row = calloc(d->n_base + n + 1, sizeof(*d->row));
	d->list = calloc(count_relations(states) + count_items(groups) + 1,
	    sizeof(*d->list));
	if (d->row == NULL || d->list == NULL)
		return error_set(d->err, "no memory");
	for (; d->len < d->n_base; d->len++)
		d->row[d->len] = d->base->row[d->len];
	cJSON_ArrayForEach(j, states)
	{
		int r = read_name(d, i++, j);

		if (r < 0)
			return r;
	}
	/* Every machine has it, so relations may name it. */
	d->exception_given = find(d, "Exception") >= 0;
	if (!d->exception_given)
		d->row[d->len++] = (struct am_state){ .name = "Exception",
			.doc = "level: an error state is active",
			.multi = true };
	i = d->n_base;
	cJSON_ArrayForEach(j, states)
	{
		int r = read_row(d, &d->row[i++], j);

		if (r < 0)
			return r;
	}
	return read_groups(d, groups);
}

static cJSON *
parse(const char *json, size_t len, struct am_error *err)
{
	const char *end = NULL;
	cJSON *doc;

	if (len > JSON_MAX) {
		(void)error_set(err, "a schema of %zu bytes: at most %d", len,
		    JSON_MAX);
		return NULL;
	}
	/* cJSON would cut a string there. */
	if (memchr(json, '\0', len) != NULL ||
	    memmem(json, len, "\\u0000", 6) != NULL) {
		(void)error_set(err, "a schema holds no NUL");
		return NULL;
	}
	doc = cJSON_ParseWithLengthOpts(json, len, &end, 0);
	while (doc != NULL && end < json + len && strchr(" \t\r\n", *end))
		end++;
	if (doc != NULL && end == json + len)
		return doc;
	(void)error_set(err, "is no JSON: at byte %zu",
	    end != NULL ? (size_t)(end - json) : 0);
	cJSON_Delete(doc);
	return NULL;
}

/* Of two the second one would be dropped in silence. Other keys are for others,
 * as the name of the machine. */
static int
check_once(const cJSON *doc, const char *key, struct am_error *err)
{
	const cJSON *j;
	size_t n = 0;

	cJSON_ArrayForEach(j, doc)
	{
		if (strcmp(j->string, key) == 0 && ++n > 1)
			return error_set(err, "\"%s\" twice", key);
	}
	return 0;
}

struct am_schema *
am_schema_from_json(const char *json, size_t len, const struct am_states *base,
    struct am_error *err)
{
	am_cleanup(json_freep) cJSON *doc = parse(json, len, err);
	am_cleanup(draft_done) struct draft d = {
		.base = base,
		.n_base = base != NULL ? base->len : 0,
		.err = err,
	};
	const cJSON *states, *groups;
	struct am_states table;
	struct am_schema *s;

	if (doc == NULL)
		return NULL;
	states = cJSON_GetObjectItemCaseSensitive(doc, "states");
	if (!cJSON_IsObject(doc) || !cJSON_IsArray(states)) {
		(void)error_set(err,
		    "must be an object with the array \"states\"");
		return NULL;
	}
	groups = cJSON_GetObjectItemCaseSensitive(doc, "groups");
	if (check_once(doc, "states", err) < 0 ||
	    check_once(doc, "groups", err) < 0)
		return NULL;
	if (read_states(&d, states, groups) < 0)
		return NULL;
	table = (struct am_states){
		.row = d.row,
		.len = d.len,
		.group = d.group,
		.n_groups = d.n_groups,
	};
	s = am_schema_new(&table, err);
	if (s != NULL)
		s->exception_given = d.exception_given;
	return s;
}
