/* What a program may do wrong: each is refused, or stops it at once. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/amnode_log.h"
#include "lib/amnode_pipe.h"
#include "lib/machine/machine.h"
#include "tests/unit/rig.h"

enum { A, B };

static const char two[] = "{\"name\":\"A\"},{\"name\":\"B\"}";

/* ---- ids out of range: a programming error ---- */

static void
bad_add(struct am_machine *m)
{
	(void)am_add1(m, 3, AM_NONE);
}

static void
bad_set(struct am_machine *m)
{
	(void)am_set(m, RIG_LIST(A, 77), AM_NONE);
}

static void
bad_check(struct am_machine *m)
{
	(void)am_can_remove(m, RIG_LIST(3), AM_NONE);
}

static void
bad_is(struct am_machine *m)
{
	(void)am_is1(m, 3);
}

static void
bad_tick(struct am_machine *m)
{
	(void)am_tick(m, UINT16_MAX);
}

static void
bad_when(struct am_machine *m)
{
	(void)am_when(m, RIG_LIST(A, 3), NULL, NULL);
}

static void
bad_args(struct am_machine *m)
{
	(void)am_when_args(m, 3, AM_NONE, NULL, NULL);
}

static void
bad_pulse(struct am_machine *m)
{
	(void)am_pulse(m, RIG_LIST(3), AM_NONE);
}

static void
bad_inspect(struct am_machine *m)
{
	struct am_buf b = AM_BUF_INIT;

	am_inspect_states(m, RIG_LIST(A, 3), &b);
}

static void
bad_string(struct am_machine *m)
{
	static const am_id far = 3;
	struct am_buf b = AM_BUF_INIT;

	am_mutation_string(am_machine_schema(m),
	    &(struct am_mutation){ .states = &far, .n_states = 1 }, &b);
}

static void
bad_pipe(struct am_machine *m)
{
	(void)am_pipe_new(m, A, m, B, 3);
}

static void (*const out_of_range[])(struct am_machine *m) = { bad_add, bad_set,
	bad_check, bad_is, bad_tick, bad_when, bad_args, bad_pulse, bad_inspect,
	bad_string, bad_pipe };

START_TEST(an_id_out_of_range_stops_the_program)
{
	struct rig *r = rig_json(two);

	for (size_t i = 0; i < sizeof(out_of_range) / sizeof(void *); i++) {
		const struct rlimit none = { 0, 0 };
		pid_t pid = fork();
		int status = 0;

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			(void)setrlimit(RLIMIT_CORE, &none);
			(void)close(STDERR_FILENO);
			out_of_range[i](r->m);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status) &&
			WTERMSIG(status) == SIGABRT,
		    "call %zu", i);
	}
	rig_free(r);
}
END_TEST

/* ---- args that are no map ---- */

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	(void)m;
	(void)level;
	rig_say(arg, "%s", line);
}

static void
see_args(struct am_event *ev)
{
	int64_t v = 0;

	ck_assert_int_lt(am_get_int(ev->args, "k", &v), 0);
	if (ev->state == A)
		(void)am_add1(ev->machine, B, ev->args);
}

static void
never(struct am_machine *m, void *arg)
{
	(void)arg;
	ck_assert_msg(am_disposing(m), "args that are no map have no keys");
}

