/* config_check.h - what a configuration means beyond each single value. */
#ifndef DAEMON_CONFIG_CHECK_H
#define DAEMON_CONFIG_CHECK_H

#include <stdbool.h>

#include "daemon/config/config.h"
#include "lib/rpc/addr.h"

/* Values that contradict each other. */
void config_check_sense(const struct config *c, struct config_errors *e);
/* What would keep amnoded, or its workers, from starting here and now: names that
 * do not resolve, directories and programs that are not there. Blocks. */
void config_check_start(const struct config *c, const char *instance,
    struct config_errors *e);

/* May clients be offered this address? It is resolved. 0, or -EINVAL with the
 * reason in err. */
int config_check_listen(const struct addr *a, bool tls, struct am_error *err);

/* The program that does the work: the one behind amnode-exec, otherwise the first
 * word of Exec=. Borrowed; NULL if there is none. */
const char *config_program(const struct config *c);

#endif
