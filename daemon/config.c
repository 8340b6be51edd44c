#include "daemon/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini_configobj.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ids.h"
#include "daemon/words.h"
#include "lib/base/cleanup.h"
#include "lib/base/dur.h"

enum config_type {
	CONFIG_T_text,
	CONFIG_T_count,
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
#include "daemon/config.tbl.h"
#undef CONF
};

void
config_complain(struct config_errors *e, const char *fmt, ...)
{
	va_list ap;

	if (e->n == CONFIG_ERRORS_MAX) {
		e->lost++;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&e->line[e->n], fmt, ap) >= 0)
		e->n++;
	else
		e->lost++;
	va_end(ap);
}

void
config_errors_done(struct config_errors *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->line[i]);
	*e = (struct config_errors){ .n = 0 };
}

int
config_instance_ok(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= CONFIG_INSTANCE_MAX && name[len] == '\0' &&
	    name[0] != '-';
}

/* ---- values ---- */

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
	    : r->type == CONFIG_T_text || r->type == CONFIG_T_words
	    ? " bytes"
	    : "";

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
		if (copy == NULL)
			return -ENOMEM;
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

/* Takes the value if it is good: the field, its text and where it came from. */
static void
take(struct config *c, size_t key, const char *text, const char *origin,
    struct config_errors *e)
{
	struct config_value *v = &c->value[key];
	char *t, *o;

	if (field_set(c, &rows[key], text, origin, e) < 0)
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

/* The key's row, or -1 after complaining. */
static int
find(const char *section, const char *key, const char *origin,
    struct config_errors *e)
{
	bool known = false;

