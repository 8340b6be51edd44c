/* Subscriptions: semantics.md 14 and 23. */
#include <stdio.h>

#include "lib/machine/machine.h"
#include "tests/unit/four.h"

START_TEST(what_holds_already_fires_at_once)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "x", 0 };

	ck_assert_uint_eq(am_when(r->m, NULL, 0, note_say, &n), 0);
	ck_assert_uint_eq(am_when_not(r->m, RIG_LIST(A, B), note_say, &n), 0);
	ck_assert_uint_eq(am_when_time(r->m, RIG_IDS(A),
			      (const uint64_t[]){ 0 }, 1, note_say, &n),
	    0);
	ck_assert_uint_eq(am_when_ticks(r->m, B, 0, note_say, &n), 0);
	ck_assert_str_eq(rig_log(r), "x, x, x, x");
	rig_free(r);
}
END_TEST

START_TEST(when_waits_for_all_at_the_same_time)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "AC", 0 };

	ck_assert_uint_ne(am_when(r->m, RIG_LIST(A, C), note_say, &n), 0);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_remove1(r->m, A, AM_NONE);
	(void)am_add1(r->m, C, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, -A, +C");
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_remove1(r->m, A, AM_NONE);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, AC, -A, +A");
	rig_free(r);
}
END_TEST

START_TEST(when_not_waits_for_none)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "none", 0 };

	(void)am_add(r->m, RIG_LIST(A, C), AM_NONE);
	ck_assert_uint_ne(am_when_not(r->m, RIG_LIST(A, B, C), note_say, &n),
	    0);
	(void)am_remove1(r->m, A, AM_NONE);
	(void)am_set(r->m, RIG_LIST(D), AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A C, -A, =D, none");
	rig_free(r);
}
END_TEST

START_TEST(ticks_are_waited_for)
{
	struct rig *r = rig_json(four_b_multi);
	struct note ticks = { r, "ticks", 0 }, time = { r, "time", 0 };

	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_uint_ne(am_when_ticks(r->m, B, 3, note_say, &ticks), 0);
	ck_assert_uint_ne(am_when_time(r->m, RIG_IDS(A, B),
			      (const uint64_t[]){ 1, 3 }, 2, note_say, &time),
	    0);
	(void)am_add1(r->m, B, AM_NONE);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+B, +B, +A, time, +B, ticks");
	rig_free(r);
}
END_TEST

static void
say_and_wait_on(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	rig_say(n->r, "%s", n->text);
	if (!am_disposing(m))
		(void)am_when_ticks(m, A, 1, say_and_wait_on, n);
}

/* As the clocks of others may say, who are broken or hostile. */
START_TEST(a_tick_that_cannot_come_is_waited_for)
{
	static const uint64_t last[] = { UINT64_MAX, 0, 0, 0, 0 };
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "ticked", 0 }, never = { r, "never", 0 };
	struct am_machine *m = mach_new_mirror(r->s, "mirror");

	ck_assert_uint_ne(am_when_ticks(m, A, 1, say_and_wait_on, &n), 0);
	mach_mirror_set(m, last, 1, 0);
	ck_assert_str_eq(rig_log(r), "ticked");
	ck_assert_uint_ne(am_when_ticks(m, A, UINT64_MAX, say_and_wait_on,
			      &never),
	    0);
	ck_assert_uint_ne(am_when_time(m, RIG_IDS(A), last, 1, say_and_wait_on,
			      &never),
	    0);
	am_machine_free(m);
	ck_assert_str_eq(rig_log(r), "ticked, never, never");
	rig_free(r);
}
END_TEST

START_TEST(they_fire_in_order_of_subscription)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n[4] = { { r, "1", 0 }, { r, "2", 0 }, { r, "3", 0 },
		{ r, "4", 0 } };

	(void)am_add1(r->m, C, AM_NONE);
	(void)rig_log(r);
	(void)am_when(r->m, RIG_LIST(D), note_say, &n[0]);
	(void)am_when_not(r->m, RIG_LIST(C), note_say, &n[1]);
	(void)am_when(r->m, RIG_LIST(A, D), note_say, &n[2]);
	(void)am_when(r->m, RIG_LIST(D), note_say, &n[3]);
	(void)am_set(r->m, RIG_LIST(A, D), AM_NONE);
	ck_assert_str_eq(rig_log(r), "=A D, 1, 2, 3, 4");
	rig_free(r);
}
END_TEST

