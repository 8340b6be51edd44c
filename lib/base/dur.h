/* dur.h - durations and sizes as people write them. */
#ifndef LIB_BASE_DUR_H
#define LIB_BASE_DUR_H

#include <stddef.h>
#include <stdint.h>

#define DUR_INF INT64_MAX

/* Parses "500ms", "5s", "1.5m", "1h", "2d" or "inf" (DUR_INF); a bare number is
 * seconds. 0; -EINVAL: not a duration; -ERANGE: over 10,000 days. */
int dur_parse(const char *s, int64_t *ret_ms);
/* Writes the shortest exact form, which dur_parse() reads back: "90s", "500ms",
 * "1h", "inf". */
void dur_format(int64_t ms, char *buf, size_t size);

/* Parses "10M": a number with K, M, G or T, powers of 1,024, and an optional B;
 * a bare number is bytes. 0, -EINVAL, -ERANGE. */
int size_parse(const char *s, uint64_t *ret);

#endif
