#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/base64.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_scan.h"
#include "proto/mp.h"

enum { DOUBLE_TEXT_MAX = 32, SHOWN_KEY_MAX = 100 };

/* ---- in ---- */

struct decode {
	struct am_buf *out;   /* borrowed */
	struct am_error *err; /* borrowed; may be NULL */
	const char *is_whole; /* borrowed; by number, in order of the text */
	size_t number;        /* the next one */
};

static int decode_value(struct decode *d, const cJSON *item);

static void
tree_deletep(cJSON **tree)
{
	cJSON_Delete(*tree);
}

static int
by_text(const void *a, const void *b)
{
	const char *const *x = (const char *const *)a;
	const char *const *y = (const char *const *)b;

	return strcmp(*x, *y);
}

/* -EINVAL with a message if a key is there twice. */
static int
check_keys(struct decode *d, const cJSON *object, size_t n)
{
	am_cleanup(am_freep) const char **key = NULL;
	size_t i = 0;

	if (n < 2)
		return 0;
	key = calloc(n, sizeof(*key));
	if (key == NULL)
		return -ENOMEM;
	for (const cJSON *c = object->child; c != NULL; c = c->next)
		key[i++] = c->string;
	qsort(key, n, sizeof(*key), by_text);
	for (i = 1; i < n; i++)
		if (strcmp(key[i - 1], key[i]) == 0)
			return error_set(d->err,
			    "key \"%.*s\" is there twice: one would be lost",
			    SHOWN_KEY_MAX, key[i]);
	return 0;
}

static bool
is_bin(const cJSON *object)
{
	const cJSON *c = object->child;

	return c != NULL && c->next == NULL && cJSON_IsString(c) &&
	    strcmp(c->string, "$bin") == 0;
}

static int
decode_bin(struct decode *d, const char *text)
{
	am_cleanup(buf_donep) struct am_buf bytes = AM_BUF_INIT;
	int r = base64_decode(&bytes, text, strlen(text));

	if (r == -EINVAL)
		return error_set(d->err,
		    "\"$bin\" is not base64 with padding: \"%.*s\"",
		    SHOWN_KEY_MAX, text);
	if (r < 0)
		return r;
	am_put_bin(d->out, bytes.data, bytes.len);
	return 0;
}

