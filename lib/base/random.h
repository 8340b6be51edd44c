/* random.h - numbers that nobody guesses. */
#ifndef LIB_BASE_RANDOM_H
#define LIB_BASE_RANDOM_H

#include <stdint.h>
#include <sys/random.h>

/* 63 bits, so that every language can hold it; never 0. */
static inline uint64_t
random_id(void)
{
	uint64_t n = 0;

	/* Up to 256 bytes come whole or not at all, and fail only before the
	 * kernel's pool is ready. */
	while (n == 0) {
		if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
			n = 0;
		n >>= 1;
	}
	return n;
}

#endif
