#include "daemon/config/config_key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/ids.h"
#include "daemon/config/words.h"
#include "lib/base/dur.h"
#include "lib/base/utf8.h"

enum config_type {
	CONFIG_T_text,
	CONFIG_T_count,
	CONFIG_T_size,
	CONFIG_T_duration,
	CONFIG_T_choice,
	CONFIG_T_words,
	CONFIG_T_users,
	CONFIG_T_groups,
};

struct config_row {
	const char *section;
	const char *key;
	enum config_type type;
	size_t offset;
	int64_t lo;
	int64_t hi;
	const char *choices;
	const char *def;
	const char *help;
};

static const struct config_row rows[CONFIG__COUNT] = {
#define CONF(section_, key_, type_, field_, lo_, hi_, choices_, def_, help_)   \
	[CONFIG_##section_##_##key_] = {                                       \
		.section = #section_,                                          \
		.key = #key_,                                                  \
		.type = CONFIG_T_##type_,                                      \
		.offset = offsetof(struct config, field_),                     \
		.lo = lo_,                                                     \
		.hi = hi_,                                                     \
		.choices = choices_,                                           \
		.def = def_,                                                   \
		.help = help_,                                                 \
	},
#include "daemon/config/config.tbl.h"
#undef CONF
};

static void
field_done(struct config *c, const struct config_row *r)
{
	void *field = (char *)c + r->offset;

	if (r->type == CONFIG_T_text) {
		free(*(char **)field);
		*(char **)field = NULL;
	} else if (r->type == CONFIG_T_words) {
		words_done(field);
	} else if (r->type == CONFIG_T_users || r->type == CONFIG_T_groups) {
		ids_done(field);
	}
}

static int
bounds(const struct config_row *r, const char *origin, int64_t v,
    struct config_errors *e)
{
	const char *unit = r->type == CONFIG_T_duration ? "ms"
	    : r->type == CONFIG_T_count                 ? ""
							: " bytes";

	if (v >= r->lo && v <= r->hi)
		return 0;
	config_complain(e,
	    "%s: %s.%s: out of bounds: it must be from %" PRId64
	    "%s to %" PRId64 "%s",
	    origin, r->section, r->key, r->lo, unit, r->hi, unit);
	return -EINVAL;
}

static int
words_set(struct config *c, const struct config_row *r, const char *text,
    const char *origin, struct config_errors *e)
{
	struct config_words words = { NULL, 0 };
	const char *why = "";
	int n = 0;

	if (*text != '\0' && bounds(r, origin, (int64_t)strlen(text), e) < 0)
		return -EINVAL;
	if (*text != '\0' || r->lo > 0)
		n = words_split(text, &words, &why);
	if (n < 0) {
		config_complain(e, "%s: %s.%s: cannot be split into words: %s",
		    origin, r->section, r->key,
		    n == -ENOMEM ? "no memory" : why);
		return n;
	}
	field_done(c, r);
	*(struct config_words *)(void *)((char *)c + r->offset) = words;
	return 0;
}

static int
ids_set(struct config *c, const struct config_row *r, const char *text,
    const char *origin, struct config_errors *e)
{
	struct config_ids ids = { NULL, 0 };
	struct am_error err = { "no memory" };
	int n = r->type == CONFIG_T_users ? ids_of_users(text, &ids, &err)
					  : ids_of_groups(text, &ids, &err);

	if (n < 0) {
		config_complain(e, "%s: %s.%s: %s", origin, r->section, r->key,
		    err.text);
		return n;
	}
	field_done(c, r);
	*(struct config_ids *)(void *)((char *)c + r->offset) = ids;
	return 0;
}

/* Parses text into the row's field; complains and leaves it alone if it is
 * wrong. */
