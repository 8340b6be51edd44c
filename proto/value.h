/* value.h - one MessagePack value: the args of a mutation or the data of a
 * payload, with writers and getters. */
#ifndef PROTO_VALUE_H
#define PROTO_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amnode/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One encoded MessagePack value, borrowed. A length of 0 is no value; the
 * getters treat it as an empty map. */
struct am_val {
	const void *data;
	size_t len;
};

/* A growing buffer that owns its bytes; it starts as AM_BUF_INIT. After a
 * failed allocation puts do nothing, am_buf_error() is -ENOMEM, and
 * am_buf_val() returns a value that every function that sends one refuses with
 * -ENOMEM. */
struct am_buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

#ifdef __cplusplus
#define AM_NONE (am_val{ nullptr, 0 })
#define AM_BUF_INIT (am_buf{ nullptr, 0, 0, false })
#else
#define AM_NONE ((struct am_val){ NULL, 0 })
#define AM_BUF_INIT ((struct am_buf){ NULL, 0, 0, false })
#endif

AM_API void am_buf_done(struct am_buf *b);  /* idempotent */
AM_API void am_buf_reset(struct am_buf *b); /* empty, keeps the memory */
/* Makes room for n more bytes; 0 or -ENOMEM. */
AM_API int am_buf_reserve(struct am_buf *b, size_t n);
AM_API int am_buf_error(const struct am_buf *b);
AM_API struct am_val am_buf_val(const struct am_buf *b); /* borrows from b */

/* Writers. A map of n pairs is am_put_map(b, n), then n times a key and a
 * value. */
AM_API void am_put_nil(struct am_buf *b);
AM_API void am_put_bool(struct am_buf *b, bool v);
AM_API void am_put_int(struct am_buf *b, int64_t v);
AM_API void am_put_uint(struct am_buf *b, uint64_t v);
AM_API void am_put_double(struct am_buf *b, double v);
AM_API void am_put_str(struct am_buf *b, const char *s); /* NULL puts nil */
AM_API void am_put_strn(struct am_buf *b, const char *s, size_t len);
AM_API void am_put_bin(struct am_buf *b, const void *p, size_t len);
AM_API void am_put_array(struct am_buf *b, size_t n);
AM_API void am_put_map(struct am_buf *b, size_t n);
AM_API void am_put_val(struct am_buf *b, struct am_val v); /* none puts nil */

/* Checks a value like every function that sends one. -EINVAL: it is not exactly
 * one well-formed value, or is nested deeper than 32 levels ([[1]] has 2);
 * -E2BIG: it has more than max bytes; -ENOMEM: it comes from a buffer that ran
 * out of memory. A length of 0 is allowed. */
AM_API int am_val_check(struct am_val v, size_t max);
/* Checks args: no value, or a map whose keys are different strings (-EINVAL),
 * at most 1,024 of them (-E2BIG). Nested maps are not checked for that. */
enum { AM_ARGS_MAX = 1024 };
AM_API int am_args_check(struct am_val args, size_t max);

/* Getters for a key of a map. -ENOENT: no such key, or no map; -EINVAL: the
 * value has another type; -ERANGE: it does not fit. *ret is unchanged unless
 * they return 0. Strings are borrowed from the value and not terminated. */
AM_API int am_get(struct am_val map, const char *key, struct am_val *ret);
AM_API int am_get_bool(struct am_val map, const char *key, bool *ret);
AM_API int am_get_int(struct am_val map, const char *key, int64_t *ret);
AM_API int am_get_double(struct am_val map, const char *key, double *ret);
AM_API int am_get_str(struct am_val map, const char *key, const char **ret,
    size_t *ret_len);
AM_API int am_get_bin(struct am_val map, const char *key, const void **ret,
    size_t *ret_len);
/* Copies a string into buf of size bytes and terminates it. -ERANGE if it does
 * not fit or contains a NUL. */
AM_API int am_get_text(struct am_val map, const char *key, char *buf,
    size_t size);

#ifdef __cplusplus
}
#endif

#endif
