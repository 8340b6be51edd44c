#include "lib/machine/mlog.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"

/* One handler, as it is called in every binding. */
struct call {
	enum handler_set kind;
	bool any; /* AnyEnter or AnyState */
	am_id state;
	am_id other;
	bool called; /* a binding has it, and it ran */
};

static const char *const suffix[H__COUNT] = {
	[H_ENTER] = "Enter",
	[H_EXIT] = "Exit",
	[H_STATE] = "State",
	[H_END] = "End",
};

static void
call_name(const struct tx *tx, const struct call *c, char *buf, size_t size)
{
	const struct am_schema *s = tx->m->schema;
	const char *first = c->any ? "Any" : s->row[c->state].name;
	const char *second = suffix[c->kind];

	if (second == NULL)
		second = s->row[c->other].name;
	(void)snprintf(buf, size, "%s%s", first, second);
}

/* Records it as one step for all bindings. */
static void
step_call(const struct tx *tx, const struct call *c)
{
	const struct am_schema *s = tx->m->schema;
	bool two = c->kind == H_SELF || c->kind == H_PAIR;

	if (tx->m->logger != NULL && c->called && !tx->m->dying)
		mlog_step_handler(tx, c->any ? "Any" : s->row[c->state].name,
		    two ? s->row[c->other].name : "",
		    two ? "" : suffix[c->kind]);
}

static bool
is_final(const struct call *c)
{
	return c->kind == H_STATE || c->kind == H_END;
}

/* ---- failure ---- */

static void
fail(struct tx *tx, const char *text, bool timeout)
{
	char name[2 * 128 + 16];

	call_name(tx, tx->call, name, sizeof(name));
	error_of_handler(tx, name, is_final(tx->call), text, timeout);
}

void
am_fail(struct am_event *ev, const char *fmt, ...)
{
	struct tx *tx = ev->machine->tx;
	char text[AM_ERROR_MAX];
	va_list ap;

	assert(tx != NULL && ev == &tx->ev);
	if (tx->failing)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail(tx, text, false);
}

