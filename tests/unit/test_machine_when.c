/* Subscriptions to more than states: args, queries, the queue, the end; and
 * functions that run between transitions. */
#include <errno.h>

#include "lib/machine/mach.h"
#include "tests/unit/four.h"

/* Of whichever machine: also another one, or one that is freed. */
static void
say_of_any(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	(void)m;
	rig_say(n->r, "%s", n->text);
}

START_TEST(the_next_activation_is_waited_for)
{
	struct rig *r = rig_json(four_b_multi);
	struct note a = { r, "A", 0 }, b = { r, "B", 0 };

	(void)am_add(r->m, RIG_LIST(A, B), AM_NONE);
	a.cancel = am_when_next_active(r->m, A, note_say, &a);
	b.cancel = am_when_next_active(r->m, B, note_say, &b);
	(void)am_remove1(r->m, A, AM_NONE);
	(void)am_add1(r->m, B, AM_NONE);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A B, -A, +B, B, +A, A");
	a.cancel = am_when_next_active(r->m, C, note_say, &a);
	(void)am_add1(r->m, C, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+C, A");
	rig_free(r);
}
END_TEST

/* {"id": id, "name": name} */
static struct am_val
args_of(struct am_buf *b, int64_t id, const char *name)
{
	am_buf_reset(b);
	am_put_map(b, name != NULL ? 2 : 1);
	am_put_str(b, "id");
	am_put_int(b, id);
	if (name != NULL) {
		am_put_str(b, "name");
		am_put_str(b, name);
	}
	return am_buf_val(b);
}

START_TEST(args_are_waited_for_by_key_and_value)
{
	struct rig *r = rig_json(four_b_multi);
	struct am_buf b = AM_BUF_INIT;
	struct note one = { r, "id 1", 0 }, both = { r, "1 x", 0 };
	struct note any = { r, "any", 0 };

	one.cancel = am_when_args(r->m, B, args_of(&b, 1, NULL), note_say,
	    &one);
	both.cancel = am_when_args(r->m, B, args_of(&b, 1, "x"), note_say,
	    &both);
	ck_assert_uint_ne(one.cancel, AM_SUB_FAILED);
	(void)am_add1(r->m, B, args_of(&b, 2, "x"));
	(void)am_add1(r->m, A, args_of(&b, 1, "x"));
	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+B, +A, +B");
	(void)am_add1(r->m, B, args_of(&b, 1, "y"));
	(void)am_add1(r->m, B, args_of(&b, 1, "x"));
	ck_assert_str_eq(rig_log(r), "id 1, +B, 1 x, +B");
	/* Added again without being entered again: A is not multi. */
	any.cancel = am_when_args(r->m, A, AM_NONE, note_say, &any);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_remove1(r->m, A, AM_NONE);
	(void)am_add1(r->m, A, args_of(&b, 9, NULL));
	ck_assert_str_eq(rig_log(r), "+A, -A, any, +A");
	am_buf_reset(&b);
	am_put_int(&b, 1);
	ck_assert_uint_eq(am_when_args(r->m, A, am_buf_val(&b), note_say, &any),
	    AM_SUB_FAILED);
	am_buf_done(&b);
	rig_free(r);
}
END_TEST

/* Without a tracer a mutation of one state makes no transition. */
START_TEST(args_are_seen_without_a_transition)
{
	struct rig *r = rig_json(four_b_multi);
	struct am_machine *m = am_machine_new(r->s, "untraced");
	struct am_buf b = AM_BUF_INIT;
	struct note n = { r, "B", 0 }, c = { r, "C", 0 };

	(void)am_when_args(m, B, args_of(&b, 1, NULL), say_of_any, &n);
	(void)am_when_args(m, C, args_of(&b, 1, NULL), say_of_any, &c);
	(void)am_add1(m, C, AM_NONE);
	(void)am_remove1(m, C, args_of(&b, 1, NULL));
	(void)am_add1(m, B, args_of(&b, 2, NULL));
	(void)am_add1(m, B, args_of(&b, 1, "x"));
	(void)am_add1(m, C, args_of(&b, 1, "x"));
	ck_assert_str_eq(rig_log(r), "B, C");
	am_machine_free(m);
	am_buf_done(&b);
	rig_free(r);
}
END_TEST

START_TEST(several_turns_of_the_queue_are_waited_for)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n[] = { { r, "4", 0 }, { r, "3", 0 }, { r, "5", 0 } };
	am_sub sub;

	(void)am_when_queue(r->m, 4, note_say, &n[0]);
	(void)am_when_queue(r->m, 3, note_say, &n[1]);
	sub = am_when_queue(r->m, 5, note_say, &n[2]);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_can_remove(r->m, RIG_LIST(A), AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, ?A");
	(void)am_add1(r->m, B, AM_NONE);
	(void)am_add1(r->m, B, AM_NONE);
	am_sub_cancel(r->m, sub);
	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+B, 3, +B, 4, +B");
	rig_free(r);
}
END_TEST

static void
fail_it(struct am_event *ev)
{
	am_fail(ev, "no");
}

/* The activation of B was told when its handler failed, that of C was not. */
START_TEST(args_are_seen_as_far_as_handlers_are_told)
{
	static const struct am_handler of[] = { [B] = { .state = fail_it } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json(four_b_multi);
	struct note a = { r, "A", 0 }, b = { r, "B", 0 }, c = { r, "C", 0 };

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	(void)am_when_args(r->m, C, AM_NONE, note_say, &c);
	(void)am_when_args(r->m, B, AM_NONE, note_say, &b);
	(void)am_when_args(r->m, A, AM_NONE, note_say, &a);
	(void)am_add(r->m, RIG_LIST(A, B, C), AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "A, B, +A B C canceled (BState failed, rolled back: no), "
	    "+Exception");
	(void)am_add1(r->m, B, AM_NONE);
	(void)am_add1(r->m, C, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "+B canceled (BState failed, rolled back: no), +Exception, C, +C");
	rig_free(r);
}
END_TEST

static bool
two_active(const struct am_machine *m, void *arg)
{
	size_t n;

	(void)arg;
	(void)am_active(m, &n);
	return n >= 2;
}

START_TEST(a_query_is_asked_after_each_transition)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "two", 0 };

	ck_assert_uint_ne(am_when_query(r->m, two_active, note_say, &n), 0);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_can_add(r->m, RIG_LIST(B), AM_NONE);
	(void)am_add1(r->m, C, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, ?B, +C, two");
	/* Not at once, though it holds; and without a tick as well. */
	ck_assert_uint_ne(am_when_query(r->m, two_active, note_say, &n), 0);
	ck_assert_str_eq(rig_log(r), "");
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, two");
	rig_free(r);
}
END_TEST

START_TEST(errors_are_waited_for)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "err", 0 };

	n.cancel = am_when_err(r->m, note_say, &n);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_add1(r->m, 4, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, +Exception, err");
	ck_assert_uint_eq(am_when_err(r->m, note_say, &n), 0);
	rig_free(r);
}
END_TEST

