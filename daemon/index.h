/* index.h - rows by a number or a name: a hash of chains, embedded in the rows,
 * so that nothing is allocated where a row is added. */
#ifndef DAEMON_INDEX_H
#define DAEMON_INDEX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum { INDEX_CHAINS = 1024 };

struct index_item {
	LIST_ENTRY(index_item) link;
	uint64_t key;
	void *row; /* NULL: in no index */
};

struct index {
	LIST_HEAD(index_chain, index_item) chain[INDEX_CHAINS];
};

static inline struct index_chain *
index_chain(const struct index *x, uint64_t key)
{
	/* Numbers in a row go to chains of their own. */
	return (struct index_chain *)(uintptr_t)&x
	    ->chain[(key ^ key >> 32) % INDEX_CHAINS];
}

static inline void
index_add(struct index *x, struct index_item *it, uint64_t key, void *row)
{
	it->key = key;
	it->row = row;
	LIST_INSERT_HEAD(index_chain(x, key), it, link);
}

/* Idempotent. */
static inline void
index_remove(struct index_item *it)
{
	if (it->row != NULL)
		LIST_REMOVE(it, link);
	it->row = NULL;
}

/* The rows of this key, one after the other: another row may have the same, so
 * compare what the key was made of. */
static inline struct index_item *
index_next(struct index_item *it, uint64_t key)
{
	while (it != NULL && it->key != key)
		it = LIST_NEXT(it, link);
	return it;
}

#define INDEX_FOREACH(it, x, k)                                                \
	for ((it) = index_next(LIST_FIRST(index_chain(x, k)), k);              \
	     (it) != NULL; (it) = index_next(LIST_NEXT(it, link), k))

/* FNV-1a. */
static inline uint64_t
index_key(const char *name)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(1099511628211);
	return h;
}

#endif
