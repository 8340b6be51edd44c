/* sized.h - structs of callers that begin with their own size, so that fields
 * can be added at their end. */
#ifndef LIB_BASE_SIZED_H
#define LIB_BASE_SIZED_H

#include <errno.h>
#include <string.h>

enum { SIZED_MAX = 4096 };

/* Copies the caller's struct, which may be an older and shorter one, and zeros
 * the rest. -EINVAL: size is not set; -E2BIG: it sets members that this version
 * does not know. */
static inline int
sized_copy(void *to, size_t to_size, const void *from)
{
	const unsigned char *p = from;
	size_t size;

	memcpy(&size, from, sizeof(size));
	if (size < sizeof(size) || size > SIZED_MAX)
		return -EINVAL;
	for (size_t i = to_size; i < size; i++)
		if (p[i] != 0)
			return -E2BIG;
	memset(to, 0, to_size);
	memcpy(to, from, size < to_size ? size : to_size);
	return 0;
}

#endif
