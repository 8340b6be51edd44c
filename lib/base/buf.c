#include "lib/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"

void
buf_append(struct am_buf *b, const void *p, size_t n)
{
	if (n == 0 || am_buf_reserve(b, n) < 0)
		return;
	memcpy(b->data + b->len, p, n);
	b->len += n;
}

void
buf_puts(struct am_buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void
buf_printf(struct am_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (am_buf_reserve(b, 1) < 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= b->cap - b->len) {
		if (am_buf_reserve(b, (size_t)n + 1) < 0)
			return;
		va_start(ap, fmt);
		n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)n;
}

void
buf_consume(struct am_buf *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->len > 0)
		memmove(b->data, b->data + n, b->len);
}

const char *
buf_text(struct am_buf *b)
{
	if (am_buf_reserve(b, 1) < 0)
		return "";
	b->data[b->len] = '\0';
	return b->data;
}

int
error_set(struct am_error *err, const char *fmt, ...)
{
	const size_t max = sizeof(err->text) - 1;
	va_list ap;
	int n;

	if (err == NULL)
		return -EINVAL;
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (n > 0)
		err->text[utf8_cut(err->text, (size_t)n, max)] = '\0';
	return -EINVAL;
}
