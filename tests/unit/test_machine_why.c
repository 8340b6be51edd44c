/* Why a mutation was canceled (semantics.md 17). */
#include <stdio.h>

#include "tests/unit/rig.h"

enum { A, B, C, D };

static const struct {
	const char *schema;
	const char *active; /* ids */
	enum am_op op;
	const char *called;
	const char *why;
} reasons[] = {
	{ "{\"name\":\"A\",\"require\":[\"B\"]},{\"name\":\"B\"}", "", AM_ADD,
	    "0", "A requires B" },
	{ "{\"name\":\"A\",\"require\":[\"B\",\"C\"]},{\"name\":\"B\"},"
	  "{\"name\":\"C\"}",
	    "", AM_SET, "0", "A requires B C" },
	{ "{\"name\":\"A\"},{\"name\":\"B\",\"remove\":[\"A\"]}", "1", AM_ADD,
	    "0", "A removed by B" },
	{ "{\"name\":\"A\",\"require\":[\"C\"]},{\"name\":\"B\",\"remove\":"
	  "[\"D\"]},{\"name\":\"C\"},{\"name\":\"D\"}",
	    "1", AM_ADD, "03", "A requires C; D removed by B" },
	{ "{\"name\":\"A\"},{\"name\":\"B\",\"remove\":[\"A\"]}", "", AM_ADD,
	    "01", "A removed by B" },
	{ "{\"name\":\"A\",\"require\":[\"B\"]},{\"name\":\"B\"},"
	  "{\"name\":\"C\",\"remove\":[\"B\"]}",
	    "1", AM_ADD, "20", "A requires B" },
	{ "{\"name\":\"A\",\"require\":[\"B\"]},{\"name\":\"B\"}", "",
	    AM_CAN_ADD, "0", "A requires B" },
	{ "{\"name\":\"A\",\"require\":[\"B\"]},{\"name\":\"B\"}", "1", AM_ADD,
	    "0", "" },
	{ "{\"name\":\"A\"}", "", AM_REMOVE, "0", "" },
};

static size_t
read_ids(const char *digits, am_id *ids)
{
	size_t n = 0;

	for (; digits[n] != '\0'; n++)
		ids[n] = (am_id)(digits[n] - '0');
	return n;
}

START_TEST(a_relation_that_cancels_is_named)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct rig *r = rig_json(reasons[i].schema);
		am_id ids[8];
		size_t n = read_ids(reasons[i].active, ids);
		struct am_mutation mut = { .op = reasons[i].op, .states = ids };
		bool canceled = reasons[i].why[0] != '\0';

		ck_assert_uint_eq(am_set(r->m, ids, n, AM_NONE), AM_EXECUTED);
		mut.n_states = read_ids(reasons[i].called, ids);
		ck_assert_msg(am_mutate(r->m, &mut) ==
			(canceled ? AM_CANCELED : AM_EXECUTED),
		    "row %zu", i);
		ck_assert_str_eq(am_why(r->m), reasons[i].why);
		ck_assert_uint_eq(am_add1(r->m, am_schema_len(r->s) - 1U,
				      AM_NONE),
		    AM_EXECUTED);
		ck_assert_str_eq(am_why(r->m), "");
		rig_free(r);
	}
}
END_TEST

static bool
refuse_with_reason(struct am_event *ev)
{
	return am_refuse(ev, "window full (%d)", 2);
}

static bool
refuse_silently(struct am_event *ev)
{
	rig_say(ev->arg, "silent");
	return false;
}

