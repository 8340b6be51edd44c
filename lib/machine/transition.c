#include "lib/machine/mlog.h"

#include <stdlib.h>

static inline void
tx_begin(struct tx *tx, struct am_machine *m)
{
	tx->ev.machine = m;
	tx->m = m;
	tx->call = NULL;
	tx->from = NULL;
	tx->accepted = true;
	tx->completed = tx->failing = tx->refused = false;
	tx->ticked = tx->may_auto = tx->timeout = false;
	tx->n_exits = 0;
	tx->time_after = NULL;
	tx->why_len = 0;
	tx->why[0] = '\0';
	bits_zero(tx->called.w, m->schema->nw);
	bits_zero(tx->enters.w, m->schema->nw);
	bits_zero(tx->exits.w, m->schema->nw);
}

static void
tx_init(struct tx *tx, struct am_machine *m, const struct request *rq)
{
	struct am_event *ev = &tx->ev;

	tx_begin(tx, m);
	ev->op = rq->op;
	ev->called = rq->called;
	ev->n_called = rq->n_called;
	ev->automatic = rq->automatic;
	ev->check = rq->check;
	ev->args = rq->args;
	ev->source = rq->source;
	tx->from = rq->from;
	tx->fast = rq->fast;
	for (size_t i = 0; i < rq->n_called; i++)
		bits_set(tx->called.w, rq->called[i]);
}

/* semantics.md 5, step 1. */
static size_t
states_to_set(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	size_t n = 0;

	if (tx->ev.op != AM_REMOVE)
		for (size_t i = 0; i < tx->ev.n_called; i++)
			tx->target[n++] = tx->ev.called[i];
	if (tx->ev.op != AM_SET)
		for (size_t i = 0; i < m->n_active; i++)
			if (!bits_test(tx->called.w, m->order[i]))
				tx->target[n++] = m->order[i];
	return n;
}

/* Step 3. */
static bool
relations_accept(const struct tx *tx)
{
	size_t nw = tx->m->schema->nw;

	if (tx->ev.op == AM_REMOVE)
		return true;
	if (tx->ev.automatic)
		return bits_meet(tx->called.w, tx->target_set.w, nw);
	return bits_within(tx->called.w, tx->target_set.w, nw) ||
	    (tx->ev.check && bits_meet(tx->called.w, tx->m->schema->multi, nw));
}

/* Step 4; semantics.md 8.2. */
static void
exits_and_enters(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	const struct am_schema *s = m->schema;

	for (size_t i = 0; i < s->nw; i++) {
		uint64_t active = m->active[i], target = tx->target_set.w[i];

		tx->exits.w[i] = active & ~target;
		tx->enters.w[i] = target &
		    (~active | (s->multi[i] & tx->called.w[i]));
	}
	tx->n_exits = 0;
	if (m->n_bindings == 0 || !bits_any(tx->exits.w, s->nw))
		return;
	for (size_t i = 0; i < m->n_active; i++)
		if (bits_test(tx->exits.w, m->order[i]))
			tx->exit_list[tx->n_exits++] = m->order[i];
	sort_states(s, tx->exit_list, tx->n_exits, tx->exits.w);
}

/* Step 7. The same list would give the same target, so it is skipped when no
 * called state is lost and none was left out. */
static void
resolve_auto_again(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	struct set called;
	size_t n = 0;

	if (!tx->refused &&
	    bits_within(tx->called.w, tx->target_set.w, m->schema->nw))
		return;
	bits_zero(called.w, m->schema->nw);
	for (size_t i = 0; i < tx->ev.n_called; i++) {
		am_id id = tx->ev.called[i];

		if (!bits_test(tx->target_set.w, id))
			continue;
		bits_set(called.w, id);
		tx->target[n++] = id;
	}
	for (size_t i = 0; i < m->n_active; i++)
		if (!bits_test(called.w, m->order[i]))
			tx->target[n++] = m->order[i];
	resolve(tx, n);
	exits_and_enters(tx);
}

/* semantics.md 13. */
static void
apply(struct tx *tx)
{
	struct am_machine *m = tx->m;
	size_t nw = m->schema->nw;

	if (m->logger != NULL)
		mlog_states(tx, tx->target, tx->n_target, tx->enters.w,
		    tx->exits.w);
	tx->ticked = bits_any(tx->enters.w, nw) || bits_any(tx->exits.w, nw);
	for (SET_EACH(id, tx->enters.w, nw))
		m->clock[id] += bits_test(m->active, id) ? 2 : 1;
	for (SET_EACH(id, tx->exits.w, nw))
		m->clock[id]++;
	m->steady = STEADY_UNKNOWN;
	bits_copy(m->active, tx->target_set.w, nw);
	memcpy(m->order, tx->target, tx->n_target * sizeof(*m->order));
	m->n_active = (uint16_t)tx->n_target;
}

