/* tls.h - a certificate, its key and a CA, for connections that speak TLS.
 *
 * What speaks it is a module, loaded when the first of these is made: from
 * $AMNODE_TLS_MODULE (not in set-user-id programs), else from where it was
 * installed. Nobody else links OpenSSL. */
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
	TLS_CERT, /* ours, with the chain behind it */
	TLS_KEY,
	TLS_CA, /* of those who may be at the other end */
	TLS_N_PARTS,
};

/* One of the three: a file of this name if fd is -1, else the file in fd, which
 * the name describes in messages. Borrowed. */
struct tls_source {
	const char *name;
	int fd;
};

/* Returns new; the key is kept nowhere else. NULL with a sentence in err: the
 * module is missing, a file is bad. */
struct tls *tls_new(const struct tls_source source[TLS_N_PARTS],
    struct am_error *err);
/* Connections that were made with it may live on. NULL is fine. */
struct tls *tls_free(struct tls *tls);

#endif