bool
am_refuse(struct am_event *ev, const char *fmt, ...)
{
	struct tx *tx = ev->machine->tx;
	va_list ap;

	assert(tx != NULL && ev == &tx->ev);
	va_start(ap, fmt);
	(void)vsnprintf(tx->refusal, sizeof(tx->refusal), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- calling ---- */

static inline __attribute__((always_inline)) void
call_begin(struct tx *tx, struct call *c, void *arg)
{
	struct am_machine *m = tx->m;

	c->called = true;
	tx->call = c;
	tx->failing = false;
	tx->refusal[0] = '\0';
	tx->ev = (struct am_event){
		.machine = m,
		.arg = arg,
		.state = c->state,
		.other = c->other,
		.op = tx->rq.op,
		.called = tx->rq.called,
		.n_called = tx->rq.n_called,
		.automatic = tx->rq.automatic,
		.check = tx->rq.check,
		.args = tx->rq.args,
		.source = tx->rq.source,
	};
	if (m->handler_ns == 0)
		m->handler_ns = clock_coarse_ns();
}

typedef void (*log_fn)(const struct tx *tx, size_t binding, const char *name);

static __attribute__((noinline, cold)) void
log_call(const struct tx *tx, const struct call *c, size_t binding, log_fn log)
{
	char name[2 * 128 + 16];

	if (tx->m->dying)
		return;
	call_name(tx, c, name, sizeof(name));
	log(tx, binding, name);
}

/* Logs a name that has no handler in this binding. */
static inline void
log_unbound(const struct tx *tx, const struct call *c, size_t binding)
{
	if (mlog_all(tx->m))
		log_call(tx, c, binding, mlog_handle);
}

static __attribute__((noinline, cold)) void
fail_timeout(struct tx *tx, size_t binding, int64_t took_ms)
{
	const struct am_machine *m = tx->m;
	char text[64];

	if (tx->failing || m->dying)
		return;
	if (m->logger != NULL)
		log_call(tx, tx->call, binding, mlog_handler_timeout);
	(void)snprintf(text, sizeof(text), "took %lld ms, %lld are allowed",
	    (long long)took_ms, (long long)m->handler_limit_ms);
	fail(tx, text, true);
}

/* False: the handler failed, or took too long, which counts as a failure. */
static inline __attribute__((always_inline)) bool
call_end(struct tx *tx, size_t binding)
{
	struct am_machine *m = tx->m;
	int64_t now = clock_coarse_ns();
	int64_t took_ms = (now - m->handler_ns) / NS_PER_MS;

	m->handler_ns = now;
	if (took_ms > m->handler_limit_ms)
		fail_timeout(tx, binding, took_ms);
	if (!tx->failing)
		return true;
	if (!has_called(&tx->rq, m->schema->exception)) {
		tx->accepted = false;
		tx->completed = true;
		if (m->logger != NULL && !is_final(tx->call) && !m->dying)
			mlog_recovered(tx);
	}
	return false;
}

static bool
ask(struct tx *tx, struct call *c, am_negotiation_fn fn, size_t binding)
{
	char name[2 * 128 + 16];
	bool ok;

	/* Only a bound handler can refuse here (semantics.md 23). */
	if (!tx->accepted || tx->completed || tx->m->dying) {
		if (tx->m->logger != NULL)
			log_call(tx, c, binding, mlog_handler_invalid);
		return false;
	}
	if (tx->m->logger != NULL)
		log_call(tx, c, binding, mlog_handler);
	call_begin(tx, c, tx->m->binding[binding].arg);
	ok = fn(&tx->ev);
	if (tx->m->logger != NULL)
		log_call(tx, c, binding, mlog_handler_end);
	if (!call_end(tx, binding))
		return false;
	if (!ok) {
		call_name(tx, c, name, sizeof(name));
		if (tx->m->logger != NULL && !tx->m->dying)
			mlog_refused(tx, name, c->kind == H_SELF);
		why_add(tx, "%s: %s", name,
		    tx->refusal[0] != '\0' ? tx->refusal : "refused");
	}
	return ok;
}

static am_negotiation_fn
negotiation_of(const struct am_handler *h, enum handler_set kind)
{
	if (kind == H_ENTER)
		return h->enter;
	return kind == H_EXIT ? h->exit : h->self;
}

/* Asks all bindings in order, until one refuses. */
static bool
ask_state(struct tx *tx, enum handler_set kind, am_id id)
{
	const struct am_machine *m = tx->m;
	struct call c = { .kind = kind, .state = id, .other = id };
	bool ok = true;

	for (size_t i = 0; ok && i < m->n_bindings; i++) {
		const struct handler_table *t = m->binding[i].table;

		if (bits_test(table_set(t, kind, m->schema->nw), id))
			ok = ask(tx, &c, negotiation_of(&t->h->of[id], kind),
			    i);
		else
			log_unbound(tx, &c, i);
	}
	step_call(tx, &c);
	return ok;
}

static const struct am_pair_handler *
first_pair(const struct handler_table *t, am_id before, am_id after)
{
	size_t lo = 0, hi = t->n_pairs;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct am_pair_handler *p = &t->pair[mid];

		if (p->before < before ||
		    (p->before == before && p->after < after))
			lo = mid + 1;
		else
			hi = mid;
	}
	return t->pair + lo;
}

static bool
is_pair(const struct handler_table *t, const struct am_pair_handler *p,
    am_id before, am_id after)
{
	return p != NULL && p < t->pair + t->n_pairs && p->before == before &&
	    p->after == after;
}

static bool
ask_pair(struct tx *tx, am_id x, am_id y)
{
	const struct am_machine *m = tx->m;
	struct call c = { .kind = H_PAIR, .state = x, .other = y };
	bool ok = true;

	for (size_t i = 0; ok && i < m->n_bindings; i++) {
		const struct handler_table *t = m->binding[i].table;
		const struct am_pair_handler *p;

		p = bits_test(table_set(t, H_PAIR, m->schema->nw), x)
		    ? first_pair(t, x, y)
		    : NULL;
		if (!is_pair(t, p, x, y))
			log_unbound(tx, &c, i);
		for (; ok && is_pair(t, p, x, y); p++)
			ok = ask(tx, &c, p->fn, i);
	}
	step_call(tx, &c);
	return ok;
}

static bool
ask_any(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	struct call c = { .kind = H_ENTER,
		.any = true,
		.state = UINT16_MAX,
		.other = UINT16_MAX };
	bool ok = true;

	for (size_t i = 0; ok && i < m->n_bindings; i++) {
		am_negotiation_fn fn = m->binding[i].table->h->any_enter;

		if (fn == NULL)
			log_unbound(tx, &c, i);
		else
			ok = ask(tx, &c, fn, i);
	}
	step_call(tx, &c);
	return ok;
}

/* ---- negotiation (semantics.md 8.3, 9) ---- */

/* Whether a binding has a handler of this kind for a state of the set. */
static inline __attribute__((always_inline)) bool
any_bound(const struct am_machine *m, enum handler_set kind,
    const uint64_t *set)
{
	size_t nw = m->schema->nw;

	return m->n_bindings > 0 &&
	    (bits_meet(m->bound + (size_t)kind * nw, set, nw) || mlog_all(m));
}

/* In an automatic transition, a refusal leaves out only that state. */
static bool
leave_out(struct tx *tx, am_id id)
{
	if (!tx->rq.automatic || !bits_test(tx->m->schema->automatic, id))
		return false;
	bits_clear(tx->target_set.w, id);
	tx->refused = true;
	return true;
}

static bool
ask_exits(struct tx *tx)
{
	if (!any_bound(tx->m, H_EXIT, tx->exits.w))
		return true;
	for (size_t i = 0; i < tx->n_exits; i++)
		if (!ask_state(tx, H_EXIT, tx->exit_list[i]))
			return false;
	return true;
}

static bool
ask_enters(struct tx *tx)
{
	if (!any_bound(tx->m, H_ENTER, tx->enters.w))
		return true;
	for (size_t i = 0; i < tx->n_enters; i++) {
		am_id id = tx->enter_list[i];

		if (!ask_state(tx, H_ENTER, id) && !leave_out(tx, id))
			return false;
	}
	return true;
}

/* The reference shortens its list while it walks it, so the state after one
 * that is left out is not asked; and the last answer decides (QUIRK 10). */
static bool
ask_selves(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	bool last = true, skip = false;
	struct set view;

	if (tx->rq.op == AM_REMOVE || !any_bound(m, H_SELF, m->active))
		return true;
	bits_copy(view.w, tx->target_set.w, m->schema->nw);
	for (size_t i = 0; i < tx->n_target; i++) {
		am_id id = tx->target[i];

		if (!bits_test(view.w, id))
			continue;
		if (skip) {
			skip = false;
			continue;
		}
		if (!bits_test(m->active, id))
			continue;
		last = ask_state(tx, H_SELF, id);
		if (last)
			continue;
		if (!leave_out(tx, id))
			return false;
		skip = true;
	}
	return last;
}

static bool
ask_pairs(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	struct set after;

	if (!any_bound(m, H_PAIR, m->active))
		return true;
	bits_copy(after.w, tx->target_set.w, m->schema->nw);
	for (size_t i = 0; i < m->n_active; i++) {
		for (size_t k = 0; k < tx->n_target; k++) {
			am_id x = m->order[i], y = tx->target[k];

			if (x != y && bits_test(after.w, y) &&
			    !ask_pair(tx, x, y) && !leave_out(tx, y))
				return false;
		}
	}
	return true;
}

bool
negotiate(struct tx *tx)
{
	const struct am_machine *m = tx->m;

	if (!ask_exits(tx) || !ask_enters(tx))
		return false;
	if ((m->self_or_pair || mlog_all(m)) &&
	    (!ask_selves(tx) || !ask_pairs(tx)))
		return false;
	if (tx->rq.automatic && !bits_any(tx->target_set.w, m->schema->nw))
		return false;
	return !any_heard(m) || ask_any(tx);
}

/* ---- final handlers (semantics.md 8.4) ---- */

static inline __attribute__((always_inline)) bool
tell(struct tx *tx, struct call *c, am_final_fn fn, size_t binding)
{
	if (tx->m->dying)
		return true;
	if (tx->m->logger != NULL)
		log_call(tx, c, binding, mlog_handler);
	call_begin(tx, c, tx->m->binding[binding].arg);
	fn(&tx->ev);
	if (tx->m->logger != NULL)
		log_call(tx, c, binding, mlog_handler_end);
	return call_end(tx, binding);
}

static am_final_fn
final_of(const struct am_handler *h, enum handler_set kind)
{
	return kind == H_STATE ? h->state : h->end;
}

static bool
tell_state(struct tx *tx, enum handler_set kind, am_id id)
{
	const struct am_machine *m = tx->m;
	struct call c = { .kind = kind, .state = id, .other = id };
	bool ok = true;

	for (size_t i = 0; ok && i < m->n_bindings; i++) {
		const struct handler_table *t = m->binding[i].table;

		if (bits_test(table_set(t, kind, m->schema->nw), id))
			ok = tell(tx, &c, final_of(&t->h->of[id], kind), i);
		else
			log_unbound(tx, &c, i);
	}
	step_call(tx, &c);
	return ok;
}

bool
run_finals(struct tx *tx, size_t *ret_failed)
{
	struct am_machine *m = tx->m;

	*ret_failed = SIZE_MAX;
	if (any_bound(m, H_END, tx->exits.w))
		for (size_t i = 0; i < tx->n_exits; i++)
			if (!tell_state(tx, H_END, tx->exit_list[i]))
				return false;
	if (!any_bound(m, H_STATE, tx->enters.w) &&
	    (m->want_args == NULL ||
		!bits_meet(m->want_args, tx->enters.w, m->schema->nw)))
		return true;
	/* Also for subscriptions made by the handlers before. */
	for (size_t i = 0; i < tx->n_enters; i++) {
		am_id id = tx->enter_list[i];

		if (!tell_state(tx, H_STATE, id)) {
			*ret_failed = i;
			return false;
		}
		subs_args(m, id, tx->rq.args);
	}
	return true;
}

bool
run_any_state(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	struct call c = { .kind = H_STATE,
		.any = true,
		.state = UINT16_MAX,
		.other = UINT16_MAX };
	bool ok = true;

	for (size_t i = 0; ok && i < m->n_bindings; i++) {
		am_final_fn fn = m->binding[i].table->h->any_state;

		if (fn == NULL)
			log_unbound(tx, &c, i);
		else
			ok = tell(tx, &c, fn, i);
	}
	step_call(tx, &c);
	return ok;
}
