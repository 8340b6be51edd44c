/* What holds of every machine, tried on random schemas, handlers and
 * mutations. */
#include "lib/base/buf.h"
#include "tests/unit/random_schema.h"
#include "tests/unit/unit.h"

enum { SEEDS = 600, STEPS = 40 };

struct world {
	struct random r;
	struct am_schema *s;
	struct am_machine *m;
	unsigned n;
	bool no_add;       /* no state adds others */
	bool fails;        /* handlers may fail */
	size_t n_appended; /* mutations from inside of drains */
	uint64_t before[RANDOM_STATES_MAX];
	am_id order[RANDOM_STATES_MAX];
	size_t n_active;
};

/* ---- what is looked at ---- */

/* Odd is active, and the active list has each active state once. */
static void
check_parity(const struct world *w)
{
	bool seen[RANDOM_STATES_MAX] = { false };
	size_t n, n_odd = 0;
	const am_id *active = am_active(w->m, &n);

	for (size_t i = 0; i < n; i++) {
		ck_assert(!seen[active[i]]);
		seen[active[i]] = true;
	}
	for (unsigned i = 0; i < w->n; i++) {
		bool odd = am_tick(w->m, (am_id)i) % 2 == 1;

		ck_assert(odd == am_is1(w->m, (am_id)i) && odd == seen[i]);
		n_odd += odd;
	}
	ck_assert_uint_eq(n, n_odd);
}

/* Requirements are active, always: they are looked at last. Only a rollback
 * may break them. What removes each other is not active together, as long as
 * no Add brought it (QUIRK 7). */
static void
check_relations(const struct world *w)
{
	size_t n;
	const am_id *active = am_active(w->m, &n);

	for (size_t i = 0; i < n; i++) {
		const struct am_state *row = am_schema_state(w->s, active[i]);

		for (size_t k = 0; !w->fails && k < row->require.len; k++)
			ck_assert(am_is1(w->m, row->require.id[k]));
		for (size_t k = 0; w->no_add && k < row->remove.len; k++)
			ck_assert(row->remove.id[k] == active[i] ||
			    !am_is1(w->m, row->remove.id[k]));
	}
}

static void
remember(struct world *w)
{
	const am_id *active = am_active(w->m, &w->n_active);

	memcpy(w->order, active, w->n_active * sizeof(*active));
	memcpy(w->before, am_time(w->m), w->n * sizeof(w->before[0]));
}

static bool
is_unchanged(const struct world *w)
{
	size_t n;
	const am_id *active = am_active(w->m, &n);

	return n == w->n_active &&
	    memcmp(active, w->order, n * sizeof(*active)) == 0 &&
	    memcmp(am_time(w->m), w->before, w->n * sizeof(w->before[0])) == 0;
}

static void
check_ticks_grow(const struct world *w)
{
	for (unsigned i = 0; i < w->n; i++)
		ck_assert_uint_ge(am_tick(w->m, (am_id)i), w->before[i]);
}

/* ---- handlers ---- */

static bool
on_negotiation(struct am_event *ev)
{
	const struct world *w = ev->arg;

	/* The same answer each time, or no check could promise anything. */
	return (ev->state + w->n) % 7 != 0;
}

static void
on_final(struct am_event *ev)
{
	struct world *w = ev->arg;

	if (draw(&w->r, 4) == 0)
		(void)am_add1(w->m, (am_id)draw(&w->r, w->n), AM_NONE);
	if (w->fails && draw(&w->r, 10) == 0)
		am_fail(ev, "failed");
}

static void
on_queued(struct am_machine *m, const struct am_transition *t, void *arg)
{
	struct world *w = arg;

	/* The Exception of a failure goes in front, and does not tick. */
	if (am_draining(m) && !t->check && !t->automatic &&
	    am_get(t->args, "handler", &(struct am_val){ NULL, 0 }) < 0)
		w->n_appended++;
}

static void
on_end(struct am_machine *m, const struct am_transition *t, void *arg)
{
	const struct world *w = arg;

	(void)m;
	ck_assert(t->accepted == (t->why[0] == '\0'));
	check_parity(w);
	check_relations(w);
}

static const struct am_tracer tracer = {
	.size = sizeof(tracer),
	.mutation_queued = on_queued,
	.transition_end = on_end,
};

/* ---- one machine ---- */

static struct am_mutation
random_mutation(struct world *w, am_id *ids)
{
	static const enum am_op ops[] = { AM_ADD, AM_ADD, AM_REMOVE, AM_SET,
		AM_TOGGLE };
	struct am_mutation mut = { .op = ops[draw(&w->r, 5)], .states = ids };

	mut.n_states = draw(&w->r, 2) == 0 ? 1 : draw(&w->r, 4);
	for (size_t i = 0; i < mut.n_states; i++)
		ids[i] = (am_id)draw(&w->r, w->n);
	return mut;
}

