#include "cli/names.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

enum { NAME_MAX_LEN = 64, NEAR_MAX = 3 };

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static unsigned
cost(char a, char b)
{
	if (a == b)
		return 0;
	return tolower((unsigned char)a) == tolower((unsigned char)b) ? 1 : 2;
}

/* Optimal string alignment: insert, delete, change, swap of neighbours. A unit
 * here is half a letter. */
unsigned
names_distance(const char *a, const char *b, unsigned max)
{
	unsigned rows[3][NAME_MAX_LEN + 1];
	unsigned *prev2 = rows[0];
	unsigned *prev = rows[1];
	unsigned *cur = rows[2];
	size_t la = strlen(a);
	size_t lb = strlen(b);

	if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN)
		return max + 1;
	for (size_t j = 0; j <= lb; j++)
		prev[j] = (unsigned)(2 * j);
	for (size_t i = 1; i <= la; i++) {
		unsigned *t = prev2;

		cur[0] = (unsigned)(2 * i);
		for (size_t j = 1; j <= lb; j++) {
			cur[j] = min3(prev[j] + 2, cur[j - 1] + 2,
			    prev[j - 1] + cost(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && prev2[j - 2] + 2 < cur[j])
				cur[j] = prev2[j - 2] + 2;
		}
		prev2 = prev;
		prev = cur;
		cur = t;
	}
	la = (prev[lb] + 1) / 2;
	return la > max ? max + 1 : (unsigned)la;
}

static bool
has_prefix(const char *name, const char *prefix)
{
	return strlen(prefix) >= 3 &&
	    strncasecmp(name, prefix, strlen(prefix)) == 0;
}

struct near {
	const char *name;
	unsigned distance;
};

/* Keeps the nearest ones, nearest first; of equals the earlier one. */
static size_t
near_insert(struct near *list, size_t n, struct near new)
{
	size_t at = n;

	while (at > 0 && list[at - 1].distance > new.distance)
		at--;
	if (at == NEAR_MAX)
		return n;
	if (n == NEAR_MAX)
		n--;
	memmove(&list[at + 1], &list[at], (n - at) * sizeof(*list));
	list[at] = new;
	return n + 1;
}

bool
names_near(const struct am_schema *s, const char *name, struct am_buf *out)
{
	struct near list[NEAR_MAX + 1];
	unsigned max = strlen(name) < 4 ? 1 : 1 + (unsigned)strlen(name) / 4;
	size_t n = 0;

	for (size_t i = 0; i < am_schema_len(s); i++) {
		const char *known = am_schema_name(s, (am_id)i);
		unsigned d = names_distance(name, known, max);

		if (d > max && has_prefix(known, name))
			d = max;
		if (d <= max)
			n = near_insert(list, n, (struct near){ known, d });
	}
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s\"%s\"",
		    i == 0           ? ""
			: i + 1 == n ? " or "
				     : ", ",
		    list[i].name);
	return n > 0;
}

static int
no_such_state(struct cli *c, const struct am_schema *s, const char *name)
{
	am_cleanup(buf_donep) struct am_buf near = AM_BUF_INIT;

	if (names_near(s, name, &near))
		return cli_fail(c, EX_MISSING, "no_state",
		    "state \"%.64s\": no such state; did you mean %s?", name,
		    buf_text(&near));
	return cli_fail(c, EX_MISSING, "no_state",
	    "state \"%.64s\": no such state; \"amctl schema\" lists them",
	    name);
}

int
names_one(struct cli *c, const struct am_schema *s, const char *name,
    am_id *ret)
{
	int id = am_schema_id(s, name, strlen(name));

	if (id < 0)
		return no_such_state(c, s, name);
	*ret = (am_id)id;
	return EX_OK;
}

int
names_resolve(struct cli *c, const struct am_schema *s, char *const *names,
    size_t n, am_id *ret)
{
	for (size_t i = 0; i < n; i++) {
		int rc = names_one(c, s, names[i], &ret[i]);

		if (rc != EX_OK)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (ret[j] == ret[i])
				return cli_fail(c, EX_USAGE, "usage",
				    "state \"%s\" is named twice", names[i]);
	}
	return EX_OK;
}
