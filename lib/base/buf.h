/* buf.h - an am_buf as plain bytes or text. As with am_put_*(), functions do
 * nothing after a failed allocation, and am_buf_error() reports it. */
#ifndef LIB_BASE_BUF_H
#define LIB_BASE_BUF_H

#include "lib/amnode.h"

void buf_append(struct am_buf *b, const void *p, size_t n);
void buf_puts(struct am_buf *b, const char *s);
static inline void
buf_putc(struct am_buf *b, char c)
{
	if (b->len < b->cap || am_buf_reserve(b, 1) == 0)
		b->data[b->len++] = c;
}
void buf_printf(struct am_buf *b, const char *fmt, ...) AM_PRINTF(2, 3);
/* Drops the first n bytes, n <= len. */
void buf_consume(struct am_buf *b, size_t n);
/* Returns the bytes, terminated by a NUL that len does not count; "" if the
 * buffer failed. Valid until the next change. */
const char *buf_text(struct am_buf *b);

/* Sets the text of err, which may be NULL; truncates it. Returns -EINVAL. */
int error_set(struct am_error *err, const char *fmt, ...) AM_PRINTF(2, 3);

/* For am_cleanup(). */
static inline void
buf_donep(struct am_buf *b)
{
	am_buf_done(b);
}

#endif
