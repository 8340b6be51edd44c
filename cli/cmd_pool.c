/* cmd_pool.c - what the supervisor says of itself: status, workers, ping. */
#include "cli/cmds.h"

#include "cli/session.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

static int
info(struct cli *c, const char *topic, const struct out_view *view)
{
	am_cleanup(session_done) struct session s = SESSION_INIT;
	int rc = super_open(c, &s);

	if (rc == EX_OK)
		rc = super_info(c, &s, topic, AM_NONE);
	if (rc != EX_OK)
		return rc;
	return cli_print(c, am_buf_val(&s.call.value),
	    am_buf_val(&s.call.value), view);
}

static void
status_line(struct am_buf *out, struct am_val doc, const char *key)
{
	struct am_val v;

	if (am_get(doc, key, &v) < 0)
		return;
	buf_printf(out, "%-9s ", key);
	out_put(out, v, true);
	buf_putc(out, '\n');
}

static long long
number(struct am_val map, const char *key)
{
	int64_t n = 0;

	(void)am_get_int(map, key, &n);
	return (long long)n;
}

static void
status_pool(struct am_buf *out, struct am_val pool)
{
	buf_printf(out, "%-9s %lld ready (%lld idle, %lld leased), ", "pool",
	    number(pool, "ready"), number(pool, "idle"),
	    number(pool, "leased"));
	buf_printf(out, "%lld starting, %lld clients waiting; ",
	    number(pool, "starting"), number(pool, "waiting"));
	buf_printf(out, "min %lld, warm %lld, max %lld\n", number(pool, "min"),
	    number(pool, "warm"), number(pool, "max"));
}

static void
status_text(struct am_buf *out, struct am_val doc)
{
	struct am_val pool = AM_NONE;
	bool ready = false;
	double uptime = 0;

	status_line(out, doc, "instance");
	status_line(out, doc, "kind");
	status_line(out, doc, "machine");
	(void)am_get_bool(doc, "ready", &ready);
	buf_printf(out, "%-9s %s\n", "ready", ready ? "yes" : "no");
	(void)am_get(doc, "pool", &pool);
	status_pool(out, pool);
	(void)am_get_double(doc, "uptime_s", &uptime);
	buf_printf(out, "%-9s ", "uptime");
	out_put_time(out, uptime);
	buf_putc(out, '\n');
	status_line(out, doc, "version");
	status_line(out, doc, "message");
}

int
cmd_status(struct cli *c)
{
	static const struct out_view view = { .text = status_text };

	return info(c, "status", &view);
}

int
cmd_workers(struct cli *c)
{
	static const struct out_col cols[] = {
		{ "id", "ID", COL_TEXT },
		{ "pid", "PID", COL_TEXT },
		{ "state", "STATE", COL_TEXT },
		{ "lease", "LEASE", COL_TEXT },
		{ "requests", "REQUESTS", COL_TEXT },
		{ "errors", "ERRORS", COL_TEXT },
		{ "uptime_s", "UPTIME", COL_TIME },
	};
	static const struct out_view view = { .cols = cols,
		.n_cols = sizeof(cols) / sizeof(*cols) };

	return info(c, "workers", &view);
}

static void
ping_text(struct am_buf *out, struct am_val doc)
{
	struct am_val machine = AM_NONE;
	double ms = 0;

	(void)am_get(doc, "machine", &machine);
	(void)am_get_double(doc, "ms", &ms);
	out_put(out, machine, true);
	buf_printf(out, " answered in %.3f ms\n", ms);
}

int
cmd_ping(struct cli *c)
{
	static const struct out_view view = { .text = ping_text };
	am_cleanup(session_done) struct session s = SESSION_INIT;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	int64_t t0;
	int64_t us;
	int rc = super_open(c, &s);

	if (rc != EX_OK)
		return rc;
	t0 = clock_ns();
	rc = session_sync(&s, cli_io_deadline(c));
	if (rc < 0 || s.call.status != NETMACH_OK)
		return session_fail(c, &s, rc);
	us = (clock_ns() - t0) / 1000;
	am_put_map(&b, 3);
	am_put_str(&b, "machine");
	am_put_str(&b, am_machine_id(session_mirror(&s)));
	am_put_str(&b, "address");
	am_put_str(&b, s.address);
	am_put_str(&b, "ms");
	am_put_double(&b, (double)us / 1000);
	return cli_print(c, am_buf_val(&b), am_buf_val(&b), &view);
}
