#include "lib/machine/mach.h"

#include <stdarg.h>
#include <stdio.h>

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

/* Canceled transitions are common, so no printf here. */
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

/* The first of these that there is: a requirement neither active nor called;
 * an active state that removes it, best one that came out; a called one that
 * does; a requirement that did not come out. */
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
	for (size_t i = 0; i < tx->ev.n_called; i++)
		if (!bits_test(tx->target_set.w, tx->ev.called[i]))
			why_missing(tx, tx->ev.called[i]);
}
