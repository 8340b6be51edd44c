/* A simple plan and the general one do the same, and a logger changes nothing:
 * machines get the same random schema, handlers, mutations, subscriptions and
 * tracers; one has only general plans, one a logger, one both. All that calls
 * can see of them is compared after each step, and so is what is logged.
 *
 * SAME_STEPS=10000000 in the environment asks for that many steps; SAME_SEED says
 * with which seed to begin. */
#include <stdlib.h>

#include "lib/amnode_log.h"
#include "lib/machine/mach.h"
#include "tests/unit/random_schema.h"
#include "tests/unit/unit.h"

enum { STEPS = 30000, STEPS_A_SEED = 60 };
enum { SUBS = 16, BINDINGS = 2, PAIRS = 20, TRACERS = 3 };
enum { SIMPLE, GENERAL, SIMPLE_LOGGED, GENERAL_LOGGED, WORLDS };

/* What happens at all in the worlds of a seed: some, so that what they are
 * seldom without does not hide what they are seldom with. The first ones are
 * what a step, or a callback, may do instead of a mutation. */
enum feature {
	QUERY,
	TURN,
	STATES,
	ARGS,
	OTHER_SUB,
	CANCEL,
	TRACE,
	PULSE,
	EVAL,
	ERROR,
	ACTIONS,
	FAILURES = ACTIONS,
	REFUSALS,
	SELVES_AND_PAIRS,
	FEATURES
};

/* One of them; what it has seen goes into `seen`. */
struct world {
	struct random r;
	struct am_machine *m; /* NULL once it is freed */
	unsigned n;
	unsigned features;
	uint64_t seen;
	uint64_t logged;
	int depth;
	am_sub sub[SUBS];
	bool traced[TRACERS];
};

static bool
has(unsigned features, enum feature f)
{
	return (features >> f & 1) != 0;
}

static void
see(struct world *w, uint64_t v)
{
	w->seen = (w->seen ^ v) * UINT64_C(0x100000001b3);
}

static void
see_text(struct world *w, const char *text)
{
	for (; *text != '\0'; text++)
		see(w, (unsigned char)*text);
}

static void act(struct world *w);

static void
act_nested(struct world *w, unsigned below)
{
	if (w->m == NULL || w->depth > 3 || draw(&w->r, below) != 0)
		return;
	w->depth++;
	act(w);
	w->depth--;
}

static void
on_sub(struct am_machine *m, void *arg)
{
	struct world *w = arg;

	see(w, am_queue_tick(m) + 7000);
	see(w, am_disposing(m));
	act_nested(w, 3);
}

static void
on_eval(struct am_machine *m, void *arg)
{
	see(arg, 11);
	on_sub(m, arg);
}

static bool
ask(const struct am_machine *m, void *arg)
{
	struct world *w = arg;

	see(w, 5000 + am_tick(m, 0));
	return draw(&w->r, 3) == 0;
}

static am_sub
subscribe_to_states(struct world *w, const am_id *ids, unsigned n)
{
	unsigned kind = draw(&w->r, 5);
	am_id id = (am_id)draw(&w->r, w->n);
	uint64_t ticks[6];

	for (unsigned i = 0; i < n; i++)
		ticks[i] = am_tick(w->m, ids[i]) + draw(&w->r, 5);
	if (kind == 0)
		return am_when(w->m, ids, n, on_sub, w);
	if (kind == 1)
		return am_when_not(w->m, ids, n, on_sub, w);
	if (kind == 2)
		return am_when_time(w->m, ids, ticks, n, on_sub, w);
	if (kind == 3)
		return am_when_next_active(w->m, id, on_sub, w);
	return am_when_ticks(w->m, id, draw(&w->r, 4), on_sub, w);
}

static am_sub
subscribe_else(struct world *w)
{
	unsigned kind = draw(&w->r, 3);

	if (kind == 0)
		return am_when_err(w->m, on_sub, w);
	if (kind == 1)
		return am_when_disposed(w->m, on_sub, w);
	/* Outside of a drain it would call itself without end. */
	return am_draining(w->m) ? am_when_queue_ends(w->m, on_sub, w) : 0;
}

static void trace_or_not(struct world *w, unsigned i);

static void
act_else(struct world *w, const am_id *ids, unsigned n, struct am_val args)
{
	am_sub *sub = &w->sub[draw(&w->r, SUBS)];
	am_id id = (am_id)draw(&w->r, w->n);
	unsigned what = draw(&w->r, ACTIONS);

	for (int i = 0; i < ACTIONS && !has(w->features, what); i++)
		what = (what + 1) % ACTIONS;
	switch ((enum feature)what) {
	case QUERY:
		*sub = am_when_query(w->m, ask, on_sub, w);
		break;
	case TURN:
		*sub = am_when_queue(w->m, am_queue_tick(w->m) + draw(&w->r, 4),
		    on_sub, w);
		break;
	case STATES:
		*sub = subscribe_to_states(w, ids, n);
		break;
	case ARGS:
		*sub = am_when_args(w->m, id, args, on_sub, w);
		break;
	case OTHER_SUB:
		*sub = subscribe_else(w);
		break;
	case TRACE:
		trace_or_not(w, draw(&w->r, TRACERS));
		break;
	case PULSE:
		see(w, (uint64_t)am_pulse(w->m, ids, n, args));
		break;
	case EVAL:
		see(w, am_eval(w->m, "same", on_eval, w));
		break;
	case ERROR:
		see(w, am_add_err(w->m, id, "no"));
		break;
	case CANCEL:
	case FAILURES:
	case REFUSALS:
	case SELVES_AND_PAIRS:
	case FEATURES:
		am_sub_cancel(w->m, *sub);
		break;
	}
}

