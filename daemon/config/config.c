#include "daemon/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_check.h"
#include "daemon/config/config_file.h"
#include "daemon/config/config_key.h"
#include "daemon/config/config_text.h"
#include "lib/base/cleanup.h"
#include "lib/base/utf8.h"

enum { KIND_MAX = 64 };

int
config_instance_ok(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= CONFIG_INSTANCE_MAX && name[len] == '\0' &&
	    name[0] != '-';
}

/* Trims text in place: blanks at the ends are no part of a value. */
static char *
trim(char *text)
{
	static const char blanks[] = " \t";
	size_t len;

	text += strspn(text, blanks);
	len = strlen(text);
	while (len > 0 && strchr(blanks, text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

/* What a file could not hold is refused here, too. */
static void
set_key(struct config *c, const char *section, const char *key, char *text,
    struct config_errors *e)
{
	struct am_error err;
	int row = config_find(section, key, "--set", e);

	if (row < 0)
		return;
	text = trim(text);
	if (config_text_check(text, strlen(text), &err) < 0)
		config_complain(e, "--set: %s.%s: %s", section, key, err.text);
	else if (config_text_goes_on(text, strlen(text)))
		config_complain(e, "--set: %s.%s: ends in a backslash", section,
		    key);
	else
		config_take(c, (size_t)row, text, "--set", e);
}

static void
read_set(struct config *c, const char *arg, struct config_errors *e)
{
	am_cleanup(am_freep) char *copy = strdup(arg);
	char *dot, *eq;

	if (copy == NULL) {
		config_complain(e, "--set: no memory");
		return;
	}
	dot = strchr(copy, '.');
	eq = strchr(copy, '=');
	if (dot == NULL || eq == NULL || dot > eq) {
		config_complain(e, "--set \"%.100s\": is not Section.Key=value",
		    arg);
		return;
	}
	*dot = '\0';
	*eq = '\0';
	set_key(c, copy, dot + 1, eq + 1, e);
}

/* The program's name without its directory and what follows its last dot. */
static void
name_kind(struct config *c, struct config_errors *e)
{
	const char *program = config_program(c);
	const char *slash = program != NULL ? strrchr(program, '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : program;
	const char *dot = name != NULL ? strrchr(name, '.') : NULL;
	char kind[KIND_MAX + 1] = "worker";
	size_t len = 0, n;

	if (c->kind[0] != '\0')
		return;
	while (name != NULL && (dot == name || name + len != dot) &&
	    (n = utf8_len(name + len, strlen(name + len))) > 0 &&
	    len + n <= KIND_MAX)
		len += n;
	if (len > 0)
		(void)snprintf(kind, sizeof(kind), "%.*s", (int)len, name);
	config_take(c, CONFIG_Supervisor_Kind, kind,
	    c->value[CONFIG_Worker_Exec].origin, e);
}

int
config_load(struct config *ret, const struct config_source *src,
    struct config_errors *errors)
{
	*ret = (struct config){ .pool_min = 0 };
	config_take_defaults(ret, errors);
	if (errors->n > 0)
		return -EINVAL;
	if (src->file != NULL) {
		config_file_read(ret, src->file, src->must_exist, errors);
		config_file_read_drop_ins(ret, src->file, errors);
	}
	for (size_t i = 0; i < src->n_set; i++)
		read_set(ret, src->set[i], errors);
	name_kind(ret, errors);
	config_check_sense(ret, errors);
	return errors->n > 0 ? -EINVAL : 0;
}
