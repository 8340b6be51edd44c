#include "proto/value.h"

#include <errno.h>
#include <msgpack/pack.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mp.h"

enum { BUF_MIN = 64 };

void
am_buf_done(struct am_buf *b)
{
	free(b->data);
	*b = AM_BUF_INIT;
}

void
am_buf_reset(struct am_buf *b)
{
	b->len = 0;
	b->failed = false;
}

int
am_buf_reserve(struct am_buf *b, size_t n)
{
	size_t cap = b->cap < BUF_MIN ? BUF_MIN : b->cap;
	char *data;

	if (b->failed)
		return -ENOMEM;
	if (b->cap - b->len >= n)
		return 0;
	while (cap - b->len < n && cap <= SIZE_MAX / 2)
		cap *= 2;
	data = cap - b->len < n ? NULL : realloc(b->data, cap);
	if (data == NULL) {
		b->failed = true;
		return -ENOMEM;
	}
	b->data = data;
	b->cap = cap;
	return 0;
}

int
am_buf_error(const struct am_buf *b)
{
	return b->failed ? -ENOMEM : 0;
}

/* Its address marks the value of a failed buffer. */
static const char failed_buf[1];

bool
am_val_is_failed(struct am_val v)
{
	return v.data == failed_buf;
}

struct am_val
am_buf_val(const struct am_buf *b)
{
	if (b->failed)
		return (struct am_val){ failed_buf, 0 };
	if (b->len == 0)
		return AM_NONE;
	return (struct am_val){ b->data, b->len };
}

/* Where the packer writes. */
static int
pack_write(void *data, const char *p, size_t n)
{
	struct am_buf *b = (struct am_buf *)data;

	if (am_buf_reserve(b, n) < 0)
		return -1;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	return 0;
}

static inline msgpack_packer
packer(struct am_buf *b)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, b, pack_write);
	return pk;
}

void
am_put_nil(struct am_buf *b)
{
	msgpack_packer pk = packer(b);

	(void)msgpack_pack_nil(&pk);
}

void
am_put_bool(struct am_buf *b, bool v)
{
	msgpack_packer pk = packer(b);

	(void)(v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

void
am_put_int(struct am_buf *b, int64_t v)
{
	msgpack_packer pk = packer(b);

	(void)msgpack_pack_int64(&pk, v);
}

void
am_put_uint(struct am_buf *b, uint64_t v)
{
	msgpack_packer pk = packer(b);

	(void)msgpack_pack_uint64(&pk, v);
}

void
am_put_double(struct am_buf *b, double v)
{
	msgpack_packer pk = packer(b);

	(void)msgpack_pack_double(&pk, v);
}

void
am_put_str(struct am_buf *b, const char *s)
{
	if (s == NULL)
		am_put_nil(b);
	else
		am_put_strn(b, s, strlen(s));
}

/* A count that MessagePack cannot express is beyond every limit: treated as out
 * of memory. */
static bool
is_countable(struct am_buf *b, size_t n)
{
	if (n > UINT32_MAX)
		b->failed = true;
	return n <= UINT32_MAX;
}

void
am_put_strn(struct am_buf *b, const char *s, size_t len)
{
	msgpack_packer pk = packer(b);

	if (is_countable(b, len) && msgpack_pack_str(&pk, len) == 0)
		(void)pack_write(b, s, len);
}

void
am_put_bin(struct am_buf *b, const void *p, size_t len)
{
	msgpack_packer pk = packer(b);

	if (is_countable(b, len) && msgpack_pack_bin(&pk, len) == 0)
		(void)pack_write(b, (const char *)p, len);
}

void
am_put_array(struct am_buf *b, size_t n)
{
	msgpack_packer pk = packer(b);

	if (is_countable(b, n))
		(void)msgpack_pack_array(&pk, n);
}

void
am_put_map(struct am_buf *b, size_t n)
{
	msgpack_packer pk = packer(b);

	if (is_countable(b, n))
		(void)msgpack_pack_map(&pk, n);
}

void
am_put_val(struct am_buf *b, struct am_val v)
{
	if (am_val_is_failed(v))
		b->failed = true;
	else if (v.len == 0)
		am_put_nil(b);
	else
		(void)pack_write(b, (const char *)v.data, v.len);
}

/* Moves the cursor to the value of a key. */
static int
find(struct am_val map, const char *key, struct mp *ret)
{
	size_t key_len = strlen(key);
	struct mp c = mp_of(map);
	uint32_t n;

	if (mp_get_map(&c, &n) < 0)
		return -ENOENT;
	for (; n > 0; n--) {
		const char *s;
		size_t len;
		int r = mp_get_str(&c, &s, &len);

		if (r == 0 && len == key_len && memcmp(s, key, len) == 0) {
			*ret = c;
			return 0;
		}
		if (r < 0 && mp_skip(&c) < 0)
			return -ENOENT;
		if (mp_skip(&c) < 0)
			return -ENOENT;
	}
	return -ENOENT;
}

/* A value that is cut off has no type. */
static int
as_type_error(int r)
{
	return r == -EBADMSG ? -EINVAL : r;
}

int
am_get(struct am_val map, const char *key, struct am_val *ret)
{
	struct mp c;
	int r = find(map, key, &c);

	return r < 0 ? r : as_type_error(mp_get_val(&c, ret));
}

int
am_get_bool(struct am_val map, const char *key, bool *ret)
{
	struct mp c;
	int r = find(map, key, &c);

	return r < 0 ? r : as_type_error(mp_get_bool(&c, ret));
}

int
am_get_int(struct am_val map, const char *key, int64_t *ret)
{
	struct mp c;
	int r = find(map, key, &c);

	return r < 0 ? r : as_type_error(mp_get_int(&c, ret));
}

int
am_get_double(struct am_val map, const char *key, double *ret)
{
	struct mp c;
	int r = find(map, key, &c);

	return r < 0 ? r : as_type_error(mp_get_double(&c, ret));
}

int
am_get_str(struct am_val map, const char *key, const char **ret,
    size_t *ret_len)
{
	struct mp c;
	int r = find(map, key, &c);

	return r < 0 ? r : as_type_error(mp_get_str(&c, ret, ret_len));
}

int
am_get_bin(struct am_val map, const char *key, const void **ret,
    size_t *ret_len)
{
	struct mp c;
	int r = find(map, key, &c);

	return r < 0 ? r : as_type_error(mp_get_bin(&c, ret, ret_len));
}

int
am_get_text(struct am_val map, const char *key, char *buf, size_t size)
{
	struct mp c;
	int r = find(map, key, &c);

	return r < 0 ? r : as_type_error(mp_get_text(&c, buf, size));
}
