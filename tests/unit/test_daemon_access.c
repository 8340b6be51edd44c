/* Who may do what to a supervisor and to a worker: each state, operation and
 * role, against flows.md rule 22 as it is read here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/ids.h"
#include "daemon/world.h"
#include "lib/base/rate.h"
#include "lib/node/worker_access.h"
#include "lib/rpc/allow.h"
#include "proto/worker.h"
#include "tests/unit/unit.h"

static const enum am_op ops[] = { AM_ADD, AM_REMOVE, AM_SET, AM_TOGGLE,
	AM_CAN_ADD, AM_CAN_REMOVE };
enum { N_OPS = sizeof(ops) / sizeof(ops[0]) };

static bool
may(const struct allow_list *list, unsigned role, const struct am_machine *m,
    enum am_op op, am_id id)
{
	struct am_error err = { "" };
	bool yes = allow_check(list, role, m, op, &id, 1, &err);

	/* Who is told no is told what. */
	ck_assert(yes == (err.text[0] == '\0'));
	return yes;
}

static bool
client_may_add(am_id id, bool admin)
{
	switch (id) {
	case Sup_LeaseRequested:
	case Sup_ProvideWorker:
	case Sup_ReleaseWorker:
	case Sup_WorkerIssues:
	case Sup_ListWorkers:
		return true;
	case Sup_KillWorker:
		return admin;
	default:
		return false;
	}
}

START_TEST(each_state_and_role_of_a_supervisor)
{
	struct am_schema *s = am_schema_new(&am_supervisor_states, NULL);
	struct am_machine *m = am_machine_new(s, "super");
	int n_allowed = 0;

	for (int i = 0; i < N_OPS; i++) {
		bool adds = ops[i] == AM_ADD || ops[i] == AM_CAN_ADD;

		for (am_id id = 0; id < Sup__COUNT; id++) {
			bool c = may(&access_allowed, ACCESS_CLIENT, m, ops[i],
			    id);
			bool a = may(&access_allowed, ACCESS_ADMIN, m, ops[i],
			    id);

			ck_assert(c == (adds && client_may_add(id, false)));
			ck_assert(a == (adds && client_may_add(id, true)));
			ck_assert(!may(&access_allowed, 0, m, ops[i], id));
			n_allowed += c + a;
		}
	}
	ck_assert_int_eq(n_allowed, 2 * (5 + 6));
	am_machine_free(m);
	am_schema_unref(s);
}
END_TEST

START_TEST(each_state_and_role_of_a_worker)
{
	static struct am_state row[Wrk__COUNT + 2];
	const struct am_states states = {
		.name = "own",
		.row = row,
		.len = Wrk__COUNT + 2,
	};
	struct am_schema *s;
	struct am_machine *m;

	for (am_id id = 0; id < Wrk__COUNT; id++)
		row[id] = am_worker_states.row[id];
	row[Wrk__COUNT] = (struct am_state){ .name = "Fetching" };
	row[Wrk__COUNT + 1] = (struct am_state){ .name = "Parsing" };
	s = am_schema_new(&states, NULL);
	m = am_machine_new(s, "w1");
	for (int i = 0; i < N_OPS; i++) {
		bool adds = ops[i] == AM_ADD || ops[i] == AM_CAN_ADD;

		for (am_id id = 0; id < states.len; id++) {
			bool own = id >= Wrk__COUNT;
			bool work = id == Wrk_WorkRequested ||
			    id == Wrk_CancelWork;
			bool care = id == Wrk_LeaseEnding ||
			    id == Wrk_Healthcheck;

			ck_assert(may(&worker_allow, WORKER_CLIENT, m, ops[i],
				      id) == (own || (adds && work)));
			ck_assert(may(&worker_allow, WORKER_SUPER, m, ops[i],
				      id) == (adds && care));
		}
	}
	am_machine_free(m);
	am_schema_unref(s);
}
END_TEST

