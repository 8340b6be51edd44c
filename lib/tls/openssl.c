/* The TLS module: TLS 1.3 on OpenSSL, for both sides of a connection. */
#include "lib/tls/module.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/tls/cert.h"

enum {
	SUBJECT_MAX = TLS_SUBJECT_MAX + 1, /* to notice a truncated one */
	NAME_MAX_LEN = 128,
	CHAIN_DEPTH_MAX = 8,
};

struct tls_ctx {
	unsigned refs; /* its owner and its links */
	SSL_CTX *ssl;
	BIO_METHOD *method;
};

struct tls_link {
	struct tls_ctx *ctx;
	SSL *ssl;
	int fd;
	bool server;
	bool up;          /* the handshake is done */
	bool failed;      /* send nothing more, not even close_notify */
	bool eof;         /* of the socket */
	bool wants_write; /* why the last call returned -EAGAIN */
	int sock_error;   /* errno of the socket in this call; 0: none */
	char subject[SUBJECT_MAX];
	char name[NAME_MAX_LEN];
	char error[TLS_TEXT_MAX];
};

/* ---- the socket ---- */

static int
bio_write(BIO *b, const char *p, int len)
{
	struct tls_link *link = (struct tls_link *)BIO_get_data(b);
	ssize_t n;

	BIO_clear_retry_flags(b);
	do
		n = send(link->fd, p, (size_t)len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (int)n;
	if (errno == EAGAIN)
		BIO_set_retry_write(b);
	else
		link->sock_error = errno;
	return -1;
}

static int
bio_read(BIO *b, char *p, int len)
{
	struct tls_link *link = (struct tls_link *)BIO_get_data(b);
	ssize_t n;

	BIO_clear_retry_flags(b);
	do
		n = recv(link->fd, p, (size_t)len, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (int)n;
	if (n == 0)
		link->eof = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(b);
	else
		link->sock_error = errno;
	return (int)n;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *p)
{
	const struct tls_link *link = (const struct tls_link *)BIO_get_data(b);

	(void)num;
	(void)p;
	if (cmd == BIO_CTRL_FLUSH)
		return 1;
	return cmd == BIO_CTRL_EOF ? link->eof : 0;
}

/* OpenSSL's own BIO would use write(), which raises SIGPIPE. */
static BIO_METHOD *
method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() |
		BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR,
	    "amnode socket");

	if (m != NULL &&
	    (BIO_meth_set_write(m, bio_write) != 1 ||
		BIO_meth_set_read(m, bio_read) != 1 ||
		BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
		BIO_meth_free(m);
		m = NULL;
	}
	return m;
}

/* ---- contexts ---- */

/* Only records the certificate; does not change the verdict. */
static int
on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_link *link = (struct tls_link *)SSL_get_app_data(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(store);

	if (!ok && leaf != NULL)
		cert_subject(leaf, link->subject, sizeof(link->subject));
	return ok;
}

static void
ctx_free(struct tls_ctx *ctx)
{
	if (ctx == NULL || --ctx->refs > 0)
		return;
	SSL_CTX_free(ctx->ssl);
	BIO_meth_free(ctx->method);
	free(ctx);
}

static bool
set_policy(SSL_CTX *ssl)
{
	/* Its buffers may contain tokens. */
	(void)SSL_CTX_set_options(ssl,
	    SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
	(void)SSL_CTX_set_mode(ssl,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* So that records without data cannot block the loop. */
	(void)SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	(void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ssl,
	    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
	SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH_MAX);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_num_tickets(ssl, 0) == 1;
}

static struct tls_ctx *
ctx_new(const struct tls_pem *cert, const struct tls_pem *key,
    const struct tls_pem *ca, char err[TLS_TEXT_MAX])
{
	struct tls_ctx *ctx = (struct tls_ctx *)calloc(1, sizeof(*ctx));
	bool ok;

	ERR_clear_error();
	if (ctx == NULL) {
		tls_set_text(err, "no memory");
		return NULL;
	}
	ctx->refs = 1;
	ctx->ssl = SSL_CTX_new(TLS_method());
	ctx->method = method_new();
	ok = ctx->ssl != NULL && ctx->method != NULL && set_policy(ctx->ssl);
	if (!ok)
		tls_set_text(err, "OpenSSL cannot be set up: %s",
		    tls_last_reason());
	if (ok && cert_use(ctx->ssl, cert, err) &&
	    cert_use_key(ctx->ssl, key, err) && cert_use_ca(ctx->ssl, ca, err))
		return ctx;
	ctx_free(ctx);
	return NULL;
}

/* ---- links ---- */

static void
link_free(struct tls_link *link)
{
	if (link == NULL)
		return;
	ERR_clear_error();
	if (link->up && !link->failed)
		(void)SSL_shutdown(
		    link->ssl); /* one attempt, without waiting */
	ERR_clear_error();
	SSL_free(link->ssl);
	ctx_free(link->ctx);
	free(link);
}

/* Only subjectAltName counts, not the subject. */
static bool
expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	ERR_clear_error();
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
		X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	/* SSL_set_tlsext_host_name() without its missing const: it only
	 * copies. */
	return *host != '\0' && SSL_set1_host(ssl, host) == 1 &&
	    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host) == 1;
}

static bool
link_init(struct tls_link *link, const char *host)
{
	BIO *b;

	link->ssl = SSL_new(link->ctx->ssl);
	b = link->ssl != NULL ? BIO_new(link->ctx->method) : NULL;
	if (b == NULL || SSL_set_app_data(link->ssl, link) != 1) {
		BIO_free(b);
		return false;
	}
	BIO_set_data(b, link);
	BIO_set_init(b, 1);
	SSL_set_bio(link->ssl, b, b);
	if (host == NULL)
		SSL_set_accept_state(link->ssl);
	else
		SSL_set_connect_state(link->ssl);
	return host == NULL || expect_host(link->ssl, host);
}

static struct tls_link *
link_new(struct tls_ctx *ctx, int fd, const char *host)
{
	struct tls_link *link = (struct tls_link *)calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	ERR_clear_error();
	link->ctx = ctx;
	ctx->refs++;
	link->fd = fd;
	link->server = host == NULL;
	if (link_init(link, host))
		return link;
	link_free(link);
	return NULL;
}

/* Whether the alert is about our certificate. */
static bool
is_refusal(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_DECRYPT_ERROR:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return true;
	}
	return false;
}

