/* json_scan.h - looks at JSON text before cJSON does, for what cJSON would
 * take and change: digits, NULs, bytes that are no UTF-8, deep nesting. */
#ifndef LIB_BASE_JSON_SCAN_H
#define LIB_BASE_JSON_SCAN_H

#include "lib/amnode.h"

/* 0, or -EINVAL with a message in err (may be NULL) that says at which byte;
 * -ENOMEM. Checks tokens, not grammar: that is left to cJSON. Appends to
 * is_whole a byte for each number in order: 1 if it was written without
 * fraction and exponent. */
int json_scan(const char *json, size_t len, struct am_buf *is_whole,
    struct am_error *err);

/* The length of the well-formed UTF-8 sequence at s, 0 if there is none. */
size_t utf8_len(const char *s, size_t avail);

#endif
