/* Names of states and groups, and lookups by name. */
#include <errno.h>
#include <string.h>

#include "lib/machine/schema.h"

bool
schema_name_ok(const char *name)
{
	size_t len = 0;

	for (; name[len] != '\0'; len++) {
		char c = name[len];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool digit = (c >= '0' && c <= '9') || c == '_';

		if (!letter && !(digit && len > 0))
			return false;
	}
	return len > 0 && len <= SCHEMA_NAME_MAX;
}

size_t
am_schema_len(const struct am_schema *s)
{
	return s->len;
}

const char *
am_schema_name(const struct am_schema *s, am_id id)
{
	return id < s->len ? s->row[id].name : NULL;
}

const struct am_state *
am_schema_state(const struct am_schema *s, am_id id)
{
	return id < s->len ? &s->row[id] : NULL;
}

int
am_schema_id(const struct am_schema *s, const char *name, size_t len)
{
	size_t lo = 0, hi = s->len;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const char *have = s->row[s->by_name[mid]].name;
		size_t have_len = strlen(have);
		int c = memcmp(have, name, have_len < len ? have_len : len);

		if (c == 0 && have_len == len)
			return s->by_name[mid];
		if (c == 0)
			c = have_len < len ? -1 : 1;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -ENOENT;
}
