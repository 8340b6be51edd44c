/* cleanup.h - scoped ownership: declare at birth, steal on success. */
#ifndef LIB_BASE_CLEANUP_H
#define LIB_BASE_CLEANUP_H

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define am_cleanup(fn) __attribute__((cleanup(fn)))

/* Takes the pointer out of *p, which is NULL afterwards. */
#define am_steal(p)                                                            \
	__extension__({                                                        \
		__typeof__(*(p)) am_stolen_ = *(p);                            \
		*(p) = NULL;                                                   \
		am_stolen_;                                                    \
	})

static inline int
am_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* For am_cleanup(). They ignore a variable that holds nothing. */
static inline void
am_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static inline void
am_closedirp(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d);
	*d = NULL;
}

static inline void
am_freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

#endif
