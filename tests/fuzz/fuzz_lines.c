/* fuzz_lines.c - what a program writes to its host. The first byte says how much
 * comes with each read. Lines are those that the newlines make, wherever the
 * reads end, and what is taken of one is well-formed. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/exec/lines.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "proto/mp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 200 };

static int
on_name(const char *name, size_t len, void *arg)
{
	size_t *total = arg;

	*total += len;
	return memchr(name, '\0', len) != NULL;
}

static void
check_msg(const struct line_msg *m, const struct am_buf *buf)
{
	struct line_ready ready;
	struct am_error err;
	size_t total = 0;

	assert(memchr(m->code, '\0', sizeof(m->code)) != NULL);
	assert(memchr(m->text, '\0', sizeof(m->text)) != NULL);
	if (m->data.data != NULL)
		assert(mp_is_value(m->data));
	switch (m->kind) {
	case LINE_READY:
		if (line_parse_ready(am_buf_val(buf), &ready, &err) == 0)
			assert(ready.concurrency >= 1 &&
			    ready.concurrency <= LINE_CONCURRENCY_MAX);
		break;
	case LINE_ADD:
	case LINE_REMOVE:
		(void)line_each_name(m->names, on_name, &total);
		break;
	case LINE_ANSWER:
	case LINE_PROGRESS:
	case LINE_CHUNK:
		assert(m->data.data != NULL);
		break;
	case LINE_ERROR:
	case LINE_BAD_PART:
		assert(m->code[0] != '\0');
		assert(m->text[0] != '\0');
		break;
	case LINE_REFUSAL:
		assert(m->text[0] != '\0');
		break;
	case LINE_NOTHING:
	case LINE_PONG:
	case LINE_IDLE:
		break;
	}
}

/* In a block of its own, so that ASan sees a byte too far. */
static void
parse(const char *line, size_t len, bool is_long, struct am_buf *buf)
{
	am_cleanup(am_freep) char *copy = malloc(len + 1);
	struct am_error err = { "" };
	struct line_msg m;
	int r;

	assert(copy != NULL);
	memmove(copy + 1, line, len);
	r = is_long ? line_parse_long(copy + 1, len, MAX, buf, &m, &err)
		    : line_parse(copy + 1, len, buf, &m, &err);
	assert(r == 0 || r == -EBADMSG);
	if (r == 0)
		check_msg(&m, buf);
	else
		assert(err.text[0] != '\0');
}

/* The line that the text goes on with, or its beginning. Returns what is behind
 * it. */
static const char *
take_line(const char *p, const char *end, const char *line, size_t len,
    bool is_long)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));
	size_t want = (size_t)((nl != NULL ? nl : end) - p);

	assert(is_long == (want > MAX));
	assert(is_long ? len > MAX && len <= want : len == want);
	assert(memcmp(p, line, len) == 0);
	return nl != NULL ? nl + 1 : end;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	am_cleanup(buf_donep) struct am_buf buf = AM_BUF_INIT;
	struct line_in in = { .max = MAX };
	const char *p, *end, *line;
	size_t step, len, room;
	char *to;

	if (size == 0)
		return 0;
	step = data[0] + 1u;
	p = (const char *)data + 1;
	end = (const char *)data + size;
	for (const char *from = p; from < end; from += len) {
		int r;

		assert(line_in_room(&in, &to, &room) == 0);
		assert(room >= LINE_READ);
		len = (size_t)(end - from) < step ? (size_t)(end - from) : step;
		memcpy(to, from, len);
		line_in_put(&in, len);
		while ((r = line_in_next(&in, &line, &room)) != 0) {
			parse(line, room, r < 0, &buf);
			p = take_line(p, end, line, room, r < 0);
			line_in_drop(&in);
		}
	}
	/* What has no newline yet is no line. */
	assert((size_t)(end - p) <= MAX &&
	    (p == end || memchr(p, '\n', (size_t)(end - p)) == NULL));
	line_in_done(&in);
	return 0;
}
