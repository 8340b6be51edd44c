/* Args that are told inside of a transition, and the end of a machine. */
#include "tests/unit/four.h"

static void
say_end(struct am_machine *m, void *arg)
{
	struct note *n = arg;
	struct am_buf b = AM_BUF_INIT;

	ck_assert(am_disposing(m));
	ck_assert(!am_is(m, NULL, 0) && !am_not(m, RIG_LIST(B)));
	am_string(m, &b);
	am_string_all(m, &b);
	ck_assert_uint_eq(b.len, 0);
	/* Nothing more can be waited for, also what would hold. */
	ck_assert_uint_eq(am_when(m, NULL, 0, say_end, n), AM_SUB_FAILED);
	ck_assert_uint_eq(am_when_ticks(m, A, 1, say_end, n), AM_SUB_FAILED);
	ck_assert_uint_eq(am_when_args(m, A, AM_NONE, say_end, n),
	    AM_SUB_FAILED);
	am_sub_cancel(m, n->cancel);
	rig_say(n->r, "%s", n->text);
}

static bool
no_query(const struct am_machine *m, void *arg)
{
	(void)arg;
	ck_assert(!am_disposing(m));
	return false;
}

/* Each kind, in order of subscription; the third cancels the fourth. */
START_TEST(what_still_waits_is_told_of_the_end)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n[7] = { { r, "end", 0 }, { r, "1", 0 }, { r, "2", 0 },
		{ r, "3", 0 }, { r, "4", 0 }, { r, "5", 0 }, { r, "6", 0 } };
	struct am_buf b = AM_BUF_INIT;

	(void)am_when_disposed(r->m, say_end, &n[0]);
	(void)am_when_queue(r->m, 100, say_end, &n[1]);
	(void)am_when(r->m, RIG_LIST(B, A), say_end, &n[2]);
	(void)am_when_query(r->m, no_query, say_end, &n[3]);
	n[3].cancel = am_when_args(r->m, A, AM_NONE, say_end, &n[4]);
	(void)am_when_time(r->m, RIG_IDS(A, C), (const uint64_t[]){ 3, 4 }, 2,
	    say_end, &n[5]);
	(void)am_when_err(r->m, say_end, &n[6]);
	am_string(r->m, &b);
	ck_assert_str_eq(buf_text(&b), "()");
	r->m = am_machine_free(r->m);
	ck_assert_str_eq(rig_log(r), "1, 2, 3, 5, 6, end");
	am_buf_done(&b);
	rig_free(r);
}
END_TEST

/* ---- args: inside the transition ---- */

static void
mutate_for_args(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	ck_assert(am_draining(m) && am_is1(m, A));
	rig_say(n->r, "%s", n->text);
	am_sub_cancel(m, n->cancel);
	ck_assert_uint_ge(am_add1(m, D, AM_NONE), AM_QUEUED);
	ck_assert_uint_ne(am_when_args(m, A, AM_NONE, note_say, n),
	    AM_SUB_FAILED);
}

static void
say_state(struct am_event *ev)
{
	rig_say(ev->arg, "%sState",
	    am_schema_name(am_machine_schema(ev->machine), ev->state));
}

START_TEST(args_are_told_between_final_handlers)
{
	static const struct am_handler of
	    [] = { [A] = { .state = say_state }, [B] = { .state = say_state } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json(four_b_multi);
	struct note first = { r, "args A", 0 }, other = { r, "other", 0 },
		    b = { r, "args B", 0 };

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	(void)am_when_args(r->m, A, AM_NONE, mutate_for_args, &first);
	first.cancel = am_when_args(r->m, A, AM_NONE, note_say, &other);
	(void)am_when_args(r->m, B, AM_NONE, note_say, &b);
	(void)am_add(r->m, RIG_LIST(A, B), AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "AState, AState, args A, BState, BState, args B, +A B, +D");
	rig_free(r);
}
END_TEST

static void
free_for_args(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	n->r->m = am_machine_free(m);
	rig_say(n->r, "freed");
}

START_TEST(a_machine_is_freed_where_args_are_told)
{
	static const struct am_handler of
	    [] = { [A] = { .state = say_state }, [B] = { .state = say_state } };
	static const struct am_handlers h = { .of = of, .len = 2 };

	for (int bound = 0; bound < 2; bound++) {
		struct rig *r = rig_json(four_b_multi);
		struct note n = { r, "end", 0 };

		if (bound)
			ck_assert_int_eq(am_bind(r->m, &h, r), 0);
		(void)am_when_args(r->m, A, AM_NONE, free_for_args, &n);
		(void)am_when_args(r->m, A, AM_NONE, say_end, &n);
		(void)am_add(r->m, RIG_LIST(A, B), AM_NONE);
		ck_assert_ptr_null(r->m);
		ck_assert_str_eq(rig_log(r),
		    bound ? "AState, freed, end" : "freed, end");
		rig_free(r);
	}
}
END_TEST

static void
free_at_start(struct am_machine *m, const struct am_transition *t, void *arg)
{
	struct rig *r = arg;

	(void)t;
	r->m = am_machine_free(m);
}

static void
say_ticks(struct am_machine *m, void *arg)
{
	rig_say(arg, "A:%d B:%d", (int)am_tick(m, A), (int)am_tick(m, B));
}

/* With one state called, and with two, where nobody else would be asked. */
START_TEST(what_a_tracer_ends_before_negotiation_ticks_nothing)
{
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_start = free_at_start };

	for (size_t n = 1; n <= 2; n++) {
		struct rig *r = rig_json(four_b_multi);

		(void)am_when_disposed(r->m, say_ticks, r);
		ck_assert_int_eq(am_trace(r->m, &t, r), 0);
		ck_assert_uint_eq(am_add(r->m, RIG_IDS(A, B), n, AM_NONE),
		    AM_CANCELED);
		ck_assert_str_eq(rig_log(r), "A:0 B:0");
		rig_free(r);
	}
}
END_TEST

