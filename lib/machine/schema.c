#include "lib/machine/schema.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

static const char *const field_name[] = { "require", "add", "remove", "after" };

enum { N_FIELDS = 4 };

static const struct am_list *
row_list(const struct am_state *row, size_t field)
{
	const struct am_list *const l[N_FIELDS] = { &row->require, &row->add,
		&row->remove, &row->after };

	return l[field];
}

static struct am_list *
own_list(struct am_state *row, size_t field)
{
	struct am_list *const l[N_FIELDS] = { &row->require, &row->add,
		&row->remove, &row->after };

	return l[field];
}

/* ---- what a table must be ---- */

static int
check_list(const struct am_schema *s, const struct am_state *row, size_t f,
    struct am_error *err)
{
	const struct am_list *l = row_list(row, f);
	struct set seen = { { 0 } };

	for (size_t i = 0; i < l->len; i++) {
		am_id id = l->id[i];

		if (id >= s->len) {
			return error_set(err,
			    "state \"%s\": %s: no such state: id %u", row->name,
			    field_name[f], (unsigned)id);
		}
		if (bits_test(seen.w, id)) {
			return error_set(err, "state \"%s\": %s: \"%s\" twice",
			    row->name, field_name[f], s->row[id].name);
		}
		bits_set(seen.w, id);
	}
	return 0;
}

/* ---- copying the table ---- */

