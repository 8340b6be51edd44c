/* config.h - amnoded's configuration: files, drop-ins and --set, merged.
 *
 * One table, config.tbl.h, says what there is. Each file is parsed alone, so
 * that every value knows where it came from; then later ones win. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	CONFIG_FILE_MAX = 1024 * 1024,
	CONFIG_ERRORS_MAX = 100,
	CONFIG_INSTANCE_MAX = 32,
};

enum config_on_release {
	ON_RELEASE_KEEP,
	ON_RELEASE_RESET,
	ON_RELEASE_RECYCLE,
};

struct config_words {
	char **word; /* NULL-terminated, owned */
	size_t n;
};

/* Users or groups. */
struct config_ids {
	uint32_t *id; /* owned */
	size_t n;
};

enum config_key {
#define CONF(section, key, ...) CONFIG_##section##_##key,
#include "daemon/config/config.tbl.h"
#undef CONF
	CONFIG__COUNT
};

/* Where a value stands as it was written. */
struct config_value {
	char *text;   /* owned */
	char *origin; /* "FILE:LINE", "--set", "default"; owned */
};

#define CONFIG_C_text char *
#define CONFIG_C_count int64_t
#define CONFIG_C_size int64_t     /* bytes */
#define CONFIG_C_duration int64_t /* ms */
#define CONFIG_C_choice int64_t   /* position in the choices */
#define CONFIG_C_words struct config_words
#define CONFIG_C_users struct config_ids
#define CONFIG_C_groups struct config_ids

struct config {
	struct config_value value[CONFIG__COUNT];
#define CONF(section, key, type, field, ...) CONFIG_C_##type field;
#include "daemon/config/config.tbl.h"
#undef CONF
};

/* What was wrong, each a whole line without a newline. */
struct config_errors {
	char *line[CONFIG_ERRORS_MAX]; /* owned */
	size_t n;
	size_t lost; /* beyond the bound */
};

struct config_source {
	const char *file;       /* NULL: none */
	int must_exist;         /* the user named it */
	const char *const *set; /* "Section.Key=value" */
	size_t n_set;
};

/* Fills *ret from defaults, the file, its drop-ins FILE.d/ *.conf and --set.
 * 0, or -EINVAL with at least one line in errors; *ret must be given to
 * config_done() either way. */
int config_load(struct config *ret, const struct config_source *src,
    struct config_errors *errors);
void config_done(struct config *c);
/* One more line, for those who look closer than the parser. */
void config_complain(struct config_errors *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void config_errors_done(struct config_errors *e);

/* Each key with its value; a comment above it names its origin. What is printed
 * can be read again. */
void config_print(const struct config *c, FILE *out);

/* Is it [a-z0-9][a-z0-9-]{0,31}? */
int config_instance_ok(const char *name);

#endif
