/* json.h - JSON at the edges: text to MessagePack and back, each in one
 * pass. */
#ifndef LIB_BASE_JSON_H
#define LIB_BASE_JSON_H

#include <stdbool.h>

#include "lib/amnode.h"

/* am_json_decode() and am_json_encode() for a document with n_around levels
 * around values, each of which may have its 32 levels. */
int json_decode(const char *json, size_t len, unsigned n_around,
    struct am_buf *out, struct am_error *err);
int json_encode(struct am_val v, unsigned n_around, struct am_buf *out,
    struct am_error *err);

/* The same, but with at most max bytes of output: -E2BIG before it gets
 * longer. */
int json_encode_most(struct am_val v, unsigned n_around, size_t max,
    struct am_buf *out, struct am_error *err);

enum {
	JSON_E_LOSSY = 1, /* JSON, but a part of it cannot be carried */
	JSON_E_CUT = 2,   /* JSON, but the text ends too early */
};

/* Like json_decode(), but appends what it can: nil for a value that cannot be
 * carried or is cut off, "" for such a key; keys may be duplicates. 0; one of
 * the above with the first reason in err; -EINVAL if it is not JSON at all;
 * -ENOMEM. */
int json_salvage(const char *json, size_t len, unsigned n_around,
    struct am_buf *out, struct am_error *err);

/* Whether it is a character of a string that needs no escape. */
static inline bool
json_is_plain(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 0x20 && u < 0x80 && u != '"' && u != '\\';
}

#endif