static void
queue_some(struct am_event *ev)
{
	struct note *n = ev->arg;
	struct am_machine *m = ev->machine;
	am_result second;

	(void)am_add1(m, C, AM_NONE);
	second = am_add1(m, D, AM_NONE);
	ck_assert_uint_ne(am_when_queue(m, second, note_say, n), 0);
	ck_assert_uint_ne(am_when_queue_ends(m, note_say, n + 1), 0);
}

static bool
refuse(struct am_event *ev)
{
	return am_refuse(ev, "no");
}

START_TEST(the_queue_is_waited_for_whatever_becomes_of_a_mutation)
{
	static const struct am_handler
	    of[] = { [A] = { .state = queue_some }, [D] = { .enter = refuse } };
	static const struct am_handlers h = { .of = of, .len = 4 };
	struct rig *r = rig_json(four_b_multi);
	struct note n[] = { { r, "queue", 0 }, { r, "ends", 0 } };

	ck_assert_int_eq(am_bind(r->m, &h, n), 0);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "+A, +C, +D canceled (DEnter: no), queue, ends");
	ck_assert_uint_eq(am_when_queue(r->m, 3, note_say, n), 0);
	ck_assert_uint_eq(am_when_queue_ends(r->m, note_say, n), 0);
	ck_assert_str_eq(rig_log(r), "queue, queue");
	ck_assert_uint_ne(am_when_queue(r->m, am_queue_tick(r->m) + 2, note_say,
			      n),
	    0);
	(void)am_add1(r->m, B, AM_NONE);
	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+B, +B, queue");
	rig_free(r);
}
END_TEST

