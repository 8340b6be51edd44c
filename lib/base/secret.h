/* secret.h - compares tokens in constant time, so that the time does not show
 * how much of a guess was right. */
#ifndef LIB_BASE_SECRET_H
#define LIB_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool
secret_equal(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *p = (const uint8_t *)a;
	const volatile uint8_t *q = (const uint8_t *)b;
	uint8_t diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= (uint8_t)(p[i] ^ q[i]);
	return diff == 0;
}

#endif
