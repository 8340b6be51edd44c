#include "lib/rpc/schema_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "proto/mp.h"

enum {
	ROWS_MAX = 1024 * 1024, /* bytes */
	ROW_LEN = 6,
	ROW_AUTO = 1,
	ROW_MULTI = 2,
};

/* The names and ids of all rows are stored one after the other. The encoded
 * bytes limit both: a name has a head, and an id has at least a byte. */
struct arena {
	size_t n_states;
	char *name;
	am_id *id;
};

static int
get_name(struct mp *c, struct arena *a, const char **ret)
{
	const char *text;
	size_t len;

	if (mp_get_str(c, &text, &len) < 0 || len == 0 ||
	    memchr(text, '\0', len) != NULL)
		return -EINVAL;
	memcpy(a->name, text, len);
	a->name[len] = '\0';
	*ret = a->name;
	a->name += len + 1;
	return 0;
}

static int
get_list(struct mp *c, struct arena *a, struct am_list *ret)
{
	uint64_t id;
	uint32_t n;

	if (mp_get_array(c, &n) < 0 || n > a->n_states)
		return -EINVAL;
	*ret = (struct am_list){ .id = a->id, .len = n };
	for (; n > 0; n--) {
		if (mp_get_uint(c, a->n_states - 1, &id) < 0)
			return -EINVAL;
		*a->id++ = (am_id)id;
	}
	return 0;
}

static int
get_row(struct mp *c, struct arena *a, struct am_state *ret)
{
	struct am_state row = { .doc = "" };
	uint64_t flags;
	uint32_t n;

	if (mp_get_array(c, &n) < 0 || n != ROW_LEN ||
	    get_name(c, a, &row.name) < 0 ||
	    mp_get_uint(c, UINT32_MAX, &flags) < 0 ||
	    get_list(c, a, &row.require) < 0 || get_list(c, a, &row.add) < 0 ||
	    get_list(c, a, &row.remove) < 0 || get_list(c, a, &row.after) < 0)
		return -EINVAL;
	row.automatic = (flags & ROW_AUTO) != 0;
	row.multi = (flags & ROW_MULTI) != 0;
	*ret = row;
	return 0;
}

struct am_schema *
schema_wire_decode(struct am_val rows, struct am_error *err)
{
	am_cleanup(am_freep) struct am_state *row = NULL;
	am_cleanup(am_freep) char *names = NULL;
	am_cleanup(am_freep) am_id *ids = NULL;
	struct mp c = mp_of(rows);
	struct arena a;
	uint32_t n;

	if (rows.len > ROWS_MAX || mp_get_array(&c, &n) < 0 || n == 0 ||
	    n > AM_STATES_MAX) {
		(void)snprintf(err->text, sizeof(err->text),
		    "schema: not an array of 1 to %d rows", AM_STATES_MAX);
		return NULL;
	}
	row = calloc(n, sizeof(*row));
	names = malloc(rows.len);
	ids = calloc(rows.len, sizeof(*ids));
	if (row == NULL || names == NULL || ids == NULL) {
		(void)snprintf(err->text, sizeof(err->text), "no memory");
		return NULL;
	}
	a = (struct arena){ .n_states = n, .name = names, .id = ids };
	for (uint32_t i = 0; i < n; i++) {
		if (get_row(&c, &a, &row[i]) < 0) {
			(void)snprintf(err->text, sizeof(err->text),
			    "schema: row %u is malformed", i);
			return NULL;
		}
	}
	return am_schema_new(
	    &(struct am_states){
		.name = "remote",
		.row = row,
		.len = n,
	    },
	    err);
}
