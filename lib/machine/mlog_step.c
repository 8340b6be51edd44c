/* Steps of a transition, contexts of states, breakpoints: what exists only
 * while there is a logger. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/machine/mlog.h"

/* ---- steps ---- */

static const char *
name_of(const struct tx *tx, am_id id)
{
	return tx->m->schema->row[id].name;
}

static void AM_PRINTF(2, 3) put_step(const struct tx *tx, const char *fmt, ...)
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

void
mlog_steps_begin(const struct tx *tx)
{
	const struct request *rq = &tx->rq;

	am_buf_reset(&tx->m->logger->steps);
	for (size_t i = 0; i < rq->n_called; i++)
		mlog_step(tx, "called", rq->called[i]);
	for (size_t i = 0; rq->op == AM_REMOVE && i < rq->n_called; i++)
		mlog_step(tx, "deactivate", rq->called[i]);
}

void
mlog_step(const struct tx *tx, const char *what, am_id id)
{
	if (!tx->rq.check)
		put_step(tx, "%s **%s**", what, name_of(tx, id));
}

void
mlog_step_set(const struct tx *tx, const am_id *list, size_t n)
{
	const struct am_machine *m = tx->m;

	for (size_t i = 0; i < n; i++)
		if (!bits_test(m->active, list[i]))
			mlog_step(tx, "activate", list[i]);
	for (size_t i = 0; tx->rq.op == AM_SET && i < m->n_active; i++)
		if (!bits_test(tx->called.w, m->order[i]))
			mlog_step(tx, "deactivate", m->order[i]);
}

void
mlog_step_relation(const struct tx *tx, am_id from, const char *relation,
    am_id to)
{
	if (!tx->rq.check)
		put_step(tx, "**%s** %s **%s**", name_of(tx, from), relation,
		    name_of(tx, to));
}

void
mlog_step_add(const struct tx *tx, am_id from, const am_id *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_step(tx, "**%s** add **%s**", name_of(tx, from),
		    name_of(tx, list[i]));
	for (size_t i = 0; i < n; i++)
		put_step(tx, "activate **%s**", name_of(tx, list[i]));
}

static bool
is_in(const struct am_list *l, am_id id)
{
	for (size_t i = 0; i < l->len; i++)
		if (l->id[i] == id)
			return true;
	return false;
}

void
mlog_step_compared(const struct tx *tx, am_id a, am_id b)
{
	const struct am_state *row = tx->m->schema->row;

	if (is_in(&row[a].after, b))
		mlog_step_relation(tx, b, "after", a);
	else if (is_in(&row[b].after, a))
		mlog_step_relation(tx, a, "after", b);
}

void
mlog_step_handler(const struct tx *tx, const char *first, const char *second,
    const char *suffix)
{
	const char *mark = second[0] != '\0' ? "**" : "";

	put_step(tx, "handler **%s**%s%s%s%s", first, mark, second, mark,
	    suffix);
}

const char *
mlog_steps(const struct am_machine *m)
{
	return buf_text(&m->logger->steps);
}

/* ---- contexts: plain values, so only the first one is logged ---- */

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

/* For debuggers to stop at, to see the callers. */
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
