/* schema.h - a state schema as plain data: one row per state. */
#ifndef PROTO_SCHEMA_H
#define PROTO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The position of a state in its schema. The order of a table is ABI: ids are
 * sent over the wire. */
typedef uint16_t am_id;

enum { AM_STATES_MAX = 1024 };

struct am_list {
	const am_id *id;
	size_t len;
};

/* One row. `doc` begins with "pulse: " (the state ends in the drain in which it
 * begins) or "level: " (it stays until something ends it). */
struct am_state {
	const char *name;
	const char *doc;
	bool automatic;
	bool multi;
	struct am_list require;
	struct am_list add;
	struct am_list remove;
	struct am_list after;
};

/* States that belong together under a name: am_switch(). */
struct am_group {
	const char *name;
	struct am_list states;
};

/* A table of rows, usually made from a .tbl.h file. am_schema_new() compiles
 * it. */
struct am_states {
	const char *name;
	const struct am_state *row;
	size_t len;
	const struct am_group *group; /* may be NULL */
	size_t n_groups;
};

/* A table of an array of rows: static const struct am_states states =
 * AM_STATES("lamp", rows); */
#define AM_STATES(name_, rows)                                                 \
	{                                                                      \
		.name = (name_), .row = (rows),                                \
		.len = sizeof(rows) / sizeof((rows)[0]),                       \
	}

/* AM_LIST(Sup_, Start, Ready): a relation of up to 12 states. The prefix is
 * pasted to each name, so a misspelt state does not compile. */
#define AM_LIST(pfx, ...)                                                      \
	{                                                                      \
		.id = (const am_id[]){ AM_EACH(pfx, __VA_ARGS__) },            \
		.len = sizeof((const am_id[]){ AM_EACH(pfx, __VA_ARGS__) }) /  \
		    sizeof(am_id),                                             \
	}
#define AM_CAT(a, b) AM_CAT_(a, b)
#define AM_CAT_(a, b) a##b
#define AM_NARG(...)                                                           \
	AM_NARG_(__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define AM_NARG_(a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
#define AM_EACH(pfx, ...)                                                      \
	AM_CAT(AM_EACH_, AM_NARG(__VA_ARGS__))(pfx, __VA_ARGS__)
#define AM_EACH_1(p, a) p##a
#define AM_EACH_2(p, a, ...) p##a, AM_EACH_1(p, __VA_ARGS__)
#define AM_EACH_3(p, a, ...) p##a, AM_EACH_2(p, __VA_ARGS__)
#define AM_EACH_4(p, a, ...) p##a, AM_EACH_3(p, __VA_ARGS__)
#define AM_EACH_5(p, a, ...) p##a, AM_EACH_4(p, __VA_ARGS__)
#define AM_EACH_6(p, a, ...) p##a, AM_EACH_5(p, __VA_ARGS__)
#define AM_EACH_7(p, a, ...) p##a, AM_EACH_6(p, __VA_ARGS__)
#define AM_EACH_8(p, a, ...) p##a, AM_EACH_7(p, __VA_ARGS__)
#define AM_EACH_9(p, a, ...) p##a, AM_EACH_8(p, __VA_ARGS__)
#define AM_EACH_10(p, a, ...) p##a, AM_EACH_9(p, __VA_ARGS__)
#define AM_EACH_11(p, a, ...) p##a, AM_EACH_10(p, __VA_ARGS__)
#define AM_EACH_12(p, a, ...) p##a, AM_EACH_11(p, __VA_ARGS__)

#endif
