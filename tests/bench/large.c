/* large.c - machines of 40 to 80 states: the recorded cases of class l, and
 * random schemas whose mutations change many states. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/amnode.h"
#include "lib/base/clock.h"
#include "tests/bench/bench.h"

enum {
	STATES = 64,
	SCHEMAS = 5,
	CHANGES = 8, /* clocks that a pair has to change */
	STEPS_MAX = 64,
	REPLAYS = 200,
	LINE_SIZE = 4 << 20,
};

/* ---- m4a: the recorded cases ---- */

struct replay {
	struct am_schema *schema;
	struct am_mutation step[STEPS_MAX];
	size_t n_steps;
};

static void
read_ids(const struct am_schema *s, const cJSON *names, struct am_mutation *m)
{
	size_t n = (size_t)cJSON_GetArraySize(names);
	am_id *id = calloc(n + 1, sizeof(*id));
	const cJSON *name;

	assert(id != NULL);
	m->states = id;
	cJSON_ArrayForEach(name, names)
	{
		id[m->n_states++] = (am_id)am_schema_id(s, name->valuestring,
		    strlen(name->valuestring));
	}
}

/* The case's map of states as the array that a schema is made of. */
static struct am_schema *
read_schema(const cJSON *doc)
{
	cJSON *out = cJSON_CreateObject();
	cJSON *rows = cJSON_AddArrayToObject(out, "states");
	const cJSON *name, *defs = cJSON_GetObjectItem(doc, "schema");
	struct am_schema *s;
	char *text;

	cJSON_ArrayForEach(name, cJSON_GetObjectItem(doc, "states"))
	{
		const cJSON *def = cJSON_GetObjectItemCaseSensitive(defs,
		    name->valuestring);
		cJSON *row = def != NULL ? cJSON_Duplicate(def, true)
					 : cJSON_CreateObject();

		cJSON_AddStringToObject(row, "name", name->valuestring);
		cJSON_AddItemToArray(rows, row);
	}
	text = cJSON_PrintUnformatted(out);
	s = am_schema_from_json(text, strlen(text), NULL, NULL);
	cJSON_free(text);
	cJSON_Delete(out);
	return s;
}

static enum am_op
read_op(const char *name)
{
	static const char *const names[] = { "add", "remove", "set", "toggle",
		"can_add", "can_remove" };
	unsigned i = 0;

	while (strcmp(names[i], name) != 0)
		i++;
	return (enum am_op)i;
}

