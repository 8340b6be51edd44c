/* rig.h - a machine under test, with a log of what it did. */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "tests/unit/unit.h"

struct rig {
	struct am_schema *s;
	struct am_machine *m;
	struct am_buf log; /* "+A B", "-A", "=A", "?A"; " canceled (why)" */
	struct am_buf text;
	size_t drains;
};

static inline void AM_PRINTF(2, 3) rig_say(struct rig *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->log.len > 0)
		buf_puts(&r->log, ", ");
	buf_puts(&r->log, text);
}

static inline void
rig_on_transition(struct am_machine *m, const struct am_transition *t,
    void *arg)
{
	struct rig *r = arg;
	char line[512];
	size_t len;

	len = (size_t)snprintf(line, sizeof(line), "%s%s",
	    t->automatic ? "auto " : "",
	    t->check                 ? "?"
		: t->op == AM_ADD    ? "+"
		: t->op == AM_REMOVE ? "-"
				     : "=");
	for (size_t i = 0; i < t->n_called; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s",
		    i > 0 ? " " : "",
		    am_schema_name(am_machine_schema(m), t->called[i]));
	if (!t->accepted)
		(void)snprintf(line + len, sizeof(line) - len, " canceled (%s)",
		    t->why);
	rig_say(r, "%s", line);
}

static inline void
rig_on_drain_end(struct am_machine *m, void *arg)
{
	struct rig *r = arg;

	ck_assert(!am_draining(m));
	r->drains++;
}

/* Takes the schema. */
static inline struct rig *
rig_of(struct am_schema *s)
{
	static const struct am_tracer tracer = {
		.size = sizeof(tracer),
		.transition_end = rig_on_transition,
		.drain_end = rig_on_drain_end,
	};
	struct rig *r = calloc(1, sizeof(*r));

	ck_assert_ptr_nonnull(r);
	ck_assert_ptr_nonnull(s);
	r->s = s;
	r->m = am_machine_new(s, "rig");
	ck_assert_ptr_nonnull(r->m);
	ck_assert_int_eq(am_trace(r->m, &tracer, r), 0);
	return r;
}

/* Of rows in JSON. */
static inline struct am_schema *
rig_schema(const char *states)
{
	struct am_error err = { "" };
	char json[4096];
	struct am_schema *s;

	(void)snprintf(json, sizeof(json), "{\"states\":[%s]}", states);
	s = am_schema_from_json(json, strlen(json), NULL, &err);
	ck_assert_msg(s != NULL, "%s", err.text);
	return s;
}

static inline struct rig *
rig_json(const char *states)
{
	return rig_of(rig_schema(states));
}

static inline struct rig *
rig_table(const struct am_states *t)
{
	return rig_of(am_schema_new(t, NULL));
}

static inline void
rig_free(struct rig *r)
{
	am_machine_free(r->m);
	am_schema_unref(r->s);
	am_buf_done(&r->log);
	am_buf_done(&r->text);
	free(r);
}

/* What was logged since the last call. */
static inline const char *
rig_log(struct rig *r)
{
	am_buf_reset(&r->text);
	buf_append(&r->text, r->log.data, r->log.len);
	am_buf_reset(&r->log);
	return buf_text(&r->text);
}

/* The active states in order of ids: "A B". */
static inline const char *
rig_active(struct rig *r)
{
	am_buf_reset(&r->text);
	for (am_id i = 0; i < am_schema_len(r->s); i++)
		if (am_is1(r->m, i))
			buf_printf(&r->text, "%s%s", r->text.len > 0 ? " " : "",
			    am_schema_name(r->s, i));
	return buf_text(&r->text);
}

/* A handler for which two milliseconds are not enough; the clock is coarse. */
static inline void
rig_take_long(struct am_event *ev)
{
	int64_t end = clock_ns() + 30 * NS_PER_MS;

	(void)ev;
	while (clock_ns() < end)
		;
}

#define RIG_IDS(...) ((const am_id[]){ __VA_ARGS__ })
#define RIG_LIST(...)                                                          \
	RIG_IDS(__VA_ARGS__), sizeof(RIG_IDS(__VA_ARGS__)) / sizeof(am_id)

#endif
