#include "cli/output.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "proto/mp.h"

enum { COLS_MAX = 16 };

/* Appends text that others wrote. */
static void
put_shown(struct am_buf *b, const char *s, size_t len)
{
	char piece[512];

	while (len > 0) {
		size_t n = text_show(piece, sizeof(piece), s, len);

		buf_puts(b, piece);
		s += n;
		len -= n;
	}
}

/* The same, in lines. */
static void
put_shown_lines(struct am_buf *b, const char *s, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(s, '\n', len);
		size_t n = nl != NULL ? (size_t)(nl - s) : len;

		put_shown(b, s, n);
		if (nl == NULL)
			return;
		buf_puts(b, "\n");
		s += n + 1;
		len -= n + 1;
	}
}

static double
number_of(struct am_val v)
{
	struct mp c = mp_of(v);
	double d = 0;

	return mp_get_double(&c, &d) == 0 ? d : -1;
}

/* Appends the cell of a row. */
static void
put_cell(struct am_buf *b, struct am_val row, const struct out_col *col)
{
	struct am_val v = AM_NONE;
	struct mp c;
	bool yes = false;

	if (am_get(row, col->key, &v) < 0) {
		buf_puts(b, "-");
		return;
	}
	c = mp_of(v);
	if (mp_type(&c) == MP_NIL) {
		buf_puts(b, "-");
	} else if (col->kind == COL_TIME) {
		out_put_time(b, number_of(v));
	} else if (col->kind == COL_BOOL && mp_get_bool(&c, &yes) == 0) {
		buf_puts(b, yes ? "yes" : "no");
	} else {
		am_cleanup(buf_donep) struct am_buf text = AM_BUF_INIT;

		out_put(&text, v, true);
		put_shown(b, text.data, text.len);
		if (text.len == 0)
			buf_puts(b, "-");
		b->failed |= text.failed;
	}
}

static size_t
cell_len(struct am_buf *scratch, struct am_val row, const struct out_col *col)
{
	am_buf_reset(scratch);
	put_cell(scratch, row, col);
	return scratch->len;
}

static void
pad(struct am_buf *b, size_t n)
{
	while (n-- > 0)
		buf_puts(b, " ");
}

static void
put_titles(struct out *o, const struct out_view *v, const size_t *width)
{
	if (o->bold)
		buf_puts(&o->buf, "\033[1m");
	for (size_t i = 0; i < v->n_cols; i++) {
		const char *title = v->cols[i].title;

		buf_puts(&o->buf, title);
		if (i + 1 < v->n_cols)
			pad(&o->buf, width[i] - strlen(title) + 2);
	}
	buf_puts(&o->buf, o->bold ? "\033[0m\n" : "\n");
}

/* raw: tabs between the cells, no titles. */
static void
put_row(struct out *o, struct am_val row, const struct out_view *v,
    const size_t *width)
{
	for (size_t i = 0; i < v->n_cols; i++) {
		size_t before = o->buf.len;
		size_t len;

		put_cell(&o->buf, row, &v->cols[i]);
		if (i + 1 == v->n_cols)
			break;
		if (o->format == OUT_RAW) {
			buf_puts(&o->buf, "\t");
			continue;
		}
		len = o->buf.len - before;
		pad(&o->buf, (width[i] > len ? width[i] - len : 0) + 2);
	}
	buf_puts(&o->buf, "\n");
}

static void
put_table(struct out *o, struct mp rows, uint32_t n, const struct out_view *v)
{
	struct am_buf scratch = AM_BUF_INIT;
	size_t width[COLS_MAX] = { 0 };
	struct am_val row;
	struct mp c = rows;

	for (size_t i = 0; i < v->n_cols && i < COLS_MAX; i++)
		width[i] = strlen(v->cols[i].title);
	for (uint32_t r = 0; r < n && mp_get_val(&c, &row) == 0; r++) {
		for (size_t i = 0; i < v->n_cols; i++) {
			size_t len = cell_len(&scratch, row, &v->cols[i]);

			if (len > width[i])
				width[i] = len;
		}
	}
	if (o->format != OUT_RAW)
		put_titles(o, v, width);
	c = rows;
	for (uint32_t r = 0; r < n && mp_get_val(&c, &row) == 0; r++)
		put_row(o, row, v, width);
	am_buf_done(&scratch);
}

static void
put_lines(struct out *o, struct am_val doc, const struct out_view *v)
{
	size_t width = 0;

	for (size_t i = 0; i < v->n_cols; i++) {
		size_t len = strlen(v->cols[i].title);

		if (len > width)
			width = len;
	}
	for (size_t i = 0; i < v->n_cols; i++) {
		buf_puts(&o->buf, v->cols[i].title);
		pad(&o->buf, width - strlen(v->cols[i].title) + 2);
		put_cell(&o->buf, doc, &v->cols[i]);
		buf_puts(&o->buf, "\n");
	}
}

static void
text_doc(struct out *o, struct am_val doc, struct am_val plain,
    const struct out_view *v)
{
	struct mp c = mp_of(doc);
	uint32_t n = 0;

	if (v == NULL || v == &out_bare) {
		out_put(&o->buf, plain, v != NULL || o->format == OUT_RAW);
		buf_puts(&o->buf, "\n");
	} else if (v->text != NULL) {
		am_cleanup(buf_donep) struct am_buf text = AM_BUF_INIT;

		v->text(&text, doc);
		put_shown_lines(&o->buf, text.data, text.len);
		o->buf.failed |= text.failed;
	} else if (mp_get_array(&c, &n) == 0) {
		put_table(o, c, n, v);
	} else {
		put_lines(o, doc, v);
	}
}

static void
text_item(struct out *o, struct am_val doc, struct am_val plain)
{
	(void)doc;
	out_put(&o->buf, plain, o->format == OUT_RAW);
	buf_puts(&o->buf, "\n");
}

/* The message on stderr is all that people need. */
static void
text_fail(struct out *o, const char *status, const char *code,
    const char *message)
{
	(void)o;
	(void)status;
	(void)code;
	(void)message;
}

const struct out_ops out_text_ops = {
	.doc = text_doc,
	.item = text_item,
	.fail = text_fail,
};