static int
field_set(struct config *c, const struct config_row *r, const char *text,
    const char *origin, struct config_errors *e)
{
	void *field = (char *)c + r->offset;
	const char *why = "";
	int64_t num = 0;
	char *copy;
	int n;

	switch (r->type) {
	case CONFIG_T_text:
		if (bounds(r, origin, (int64_t)strlen(text), e) < 0)
			return -EINVAL;
		copy = strdup(text);
		if (copy == NULL) {
			config_complain(e, "%s: no memory", origin);
			return -ENOMEM;
		}
		field_done(c, r);
		*(char **)field = copy;
		return 0;
	case CONFIG_T_words:
		return words_set(c, r, text, origin, e);
	case CONFIG_T_users:
	case CONFIG_T_groups:
		return ids_set(c, r, text, origin, e);
	case CONFIG_T_count:
		n = words_count(text, &num);
		why = "a whole number";
		break;
	case CONFIG_T_size:
		n = words_size(text, &num);
		why = "a number of bytes, such as 65536, 64K or 16M";
		break;
	case CONFIG_T_duration:
		n = dur_parse(text, &num);
		why = "a duration such as 500ms, 5s, 1m or 1h";
		break;
	case CONFIG_T_choice:
		n = words_choice(text, r->choices, &num);
		if (n < 0)
			config_complain(e,
			    "%s: %s.%s: \"%.100s\" is none of %s", origin,
			    r->section, r->key, text, r->choices);
		else
			*(int64_t *)field = num;
		return n;
	default:
		abort();
	}
	if (n < 0) {
		config_complain(e, "%s: %s.%s: \"%.100s\" is not %s", origin,
		    r->section, r->key, text, why);
		return n;
	}
	if (bounds(r, origin, num, e) < 0)
		return -EINVAL;
	*(int64_t *)field = num;
	return 0;
}

void
config_take(struct config *c, size_t row, const char *text, const char *origin,
    struct config_errors *e)
{
	struct config_value *v = &c->value[row];
	char *t, *o;

	if (field_set(c, &rows[row], text, origin, e) < 0)
		return;
	t = strdup(text);
	o = strdup(origin);
	if (t == NULL || o == NULL) {
		config_complain(e, "%s: no memory", origin);
		free(t);
		free(o);
		return;
	}
	free(v->text);
	free(v->origin);
	*v = (struct config_value){ t, o };
}

bool
config_has_section(const char *section)
{
	for (size_t i = 0; i < CONFIG__COUNT; i++)
		if (strcmp(rows[i].section, section) == 0)
			return true;
	return false;
}

int
config_find(const char *section, const char *key, const char *origin,
    struct config_errors *e)
{
	for (int i = 0; i < CONFIG__COUNT; i++)
		if (strcmp(rows[i].section, section) == 0 &&
		    strcmp(rows[i].key, key) == 0)
			return i;
	if (config_has_section(section))
		config_complain(e, "%s: %s.%s: unknown key; " CONFIG_HINT,
		    origin, section, key);
	else
		config_complain(e, "%s: [%s]: unknown section; " CONFIG_HINT,
		    origin, section);
	return -1;
}

void
config_take_defaults(struct config *c, struct config_errors *e)
{
	for (size_t i = 0; i < CONFIG__COUNT; i++)
		config_take(c, i, rows[i].def, "default", e);
}

void
config_done(struct config *c)
{
	for (size_t i = 0; i < CONFIG__COUNT; i++) {
		field_done(c, &rows[i]);
		free(c->value[i].text);
		free(c->value[i].origin);
		c->value[i] = (struct config_value){ NULL, NULL };
	}
}

void
config_print(const struct config *c, FILE *out)
{
	const char *section = "";

	for (size_t i = 0; i < CONFIG__COUNT; i++) {
		if (strcmp(section, rows[i].section) != 0) {
			section = rows[i].section;
			(void)fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "",
			    section);
		}
		(void)fprintf(out, "# %s (%s)\n%s=%s\n", rows[i].help,
		    c->value[i].origin, rows[i].key, c->value[i].text);
	}
}
