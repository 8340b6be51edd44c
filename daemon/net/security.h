/* security.h - the [Security] section: the certificate of this amnoded, and what
 * the certificates of clients allow. */
#ifndef DAEMON_NET_SECURITY_H
#define DAEMON_NET_SECURITY_H

#include "daemon/config/config.h"
#include "lib/amnode.h"
#include "lib/rpc/conn.h"
#include "lib/rpc/tls.h"

struct security {
	struct tls *tls; /* owned; NULL: no TLS */
	/* What it was made of, for the workers: sealed, in the order of enum
	 * tls_part; owned. -1 without TLS. */
	int part[TLS_N_PARTS];
};
#define SECURITY_INIT ((struct security){ .part = { -1, -1, -1 } })

/* Reads the three files, once. 0, or -EINVAL with lines in errors. */
int security_open(struct security *ret, const struct config *config,
    struct config_errors *errors);
void security_close(struct security *s); /* idempotent */

/* Is this certificate an administrator's (TLSAdmin=)? */
bool security_is_admin(const struct config *config,
    const struct conn_peer *peer);

#endif
