/* ids.h - users and groups as people name them. */
#ifndef DAEMON_CONFIG_IDS_H
#define DAEMON_CONFIG_IDS_H

#include "daemon/config/config.h"
#include "lib/amnode.h"

/* Names or numbers, with blanks or commas in between; a name must be known to
 * the system now. 0; -EINVAL with a text in err, -ENOMEM likewise. */
int ids_of_users(const char *text, struct config_ids *ret,
    struct am_error *err);
int ids_of_groups(const char *text, struct config_ids *ret,
    struct am_error *err);
void ids_done(struct config_ids *ids);
bool ids_have(const struct config_ids *ids, uint32_t id);

#endif
