/* The lines of mutations, transitions and subscriptions. */
#include "lib/machine/mlog.h"

#include "lib/base/buf.h"
#include "lib/machine/args.h"
#include "lib/machine/sub.h"
#include "proto/mp.h"

/* ---- the queue ---- */

static void
mlog_postponed(struct am_machine *m, size_t n)
{
	if (m->draining)
		mlog_line(m, AM_LOG_OPS,
		    "[postpone] queue running (%zu item%s)", n,
		    n == 1 ? "" : "s");
}

void
mlog_queued(struct am_machine *m, const struct request *rq, bool in_front)
{
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_OPS))
		return;
	mlog_begin(m, &b);
	buf_printf(&b, "[%s:%s] ", in_front ? "prepend" : "queue",
	    am_op_name(rq->op));
	mlog_names(m, &b, "", rq->called, rq->n_called);
	mlog_args(m, &b, rq->args);
	mlog_end(m, AM_LOG_OPS, &b);
	mlog_postponed(m, m->queue.len + rq->automatic);
}

void
mlog_eval_queued(struct am_machine *m, const char *source)
{
	mlog_line(m, AM_LOG_OPS, "[eval] %s", source);
	mlog_line(m, AM_LOG_OPS, "[prepend:eval] ");
	mlog_postponed(m, m->queue.len);
}

void
mlog_duplicate(struct am_machine *m, const struct request *rq)
{
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_OPS))
		return;
	mlog_begin(m, &b);
	buf_printf(&b, "[queue:skipped] Duplicate detected for [%s] ",
	    am_op_name(rq->op));
	mlog_names(m, &b, "", rq->called, rq->n_called);
	mlog_end(m, AM_LOG_OPS, &b);
}

/* ---- a transition ---- */

void
mlog_start(const struct tx *tx)
{
	const struct am_machine *m = tx->m;
	const struct request *rq = &tx->rq;
	enum am_log_level level = rq->automatic ? AM_LOG_DECISIONS : AM_LOG_OPS;
	struct am_buf b;

	mlog_steps_begin(tx);
	if (!mlog_on(m, level))
		return;
	mlog_begin(m, &b);
	buf_printf(&b, "[%s%s] ", am_op_name(rq->op),
	    rq->automatic ? ":auto" : "");
	mlog_names(m, &b, "", rq->called, rq->n_called);
	mlog_args(m, &b, rq->args);
	mlog_end(m, level, &b);
	if (tx->rq.from != NULL)
		mlog_line(tx->m, AM_LOG_OPS, "[source] %s/%llu/%llu",
		    tx->rq.from->machine,
		    (unsigned long long)tx->rq.from->transition,
		    (unsigned long long)tx->rq.from->time);
}

void
mlog_not_accepted(const struct tx *tx)
{
	const struct am_machine *m = tx->m;
	const struct request *rq = &tx->rq;
	struct set lost;
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_OPS))
		return;
	bits_copy(lost.w, tx->called.w, m->schema->nw);
	bits_and_not(lost.w, tx->target_set.w, m->schema->nw);
	mlog_begin(m, &b);
	buf_puts(&b, "[cancel:reject]");
	(void)mlog_some(m, &b, " ", rq->called, rq->n_called, lost.w);
	mlog_end(m, AM_LOG_OPS, &b);
	for (size_t i = 0; i < rq->n_called; i++)
		if (bits_test(lost.w, rq->called[i]))
			mlog_step(tx, "cancel", rq->called[i]);
}

static const char *
binding_name(const struct am_machine *m, size_t binding)
{
	const char *name = m->binding[binding].table->h->name;

	return name != NULL ? name : "handlers";
}

void
mlog_handle(const struct tx *tx, size_t binding, const char *name)
{
	mlog_line(tx->m, AM_LOG_EVERYTHING, "[handle:%s] %s",
	    binding_name(tx->m, binding), name);
}

void
mlog_handler_invalid(const struct tx *tx, size_t binding, const char *name)
{
	mlog_handle(tx, binding, name);
	mlog_line(tx->m, AM_LOG_DECISIONS, "[handler:invalid] %s", name);
}

void
mlog_handler_timeout(const struct tx *tx, size_t binding, const char *name)
{
	mlog_line(tx->m, AM_LOG_DECISIONS, "[handler:timeout]: %s from %s",
	    name, binding_name(tx->m, binding));
}

void
mlog_handler(const struct tx *tx, size_t binding, const char *name)
{
	mlog_handle(tx, binding, name);
	mlog_line(tx->m, AM_LOG_OPS, "[handler:%zu] %s", binding, name);
}

