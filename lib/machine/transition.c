#include "lib/machine/mlog.h"
#include "lib/machine/plan.h"

#include <stdlib.h>

static inline void
tx_init(struct tx *tx, struct am_machine *m)
{
	tx->m = m;
	tx->accepted = true;
	tx->completed = tx->failing = tx->refused = false;
	tx->ticked = tx->may_auto = tx->timeout = false;
	tx->n_enters = tx->n_exits = 0;
	tx->time_after = NULL;
	tx->why_len = 0;
	bits_zero(tx->enters.w, m->schema->nw);
	bits_zero(tx->exits.w, m->schema->nw);
}

/* ---- the general plan ---- */

/* semantics.md 5, step 1. */
static size_t
states_to_set(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	size_t n = 0;

	if (tx->rq.op != AM_REMOVE)
		for (size_t i = 0; i < tx->rq.n_called; i++)
			tx->target[n++] = tx->rq.called[i];
	if (tx->rq.op != AM_SET)
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

	if (tx->rq.op == AM_REMOVE)
		return true;
	if (tx->rq.automatic)
		return bits_meet(tx->called.w, tx->target_set.w, nw);
	return bits_within(tx->called.w, tx->target_set.w, nw) ||
	    (tx->rq.check && bits_meet(tx->called.w, tx->m->schema->multi, nw));
}

/* The states of list that are in the set. */
static size_t
list_of(am_id *to, const uint64_t *set, const am_id *list, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (bits_test(set, list[i]))
			to[k++] = list[i];
	return k;
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
	tx->n_enters = tx->n_exits = 0;
	if (bits_any(tx->enters.w, s->nw))
		tx->n_enters = list_of(tx->enter_list, tx->enters.w, tx->target,
		    tx->n_target);
	if ((m->n_bindings == 0 && m->logger == NULL) ||
	    !bits_any(tx->exits.w, s->nw))
		return;
	tx->n_exits = list_of(tx->exit_list, tx->exits.w, m->order,
	    m->n_active);
	sort_states(s, tx->exit_list, tx->n_exits, tx->exits.w,
	    m->logger != NULL ? tx : NULL);
}

/* The remaining called states, then the active ones. */
static size_t
auto_states_to_set(struct tx *tx, const uint64_t *left)
{
	const struct am_machine *m = tx->m;
	size_t n = 0;

	for (size_t i = 0; i < tx->rq.n_called; i++)
		if (bits_test(left, tx->rq.called[i]))
			tx->target[n++] = tx->rq.called[i];
	for (size_t i = 0; i < m->n_active; i++)
		if (!bits_test(left, m->order[i]))
			tx->target[n++] = m->order[i];
	return n;
}

/* Step 7. The same list would give the same target, so it is skipped when no
 * called state is lost and none was left out. */
static __attribute__((noinline)) void
resolve_auto_again(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	size_t nw = m->schema->nw;
	struct set left = tx->called;

	bits_and(left.w, tx->target_set.w, nw);
	if (m->logger != NULL)
		mlog_resolve(tx, auto_states_to_set(tx, left.w));
	if (!tx->refused && bits_equal(tx->called.w, left.w, nw))
		return;
	resolve(tx, auto_states_to_set(tx, left.w));
	exits_and_enters(tx);
}

static bool
not_accepted(struct tx *tx)
{
	if (tx->m->logger != NULL)
		mlog_not_accepted(tx);
	if (!tx->rq.automatic || tx->m->n_tracers > 0)
		why_relations(tx);
	return false;
}

static void
set_called(struct tx *tx)
{
	bits_zero(tx->called.w, tx->m->schema->nw);
	for (size_t i = 0; i < tx->rq.n_called; i++)
		bits_set(tx->called.w, tx->rq.called[i]);
}

/* Steps 1 to 4. */
static __attribute__((noinline)) bool
plan_general(struct tx *tx)
{
	set_called(tx);
	resolve(tx, states_to_set(tx));
	if (tx->m->logger != NULL)
		mlog_resolved(tx);
	if (!relations_accept(tx))
		return not_accepted(tx);
	exits_and_enters(tx);
	return true;
}