START_TEST(args_that_are_no_map_have_no_keys)
{
	static const struct am_handler
	    of[] = { [A] = { .state = see_args }, [B] = { .state = see_args } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	/* [1], "k", a map that is cut off, what is no MessagePack at all */
	static const struct am_val number = { "\x81\x01\x01", 3 };
	static const struct am_val bad[] = { { "\x91\x01", 2 }, { "\xa1k", 2 },
		{ "\x81\xa1k", 3 }, { "\xc1", 1 } };
	struct am_buf one = AM_BUF_INIT;

	am_put_map(&one, 1);
	am_put_str(&one, "k");
	am_put_int(&one, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rig *r = rig_json(two);
		const struct am_logger l = { .size = sizeof(l),
			.level = AM_LOG_CHANGES,
			.all_args = true,
			.no_id = true,
			.line = on_line,
			.arg = r };

		ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
		ck_assert_int_eq(am_set_logger(r->m, &l), 0);
		(void)am_when_args(r->m, B, am_buf_val(&one), never, NULL);
		ck_assert_uint_eq(am_add1(r->m, A, bad[i]), AM_EXECUTED);
		ck_assert_str_eq(rig_log(r), "[state] +A, +A, [state] +B, +B");
		ck_assert_uint_eq(am_when_args(r->m, A, bad[i], never, NULL),
		    AM_SUB_FAILED);
		rig_free(r);
	}
	/* A key that is no string is in no args. */
	{
		struct rig *r = rig_json(two);

		ck_assert_uint_eq(am_when_args(r->m, B, number, never, NULL),
		    AM_SUB_FAILED);
		(void)am_when_args(r->m, B, am_buf_val(&one), never, NULL);
		(void)am_add1(r->m, B, number);
		rig_free(r);
	}
	am_buf_done(&one);
}
END_TEST

START_TEST(a_struct_without_its_size_is_refused)
{
	static const struct am_tracer tracer = { .size = 0 };
	static const struct am_logger logger = { .size = 0 };
	struct rig *r = rig_json(two);

	ck_assert_int_eq(am_trace(r->m, &tracer, NULL), -EINVAL);
	ck_assert_int_eq(am_set_logger(r->m, &logger), -EINVAL);
	ck_assert_int_eq(am_set_logger_env(r->m, &logger), -EINVAL);
	rig_free(r);
}
END_TEST

/* ---- relations to oneself, and cycles ---- */

START_TEST(own_names_and_cycles_are_harmless)
{
	struct rig *r = rig_json(
	    "{\"name\":\"A\",\"require\":[\"A\"],\"add\":[\"A\"],\"remove\":["
	    "\"A\"],\"after\":[\"A\"]},{\"name\":\"B\",\"require\":[\"C\"]},"
	    "{\"name\":\"C\",\"require\":[\"B\"]}");

	ck_assert_uint_eq(am_add1(r->m, 0, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_add1(r->m, 1, AM_NONE), AM_CANCELED);
	ck_assert_uint_eq(am_add(r->m, RIG_LIST(1, 2), AM_NONE), AM_EXECUTED);
	ck_assert_str_eq(rig_active(r), "A B C");
	ck_assert_uint_eq(am_remove1(r->m, 1, AM_NONE), AM_EXECUTED);
	ck_assert_str_eq(rig_active(r), "A");
	rig_free(r);
}
END_TEST

/* ---- failures in every phase ---- */

static bool
fail_ask(struct am_event *ev)
{
	am_fail(ev, "no");
	return true;
}

static void
fail_tell(struct am_event *ev)
{
	am_fail(ev, "no");
}

static const struct {
	struct am_handler a;
	am_negotiation_fn pair, any_enter;
	am_final_fn any_state;
	const char *active; /* after A was added twice, then B set */
} phases[] = {
	{ .a = { .enter = fail_ask }, .active = "B" },
	{ .a = { .exit = fail_ask }, .active = "A Exception" },
	{ .a = { .self = fail_ask }, .active = "B" },
	{ .a = { .state = fail_tell }, .active = "B" },
	{ .a = { .end = fail_tell }, .active = "B Exception" },
	{ .pair = fail_ask, .active = "A Exception" },
	{ .any_enter = fail_ask, .active = "" },
	{ .any_state = fail_tell, .active = "B Exception" },
};

START_TEST(a_failure_in_each_phase_is_survived)
{
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		struct am_handler of[] = { phases[i].a };
		const struct am_pair_handler pair[] = {
			{ A, B, phases[i].pair },
		};
		const struct am_handlers h = { .of = of,
			.len = 1,
			.pair = pair,
			.n_pairs = phases[i].pair != NULL,
			.any_enter = phases[i].any_enter,
			.any_state = phases[i].any_state };
		struct rig *r = rig_json(two);

		ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
		(void)am_add1(r->m, A, AM_NONE);
		(void)am_add1(r->m, A, AM_NONE);
		(void)am_set(r->m, RIG_LIST(B), AM_NONE);
		ck_assert_msg(strcmp(rig_active(r), phases[i].active) == 0,
		    "phase %zu: %s", i, rig_active(r));
		/* Also where Exception is called, and nothing may follow. */
		(void)am_add(r->m, RIG_LIST(A, 2), AM_NONE);
		(void)am_set(r->m, RIG_LIST(B, 2), AM_NONE);
		ck_assert(!am_draining(r->m));
		ck_assert_str_eq(am_last_error(r->m), "no");
		rig_free(r);
	}
}
END_TEST

/* ---- errors from outside ---- */

static void
see_error(struct am_event *ev)
{
	char text[64];

	ck_assert_int_ge(am_get_text(ev->args, "err", text, sizeof(text)), 0);
	rig_say(ev->arg, "%s: %s",
	    am_schema_name(am_machine_schema(ev->machine), ev->state), text);
}

START_TEST(an_error_is_added_with_its_text)
{
	static const struct am_handler of
	    [] = { [A] = { .state = see_error }, [2] = { .state = see_error } };
	static const struct am_handlers h = { .of = of, .len = 3 };
	struct rig *r = rig_json(two);

	/* Nobody hears of the first one until a table is bound. */
	ck_assert_uint_eq(am_add_err(r->m, 2, "no disk"), AM_EXECUTED);
	ck_assert_str_eq(am_last_error(r->m), "no disk");
	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_str_eq(rig_log(r),
	    "+Exception, Exception: no disk, +Exception");
	ck_assert_uint_eq(am_tick(r->m, 2), 3);
	/* A second table changes nothing. */
	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_tick(r->m, 2), 3);
	(void)rig_log(r);
	ck_assert_uint_eq(am_add_err(r->m, A, "no net"), AM_EXECUTED);
	ck_assert_str_eq(rig_log(r),
	    "A: no net, A: no net, Exception: no net, Exception: no net, "
	    "+A Exception");
	ck_assert_uint_eq(am_add_err(r->m, A, NULL), AM_CANCELED);
	ck_assert_str_eq(am_why(r->m), "no error");
	ck_assert_uint_eq(am_add_err(r->m, A, ""), AM_CANCELED);
	ck_assert_str_eq(am_last_error(r->m), "no net");
	rig_free(r);
}
END_TEST

