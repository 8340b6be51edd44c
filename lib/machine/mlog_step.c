/* Steps of a transition, contexts of states, breakpoints: what is only kept, or
 * looked for, while there is a logger. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/machine/mlog.h"

/* ---- steps ---- */

void
mlog_step(const struct tx *tx, const char *fmt, ...)
{
	char text[3 * SCHEMA_NAME_MAX];
	va_list ap;

	if (!mlog_on(tx->m, AM_LOG_OPS))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_printf(&tx->m->logger->steps, "\n- %s", text);
}

static const char *
name_of(const struct tx *tx, am_id id)
{
	return tx->m->schema->row[id].name;
}

void
mlog_steps_begin(const struct tx *tx)
{
	const struct am_machine *m = tx->m;
	const struct am_event *ev = &tx->ev;

	am_buf_reset(&m->logger->steps);
	for (size_t i = 0; i < ev->n_called; i++)
		mlog_step(tx, "requested **%s**", name_of(tx, ev->called[i]));
	for (size_t i = 0; i < ev->n_called; i++) {
		am_id id = ev->called[i];

		if (ev->op == AM_REMOVE)
			mlog_step(tx, "remove **%s**", name_of(tx, id));
		else if (!bits_test(m->active, id))
			mlog_step(tx, "set **%s**", name_of(tx, id));
	}
	for (size_t i = 0; ev->op == AM_SET && i < m->n_active; i++)
		if (!bits_test(tx->called.w, m->order[i]))
			mlog_step(tx, "remove **%s**",
			    name_of(tx, m->order[i]));
}

static void
step_dropped(const struct tx *tx, am_id id)
{
	mlog_step(tx, "%s **%s**",
	    bits_test(tx->m->active, id) ? "remove" : "removenotactive",
	    name_of(tx, id));
}

void
mlog_step_missing(const struct tx *tx, am_id id, const uint64_t *set)
{
	const struct am_list *req = &tx->m->schema->row[id].require;

	for (size_t i = 0; i < req->len; i++)
		if (!bits_test(set, req->id[i]))
			mlog_step(tx, "**%s** require **%s**", name_of(tx, id),
			    name_of(tx, req->id[i]));
	step_dropped(tx, id);
}

void
mlog_step_blocked(const struct tx *tx, am_id id, const uint64_t *by)
{
	for (SET_EACH(other, by, tx->m->schema->nw))
		mlog_step(tx, "**%s** remove **%s**", name_of(tx, (am_id)other),
		    name_of(tx, id));
	step_dropped(tx, id);
}

void
mlog_step_implied(const struct tx *tx, const uint64_t *implied)
{
	const struct am_schema *s = tx->m->schema;

	for (size_t i = 0; i < tx->n_target; i++) {
		am_id id = tx->target[i];

		if (!bits_test(implied, id))
			continue;
		for (SET_EACH(other, tx->target_set.w, s->nw))
			if (bits_test(schema_rel(s, other, F_ADD), id))
				mlog_step(tx, "**%s** add **%s**",
				    name_of(tx, (am_id)other), name_of(tx, id));
		mlog_step(tx, "set **%s**", name_of(tx, id));
	}
}

void
mlog_step_cancel(const struct tx *tx)
{
	for (size_t i = 0; i < tx->ev.n_called; i++)
		mlog_step(tx, "cancel **%s**", name_of(tx, tx->ev.called[i]));
}

const char *
mlog_steps(const struct am_machine *m)
{
	return buf_text(&m->logger->steps);
}

/* ---- contexts: values that nobody registers, so the first one is told ---- */

static void
ctx_line(const struct am_machine *m, const char *what, am_id state)
{
	struct am_buf b;

	mlog_begin(m, &b);
	buf_printf(&b, "[ctx:%s] %s", what, m->schema->row[state].name);
	mlog_end(m, AM_LOG_OPS, &b);
}

void
mlog_ctx_new(const struct am_machine *m, am_id state)
{
	uint64_t *ctx = m->logger->ctx.w;

	if (!mlog_on(m, AM_LOG_OPS) || bits_test(ctx, state))
		return;
	bits_set(ctx, state);
	ctx_line(m, "new", state);
}

void
mlog_ctx_ended(const struct am_machine *m, const uint64_t *ticked)
{
	uint64_t *ctx = m->logger->ctx.w;

	for (SET_EACH(id, ticked, m->schema->nw)) {
		if (!bits_test(ctx, id))
			continue;
		bits_clear(ctx, id);
		ctx_line(m, "match", (am_id)id);
	}
}

/* ---- breakpoints ---- */

int
am_breakpoint(struct am_machine *m, enum am_op op, const am_id *states,
    size_t n)
{
	bool ok = (op == AM_ADD || op == AM_REMOVE) && n > 0 &&
	    n <= m->schema->len;
	struct breakpoint *bp;

	if (m->logger == NULL)
		return -EINVAL;
	for (size_t i = 0; ok && i < n; i++)
		ok = states[i] < m->schema->len;
	if (!ok) {
		mlog_line(m, AM_LOG_OPS, "[breakpoint] invalid");
		return -EINVAL;
	}
	bp = malloc(sizeof(*bp) + n * sizeof(*states));
	if (bp == NULL)
		return -ENOMEM;
	bp->op = op;
	bp->n = n;
	memcpy(bp->states, states, n * sizeof(*states));
	bp->next = m->logger->breakpoint;
	m->logger->breakpoint = bp;
	return 0;
}

/* For debuggers to stop at: what it is called by is of interest. */
__attribute__((noinline)) void
am_on_breakpoint(const struct am_machine *m)
{
	__asm__ volatile("" : : "r"(m));
}

void
mlog_breakpoint(struct am_machine *m, const struct request *rq)
{
	for (struct breakpoint *bp = m->logger->breakpoint; bp != NULL;
	     bp = bp->next) {
		if (bp->op != rq->op || bp->n != rq->n_called ||
		    memcmp(bp->states, rq->called,
			bp->n * sizeof(bp->states[0])) != 0)
			continue;
		mlog_line(m, AM_LOG_CHANGES, "[breakpoint] Machine.breakpoint");
		am_on_breakpoint(m);
		return;
	}
}