static bool
read_case(const char *line, struct replay *r)
{
	cJSON *doc = cJSON_Parse(line);
	const cJSON *step;

	assert(doc != NULL);
	*r = (struct replay){ .schema = read_schema(doc) };
	cJSON_ArrayForEach(step, cJSON_GetObjectItem(doc, "steps"))
	{
		struct am_mutation *m = &r->step[r->n_steps++];

		assert(r->n_steps < STEPS_MAX && r->schema != NULL);
		m->op = read_op(cJSON_GetObjectItem(step, "op")->valuestring);
		read_ids(r->schema, cJSON_GetObjectItem(step, "states"), m);
	}
	cJSON_Delete(doc);
	return r->n_steps > 0;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of its runs, times their number: one that was interrupted does
 * not count. */
static int64_t
replay(const struct replay *r)
{
	double took[REPLAYS];

	for (int i = 0; i < REPLAYS; i++) {
		struct am_machine *m = am_machine_new(r->schema, "replay");
		int64_t start;

		assert(m != NULL);
		start = clock_ns();
		for (size_t k = 0; k < r->n_steps; k++)
			(void)am_mutate(m, &r->step[k]);
		took[i] = (double)(clock_ns() - start);
		am_machine_free(m);
	}
	qsort(took, REPLAYS, sizeof(took[0]), compare);
	return (int64_t)took[REPLAYS / 2] * REPLAYS;
}

static double
replay_all(const char *path)
{
	gzFile f = gzopen(path, "rb");
	char *line = malloc(LINE_SIZE);
	int64_t took = 0;
	size_t n = 0;

	assert(line != NULL);
	while (f != NULL && gzgets(f, line, LINE_SIZE) != NULL) {
		struct replay r;

		if (strncmp(line, "{\"id\":\"l-", 9) != 0 ||
		    !read_case(line, &r))
			continue;
		took += replay(&r);
		n += r.n_steps * REPLAYS;
		for (size_t i = 0; i < r.n_steps; i++)
			free((void *)(uintptr_t)r.step[i].states);
		am_schema_unref(r.schema);
	}
	free(line);
	if (f != NULL)
		(void)gzclose(f);
	return n > 0 ? (double)took / (double)n : NAN;
}

/* ---- m4b: random schemas ---- */

static unsigned
draw(uint64_t *seed, unsigned below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (unsigned)(*seed >> 33) % below;
}

struct random_schema {
	struct am_state row[STATES];
	char name[STATES][8];
	am_id list[STATES][4];
};

/* Two of three states have relations; Require points back, so it has no
 * cycle. */
static struct am_schema *
make_random(struct random_schema *r, uint64_t seed)
{
	for (unsigned i = 0; i < STATES; i++) {
		struct am_state *row = &r->row[i];

		(void)snprintf(r->name[i], sizeof(r->name[i]), "S%u", i);
		*row = (struct am_state){
			.name = i > 0 ? r->name[i] : "Exception",
			.multi = draw(&seed, 8) == 0,
		};
		for (unsigned k = 0; k < 4; k++)
			r->list[i][k] = (am_id)draw(&seed,
			    k == 0 && i > 0 ? i : STATES);
		if (i > 0 && draw(&seed, 3) == 0)
			row->require = (struct am_list){ &r->list[i][0], 1 };
		if (draw(&seed, 2) == 0)
			row->add = (struct am_list){ &r->list[i][1], 1 };
		if (draw(&seed, 4) == 0 && r->list[i][2] != r->list[i][0])
			row->remove = (struct am_list){ &r->list[i][2], 1 };
		if (draw(&seed, 4) == 0)
			row->after = (struct am_list){ &r->list[i][3], 1 };
	}
	return am_schema_new(&(struct am_states){ .name = "random",
				 .row = r->row,
				 .len = STATES },
	    NULL);
}

struct pair {
	struct am_machine *m;
	am_id ids[6];
};

static void
toggle_pair(void *arg, uint64_t n)
{
	struct pair *p = (struct pair *)arg;

	for (uint64_t i = 0; i < n; i++) {
		(void)am_add(p->m, p->ids, 6, AM_NONE);
		(void)am_remove(p->m, p->ids, 6, AM_NONE);
	}
}

static size_t
count_changes(struct pair *p)
{
	uint64_t before[STATES];
	size_t n = 0;

	memcpy(before, am_time(p->m), sizeof(before));
	toggle_pair(p, 1);
	for (size_t i = 0; i < STATES; i++)
		n += am_time(p->m)[i] != before[i];
	return n;
}

/* The time of a pair that changes enough, with half of the states active. */
static double
random_pair(const char *name, uint64_t seed)
{
	struct random_schema *r = calloc(1, sizeof(*r));
	struct am_schema *s = r != NULL ? make_random(r, seed) : NULL;
	struct pair p = { .m = s != NULL ? am_machine_new(s, "r") : NULL };
	double ns;

	assert(p.m != NULL);
	for (unsigned i = 0; i < STATES / 2; i++)
		(void)am_add1(p.m, (am_id)draw(&seed, STATES), AM_NONE);
	do {
		for (unsigned i = 0; i < 6; i++)
			p.ids[i] = (am_id)draw(&seed, STATES);
		toggle_pair(&p, 1);
	} while (count_changes(&p) < CHANGES);
	ns = bench_ns(name, toggle_pair, &p);
	am_machine_free(p.m);
	am_schema_unref(s);
	free(r);
	return ns;
}

static void
report(const char *name, const char *what, double ns, double budget)
{
	bench_report(&(struct bench_figure){ .name = name,
	    .what = what,
	    .value = ns,
	    .unit = "ns",
	    .floor = NAN,
	    .budget = budget });
}

void
bench_large(void)
{
	static const uint64_t seeds[SCHEMAS] = { 11, 23, 37, 41, 59 };
	static const char *const names[SCHEMAS] = { "m4b1", "m4b2", "m4b3",
		"m4b4", "m4b5" };
	double ns[SCHEMAS];

	if (!bench_is_counting())
		report("m4a", "replay of the recorded cases of class l",
		    replay_all("tests/data/machine.ndjson.gz"), 300);
	for (int i = 0; i < SCHEMAS; i++)
		ns[i] = random_pair(names[i],
		    seeds[i] * UINT64_C(0x9e3779b97f4a7c15));
	qsort(ns, SCHEMAS, sizeof(ns[0]), compare);
	report("m4b", "a pair of 8 changes, 64 states: median", ns[SCHEMAS / 2],
	    1300);
	report("m4c", "the same, the worst of five", ns[SCHEMAS - 1], 2200);
}
