/* Mutations, queue, handlers, failures. What the recorded cases cover is not
 * repeated here. */
#include <errno.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/machine/machine.h"
#include "tests/unit/four.h"

static bool
refuse_any(struct am_event *ev)
{
	ck_assert_uint_eq(ev->state, UINT16_MAX);
	return am_refuse(ev, "closed");
}

START_TEST(a_wrong_handler_table_is_refused)
{
	static const struct am_handler of[5];
	static const struct am_pair_handler far[] = { { A, 7, refuse_any } };
	static const struct am_pair_handler self[] = { { A, A, refuse_any } };
	static const struct am_handlers bad[] = {
		{ .of = of, .len = 5 },
		{ .pair = far, .n_pairs = 1 },
		{ .pair = self, .n_pairs = 1 },
		{ .len = 1 },
	};
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"}");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(am_bind(r->m, &bad[i], r), -EINVAL);
	rig_free(r);
}
END_TEST

/* ---- the queue ---- */

static void
add_more(struct am_event *ev)
{
	struct am_machine *m = ev->machine;
	uint64_t tick = am_queue_tick(m);

	ck_assert(am_draining(m));
	ck_assert_uint_eq(am_add1(m, B, AM_NONE), tick + 1);
	ck_assert_uint_eq(am_add1(m, B, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_can_add(m, RIG_LIST(C), AM_NONE), AM_QUEUED);
	ck_assert_uint_eq(am_remove1(m, A, AM_NONE), tick + 2);
	ck_assert_uint_eq(am_tick(m, B), 0);
}

START_TEST(what_a_handler_does_waits_for_its_transition)
{
	static const struct am_handler of[] = { [A] = { .state = add_more } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"},"
				 "{\"name\":\"C\"}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_str_eq(rig_log(r), "+A, ?C, +B, -A");
	ck_assert_str_eq(rig_active(r), "B");
	ck_assert_uint_eq(am_queue_tick(r->m), 4);
	ck_assert_uint_eq(r->drains, 1);
	ck_assert(!am_draining(r->m));
	rig_free(r);
}
END_TEST

static void
fill_queue(struct am_event *ev)
{
	struct am_machine *m = ev->machine;
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 1);
	am_put_str(&args, "k");
	am_put_int(&args, 1);
	for (size_t i = 0; i < 999; i++)
		ck_assert_uint_ge(am_add1(m, B, am_buf_val(&args)), AM_QUEUED);
	ck_assert_int_eq(am_pulse(m, RIG_LIST(C), AM_NONE), -EBUSY);
	ck_assert_uint_ge(am_remove1(m, C, am_buf_val(&args)), AM_QUEUED);
	ck_assert_uint_eq(am_add1(m, B, am_buf_val(&args)), AM_CANCELED);
	ck_assert_uint_eq(am_set(m, RIG_LIST(B), AM_NONE), AM_CANCELED);
	/* Exception may always come. */
	ck_assert_uint_ge(am_add1(m, 3, am_buf_val(&args)), AM_QUEUED);
	am_buf_done(&args);
}

START_TEST(a_full_queue_refuses_all_but_exception)
{
	static const struct am_handler of[] = { [A] = { .state = fill_queue } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"},"
				 "{\"name\":\"C\"}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_queue_tick(r->m), 1 + 1 + 1001);
	ck_assert_str_eq(rig_active(r), "A B Exception");
	rig_free(r);
}
END_TEST

static void
say_arg(struct am_event *ev)
{
	int64_t v = -1;

	(void)am_get_int(ev->args, "k", &v);
	rig_say(ev->arg, "%s %lld %s",
	    am_schema_name(am_machine_schema(ev->machine), ev->state),
	    (long long)v, ev->source == ev->arg ? "ours" : "nobody's");
}

static void
queue_with_args(struct am_event *ev)
{
	am_id ids[] = { B, C, D, B, 4, 5 };
	struct am_buf args = AM_BUF_INIT;
	struct am_mutation mut = { .op = AM_ADD,
		.states = ids,
		.n_states = 6,
		.source = ev->arg };

	am_put_map(&args, 1);
	am_put_str(&args, "k");
	am_put_int(&args, 7);
	mut.args = am_buf_val(&args);
	ck_assert_uint_ge(am_mutate(ev->machine, &mut), AM_QUEUED);
	ids[0] = A;
	memset(args.data, 0, args.len);
	am_buf_done(&args);
}

START_TEST(a_waiting_mutation_has_its_own_copy)
{
	static const struct am_handler of[] = {
		[A] = { .state = queue_with_args },
		[B] = { .state = say_arg },
		[5] = { .state = say_arg },
	};
	static const struct am_handlers h = { .of = of, .len = 6 };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":"
				 "\"C\"},{\"name\":\"D\"},{\"name\":\"E\"},"
				 "{\"name\":\"F\"}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_str_eq(rig_log(r), "+A, B 7 ours, F 7 ours, +B C D E F");
	rig_free(r);
}
END_TEST

/* ---- pulses ---- */

static void
pulse_three(struct am_event *ev)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(am_pulse(ev->machine, RIG_LIST(B), AM_NONE),
		    0);
}

START_TEST(every_pulse_of_a_drain_is_heard)
{
	static const struct am_handler of
	    [] = { [A] = { .state = pulse_three }, [B] = { .state = say_arg } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_tick(r->m, B), 6);
	ck_assert_str_eq(rig_active(r), "A");
	(void)rig_log(r);
	ck_assert_int_eq(am_pulse(r->m, RIG_LIST(B), AM_NONE), 0);
	ck_assert_str_eq(rig_log(r), "B -1 nobody's, +B, -B");
	ck_assert_uint_eq(am_queue_tick(r->m), 10);
	rig_free(r);
}
END_TEST

/* ---- failures ---- */

static void
fail_final(struct am_event *ev)
{
	(void)am_add1(ev->machine, C, AM_NONE);
	am_fail(ev, "no disk: %s", "sda");
	am_fail(ev, "once is enough");
	(void)am_add1(ev->machine, D, AM_NONE);
}

static bool
fail_negotiation(struct am_event *ev)
{
	am_fail(ev, "bad");
	return true;
}

static void
say_error(struct am_event *ev)
{
	char err[64] = "?", handler[64] = "?";

	(void)am_get_text(ev->args, "err", err, sizeof(err));
	(void)am_get_text(ev->args, "handler", handler, sizeof(handler));
	rig_say(ev->arg, "%s in %s", err, handler);
}

START_TEST(a_failed_handler_rolls_back_and_adds_exception)
{
	static const struct am_handler of[] = {
		[A] = { .state = say_arg, .end = fail_final },
		[B] = { .state = fail_final },
		[C] = { .enter = fail_negotiation },
		[4] = { .state = say_error },
	};
	static const struct am_handlers h = { .of = of, .len = 5 };
	struct rig *r = rig_json(four);

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add(r->m, RIG_LIST(A, B), AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(r->m),
	    "BState failed, rolled back: no disk: sda");
	ck_assert_str_eq(rig_log(r),
	    "A -1 nobody's, +A B canceled (BState failed, rolled back: no "
	    "disk: sda), no disk: sda in BState, +Exception, +C canceled "
	    "(CEnter failed: bad), bad in CEnter, +Exception, +D");
	ck_assert_str_eq(am_last_error(r->m), "bad");
	ck_assert_str_eq(rig_active(r), "A D Exception");
	ck_assert_uint_eq(am_tick(r->m, B), 2);
	ck_assert_uint_eq(am_tick(r->m, C), 0);
	rig_free(r);
}
END_TEST

START_TEST(a_failure_in_exception_adds_no_other)
{
	static const struct am_handler of[] = { [4] = { .state = fail_final } };
	static const struct am_handlers h = { .of = of, .len = 5 };
	struct rig *r = rig_json(four);

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, 4, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_last_error(r->m), "");
	ck_assert_str_eq(am_why(r->m),
	    "ExceptionState failed, rolled back: no disk: sda");
	ck_assert_str_eq(rig_active(r), "C D");
	rig_free(r);
}
END_TEST

