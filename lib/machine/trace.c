/* Tracers. While they are being called, removing one leaves a hole; one that is
 * added is called from the next event on. */
#include "lib/machine/mlog.h"

#include <errno.h>
#include <stdlib.h>

typedef void (
    *trace_fn)(struct am_machine *m, const struct am_transition *t, void *arg);

enum event { QUEUED, START, FINALS, END };

static trace_fn
fn_of(const struct am_tracer *t, enum event ev)
{
	switch (ev) {
	case QUEUED:
		return t->mutation_queued;
	case START:
		return t->transition_start;
	case FINALS:
		return t->transition_finals;
	case END:
		return t->transition_end;
	}
	return NULL;
}

static void
tell(struct am_machine *m, enum event ev, const struct am_transition *t)
{
	size_t n = m->n_tracers;

	for (size_t i = 0; i < n && !m->dying; i++) {
		const struct tracer *r = &m->tracer[i];
		trace_fn fn = r->t != NULL ? fn_of(r->t, ev) : NULL;

		if (fn != NULL)
			fn(m, t, r->arg);
	}
}

static void
tell_tx(struct tx *tx, enum event ev)
{
	const struct am_machine *m = tx->m;
	const struct request *e = &tx->rq;
	struct am_transition t = {
		.id = m->n_transitions,
		.op = e->op,
		.automatic = e->automatic,
		.check = e->check,
		.accepted = tx->accepted,
		.called = e->called,
		.n_called = e->n_called,
		.args = e->args,
		.source = e->source,
		.from = tx->rq.from,
		.steps = m->logger != NULL ? mlog_steps(m) : "",
		.time_after = tx->time_after != NULL ? tx->time_after
						     : m->clock,
		.why = tx->accepted ? "" : tx->why,
	};

	tell(tx->m, ev, &t);
	tx->m->handler_ns = 0;
}

void
trace_queued(struct am_machine *m, const struct request *rq)
{
	struct am_transition t = {
		.op = rq->op,
		.automatic = rq->automatic,
		.check = rq->check,
		.accepted = true,
		.called = rq->called,
		.n_called = rq->n_called,
		.args = rq->args,
		.source = rq->source,
		.from = rq->from,
		.steps = "",
		.time_after = m->clock,
		.why = "",
	};

	tell(m, QUEUED, &t);
}

bool
trace_start(struct tx *tx)
{
	tell_tx(tx, START);
	return !tx->m->dying;
}

void
trace_finals(struct tx *tx)
{
	tell_tx(tx, FINALS);
}

void
trace_end(struct tx *tx)
{
	tell_tx(tx, END);
}

void
trace_remote(struct am_machine *m, const struct am_transition *t)
{
	tell(m, END, t);
}

void
trace_schema_changed(struct am_machine *m)
{
	size_t n = m->n_tracers;

	for (size_t i = 0; i < n && !m->dying; i++) {
		const struct tracer *r = &m->tracer[i];

		if (r->t != NULL && r->t->schema_changed != NULL)
			r->t->schema_changed(m, r->arg);
	}
}

void
trace_drain_end(struct am_machine *m)
{
	size_t n = m->n_tracers;

	for (size_t i = 0; i < n && !m->dying; i++) {
		const struct tracer *r = &m->tracer[i];

		if (r->t != NULL && r->t->drain_end != NULL)
			r->t->drain_end(m, r->arg);
	}
}

/* ---- adding and removing ---- */

static bool
has_tracer(const struct am_machine *m)
{
	for (size_t i = 0; i < m->n_tracers; i++)
		if (m->tracer[i].t != NULL)
			return true;
	return false;
}

/* A mirror with tracers asks its machine to report mutations. */
static void
ask_remote(struct am_machine *m, bool had)
{
	bool has = has_tracer(m);

	if (m->remote != NULL && has != had)
		m->remote->trace(m, has, m->remote->arg);
}

/* While they are being called, removing one leaves a hole. */
static void
close_holes(struct am_machine *m)
{
	size_t n = 0;

	if (m->pins > 0)
		return;
	for (size_t i = 0; i < m->n_tracers; i++)
		if (m->tracer[i].t != NULL)
			m->tracer[n++] = m->tracer[i];
	m->n_tracers = (uint16_t)n;
}

static const char *
name_of(const struct am_tracer *t)
{
	return t->name != NULL ? t->name : "tracer";
}

int
am_trace(struct am_machine *m, const struct am_tracer *t, void *arg)
{
	struct tracer *grown;
	bool had;

	if (t->size < sizeof(*t))
		return -EINVAL;
	close_holes(m);
	if (m->n_tracers == UINT16_MAX)
		return -E2BIG;
	grown = realloc(m->tracer, (m->n_tracers + 1U) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	m->tracer = grown;
	had = has_tracer(m);
	grown[m->n_tracers++] = (struct tracer){ .t = t, .arg = arg };
	ask_remote(m, had);
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_OPS, "[tracers] bind %s", name_of(t));
	return 0;
}

void
am_untrace(struct am_machine *m, const struct am_tracer *t, void *arg)
{
	bool had = has_tracer(m);

	for (size_t i = 0; i < m->n_tracers; i++) {
		if (m->tracer[i].t == t && m->tracer[i].arg == arg) {
			m->tracer[i].t = NULL;
			if (m->logger != NULL)
				mlog_line(m, AM_LOG_OPS, "[tracers] detach %s",
				    name_of(t));
			break;
		}
	}
	ask_remote(m, had);
	close_holes(m);
}
