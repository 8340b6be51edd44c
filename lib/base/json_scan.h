/* json_scan.h - the state of a JSON scanner; private to json_scan.c and
 * json_string.c. */
#ifndef LIB_BASE_JSON_SCAN_H
#define LIB_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/amnode.h"

struct json_keys;

/* Functions that scan return 0, JSON_E_CUT at the end of a text that is
 * salvaged, -EINVAL with a message, or -ENOMEM. */
struct scan {
	const char *json; /* borrowed */
	size_t len;
	size_t at; /* the next byte */
	unsigned depth;
	unsigned depth_max;
	bool is_salvage;
	bool is_lossy;          /* salvage only: err has the reason */
	struct am_buf *out;     /* borrowed */
	struct am_error *err;   /* borrowed; may be NULL */
	struct json_keys *keys; /* borrowed */
};

/* ---- errors ---- */

/* The text is not JSON. */
int scan_not_json(const struct scan *s, size_t at, const char *what);
/* The text ends within a value. */
int scan_cut(struct scan *s);
/* A value cannot be carried: an error, or the first loss of a salvage, which
 * returns 0. */
int scan_lose(struct scan *s, const char *fmt, ...) AM_PRINTF(2, 3);
/* How many of len bytes at p a message shows; and "..." if not all of them. */
int scan_shown(const char *p, size_t len);
const char *scan_more(size_t len);

/* ---- strings ---- */

struct scan_string {
	size_t start; /* after the opening quote */
	size_t end;   /* the closing quote */
	size_t len;   /* decoded; less than end - start if there are escapes */
	bool is_lost;
};

/* Finds the end of the string at s->at, and moves past it. */
int scan_string_measure(struct scan *s, struct scan_string *ret);
/* Appends a string that is not lost. */
void scan_string_put(const struct scan *s, const struct scan_string *str);

#endif