void
mlog_handler_end(const struct tx *tx, size_t binding, const char *name)
{
	mlog_line(tx->m, AM_LOG_EVERYTHING, "[handler:end] %s from %s", name,
	    binding_name(tx->m, binding));
}

/* The names of list, except those of `not`. */
static void
put_list(const struct am_machine *m, struct am_buf *b, const am_id *list,
    size_t n, const uint64_t * not )
{
	const char *sep = "";

	for (size_t i = 0; i < n; i++) {
		if (bits_test(not, list[i]))
			continue;
		buf_printf(b, "%s%s", sep, m->schema->row[list[i]].name);
		sep = " ";
	}
}

/* "[cancel] (A B) by NAME"; label is the word in the brackets. */
static void
mlog_cancel(const struct tx *tx, const char *label, const char *by)
{
	const struct am_machine *m = tx->m;
	struct set out;
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_OPS))
		return;
	for (size_t i = 0; i < m->schema->nw; i++)
		out.w[i] = ~tx->target_set.w[i];
	mlog_begin(m, &b);
	buf_printf(&b, "[%s] (", label);
	put_list(m, &b, tx->target, tx->n_target, out.w);
	buf_printf(&b, ") by %s", by);
	mlog_end(m, AM_LOG_OPS, &b);
}

void
mlog_refused(const struct tx *tx, const char *name, bool self)
{
	mlog_cancel(tx, self ? "cancel:self" : "cancel", name);
}

void
mlog_states(const struct tx *tx, const am_id *list, size_t n,
    const uint64_t *entered, const uint64_t *left)
{
	const struct am_machine *m = tx->m;
	size_t nw = m->schema->nw;
	bool any;
	struct set again, anew, stay;
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_CHANGES))
		return;
	for (size_t i = 0; i < nw; i++) {
		again.w[i] = entered[i] & m->active[i];
		anew.w[i] = entered[i] & ~m->active[i];
		stay.w[i] = m->active[i] & ~left[i];
	}
	mlog_begin(m, &b);
	buf_printf(&b, "[%s]", tx->rq.automatic ? "auto_" : "state");
	any = mlog_some(m, &b, " +", list, n, anew.w);
	any |= mlog_some(m, &b, " +", list, n, again.w);
	any |= mlog_some(m, &b, " -", m->order, m->n_active, left);
	if (mlog_on(m, AM_LOG_EVERYTHING))
		any |= mlog_some(m, &b, " ", list, n, stay.w);
	mlog_args(m, &b, tx->rq.args);
	if (any)
		mlog_end(m, AM_LOG_CHANGES, &b);
	else
		am_buf_done(&b);
	for (size_t i = 0; i < nw; i++)
		anew.w[i] = entered[i] | left[i];
	mlog_ctx_ended(m, anew.w);
}

void
mlog_exception(const struct tx *tx)
{
	const struct am_machine *m = tx->m;
	const struct logger *l = m->logger;
	char text[AM_ERROR_MAX];
	struct am_val by;
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_CHANGES) ||
	    !bits_test(tx->enters.w, m->schema->exception) ||
	    am_get_text(tx->rq.args, "err", text, sizeof(text)) < 0)
		return;
	mlog_begin(m, &b);
	if (am_get(tx->rq.args, "handler", &by) == 0) {
		buf_printf(&b, "[error:%s] ", am_op_name(l->op));
		mlog_names(m, &b, "", l->called, l->n_called);
		buf_printf(&b, " (%s)", text);
	} else {
		buf_printf(&b, "[error] %s", text);
	}
	mlog_end(m, AM_LOG_CHANGES, &b);
}

static void
mlog_auto_blocked(struct am_machine *m)
{
	const struct am_schema *s = m->schema;

	for (SET_EACH(id, s->automatic, s->nw)) {
		size_t i = 0;

		if (bits_test(m->active, id))
			continue;
		while (i < m->n_active &&
		    !bits_test(schema_rel(s, m->order[i], F_REM), id))
			i++;
		if (i < m->n_active)
			mlog_line(m, AM_LOG_EVERYTHING,
			    "[auto:rel:remove] %s by %s", s->row[id].name,
			    s->row[m->order[i]].name);
	}
}

void
mlog_auto(const struct tx *tx, const am_id *called, size_t n)
{
	struct am_machine *m = tx->m;
	struct request rq = {
		.op = AM_ADD,
		.automatic = true,
		.called = called,
		.n_called = n,
	};
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_OPS))
		return;
	mlog_auto_blocked(m);
	if (n == 0)
		return;
	mlog_begin(m, &b);
	buf_puts(&b, "[auto] ");
	mlog_names(m, &b, "", called, n);
	mlog_end(m, AM_LOG_OPS, &b);
	mlog_queued(m, &rq, true);
}

/* ---- failures ---- */