/* ---- either plan ---- */

/* A simple plan has no target list, which only these handlers need. */
static void
find_plan(struct tx *tx)
{
	struct request *rq = &tx->rq;

	if (rq->n_called != 1 || rq->op == AM_SET || rq->automatic ||
	    rq->check || tx->m->self_or_pair)
		rq->plan = PLAN_GENERAL;
	else
		rq->plan = plan_one(tx->m, rq->op, rq->called[0]);
}

/* False: the relations do not accept it. */
static bool
plan(struct tx *tx)
{
	am_id id;

	if (tx->rq.plan == PLAN_UNKNOWN)
		find_plan(tx);
	if (tx->rq.plan == PLAN_GENERAL)
		return plan_general(tx);
	id = tx->rq.called[0];
	if (tx->rq.plan == PLAN_ENTER || tx->rq.plan == PLAN_REENTER) {
		bits_set(tx->enters.w, id);
		tx->enter_list[tx->n_enters++] = id;
	} else if (tx->rq.plan == PLAN_EXIT) {
		bits_set(tx->exits.w, id);
		tx->exit_list[tx->n_exits++] = id;
	}
	return true;
}

static __attribute__((noinline)) void
apply_general(struct tx *tx)
{
	struct am_machine *m = tx->m;
	size_t nw = m->schema->nw;

	for (SET_EACH(id, tx->enters.w, nw))
		m->clock[id] += bits_test(m->active, id) ? 2 : 1;
	for (SET_EACH(id, tx->exits.w, nw))
		m->clock[id]++;
	m->steady = STEADY_UNKNOWN;
	bits_copy(m->active, tx->target_set.w, nw);
	memcpy(m->order, tx->target, tx->n_target * sizeof(*m->order));
	m->n_active = (uint16_t)tx->n_target;
}

/* semantics.md 13. */
static void
apply(struct tx *tx)
{
	struct am_machine *m = tx->m;

	if (m->logger != NULL)
		mlog_states(tx, tx->target, tx->n_target, tx->enters.w,
		    tx->exits.w);
	tx->ticked = tx->n_enters > 0 || tx->n_exits > 0 ||
	    bits_any(tx->exits.w, m->schema->nw);
	if (tx->rq.plan == PLAN_GENERAL)
		apply_general(tx);
	else
		plan_apply(m, tx->rq.plan, tx->rq.called[0]);
}

/* ---- rollback (semantics.md 11) ---- */

/* TimeAfter keeps its value (QUIRK 5); only tracers see it. */
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

/* from: the position in enter_list from which on entered states leave. again:
 * this is the second time. */
static void
rollback(struct tx *tx, size_t from, bool again)
{
	struct am_machine *m = tx->m;
	const struct am_schema *s = m->schema;
	struct set left, reentered;
	size_t n = 0;

	/* The remaining list may be unsorted. */
	m->steady = STEADY_NO;
	keep_time(tx);
	bits_zero(left.w, s->nw);
	for (size_t i = from; i < tx->n_enters; i++) {
		am_id id = tx->enter_list[i];

		if (!bits_test(m->active, id))
			continue;
		bits_set(left.w, id);
		m->clock[id]++;
	}
	bits_and_not(m->active, left.w, s->nw);
	bits_zero(reentered.w, s->nw);
	for (size_t i = 0; i < tx->rq.n_called; i++) {
		am_id id = tx->rq.called[i];

		if (!bits_test(m->active, id) || !bits_test(s->multi, id))
			continue;
		bits_set(reentered.w, id);
		m->clock[id] += 2;
	}
	if (m->logger != NULL && !again)
		mlog_rolling_back(tx, left.w);
	if (m->logger != NULL)
		mlog_states(tx, m->order, m->n_active, reentered.w, left.w);
	for (size_t i = 0; i < m->n_active; i++)
		if (bits_test(m->active, m->order[i]))
			m->order[n++] = m->order[i];
	m->n_active = (uint16_t)n;
}

