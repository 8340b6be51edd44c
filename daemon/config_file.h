/* config_file.h - a file of the configuration, and its drop-ins; private to
 * config.c and config_file.c. */
#ifndef DAEMON_CONFIG_FILE_H
#define DAEMON_CONFIG_FILE_H

#include "daemon/config.h"

/* What is wrong goes to e; all that is right is taken. */
void config_file_read(struct config *c, const char *path,
    struct config_errors *e);
/* FILE.d/ *.conf, in the order of their names. */
void config_file_read_drop_ins(struct config *c, const char *file,
    struct config_errors *e);

/* config.c: takes a value if its key is known and it is good: the field, its text
 * and where it came from. */
void config_take(struct config *c, const char *section, const char *key,
    const char *text, const char *origin, struct config_errors *e);

#endif
