#include "proto/mp.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The head of a value: its first byte and the length that follows. */
struct head {
	enum mp_type type;
	uint8_t len;   /* of the head, including a number */
	uint32_t body; /* bytes after it: str, bin, ext */
	uint32_t n;    /* elements: array, map (pairs) */
};

static uint64_t
be(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

/* Heads from 0xc0 to 0xdf: the type, how many bytes of a number follow the
 * first byte, and what that number means. */
enum number {
	NONE,
	VALUE,  /* the value itself */
	LENGTH, /* bytes of the body */
	COUNT,
};

static const struct {
	uint8_t type;
	uint8_t size;
	uint8_t number;
	uint8_t extra; /* bytes of body not counted: the type of an ext */
} heads[32] = {
	[0x00] = { MP_NIL, 0, NONE, 0 },
	[0x01] = { MP_BAD, 0, NONE, 0 },
	[0x02] = { MP_BOOL, 0, NONE, 0 },
	[0x03] = { MP_BOOL, 0, NONE, 0 },
	[0x04] = { MP_BIN, 1, LENGTH, 0 },
	[0x05] = { MP_BIN, 2, LENGTH, 0 },
	[0x06] = { MP_BIN, 4, LENGTH, 0 },
	[0x07] = { MP_EXT, 1, LENGTH, 1 },
	[0x08] = { MP_EXT, 2, LENGTH, 1 },
	[0x09] = { MP_EXT, 4, LENGTH, 1 },
	[0x0a] = { MP_DOUBLE, 4, VALUE, 0 },
	[0x0b] = { MP_DOUBLE, 8, VALUE, 0 },
	[0x0c] = { MP_INT, 1, VALUE, 0 },
	[0x0d] = { MP_INT, 2, VALUE, 0 },
	[0x0e] = { MP_INT, 4, VALUE, 0 },
	[0x0f] = { MP_INT, 8, VALUE, 0 },
	[0x10] = { MP_INT, 1, VALUE, 0 },
	[0x11] = { MP_INT, 2, VALUE, 0 },
	[0x12] = { MP_INT, 4, VALUE, 0 },
	[0x13] = { MP_INT, 8, VALUE, 0 },
	[0x14] = { MP_EXT, 0, NONE, 2 },
	[0x15] = { MP_EXT, 0, NONE, 3 },
	[0x16] = { MP_EXT, 0, NONE, 5 },
	[0x17] = { MP_EXT, 0, NONE, 9 },
	[0x18] = { MP_EXT, 0, NONE, 17 },
	[0x19] = { MP_STR, 1, LENGTH, 0 },
	[0x1a] = { MP_STR, 2, LENGTH, 0 },
	[0x1b] = { MP_STR, 4, LENGTH, 0 },
	[0x1c] = { MP_ARRAY, 2, COUNT, 0 },
	[0x1d] = { MP_ARRAY, 4, COUNT, 0 },
	[0x1e] = { MP_MAP, 2, COUNT, 0 },
	[0x1f] = { MP_MAP, 4, COUNT, 0 },
};

/* The length of a nil, a bool, a small number or a short string, which the first
 * byte tells; 0 for all others. */
static inline size_t
small_len(uint8_t first)
{
	if (first < 0x80 || first >= 0xe0)
		return 1;
	if (first >= 0xa0 && first < 0xc0)
		return 1 + (first & 0x1fU);
	return first == 0xc0 || first == 0xc2 || first == 0xc3 ? 1 : 0;
}

/* Reads the head at p; avail > 0. False if it is incomplete. A body of 2^32 - 1
 * bytes with an extra one loses a byte here, which is far beyond any limit. */
static inline bool
head_get(const uint8_t *p, size_t avail, struct head *ret)
{
	uint8_t first = p[0];
	unsigned size;
	uint64_t v;

	*ret = (struct head){ .type = MP_INT, .len = 1 };
	if (first < 0x80 || first >= 0xe0)
		return true;
	if (first < 0xc0) {
		if (first < 0x90) {
			ret->type = MP_MAP;
			ret->n = first & 0x0f;
		} else if (first < 0xa0) {
			ret->type = MP_ARRAY;
			ret->n = first & 0x0f;
		} else {
			ret->type = MP_STR;
			ret->body = first & 0x1f;
		}
		return true;
	}
	first &= 0x1f;
	ret->type = heads[first].type;
	size = heads[first].size;
	ret->len = (uint8_t)(1 + size);
	if (avail < ret->len)
		return false;
	ret->body = heads[first].extra;
	if (heads[first].number == NONE || heads[first].number == VALUE)
		return true;
	v = be(p + 1, size);
	if (heads[first].number == COUNT) {
		ret->n = (uint32_t)v;
		return true;
	}
	v += ret->body;
	ret->body = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
	return true;
}

static void
int_get(const uint8_t *p, struct mp_item *ret)
{
	uint8_t first = p[0];
	unsigned size;
	uint64_t v;
	int64_t i;

	ret->is_negative = false;
	if (first < 0x80) {
		ret->u = first;
		return;
	}
	if (first >= 0xe0) {
		ret->is_negative = true;
		ret->i = (int8_t)first;
		return;
	}
	size = heads[first & 0x1f].size;
	v = be(p + 1, size);
	if (first < 0xd0) {
		ret->u = v;
		return;
	}
	i = size == 1   ? (int8_t)v
	    : size == 2 ? (int16_t)v
	    : size == 4 ? (int32_t)v
			: (int64_t)v;
	ret->is_negative = i < 0;
	if (i < 0)
		ret->i = i;
	else
		ret->u = (uint64_t)i;
}

static double
double_get(const uint8_t *p)
{
	uint32_t v32;
	uint64_t v64;
	float f;
	double d;

	if (p[0] == 0xca) {
		v32 = (uint32_t)be(p + 1, 4);
		memcpy(&f, &v32, sizeof(f));
		return (double)f;
	}
	v64 = be(p + 1, 8);
	memcpy(&d, &v64, sizeof(d));
	return d;
}

int
mp_next(struct mp *c, struct mp_item *ret)
{
	size_t avail = (size_t)(c->end - c->p);
	struct head h;

	if (avail == 0 || !head_get(c->p, avail, &h) || h.type == MP_BAD)
		return -EBADMSG;
	if (avail - h.len < h.body)
		return -EBADMSG;
	switch (h.type) {
	case MP_BOOL:
		ret->b = c->p[0] == 0xc3;
		break;
	case MP_INT:
		int_get(c->p, ret);
		break;
	case MP_DOUBLE:
		ret->d = double_get(c->p);
		break;
	case MP_STR:
	case MP_BIN:
	case MP_EXT:
		ret->bytes.data = c->p + h.len;
		ret->bytes.len = h.body;
		break;
	case MP_ARRAY:
	case MP_MAP:
		ret->n = h.n;
		break;
	case MP_NIL:
	case MP_BAD:
		break;
	}
	ret->type = h.type;
	c->p += (size_t)h.len + h.body;
	return 0;
}

/* mp_next() for one type only. */
static int
next_of(struct mp *c, enum mp_type type, struct mp_item *ret)
{
	struct mp at = *c;
	int r;

	r = mp_next(&at, ret);
	if (r < 0)
		return r;
	if (ret->type != type)
		return -EINVAL;
	*c = at;
	return 0;
}

int
mp_get_nil(struct mp *c)
{
	struct mp_item it;

	return next_of(c, MP_NIL, &it);
}

int
mp_get_bool(struct mp *c, bool *ret)
{
	struct mp_item it;
	int r = next_of(c, MP_BOOL, &it);

	if (r == 0)
		*ret = it.b;
	return r;
}

int
mp_get_uint(struct mp *c, uint64_t max, uint64_t *ret)
{
	struct mp at = *c;
	struct mp_item it;
	int r;

	if (c->p < c->end && *c->p < 0x80 && *c->p <= max) {
		*ret = *c->p++;
		return 0;
	}
	r = next_of(&at, MP_INT, &it);
	if (r < 0)
		return r;
	if (it.is_negative || it.u > max)
		return -ERANGE;
	*ret = it.u;
	*c = at;
	return 0;
}

int
mp_get_int(struct mp *c, int64_t *ret)
{
	struct mp at = *c;
	struct mp_item it;
	int r = next_of(&at, MP_INT, &it);

	if (r < 0)
		return r;
	if (!it.is_negative && it.u > INT64_MAX)
		return -ERANGE;
	*ret = it.is_negative ? it.i : (int64_t)it.u;
	*c = at;
	return 0;
}

/* A double holds 53 bits. */
static bool
is_exact(uint64_t amount)
{
	uint64_t odd = amount == 0 ? 0 : amount / (amount & -amount);

	return odd <= UINT64_C(1) << 53;
}

int
mp_get_double(struct mp *c, double *ret)
{
	enum mp_type type = mp_type(c) == MP_INT ? MP_INT : MP_DOUBLE;
	struct mp at = *c;
	struct mp_item it;
	uint64_t amount;
	int r = next_of(&at, type, &it);

	if (r < 0)
		return r;
	if (type == MP_DOUBLE) {
		*ret = it.d;
	} else {
		amount = it.is_negative ? -(uint64_t)it.i : it.u;
		if (!is_exact(amount))
			return -ERANGE;
		*ret = it.is_negative ? -(double)amount : (double)amount;
	}
	*c = at;
	return 0;
}

static int
bytes_get(struct mp *c, enum mp_type type, const void **ret, size_t *ret_len)
{
	struct mp_item it;
	int r = next_of(c, type, &it);

	if (r < 0)
		return r;
	*ret = it.bytes.data;
	*ret_len = it.bytes.len;
	return 0;
}

int
mp_get_str(struct mp *c, const char **ret, size_t *ret_len)
{
	const void *data;
	int r = bytes_get(c, MP_STR, &data, ret_len);

	if (r == 0)
		*ret = (const char *)data;
	return r;
}

int
mp_get_bin(struct mp *c, const void **ret, size_t *ret_len)
{
	return bytes_get(c, MP_BIN, ret, ret_len);
}

int
mp_get_array(struct mp *c, uint32_t *ret_n)
{
	struct mp_item it;
	int r;

	if (c->p < c->end && (*c->p & 0xf0) == 0x90) {
		*ret_n = *c->p++ & 0x0f;
		return 0;
	}
	r = next_of(c, MP_ARRAY, &it);
	if (r == 0)
		*ret_n = it.n;
	return r;
}

int
mp_get_map(struct mp *c, uint32_t *ret_n)
{
	struct mp_item it;
	int r = next_of(c, MP_MAP, &it);

	if (r == 0)
		*ret_n = it.n;
	return r;
}

int
mp_skip(struct mp *c)
{
	struct mp at = *c;
	uint64_t left = 1;
	struct mp_item it;

	/* Every element has a byte, so this ends when the bytes do. */
	while (left > 0) {
		size_t small;
		int r;

		small = at.p < at.end ? small_len(*at.p) : 0;
		if (small > 0 && small <= (size_t)(at.end - at.p)) {
			at.p += small;
			left--;
			continue;
		}
		r = mp_next(&at, &it);

		if (r < 0)
			return r;
		left--;
		if (it.type == MP_ARRAY)
			left += it.n;
		else if (it.type == MP_MAP)
			left += 2 * (uint64_t)it.n;
	}
	*c = at;
	return 0;
}

int
mp_get_val(struct mp *c, struct am_val *ret)
{
	const uint8_t *start = c->p;
	int r = mp_skip(c);

	if (r < 0)
		return r;
	*ret = (struct am_val){ start, (size_t)(c->p - start) };
	return 0;
}

int
mp_get_text(struct mp *c, char *buf, size_t size)
{
	struct mp at = *c;
	const char *s;
	size_t len;
	int r = mp_get_str(&at, &s, &len);

	if (r < 0)
		return r;
	if (len >= size || memchr(s, '\0', len) != NULL)
		return -ERANGE;
	memcpy(buf, s, len);
	buf[len] = '\0';
	*c = at;
	return 0;
}

enum mp_type
mp_type(const struct mp *c)
{
	uint8_t first;

	if (c->p == c->end)
		return MP_BAD;
	first = *c->p;
	if (first >= 0xc0 && first < 0xe0)
		return heads[first & 0x1f].type;
	if (first < 0x80 || first >= 0xe0)
		return MP_INT;
	return first < 0x90 ? MP_MAP : first < 0xa0 ? MP_ARRAY : MP_STR;
}

void
mp_scan_init(struct mp_scan *s, size_t max_len, unsigned max_depth)
{
	assert(max_depth <= MP_FRAME_DEPTH_MAX);
	s->max_len = max_len;
	s->max_depth = max_depth;
	s->pos = 0;
	s->pending = 1;
	s->depth = 0;
}

/* Enters an array or a map of n elements; an empty one is done at once. */
static enum mp_scan_result
scan_enter(struct mp_scan *s, uint64_t n)
{
	if (s->depth == s->max_depth)
		return MP_SCAN_DEEP;
	if (n > s->max_len)
		return MP_SCAN_BIG;
	if (n > 0) {
		s->left[s->depth++] = (uint32_t)n;
		s->pending += (size_t)n;
	}
	return MP_SCAN_DONE;
}

/* The current element is done, and so is every array that it completes. */
static inline void
scan_leave(struct mp_scan *s)
{
	while (s->depth > 0 && s->left[s->depth - 1] == 0)
		s->depth--;
}

/* Skips what the first byte measures, which is most of our messages. */
static inline void
scan_small(struct mp_scan *s, const uint8_t *p, size_t len)
{
	size_t small;

	while (s->pending > 0 && s->pos < len &&
	    (small = small_len(p[s->pos])) > 0) {
		s->pos += small;
		s->pending--;
		if (s->depth > 0 && --s->left[s->depth - 1] == 0)
			scan_leave(s);
	}
}

enum mp_scan_result
mp_scan(struct mp_scan *s, const uint8_t *p, size_t len, size_t *ret_frame_len)
{
	enum mp_scan_result r;
	struct head h;

	while (s->pending > 0) {
		if (s->pos >= len || !head_get(p + s->pos, len - s->pos, &h))
			return MP_SCAN_MORE;
		if (h.type == MP_BAD)
			return MP_SCAN_BAD;
		s->pos += (size_t)h.len + h.body;
		s->pending--;
		if (s->depth > 0)
			s->left[s->depth - 1]--;
		if (h.type == MP_ARRAY || h.type == MP_MAP) {
			r = scan_enter(s,
			    h.type == MP_MAP ? 2 * (uint64_t)h.n : h.n);
			if (r != MP_SCAN_DONE)
				return r;
		}
		scan_leave(s);
		scan_small(s, p, len);
		/* Each pending element needs at least a byte. */
		if (s->pos + s->pending > s->max_len)
			return MP_SCAN_BIG;
	}
	if (s->pos > len)
		return MP_SCAN_MORE;
	*ret_frame_len = s->pos;
	mp_scan_init(s, s->max_len, s->max_depth);
	return MP_SCAN_DONE;
}

bool
mp_is_value(struct am_val v)
{
	struct mp_scan s;
	size_t len;

	if (v.len == 0)
		return false;
	mp_scan_init(&s, v.len, MP_VALUE_DEPTH_MAX);
	return mp_scan(&s, (const uint8_t *)v.data, v.len, &len) ==
	    MP_SCAN_DONE &&
	    len == v.len;
}