/* ---- the end in steps ---- */

static const char starting[] = "{\"name\":\"A\"},{\"name\":\"Start\"},"
			       "{\"name\":\"C\"},{\"name\":\"D\"}";

static void
add_more(struct am_event *ev)
{
	(void)am_add1(ev->machine, ev->state == B ? C : D, AM_NONE);
}

static void
dispose_in_handler(struct am_event *ev)
{
	ck_assert_ptr_null(am_machine_dispose(ev->machine));
	ck_assert(!am_disposing(ev->machine));
}

START_TEST(start_is_removed_before_the_end)
{
	static const struct am_handler of[] = {
		[A] = { .state = dispose_in_handler },
		[B] = { .end = add_more },
		[C] = { .state = add_more },
	};
	static const struct am_handlers h = { .of = of, .len = 3 };

	for (int inside = 0; inside < 2; inside++) {
		struct rig *r = rig_json(starting);
		struct note n = { r, "end", 0 };

		ck_assert_int_eq(am_bind(r->m, &h, r), 0);
		(void)am_when_disposed(r->m, say_end, &n);
		(void)am_add1(r->m, B, AM_NONE);
		if (inside)
			(void)am_add1(r->m, A, AM_NONE);
		else
			ck_assert_ptr_null(am_machine_dispose(r->m));
		r->m = NULL;
		ck_assert_str_eq(rig_log(r),
		    inside ? "+Start, +A, -Start, +C, +D, end"
			   : "+Start, -Start, +C, +D, end");
		rig_free(r);
	}
	ck_assert_ptr_null(am_machine_dispose(NULL));
}
END_TEST

static bool
stay(struct am_event *ev)
{
	return am_refuse(ev, "no");
}

static void
dispose_twice(struct am_event *ev)
{
	am_machine_dispose(ev->machine);
	am_machine_dispose(ev->machine);
	am_machine_free(ev->machine);
	am_machine_dispose(ev->machine);
}

/* Start may refuse, or not be there: the end comes all the same, once. */
START_TEST(nothing_keeps_a_machine_from_its_end)
{
	static const struct am_handler
	    of[] = { [A] = { .state = dispose_twice }, [B] = { .exit = stay } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json(starting);
	struct note n = { r, "end", 0 };

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	(void)am_when_disposed(r->m, say_end, &n);
	(void)am_add1(r->m, B, AM_NONE);
	r->m = am_machine_dispose(r->m);
	ck_assert_str_eq(rig_log(r),
	    "+Start, -Start canceled (StartExit: no), end");
	rig_free(r);
	r = n.r = rig_json(four_b_multi);
	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	(void)am_when_disposed(r->m, say_end, &n);
	(void)am_add1(r->m, A, AM_NONE);
	r->m = NULL;
	ck_assert_str_eq(rig_log(r), "end");
	rig_free(r);
}
END_TEST

UNIT_MAIN("machine_end", what_still_waits_is_told_of_the_end,
    args_are_told_between_final_handlers,
    a_machine_is_freed_where_args_are_told,
    what_a_tracer_ends_before_negotiation_ticks_nothing,
    start_is_removed_before_the_end, nothing_keeps_a_machine_from_its_end)