/* An active Exception that nobody gave a text is not added again. */
START_TEST(an_error_without_a_text_is_not_told_again)
{
	static const struct am_handlers h = { .len = 0 };
	struct rig *r = rig_json(two);

	ck_assert_uint_eq(am_add1(r->m, 2, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_str_eq(rig_log(r), "+Exception");
	rig_free(r);
}
END_TEST

static void
fill_queue(struct am_event *ev)
{
	am_result r = 0;

	for (int i = 0; i < 1000; i++)
		r = am_add1(ev->machine, 2, AM_NONE);
	ck_assert_uint_ne(r, AM_CANCELED);
	ck_assert_uint_eq(am_add_err(ev->machine, A, "full"), AM_CANCELED);
	ck_assert_str_eq(am_last_error(ev->machine), "");
	ck_assert_uint_eq(am_add1(ev->machine, B, AM_NONE), AM_CANCELED);
}

static int
count_sent(struct am_machine *m, const struct am_mutation *mut, void *arg)
{
	(void)m;
	(void)mut;
	++*(int *)arg;
	return 0;
}

START_TEST(no_error_is_sent_to_no_machine)
{
	struct rig *r = rig_json(two);
	struct am_machine *mirror = mach_new_mirror(r->s, "mirror");
	int n_sent = 0;
	struct mach_remote remote = { .mutate = count_sent, .arg = &n_sent };

	ck_assert_uint_eq(am_add_err(mirror, A, "text"), AM_CANCELED);
	mach_set_remote(mirror, &remote);
	ck_assert_uint_eq(am_add_err(mirror, A, NULL), AM_CANCELED);
	ck_assert_uint_eq(am_add_err(mirror, A, ""), AM_CANCELED);
	ck_assert_str_eq(am_why(mirror), "no error");
	ck_assert_int_eq(n_sent, 0);
	ck_assert_uint_eq(am_add_err(mirror, A, "text"), AM_QUEUED);
	ck_assert_int_eq(n_sent, 1);
	am_machine_free(mirror);
	rig_free(r);
}
END_TEST

START_TEST(an_error_respects_a_full_queue)
{
	static const struct am_handler of[] = { [A] = { .state = fill_queue } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json(two);

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_tick(r->m, 2), 1999);
	rig_free(r);
}
END_TEST

/* ---- queues that never end ---- */

static void
never_runs(struct am_machine *m, void *arg)
{
	(void)m;
	(void)arg;
}

static void
queue_for_ever(struct am_event *ev)
{
	size_t n = 0;

	/* Nothing bounds these but the last limit of all. */
	while (am_eval(ev->machine, "again", never_runs, NULL) == AM_QUEUED)
		n++;
	ck_assert_uint_eq(n, 65536);
	/* Exception may always come, but not if there is no place at all. */
	ck_assert_uint_eq(am_add1(ev->machine, 2, AM_NONE), AM_CANCELED);
	am_machine_free(ev->machine);
}

START_TEST(a_queue_has_a_last_limit)
{
	static const struct am_handler of[] = { [A] = {
						    .state = queue_for_ever } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json(two);

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	(void)am_add1(r->m, A, AM_NONE);
	r->m = NULL;
	rig_free(r);
}
END_TEST

/* ---- freed, failing and late at once, with a logger and without ---- */

static void
bind_in_drain(struct am_event *ev)
{
	static const struct am_handlers h = { .len = 0 };

	ck_assert_int_eq(am_bind(ev->machine, &h, NULL), -EBUSY);
}

START_TEST(a_table_is_not_bound_in_a_drain)
{
	static const struct am_handler of[] = { [A] = {
						    .state = bind_in_drain } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json(two);

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_eq(am_add1(r->m, A, AM_NONE), AM_EXECUTED);
	rig_free(r);
}
END_TEST

static bool
free_only(struct am_event *ev)
{
	am_machine_free(ev->machine);
	return true;
}

static bool
free_and_fail(struct am_event *ev)
{
	am_machine_free(ev->machine);
	am_fail(ev, "failed");
	return true;
}

static bool
fail_late(struct am_event *ev)
{
	am_fail(ev, "failed");
	rig_take_long(ev);
	return true;
}

START_TEST(a_machine_is_freed_in_a_negotiation)
{
	static const am_negotiation_fn fn[] = { free_only, free_and_fail,
		fail_late };

	for (int i = 0; i < 6; i++) {
		const struct am_handler of[] = { [A] = { .enter = fn[i % 3] } };
		const struct am_handlers h = { .of = of, .len = 1 };
		struct rig *r = rig_json(two);
		struct am_machine *m = am_machine_new(r->s, "bare");
		const struct am_logger l = { .size = sizeof(l),
			.level = AM_LOG_EVERYTHING,
			.line = on_line,
			.arg = r };

		ck_assert_int_eq(am_set_logger(m, i < 3 ? &l : NULL), 0);
		am_handler_timeout(m, 2);
		ck_assert_int_eq(am_bind(m, &h, NULL), 0);
		ck_assert_uint_eq(am_add1(m, A, AM_NONE), AM_CANCELED);
		if (fn[i % 3] == fail_late) {
			/* Failed is failed: it is not late as well. */
			ck_assert_str_eq(am_why(m), "AEnter failed: failed");
			am_machine_free(m);
		}
		rig_free(r);
	}
}
END_TEST

UNIT_MAIN("machine_bad", a_struct_without_its_size_is_refused,
    an_id_out_of_range_stops_the_program, args_that_are_no_map_have_no_keys,
    own_names_and_cycles_are_harmless, a_failure_in_each_phase_is_survived,
    an_error_is_added_with_its_text, an_error_without_a_text_is_not_told_again,
    no_error_is_sent_to_no_machine, an_error_respects_a_full_queue,
    a_queue_has_a_last_limit, a_table_is_not_bound_in_a_drain,
    a_machine_is_freed_in_a_negotiation)
