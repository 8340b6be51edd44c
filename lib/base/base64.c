#include "lib/base/base64.h"

#include <errno.h>
#include <stdint.h>

#include "lib/base/buf.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct am_buf *out, const void *data, size_t len)
{
	const uint8_t *p = (const uint8_t *)data;

	if (am_buf_reserve(out, (len + 2) / 3 * 4) < 0)
		return;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;

		v |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= n > 2 ? p[i + 2] : 0;
		buf_putc(out, alphabet[v >> 18]);
		buf_putc(out, alphabet[v >> 12 & 63]);
		buf_putc(out, n > 1 ? alphabet[v >> 6 & 63] : '=');
		buf_putc(out, n > 2 ? alphabet[v & 63] : '=');
	}
}

static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -EINVAL;
}

int
base64_decode(struct am_buf *out, const char *text, size_t len)
{
	uint32_t v = 0;
	unsigned bits = 0;

	if (len % 4 != 0)
		return -EINVAL;
	if (len > 0 && text[len - 1] == '=')
		len -= text[len - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < len; i++) {
		int six = sextet(text[i]);

		if (six < 0)
			return six;
		v = (v << 6 | (uint32_t)six) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_putc(out, (char)(v >> bits & 0xff));
		}
	}
	if ((v & ((1U << bits) - 1)) != 0)
		return -EINVAL;
	return am_buf_error(out);
}
