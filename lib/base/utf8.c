#include "lib/base/utf8.h"

#include <string.h>

size_t
utf8_len(const char *s, size_t avail)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1
	    : u[0] < 0xc2      ? 0
	    : u[0] < 0xe0      ? 2
	    : u[0] < 0xf0      ? 3
	    : u[0] < 0xf5      ? 4
			       : 0;

	if (n == 0 || n > avail)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

size_t
utf8_check(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t n = utf8_len(s + i, len - i);

		if (n == 0)
			return i;
		i += n;
	}
	return len;
}

size_t
utf8_put(char *to, uint32_t code)
{
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint32_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; code >>= 6)
		to[i] = (char)(0x80 | (code & 0x3f));
	to[0] = (char)(first[n] | code);
	return n;
}

size_t
utf8_cut(const char *s, size_t len, size_t max)
{
	size_t lead = max;

	if (len <= max)
		return len;
	while (lead > 0 && max - lead < 3 &&
	    ((unsigned char)s[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead > 0 && utf8_len(s + lead - 1, max - (lead - 1)) == 0)
		return lead - 1;
	return max;
}

void
utf8_copy(char *to, size_t size, const char *s, size_t len)
{
	len = utf8_cut(s, len, size - 1);
	for (size_t i = 0; i < len; i++)
		to[i] = s[i] != '\0' ? s[i] : '?';
	to[len] = '\0';
}