static void
add_d_once(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	rig_say(n->r, "%s", n->text);
	(void)am_add1(m, D, AM_NONE);
}

static void
wait_end_in_sub(struct am_machine *m, void *arg)
{
	(void)am_when_queue_ends(m, add_d_once, arg);
	(void)am_when_queue_ends(m, note_say, arg);
}

START_TEST(the_end_of_a_queue_may_start_another)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "end", 0 };

	(void)am_when(r->m, RIG_LIST(A), wait_end_in_sub, &n);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, end, +D, end");
	rig_free(r);
}
END_TEST

static void
say_and_add_b(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	rig_say(n->r, "first");
	(void)am_add1(m, B, AM_NONE);
	rig_say(n->r, "added");
}

static void
wait_for_the_end(struct am_event *ev)
{
	struct note *n = ev->arg;

	(void)am_when_queue_ends(ev->machine, say_and_add_b, n);
	(void)am_when_queue_ends(ev->machine, note_say, n);
}

/* The end of the drain that the first one starts is an end for the second. */
START_TEST(a_mutation_at_the_end_of_a_queue_has_an_end_too)
{
	static const struct am_handler of[] = {
		[A] = { .state = wait_for_the_end }
	};
	static const struct am_handlers h = { .of = of, .len = 1 };

	for (int general = 0; general < 2; general++) {
		struct am_schema *s = rig_schema(four_b_multi);
		struct rig r = { .m = am_machine_new(s, "m") };
		struct note n = { &r, "second", 0 };

		r.m->general = general == 1;
		ck_assert_int_eq(am_bind(r.m, &h, &n), 0);
		(void)am_add1(r.m, A, AM_NONE);
		ck_assert_str_eq(rig_log(&r), "first, second, added");
		am_machine_free(r.m);
		am_schema_unref(s);
		am_buf_done(&r.log);
		am_buf_done(&r.text);
	}
}
END_TEST

static void
say_last(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	ck_assert(am_disposing(m) && !am_is1(m, A) && am_tick(m, A) == 1);
	ck_assert_uint_eq(am_add1(m, B, AM_NONE), AM_CANCELED);
	ck_assert_uint_eq(am_when_disposed(m, say_of_any, n), AM_SUB_FAILED);
	ck_assert_ptr_null(am_machine_free(m));
	rig_say(n->r, "%s", n->text);
}

static void
free_it(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	n->r->m = am_machine_free(m);
	rig_say(n->r, "freed");
}

START_TEST(the_end_of_a_machine_is_told_once)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "gone", 0 };
	am_sub cancelled;

	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_uint_ne(am_when_disposed(r->m, say_last, &n), 0);
	cancelled = am_when_disposed(r->m, say_last, &n);
	am_sub_cancel(r->m, cancelled);
	r->m = am_machine_free(r->m);
	ck_assert_str_eq(rig_log(r), "+A, gone");
	rig_free(r);
	/* In a drain: when it ends. */
	r = rig_json(four_b_multi);
	n.r = r;
	(void)am_when_disposed(r->m, say_of_any, &n);
	(void)am_when(r->m, RIG_LIST(A), free_it, &n);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, freed, gone");
	rig_free(r);
}
END_TEST

static bool
never_yet(const struct am_machine *m, void *arg)
{
	(void)m;
	(void)arg;
	return false;
}

