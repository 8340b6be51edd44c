/* fuzz_json.c - text of a user, as libFuzzer makes it. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "proto/mp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
assert_same(const struct am_buf *a, const struct am_buf *b)
{
	assert(a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
}

/* What was taken comes back as it went. */
static void
check_round(const struct am_buf *val)
{
	am_cleanup(buf_donep) struct am_buf text = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf again = AM_BUF_INIT;

	assert(mp_is_value(am_buf_val(val)));
	assert(am_json_encode(am_buf_val(val), &text, NULL) == 0);
	assert(am_json_decode(text.data, text.len, &again, NULL) == 0);
	assert_same(val, &again);
}

/* A salvage takes all that is JSON, changes none of it, and makes a value of
 * what it can. */
static void
check_salvage(const char *text, size_t len, int decoded,
    const struct am_buf *val)
{
	am_cleanup(buf_donep) struct am_buf out = AM_BUF_INIT;
	struct am_error err = { "" };
	int r = json_salvage(text, len, 0, &out, &err);

	assert((r == 0) == (decoded == 0));
	assert((r == 0) == (err.text[0] == '\0'));
	if (r == 0)
		assert_same(val, &out);
	else if (r > 0)
		assert(mp_is_value(am_buf_val(&out)));
	else
		assert(r == -EINVAL && out.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	am_cleanup(buf_donep) struct am_buf val = AM_BUF_INIT;
	am_cleanup(am_freep) char *text = malloc(size + 1);
	struct am_error err = { "" };
	int r;

	/* At the end of a block, so that ASan sees a byte too far. */
	assert(text != NULL);
	memcpy(text + 1, data, size);
	r = am_json_decode(text + 1, size, &val, &err);
	assert(r == 0 || (r == -EINVAL && err.text[0] != '\0' && val.len == 0));
	if (r == 0)
		check_round(&val);
	check_salvage(text + 1, size, r, &val);
	return 0;
}