/* ---- rollback (semantics.md 11) ---- */

/* TimeAfter stays what it was before (QUIRK 5); only tracers see it. */
static void
keep_time(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	size_t size = m->schema->len * sizeof(*m->clock);

	if (m->n_tracers == 0 || tx->time_after != NULL)
		return;
	tx->time_after = malloc(size);
	if (tx->time_after != NULL)
		memcpy(tx->time_after, m->clock, size);
}

/* from: the position in the target from which on entered states leave; again:
 * the second time. */
static void
rollback(struct tx *tx, size_t from, bool again)
{
	struct am_machine *m = tx->m;
	const struct am_schema *s = m->schema;
	struct set left, reentered;
	size_t n = 0;

	/* The list that is left may be in no order of its own. */
	m->steady = STEADY_NO;
	keep_time(tx);
	bits_zero(left.w, s->nw);
	for (size_t i = from; i < tx->n_target; i++) {
		am_id id = tx->target[i];

		if (!bits_test(tx->enters.w, id) || !bits_test(m->active, id))
			continue;
		bits_set(left.w, id);
		m->clock[id]++;
	}
	bits_and_not(m->active, left.w, s->nw);
	for (size_t i = 0; i < s->nw; i++)
		reentered.w[i] = tx->called.w[i] & m->active[i] & s->multi[i];
	for (SET_EACH(id, reentered.w, s->nw))
		m->clock[id] += 2;
	if (m->logger != NULL && !again)
		mlog_rolling_back(tx, left.w);
	if (m->logger != NULL)
		mlog_states(tx, m->order, m->n_active, reentered.w, left.w);
	for (size_t i = 0; i < m->n_active; i++)
		if (bits_test(m->active, m->order[i]))
			m->order[n++] = m->order[i];
	m->n_active = (uint16_t)n;
}

static bool
called_exception(const struct tx *tx)
{
	return bits_test(tx->called.w, tx->m->schema->exception);
}

/* For the failure; from: as above. */
static void
recover(struct tx *tx, size_t from)
{
	const struct am_machine *m = tx->m;

	if (called_exception(tx))
		return;
	rollback(tx, from, false);
	if (m->logger != NULL && !m->dying)
		mlog_recovered(tx);
}

/* Once more for the phase (QUIRK 13, BUG 2). */
static void
rollback_final(struct tx *tx, size_t failed)
{
	recover(tx, failed);
	rollback(tx, failed, true);
}

/* Steps 8 and 9. */
static bool
finals(struct tx *tx)
{
	size_t failed;

	if (tx->m->n_tracers > 0)
		trace_finals(tx);
	if (tx->m->logger != NULL)
		mlog_exception(tx);
	if (!run_finals(tx, &failed)) {
		rollback_final(tx, failed);
		if (failed != SIZE_MAX && tx->m->subs != NULL)
			subs_args(tx->m, tx->target[failed], tx->ev.args);
		return false;
	}
	if (!any_heard(tx->m) || run_any_state(tx))
		return true;
	recover(tx, SIZE_MAX);
	return false;
}

/* ---- the one called state is all that changes ---- */

/* The lists as the general steps would make them, of what changes. */
static void
list_one(struct tx *tx, am_id id)
{
	tx->n_target = 0;
	if (tx->fast == FAST_ENTER || tx->fast == FAST_REENTER) {
		bits_set(tx->enters.w, id);
		tx->target[tx->n_target++] = id;
		tx->ticked = true;
	} else if (tx->fast == FAST_EXIT) {
		bits_set(tx->exits.w, id);
		tx->ticked = true;
	}
}

/* The final handlers of that state, and who waits for its args. */
static bool
finals_of_one(struct tx *tx, am_id id)
{
	struct am_machine *m = tx->m;
	bool ok = run_final_one(tx, id);

	if (!ok)
		rollback_final(tx, tx->fast == FAST_EXIT ? SIZE_MAX : 0);
	if (m->subs != NULL && tx->n_target > 0)
		subs_args(m, id, tx->ev.args);
	return ok;
}

static bool
steps_of_one(struct tx *tx)
{
	struct am_machine *m = tx->m;
	am_id id = tx->ev.called[0];

	if (m->n_tracers > 0 && !trace_start(tx))
		return false;
	if (tx->heard != 0 && (!negotiate_one(tx, id) || m->dying))
		return false;
	list_one(tx, id);
	fast_apply(m, tx->fast, id);
	if (m->n_tracers > 0)
		trace_finals(tx);
	if (!finals_of_one(tx, id))
		return false;
	if (!m->any || run_any_state(tx))
		return true;
	recover(tx, SIZE_MAX);
	return false;
}

