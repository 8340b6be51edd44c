/* machine.c - mutations, subscriptions and memory of a machine. */
#include <assert.h>
#include <malloc.h>
#include <math.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/machine/mach.h"
#include "proto/supervisor.h"
#include "proto/worker.h"
#include "tests/bench/bench.h"

enum { A, B, C, D };
enum { OTHERS = 100, MACHINES = 1000 };

static const struct am_state four[] = {
	[A] = { .name = "A" },
	[B] = { .name = "B" },
	[C] = { .name = "C" },
	[D] = { .name = "D" },
};
static const struct am_states four_states = { .name = "four",
	.row = four,
	.len = 4 };

struct subject {
	struct am_machine *m;
	am_id id;
	uint64_t n_fired;
};

static void
on_state(struct am_event *ev)
{
	((struct subject *)ev->arg)->n_fired++;
}

static void
on_end(struct am_event *ev)
{
	((struct subject *)ev->arg)->n_fired++;
}

static const struct am_handler handlers_of[] = { [A] = { .state = on_state } };
static const struct am_handlers handlers = {
	.name = "bench",
	.of = handlers_of,
	.len = 1,
};

static struct am_machine *
machine_of(const struct am_states *states)
{
	struct am_schema *schema = am_schema_new(states, NULL);
	struct am_machine *m;

	assert(schema != NULL);
	m = am_machine_new(schema, "bench");
	assert(m != NULL);
	am_schema_unref(schema);
	return m;
}

static void
add_remove(void *arg, uint64_t n)
{
	struct subject *s = (struct subject *)arg;

	for (uint64_t i = 0; i < n; i++) {
		am_result r = am_add1(s->m, s->id, AM_NONE);

		r |= am_remove1(s->m, s->id, AM_NONE);
		assert(r == AM_EXECUTED);
	}
}

static void
exception_pair(void *arg, uint64_t n)
{
	static const am_id ids[] = { Sup_ErrWorker, Sup_Exception };
	struct subject *s = (struct subject *)arg;

	for (uint64_t i = 0; i < n; i++) {
		(void)am_add(s->m, ids, 2, AM_NONE);
		(void)am_remove(s->m, ids, 2, AM_NONE);
	}
}

static void
on_fire(struct am_machine *m, void *arg)
{
	(void)m;
	((struct subject *)arg)->n_fired++;
}

static void
when_add_fire(void *arg, uint64_t n)
{
	struct subject *s = (struct subject *)arg;
	uint64_t before = s->n_fired;

	for (uint64_t i = 0; i < n; i++) {
		(void)am_when(s->m, &s->id, 1, on_fire, s);
		(void)am_add1(s->m, s->id, AM_NONE);
		(void)am_remove1(s->m, s->id, AM_NONE);
	}
	assert(s->n_fired == before + n);
}

static void
report(const char *name, const char *what, double value, const char *unit,
    double budget)
{
	const struct bench_figure f = {
		.name = name,
		.what = what,
		.value = value,
		.unit = unit,
		.floor = NAN,
		.budget = budget,
	};

	bench_report(&f);
}

static void
bench_four(void)
{
	struct subject s = { .m = machine_of(&four_states), .id = A };
	const am_id other = B;

	report("m1", "add + remove, 4 states", bench_ns("m1", add_remove, &s),
	    "ns", 45);
	report("m5", "when + add + fire + remove",
	    bench_ns("m5", when_add_fire, &s), "ns", 80);
	for (int i = 0; i < OTHERS; i++)
		(void)am_when(s.m, &other, 1, on_fire, &s);
	report("m5b", "the same beside 100 subscriptions",
	    bench_ns("m5b", when_add_fire, &s), "ns", 120);
	s.m = am_machine_free(s.m);
	s.m = machine_of(&four_states);
	assert(am_bind(s.m, &handlers, &s) == 0);
	report("m2", "the same as m1, one state handler",
	    bench_ns("m2", add_remove, &s), "ns", 90);
	am_machine_free(s.m);
}

/* One mutation, which calls one final handler: with the simple plan, and with
 * the one that resolve() makes. */
static void
bench_plans(void)
{
	static const struct am_handler of[] = {
		[A] = { .state = on_state, .end = on_end },
	};
	static const struct am_handlers both = {
		.name = "both",
		.of = of,
		.len = 1,
	};
	struct subject s = { .m = machine_of(&four_states), .id = A };

	assert(am_bind(s.m, &both, &s) == 0);
	report("m7", "a mutation with one handler, simple plan",
	    bench_ns("m7", add_remove, &s) / 2, "ns", 45);
	s.m = am_machine_free(s.m);
	s.m = machine_of(&four_states);
	s.m->general = true;
	assert(am_bind(s.m, &both, &s) == 0);
	report("m7g", "the same, general plan",
	    bench_ns("m7g", add_remove, &s) / 2, "ns", 100);
	am_machine_free(s.m);
}

static void
bench_supervisor_handlers(struct subject *s)
{
	static const struct am_handler of[Sup__COUNT] = {
		[Sup_Heartbeat] = { .state = on_state, .end = on_end },
	};
	static const struct am_handlers two = {
		.name = "two",
		.of = of,
		.len = Sup__COUNT,
	};

	assert(am_bind(s->m, &two, s) == 0);
	report("m3h", "the same as m3, two handlers",
	    bench_ns("m3h", add_remove, s), "ns", 120);
}

static void
bench_supervisor(void)
{
	static const am_id running[] = { Sup_Start, Sup_PublicRpcReady,
		Sup_PoolStarting, Sup_PoolReady };
	struct subject s = {
		.m = machine_of(&am_supervisor_states),
		.id = Sup_Heartbeat,
	};

	for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
		(void)am_add1(s.m, running[i], AM_NONE);
	assert(am_is1(s.m, Sup_PoolReady));
	report("m3", "supervisor with a pool, Heartbeat pair",
	    bench_ns("m3", add_remove, &s), "ns", 60);
	report("m3b", "supervisor, [ErrWorker Exception] pair",
	    bench_ns("m3b", exception_pair, &s), "ns", 400);
	bench_supervisor_handlers(&s);
	am_machine_free(s.m);
}

static void
bench_memory(void)
{
	static struct am_machine *m[MACHINES];
	struct am_schema *schema = am_schema_new(&am_worker_states, NULL);
	size_t before = mallinfo2().uordblks;

	assert(schema != NULL);
	before = mallinfo2().uordblks;
	for (int i = 0; i < MACHINES; i++) {
		m[i] = am_machine_new(schema, "w1");
		assert(m[i] != NULL);
		assert(am_bind(m[i], &handlers, NULL) == 0);
		(void)am_add1(m[i], Wrk_Start, AM_NONE);
	}
	report("m6", "a machine of the worker schema, used",
	    (double)(mallinfo2().uordblks - before) / MACHINES, "B", 640);
	for (int i = 0; i < MACHINES; i++)
		am_machine_free(m[i]);
	am_schema_unref(schema);
}

void
bench_machine(void)
{
	bench_four();
	bench_plans();
	bench_supervisor();
	bench_memory();
}
