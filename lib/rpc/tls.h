/* tls.h - a certificate, its key and a CA, for connections with TLS.
 *
 * TLS itself is in a module, which is loaded when the first of these is made:
 * from $AMNODE_TLS_MODULE (not in set-user-id programs), else from where it was
 * installed. Nothing else links OpenSSL. */
#ifndef LIB_RPC_TLS_H
#define LIB_RPC_TLS_H

#include "lib/amnode.h"

struct tls_module;
struct tls_ctx;

struct tls {
	const struct tls_module *module;
	struct tls_ctx *ctx;
};

enum tls_part {
	TLS_CERT, /* ours, followed by its chain */
	TLS_KEY,
	TLS_CA, /* issues the certificates of valid peers */
	TLS_N_PARTS,
};

/* One of the three: the file with this name if fd is -1, else the file in fd,
 * and the name is for messages. Borrowed. */
struct tls_source {
	const char *name;
	int fd;
};

/* Returns new. The key is kept nowhere else. NULL with a sentence in err if the
 * module is missing or a file is bad. */
struct tls *tls_new(const struct tls_source source[TLS_N_PARTS],
    struct am_error *err);
/* Connections made with it may live on. NULL is allowed. */
struct tls *tls_free(struct tls *tls);

#endif