/* Waits for the same again, of each kind, in its own callback. */
static void
wait_again(struct am_machine *m, void *arg)
{
	struct note *n = arg;
	const uint64_t tick = 100;

	if (am_disposing(m)) {
		rig_say(n->r, "end");
		ck_assert_int_lt(++n->r->drains, 100);
	}
	if (am_when(m, RIG_LIST(A), wait_again, n) == AM_SUB_FAILED &&
	    am_when_not(m, NULL, 0, wait_again, n) == AM_SUB_FAILED &&
	    am_when_err(m, wait_again, n) == AM_SUB_FAILED &&
	    am_when_time(m, RIG_IDS(A), &tick, 1, wait_again, n) ==
		AM_SUB_FAILED &&
	    am_when_ticks(m, A, 0, wait_again, n) == AM_SUB_FAILED &&
	    am_when_next_active(m, A, wait_again, n) == AM_SUB_FAILED &&
	    am_when_args(m, A, AM_NONE, wait_again, n) == AM_SUB_FAILED &&
	    am_when_query(m, never_yet, wait_again, n) == AM_SUB_FAILED &&
	    am_when_queue(m, 0, wait_again, n) == AM_SUB_FAILED &&
	    am_when_queue_ends(m, wait_again, n) == AM_SUB_FAILED &&
	    am_when_disposed(m, wait_again, n) == AM_SUB_FAILED)
		return;
	ck_abort_msg("a machine that is being freed took a subscription");
}

START_TEST(nothing_can_be_waited_for_at_the_end)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "", 0 };

	(void)am_when(r->m, RIG_LIST(A), wait_again, &n);
	(void)am_when_args(r->m, A, AM_NONE, wait_again, &n);
	(void)am_when_query(r->m, never_yet, wait_again, &n);
	(void)am_when_queue(r->m, 100, wait_again, &n);
	(void)am_when_disposed(r->m, wait_again, &n);
	(void)am_when_disposed(r->m, wait_again, &n);
	r->drains = 0;
	r->m = am_machine_free(r->m);
	ck_assert_str_eq(rig_log(r), "end, end, end, end, end, end");
	rig_free(r);
}
END_TEST

static bool
holds(const struct am_machine *m, void *arg)
{
	(void)m;
	(void)arg;
	return true;
}

static void
query_once(struct am_event *ev)
{
	struct note *n = ev->arg;

	if (n->cancel == 0)
		n->cancel = am_when_query(ev->machine, holds, note_say, n);
}

static void
args_of_this(struct am_event *ev)
{
	(void)am_when_args(ev->machine, ev->state, AM_NONE, note_say, ev->arg);
	(void)am_when_args(ev->machine, B, AM_NONE, note_say, ev->arg);
}

/* Whichever plan the transition has. */
START_TEST(what_is_waited_for_in_a_handler_comes_with_its_transition)
{
	static const struct am_handler of[] = { [A] = {
						    .state = args_of_this } };
	static const struct am_handlers any = { .any_state = query_once };
	static const struct am_handlers args = { .of = of, .len = 1 };

	for (int general = 0; general < 2; general++) {
		struct am_schema *s = rig_schema(four_b_multi);
		struct rig r = { .m = am_machine_new(s, "m") };
		struct note n = { &r, "told", 0 };

		r.m->general = general == 1;
		ck_assert_int_eq(am_bind(r.m, &any, &n), 0);
		(void)am_remove1(r.m, C, AM_NONE);
		ck_assert_str_eq(rig_log(&r), "told");
		ck_assert_int_eq(am_bind(r.m, &args, &n), 0);
		(void)am_add1(r.m, A, AM_NONE);
		ck_assert_str_eq(rig_log(&r), "told");
		(void)am_add1(r.m, B, AM_NONE);
		ck_assert_str_eq(rig_log(&r), "told");
		am_machine_free(r.m);
		am_schema_unref(s);
		am_buf_done(&r.log);
		am_buf_done(&r.text);
	}
}
END_TEST

START_TEST(all_kinds_fire_in_order_of_subscription)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n[5] = { { r, "1", 0 }, { r, "2", 0 }, { r, "3", 0 },
		{ r, "4", 0 }, { r, "5", 0 } };

	(void)am_add1(r->m, C, AM_NONE);
	(void)rig_log(r);
	(void)am_when_queue(r->m, am_queue_tick(r->m) + 1, note_say, &n[0]);
	(void)am_when_args(r->m, A, AM_NONE, note_say, &n[1]);
	(void)am_when_query(r->m, two_active, note_say, &n[2]);
	(void)am_when_ticks(r->m, A, 1, note_say, &n[3]);
	(void)am_when(r->m, RIG_LIST(A, C), note_say, &n[4]);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "2, +A, 1, 3, 4, 5");
	rig_free(r);
}
END_TEST

