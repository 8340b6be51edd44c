#include "daemon/config_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini_configobj.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

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
		int err = 0;

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
		text = ini_get_const_string_config_value(vo, &err);
		config_take(c, section, key,
		    err == 0 && text != NULL ? text : "", origin, e);
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

void
config_file_read(struct config *c, const char *path, struct config_errors *e)
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

void
config_file_read_drop_ins(struct config *c, const char *file,
    struct config_errors *e)
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
			config_file_read(c, path, e);
		else
			path = NULL;
		free(list[i]);
	}
	free(list);
}
