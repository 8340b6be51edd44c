/* The facts C of flows.md about the client's table, and O1 and O2 about the
 * own states of all three. */
#include "proto/client.h"
#include "proto/supervisor.h"
#include "proto/worker.h"
#include "tests/unit/facts.h"

static const am_id up[] = { Cli_Start, Cli_SuperConnected, Cli_SuperReady,
	Cli_WorkerWanted, Cli_WorkerRequested };

#define REMOVE(f, ...) am_remove((f)->m, RIG_LIST(__VA_ARGS__), AM_NONE)

START_TEST(c1_worker_requested_falls_with_super_ready)
{
	struct fact *f = fact_of(&am_client_states, up, 5);

	(void)REMOVE(f, Cli_SuperReady, Cli_SuperConnected);
	ck_assert(NOT(f, Cli_WorkerRequested) && IS(f, Cli_WorkerWanted));
	ck_assert_uint_eq(am_add1(f->m, Cli_WorkerRequested, AM_NONE),
	    AM_CANCELED);
	(void)am_add1(f->m, Cli_SuperReady, AM_NONE);
	(void)am_add1(f->m, Cli_WorkerRequested, AM_NONE);
	(void)am_add1(f->m, Cli_Leased, AM_NONE);
	ck_assert(NOT(f, Cli_WorkerWanted) && IS(f, Cli_WorkerRequested));
	(void)am_add1(f->m, Cli_WorkerReady, AM_NONE);
	ck_assert(IS(f, Cli_Ready) && NOT(f, Cli_WorkerRequested));
	(void)REMOVE(f, Cli_SuperReady);
	ck_assert(IS(f, Cli_Ready, Cli_Leased));
	(void)am_add1(f->m, Cli_SuperReady, AM_NONE);
	ck_assert_uint_eq(am_add1(f->m, Cli_WorkerRequested, AM_NONE),
	    AM_CANCELED);
	ck_assert_str_eq(am_why(f->m),
	    "WorkerRequested removed by WorkerReady");
	(void)REMOVE(f, Cli_WorkerReady);
	ck_assert(NOT(f, Cli_Ready) && IS(f, Cli_Leased));
	fact_free(f);
}
END_TEST

START_TEST(c2_connection_states_exclude_each_other_by_nothing)
{
	static const am_id super[] = { Cli_SuperDisconnected,
		Cli_SuperConnecting, Cli_SuperConnected,
		Cli_SuperDisconnecting };
	struct fact *f = fact_of(&am_client_states, up, 1);

	for (size_t i = 0; i < 4; i++)
		(void)am_add1(f->m, super[i], AM_NONE);
	ck_assert(am_is(f->m, super, 4));
	(void)REMOVE(f, Cli_Start);
	ck_assert(IS(f, Cli_SuperConnected));
	fact_free(f);
}
END_TEST

static void
hear_and_remove(struct am_event *ev)
{
	fact_hear(ev);
	(void)am_remove1(ev->machine, ev->state, AM_NONE);
}

static void
three_payloads(struct fact *f)
{
	for (int k = 0; k < 3; k++)
		(void)ADD1(f, Cli_ServerPayload, k);
}

START_TEST(c3_payloads_of_one_drain_are_all_heard)
{
	static const struct am_handler of[Cli__COUNT] = {
		[Cli_ServerPayload] = { .state = hear_and_remove },
	};
	struct fact *f = fact_of(&am_client_states, up, 1);

	fact_bind(f, of, Cli__COUNT);
	fact_batch(f, three_payloads);
	FACT_HEARD(f, 0, 1, 2);
	ck_assert(NOT(f, Cli_ServerPayload));
	fact_free(f);
}
END_TEST

static const struct {
	const struct am_states *states;
	size_t n_reference;
} kinds[] = { { &am_supervisor_states, 36 }, { &am_worker_states, 24 },
	{ &am_client_states, 21 } };

static am_result
random_step(struct am_machine *m, uint64_t rnd, size_t len)
{
	static const enum am_op ops[] = { AM_ADD, AM_ADD, AM_ADD, AM_REMOVE,
		AM_SET };
	am_id ids[3];
	struct am_mutation mut = {
		.op = ops[fact_random(&rnd, 5)],
		.states = ids,
		.n_states = fact_random(&rnd, 5) < 3 ? 1
						     : fact_random(&rnd, 2) + 2,
	};

	for (size_t i = 0; i < mut.n_states; i++)
		ids[i] = (am_id)fact_random(&rnd, (unsigned)len);
	return am_mutate(m, &mut);
}

START_TEST(o1_own_states_change_no_flow_of_the_reference)
{
	for (size_t k = 0; k < 3; k++) {
		struct am_states ref = *kinds[k].states;

		ref.len = kinds[k].n_reference;
		for (uint64_t seed = 1; seed <= 300; seed++) {
			struct fact *a = fact_of(&ref, NULL, 0);
			struct fact *b = fact_of(kinds[k].states, NULL, 0);
			uint64_t rnd = seed * UINT64_C(0x9e3779b97f4a7c15);

			for (int i = 0; i < 40; i++) {
				(void)fact_random(&rnd, 2);
				ck_assert_uint_eq(random_step(a->m, rnd,
						      ref.len),
				    random_step(b->m, rnd, ref.len));
				ck_assert_mem_eq(am_time(a->m), am_time(b->m),
				    ref.len * sizeof(uint64_t));
			}
			fact_free(a);
			fact_free(b);
		}
	}
}
END_TEST

static bool
in_list(const struct am_list *l, am_id id)
{
	for (size_t i = 0; i < l->len; i++)
		if (l->id[i] == id)
			return true;
	return false;
}

/* Adds the state after all that it requires; the recursion ends since Require
 * has no cycle. */
static void
reach(struct fact *f, const struct am_states *t, am_id id, int depth)
{
	ck_assert_int_lt(depth, 16);
	for (size_t i = 0; i < t->row[id].require.len; i++)
		reach(f, t, t->row[id].require.id[i], depth + 1);
	if (!am_is1(f->m, id))
		ck_assert_msg(am_add1(f->m, id, AM_NONE) == AM_EXECUTED,
		    "%s: %s", t->row[id].name, am_why(f->m));
}

START_TEST(o2_every_own_state_can_be_active)
{
	for (size_t k = 0; k < 3; k++) {
		const struct am_states *t = kinds[k].states;

		for (size_t i = kinds[k].n_reference; i < t->len; i++) {
			const struct am_state *row = &t->row[i];
			struct fact *f = fact_of(t, NULL, 0);

			for (size_t j = 0; j < row->require.len; j++)
				ck_assert(
				    !in_list(&row->remove, row->require.id[j]));
			for (size_t j = 0; j < kinds[k].n_reference; j++)
				ck_assert_str_ne(t->row[j].name, row->name);
			reach(f, t, (am_id)i, 0);
			fact_free(f);
		}
	}
}
END_TEST

UNIT_MAIN("facts_client", c1_worker_requested_falls_with_super_ready,
    c2_connection_states_exclude_each_other_by_nothing,
    c3_payloads_of_one_drain_are_all_heard,
    o1_own_states_change_no_flow_of_the_reference,
    o2_every_own_state_can_be_active)
