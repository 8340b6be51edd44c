/* json_keys.h - the keys of open objects, to find duplicates. */
#ifndef LIB_BASE_JSON_KEYS_H
#define LIB_BASE_JSON_KEYS_H

#include <stddef.h>

struct json_key {
	size_t start; /* offset of its bytes */
	size_t len;
	size_t at; /* where it was read, for messages */
};

enum { JSON_KEYS_FEW = 32 };

/* A stack: the keys of an object are above those of the objects around it. */
struct json_keys {
	size_t n;
	size_t cap;            /* of more */
	struct json_key *more; /* owned; NULL as long as `few` suffices */
	struct json_key few[JSON_KEYS_FEW];
};

void json_keys_init(struct json_keys *k);
void json_keys_done(struct json_keys *k);
/* 0, -ENOMEM. */
int json_keys_push(struct json_keys *k, const struct json_key *key);
/* Pops the keys from n on. Returns the second of two equal ones, valid until
 * the next push, or NULL. Takes O(m log m) for m keys. */
const struct json_key *json_keys_pop(struct json_keys *k, size_t n,
    const char *bytes);

#endif