static void
act(struct world *w)
{
	static const unsigned char map[][4] = { { 0x81, 0xa1, 'k', 1 },
		{ 0x81, 0xa1, 'k', 2 } };
	static const enum am_op ops[] = { AM_ADD, AM_ADD, AM_ADD, AM_REMOVE,
		AM_REMOVE, AM_SET, AM_TOGGLE, AM_CAN_ADD, AM_CAN_REMOVE };
	enum { N_OPS = sizeof(ops) / sizeof(ops[0]) };
	bool mutate = draw(&w->r, 20) < 12;
	unsigned n = draw(&w->r, 3) > 0 ? 1 : draw(&w->r, 4);
	am_id ids[6];
	struct am_mutation mut = { .states = ids, .n_states = n };

	for (unsigned i = 0; i < n; i++)
		ids[i] = (am_id)draw(&w->r, w->n);
	if (draw(&w->r, 3) == 0)
		mut.args = (struct am_val){ map[draw(&w->r, 2)], 4 };
	if (mutate) {
		mut.op = ops[draw(&w->r, N_OPS)];
		see(w, am_mutate(w->m, &mut));
	} else {
		act_else(w, ids, n, mut.args);
	}
	if (w->depth > 0 && w->m != NULL && draw(&w->r, 400) == 0)
		w->m = am_machine_free(w->m);
}

static bool
on_negotiation(struct am_event *ev)
{
	struct world *w = ev->arg;

	see(w, ev->state * 31U + ev->other);
	act_nested(w, 4);
	if (w->m != NULL && has(w->features, FAILURES) && draw(&w->r, 60) == 0)
		am_fail(ev, "f %u", draw(&w->r, 9));
	if (has(w->features, REFUSALS) && draw(&w->r, 12) == 0)
		return am_refuse(ev, "no %u", draw(&w->r, 5));
	return true;
}

static void
on_final(struct am_event *ev)
{
	struct world *w = ev->arg;

	see(w, ev->state * 37U + 5);
	act_nested(w, 4);
	if (w->m != NULL && has(w->features, FAILURES) && draw(&w->r, 25) == 0)
		am_fail(ev, "f %u", draw(&w->r, 9));
}

static void
on_trace(struct am_machine *m, const struct am_transition *t, void *arg)
{
	struct world *w = arg;

	(void)m;
	see(w, t->id);
	see(w, t->op * 4U + t->automatic * 2U + t->accepted);
	for (size_t i = 0; i < t->n_called; i++)
		see(w, t->called[i]);
	for (unsigned i = 0; i < w->n; i++)
		see(w, t->time_after[i]);
	see_text(w, t->why);
	for (const char *c = t->steps; *c != '\0'; c++)
		w->logged = w->logged * 31 + (unsigned char)*c;
	act_nested(w, 6);
}

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct world *w = arg;

	see(w, am_queue_tick(m) + 9000);
	act_nested(w, 6);
}

static const struct am_tracer tracer[TRACERS] = {
	{ .size = sizeof(tracer[0]), .transition_end = on_trace },
	{ .size = sizeof(tracer[0]),
	    .transition_start = on_trace,
	    .drain_end = on_drain_end },
	{ .size = sizeof(tracer[0]),
	    .mutation_queued = on_trace,
	    .transition_finals = on_trace },
};

static void
trace_or_not(struct world *w, unsigned i)
{
	if (w->traced[i])
		am_untrace(w->m, &tracer[i], w);
	else
		ck_assert_int_eq(am_trace(w->m, &tracer[i], w), 0);
	w->traced[i] = !w->traced[i];
}

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	struct world *w = arg;

	(void)m;
	w->logged = w->logged * 31 + level;
	for (; *line != '\0'; line++)
		w->logged = w->logged * 31 + (unsigned char)*line;
}

/* Now and then none, so that machines change between being logged and not. */
static void
log_or_not(struct world *w, int level)
{
	const struct am_logger l = {
		.size = sizeof(l),
		.level = (enum am_log_level)level,
		.line = on_line,
		.arg = w,
	};

	ck_assert_int_eq(am_set_logger(w->m, &l), 0);
}

struct bindings {
	struct am_handler of[BINDINGS][RANDOM_STATES_MAX];
	struct am_pair_handler pair[BINDINGS][PAIRS];
	struct am_handlers h[BINDINGS];
	unsigned n;
	bool traced;
};

