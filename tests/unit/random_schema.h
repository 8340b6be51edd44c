/* random_schema.h - numbers and schemas by seed, the same on every run. */
#ifndef TESTS_UNIT_RANDOM_SCHEMA_H
#define TESTS_UNIT_RANDOM_SCHEMA_H

#include <stdio.h>
#include <string.h>

#include "lib/amnode.h"

enum { RANDOM_STATES_MAX = 160, RANDOM_LIST_MAX = 3 };

struct random {
	uint64_t seed;
};

static inline struct random
random_of(uint64_t seed)
{
	return (struct random){ seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
}

/* 0 .. below - 1 */
static inline unsigned
draw(struct random *r, unsigned below)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return (unsigned)(r->seed >> 33) % below;
}

struct random_schema {
	struct am_state row[RANDOM_STATES_MAX];
	char name[RANDOM_STATES_MAX][16];
	am_id list[RANDOM_STATES_MAX][4][RANDOM_LIST_MAX];
};

static inline bool
random_has(const am_id *list, size_t n, am_id id)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == id)
			return true;
	return false;
}

/* Each once; none of `not`, which a state may not require as well. */
static inline struct am_list
random_list(struct random *r, am_id *to, unsigned below, struct am_list not )
{
	unsigned n = 1 + draw(r, RANDOM_LIST_MAX);
	size_t k = 0;

	while (n-- > 0) {
		am_id id = (am_id)draw(r, below);

		if (!random_has(to, k, id) &&
		    !random_has(not .id, not .len, id))
			to[k++] = id;
	}
	return (struct am_list){ to, k };
}

/* n states, the first of them Exception; density: of 10, how many relations
 * there are; add: also of that kind. Require mostly points back, so that cycles are rare. */
static inline struct am_schema *
random_schema(struct random *r, struct random_schema *rs, unsigned n,
    unsigned density, bool add)
{
	static const struct am_list none = { NULL, 0 };
	struct am_states table = { .name = "r", .row = rs->row, .len = n };

	memset(rs, 0, sizeof(*rs));
	for (unsigned i = 0; i < n; i++) {
		struct am_state *row = &rs->row[i];

		(void)snprintf(rs->name[i], sizeof(rs->name[i]), "S%u", i);
		row->name = i > 0 ? rs->name[i] : "Exception";
		row->multi = i == 0 || draw(r, 5) == 0;
		row->automatic = draw(r, 10) == 0;
		if (draw(r, 10) < density)
			row->require = random_list(r, rs->list[i][0],
			    i > 0 && draw(r, 10) > 0 ? i : n, none);
		if (draw(r, 10) < density && add)
			row->add = random_list(r, rs->list[i][1], n, none);
		if (draw(r, 10) < density)
			row->remove = random_list(r, rs->list[i][2], n,
			    row->require);
		if (draw(r, 10) < density)
			row->after = random_list(r, rs->list[i][3], n, none);
	}
	return am_schema_new(&table, NULL);
}

#endif