	for (int i = 0; i < CONFIG__COUNT; i++) {
		if (strcmp(rows[i].section, section) != 0)
			continue;
		known = true;
		if (strcmp(rows[i].key, key) == 0)
			return i;
	}
	if (known)
		config_complain(e,
		    "%s: %s.%s: unknown key; \"amnoded --print-config\" lists "
		    "them all",
		    origin, section, key);
	else
		config_complain(e,
		    "%s: [%s]: unknown section; \"amnoded --print-config\" "
		    "lists them all",
		    origin, section);
	return -1;
}

/* ---- one file ---- */

static char *
slurp(const char *path, size_t *ret_len, struct config_errors *e)
{
	am_cleanup(am_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	am_cleanup(am_freep) char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		config_complain(e, "%s: cannot be read: %s", path,
		    strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > CONFIG_FILE_MAX) {
		config_complain(e, "%s: is no regular file of at most 1 MiB",
		    path);
		return NULL;
	}
	text = calloc(1, (size_t)st.st_size + 1);
	if (text == NULL) {
		config_complain(e, "%s: no memory", path);
		return NULL;
	}
	while (len < (size_t)st.st_size) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		if (n < 0) {
			config_complain(e, "%s: cannot be read: %s", path,
			    strerror(errno));
			return NULL;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (memchr(text, '\0', len) != NULL) {
		config_complain(e,
		    "%s: has a NUL byte in it: is it a text file?", path);
		return NULL;
	}
	*ret_len = len;
	return am_steal(&text);
}

/* The library drops keys before the first section silently, so they are found
 * here. Only their lines are looked at. */
static void
find_homeless(const char *path, const char *text, struct config_errors *e)
{
	unsigned line = 1;

	for (const char *p = text; *p != '\0'; line++) {
		size_t len = strcspn(p, "\n");
		size_t blank = strspn(p, " \t\r");

		if (blank < len && p[blank] == '[')
			return;
		if (blank < len && p[blank] != '#' && p[blank] != ';')
			config_complain(e, "%s:%u: stands before any [Section]",
			    path, line);
		p += len + (p[len] == '\n');
	}
}

/* Replaces a line that does not parse by a comment, so that the others are
 * still heard. */
static void
mute_line(char *text, unsigned line)
{
	char *p = text;

	while (--line > 0) {
		p = strchr(p, '\n');
		if (p == NULL)
			return;
		p++;
	}
	memset(p, '#', strcspn(p, "\n"));
}

static struct ini_cfgobj *
parse(char *text, size_t len, const char *path, struct config_errors *e)
{
	struct ini_cfgobj *ini = NULL;
	struct ini_cfgfile *file = NULL;
	char **errors = NULL;
	unsigned line;
	int kind, at = 0;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (ini_config_create(&ini) != 0)
			break;
		if (ini_config_file_from_mem(text, (uint32_t)len, &file) != 0)
			break;
		(void)ini_config_parse(file, INI_STOP_ON_NONE,
		    INI_MV1S_ALLOW | INI_MV2S_ALLOW | INI_MS_MERGE,
		    INI_PARSE_NOWRAP | INI_PARSE_NO_C_COMMENTS, ini);
		ini_config_file_destroy(file);
		file = NULL;
		if (ini_config_error_count(ini) == 0 ||
		    ini_config_get_errors(ini, &errors) != 0)
			return ini;
		for (char **p = errors; *p != NULL; p++) {
			if (sscanf(*p, "%*s (%d) on line %u: %n", &kind, &line,
				&at) < 2)
				continue;
			config_complain(e, "%s:%u: %s", path, line, *p + at);
			mute_line(text, line);
		}
		ini_config_free_errors(errors);
		/* With an error the object holds nothing: once more without
		 * the bad lines. */
		ini_config_destroy(ini);
		ini = NULL;
	}
	if (ini != NULL)
		ini_config_destroy(ini);
	return NULL;
}

/* All values of one key: the first is taken, more are duplicates. */
static void
read_key(struct config *c, struct ini_cfgobj *ini, const char *section,
    const char *key, const char *path, struct config_errors *e)
{
	int mode = INI_GET_FIRST_VALUE;
	uint32_t line = 0, first = 0;
	char origin[4200];
	const char *text;

	for (;; mode = INI_GET_NEXT_VALUE) {
		struct value_obj *vo = NULL;
		int row, err = 0;

		if (ini_get_config_valueobj(section, key, ini, mode, &vo) !=
			0 ||
		    vo == NULL)
			return;
		(void)value_get_line(vo, &line);
		(void)snprintf(origin, sizeof(origin), "%s:%" PRIu32, path,
		    line);
		if (mode == INI_GET_NEXT_VALUE) {
			config_complain(e,
			    "%s: %s.%s: is set already on line %" PRIu32,
			    origin, section, key, first);
			continue;
		}
		first = line;
		row = find(section, key, origin, e);
		if (row < 0)
			continue;
		text = ini_get_const_string_config_value(vo, &err);
		take(c, (size_t)row, err == 0 && text != NULL ? text : "",
		    origin, e);
	}
}

/* A key stands in the list as often as it has values. */
static bool
listed_before(char **list, int i)
{
	for (int j = 0; j < i; j++)
		if (strcmp(list[i], list[j]) == 0)
			return true;
	return false;
}

static void
read_file(struct config *c, const char *path, struct config_errors *e)
{
	am_cleanup(am_freep) char *text = NULL;
	struct ini_cfgobj *ini;
	char **sections, **keys;
	int n_sections = 0, n_keys = 0, err = 0;
	size_t len = 0;

	text = slurp(path, &len, e);
	if (text == NULL || len == 0)
		return;
	find_homeless(path, text, e);
	ini = parse(text, len, path, e);
	if (ini == NULL)
		return;
	sections = ini_get_section_list(ini, &n_sections, &err);
	for (int i = 0; sections != NULL && i < n_sections; i++) {
		if (listed_before(sections, i))
			continue;
		keys = ini_get_attribute_list(ini, sections[i], &n_keys, &err);
		for (int j = 0; keys != NULL && j < n_keys; j++)
			if (!listed_before(keys, j))
				read_key(c, ini, sections[i], keys[j], path, e);
		ini_free_attribute_list(keys);
	}
	ini_free_section_list(sections);
	ini_config_destroy(ini);
}

static int
is_drop_in(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 5 &&
	    strcmp(d->d_name + len - 5, ".conf") == 0;
}

static void
read_drop_ins(struct config *c, const char *file, struct config_errors *e)
{
	am_cleanup(am_freep) char *dir = NULL;
	struct dirent **list = NULL;
	int n;

	if (asprintf(&dir, "%s.d", file) < 0) {
		dir = NULL;
		config_complain(e, "%s.d: no memory", file);
		return;
	}
	n = scandir(dir, &list, is_drop_in, alphasort);
	if (n < 0 && errno != ENOENT)
		config_complain(e, "%s: cannot be read: %s", dir,
		    strerror(errno));
	for (int i = 0; i < n; i++) {
		am_cleanup(am_freep) char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, list[i]->d_name) >= 0)
			read_file(c, path, e);
		else
			path = NULL;
		free(list[i]);
	}
	free(list);
}