START_TEST(one_that_is_cancelled_does_not_fire)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n[3] = { { r, "1", 0 }, { r, "2", 0 }, { r, "3", 0 } };
	am_sub first, other;

	first = am_when(r->m, RIG_LIST(A), note_say, &n[0]);
	n[0].cancel = am_when(r->m, RIG_LIST(A), note_say, &n[1]);
	other = am_when(r->m, RIG_LIST(A, B), note_say, &n[2]);
	am_sub_cancel(r->m, other);
	am_sub_cancel(r->m, other);
	am_sub_cancel(r->m, 0);
	am_sub_cancel(r->m, AM_SUB_FAILED);
	(void)am_add(r->m, RIG_LIST(A, B), AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A B, 1");
	/* The old handle does not reach who took its place. */
	ck_assert_uint_ne(am_when(r->m, RIG_LIST(C), note_say, &n[2]), first);
	am_sub_cancel(r->m, first);
	am_sub_cancel(r->m, other);
	(void)am_add1(r->m, C, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+C, 3");
	rig_free(r);
}
END_TEST

static void
subscribe_and_mutate(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	rig_say(n->r, "first");
	ck_assert(am_draining(m));
	ck_assert_uint_ge(am_add1(m, C, AM_NONE), AM_QUEUED);
	ck_assert_uint_eq(am_remove1(m, D, AM_NONE), am_queue_tick(m) + 2);
	ck_assert_uint_ne(am_when(m, RIG_LIST(C), note_say, n), 0);
	ck_assert_uint_eq(am_when(m, RIG_LIST(A), note_say, n), 0);
}

START_TEST(a_callback_subscribes_and_mutates)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "x", 0 };

	(void)am_when(r->m, RIG_LIST(A), subscribe_and_mutate, &n);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, first, x, +C, x, -D");
	rig_free(r);
}
END_TEST

static void
fail_it(struct am_event *ev)
{
	am_fail(ev, "no");
}

START_TEST(a_rolled_back_state_fires_by_what_is_active)
{
	static const struct am_handler of[] = { [C] = { .state = fail_it } };
	static const struct am_handlers h = { .of = of, .len = 3 };
	struct rig *r = rig_json(four_b_multi);
	struct note a = { r, "A", 0 }, c = { r, "C", 0 }, t = { r, "C:2", 0 };

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	(void)am_when(r->m, RIG_LIST(A), note_say, &a);
	(void)am_when(r->m, RIG_LIST(C), note_say, &c);
	(void)am_when_ticks(r->m, C, 2, note_say, &t);
	(void)am_add(r->m, RIG_LIST(A, C), AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "+A C canceled (CState failed, rolled back: no), A, C:2, "
	    "+Exception");
	rig_free(r);
}
END_TEST

START_TEST(many_subscriptions_find_their_state)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "x", 0 };
	am_sub sub[300];

	for (size_t i = 0; i < 300; i++)
		sub[i] = am_when(r->m,
		    i % 2 ? RIG_IDS(A, B, C) : RIG_IDS(C, B, D), 3, note_say,
		    &n);
	for (size_t i = 0; i < 300; i++)
		if (i != 7 && i != 8)
			am_sub_cancel(r->m, sub[i]);
	(void)am_add(r->m, RIG_LIST(C, D), AM_NONE);
	(void)am_add1(r->m, B, AM_NONE);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+C D, +B, x, +A, x");
	rig_free(r);
}
END_TEST

/* Only a state that ticks is looked at: a query of the others would be told. */
START_TEST(thousands_wait_for_a_state_each)
{
	enum { MANY = 20000 };
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "B", 0 };
	struct note late = { r, "never", 0 };

	for (int i = 0; i < MANY; i++)
		ck_assert_uint_ne(am_when(r->m, RIG_LIST(C, D), note_say,
				      &late),
		    0);
	ck_assert_uint_ne(am_when(r->m, RIG_LIST(B), note_say, &n), 0);
	/* 400 million looks, if each transition looked at all of them. */
	for (int i = 0; i < MANY / 2; i++) {
		(void)am_add1(r->m, A, AM_NONE);
		(void)am_remove1(r->m, A, AM_NONE);
	}
	am_buf_reset(&r->log);
	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+B, B");
	late.text = "";
	rig_free(r);
}
END_TEST

UNIT_MAIN("machine_sub", what_holds_already_fires_at_once,
    when_waits_for_all_at_the_same_time, when_not_waits_for_none,
    ticks_are_waited_for, a_tick_that_cannot_come_is_waited_for,
    they_fire_in_order_of_subscription, one_that_is_cancelled_does_not_fire,
    a_callback_subscribes_and_mutates,
    a_rolled_back_state_fires_by_what_is_active,
    many_subscriptions_find_their_state, thousands_wait_for_a_state_each)
