#include "cli/output.h"

#include "lib/base/buf.h"
#include "proto/mp.h"

static void
put_line(struct out *o, struct am_val v)
{
	out_put(&o->buf, v, false);
	buf_puts(&o->buf, "\n");
}

static void
json_doc(struct out *o, struct am_val doc, struct am_val plain,
    const struct out_view *v)
{
	struct mp c = mp_of(doc);
	uint32_t n = 0;

	(void)plain;
	(void)v;
	if (o->format != OUT_NDJSON || mp_get_array(&c, &n) < 0) {
		put_line(o, doc);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct am_val e;

		if (mp_get_val(&c, &e) < 0)
			break;
		put_line(o, e);
	}
}

static void
json_item(struct out *o, struct am_val doc, struct am_val plain)
{
	(void)plain;
	put_line(o, doc);
}

static void
json_fail(struct out *o, const char *status, const char *code,
    const char *message)
{
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 2);
	am_put_str(&b, "status");
	am_put_str(&b, status);
	am_put_str(&b, "error");
	am_put_map(&b, 2);
	am_put_str(&b, "code");
	am_put_str(&b, code);
	am_put_str(&b, "message");
	am_put_str(&b, message);
	put_line(o, am_buf_val(&b));
	am_buf_done(&b);
}

const struct out_ops out_json_ops = {
	.doc = json_doc,
	.item = json_item,
	.fail = json_fail,
};
