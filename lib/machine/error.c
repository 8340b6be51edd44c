/* The reasons of canceled mutations and failed handlers. */
#include "lib/machine/mlog.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the reasons of a transition ---- */

static void
put(struct tx *tx, const char *text)
{
	size_t room = sizeof(tx->why) - 1 - tx->why_len;
	size_t len = strnlen(text, room);

	memcpy(tx->why + tx->why_len, text, len);
	tx->why_len += len;
	tx->why[tx->why_len] = '\0';
}

void
why_add(struct tx *tx, const char *fmt, ...)
{
	char text[WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (tx->why_len > 0)
		put(tx, "; ");
	put(tx, text);
}

/* No printf here: canceled transitions are common. */
static bool
name_all(struct tx *tx, am_id id, const char *verb, const uint64_t *set)
{
	const struct am_schema *s = tx->m->schema;

	if (!bits_any(set, s->nw))
		return false;
	if (tx->why_len > 0)
		put(tx, "; ");
	put(tx, s->row[id].name);
	put(tx, verb);
	for (SET_EACH(other, set, s->nw)) {
		put(tx, " ");
		put(tx, s->row[other].name);
	}
	return true;
}

/* Names the first of these: a requirement that is neither active nor called; an
 * active state that removes it, preferably one that stays; a called state that
 * removes it; a requirement that is not in the target. */
static void
why_missing(struct tx *tx, am_id id)
{
	const struct am_machine *m = tx->m;
	const struct am_schema *s = m->schema;
	const uint64_t *req = schema_rel(s, id, F_REQ);
	const uint64_t *remby = schema_rel(s, id, F_REMBY);
	struct set never, stayed, before, now, lost;

	for (size_t i = 0; i < s->nw; i++) {
		never.w[i] = req[i] & ~m->active[i] & ~tx->called.w[i];
		before.w[i] = remby[i] & m->active[i];
		stayed.w[i] = before.w[i] & tx->target_set.w[i];
		now.w[i] = remby[i] & (tx->target_set.w[i] | tx->called.w[i]);
		lost.w[i] = req[i] & ~tx->target_set.w[i];
	}
	if (!name_all(tx, id, " requires", never.w) &&
	    !name_all(tx, id, " removed by", stayed.w) &&
	    !name_all(tx, id, " removed by", before.w) &&
	    !name_all(tx, id, " removed by", now.w))
		(void)name_all(tx, id, " requires", lost.w);
}

void
why_relations(struct tx *tx)
{
	for (size_t i = 0; i < tx->rq.n_called; i++)
		if (!bits_test(tx->target_set.w, tx->rq.called[i]))
			why_missing(tx, tx->rq.called[i]);
}

/* ---- the reasons of the machine ---- */

void
mach_set_why(struct am_machine *m, const char *text)
{
	free(m->why);
	m->why = text != NULL ? strdup(text) : NULL;
}

void
mach_error(struct am_machine *m, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return;
	free(m->last_error);
	m->last_error = copy;
}

/* ---- failed handlers ---- */

/* Without memory only am_last_error() has the failure. */
static void
prepend_exception(struct tx *tx, const char *handler, const char *text)
{
	const struct am_schema *s = tx->m->schema;
	struct am_buf args = AM_BUF_INIT;
	am_id called[2];
	struct request rq = {
		.op = AM_ADD,
		.called = called,
		.source = tx->rq.source,
	};

	am_put_map(&args, 2);
	am_put_str(&args, "err");
	am_put_str(&args, text);
	am_put_str(&args, "handler");
	am_put_str(&args, handler);
	if (tx->timeout && s->handler_timeout >= 0)
		called[rq.n_called++] = (am_id)s->handler_timeout;
	called[rq.n_called++] = s->exception;
	rq.args = am_buf_val(&args);
	(void)mach_enqueue(tx->m, &rq, 0);
	am_buf_done(&args);
}

/* A transition that called Exception adds no other one. */
void
error_of_handler(struct tx *tx, const char *handler, bool is_final,
    const char *text, bool timeout)
{
	struct am_machine *m = tx->m;

	tx->failing = true;
	m->failures++;
	why_add(tx, "%s failed%s: %s", handler, is_final ? ", rolled back" : "",
	    text);
	if (has_called(&tx->rq, m->schema->exception))
		return;
	mach_error(m, text);
	tx->timeout = timeout;
	if (m->logger != NULL)
		mlog_failing(tx);
	prepend_exception(tx, handler, text);
}
