#include "daemon/exec/lines.h"

#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

void
line_put_request(struct am_buf *b, uint64_t req, const char *args_json,
    size_t len, int64_t deadline_ms)
{
	buf_printf(b,
	    "{\"req\":%" PRIu64 ",\"add\":[\"WorkRequested\"],\"args\":", req);
	if (len > 0)
		buf_append(b, args_json, len);
	else
		buf_puts(b, "{}");
	if (deadline_ms >= 0)
		buf_printf(b, ",\"deadline_ms\":%" PRId64, deadline_ms);
	buf_puts(b, "}\n");
}

void
line_put_cancel(struct am_buf *b, uint64_t req)
{
	buf_printf(b, "{\"cancel\":%" PRIu64 "}\n", req);
}

void
line_put_ping(struct am_buf *b)
{
	buf_puts(b, "{\"ping\":1}\n");
}

static void
put_string(struct am_buf *b, const char *s)
{
	am_cleanup(buf_donep) struct am_buf v = AM_BUF_INIT;
	size_t before = b->len;

	am_put_str(&v, s);
	if (am_json_encode(am_buf_val(&v), b, NULL) < 0) {
		/* No UTF-8: the line matters more than the text. */
		b->len = before;
		buf_puts(b, "\"\"");
	}
}

void
line_put_lease_begin(struct am_buf *b, const char *client)
{
	buf_puts(b, "{\"lease\":\"begin\",\"client\":");
	put_string(b, client != NULL ? client : "");
	buf_puts(b, "}\n");
}

void
line_put_lease_end(struct am_buf *b)
{
	buf_puts(b, "{\"lease\":\"end\"}\n");
}

void
line_put_stop(struct am_buf *b, const char *reason)
{
	buf_puts(b, "{\"stop\":");
	put_string(b, reason);
	buf_puts(b, "}\n");
}
