#include "lib/base/text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/utf8.h"

/* Of a well-formed sequence of n bytes. */
static uint32_t
code_point(const char *s, size_t n)
{
	static const unsigned char lead_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)s[0] & lead_bits[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

/* Characters beyond ASCII that a terminal obeys instead of showing them: C1, the
 * direction marks, embeddings, overrides and isolates, line separators. */
static bool
is_control(uint32_t c)
{
	return (c >= 0x80 && c <= 0x9f) || c == 0x061c || c == 0x200e ||
	    c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069);
}

/* One character from s to out. Returns its length in out, and in s. */
static size_t
show_one(char out[TEXT_CHAR_MAX], const char *s, size_t len, size_t *ret_used)
{
	unsigned char c = (unsigned char)s[0];
	size_t n = utf8_len(s, len);

	*ret_used = n > 0 ? n : 1;
	if (n == 0 || (c < ' ' && c != '\t') || c == 0x7f)
		return (size_t)snprintf(out, TEXT_CHAR_MAX, "\\x%02x", c);
	if (n > 1 && is_control(code_point(s, n)))
		return (size_t)snprintf(out, TEXT_CHAR_MAX, "\\u%04x",
		    code_point(s, n) & 0xffff);
	memcpy(out, s, n);
	return n;
}

size_t
text_show(char *out, size_t size, const char *s, size_t len)
{
	char one[TEXT_CHAR_MAX];
	size_t at = 0, used = 0, n, one_used;

	assert(size >= TEXT_CHAR_MAX);
	for (; used < len; used += one_used, at += n) {
		n = show_one(one, s + used, len - used, &one_used);
		if (at + n >= size)
			break;
		memcpy(out + at, one, n);
	}
	out[at] = '\0';
	return used;
}

const char *
text_utf8(char *out, size_t size, const char *s)
{
	size_t len = strlen(s);

	if (utf8_check(s, len) == len)
		return s;
	(void)text_show(out, size, s, len);
	return out;
}

void
text_put(FILE *f, const char *s, size_t len)
{
	char piece[512];

	while (len > 0) {
		size_t n = text_show(piece, sizeof(piece), s, len);

		(void)fputs(piece, f);
		s += n;
		len -= n;
	}
}

void
text_puts(FILE *f, const char *s)
{
	text_put(f, s, strlen(s));
}