/* Describes the error to the person who has to repair it. */
static int
explain(struct tls_link *link)
{
	const char *peer = link->server ? "client" : "server";
	unsigned long e = ERR_peek_last_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	int alert = reason - SSL_AD_REASON_OFFSET;
	long verdict = SSL_get_verify_result(link->ssl);

	if (alert > 0) {
		tls_set_text(link->error, "TLS: the %s refused %s: %s", peer,
		    is_refusal(alert) ? "our certificate" : "us",
		    SSL_alert_desc_string_long(alert));
		ERR_clear_error();
		return is_refusal(alert) ? -EACCES : -EPROTO;
	}
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		tls_set_text(link->error, "TLS: the certificate of the %s: %s",
		    peer, X509_verify_cert_error_string(verdict));
	else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		tls_set_text(link->error,
		    "TLS: the %s presented no certificate", peer);
	else if (reason == SSL_R_WRONG_VERSION_NUMBER ||
	    reason == SSL_R_HTTP_REQUEST ||
	    reason == SSL_R_UNSUPPORTED_PROTOCOL ||
	    reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
	    reason == SSL_R_BAD_RECORD_TYPE)
		tls_set_text(link->error,
		    "TLS: the %s does not speak TLS 1.3 here: %s", peer,
		    tls_last_reason());
	else
		tls_set_text(link->error, "TLS: %s", tls_last_reason());
	ERR_clear_error();
	return -EPROTO;
}