/* ---- all of it ---- */

static void
read_set(struct config *c, const char *arg, struct config_errors *e)
{
	const char *dot = strchr(arg, '.');
	const char *eq = strchr(arg, '=');
	am_cleanup(am_freep) char *section = NULL;
	am_cleanup(am_freep) char *key = NULL;
	int row;

	if (dot == NULL || eq == NULL || dot > eq) {
		config_complain(e, "--set \"%.100s\": is not Section.Key=value",
		    arg);
		return;
	}
	section = strndup(arg, (size_t)(dot - arg));
	key = strndup(dot + 1, (size_t)(eq - dot - 1));
	if (section == NULL || key == NULL) {
		config_complain(e, "--set: no memory");
		return;
	}
	row = find(section, key, "--set", e);
	if (row >= 0)
		take(c, (size_t)row, eq + 1, "--set", e);
}

/* Over TCP nobody is a user. */
static void
check_allowed(const struct config *c, size_t key, size_t n,
    struct config_errors *e)
{
	if (n > 0 && c->listen[0] != '\0' && strchr(c->listen, '/') == NULL)
		config_complain(e,
		    "%s: %s.%s: users are known on a Unix socket only, and "
		    "Supervisor.Listen is %s (%s)",
		    c->value[key].origin, rows[key].section, rows[key].key,
		    c->listen, c->value[CONFIG_Supervisor_Listen].origin);
}

static void
check_sense(const struct config *c, struct config_errors *e)
{
	check_allowed(c, CONFIG_Security_AllowUser, c->allow_user.n, e);
	check_allowed(c, CONFIG_Security_AllowGroup, c->allow_group.n, e);
	if (c->pool_min > c->pool_max)
		config_complain(e,
		    "%s: Pool.Min: %" PRId64 " is more than Pool.Max, %" PRId64
		    " (%s)",
		    c->value[CONFIG_Pool_Min].origin, c->pool_min, c->pool_max,
		    c->value[CONFIG_Pool_Max].origin);
}

int
config_load(struct config *ret, const struct config_source *src,
    struct config_errors *errors)
{
	*ret = (struct config){ .pool_min = 0 };
	for (size_t i = 0; i < CONFIG__COUNT; i++)
		take(ret, i, rows[i].def, "default", errors);
	if (errors->n > 0)
		return -EINVAL;
	if (src->file != NULL) {
		/* One that cannot be looked for is not missing. */
		if (src->must_exist || access(src->file, F_OK) == 0 ||
		    errno != ENOENT)
			read_file(ret, src->file, errors);
		read_drop_ins(ret, src->file, errors);
	}
	for (size_t i = 0; i < src->n_set; i++)
		read_set(ret, src->set[i], errors);
	check_sense(ret, errors);
	return errors->n > 0 ? -EINVAL : 0;
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
