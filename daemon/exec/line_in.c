#include "daemon/exec/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
line_in_done(struct line_in *in)
{
	free(in->data);
	*in = (struct line_in){ .max = in->max };
}

void
line_buf_reset(struct am_buf *b)
{
	if (b->cap > LINE_KEEP)
		am_buf_done(b);
	else
		am_buf_reset(b);
}

int
line_in_room(struct line_in *in, char **ret_p, size_t *ret_len)
{
	if (in->start > 0) {
		memmove(in->data, in->data + in->start, in->len - in->start);
		in->len -= in->start;
		in->scanned -= in->start;
		in->start = 0;
	}
	if (in->cap - in->len < LINE_READ) {
		/* The reader stops at an over-long line, so this is bounded by
		 * twice its limit. */
		size_t cap = in->cap == 0 ? LINE_READ : in->cap * 2;
		char *data = realloc(in->data, cap);

		if (data == NULL)
			return -ENOMEM;
		in->data = data;
		in->cap = cap;
	}
	*ret_p = in->data + in->len;
	*ret_len = in->cap - in->len;
	return 0;
}

void
line_in_put(struct line_in *in, size_t n)
{
	in->len += n;
}

/* False: the line that is skipped does not end here. */
static bool
skip_rest(struct line_in *in)
{
	const char *end = memchr(in->data + in->start, '\n',
	    in->len - in->start);

	in->start = end != NULL ? (size_t)(end - in->data) + 1 : in->len;
	in->scanned = in->start;
	in->is_skipping = end == NULL;
	return end != NULL;
}

int
line_in_next(struct line_in *in, const char **ret_line, size_t *ret_len)
{
	const char *line;
	const char *end = NULL;
	size_t len;

	if (in->data == NULL || (in->is_skipping && !skip_rest(in)))
		return 0;
	line = in->data + in->start;
	if (in->scanned < in->len)
		end = memchr(in->data + in->scanned, '\n',
		    in->len - in->scanned);
	len = end != NULL ? (size_t)(end - line) : in->len - in->start;
	/* The newline stays unscanned until the line is dropped. */
	in->scanned = in->start + len;
	if (end == NULL && len <= in->max)
		return 0;
	*ret_line = line;
	*ret_len = len;
	return len > in->max ? -EMSGSIZE : 1;
}

void
line_in_drop(struct line_in *in)
{
	/* Only one that is too long is dropped before its newline is there. */
	in->is_skipping = in->scanned == in->len;
	in->start = in->scanned + 1;
	in->scanned = in->start;
	if (in->start < in->len)
		return;
	in->start = 0;
	in->scanned = 0;
	in->len = 0;
	if (in->cap <= LINE_KEEP)
		return;
	free(in->data);
	in->data = NULL;
	in->cap = 0;
}
