/* JSON output: writes the text while it reads the value. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/base64.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/json_keys.h"
#include "lib/base/number.h"
#include "lib/base/utf8.h"
#include "proto/mp.h"

enum { SHOWN_MAX = 64 }; /* bytes of a key in a message */

struct encode {
	const char *start;      /* of the value, borrowed */
	struct am_buf *out;     /* borrowed */
	struct am_error *err;   /* borrowed; may be NULL */
	struct json_keys *keys; /* borrowed */
	unsigned depth;
	unsigned depth_max;
	size_t end; /* the most that may be in out */
};

static int encode_value(struct encode *e, struct mp *c);

static void
encode_escape(struct encode *e, char c)
{
	static const char letters[32] = {
		['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
	};

	if (c == '"' || c == '\\')
		buf_printf(e->out, "\\%c", c);
	else if (letters[(int)c] != '\0')
		buf_printf(e->out, "\\%c", letters[(int)c]);
	else
		buf_printf(e->out, "\\u%04x", (unsigned)c);
}

static int
encode_str(struct encode *e, const char *s, size_t len)
{
	size_t copied = 0, i = 0;

	buf_putc(e->out, '"');
	while (i < len) {
		size_t n = json_is_plain(s[i]) ? 1 : utf8_len(s + i, len - i);

		if (n == 0)
			return error_set(e->err,
			    "a string is not UTF-8 at its byte %zu: "
			    "it should be binary",
			    i);
		if (s[i] == '\0')
			return error_set(e->err,
			    "a string holds a NUL at its byte %zu: "
			    "it should be binary",
			    i);
		if (n > 1 || json_is_plain(s[i])) {
			i += n;
			continue;
		}
		buf_append(e->out, s + copied, i - copied);
		encode_escape(e, s[i]);
		copied = ++i;
	}
	buf_append(e->out, s + copied, len - copied);
	buf_putc(e->out, '"');
	return 0;
}

static int
encode_double(struct encode *e, double d)
{
	char text[NUMBER_TEXT_MAX];

	if (!isfinite(d))
		return error_set(e->err,
		    "JSON has no number for infinity and not-a-number");
	buf_append(e->out, text, number_write(d, text));
	return 0;
}

static void
encode_int(struct encode *e, const struct mp_item *it)
{
	char text[NUMBER_TEXT_MAX];
	size_t len = it->is_negative ? number_write_int(it->i, text)
				     : number_write_uint(it->u, text);

	buf_append(e->out, text, len);
}

static void
encode_bin(struct encode *e, const struct mp_item *it)
{
	buf_puts(e->out, "{\"$bin\":\"");
	base64_encode(e->out, it->bytes.data, it->bytes.len);
	buf_puts(e->out, "\"}");
}

static int
encode_array(struct encode *e, struct mp *c, uint32_t n)
{
	buf_putc(e->out, '[');
	for (uint32_t i = 0; i < n; i++) {
		int r;

		if (i > 0)
			buf_putc(e->out, ',');
		r = encode_value(e, c);
		if (r < 0)
			return r;
	}
	buf_putc(e->out, ']');
	return 0;
}

static int
encode_pair(struct encode *e, struct mp *c)
{
	struct json_key key = { .at = 0 };
	const char *text;
	int r;

	if (mp_get_str(c, &text, &key.len) < 0)
		return error_set(e->err,
		    "JSON has no key that is not a string");
	key.start = (size_t)(text - e->start);
	r = json_keys_push(e->keys, &key);
	if (r == 0)
		r = encode_str(e, text, key.len);
	if (r < 0)
		return r;
	buf_putc(e->out, ':');
	return encode_value(e, c);
}

/* Whether a map of one pair would be read back as binary. */
static bool
is_like_bin(struct mp c)
{
	const char *key;
	size_t len;

	return mp_get_str(&c, &key, &len) == 0 && len == 4 &&
	    memcmp(key, "$bin", 4) == 0 && mp_type(&c) == MP_STR;
}

static int
encode_map(struct encode *e, struct mp *c, uint32_t n)
{
	size_t first_key = e->keys->n;
	const struct json_key *twice;

	if (n == 1 && is_like_bin(*c))
		return error_set(e->err,
		    "a map of the one key \"$bin\" would be taken for binary");
	buf_putc(e->out, '{');
	for (uint32_t i = 0; i < n; i++) {
		int r;

		if (i > 0)
			buf_putc(e->out, ',');
		r = encode_pair(e, c);
		if (r < 0)
			return r;
	}
	buf_putc(e->out, '}');
	twice = json_keys_pop(e->keys, first_key, e->start);
	if (twice == NULL)
		return 0;
	return error_set(e->err,
	    "key \"%.*s\" is there twice: one would be lost",
	    (int)utf8_cut(e->start + twice->start, twice->len, SHOWN_MAX),
	    e->start + twice->start);
}

static int
encode_container(struct encode *e, struct mp *c, const struct mp_item *it)
{
	int r;

	if (e->depth == e->depth_max)
		return error_set(e->err, "nested deeper than %d levels",
		    MP_VALUE_DEPTH_MAX);
	e->depth++;
	r = it->type == MP_ARRAY ? encode_array(e, c, it->n)
				 : encode_map(e, c, it->n);
	e->depth--;
	return r;
}

static int
encode_value(struct encode *e, struct mp *c)
{
	struct mp_item it;

	if (mp_next(c, &it) < 0)
		return error_set(e->err, "malformed value");
	/* A string becomes at least as many bytes of JSON. */
	if (e->out->len > e->end ||
	    ((it.type == MP_STR || it.type == MP_BIN) &&
		it.bytes.len > e->end - e->out->len))
		return -E2BIG;
	switch (it.type) {
	case MP_NIL:
		buf_puts(e->out, "null");
		return 0;
	case MP_BOOL:
		buf_puts(e->out, it.b ? "true" : "false");
		return 0;
	case MP_INT:
		encode_int(e, &it);
		return 0;
	case MP_DOUBLE:
		return encode_double(e, it.d);
	case MP_STR:
		return encode_str(e, (const char *)it.bytes.data, it.bytes.len);
	case MP_BIN:
		encode_bin(e, &it);
		return 0;
	case MP_ARRAY:
	case MP_MAP:
		return encode_container(e, c, &it);
	case MP_EXT:
		return error_set(e->err, "JSON has no extension types");
	case MP_BAD:
		break;
	}
	return error_set(e->err, "malformed value");
}

static int
encode(struct encode *e, struct am_val v)
{
	struct mp c = mp_of(v);
	int r = encode_value(e, &c);

	if (r == 0 && !mp_at_end(&c))
		r = error_set(e->err, "bytes behind the value");
	return r == 0 && e->out->len > e->end ? -E2BIG : r;
}

int
json_encode(struct am_val v, unsigned n_around, struct am_buf *out,
    struct am_error *err)
{
	return json_encode_most(v, n_around, SIZE_MAX - out->len, out, err);
}

int
json_encode_most(struct am_val v, unsigned n_around, size_t max,
    struct am_buf *out, struct am_error *err)
{
	struct json_keys keys;
	struct encode e = {
		.start = v.data,
		.out = out,
		.err = err,
		.keys = &keys,
		.depth_max = MP_VALUE_DEPTH_MAX + n_around,
		.end = out->len + max,
	};
	size_t start = out->len;
	int r = 0;

	json_keys_init(&keys);
	if (am_val_is_failed(v))
		r = -ENOMEM;
	else if (v.len == 0)
		buf_puts(out, "null");
	else
		r = encode(&e, v);
	json_keys_done(&keys);
	if (r == 0)
		r = am_buf_error(out);
	if (r < 0)
		out->len = start;
	return r;
}

int
am_json_encode(struct am_val v, struct am_buf *out, struct am_error *err)
{
	return json_encode(v, 0, out, err);
}