void
mlog_failing(const struct tx *tx)
{
	struct logger *l = tx->m->logger;

	mlog_line(tx->m, AM_LOG_OPS, "[recover] handling panic...");
	l->op = tx->rq.op;
	l->n_called = tx->rq.n_called;
	memcpy(l->called, tx->rq.called, l->n_called * sizeof(l->called[0]));
}

void
mlog_rolling_back(const struct tx *tx, const uint64_t *left)
{
	const struct am_machine *m = tx->m;
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_OPS))
		return;
	mlog_begin(m, &b);
	buf_puts(&b, "[recover] partial final states as (");
	put_list(m, &b, m->order, m->n_active, left);
	buf_putc(&b, ')');
	mlog_end(m, AM_LOG_OPS, &b);
}

void
mlog_recovered(const struct tx *tx)
{
	struct am_machine *m = tx->m;
	const struct am_schema *s = m->schema;
	am_id called[2];
	struct request rq = { .op = AM_ADD, .called = called };

	mlog_cancel(tx, "cancel", tx->timeout ? "timeout" : "recover");
	if (tx->timeout && s->handler_timeout >= 0)
		called[rq.n_called++] = (am_id)s->handler_timeout;
	called[rq.n_called++] = s->exception;
	mlog_queued(m, &rq, true);
}

/* ---- subscriptions ---- */

/* The keys of a map: "k,k2". */
static void
put_keys(struct am_buf *b, const struct wanted *w)
{
	struct mp c = mp_of(w->args);
	uint32_t n = 0;

	if (w->args.len > 0)
		(void)mp_get_map(&c, &n);
	for (uint32_t i = 0; i < n; i++) {
		const char *key;
		size_t len;

		(void)mp_get_str(&c, &key, &len);
		(void)mp_skip(&c);
		buf_printf(b, "%s%.*s", i > 0 ? "," : "", (int)len, key);
	}
}

static void
put_states_of(const struct am_machine *m, struct am_buf *b, const struct sub *s,
    const char *sep)
{
	const uint64_t *many = s->many;
	const am_id *ids = s->many;

	if (many == NULL || s->kind == WHEN_ARGS)
		ids = &s->id1;
	else if (s->kind == WHEN_TIME)
		ids = (const am_id *)(many + s->n);
	for (size_t i = 0; i < s->n; i++)
		buf_printf(b, "%s%s", i > 0 ? sep : "",
		    m->schema->row[ids[i]].name);
}

static void
put_ticks(struct am_buf *b, const struct sub *s)
{
	const uint64_t *ticks = s->many != NULL ? s->many : &s->tick1;

	for (size_t i = 0; i < s->n; i++)
		buf_printf(b, "%s%llu", i > 0 ? " " : "",
		    (unsigned long long)ticks[i]);
}

static void
mlog_sub(struct am_machine *m, const struct sub *s, bool match)
{
	static const char *const name[] = {
		[WHEN] = "when",
		[WHEN_NOT] = "whenNot",
		[WHEN_TIME] = "whenTime",
		[WHEN_ARGS] = "whenArgs",
		[WHEN_QUERY] = "whenQuery",
		[WHEN_QUEUE] = "whenQueue",
		[WHEN_ENDS] = "whenQueueEnds",
		[WHEN_DISPOSED] = "whenDisposed",
	};
	struct am_buf b;

	if (!mlog_on(m, AM_LOG_OPS))
		return;
	mlog_begin(m, &b);
	buf_printf(&b, "[%s:%s] ", name[s->kind], match ? "match" : "new");
	switch ((enum sub_kind)s->kind) {
	case WHEN:
	case WHEN_NOT:
		put_states_of(m, &b, s, " ");
		break;
	case WHEN_TIME:
		put_states_of(m, &b, s, match ? " " : ",");
		buf_puts(&b, match ? " [" : " ");
		put_ticks(&b, s);
		buf_puts(&b, match ? "]" : "");
		break;
	case WHEN_ARGS:
		put_states_of(m, &b, s, " ");
		buf_puts(&b, " (");
		put_keys(&b, s->many);
		buf_putc(&b, ')');
		break;
	case WHEN_QUERY:
	case WHEN_ENDS:
	case WHEN_DISPOSED:
		buf_printf(&b, "%llu", (unsigned long long)s->seq);
		break;
	case WHEN_QUEUE:
		buf_printf(&b, "%llu", (unsigned long long)s->tick1);
		break;
	}
	mlog_end(m, AM_LOG_OPS, &b);
}

void
mlog_subscribed(struct am_machine *m, const struct sub *b)
{
	mlog_sub(m, b, false);
}

void
mlog_match(struct am_machine *m, const struct sub *b)
{
	mlog_sub(m, b, true);
}