static void
cancel_own(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	am_sub_cancel(m, n->cancel);
	am_sub_cancel(m, n->cancel);
	/* The slot is free, and its next owner is another one. */
	n->cancel = am_when_next_active(m, A, note_say, n);
	rig_say(n->r, "first");
}

START_TEST(one_may_cancel_itself_while_it_fires)
{
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "again", 0 };

	n.cancel = am_when(r->m, RIG_LIST(A), cancel_own, &n);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_remove1(r->m, A, AM_NONE);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, first, -A, +A, again");
	rig_free(r);
}
END_TEST

/* ---- eval ---- */

static void
mutate_in_eval(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	ck_assert(am_draining(m));
	rig_say(n->r, "eval");
	ck_assert_uint_ge(am_add1(m, C, AM_NONE), AM_QUEUED);
	ck_assert(!am_is1(m, C));
}

static void
eval_in_handler(struct am_event *ev)
{
	(void)am_add1(ev->machine, D, AM_NONE);
	ck_assert_uint_eq(am_eval(ev->machine, "test", mutate_in_eval, ev->arg),
	    AM_QUEUED);
}

START_TEST(functions_run_between_transitions)
{
	static const struct am_handler of[] = { [A] = {
						    .state = eval_in_handler,
						} };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "", 0 };

	ck_assert_int_eq(am_bind(r->m, &h, &n), 0);
	ck_assert_uint_eq(am_eval(r->m, "test", mutate_in_eval, &n),
	    AM_EXECUTED);
	ck_assert_str_eq(rig_log(r), "eval, +C");
	ck_assert_uint_eq(am_queue_tick(r->m), 2);
	(void)am_remove1(r->m, C, AM_NONE);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "-C, +A, eval, +D, +C");
	rig_free(r);
}
END_TEST

static void
eval_and_free(struct am_event *ev)
{
	struct note *n = ev->arg;

	(void)am_eval(ev->machine, "never", mutate_in_eval, n);
	n->r->m = am_machine_free(ev->machine);
	ck_assert_uint_eq(am_eval(ev->machine, "never", mutate_in_eval, n),
	    AM_CANCELED);
}

START_TEST(a_function_that_waits_is_dropped_with_the_machine)
{
	static const struct am_handler of[] = { [A] = {
						    .state = eval_and_free,
						} };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json(four_b_multi);
	struct note n = { r, "", 0 };

	ck_assert_int_eq(am_bind(r->m, &h, &n), 0);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_ptr_null(r->m);
	ck_assert_str_eq(rig_log(r), "");
	rig_free(r);
}
END_TEST

START_TEST(the_first_active_state_of_groups_is_told)
{
	struct rig *r = rig_json(four_b_multi);
	const struct am_list groups[] = {
		{ RIG_LIST(C, A) },
		{ RIG_LIST(D, B) },
	};

	ck_assert_int_eq(am_switch(r->m, groups, 2), -ENOENT);
	(void)am_add(r->m, RIG_LIST(A, B, D), AM_NONE);
	ck_assert_int_eq(am_switch(r->m, groups, 2), A);
	ck_assert_int_eq(am_switch(r->m, groups + 1, 1), D);
	ck_assert_int_eq(am_switch(r->m, groups, 0), -ENOENT);
	rig_free(r);
}
END_TEST

UNIT_MAIN("machine_when", the_next_activation_is_waited_for,
    args_are_waited_for_by_key_and_value, args_are_seen_without_a_transition,
    several_turns_of_the_queue_are_waited_for,
    args_are_seen_as_far_as_handlers_are_told,
    a_query_is_asked_after_each_transition, errors_are_waited_for,
    the_queue_is_waited_for_whatever_becomes_of_a_mutation,
    the_end_of_a_queue_may_start_another, the_end_of_a_machine_is_told_once,
    a_mutation_at_the_end_of_a_queue_has_an_end_too,
    nothing_can_be_waited_for_at_the_end,
    what_is_waited_for_in_a_handler_comes_with_its_transition,
    all_kinds_fire_in_order_of_subscription,
    one_may_cancel_itself_while_it_fires, functions_run_between_transitions,
    a_function_that_waits_is_dropped_with_the_machine,
    the_first_active_state_of_groups_is_told)