static int
copy_names(struct am_schema *s, const struct am_states *st,
    struct am_error *err)
{
	for (size_t i = 0; i < st->len; i++) {
		const char *name = st->row[i].name;
		const char *doc = st->row[i].doc;

		if (name == NULL || !schema_name_ok(name)) {
			return error_set(err,
			    "state %zu: \"%.40s\" is not a name: letters, "
			    "digits "
			    "and _, a letter first, at most %d",
			    i, name != NULL ? name : "", SCHEMA_NAME_MAX);
		}
		s->name[2 * i] = strdup(name);
		s->name[2 * i + 1] = strdup(doc != NULL ? doc : "");
		if (s->name[2 * i] == NULL || s->name[2 * i + 1] == NULL)
			return -ENOMEM;
	}
	if (s->len > st->len) {
		s->name[2 * st->len] = strdup("Exception");
		s->name[2 * st->len + 1] = strdup(
		    "level: an error state is active");
		if (s->name[2 * st->len] == NULL ||
		    s->name[2 * st->len + 1] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int
copy_rows(struct am_schema *s, const struct am_states *st, struct am_error *err)
{
	size_t total = 0;
	am_id *next;

	for (size_t i = 0; i < st->len; i++)
		for (size_t f = 0; f < N_FIELDS; f++)
			total += row_list(&st->row[i], f)->len;
	s->list = next = calloc(total + 1, sizeof(*next));
	if (next == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->len; i++) {
		struct am_state *row = &s->row[i];

		if (i < st->len)
			*row = st->row[i];
		else
			row->multi = true;
		row->name = s->name[2 * i];
		row->doc = s->name[2 * i + 1];
	}
	for (size_t i = 0; i < st->len; i++) {
		for (size_t f = 0; f < N_FIELDS; f++) {
			struct am_list *l = own_list(&s->row[i], f);
			int r = check_list(s, &s->row[i], f, err);

			if (r < 0)
				return r;
			for (size_t k = 0; k < l->len; k++)
				next[k] = l->id[k];
			l->id = next;
			next += l->len;
		}
	}
	return 0;
}

static int
compare_names(const void *a, const void *b, void *arg)
{
	const struct am_schema *s = arg;

	return strcmp(s->row[*(const am_id *)a].name,
	    s->row[*(const am_id *)b].name);
}

static int
index_names(struct am_schema *s, struct am_error *err)
{
	for (size_t i = 0; i < s->len; i++)
		s->by_name[i] = (am_id)i;
	qsort_r(s->by_name, s->len, sizeof(am_id), compare_names, s);
	for (size_t i = 1; i < s->len; i++) {
		const char *name = s->row[s->by_name[i]].name;

		if (strcmp(name, s->row[s->by_name[i - 1]].name) == 0) {
			return error_set(err, "state \"%s\": defined twice",
			    name);
		}
	}
	return 0;
}

/* ---- relations as sets ---- */

static uint64_t *
rel(struct am_schema *s, size_t id, enum schema_field f)
{
	return s->rel + (id * F__COUNT + f) * s->nw;
}

/* semantics.md 2: drops the state itself from remove and after, and added
 * states from remove. */
static int
sanitise(struct am_schema *s, size_t id, bool strict, struct am_error *err)
{
	const struct am_state *row = &s->row[id];
	uint64_t *rem = rel(s, id, F_REM);

	for (size_t i = 0; i < row->require.len; i++) {
		bits_set(rel(s, id, F_REQ), row->require.id[i]);
		bits_set(rel(s, id, F_NEED), row->require.id[i]);
	}
	for (size_t i = 0; i < row->remove.len; i++)
		bits_set(rem, row->remove.id[i]);
	bits_clear(rem, id);
	s->add[id] = row->add;
	for (size_t i = 0; i < row->add.len; i++) {
		bits_set(rel(s, id, F_ADD), row->add.id[i]);
		bits_set(rel(s, id, F_NEED), row->add.id[i]);
		bits_clear(rem, row->add.id[i]);
	}
	bits_clear(rel(s, id, F_NEED), id);
	for (size_t i = 0; strict && i < row->require.len; i++) {
		am_id r = row->require.id[i];

		if (!bits_test(rem, r))
			continue;
		return error_set(err,
		    "state \"%s\": remove: \"%s\" is required by it as well",
		    row->name, s->row[r].name);
	}
	return 0;
}

static void
invert(struct am_schema *s, size_t id)
{
	const struct am_list *after = &s->row[id].after;

	for (SET_EACH(r, rel(s, id, F_REQ), s->nw))
		bits_set(rel(s, r, F_HELD), id);
	for (SET_EACH(r, rel(s, id, F_REM), s->nw)) {
		bits_set(rel(s, r, F_REMBY), id);
		bits_set(s->removable, r);
		bits_set(rel(s, r, F_BAR), id);
		bits_set(rel(s, id, F_BAR), r);
	}
	if (s->row[id].multi)
		for (SET_EACH(a, rel(s, id, F_ADD), s->nw))
			bits_set(rel(s, a, F_HELD), id);
	for (size_t i = 0; i < after->len; i++) {
		am_id y = after->id[i];

		if (y == id)
			continue;
		bits_set(rel(s, id, F_AFTX), y);
		bits_set(rel(s, y, F_AFTX), id);
		bits_set(rel(s, id, F_BAR), y);
		bits_set(rel(s, y, F_BAR), id);
		bits_set(rel(s, y, F_LESS), id);
		bits_set(s->has_after, id);
		bits_set(s->has_after, y);
	}
}

/* y is in LESS[x] if x is in after(y) and y is not in after(x). */
static void
drop_after_both(struct am_schema *s, size_t id)
{
	const struct am_list *after = &s->row[id].after;

	for (size_t i = 0; i < after->len; i++)
		bits_clear(rel(s, id, F_LESS), after->id[i]);
}

static void
classify(struct am_schema *s, size_t id)
{
	const struct am_state *row = &s->row[id];

	if (row->multi)
		bits_set(s->multi, id);
	if (row->automatic) {
		bits_set(s->automatic, id);
		s->n_auto++;
	}
	if (row->add.len > 0)
		bits_set(s->has_add, id);
	if (row->require.len > 0)
		bits_set(s->has_req, id);
	if (strcmp(row->name, "Healthcheck") == 0 ||
	    strcmp(row->name, "Heartbeat") == 0)
		bits_set(s->health, id);
}

/* ---- Require topology (semantics.md 7) ---- */

struct walk {
	struct am_schema *s;
	struct set open;
	size_t n;
};

/* False: there is a cycle. The depth is limited by the longest chain of
 * Require. */
static bool
walk_require(struct walk *w, am_id id)
{
	const struct am_list *req = &w->s->row[id].require;

	if (bits_test(w->open.w, id)) {
		w->s->cycle = id;
		return false;
	}
	if (w->s->rank[id] != NO_RANK)
		return true;
	bits_set(w->open.w, id);
	for (size_t i = 0; i < req->len; i++)
		if (!walk_require(w, req->id[i]))
			return false;
	bits_clear(w->open.w, id);
	w->s->rank[id] = (uint16_t)w->n;
	w->s->byrank[w->n++] = id;
	return true;
}

static void
rank_states(struct am_schema *s)
{
	struct walk w = { .s = s };

	for (size_t i = 0; i < s->len; i++)
		s->rank[i] = NO_RANK;
	for (size_t i = 0; i < s->len; i++) {
		if (s->row[i].require.len == 0 || walk_require(&w, (am_id)i))
			continue;
		for (size_t k = 0; k < s->len; k++)
			s->rank[k] = NO_RANK;
		return;
	}
	for (size_t i = 0; i < w.n; i++)
		bits_set(s->ranked, s->byrank[i]);
}

/* ---- hash: FNV-1a over names, flags and relations in order ---- */

static uint64_t
hash_bytes(uint64_t h, const void *p, size_t len)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t
hash_schema(const struct am_schema *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s->len; i++) {
		const struct am_state *row = &s->row[i];
		unsigned char flags = (unsigned char)(row->automatic |
		    row->multi << 1);

		h = hash_bytes(h, row->name, strlen(row->name) + 1);
		h = hash_bytes(h, &flags, 1);
		for (size_t f = 0; f < N_FIELDS; f++) {
			const struct am_list *l = row_list(row, f);

			for (size_t k = 0; k < l->len; k++) {
				unsigned char id[] = { (unsigned char)l->id[k],
					(unsigned char)(l->id[k] >> 8) };

				h = hash_bytes(h, id, sizeof(id));
			}
			h = hash_bytes(h, "\xff\xff", 2);
		}
	}
	return h >> 1;
}

/* ---- life ---- */

static struct am_schema *
schema_free(struct am_schema *s)
{
	if (s == NULL)
		return NULL;
	assert(s->tables == NULL);
	for (size_t i = 0; s->name != NULL && i < 2 * (size_t)s->len; i++)
		free(s->name[i]);
	free(s->name);
	free(s->row);
	free(s->list);
	free(s->add);
	free(s->rel);
	free(s->rank);
	free(s->byrank);
	free(s->sets);
	free(s->by_name);
	schema_free_groups(s);
	free(s);
	return NULL;
}

static void
schema_freep(struct am_schema **s)
{
	*s = schema_free(*s);
}

static int
schema_alloc(struct am_schema *s, size_t len)
{
	enum { N_SETS = 8 };
	uint64_t *set;

	s->refs = 1;
	s->len = (uint16_t)len;
	s->nw = (uint16_t)((len + 63) / 64);
	s->handler_timeout = s->cycle = -1;
	s->row = calloc(len, sizeof(*s->row));
	s->name = calloc(2 * len, sizeof(*s->name));
	s->add = calloc(len, sizeof(*s->add));
	s->rel = calloc(len * F__COUNT * s->nw, sizeof(*s->rel));
	s->rank = calloc(len, sizeof(*s->rank));
	s->byrank = calloc(len, sizeof(*s->byrank));
	s->by_name = calloc(len, sizeof(*s->by_name));
	s->sets = set = calloc((size_t)N_SETS * s->nw, sizeof(*set));
	if (s->row == NULL || s->name == NULL || s->add == NULL ||
	    s->rel == NULL || s->rank == NULL || s->byrank == NULL ||
	    s->by_name == NULL || set == NULL)
		return -ENOMEM;
	s->multi = set;
	s->automatic = set += s->nw;
	s->has_add = set += s->nw;
	s->has_req = set += s->nw;
	s->removable = set += s->nw;
	s->has_after = set += s->nw;
	s->ranked = set += s->nw;
	s->health = set += s->nw;
	return 0;
}

static int
schema_fill(struct am_schema *s, const struct am_states *st, bool strict,
    struct am_error *err)
{
	int r = copy_names(s, st, err);

	if (r == 0)
		r = copy_rows(s, st, err);
	if (r == 0)
		r = index_names(s, err);
	if (r == 0)
		r = schema_copy_groups(s, st, err);
	for (size_t i = 0; r == 0 && i < s->len; i++)
		r = sanitise(s, i, strict, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->len; i++)
		classify(s, i);
	for (size_t i = 0; i < s->len; i++)
		invert(s, i);
	for (size_t i = 0; i < s->len; i++)
		drop_after_both(s, i);
	rank_states(s);
	s->hash = hash_schema(s);
	s->exception = (am_id)am_schema_id(s, "Exception", 9);
	s->handler_timeout = am_schema_id(s, "ErrHandlerTimeout", 17);
	return 0;
}

struct am_schema *
schema_compile(const struct am_states *st, bool strict, struct am_error *err)
{
	am_cleanup(schema_freep) struct am_schema *s = NULL;
	bool has_exception = false;
	size_t len;
	int r;

	for (size_t i = 0; i < st->len; i++)
		if (st->row[i].name != NULL &&
		    strcmp(st->row[i].name, "Exception") == 0)
			has_exception = true;
	len = st->len + !has_exception;
	if (len > AM_STATES_MAX) {
		(void)error_set(err, "%zu states: at most %d are allowed", len,
		    AM_STATES_MAX);
		return NULL;
	}
	(void)error_set(err, "no memory for a schema of %zu states", len);
	s = calloc(1, sizeof(*s));
	if (s == NULL || schema_alloc(s, len) < 0)
		return NULL;
	s->exception_given = has_exception;
	r = schema_fill(s, st, strict, err);
	if (r < 0)
		return NULL;
	if (err != NULL)
		err->text[0] = '\0';
	return am_steal(&s);
}

struct am_schema *
am_schema_new(const struct am_states *states, struct am_error *err)
{
	return schema_compile(states, true, err);
}

struct am_schema *
am_schema_ref(struct am_schema *s)
{
	s->refs++;
	return s;
}

struct am_schema *
am_schema_unref(struct am_schema *s)
{
	if (s != NULL && --s->refs == 0)
		return schema_free(s);
	return NULL;
}

/* ---- reading ---- */

uint64_t
am_schema_hash(const struct am_schema *s)
{
	return s->hash;
}
