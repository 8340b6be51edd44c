/* config_text.h - the text of a configuration file, in systemd's syntax: one
 * pass, no I/O.
 *
 * [Section], Key=Value, comments that begin with # or ;. A backslash at the end
 * of a line stands for a blank, and the next line follows it. */
#ifndef DAEMON_CONFIG_TEXT_H
#define DAEMON_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config/config.h"
#include "lib/amnode.h"

/* Takes every value that is good, and adds a line with path and line number to
 * e for everything that is not. Changes text, which has room for a NUL behind
 * its len bytes. */
void config_text_read(struct config *c, const char *path, char *text,
    size_t len, struct config_errors *e);

/* 0 if the bytes are UTF-8 without control characters other than the tab;
 * otherwise -EINVAL, and err names the first bad byte. */
int config_text_check(const char *s, size_t len, struct am_error *err);
/* Does it end in a backslash that no other one protects? */
bool config_text_goes_on(const char *s, size_t len);

#endif