/* Clears what earlier calls left: after a failed write the last frames of the
 * peer can still be read. */
static void
begin(struct tls_link *link)
{
	ERR_clear_error();
	link->sock_error = 0;
}

/* r is what the call returned, <= 0. Returns 0 at the end. */
static int
failure(struct tls_link *link, int r)
{
	int e = SSL_get_error(link->ssl, r);

	link->wants_write = e == SSL_ERROR_WANT_WRITE;
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	link->failed = e != SSL_ERROR_ZERO_RETURN;
	if (e == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (e == SSL_ERROR_SSL && !link->eof && link->sock_error == 0)
		return explain(link);
	ERR_clear_error();
	if (link->sock_error != 0)
		return -link->sock_error;
	return link->eof ? 0 : -EPROTO;
}

static int
know_peer(struct tls_link *link)
{
	X509 *x = SSL_get0_peer_certificate(link->ssl);

	/* We asked for it, so this is our own error: refuse. */
	if (x == NULL || SSL_get_verify_result(link->ssl) != X509_V_OK) {
		tls_set_text(link->error, "TLS: no verified certificate");
		return -EPROTO;
	}
	cert_subject(x, link->subject, sizeof(link->subject));
	cert_common_name(x, link->name, sizeof(link->name));
	/* A truncated one could be mistaken for another. */
	if (strlen(link->subject) == sizeof(link->subject) - 1) {
		tls_set_text(link->error,
		    "TLS: the certificate's subject is longer than %d bytes",
		    TLS_SUBJECT_MAX - 1);
		return -EPROTO;
	}
	link->up = true;
	return 0;
}

static int
link_handshake(struct tls_link *link)
{
	int r;

	begin(link);
	r = SSL_do_handshake(link->ssl);
	if (r == 1)
		return know_peer(link);
	r = failure(link, r);
	return r == 0 ? -ECONNRESET : r;
}

static ssize_t
link_recv(struct tls_link *link, void *p, size_t len)
{
	size_t n = 0;
	int r;

	begin(link);
	r = SSL_read_ex(link->ssl, p, len, &n);
	return r == 1 ? (ssize_t)n : failure(link, r);
}

static ssize_t
link_send(struct tls_link *link, const void *p, size_t len)
{
	size_t done = 0;
	size_t n = 0;
	int r;

	/* Write one record after the other until the socket is full. */
	while (done < len) {
		begin(link);
		r = SSL_write_ex(link->ssl, (const char *)p + done, len - done,
		    &n);
		if (r != 1) {
			r = failure(link, r);
			/* In TLS 1.3 a write never waits for the peer. */
			if (r == -EAGAIN && !link->wants_write)
				r = -EPROTO;
			if (r == 0)
				r = -EPIPE;
			return done > 0 && r == -EAGAIN ? (ssize_t)done : r;
		}
		done += n;
	}
	return (ssize_t)done;
}

static bool
link_wants_write(const struct tls_link *link)
{
	return link->wants_write;
}

static bool
link_pending(const struct tls_link *link)
{
	return SSL_pending(link->ssl) > 0;
}

static const char *
link_error(const struct tls_link *link)
{
	return link->error[0] != '\0' ? link->error : "TLS: broken";
}

static const char *
link_subject(const struct tls_link *link)
{
	return link->subject;
}

static const char *
link_common_name(const struct tls_link *link)
{
	return link->name;
}

extern const struct tls_module amnode_tls_module;
__attribute__((visibility("default")))
const struct tls_module amnode_tls_module = {
	.abi = TLS_MODULE_ABI,
	.ctx_new = ctx_new,
	.ctx_free = ctx_free,
	.link_new = link_new,
	.link_free = link_free,
	.handshake = link_handshake,
	.recv = link_recv,
	.send = link_send,
	.wants_write = link_wants_write,
	.pending = link_pending,
	.error = link_error,
	.subject = link_subject,
	.common_name = link_common_name,
};
