/* config_file.h - the configuration file and its drop-ins; private to config.c
 * and config_file.c. */
#ifndef DAEMON_CONFIG_FILE_H
#define DAEMON_CONFIG_FILE_H

#include "daemon/config/config.h"

/* Takes all that is right; what is wrong, and a file that cannot be read, goes
 * to e. A file that does not exist is wrong only if it must. */
void config_file_read(struct config *c, const char *path, int must_exist,
    struct config_errors *e);
/* FILE.d/ *.conf, in the order of their names. */
void config_file_read_drop_ins(struct config *c, const char *file,
    struct config_errors *e);

#endif