static void
take_too_long(struct am_event *ev)
{
	int64_t end = clock_ns() + 1020 * NS_PER_MS;

	(void)ev;
	while (clock_ns() < end)
		;
}

START_TEST(a_slow_handler_has_failed)
{
	static const struct am_handler of[] = {
		[A] = { .state = take_too_long },
		[B] = { .state = say_error },
	};
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":"
				 "\"ErrHandlerTimeout\",\"multi\":true,"
				 "\"require\":[\"Exception\"]}");

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(rig_active(r), "ErrHandlerTimeout Exception");
	ck_assert_ptr_nonnull(strstr(am_why(r->m),
	    "AState failed, rolled "
	    "back: took "));
	/* Without a limit it may take as long. */
	am_handler_timeout(r->m, -1);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_ptr_nonnull(strstr(rig_log(r),
	    " ms, 1000 are allowed in "
	    "AState"));
	rig_free(r);
}
END_TEST

/* ---- freeing ---- */

static void
free_now(struct am_event *ev)
{
	struct rig *r = ev->arg;

	(void)am_add1(r->m, C, AM_NONE);
	am_machine_free(r->m);
	ck_assert_uint_eq(am_add1(r->m, D, AM_NONE), AM_CANCELED);
	ck_assert(!am_is1(r->m, A) && am_tick(r->m, A) == 1);
	r->m = NULL;
}

static void
never(struct am_event *ev)
{
	ck_abort_msg("state %u after the end", ev->state);
}

