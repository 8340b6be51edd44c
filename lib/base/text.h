/* text.h - text that others wrote, made fit for terminals and logs. */
#ifndef LIB_BASE_TEXT_H
#define LIB_BASE_TEXT_H

#include <stddef.h>
#include <stdio.h>

enum {
	/* Room in which any single character fits, and the NUL. */
	TEXT_CHAR_MAX = 8,
	/* A byte becomes at most so many. */
	TEXT_ESCAPED_MAX = 4,
};

/* Copies s to out and adds a NUL; size >= TEXT_CHAR_MAX. What could steer a
 * terminal or forge a line is written as an escape: control characters but the
 * tab, and bytes that are not UTF-8, as \xNN; C1, direction marks and line
 * separators as \uNNNN. Returns how many bytes of s were copied: fewer than len
 * if out is full. */
size_t text_show(char *out, size_t size, const char *s, size_t len);
/* s if it is UTF-8, which the decoders of others may insist on; else out with
 * what text_show() writes. */
const char *text_utf8(char *out, size_t size, const char *s);
/* Like text_show(), to a stream. */
void text_put(FILE *f, const char *s, size_t len);
void text_puts(FILE *f, const char *s);

#endif