static bool
calls_multi(const struct world *w, const struct am_mutation *mut)
{
	for (size_t i = 0; i < mut->n_states; i++)
		if (am_schema_state(w->s, mut->states[i])->multi)
			return true;
	return false;
}

/* A check changes nothing, and an add does what it promised. */
static void
check_check(struct world *w, const struct am_mutation *mut)
{
	uint64_t tick = am_queue_tick(w->m);
	am_result can, does;

	can = am_can_add(w->m, mut->states, mut->n_states, AM_NONE);
	ck_assert(is_unchanged(w));
	ck_assert_uint_eq(am_queue_tick(w->m), tick);
	if (w->fails || calls_multi(w, mut))
		return;
	does = am_add(w->m, mut->states, mut->n_states, AM_NONE);
	ck_assert_uint_eq(can, does);
}

static void
step(struct world *w)
{
	am_id ids[4];
	struct am_mutation mut = random_mutation(w, ids);
	uint64_t tick = am_queue_tick(w->m);
	am_result r;

	remember(w);
	if (draw(&w->r, 4) == 0) {
		check_check(w, &mut);
		return;
	}
	w->n_appended = 0;
	r = am_mutate(w->m, &mut);
	ck_assert(r == AM_EXECUTED || r == AM_CANCELED);
	ck_assert((r == AM_CANCELED) == (am_why(w->m)[0] != '\0'));
	/* It was told in its own drain, too. */
	ck_assert_uint_eq(am_queue_tick(w->m), tick + w->n_appended);
	check_ticks_grow(w);
}

static void
check_export(struct world *w)
{
	struct am_machine *copy = am_machine_new(w->s, "random");
	struct am_buf b = AM_BUF_INIT;
	struct am_error err = { "" };

	ck_assert_int_eq(am_export(w->m, &b), 0);
	ck_assert_msg(am_import(copy, am_buf_val(&b), &err) == 0, "%s",
	    err.text);
	for (unsigned i = 0; i < w->n; i++)
		ck_assert_uint_eq(am_tick(copy, (am_id)i),
		    am_tick(w->m, (am_id)i));
	ck_assert_uint_eq(am_machine_tick(copy), am_machine_tick(w->m) + 1);
	w->m = am_machine_free(w->m);
	w->m = copy;
	check_parity(w);
	check_relations(w);
	am_buf_done(&b);
}

static void
check_json(const struct am_schema *s)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_schema *t;

	am_schema_to_json(s, &b);
	t = am_schema_from_json(b.data, b.len, NULL, NULL);
	ck_assert_ptr_nonnull(t);
	ck_assert(am_schema_hash(t) == am_schema_hash(s));
	am_schema_unref(t);
	am_buf_done(&b);
}

static void
run_seed(uint64_t seed, struct random_schema *rs, bool with_handlers)
{
	static struct am_handler of[RANDOM_STATES_MAX];
	struct world w = { .r = random_of(seed) };
	struct am_handlers h = { .of = of };
	unsigned density;

	w.n = 2 + draw(&w.r, draw(&w.r, 4) > 0 ? 12 : 70);
	density = 1 + draw(&w.r, 8);
	w.s = random_schema(&w.r, rs, w.n, density, seed % 3 != 0);
	ck_assert_ptr_nonnull(w.s);
	check_json(w.s);
	w.no_add = true;
	for (unsigned i = 0; i < w.n; i++) {
		w.no_add &= am_schema_state(w.s, (am_id)i)->add.len == 0;
		of[i] = (struct am_handler){
			.enter = draw(&w.r, 3) ? NULL : on_negotiation,
			.exit = draw(&w.r, 5) ? NULL : on_negotiation,
			.state = draw(&w.r, 3) ? NULL : on_final,
		};
	}
	h.len = w.n;
	w.fails = with_handlers && draw(&w.r, 2) == 0;
	w.m = am_machine_new(w.s, "random");
	ck_assert_int_eq(am_trace(w.m, &tracer, &w), 0);
	if (with_handlers)
		ck_assert_int_eq(am_bind(w.m, &h, &w), 0);
	for (int i = 0; i < STEPS; i++) {
		step(&w);
		check_parity(&w);
		check_relations(&w);
	}
	check_export(&w);
	am_machine_free(w.m);
	am_schema_unref(w.s);
}

static void
run_seeds(bool with_handlers)
{
	struct random_schema *rs = calloc(1, sizeof(*rs));

	ck_assert_ptr_nonnull(rs);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(seed, rs, with_handlers);
	free(rs);
}

START_TEST(what_holds_without_handlers)
{
	run_seeds(false);
}
END_TEST

START_TEST(what_holds_with_handlers)
{
	run_seeds(true);
}
END_TEST

UNIT_MAIN("machine_random", what_holds_without_handlers,
    what_holds_with_handlers)