static void
only_the_end(struct am_machine *m, void *arg)
{
	ck_assert(am_disposing(m));
	rig_say(arg, "end");
}

START_TEST(a_machine_freed_in_a_handler_calls_nothing_more)
{
	static const struct am_handler of[] = { [A] = { .state = free_now },
		[B] = { .state = never },
		[C] = { .state = never } };
	static const struct am_handlers h = { .of = of, .len = 3 };
	struct rig *r = rig_json(four);

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_ne(am_when(r->m, RIG_LIST(A), only_the_end, r), 0);
	ck_assert_uint_eq(am_add(r->m, RIG_LIST(A, B), AM_NONE), AM_EXECUTED);
	ck_assert_ptr_null(r->m);
	ck_assert_str_eq(rig_log(r), "end");
	rig_free(r);
}
END_TEST

static void
free_in_sub(struct am_machine *m, void *arg)
{
	struct rig *r = arg;

	am_machine_free(m);
	r->m = NULL;
}

START_TEST(a_machine_is_freed_in_a_subscription)
{
	struct rig *r = rig_json(four);

	ck_assert_uint_ne(am_when(r->m, RIG_LIST(A), free_in_sub, r), 0);
	ck_assert_uint_ne(am_when(r->m, RIG_LIST(A), only_the_end, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_ptr_null(r->m);
	ck_assert_str_eq(rig_log(r), "+A, end");
	rig_free(r);
	r = rig_json(four);
	ck_assert_uint_eq(am_when_not(r->m, RIG_LIST(A), free_in_sub, r), 0);
	ck_assert_ptr_null(r->m);
	rig_free(r);
}
END_TEST

/* ---- tracers ---- */

static void untrace_both(struct am_machine *m, const struct am_transition *t,
    void *arg);
static const struct am_tracer untracer = { .size = sizeof(untracer),
	.transition_end = untrace_both };

static void
untrace_both(struct am_machine *m, const struct am_transition *t, void *arg)
{
	struct rig *r = arg;

	(void)t;
	rig_say(r, "last");
	am_untrace(m, &untracer, r);
	am_untrace(m, &untracer, r->m);
}

START_TEST(tracers_come_and_go_in_a_callback)
{
	struct rig *r = rig_json(four);

	ck_assert_int_eq(am_trace(r->m, &untracer, r), 0);
	ck_assert_int_eq(am_trace(r->m, &untracer, r->m), 0);
	(void)am_add1(r->m, A, AM_NONE);
	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A, last, +B");
	ck_assert_int_eq(am_trace(r->m, &untracer, r), 0);
	(void)am_add1(r->m, C, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+C, last");
	rig_free(r);
}
END_TEST

static void
add_at_end(struct am_machine *m, void *arg)
{
	(void)arg;
	if (!am_is1(m, B))
		ck_assert_uint_eq(am_add1(m, B, AM_NONE), AM_EXECUTED);
}

START_TEST(a_drain_that_ends_may_start_another)
{
	static const struct am_tracer t = { .size = sizeof(t),
		.drain_end = add_at_end };
	struct rig *r = rig_json(four);

	ck_assert_int_eq(am_trace(r->m, &t, NULL), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_str_eq(rig_log(r), "+A, +B");
	ck_assert_uint_eq(r->drains, 2);
	rig_free(r);
}
END_TEST

/* ---- reading ---- */

START_TEST(a_context_holds_while_the_tick_stands)
{
	struct rig *r = rig_json("{\"name\":\"A\",\"multi\":true}");
	struct am_ctx c = am_ctx(r->m, A);

	ck_assert(am_ctx_valid(c));
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert(!am_ctx_valid(c));
	c = am_ctx(r->m, A);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert(!am_ctx_valid(c));
	rig_free(r);
}
END_TEST

START_TEST(machines_print_themselves)
{
	struct rig *r = rig_json("{\"name\":\"A\",\"auto\":true,\"require\":["
				 "\"B\"],\"add\":[\"C\",\"B\"]},{\"name\":"
				 "\"B\",\"multi\":true,\"remove\":[\"B\","
				 "\"D\"]},{\"name\":\"C\",\"after\":[\"A\"]},"
				 "{\"name\":\"D\",\"remove\":[\"D\"]}");

	am_string(r->m, &r->log);
	ck_assert_str_eq(rig_log(r), "()");
	(void)am_add1(r->m, B, AM_NONE);
	(void)am_add1(r->m, B, AM_NONE);
	(void)rig_log(r);
	am_string(r->m, &r->log);
	ck_assert_str_eq(rig_log(r), "(A:1 B:3 C:1)");
	am_string_all(r->m, &r->log);
	ck_assert_str_eq(rig_log(r), "(A:1 B:3 C:1) [D:0 Exception:0]");
	am_inspect(r->m, &r->log);
	ck_assert_str_eq(rig_log(r),
	    "1 A\n    |Tick     1\n    |Auto     true\n    |Add      C B\n"
	    "    |Require  B\n"
	    "1 B\n    |Tick     3\n    |Multi    true\n    |Remove   D\n"
	    "1 C\n    |Tick     1\n    |After    A\n"
	    "0 D\n    |Tick     0\n    |Remove   \n"
	    "0 Exception\n    |Tick     0\n    |Multi    true\n");
	rig_free(r);
}
END_TEST

/* ---- mirrors ---- */

static void
say_sub(struct am_machine *m, void *arg)
{
	ck_assert_uint_eq(am_tick(m, A), 3);
	rig_say(arg, "A B");
}

START_TEST(a_mirror_shows_what_it_is_told)
{
	static const uint64_t first[] = { 2, 1, 0, 0, 0 };
	static const uint64_t second[] = { 3, 1, 0, 0, 5 };
	struct rig *r = rig_json(four);
	struct am_machine *m = mach_new_mirror(r->s, "mirror");
	size_t n;
	const am_id *active;
	am_sub sub;

	ck_assert_ptr_nonnull(m);
	sub = am_when(m, RIG_LIST(A, B), say_sub, r);
	ck_assert_uint_ne(sub, 0);
	mach_mirror_set(m, first, 17, 3);
	ck_assert_str_eq(rig_log(r), "");
	ck_assert(am_is1(m, B) && !am_is1(m, A));
	ck_assert_uint_eq(am_queue_tick(m), 17);
	ck_assert_uint_eq(am_machine_tick(m), 3);
	mach_mirror_set(m, second, 18, 3);
	ck_assert_str_eq(rig_log(r), "A B");
	active = am_active(m, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert(active[0] == A && active[1] == B && active[2] == 4);
	ck_assert_uint_eq(am_add1(m, C, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(m),
	    "a mirror can be mutated only through its connection");
	ck_assert_int_eq(am_pulse(m, RIG_LIST(C), AM_NONE), -EBUSY);
	ck_assert_ptr_null(am_machine_free(m));
	rig_free(r);
}
END_TEST

static int
answer_later(struct am_machine *m, const struct am_mutation *mut, void *arg)
{
	(void)m;
	*(size_t *)arg += mut->n_states;
	return mut->op == AM_SET ? -ENOTCONN : 15;
}

static void
on_result(struct am_machine *m, am_result handle, am_result result,
    const char *why, void *arg)
{
	(void)m;
	(void)why;
	*(am_result *)arg = handle + result;
}

START_TEST(a_mirror_asks_where_its_machine_is)
{
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"}");
	struct am_machine *m = mach_new_mirror(r->s, "mirror");
	size_t n_states = 0;
	am_result got = 0;
	struct mach_remote remote = { .mutate = answer_later,
		.arg = &n_states };

	ck_assert_ptr_null(mach_owner(m));
	mach_set_owner(m, r);
	ck_assert_ptr_eq(mach_owner(m), r);
	ck_assert_int_eq(am_on_result(m, on_result, &got), -EINVAL);
	mach_set_remote(m, &remote);
	ck_assert_int_eq(am_on_result(m, on_result, &got), 0);
	ck_assert_uint_eq(am_add1(m, A, AM_NONE), 17);
	ck_assert_uint_eq(am_add_err(m, A, "no disk"), 17);
	ck_assert_uint_eq(n_states, 3);
	remote.on_result(m, 17, AM_EXECUTED, "", remote.result_arg);
	ck_assert_uint_eq(got, 17);
	ck_assert_uint_eq(am_set(m, RIG_LIST(A), AM_NONE), AM_CANCELED);
	ck_assert_str_eq(am_why(m), "no connection to the machine");
	mach_set_remote(m, NULL);
	ck_assert_uint_eq(am_add1(m, A, AM_NONE), AM_CANCELED);
	ck_assert_uint_eq(am_add_err(m, A, "no disk"), AM_CANCELED);
	am_machine_dispose(m);
	rig_free(r);
}
END_TEST

UNIT_MAIN("machine", a_wrong_handler_table_is_refused,
    what_a_handler_does_waits_for_its_transition,
    a_full_queue_refuses_all_but_exception, a_waiting_mutation_has_its_own_copy,
    every_pulse_of_a_drain_is_heard,
    a_failed_handler_rolls_back_and_adds_exception,
    a_failure_in_exception_adds_no_other, a_slow_handler_has_failed,
    a_machine_freed_in_a_handler_calls_nothing_more,
    a_machine_is_freed_in_a_subscription, tracers_come_and_go_in_a_callback,
    a_drain_that_ends_may_start_another, a_context_holds_while_the_tick_stands,
    machines_print_themselves, a_mirror_shows_what_it_is_told,
    a_mirror_asks_where_its_machine_is)
