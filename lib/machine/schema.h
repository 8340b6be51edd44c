/* schema.h - a compiled schema. */
#ifndef LIB_MACHINE_SCHEMA_H
#define LIB_MACHINE_SCHEMA_H

#include "lib/amnode.h"
#include "proto/bits.h"

enum {
	NO_RANK = UINT16_MAX,
	SET_WORDS_MAX = AM_STATES_MAX / 64,
};

/* A set of states on the stack; only the first nw words are used. */
struct set {
	uint64_t w[SET_WORDS_MAX];
};

/* for (SET_EACH(id, words, nw)): its states in ascending order. */
#define SET_EACH(id, s, nw)                                                    \
	size_t id = bits_next(s, nw, 0);                                       \
	id < (size_t)(nw)*64;                                                  \
	id = bits_next(s, nw, id + 1)

/* One row per state, nw words per field; plan.c reads the first ones. */
enum schema_field {
	F_NEED,  /* requires or adds, apart from itself */
	F_BAR,   /* removes or is removed by, or comes after, either way */
	F_HELD,  /* is required by, or added by these multi states */
	F_REQ,   /* requires */
	F_ADD,   /* adds */
	F_AFTX,  /* after, either way */
	F_REM,   /* removes */
	F_REMBY, /* is removed by */
	F_LESS,  /* sorts before: after-by without after */
	F__COUNT
};

struct handler_table;

struct am_schema {
	int refs;
	uint16_t len;
	uint16_t nw; /* words of a set */
	uint16_t n_auto;
	am_id exception;
	bool exception_given; /* not appended here */
	int handler_timeout;  /* id of ErrHandlerTimeout or -1 */
	int cycle; /* a state that requires itself indirectly, or -1 */
	uint64_t hash;
	struct am_state *row; /* as given, with Exception */
	char **name;         /* owned; row[].name and row[].doc point to them */
	am_id *list;         /* owned; the relations of row[] point into it */
	struct am_list *add; /* cleaned, in order */
	uint64_t *rel;       /* [len][F__COUNT][nw] */
	uint16_t *rank;      /* position in the Require topology or NO_RANK */
	am_id *byrank;       /* the other way */
	uint64_t *sets;      /* owned; the next members point into it */
	uint64_t *multi;
	uint64_t *automatic;
	uint64_t *has_add;
	uint64_t *has_req;
	uint64_t *removable; /* some other state removes it */
	uint64_t *has_after; /* in a pair of after, either way */
	uint64_t *ranked;
	uint64_t *health;       /* Healthcheck, Heartbeat */
	am_id *by_name;         /* ids sorted by name */
	struct am_group *group; /* owned, with names and lists */
	size_t n_groups;
	struct handler_table *tables; /* compiled, shared by the machines */
};

static inline const uint64_t *
schema_rel(const struct am_schema *s, size_t id, enum schema_field f)
{
	return s->rel + (id * F__COUNT + f) * s->nw;
}

/* am_schema_new(). Without `strict` a state may require what it removes, so
 * that it can never be active, as in some recorded cases. */
struct am_schema *schema_compile(const struct am_states *states, bool strict,
    struct am_error *err);

/* schema_name.c: whether this is a valid name of a state or group. */
bool schema_name_ok(const char *name);
enum { SCHEMA_NAME_MAX = 128 };

/* schema_group.c: checks and copies groups; frees them, even half built. */
int schema_copy_groups(struct am_schema *s, const struct am_states *st,
    struct am_error *err);
void schema_free_groups(struct am_schema *s);

#endif