/* Rolls back for a failure; from: as above. */
static void
recover(struct tx *tx, size_t from)
{
	const struct am_machine *m = tx->m;

	if (has_called(&tx->rq, m->schema->exception))
		return;
	rollback(tx, from, false);
	if (m->logger != NULL && !m->dying)
		mlog_recovered(tx);
}

/* Rolls back once more for the phase (QUIRK 13, BUG 2). */
static __attribute__((noinline)) void
rollback_final(struct tx *tx, size_t failed)
{
	recover(tx, failed);
	rollback(tx, failed, true);
}

static __attribute__((noinline)) bool
failed_final(struct tx *tx, size_t failed)
{
	rollback_final(tx, failed);
	if (failed != SIZE_MAX)
		subs_args(tx->m, tx->enter_list[failed], tx->rq.args);
	return false;
}

/* Steps 8 and 9. */
static bool
finals(struct tx *tx)
{
	const struct am_machine *m = tx->m;
	size_t failed;

	if (m->n_tracers > 0)
		trace_finals(tx);
	if (m->logger != NULL)
		mlog_exception(tx);
	if ((m->n_bindings > 0 || m->want_args != NULL) &&
	    !run_finals(tx, &failed))
		return failed_final(tx, failed);
	if (m->n_bindings == 0 || !any_heard(m) || run_any_state(tx))
		return true;
	recover(tx, SIZE_MAX);
	return false;
}

/* ---- what follows ---- */

size_t
auto_states(const struct am_machine *m, am_id *to)
{
	const struct am_schema *s = m->schema;
	struct set candidates;
	size_t n = 0;

	for (size_t i = 0; i < s->nw; i++)
		candidates.w[i] = s->automatic[i] & ~m->active[i];
	for (SET_EACH(id, candidates.w, s->nw))
		if (!bits_meet(schema_rel(s, id, F_REMBY), m->active, s->nw))
			to[n++] = (am_id)id;
	return n;
}

/* Step 11: whether an automatic transition may follow. */
static bool
may_auto(const struct tx *tx)
{
	const struct request *rq = &tx->rq;
	bool health = rq->op == AM_ADD && rq->n_called == 1 &&
	    bits_test(tx->m->schema->health, rq->called[0]);

	return tx->accepted && tx->ticked && !rq->automatic && !health;
}

static void
log_auto(const struct tx *tx)
{
	am_id called[AM_STATES_MAX];

	mlog_auto(tx, called, auto_states(tx->m, called));
}

/* ---- all steps ---- */

static bool
steps(struct tx *tx)
{
	const struct am_machine *m = tx->m;

	if (m->logger != NULL) {
		mlog_start(tx);
		set_called(tx);
		mlog_resolve(tx, states_to_set(tx));
	}
	if (!plan(tx))
		return false;
	if (m->n_tracers > 0 && !trace_start(tx))
		return false;
	if ((m->asks || m->logger != NULL) && (!negotiate(tx) || m->dying))
		return false;
	if (tx->rq.check)
		return true;
	if (tx->rq.automatic)
		resolve_auto_again(tx);
	apply(tx);
	/* The rest of an automatic transition in which a state failed: it is
	 * executed, but calls no handlers and is not accepted. */
	if (tx->completed)
		return false;
	return finals(tx);
}

void
transition_run(struct am_machine *m, struct tx *tx)
{
	tx_init(tx, m);
	m->n_transitions++;
	m->tx = tx;
	tx->accepted = steps(tx);
	m->tx = NULL;
	tx->may_auto = m->schema->n_auto > 0 && may_auto(tx);
	if (m->logger != NULL && tx->may_auto && m->failures < FAILURES_MAX)
		log_auto(tx);
	if (!tx->accepted && tx->why_len == 0)
		why_add(tx, "canceled");
	if (m->n_tracers > 0)
		trace_end(tx);
	if (tx->time_after != NULL)
		free(tx->time_after);
}
