/* cert.h - certificates and keys: from PEM into a context of OpenSSL, and what is
 * said of one. Private to the module. */
#ifndef LIB_TLS_CERT_H
#define LIB_TLS_CERT_H

#include <openssl/ssl.h>

#include "lib/tls/module.h"

void tls_set_text(char buf[TLS_TEXT_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The last entry of OpenSSL's queue in words; empties it. */
const char *tls_last_reason(void);

/* false with a text in err, which names pem. */
bool cert_use(SSL_CTX *ssl, const struct tls_pem *pem, char err[TLS_TEXT_MAX]);
bool cert_use_key(SSL_CTX *ssl, const struct tls_pem *pem,
    char err[TLS_TEXT_MAX]);
bool cert_use_ca(SSL_CTX *ssl, const struct tls_pem *pem,
    char err[TLS_TEXT_MAX]);

/* "CN=alice,O=Example"; cut to size, and left alone without memory. */
void cert_subject(X509 *x, char *buf, size_t size);
/* Left alone if it has none or several, or one that does not fit. */
void cert_common_name(X509 *x, char *buf, size_t size);

#endif