/* Is it one state, and nothing else to happen? */
static bool
find_fast(struct tx *tx)
{
	const struct am_event *ev = &tx->ev;

	if (ev->n_called != 1 || ev->op == AM_SET || ev->automatic ||
	    ev->check || tx->m->self_or_pair)
		return false;
	if (tx->fast == FAST_UNKNOWN)
		tx->fast = fast_plan(tx->m, ev->op, ev->called[0]);
	if (tx->fast == FAST_NO)
		return false;
	tx->heard = (uint8_t)fast_heard(tx->m, tx->fast, ev->called[0]);
	return true;
}

/* ---- what follows ---- */

/* Step 11: may an auto transition follow? */
static bool
may_auto(const struct tx *tx)
{
	const struct am_event *ev = &tx->ev;
	bool health = ev->op == AM_ADD && ev->n_called == 1 &&
	    bits_test(tx->m->schema->health, ev->called[0]);

	return tx->accepted && tx->ticked && !ev->automatic && !health;
}

static bool
not_accepted(struct tx *tx)
{
	if (!tx->ev.automatic || tx->m->n_tracers > 0)
		why_relations(tx);
	return false;
}

static bool
plan_logged(struct tx *tx)
{
	size_t n = states_to_set(tx), nw = tx->m->schema->nw;
	struct set wanted;
	bool accepted;

	bits_zero(wanted.w, nw);
	for (size_t i = 0; i < n; i++)
		bits_set(wanted.w, tx->target[i]);
	mlog_start(tx);
	resolve(tx, n);
	mlog_implied(tx, wanted.w);
	accepted = relations_accept(tx);
	if (accepted)
		exits_and_enters(tx);
	else
		mlog_not_accepted(tx);
	return accepted || not_accepted(tx);
}

/* Steps 1 to 4. */
static bool
plan(struct tx *tx)
{
	if (tx->m->logger != NULL)
		return plan_logged(tx);
	resolve(tx, states_to_set(tx));
	if (relations_accept(tx)) {
		exits_and_enters(tx);
		return true;
	}
	return not_accepted(tx);
}

static bool
steps(struct tx *tx)
{
	const struct am_machine *m = tx->m;

	if (find_fast(tx))
		return steps_of_one(tx);
	if (!plan(tx))
		return false;
	if (m->n_tracers > 0 && !trace_start(tx))
		return false;
	if (m->n_bindings > 0 && (!negotiate(tx) || m->dying))
		return false;
	if (tx->ev.check)
		return true;
	if (tx->ev.automatic)
		resolve_auto_again(tx);
	apply(tx);
	/* The rest of an automatic transition whose auto state failed: it is
	 * carried out, but calls nobody and is not accepted. */
	if (tx->completed)
		return false;
	return finals(tx);
}

/* Tells what came of it, also those that came while it ran. */
static inline __attribute__((always_inline)) void
tx_end(struct tx *tx)
{
	if (!tx->accepted && tx->why_len == 0)
		why_add(tx, "canceled");
	if (tx->m->n_tracers > 0)
		trace_end(tx);
	if (tx->time_after != NULL)
		free(tx->time_after);
}

am_result
transition_run(struct am_machine *m, const struct request *rq, struct tx *tx)
{
	tx_init(tx, m, rq);
	m->n_transitions++;
	m->tx = tx;
	tx->accepted = steps(tx);
	m->tx = NULL;
	tx->may_auto = may_auto(tx);
	if (m->logger != NULL && tx->may_auto && m->failures < FAILURES_MAX)
		mlog_auto(tx);
	tx_end(tx);
	return tx->accepted ? AM_EXECUTED : AM_CANCELED;
}

bool
transition_one(struct am_machine *m, const struct am_mutation *mut,
    enum fast plan, unsigned heard, struct tx *tx)
{
	struct am_event *ev = &tx->ev;

	tx_begin(tx, m);
	ev->op = mut->op;
	ev->called = mut->states;
	ev->n_called = 1;
	ev->automatic = ev->check = false;
	ev->args = real_args(mut->args);
	ev->source = mut->source;
	tx->from = mut->from;
	tx->fast = plan;
	tx->heard = (uint8_t)heard;
	bits_set(tx->called.w, mut->states[0]);
	m->n_transitions++;
	m->tx = tx;
	tx->accepted = steps_of_one(tx);
	m->tx = NULL;
	tx_end(tx);
	return tx->accepted;
}