static void
make_bindings(struct random *r, struct bindings *b, unsigned n,
    unsigned features)
{
	unsigned rare = 1 + draw(r, 20);

	memset(b, 0, sizeof(*b));
	b->n = draw(r, BINDINGS + 1);
	b->traced = has(features, TRACE) && draw(r, 2) == 0;
	for (unsigned k = 0; k < b->n; k++) {
		struct am_handlers *h = &b->h[k];

		for (unsigned i = 0; i < n; i++) {
			struct am_handler *of = &b->of[k][i];

			of->enter = draw(r, rare) ? NULL : on_negotiation;
			of->exit = draw(r, rare) ? NULL : on_negotiation;
			of->state = draw(r, rare) ? NULL : on_final;
			of->end = draw(r, rare) ? NULL : on_final;
			if (has(features, SELVES_AND_PAIRS) && rare < 4 &&
			    draw(r, 4) == 0)
				of->self = on_negotiation;
		}
		for (unsigned i =
			 has(features, SELVES_AND_PAIRS) ? draw(r, PAIRS) : 0;
		     i > 0; i--) {
			am_id x = (am_id)draw(r, n), y = (am_id)draw(r, n);

			if (x != y)
				b->pair[k][h->n_pairs++] =
				    (struct am_pair_handler){ x, y,
					    on_negotiation };
		}
		h->of = b->of[k];
		h->len = n;
		h->pair = b->pair[k];
		h->any_enter = draw(r, 2) ? NULL : on_negotiation;
		h->any_state = draw(r, 2) ? NULL : on_final;
	}
}

static void
begin(struct world *w, int which, struct am_schema *s, const struct bindings *b)
{
	w->m = am_machine_new(s, "w");
	ck_assert_ptr_nonnull(w->m);
	am_handler_timeout(w->m, -1);
	w->m->general = which == GENERAL || which == GENERAL_LOGGED;
	for (unsigned k = 0; k < b->n; k++)
		ck_assert_int_eq(am_bind(w->m, &b->h[k], w), 0);
	if (b->traced)
		trace_or_not(w, 0);
}

static void
step(struct world *w, int which)
{
	unsigned level = draw(&w->r, 12);
	const am_id *active;
	size_t n;

	if (w->m == NULL)
		return;
	if (level <= AM_LOG_EVERYTHING &&
	    (which == SIMPLE_LOGGED || which == GENERAL_LOGGED))
		log_or_not(w, (int)level);
	act(w);
	if (w->m == NULL)
		return;
	see_text(w, am_why(w->m));
	see_text(w, am_last_error(w->m));
	see(w, am_queue_tick(w->m));
	active = am_active(w->m, &n);
	for (size_t i = 0; i < n; i++)
		see(w, active[i]);
	for (unsigned i = 0; i < w->n; i++)
		see(w, am_tick(w->m, (am_id)i));
}

static void
compare(uint64_t seed, struct random_schema *rs, struct bindings *b)
{
	struct random r = random_of(seed);
	unsigned n = 2 + draw(&r, draw(&r, 4) > 0 ? 8 : 60);
	unsigned features = draw(&r, 1U << FEATURES);
	struct am_schema *s = random_schema(&r, rs, n, draw(&r, 8), true);
	/* What is logged takes most of the time. */
	int n_worlds = seed % 4 == 0 ? WORLDS : SIMPLE_LOGGED;
	struct world w[WORLDS];

	ck_assert_ptr_nonnull(s);
	make_bindings(&r, b, n, features);
	for (int k = 0; k < n_worlds; k++) {
		w[k] = (struct world){ .n = n, .features = features, .r = r };
		begin(&w[k], k, s, b);
	}
	for (int i = 0; i < STEPS_A_SEED; i++) {
		for (int k = 0; k < n_worlds; k++) {
			step(&w[k], k);
			ck_assert_msg(w[k].seen == w[0].seen,
			    "seed %llu: machine %d differs at step %d",
			    (unsigned long long)seed, k, i);
		}
		ck_assert_msg(n_worlds < WORLDS ||
			w[SIMPLE_LOGGED].logged == w[GENERAL_LOGGED].logged,
		    "seed %llu: other lines at step %d",
		    (unsigned long long)seed, i);
	}
	for (int k = 0; k < n_worlds; k++)
		am_machine_free(w[k].m);
	am_schema_unref(s);
}

START_TEST(plans_and_loggers_change_nothing)
{
	struct random_schema *rs = calloc(1, sizeof(*rs));
	struct bindings *b = calloc(1, sizeof(*b));
	const char *env = getenv("SAME_STEPS");
	uint64_t steps = env != NULL ? strtoull(env, NULL, 10) : STEPS;
	uint64_t seed = 1;

	env = getenv("SAME_SEED");
	if (env != NULL)
		seed = strtoull(env, NULL, 10);

	ck_assert(rs != NULL && b != NULL);
	for (uint64_t i = 0; i * STEPS_A_SEED < steps; i++)
		compare(seed + i, rs, b);
	free(rs);
	free(b);
}
END_TEST

UNIT_MAIN("machine_same", plans_and_loggers_change_nothing)
