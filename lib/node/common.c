#include "lib/node/common.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/sized.h"
#include "lib/base/text.h"
#include "lib/base/utf8.h"
#include "proto/arpc.h"
#include "proto/client.h"
#include "proto/mp.h"
#include "proto/worker.h"

int
node_error(struct am_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int
node_conf(void *to, size_t size, const void *from, struct am_error *err)
{
	int r = sized_copy(to, size, from);

	if (r == -EINVAL)
		return node_error(err, r,
		    "the size of conf is not set: it must begin with .size = "
		    "sizeof(conf)");
	if (r < 0)
		return node_error(err, r,
		    "conf sets members that this version of libamnode does not "
		    "know");
	return 0;
}

const char *
node_pulse_left(const struct am_machine *m)
{
	const struct am_schema *s = am_machine_schema(m);
	const struct am_state *row;
	const am_id *active;
	size_t n;

	active = am_active(m, &n);
	for (size_t i = 0; i < n; i++) {
		row = am_schema_state(s, active[i]);
		if (row != NULL && row->doc != NULL &&
		    strncmp(row->doc, "pulse:", 6) == 0)
			return row->name;
	}
	return NULL;
}

/* ---- failing handlers ---- */

enum { EXCEPTION = 0 };
static_assert((int)Wrk_Exception == EXCEPTION, "the first row of each table");
static_assert((int)Cli_Exception == EXCEPTION, "the first row of each table");

bool
node_is_failure(const struct am_event *ev, am_id timeout)
{
	for (size_t i = 0; i < ev->n_called; i++) {
		if (ev->called[i] != EXCEPTION && ev->called[i] != timeout)
			return false;
	}
	return true;
}

bool
node_error_held(const struct am_machine *m, am_id timeout)
{
	const struct am_state *row;
	const am_id *active;
	size_t n;

	active = am_active(m, &n);
	for (size_t i = 0; i < n; i++) {
		row = am_schema_state(am_machine_schema(m), active[i]);
		if (active[i] != timeout && active[i] != EXCEPTION &&
		    node_has(row->require.id, row->require.len, EXCEPTION))
			return true;
	}
	return false;
}

void
node_failure_over(struct am_machine *m, am_id timeout)
{
	const am_id states[] = { timeout, EXCEPTION };

	(void)am_remove(m, states, node_error_held(m, timeout) ? 1 : 2,
	    AM_NONE);
}

int64_t
node_ns(int64_t ms)
{
	return (ms < ARPC_DURATION_MAX_MS ? ms : ARPC_DURATION_MAX_MS) *
	    NS_PER_MS;
}

void
node_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}

void
node_get_text(struct am_val map, const char *key, char *buf, size_t size)
{
	const char *s = "";
	size_t len = 0;

	(void)am_get_str(map, key, &s, &len);
	utf8_copy(buf, size, s, len);
}

void
node_text(struct am_val v, char *buf, size_t size)
{
	struct mp c = mp_of(v);
	const char *s = "";
	size_t len = 0;

	(void)mp_get_str(&c, &s, &len);
	utf8_copy(buf, size, s, len);
}

void
node_put_text(struct am_buf *b, const char *key, const char *text)
{
	char shown[ARPC_TEXT_MAX];

	node_put_str(b, key, text_utf8(shown, sizeof(shown), text));
}
