/* utf8.h - well-formed UTF-8, by RFC 3629. */
#ifndef LIB_BASE_UTF8_H
#define LIB_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the well-formed sequence at s, 0 if there is none. avail >
 * 0. */
size_t utf8_len(const char *s, size_t avail);
/* The offset of the first byte that is not well-formed; len if all are. */
size_t utf8_check(const char *s, size_t len);
/* Writes a code point other than a surrogate, up to U+10FFFF, and returns its
 * length, 1 to 4. */
size_t utf8_put(char *to, uint32_t code);
/* How many bytes of s to keep, at most max, so that no sequence is cut. */
size_t utf8_cut(const char *s, size_t len, size_t max);
/* Copies as much of s as fits into size bytes with a NUL; a NUL in s becomes
 * "?". */
void utf8_copy(char *to, size_t size, const char *s, size_t len);

#endif
