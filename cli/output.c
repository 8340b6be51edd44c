#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exitcodes.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "proto/mp.h"

/* Levels of documents around the data of a worker: an array of payloads. */
enum { LEVELS_AROUND = 2 };

const struct out_view out_bare = { .n_cols = 0 };

void
out_init(struct out *o, enum out_format format, const char *field, bool quiet)
{
	*o = (struct out){
		.ops = format == OUT_JSON || format == OUT_NDJSON
		    ? &out_json_ops
		    : &out_text_ops,
		.format = format,
		.field = field,
		.quiet = quiet,
	};
	if (format == OUT_TABLE) {
		const char *no_color = getenv("NO_COLOR");

		o->bold = (no_color == NULL || *no_color == '\0') &&
		    isatty(STDOUT_FILENO) == 1;
	}
}

void
out_done(struct out *o)
{
	am_buf_done(&o->buf);
}

int
out_format_parse(const char *name, enum out_format *ret)
{
	static const char *const names[] = {
		[OUT_TABLE] = "table",
		[OUT_JSON] = "json",
		[OUT_NDJSON] = "ndjson",
		[OUT_RAW] = "raw",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum out_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

void
out_put_time(struct am_buf *b, double seconds)
{
	static const struct {
		char unit;
		long len;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	long left = (long)seconds;
	int shown = 0;

	if (seconds < 0) {
		buf_puts(b, "-");
		return;
	}
	if (seconds < 10) {
		buf_printf(b, "%.1fs", seconds);
		return;
	}
	/* The two biggest units that are not 0. */
	for (size_t i = 0; i < 4 && shown < 2; i++) {
		long n = left / units[i].len;

		left %= units[i].len;
		if (n == 0)
			continue;
		buf_printf(b, "%ld%c", n, units[i].unit);
		shown++;
	}
}

static void
put_unprintable(struct am_buf *b, const char *why)
{
	am_cleanup(buf_donep) struct am_buf doc = AM_BUF_INIT;
	struct am_error err;

	am_put_map(&doc, 1);
	am_put_str(&doc, "unprintable");
	am_put_str(&doc, why);
	if (am_json_encode(am_buf_val(&doc), b, &err) < 0)
		buf_puts(b, "{\"unprintable\":null}");
}

void
out_put(struct am_buf *b, struct am_val v, bool bare)
{
	struct mp c = mp_of(v);
	const char *s = NULL;
	size_t len = 0;
	struct am_error err;

	if (v.data == NULL) {
		buf_puts(b, "null");
		return;
	}
	if (bare && mp_get_str(&c, &s, &len) == 0) {
		buf_append(b, s, len);
		return;
	}
	/* What JSON cannot carry is said, never changed. */
	if (json_encode(v, LEVELS_AROUND, b, &err) < 0)
		put_unprintable(b, err.text);
}

/* One step of a path: a key of a map or an index of an array. */
static int
path_step(struct am_val v, const char *key, size_t len, struct am_val *ret)
{
	struct mp c = mp_of(v);
	uint32_t n = 0;
	char name[256];
	unsigned long at;
	char *end = NULL;

	if (len == 0 || len >= sizeof(name))
		return -ENOENT;
	memcpy(name, key, len);
	name[len] = '\0';
	if (mp_get_array(&c, &n) < 0)
		return am_get(v, name, ret) == 0 ? 0 : -ENOENT;
	at = strtoul(name, &end, 10);
	if (*end != '\0' || at >= n)
		return -ENOENT;
	while (at-- > 0)
		(void)mp_skip(&c);
	return mp_get_val(&c, ret) == 0 ? 0 : -ENOENT;
}

/* What a path names. */
struct path_values {
	struct am_buf values;
	size_t n;
	bool each; /* of the elements of an array */
};

/* A step that is no index of an array is taken in each of its elements. */
static int
find_path(struct am_val v, const char *path, struct path_values *f)
{
	size_t len = strcspn(path, ".");
	struct mp c = mp_of(v);
	struct am_val part;
	uint32_t n = 0;

	if (path_step(v, path, len, &part) == 0) {
		if (path[len] == '.')
			return find_path(part, path + len + 1, f);
		am_put_val(&f->values, part);
		f->n++;
		return 0;
	}
	if (mp_get_array(&c, &n) < 0)
		return -ENOENT;
	f->each = true;
	for (uint32_t i = 0; i < n; i++)
		if (mp_get_val(&c, &part) < 0 || find_path(part, path, f) < 0)
			return -ENOENT;
	return 0;
}

static void
put_field(struct out *o, struct am_val v)
{
	out_put(&o->buf, v, o->ops == &out_text_ops);
	buf_puts(&o->buf, "\n");
}

/* One document with --json, else a line each. */
static void
put_found(struct out *o, const struct path_values *f)
{
	am_cleanup(buf_donep) struct am_buf all = AM_BUF_INIT;
	struct mp c = mp_of(am_buf_val(&f->values));
	struct am_val v;

	if (f->each && o->format == OUT_JSON) {
		am_put_array(&all, f->n);
		buf_append(&all, f->values.data, f->values.len);
		put_field(o, am_buf_val(&all));
		return;
	}
	for (size_t i = 0; i < f->n && mp_get_val(&c, &v) == 0; i++)
		put_field(o, v);
}

static int
print_field(struct out *o, struct am_val plain)
{
	struct path_values f = { .values = AM_BUF_INIT };
	int rc = find_path(plain, o->field, &f) < 0 ? EX_MISSING : 0;

	if (rc == 0 && !o->quiet)
		put_found(o, &f);
	am_buf_done(&f.values);
	return rc;
}

int
out_doc(struct out *o, struct am_val doc, struct am_val plain,
    const struct out_view *view)
{
	o->said = true;
	if (o->field != NULL)
		return print_field(o, plain);
	if (!o->quiet)
		o->ops->doc(o, doc, plain, view);
	return 0;
}

int
out_item(struct out *o, struct am_val doc, struct am_val plain)
{
	o->said = true;
	if (o->field != NULL)
		return print_field(o, plain);
	if (!o->quiet)
		o->ops->item(o, doc, plain);
	return 0;
}

void
out_fail(struct out *o, const char *status, const char *code,
    const char *message)
{
	if (o->said)
		return;
	o->said = true;
	o->ops->fail(o, status, code, message);
}

int
out_line(struct out *o, const char *key, const char *text)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_val doc;
	struct am_val plain = AM_NONE;
	int rc;

	am_put_map(&b, 1);
	am_put_str(&b, key);
	am_put_str(&b, text);
	doc = am_buf_val(&b);
	(void)am_get(doc, key, &plain);
	rc = out_doc(o, doc, o->field == NULL ? plain : doc, &out_bare);
	am_buf_done(&b);
	return rc;
}

int
out_flush(struct out *o)
{
	size_t at = 0;

	if (o->buf.failed)
		return -ENOMEM;
	while (at < o->buf.len) {
		ssize_t n = write(STDOUT_FILENO, o->buf.data + at,
		    o->buf.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	am_buf_reset(&o->buf);
	return 0;
}
