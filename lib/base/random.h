/* random.h - numbers that nobody can guess. */
#ifndef LIB_BASE_RANDOM_H
#define LIB_BASE_RANDOM_H

#include <stdint.h>
#include <sys/random.h>

/* Returns 63 bits, so that every language can hold it; never 0. */
static inline uint64_t
random_id(void)
{
	uint64_t n = 0;

	/* Up to 256 bytes are read whole or not at all; that fails only before
	 * the pool of the kernel is ready. */
	while (n == 0) {
		if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
			n = 0;
		n >>= 1;
	}
	return n;
}

#endif
