/* Automatic states whose handlers fail, with nothing else bound. */
#include "tests/unit/rig.h"

enum { A, B, C, D };

/* B and C follow A by themselves, D comes and goes. */
static const char schema[] =
    "{\"name\":\"A\"},{\"name\":\"B\",\"auto\":true,\"require\":[\"A\"]},"
    "{\"name\":\"C\",\"auto\":true,\"require\":[\"A\"],\"multi\":true},"
    "{\"name\":\"D\",\"remove\":[\"B\",\"C\"]}";

struct once {
	struct rig *r;
	int fails; /* how often it still fails */
};

static bool
fail_some(struct am_event *ev)
{
	struct once *o = ev->arg;

	if (o->fails-- > 0)
		am_fail(ev, "no");
	return true;
}

static void
say_state(struct am_event *ev)
{
	struct once *o = ev->arg;

	rig_say(o->r, "%sState",
	    am_schema_name(am_machine_schema(ev->machine), ev->state));
}

/* The other auto state comes, but nobody is told, and the transition counts
 * as failed. The Exception that follows brings both. */
static void
check_unheard(const struct am_handlers *h, const char *why)
{
	struct rig *r = rig_json(schema);
	struct once o = { r, 1 };
	char want[256];

	ck_assert_int_eq(am_bind(r->m, h, &o), 0);
	(void)am_add1(r->m, A, AM_NONE);
	(void)snprintf(want, sizeof(want),
	    "+A, auto +B C canceled (%s), +Exception, BState, auto +B", why);
	ck_assert_str_eq(rig_log(r), want);
	ck_assert_str_eq(rig_active(r), "A B C Exception");
	ck_assert_uint_eq(am_tick(r->m, C), 1);
	ck_assert_str_eq(am_last_error(r->m), "no");
	rig_free(r);
}

START_TEST(what_is_left_of_an_auto_transition_tells_nobody)
{
	static const struct am_handler of[] = {
		[B] = { .enter = fail_some, .state = say_state },
		[C] = { .state = say_state },
	};
	static const struct am_handlers enter = { .of = of, .len = 3 };
	static const struct am_pair_handler pairs[] = { { A, B, fail_some } };
	static const struct am_handler of_pair[] = {
		[B] = { .state = say_state },
		[C] = { .state = say_state },
	};
	static const struct am_handlers pair = {
		.of = of_pair,
		.len = 3,
		.pair = pairs,
		.n_pairs = 1,
	};

	check_unheard(&enter, "BEnter failed: no");
	check_unheard(&pair, "AB failed: no");
}
END_TEST

/* C is active and auto: it fails in its self handler, and that is the last
 * event of the step, so the transition is canceled (QUIRK 10). */
START_TEST(a_failing_self_handler_cancels_an_auto_transition)
{
	static const struct am_handler of[] = {
		[B] = { .state = say_state },
		[C] = { .self = fail_some },
	};
	static const struct am_handlers h = { .of = of, .len = 3 };
	struct rig *r = rig_json(schema);
	struct once o = { r, 0 };

	(void)am_add1(r->m, A, AM_NONE);
	(void)am_remove1(r->m, B, AM_NONE);
	(void)am_set(r->m, RIG_LIST(A, C), AM_NONE);
	ck_assert_str_eq(rig_active(r), "A B C");
	(void)am_add1(r->m, D, AM_NONE);
	(void)am_remove1(r->m, D, AM_NONE);
	ck_assert_str_eq(rig_active(r), "A B C");
	ck_assert_int_eq(am_bind(r->m, &h, &o), 0);
	(void)rig_log(r);
	(void)am_remove1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "-B, BState, auto +B");
	o.fails = 3;
	(void)am_remove1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "-B, auto +B canceled (CC failed: no), "
	    "+Exception canceled (CC failed: no)");
	rig_free(r);
}
END_TEST

static bool
always_fail(struct am_event *ev)
{
	(*(int *)ev->arg)++;
	am_fail(ev, "never");
	return false;
}

START_TEST(an_auto_state_that_always_fails_ends_the_drain)
{
	static const struct am_handler of[] = { [B] = {
						    .enter = always_fail } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json(schema);
	int calls = 0;

	ck_assert_int_eq(am_bind(r->m, &h, &calls), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(calls, 100);
	ck_assert_str_eq(am_last_error(r->m),
	    "automatic states rest: handlers failed 100 times in a row");
	ck_assert_str_eq(rig_active(r), "A C Exception");
	/* The next one tries again. */
	ck_assert_uint_eq(am_add1(r->m, D, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_remove1(r->m, D, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(calls, 200);
	rig_free(r);
}
END_TEST

static bool
stay(struct am_event *ev)
{
	return am_refuse(ev, "stay");
}

/* BUG 1 of the reference, which crashes: X is auto and active, and the
 * automatic Y removes it; that X does not leave cancels. */
START_TEST(an_auto_state_that_does_not_leave_cancels)
{
	enum { GO, X, Y };
	static const struct am_handler of[] = { [X] = { .exit = stay } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json(
	    "{\"name\":\"Go\"},{\"name\":\"X\",\"auto\":true},"
	    "{\"name\":\"Y\",\"auto\":true,\"require\":[\"Go\"],\"remove\":["
	    "\"X\"]}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	(void)am_add1(r->m, X, AM_NONE);
	(void)am_add1(r->m, GO, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "+X, auto +Y canceled (Y requires Go), +Go, "
	    "auto +Y canceled (XExit: stay)");
	ck_assert_str_eq(rig_active(r), "Go X");
	ck_assert_uint_eq(am_tick(r->m, Y), 0);
	rig_free(r);
}
END_TEST

UNIT_MAIN("machine_auto", what_is_left_of_an_auto_transition_tells_nobody,
    a_failing_self_handler_cancels_an_auto_transition,
    an_auto_state_that_always_fails_ends_the_drain,
    an_auto_state_that_does_not_leave_cancels)