START_TEST(a_handler_that_refuses_is_named)
{
	static const struct am_handler of[] = {
		[A] = { .enter = refuse_with_reason },
		[B] = { .exit = refuse_silently, .self = refuse_with_reason },
	};
	static const struct am_pair_handler pair[] = { { B, C,
	    refuse_with_reason } };
	static const struct am_handlers h = { "h", of, 2, pair, 1, NULL, NULL };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"},"
				 "{\"name\":\"C\"}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(r->m), "AEnter: window full (2)");
	ck_assert_uint_eq(am_add1(r->m, B, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_remove1(r->m, B, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(r->m), "BExit: refused");
	ck_assert_uint_eq(am_add1(r->m, B, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(r->m), "BB: window full (2)");
	rig_free(r);
}
END_TEST

static bool
refuse_any(struct am_event *ev)
{
	ck_assert_uint_eq(ev->state, UINT16_MAX);
	return am_refuse(ev, "closed");
}

START_TEST(a_pair_and_any_enter_are_named)
{
	static const struct am_pair_handler pair[] = { { B, C,
	    refuse_with_reason } };
	static const struct am_handlers h = { "h", NULL, 0, pair, 1, NULL,
		NULL };
	static const struct am_handlers any = { .name = "any",
		.any_enter = refuse_any };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"},"
				 "{\"name\":\"C\"}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, B, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_add1(r->m, C, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(r->m), "BC: window full (2)");
	ck_assert_int_eq(am_bind(r->m, &any, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(r->m), "AnyEnter: closed");
	rig_free(r);
}
END_TEST

/* ---- who begins to listen in a handler ---- */

static void
say_end(struct am_machine *m, const struct am_transition *t, void *arg)
{
	if (t->from == NULL)
		return; /* the Exception that follows */
	ck_assert_str_eq(t->from->machine, "other");
	rig_say(arg, "A was %d, is %d, %s", (int)t->time_after[A],
	    (int)am_tick(m, A), t->why);
}

static void
trace_and_fail(struct am_event *ev)
{
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = say_end };

	ck_assert_int_eq(am_trace(ev->machine, &t, ev->arg), 0);
	am_fail(ev, "no");
}

/* Whether the transition goes around the resolver or not. */
START_TEST(who_listens_from_a_handler_on_is_told_the_end)
{
	static const struct am_handler of[] = { [A] = {
						    .state = trace_and_fail } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	static const struct am_source other = { .machine = "other" };
	static const char *const schema[] = { "{\"name\":\"A\"}",
		"{\"name\":\"A\",\"add\":[\"B\"]},{\"name\":\"B\"}" };
	static const am_id a = A;
	const struct am_mutation mut = { .states = &a,
		.n_states = 1,
		.from = &other };

	for (int i = 0; i < 2; i++) {
		struct rig *r = rig_json(schema[i]);
		struct am_machine *m = am_machine_new(r->s, "untraced");

		ck_assert_int_eq(am_bind(m, &h, r), 0);
		ck_assert_uint_eq(am_mutate(m, &mut), AM_CANCELED);
		ck_assert_str_eq(rig_log(r),
		    "A was 1, is 2, AState failed, rolled back: no");
		am_machine_free(m);
		rig_free(r);
	}
}
END_TEST

static void
say_seen(struct am_machine *m, const struct am_transition *t, void *arg)
{
	(void)m;
	rig_say(arg, "tx%d seen", (int)t->id);
}

static void
add_tracer(struct am_machine *m, const struct am_transition *t, void *arg)
{
	static const struct am_tracer seen = { .size = sizeof(seen),
		.transition_end = say_seen };

	(void)t;
	ck_assert_int_eq(am_trace(m, &seen, arg), 0);
}

START_TEST(who_comes_in_an_event_is_told_the_next_one)
{
	static const struct am_tracer adding = { .size = sizeof(adding),
		.transition_end = add_tracer };
	struct rig *r = rig_json("{\"name\":\"A\",\"multi\":true}");

	ck_assert_int_eq(am_trace(r->m, &adding, r), 0);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A");
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, tx2 seen");
	rig_free(r);
}
END_TEST

UNIT_MAIN("machine_why", a_relation_that_cancels_is_named,
    a_handler_that_refuses_is_named, a_pair_and_any_enter_are_named,
    who_listens_from_a_handler_on_is_told_the_end,
    who_comes_in_an_event_is_told_the_next_one)
