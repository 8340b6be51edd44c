/* base64.h - RFC 4648 section 4, with padding. */
#ifndef LIB_BASE_BASE64_H
#define LIB_BASE_BASE64_H

#include <stddef.h>

#include "lib/amnode.h"

void base64_encode(struct am_buf *out, const void *data, size_t len);
/* Appends the bytes. -EINVAL for other characters, wrong padding, or bits
 * beyond the end; some bytes may have been appended then. */
int base64_decode(struct am_buf *out, const char *text, size_t len);

#endif
