/* cert.h - loads certificates and keys from PEM into an OpenSSL context, and
 * describes certificates. Private to the module. */
#ifndef LIB_TLS_CERT_H
#define LIB_TLS_CERT_H

#include <openssl/ssl.h>

#include "lib/tls/module.h"

void tls_set_text(char buf[TLS_TEXT_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The text of the last entry in OpenSSL's error queue; empties the queue. */
const char *tls_last_reason(void);

/* false with a text in err, which names pem. */
bool cert_use(SSL_CTX *ssl, const struct tls_pem *pem, char err[TLS_TEXT_MAX]);
bool cert_use_key(SSL_CTX *ssl, const struct tls_pem *pem,
    char err[TLS_TEXT_MAX]);
bool cert_use_ca(SSL_CTX *ssl, const struct tls_pem *pem,
    char err[TLS_TEXT_MAX]);

/* Writes "CN=alice,O=Example", truncated to size. Unchanged without memory. */
void cert_subject(X509 *x, char *buf, size_t size);
/* Unchanged if it has none or several, or one that does not fit. */
void cert_common_name(X509 *x, char *buf, size_t size);

#endif
