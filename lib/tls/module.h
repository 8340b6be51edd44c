/* module.h - the seam between connections and the TLS module.
 *
 * The module is a shared object that lib/rpc/tls.c loads only if TLS is
 * configured. Only the module uses OpenSSL; it uses nothing of libamnode, and
 * provides nothing but this table. */
#ifndef LIB_TLS_MODULE_H
#define LIB_TLS_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	TLS_MODULE_ABI = 1,
	TLS_TEXT_MAX = 320,
	/* Of a subject, including its NUL: longer ones are refused. */
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

	/* Returns new: a certificate (followed by its chain), its key, and the
	 * CAs that issue the certificates of peers. For both sides. NULL with a
	 * sentence in err. */
	struct tls_ctx *(*ctx_new)(const struct tls_pem *cert,
	    const struct tls_pem *key, const struct tls_pem *ca,
	    char err[TLS_TEXT_MAX]);
	/* Links made from it may live on. */
	void (*ctx_free)(struct tls_ctx *ctx);

	/* Returns new; NULL: no memory. Borrows fd, which is connected and
	 * non-blocking. host is the IP address or name that the certificate of
	 * the peer must have; NULL on the side of the server. */
	struct tls_link *(
	    *link_new)(struct tls_ctx *ctx, int fd, const char *host);
	/* Sends close_notify if that is possible without waiting. */
	void (*link_free)(struct tls_link *link);

	/* These return what was done, or -EAGAIN (see wants_write), -EPROTO (a
	 * TLS error: see error), -EACCES (the peer refused our certificate,
	 * likewise), or -errno of the socket. None raises SIGPIPE. */
	int (*handshake)(struct tls_link *link); /* 0: done */
	/* 0: the end. */
	ssize_t (*recv)(struct tls_link *link, void *p, size_t len);
	/* Writes up to len bytes. After -EAGAIN the same bytes must be passed
	 * again; they may have moved, and more may follow them. */
	ssize_t (*send)(struct tls_link *link, const void *p, size_t len);

	/* After -EAGAIN: whether it waits for room in the socket. */
	bool (*wants_write)(const struct tls_link *link);
	/* Whether it has input that was not read yet, which the socket does not
	 * signal. */
	bool (*pending)(const struct tls_link *link);
	/* After -EPROTO and -EACCES: what was wrong. */
	const char *(*error)(const struct tls_link *link);
	/* The subject of the peer's certificate, accepted or refused; empty if
	 * there is none. RFC 2253: "CN=alice,O=Example". */
	const char *(*subject)(const struct tls_link *link);
	/* Its common name, if it has exactly one; else empty. */
	const char *(*common_name)(const struct tls_link *link);
};

#define TLS_MODULE_SYMBOL "amnode_tls_module"

#endif
