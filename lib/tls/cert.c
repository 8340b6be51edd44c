#include "lib/tls/cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void
tls_set_text(char buf[TLS_TEXT_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf, TLS_TEXT_MAX, fmt, ap);
	va_end(ap);
}

const char *
tls_last_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = ERR_reason_error_string(e);

	ERR_clear_error();
	return text != NULL ? text : "no reason given";
}

/* The key is encrypted, and there is nobody to ask for the password. */
static int
no_password(char *buf, int size, int rw, void *arg)
{
	(void)buf;
	(void)size;
	(void)rw;
	(void)arg;
	return -1;
}

static BIO *
pem_open(const struct tls_pem *pem)
{
	/* The reader limits it to a megabyte. */
	return BIO_new_mem_buf(pem->data, (int)pem->len);
}

/* The end of the file, or something that is not a certificate. */
static bool
is_pem_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM &&
	    ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

/* The first certificate is ours; those after it lead to the CA. */
bool
cert_use(SSL_CTX *ssl, const struct tls_pem *pem, char err[TLS_TEXT_MAX])
{
	BIO *b = pem_open(pem);
	int n = 0;
	bool ok = b != NULL;
	X509 *x;

	while (ok && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL) {
		if (n++ == 0) {
			ok = SSL_CTX_use_certificate(ssl, x) == 1;
			X509_free(x);
		} else if (SSL_CTX_add0_chain_cert(ssl, x) != 1) {
			X509_free(x);
			ok = false;
		}
	}
	BIO_free(b);
	if (ok && is_pem_end() && n > 0)
		return true;
	tls_set_text(err, "%s: has no valid PEM certificate: %s", pem->name,
	    n == 0 && ok ? "none is in it" : tls_last_reason());
	ERR_clear_error();
	return false;
}

bool
cert_use_key(SSL_CTX *ssl, const struct tls_pem *pem, char err[TLS_TEXT_MAX])
{
	BIO *b = pem_open(pem);
	EVP_PKEY *key = b != NULL
	    ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL)
	    : NULL;
	bool ok = key != NULL;

	BIO_free(b);
	if (!ok)
		tls_set_text(err,
		    "%s: has no PEM private key without a password: %s",
		    pem->name, tls_last_reason());
	else if (SSL_CTX_use_PrivateKey(ssl, key) != 1 ||
	    SSL_CTX_check_private_key(ssl) != 1) {
		tls_set_text(err, "%s: does not match the certificate: %s",
		    pem->name, tls_last_reason());
		ok = false;
	}
	EVP_PKEY_free(key);
	return ok;
}

bool
cert_use_ca(SSL_CTX *ssl, const struct tls_pem *pem, char err[TLS_TEXT_MAX])
{
	X509_STORE *store = X509_STORE_new();
	BIO *b = pem_open(pem);
	bool ok = b != NULL && store != NULL;
	int n = 0;
	X509 *x;

	while (ok && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL) {
		ok = X509_STORE_add_cert(store, x) == 1 &&
		    SSL_CTX_add_client_CA(ssl, x) == 1;
		X509_free(x);
		n++;
	}
	BIO_free(b);
	/* Only these: the CAs of the system are never used. */
	if (store != NULL)
		SSL_CTX_set_cert_store(ssl, store);
	if (ok && is_pem_end() && n > 0)
		return true;
	tls_set_text(err, "%s: has no valid PEM certificates of a CA: %s",
	    pem->name, n == 0 && ok ? "none is in it" : tls_last_reason());
	ERR_clear_error();
	return false;
}

void
cert_subject(X509 *x, char *buf, size_t size)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (b == NULL)
		return;
	if (X509_NAME_print_ex(b, X509_get_subject_name(x), 0,
		XN_FLAG_RFC2253) >= 0) {
		len = BIO_get_mem_data(b, &text);
		(void)snprintf(buf, size, "%.*s", (int)len, text);
	}
	BIO_free(b);
}

/* With several names, none is the right one. */
void
cert_common_name(X509 *x, char *buf, size_t size)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	int len;

	if (at < 0 ||
	    X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return;
	len = ASN1_STRING_to_UTF8(&text,
	    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	/* A name with a NUL in it is a trick. */
	if (len > 0 && (size_t)len < size &&
	    memchr(text, '\0', (size_t)len) == NULL)
		(void)snprintf(buf, size, "%.*s", len, text);
	OPENSSL_free(text);
}
