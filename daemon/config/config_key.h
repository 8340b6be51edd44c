/* config_key.h - the table of keys, for those that read values: config_text.c and
 * config.c. */
#ifndef DAEMON_CONFIG_KEY_H
#define DAEMON_CONFIG_KEY_H

#include <stdbool.h>

#include "daemon/config/config.h"

#define CONFIG_HINT "\"amnoded --print-config\" lists them all"

bool config_has_section(const char *section);
/* The key's row, or -1 after complaining. */
int config_find(const char *section, const char *key, const char *origin,
    struct config_errors *e);
/* Takes a value if it is good: the field, its text and where it came from. */
void config_take(struct config *c, size_t row, const char *text,
    const char *origin, struct config_errors *e);
/* Each key's default. */
void config_take_defaults(struct config *c, struct config_errors *e);

#endif
