/* The ways around the resolver change nothing: two machines get the same
 * random schema, handlers, mutations and subscriptions; one of them resolves
 * every mutation. All that can be seen of them is compared. */
#include "lib/machine/mach.h"
#include "tests/unit/random_schema.h"
#include "tests/unit/unit.h"

enum { SEEDS = 1500, STEPS = 60, SUBS = 16, BINDINGS = 2, PAIRS = 20 };

/* One of the two; what it has seen goes into `seen`. */
struct world {
	struct random r;
	struct am_machine *m; /* NULL once it is freed */
	unsigned n;
	uint64_t seen;
	int depth;
	am_sub sub[SUBS];
};

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
	act_nested(w, 3);
}

static void
subscribe(struct world *w, const am_id *ids, unsigned n)
{
	unsigned slot = draw(&w->r, SUBS), kind = draw(&w->r, 4);
	uint64_t ticks[6];
	am_sub sub = 0;

	for (unsigned i = 0; i < n; i++)
		ticks[i] = am_tick(w->m, ids[i]) + draw(&w->r, 5);
	if (kind == 0)
		sub = am_when(w->m, ids, n, on_sub, w);
	else if (kind == 1)
		sub = am_when_not(w->m, ids, n, on_sub, w);
	else if (kind == 2)
		sub = am_when_time(w->m, ids, ticks, n, on_sub, w);
	else
		sub = am_when_ticks(w->m, (am_id)draw(&w->r, w->n),
		    draw(&w->r, 4), on_sub, w);
	w->sub[slot] = sub;
}

static void
act(struct world *w)
{
	static const unsigned char map[] = { 0x81, 0xa1, 'k', 1 };
	static const enum am_op ops[] = { AM_ADD, AM_ADD, AM_ADD, AM_REMOVE,
		AM_REMOVE, AM_SET, AM_TOGGLE, AM_CAN_ADD, AM_CAN_REMOVE };
	enum { N_OPS = sizeof(ops) / sizeof(ops[0]) };
	unsigned what = draw(&w->r, 20);
	unsigned n = draw(&w->r, 3) > 0 ? 1 : draw(&w->r, 4);
	am_id ids[6];
	struct am_mutation mut = { .states = ids, .n_states = n };

	for (unsigned i = 0; i < n; i++)
		ids[i] = (am_id)draw(&w->r, w->n);
	if (draw(&w->r, 3) == 0)
		mut.args = (struct am_val){ map, sizeof(map) };
	if (what < 15) {
		mut.op = ops[draw(&w->r, N_OPS)];
		see(w, am_mutate(w->m, &mut));
	} else if (what == 15) {
		see(w, (uint64_t)am_pulse(w->m, ids, n, mut.args));
	} else if (what < 19) {
		subscribe(w, ids, n);
	} else {
		am_sub_cancel(w->m, w->sub[draw(&w->r, SUBS)]);
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
	if (w->m != NULL && draw(&w->r, 60) == 0)
		am_fail(ev, "f %u", draw(&w->r, 9));
	if (draw(&w->r, 12) == 0)
		return am_refuse(ev, "no %u", draw(&w->r, 5));
	return true;
}

static void
on_final(struct am_event *ev)
{
	struct world *w = ev->arg;

	see(w, ev->state * 37U + 5);
	act_nested(w, 4);
	if (w->m != NULL && draw(&w->r, 25) == 0)
		am_fail(ev, "f %u", draw(&w->r, 9));
}

static void
on_transition(struct am_machine *m, const struct am_transition *t, void *arg)
{
	struct world *w = arg;

	(void)m;
	see(w, t->accepted);
	see(w, t->n_called);
	for (unsigned i = 0; i < w->n; i++)
		see(w, t->time_after[i]);
	see_text(w, t->why);
	act_nested(w, 4);
}

static const struct am_tracer tracer = { .size = sizeof(tracer),
	.transition_end = on_transition };

struct bindings {
	struct am_handler of[BINDINGS][RANDOM_STATES_MAX];
	struct am_pair_handler pair[BINDINGS][PAIRS];
	struct am_handlers h[BINDINGS];
	unsigned n;
	bool traced;
};

static void
make_bindings(struct random *r, struct bindings *b, unsigned n)
{
	unsigned rare = 1 + draw(r, 20);

	memset(b, 0, sizeof(*b));
	b->n = draw(r, BINDINGS + 1);
	b->traced = draw(r, 2) == 0;
	for (unsigned k = 0; k < b->n; k++) {
		struct am_handlers *h = &b->h[k];

		for (unsigned i = 0; i < n; i++) {
			struct am_handler *of = &b->of[k][i];

			of->enter = draw(r, rare) ? NULL : on_negotiation;
			of->exit = draw(r, rare) ? NULL : on_negotiation;
			of->state = draw(r, rare) ? NULL : on_final;
			of->end = draw(r, rare) ? NULL : on_final;
			if (rare < 4 && draw(r, 4) == 0)
				of->self = on_negotiation;
		}
		for (unsigned i = draw(r, 4) ? 0 : draw(r, PAIRS); i > 0; i--) {
			am_id x = (am_id)draw(r, n), y = (am_id)draw(r, n);

			if (x != y)
				b->pair[k][h->n_pairs++] =
				    (struct am_pair_handler){ x, y,
					    on_negotiation };
		}
		h->of = b->of[k];
		h->len = n;
		h->pair = b->pair[k];
		h->any_enter = draw(r, 4) ? NULL : on_negotiation;
		h->any_state = draw(r, 4) ? NULL : on_final;
	}
}

static void
begin(struct world *w, struct am_schema *s, const struct bindings *b,
    bool general)
{
	w->m = am_machine_new(s, "w");
	ck_assert_ptr_nonnull(w->m);
	w->m->general = general;
	for (unsigned k = 0; k < b->n; k++)
		ck_assert_int_eq(am_bind(w->m, &b->h[k], w), 0);
	if (b->traced)
		ck_assert_int_eq(am_trace(w->m, &tracer, w), 0);
}

static void
step(struct world *w)
{
	const am_id *active;
	size_t n;

	if (w->m == NULL)
		return;
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
	unsigned n = 2 + draw(&r, draw(&r, 4) > 0 ? 12 : 60);
	struct am_schema *s = random_schema(&r, rs, n, 1 + draw(&r, 8), true);
	struct world w[2] = { { .n = n }, { .n = n } };

	ck_assert_ptr_nonnull(s);
	make_bindings(&r, b, n);
	for (int i = 0; i < 2; i++) {
		w[i].r = r;
		begin(&w[i], s, b, i == 1);
	}
	for (int i = 0; i < STEPS; i++) {
		step(&w[0]);
		step(&w[1]);
		ck_assert_msg(w[0].seen == w[1].seen,
		    "seed %llu: differs at step %d", (unsigned long long)seed,
		    i);
	}
	am_machine_free(w[0].m);
	am_machine_free(w[1].m);
	am_schema_unref(s);
}

START_TEST(the_short_ways_lead_to_the_same)
{
	struct random_schema *rs = calloc(1, sizeof(*rs));
	struct bindings *b = calloc(1, sizeof(*b));

	ck_assert(rs != NULL && b != NULL);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		compare(seed, rs, b);
	free(rs);
	free(b);
}
END_TEST

UNIT_MAIN("machine_same", the_short_ways_lead_to_the_same)