static int
decode_object(struct decode *d, const cJSON *object)
{
	size_t n = 0;
	int r;

	if (is_bin(object))
		return decode_bin(d, object->child->valuestring);
	for (const cJSON *c = object->child; c != NULL; c = c->next)
		n++;
	r = check_keys(d, object, n);
	if (r < 0)
		return r;
	am_put_map(d->out, n);
	for (const cJSON *c = object->child; c != NULL; c = c->next) {
		am_put_str(d->out, c->string);
		r = decode_value(d, c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
decode_array(struct decode *d, const cJSON *array)
{
	size_t n = 0;

	for (const cJSON *c = array->child; c != NULL; c = c->next)
		n++;
	am_put_array(d->out, n);
	for (const cJSON *c = array->child; c != NULL; c = c->next) {
		int r = decode_value(d, c);

		if (r < 0)
			return r;
	}
	return 0;
}

static int
decode_value(struct decode *d, const cJSON *item)
{
	if (cJSON_IsObject(item))
		return decode_object(d, item);
	if (cJSON_IsArray(item))
		return decode_array(d, item);
	if (cJSON_IsString(item))
		am_put_str(d->out, item->valuestring);
	else if (cJSON_IsBool(item))
		am_put_bool(d->out, cJSON_IsTrue(item));
	else if (cJSON_IsNull(item))
		am_put_nil(d->out);
	else if (d->is_whole[d->number++] && !signbit(item->valuedouble))
		am_put_uint(d->out, (uint64_t)item->valuedouble);
	else if (d->is_whole[d->number - 1] && item->valuedouble != 0)
		am_put_int(d->out, (int64_t)item->valuedouble);
	else
		am_put_double(d->out, item->valuedouble);
	return 0;
}

static int
parse(const char *json, size_t len, cJSON **ret, struct am_error *err)
{
	am_cleanup(tree_deletep) cJSON *tree = NULL;
	const char *end = json;

	errno = 0;
	tree = cJSON_ParseWithLengthOpts(json, len, &end, false);
	if (tree == NULL && errno == ENOMEM)
		return -ENOMEM;
	if (tree == NULL)
		return error_set(err, "not JSON at byte %zu",
		    (size_t)(end - json));
	while (end < json + len && memchr(" \t\r\n", *end, 4) != NULL)
		end++;
	if (end < json + len)
		return error_set(err, "text behind the JSON value at byte %zu",
		    (size_t)(end - json));
	*ret = am_steal(&tree);
	return 0;
}

int
am_json_decode(const char *json, size_t len, struct am_buf *out,
    struct am_error *err)
{
	am_cleanup(buf_donep) struct am_buf is_whole = AM_BUF_INIT;
	am_cleanup(tree_deletep) cJSON *tree = NULL;
	struct decode d = { .out = out, .err = err };
	size_t start = out->len;
	int r;

	r = json_scan(json, len, &is_whole, err);
	if (r < 0)
		return r;
	r = parse(json, len, &tree, err);
	if (r < 0)
		return r;
	d.is_whole = is_whole.data;
	r = decode_value(&d, tree);
	if (r == 0)
		r = am_buf_error(out);
	if (r < 0)
		out->len = start;
	return r;
}

/* ---- out: written as it is read; a tree would take 100 bytes a number ---- */

struct encode {
	struct am_buf *out;   /* borrowed */
	struct am_error *err; /* borrowed; may be NULL */
	unsigned depth;
};

static int encode_value(struct encode *e, struct mp *c);

static int
encode_str(struct encode *e, const char *s, size_t len)
{
	static const char escapes[32] = {
		['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
	};
	size_t plain = 0, i = 0;

	buf_putc(e->out, '"');
	while (i < len) {
		unsigned char u = (unsigned char)s[i];
		size_t n = utf8_len(s + i, len - i);

		if (n == 0)
			return error_set(e->err,
			    "a string is not UTF-8 at its byte %zu: "
			    "it should be binary",
			    i);
		if (u == '\0')
			return error_set(e->err,
			    "a string holds a NUL at its byte %zu: "
			    "it should be binary",
			    i);
		if (u >= ' ' && u != '"' && u != '\\') {
			i += n;
			continue;
		}
		buf_append(e->out, s + plain, i - plain);
		if (u >= ' ')
			buf_printf(e->out, "\\%c", u);
		else if (escapes[u] != '\0')
			buf_printf(e->out, "\\%c", escapes[u]);
		else
			buf_printf(e->out, "\\u%04x", u);
		plain = ++i;
	}
	buf_append(e->out, s + plain, len - plain);
	buf_putc(e->out, '"');
	return 0;
}

static int
encode_double(struct encode *e, double d)
{
	char text[DOUBLE_TEXT_MAX];

	if (!isfinite(d))
		return error_set(e->err,
		    "JSON has no number for infinity and not-a-number");
	/* The shortest text that is read back as the same double. */
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	buf_puts(e->out, text);
	/* It stays a double for whoever reads it. */
	if (strpbrk(text, ".e") == NULL)
		buf_puts(e->out, ".0");
	return 0;
}

static void
encode_int(struct encode *e, const struct mp_item *it)
{
	if (it->is_negative)
		buf_printf(e->out, "%lld", (long long)it->i);
	else
		buf_printf(e->out, "%llu", (unsigned long long)it->u);
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
encode_map(struct encode *e, struct mp *c, uint32_t n)
{
	buf_putc(e->out, '{');
	for (uint32_t i = 0; i < n; i++) {
		const char *key;
		size_t len;
		int r;

		if (mp_get_str(c, &key, &len) < 0)
			return error_set(e->err,
			    "JSON has no key that is not a string");
		if (n == 1 && len == 4 && memcmp(key, "$bin", 4) == 0 &&
		    mp_type(c) == MP_STR)
			return error_set(e->err,
			    "a map of the one key \"$bin\" would be taken for "
			    "binary");
		if (i > 0)
			buf_putc(e->out, ',');
		r = encode_str(e, key, len);
		if (r < 0)
			return r;
		buf_putc(e->out, ':');
		r = encode_value(e, c);
		if (r < 0)
			return r;
	}
	buf_putc(e->out, '}');
	return 0;
}

static int
encode_container(struct encode *e, struct mp *c, const struct mp_item *it)
{
	int r;

	if (e->depth == MP_VALUE_DEPTH_MAX)
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

int
am_json_encode(struct am_val v, struct am_buf *out, struct am_error *err)
{
	struct encode e = { .out = out, .err = err };
	size_t start = out->len;
	struct mp c = mp_of(v);
	int r;

	if (v.data == NULL) {
		buf_puts(out, "null");
		return am_buf_error(out);
	}
	r = encode_value(&e, &c);
	if (r == 0 && !mp_at_end(&c))
		r = error_set(err, "bytes behind the value");
	if (r == 0)
		r = am_buf_error(out);
	if (r < 0)
		out->len = start;
	return r;
}
