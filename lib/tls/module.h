/* module.h - the seam between connections and the TLS module.
 *
 * The module is a shared object which is loaded by lib/rpc/tls.c where TLS is
 * configured, and only there. It alone knows OpenSSL; it needs nothing of
 * libamnode and gives nothing but this table. */
#ifndef LIB_TLS_MODULE_H
#define LIB_TLS_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	TLS_MODULE_ABI = 1,
	TLS_TEXT_MAX = 320,
	/* Of a subject, with its end: a longer one is not let in. */
	TLS_SUBJECT_MAX = 511,
};

/* A file in memory; name is for messages. Borrowed. */
struct tls_pem {
	const char *name;
	const char *data;
	size_t len;
};

struct tls_ctx;
struct tls_link;

struct tls_module {
	unsigned abi; /* TLS_MODULE_ABI */

	/* Returns new: a certificate (with the chain behind it), its key and
	 * the certificates that peers' have to come from. For both sides. NULL
	 * with a sentence in err. */
	struct tls_ctx *(*ctx_new)(const struct tls_pem *cert,
	    const struct tls_pem *key, const struct tls_pem *ca,
	    char err[TLS_TEXT_MAX]);
	/* Links that were made of it may live on. */
	void (*ctx_free)(struct tls_ctx *ctx);

	/* Returns new; borrows fd, which is connected and non-blocking. host:
	 * whom the peer's certificate must name, an IP address or a name; NULL:
	 * the side of the server. NULL: no memory. */
	struct tls_link *(
	    *link_new)(struct tls_ctx *ctx, int fd, const char *host);
	/* Says close_notify as far as that works without waiting. */
	void (*link_free)(struct tls_link *link);

	/* Each: what was done, or -EAGAIN (see wants_write), -EPROTO (TLS
	 * itself: see error), -EACCES (the peer refused our certificate,
	 * likewise), or -errno of the socket. None raises SIGPIPE. */
	int (*handshake)(struct tls_link *link); /* 0: done */
	/* 0: the end. */
	ssize_t (*recv)(struct tls_link *link, void *p, size_t len);
	/* Up to len; after -EAGAIN the same bytes must come again, wherever
	 * they lie by then and with more behind them. */
	ssize_t (*send)(struct tls_link *link, const void *p, size_t len);

	/* After -EAGAIN: is it the socket's room that is waited for? */
	bool (*wants_write)(const struct tls_link *link);
	/* Was more received than was given out? The socket does not tell. */
	bool (*pending)(const struct tls_link *link);
	/* After -EPROTO and -EACCES: what was wrong, terminated. */
	const char *(*error)(const struct tls_link *link);
	/* Of the peer's certificate, or of the one that was refused; empty if
	 * there is none. RFC 2253: "CN=alice,O=Example". */
	const char *(*subject)(const struct tls_link *link);
	/* Its common name, if it has exactly one; else empty. */
	const char *(*common_name)(const struct tls_link *link);
};

#define TLS_MODULE_SYMBOL "amnode_tls_module"

#endif
