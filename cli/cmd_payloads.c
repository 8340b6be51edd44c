/* cmd_payloads.c - what waits in the worker's outbox, and what comes. */
#include "cli/cmds.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/lease.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "proto/mp.h"

/* One of the array that info gave, as the document of it. 0, or -EBADMSG. */
static int
put_payload(struct am_val v, struct am_buf *b, uint64_t *ret_seq)
{
	static const char *const rest[] = { "kind", "name", "source", "data" };
	struct mp c = mp_of(v);
	uint32_t n = 0;
	uint64_t seq = 0;
	uint64_t req = 0;

	if (mp_get_array(&c, &n) < 0 || n != 6 ||
	    mp_get_uint(&c, UINT64_MAX, &seq) < 0 ||
	    mp_get_uint(&c, UINT32_MAX, &req) < 0)
		return -EBADMSG;
	am_put_map(b, 6);
	am_put_str(b, "seq");
	am_put_uint(b, seq);
	am_put_str(b, "req");
	am_put_uint(b, req);
	for (size_t i = 0; i < sizeof(rest) / sizeof(*rest); i++) {
		struct am_val part;

		if (mp_get_val(&c, &part) < 0)
			return -EBADMSG;
		am_put_str(b, rest[i]);
		am_put_val(b, part);
	}
	*ret_seq = seq;
	return 0;
}

/* Asks once. The documents are appended to docs, *since moves on. Returns how
 * many, or an exit code negated after a message. */
static int
fetch(struct cli *c, struct attach *a, uint64_t *since, struct am_buf *docs)
{
	am_cleanup(buf_donep) struct am_buf p = AM_BUF_INIT;
	struct session_call *call = &a->s.call;
	struct mp cur;
	uint32_t n = 0;
	int rc;

	am_put_uint(&p, *since);
	rc = session_info(&a->s, "payloads", am_buf_val(&p),
	    cli_io_deadline(c));
	if (rc < 0 || call->status != NETMACH_OK)
		return -attach_fail(c, a, rc);
	cur = mp_of(am_buf_val(&call->value));
	(void)mp_get_array(&cur, &n);
	for (uint32_t i = 0; i < n; i++) {
		struct am_val v;
		uint64_t seq = 0;

		if (mp_get_val(&cur, &v) < 0 || put_payload(v, docs, &seq) < 0)
			return -cli_fail(c, EX_FAILED, "protocol",
			    "the worker's answer cannot be understood");
		if (seq > *since)
			*since = seq;
	}
	return (int)n;
}

/* The worker sends as many as fit into a frame. */
static int
fetch_all(struct cli *c, struct attach *a, uint64_t since, struct am_buf *docs)
{
	int all = 0;
	int n;

	do {
		n = fetch(c, a, &since, docs);
		all += n > 0 ? n : 0;
	} while (n > 0);
	return n < 0 ? n : all;
}

/* What was written is acknowledged, and leaves the outbox. */
static int
ack_all(struct cli *c, struct attach *a, const struct am_buf *docs, int n)
{
	struct mp cur = mp_of(am_buf_val(docs));

	if (out_flush(&c->out) < 0)
		return EX_FAILED;
	for (int i = 0; i < n; i++) {
		struct am_val doc;
		int64_t seq = 0;

		if (mp_get_val(&cur, &doc) == 0 &&
		    am_get_int(doc, "seq", &seq) == 0)
			netmach_ack(a->s.nm, (uint64_t)seq);
	}
	return EX_OK;
}

static int
print_items(struct cli *c, const struct am_buf *docs, int n)
{
	struct mp cur = mp_of(am_buf_val(docs));

	for (int i = 0; i < n; i++) {
		struct am_val doc;

		if (mp_get_val(&cur, &doc) < 0 ||
		    out_item(&c->out, doc, doc) != 0)
			return cli_fail(c, EX_MISSING, "no_field",
			    "there is no field \"%s\" in a payload",
			    c->out.field);
	}
	return EX_OK;
}

static int
print_array(struct cli *c, const struct am_buf *docs, int n)
{
	static const struct out_col cols[] = {
		{ "seq", "SEQ", COL_TEXT },
		{ "req", "REQ", COL_TEXT },
		{ "kind", "KIND", COL_TEXT },
		{ "name", "NAME", COL_TEXT },
		{ "source", "SOURCE", COL_TEXT },
		{ "data", "DATA", COL_TEXT },
	};
	static const struct out_view view = { .cols = cols,
		.n_cols = sizeof(cols) / sizeof(*cols) };
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	am_put_array(&b, (size_t)n);
	buf_append(&b, docs->data, docs->len);
	return cli_print(c, am_buf_val(&b), am_buf_val(&b), &view);
}

static int
follow(struct cli *c, struct attach *a, uint64_t since)
{
	for (;;) {
		am_cleanup(buf_donep) struct am_buf docs = AM_BUF_INIT;
		unsigned updates = a->s.updates;
		int n = fetch(c, a, &since, &docs);
		int rc;

		if (n < 0)
			return -n;
		rc = print_items(c, &docs, n);
		if (rc == EX_OK)
			rc = ack_all(c, a, &docs, n);
		if (rc != EX_OK)
			return rc;
		/* Each payload is a tick of ClientSendPayload. */
		rc = session_wait_update(&a->s, updates, cli_wait_deadline(c));
		if (rc == -ETIMEDOUT)
			return cli_fail(c, EX_TIMEOUT, "timeout",
			    "the time to follow is over");
		if (rc < 0)
			return attach_fail(c, a, rc);
	}
}

int
cmd_payloads(struct cli *c)
{
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	am_cleanup(buf_donep) struct am_buf docs = AM_BUF_INIT;
	uint64_t since = cli_has(c, OPT_SINCE)
	    ? (uint64_t)c->opts.num[OPT_SINCE]
	    : 0;
	int n;
	int rc;

	if (cli_has(c, OPT_SUPER))
		return cli_fail(c, EX_USAGE, "usage",
		    "a supervisor has no payloads");
	rc = attach_open(c, &a);
	if (rc != EX_OK)
		return rc;
	if (cli_has(c, OPT_FOLLOW))
		return follow(c, &a, since);
	n = fetch_all(c, &a, since, &docs);
	if (n < 0)
		return -n;
	rc = print_array(c, &docs, n);
	return rc == EX_OK ? ack_all(c, &a, &docs, n) : rc;
}
