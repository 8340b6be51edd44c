/* Logs a resolution state by state: the lines and steps of semantics.md 16 and
 * 17. resolve() does the same with sets, and a simple plan without any list, so
 * neither needs to know about loggers. */
#include <assert.h>

#include "lib/base/buf.h"
#include "lib/machine/mlog.h"

struct list {
	struct tx *tx;
	am_id *id;
	size_t n;
	uint64_t *set;
};

static void
append(struct list *l, am_id id)
{
	if (bits_test(l->set, id))
		return;
	bits_set(l->set, id);
	l->id[l->n++] = id;
}

/* What the states of the list add, except doomed. */
static void
expand(struct list *l, const uint64_t *doomed)
{
	const struct am_machine *m = l->tx->m;
	const struct am_schema *s = m->schema;
	am_id add[AM_STATES_MAX];

	for (size_t i = 0, n = l->n; i < n; i++) {
		const struct am_list *all = &s->add[l->id[i]];
		size_t k = 0;

		if (bits_test(m->active, l->id[i]) &&
		    !bits_test(s->multi, l->id[i]))
			continue;
		for (size_t j = 0; j < all->len; j++)
			if (l->tx->rq.op != AM_REMOVE ||
			    !bits_test(l->tx->called.w, all->id[j]))
				add[k++] = all->id[j];
		mlog_step_add(l->tx, l->id[i], add, k);
		for (size_t j = 0; j < k; j++)
			if (!bits_test(doomed, add[j]))
				append(l, add[j]);
	}
}

/* "A(-B -C)", with the states that A requires and set lacks. */
static void
put_missing(const struct am_schema *s, struct am_buf *b, am_id id,
    const uint64_t *set)
{
	const struct am_list *req = &s->row[id].require;
	const char *sep = "(-";

	buf_printf(b, " %s", s->row[id].name);
	for (size_t i = 0; i < req->len; i++) {
		if (bits_test(set, req->id[i]))
			continue;
		buf_printf(b, "%s%s", sep, s->row[req->id[i]].name);
		sep = " -";
	}
	buf_putc(b, ')');
}

/* Whether set has everything that it requires. */
static bool
is_satisfied(const struct list *l, am_id id, const uint64_t *set)
{
	const struct am_list *req = &l->tx->m->schema->row[id].require;
	bool satisfied = true;

	for (size_t i = 0; i < req->len; i++) {
		mlog_step_relation(l->tx, id, "require", req->id[i]);
		if (bits_test(set, req->id[i]))
			continue;
		satisfied = false;
		mlog_step(l->tx, "deactivate-passive", id);
		if (bits_test(l->tx->called.w, id))
			mlog_step(l->tx, "cancel", req->id[i]);
	}
	return satisfied;
}

/* Drops states that lack a requirement, until none does. */
static void
require(struct list *l)
{
	const struct am_machine *m = l->tx->m;
	bool automatic = l->tx->rq.automatic;
	enum am_log_level level = automatic ? AM_LOG_DECISIONS : AM_LOG_OPS;
	size_t first = l->n, before;
	struct am_buf b;
	struct set now;

	mlog_begin(m, &b);
	buf_puts(&b, automatic ? "[reject:auto]" : "[reject]");
	do {
		before = l->n;
		l->n = 0;
		bits_copy(now.w, l->set, m->schema->nw);
		for (size_t i = 0; i < before; i++) {
			am_id id = l->id[i];

			if (is_satisfied(l, id, now.w)) {
				l->id[l->n++] = id;
				continue;
			}
			bits_clear(l->set, id);
			put_missing(m->schema, &b, id, now.w);
		}
	} while (l->n < before);
	if (l->n < first && mlog_on(m, level))
		mlog_end(m, level, &b);
	else
		am_buf_done(&b);
}

static void
tell_blocked(const struct list *l, am_id id, const uint64_t *by)
{
	const struct am_machine *m = l->tx->m;
	bool active = bits_test(m->active, id);
	enum am_log_level level = active ? AM_LOG_OPS : AM_LOG_DECISIONS;
	struct am_buf b;

	mlog_step(l->tx, active ? "deactivate" : "deactivate-passive", id);
	if (!mlog_on(m, level))
		return;
	mlog_begin(m, &b);
	buf_printf(&b, "[rel:remove] %s by", m->schema->row[id].name);
	(void)mlog_some(m, &b, " ", l->id, l->n, by);
	mlog_end(m, level, &b);
}

/* Decides from the end of the list, so that a blocked state blocks no
 * others. */
static void
block(struct list *l)
{
	const struct am_schema *s = l->tx->m->schema;
	size_t k = 0;

	for (size_t i = l->n; i-- > 0;) {
		am_id id = l->id[i];
		struct set by;

		for (size_t j = 0; j < l->n; j++)
			if (bits_test(schema_rel(s, l->id[j], F_REM), id))
				mlog_step_relation(l->tx, l->id[j], "remove",
				    id);
		for (size_t w = 0; w < s->nw; w++)
			by.w[w] = schema_rel(s, id, F_REMBY)[w] & l->set[w];
		if (!bits_any(by.w, s->nw))
			continue;
		tell_blocked(l, id, by.w);
		bits_clear(l->set, id);
	}
	for (size_t i = 0; i < l->n; i++)
		if (bits_test(l->set, l->id[i]))
			l->id[k++] = l->id[i];
	l->n = k;
}

/* The second level of Add, whose states come first, reversed. */
static void
expand_again(struct list *l)
{
	const struct am_schema *s = l->tx->m->schema;
	struct set doomed;

	bits_zero(doomed.w, s->nw);
	for (SET_EACH(id, l->set, s->nw))
		bits_or(doomed.w, schema_rel(s, id, F_REM), s->nw);
	list_reverse(l->id, l->n);
	expand(l, doomed.w);
	list_reverse(l->id, l->n);
}

static void
tell_implied(const struct list *l, const uint64_t *wanted)
{
	const struct am_machine *m = l->tx->m;
	struct set implied;
	struct am_buf b;

	bits_copy(implied.w, l->set, m->schema->nw);
	bits_and_not(implied.w, wanted, m->schema->nw);
	if (!mlog_on(m, AM_LOG_OPS) || !bits_any(implied.w, m->schema->nw))
		return;
	mlog_begin(m, &b);
	buf_puts(&b, "[implied]");
	(void)mlog_some(m, &b, " ", l->id, l->n, implied.w);
	mlog_end(m, AM_LOG_OPS, &b);
}

void
mlog_resolve(struct tx *tx, size_t n)
{
	static const struct set none;
	const struct am_schema *s = tx->m->schema;
	struct logger *logger = tx->m->logger;
	struct list l = { .tx = tx, .id = tx->target, .set = tx->target_set.w };
	struct set wanted;

	mlog_step_set(tx, tx->target, n);
	bits_zero(l.set, s->nw);
	for (size_t i = 0; i < n; i++)
		append(&l, tx->target[i]);
	bits_copy(wanted.w, l.set, s->nw);
	expand(&l, none.w);
	require(&l);
	block(&l);
	expand_again(&l);
	require(&l);
	sort_states(s, l.id, l.n, l.set, tx);
	tx->n_target = logger->n_target = l.n;
	memcpy(logger->target, l.id, l.n * sizeof(*l.id));
	tell_implied(&l, wanted.w);
}

void
mlog_resolved(const struct tx *tx)
{
	const struct logger *l = tx->m->logger;

	assert(tx->n_target == l->n_target &&
	    memcmp(tx->target, l->target, l->n_target * sizeof(am_id)) == 0);
}