/* An operation without states does not slip through. */
START_TEST(nothing_at_all_is_no_way_in)
{
	struct am_schema *s = am_schema_new(&am_worker_states, NULL);
	struct am_machine *m = am_machine_new(s, "w1");
	am_id keeps[Wrk__COUNT];
	struct am_error err;

	ck_assert_uint_eq(am_add1(m, Wrk_Start, AM_NONE), AM_EXECUTED);
	/* Of a worker's own states, none: the others stay. */
	ck_assert(allow_check(&worker_allow, WORKER_CLIENT, m, AM_SET, NULL, 0,
	    &err));
	ck_assert_uint_eq(allow_keep(&worker_allow, m, keeps, 0), 1);
	ck_assert_uint_eq(keeps[0], Wrk_Start);
	for (int i = 1; i < 4; i++)
		ck_assert(!allow_check(&worker_allow, WORKER_SUPER, m, ops[i],
		    NULL, 0, &err));
	ck_assert(!allow_check(&access_allowed, ACCESS_ADMIN, m, AM_SET, NULL,
	    0, &err));
	am_machine_free(m);
	am_schema_unref(s);
}
END_TEST

START_TEST(users_and_groups_by_name_and_number)
{
	struct config_ids ids = { NULL, 0 };
	struct am_error err = { "" };

	ck_assert_int_eq(ids_of_users("root, 4711\t12,root", &ids, &err), 0);
	ck_assert_uint_eq(ids.n, 4);
	ck_assert(ids_have(&ids, 0) && ids_have(&ids, 4711));
	ck_assert(ids_have(&ids, 12) && !ids_have(&ids, 471));
	ids_done(&ids);
	ck_assert_int_eq(ids_of_groups("root", &ids, &err), 0);
	ck_assert(ids_have(&ids, 0));
	ids_done(&ids);
	ck_assert_int_eq(ids_of_users(" ", &ids, &err), 0);
	ck_assert_uint_eq(ids.n, 0);
	ck_assert_int_eq(ids_of_users("root nobody-of-us", &ids, &err),
	    -EINVAL);
	ck_assert_str_eq(err.text, "user \"nobody-of-us\": no such name");
	ck_assert_int_eq(ids_of_groups("nobody-of-us", &ids, &err), -EINVAL);
	ck_assert_str_eq(err.text, "group \"nobody-of-us\": no such name");
	ck_assert_int_eq(ids_of_users("4294967295", &ids, &err), -EINVAL);
	ck_assert_ptr_null(ids.id);
}
END_TEST

START_TEST(so_many_lines_a_minute_and_the_rest_counted)
{
	struct rate r = { .n = 0 };
	int64_t now = 5 * NS_PER_S;
	uint64_t n_lost = 99;

	for (int i = 0; i < RATE_MAX; i++) {
		ck_assert(rate_take(&r, now, &n_lost));
		ck_assert_uint_eq(n_lost, 0);
	}
	for (int i = 0; i < 1000; i++)
		ck_assert(!rate_take(&r, now + i * NS_PER_MS, &n_lost));
	ck_assert(rate_take(&r, now + 60 * NS_PER_S, &n_lost));
	ck_assert_uint_eq(n_lost, 1000);
	ck_assert(rate_take(&r, now + 61 * NS_PER_S, &n_lost));
	ck_assert_uint_eq(n_lost, 0);
}
END_TEST

START_TEST(the_next_line_says_how_many_were_left_out)
{
	struct rate r = { .n = 0 };
	char more[RATE_TEXT_MAX];

	for (int i = 0; i < RATE_MAX; i++) {
		ck_assert(rate_line(&r, more));
		ck_assert_str_eq(more, "");
	}
	ck_assert(!rate_line(&r, more));
	ck_assert_str_eq(more, "");
	r.since_ns -= 60 * NS_PER_S;
	ck_assert(rate_line(&r, more));
	ck_assert_str_eq(more, " (and 1 more before)");
	/* The longest. */
	r.n_lost = UINT64_MAX;
	ck_assert(rate_line(&r, more));
	ck_assert_ptr_nonnull(strstr(more, " more before)"));
}
END_TEST

UNIT_MAIN("access", each_state_and_role_of_a_supervisor,
    each_state_and_role_of_a_worker, nothing_at_all_is_no_way_in,
    users_and_groups_by_name_and_number,
    so_many_lines_a_minute_and_the_rest_counted,
    the_next_line_says_how_many_were_left_out)
