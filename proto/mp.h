/* mp.h - a checked reader of MessagePack: a cursor over whole values, and a
 * scanner that finds the end of a frame in a stream.
 *
 * Nothing here allocates, and nothing trusts a length or a count. */
#ifndef PROTO_MP_H
#define PROTO_MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/value.h"

enum {
	MP_FRAME_MAX = 16 * 1024 * 1024,
	MP_VALUE_DEPTH_MAX = 32, /* [[1]] has depth 2 */
	/* A value travels in the params of a frame: two levels more. */
	MP_CALL_DEPTH_MAX = MP_VALUE_DEPTH_MAX + 2,
	/* The answer to info may be an array of such params. */
	MP_FRAME_DEPTH_MAX = MP_VALUE_DEPTH_MAX + 3,
};

/* ---- cursor ---- */

/* The bytes left to read. */
struct mp {
	const uint8_t *p;
	const uint8_t *end;
};

enum mp_type {
	MP_NIL,
	MP_BOOL,
	MP_INT,
	MP_DOUBLE,
	MP_STR,
	MP_BIN,
	MP_ARRAY,
	MP_MAP,
	MP_EXT,
	MP_BAD, /* at the end, or the reserved byte */
};

/* One scalar, or the head of an array or a map. */
struct mp_item {
	enum mp_type type;
	bool is_negative; /* of MP_INT: i holds it, else u */
	union {
		bool b;
		uint64_t u;
		int64_t i;
		double d;
		struct {
			const void *data; /* borrowed */
			uint32_t len;
		} bytes;    /* MP_STR, MP_BIN, MP_EXT */
		uint32_t n; /* elements of an array, pairs of a map */
	};
};

static inline struct mp
mp_of(struct am_val v)
{
	const uint8_t *p = (const uint8_t *)v.data;

	return (struct mp){ .p = p, .end = p == NULL ? p : p + v.len };
}

/* Everything that is left, the last element of a scanned value; AM_NONE if
 * nothing is left. */
static inline struct am_val
mp_rest(struct mp *c)
{
	struct am_val rest = { c->p, (size_t)(c->end - c->p) };

	c->p = c->end;
	return rest.len == 0 ? AM_NONE : rest;
}

static inline bool
mp_at_end(const struct mp *c)
{
	return c->p == c->end;
}

/* These return 0 and move the cursor past what they read. -EBADMSG: the value
 * is cut off, or is the reserved byte; -EINVAL: it has another type; -ERANGE:
 * it does not fit. On failure cursor and outputs are unchanged. Data is
 * borrowed from the bytes. */
int mp_next(struct mp *c, struct mp_item *ret);
int mp_get_nil(struct mp *c);
int mp_get_bool(struct mp *c, bool *ret);
int mp_get_uint(struct mp *c, uint64_t max, uint64_t *ret);
int mp_get_int(struct mp *c, int64_t *ret);
int mp_get_double(struct mp *c, double *ret); /* also of an exact integer */
int mp_get_str(struct mp *c, const char **ret, size_t *ret_len);
int mp_get_bin(struct mp *c, const void **ret, size_t *ret_len);
int mp_get_array(struct mp *c, uint32_t *ret_n);
int mp_get_map(struct mp *c, uint32_t *ret_n);
int mp_get_val(struct mp *c, struct am_val *ret); /* one whole value */
int mp_skip(struct mp *c);

/* Looks at the first byte only. */
enum mp_type mp_type(const struct mp *c);

/* Copies and terminates a string. -ERANGE if it has a NUL, or size bytes or
 * more. */
int mp_get_text(struct mp *c, char *buf, size_t size);

/* ---- scanner ---- */

enum mp_scan_result {
	MP_SCAN_DONE = 0,
	MP_SCAN_MORE, /* incomplete, but good so far */
	MP_SCAN_BAD,  /* the reserved byte */
	MP_SCAN_DEEP, /* over max_depth */
	MP_SCAN_BIG,  /* over max_len, or more elements than bytes */
};

/* The state of the scan of one frame. */
struct mp_scan {
	size_t max_len;
	size_t pos;     /* the next head; past the end while a body arrives */
	size_t pending; /* elements announced but not seen yet */
	unsigned max_depth;
	unsigned depth;
	uint32_t left[MP_FRAME_DEPTH_MAX]; /* elements, by level */
};

/* max_depth is at most MP_FRAME_DEPTH_MAX. */
void mp_scan_init(struct mp_scan *s, size_t max_len, unsigned max_depth);
/* p points to the first byte of the frame, of which len bytes have arrived.
 * Continues where the last call stopped. MP_SCAN_DONE sets *ret_frame_len and
 * prepares for the next frame; after an error initialise the scan again. */
enum mp_scan_result mp_scan(struct mp_scan *s, const uint8_t *p, size_t len,
    size_t *ret_frame_len);
/* Whether v is exactly one well-formed value, nested at most MP_VALUE_DEPTH_MAX
 * deep. */
bool mp_is_value(struct am_val v);

/* ---- args ---- */

/* Checks for a map whose keys are strings. -EINVAL if it is none; -E2BIG if it
 * has more than AM_ARGS_MAX keys; -EEXIST if it has a key twice. */
int mp_get_args(struct mp *c, struct am_val *ret);
/* Whether v comes from a buffer that ran out of memory. */
bool am_val_is_failed(struct am_val v);

#endif
