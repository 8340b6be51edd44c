/* Log lines (semantics.md 17), tracers, strings of mutations. */
#include <errno.h>

#include "lib/amnode_log.h"
#include "lib/machine/machine.h"
#include "tests/unit/four.h"

/* One line of the log a line of the machine's. */
struct logged {
	struct rig r;
	struct am_buf lines;
	struct am_logger logger;
};

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	struct logged *l = arg;

	(void)m;
	ck_assert_uint_le(level, l->logger.level);
	buf_printf(&l->lines, "%s\n", line);
}

static struct logged *
logged_of(const char *states, enum am_log_level level)
{
	struct logged *l = calloc(1, sizeof(*l));

	ck_assert_ptr_nonnull(l);
	l->r.s = rig_schema(states);
	l->r.m = am_machine_new(l->r.s, "machine1");
	ck_assert_ptr_nonnull(l->r.m);
	l->logger = (struct am_logger){ .size = sizeof(struct am_logger),
		.level = level,
		.no_id = true,
		.line = on_line,
		.arg = l };
	ck_assert_int_eq(am_set_logger(l->r.m, &l->logger), 0);
	return l;
}

static void
logged_free(struct logged *l)
{
	am_machine_free(l->r.m);
	am_schema_unref(l->r.s);
	am_buf_done(&l->lines);
	free(l);
}

static void
check_lines(struct logged *l, const char *want)
{
	ck_assert_str_eq(buf_text(&l->lines), want);
	am_buf_reset(&l->lines);
}

START_TEST(level_2_tells_what_changes)
{
	struct logged *l = logged_of(four, AM_LOG_CHANGES);

	(void)am_add(l->r.m, RIG_LIST(B, A), AM_NONE);
	(void)am_set(l->r.m, RIG_LIST(C, A), AM_NONE);
	(void)am_add1(l->r.m, A, AM_NONE);
	am_log(l->r.m, "two\nlines %d", 7);
	check_lines(l, "[state] +B +A\n[state] +C -B\n[exter] two lines 7\n");
	logged_free(l);
}
END_TEST

START_TEST(nobody_forges_a_line)
{
	struct logged *l = logged_of(four, AM_LOG_CHANGES);
	const char args[] = "\x81\xa1"
			    "k\xa6"
			    "a\n\x1b[2J";

	l->logger.all_args = true;
	ck_assert_int_eq(am_set_logger(l->r.m, &l->logger), 0);
	(void)am_add1(l->r.m, A, (struct am_val){ args, sizeof(args) - 1 });
	am_log(l->r.m, "%s", "\xff\x1b");
	check_lines(l, "[state] +A (k=a\\x0a\\x1b[2J)\n[exter] \\xff\\x1b\n");
	logged_free(l);
}
END_TEST

START_TEST(lines_begin_with_five_letters_of_the_id)
{
	struct logged *l = logged_of(four, AM_LOG_EXTERNAL);

	l->logger.no_id = false;
	ck_assert_int_eq(am_set_logger(l->r.m, &l->logger), 0);
	(void)am_add1(l->r.m, A, AM_NONE);
	am_log(l->r.m, "hello");
	check_lines(l, "[machi] [exter] hello\n");
	ck_assert_int_eq(am_set_logger(l->r.m, NULL), 0);
	am_log(l->r.m, "hello");
	check_lines(l, "");
	logged_free(l);
}
END_TEST

START_TEST(level_3_tells_what_relations_do)
{
	struct logged *l = logged_of(
	    "{\"name\":\"A\",\"add\":[\"B\"]},{\"name\":\"B\"},"
	    "{\"name\":\"C\",\"require\":[\"D\",\"B\"]},{\"name\":\"D\","
	    "\"remove\":[\"A\"]},{\"name\":\"E\",\"require\":[\"C\"]}",
	    AM_LOG_OPS);

	(void)am_add1(l->r.m, A, AM_NONE);
	(void)am_add(l->r.m, RIG_LIST(4, C), AM_NONE);
	(void)am_add1(l->r.m, D, AM_NONE);
	(void)am_add1(l->r.m, A, AM_NONE);
	check_lines(l,
	    "[queue:add] A\n[add] A\n[implied] B\n[state] +A +B\n"
	    "[queue:add] E C\n[add] E C\n[reject] C(-D) E(-C)\n"
	    "[cancel:reject] E C\n"
	    "[queue:add] D\n[add] D\n[rel:remove] A by D\n[state] +D -A\n"
	    "[queue:add] A\n[add] A\n[cancel:reject] A\n");
	logged_free(l);
}
END_TEST

static bool
refuse(struct am_event *ev)
{
	return am_refuse(ev, "no");
}

static void
queue_more(struct am_event *ev)
{
	(void)am_add1(ev->machine, B, AM_NONE);
	(void)am_add1(ev->machine, B, AM_NONE);
	(void)am_can_add(ev->machine, RIG_LIST(C), AM_NONE);
}

static void
nothing(struct am_machine *m, void *arg)
{
	(void)m;
	(void)arg;
}

START_TEST(level_3_tells_handlers_and_the_queue)
{
	static const struct am_handler of[] = { [A] = { .state = queue_more },
		[B] = { .enter = refuse, .self = refuse } };
	static const struct am_handlers h = { .name = "h", .of = of, .len = 2 };
	struct logged *l = logged_of(four, AM_LOG_OPS);

	ck_assert_int_eq(am_bind(l->r.m, &h, NULL), 0);
	(void)am_when(l->r.m, RIG_LIST(A), nothing, NULL);
	(void)am_add1(l->r.m, A, AM_NONE);
	check_lines(l,
	    "[handlers] bind 0:h\n[when:new] A\n[queue:add] A\n[add] A\n"
	    "[state] +A\n[handler:0] AState\n[queue:add] B\n"
	    "[postpone] queue running (1 item)\n"
	    "[queue:skipped] Duplicate detected for [add] B\n"
	    "[prepend:add] C\n[postpone] queue running (2 items)\n"
	    "[when:match] A\n[add] C\n[add] B\n[handler:0] BEnter\n"
	    "[cancel] (B A) by BEnter\n");
	logged_free(l);
}
END_TEST

static const char autos[] = "{\"name\":\"A\"},{\"name\":\"B\",\"auto\":true},"
			    "{\"name\":\"C\",\"auto\":true,\"require\":[\"D\"]"
			    "},{\"name\":\"D\"}";

/* The example of the reference's manual, at each level. */
START_TEST(levels_differ_in_automatic_transitions)
{
	static const struct am_handler of[] = { [B] = { .enter = refuse } };
	static const struct am_handlers h = { .name = "h", .of = of, .len = 2 };
	static const char *const want[] = {
		[AM_LOG_CHANGES] = "[state] +A\n",
		[AM_LOG_OPS] =
		    "[handlers] bind 0:h\n[queue:add] A\n[add] A\n[state] +A\n"
		    "[auto] B C\n[prepend:add] B C\n"
		    "[postpone] queue running (1 item)\n[handler:0] BEnter\n"
		    "[cancel] (B A) by BEnter\n",
		[AM_LOG_DECISIONS] =
		    "[handlers] bind 0:h\n[queue:add] A\n[add] A\n[state] +A\n"
		    "[auto] B C\n[prepend:add] B C\n"
		    "[postpone] queue running (1 item)\n[add:auto] B C\n"
		    "[reject:auto] C(-D)\n[handler:0] BEnter\n"
		    "[cancel] (B A) by BEnter\n",
		[AM_LOG_EVERYTHING] =
		    "[handlers] bind 0:h\n[queue:add] A\n[add] A\n"
		    "[handle:h] AEnter\n[handle:h] AnyEnter\n[state] +A\n"
		    "[handle:h] AState\n[handle:h] AnyState\n"
		    "[auto] B C\n[prepend:add] B C\n"
		    "[postpone] queue running (1 item)\n[add:auto] B C\n"
		    "[reject:auto] C(-D)\n[handle:h] BEnter\n"
		    "[handler:0] BEnter\n[handler:end] BEnter from h\n"
		    "[cancel] (B A) by BEnter\n[handle:h] AA\n"
		    "[handle:h] AnyEnter\n[auto_] A\n[handle:h] AnyState\n",
	};

	for (int i = AM_LOG_CHANGES; i <= AM_LOG_EVERYTHING; i++) {
		struct logged *l = logged_of(autos, (enum am_log_level)i);

		ck_assert_int_eq(am_bind(l->r.m, &h, NULL), 0);
		(void)am_add1(l->r.m, A, AM_NONE);
		check_lines(l, want[i]);
		logged_free(l);
	}
}
END_TEST

static void
fail_it(struct am_event *ev)
{
	am_fail(ev, "no disk");
}

static bool
fail_enter(struct am_event *ev)
{
	am_fail(ev, "bad");
	return true;
}

START_TEST(failures_are_told)
{
	static const struct am_handler of
	    [] = { [B] = { .state = fail_it }, [C] = { .enter = fail_enter } };
	static const struct am_handlers h = { .of = of, .len = 3 };
	struct logged *l = logged_of(four, AM_LOG_OPS);

	ck_assert_int_eq(am_bind(l->r.m, &h, NULL), 0);
	am_buf_reset(&l->lines);
	(void)am_add(l->r.m, RIG_LIST(A, B), AM_NONE);
	check_lines(l,
	    "[queue:add] A B\n[add] A B\n[state] +A +B\n[handler:0] BState\n"
	    "[recover] handling panic...\n"
	    "[recover] partial final states as (A)\n[state] -B\n"
	    "[cancel] (A B) by recover\n[prepend:add] Exception\n"
	    "[postpone] queue running (1 item)\n"
	    "[add] Exception\n[state] +Exception\n[error:add] A B (no disk)\n");
	(void)am_set(l->r.m, RIG_LIST(C), AM_NONE);
	check_lines(l,
	    "[queue:set] C\n[set] C\n[handler:0] CEnter\n"
	    "[recover] handling panic...\n[cancel] (C) by recover\n"
	    "[prepend:add] Exception\n[postpone] queue running (1 item)\n"
	    "[add] Exception\n[state] +Exception\n[error:set] C (bad)\n");
	logged_free(l);
}
END_TEST

START_TEST(args_are_shown_as_the_logger_says)
{
	static const char *const keys[] = { "name", "id", NULL };
	static const char json[] =
	    "{\"z\":[1],\"name\":\"a name of more than twenty\","
	    "\"id\":17,\"y\":\"sixteen letters \xe2\x82\xac 100\"}";
	struct logged *l = logged_of(four, AM_LOG_CHANGES);
	struct am_buf b = AM_BUF_INIT;

	ck_assert_int_eq(am_json_decode(json, strlen(json), &b, NULL), 0);
	(void)am_add1(l->r.m, A, am_buf_val(&b));
	l->logger.args = keys;
	ck_assert_int_eq(am_set_logger(l->r.m, &l->logger), 0);
	(void)am_add1(l->r.m, B, am_buf_val(&b));
	l->logger.all_args = true;
	ck_assert_int_eq(am_set_logger(l->r.m, &l->logger), 0);
	(void)am_add1(l->r.m, C, am_buf_val(&b));
	(void)am_add1(l->r.m, D, AM_NONE);
	check_lines(l,
	    "[state] +A\n[state] +B (id=17 name=a name of more th...)\n"
	    "[state] +C (id=17 name=a name of more th... y=sixteen letters ... "
	    "z=[1])\n"
	    "[state] +D\n");
	am_buf_done(&b);
	logged_free(l);
}
END_TEST

START_TEST(subscriptions_are_told)
{
	static const uint64_t ticks[] = { 1, 2 };
	struct logged *l = logged_of(four, AM_LOG_OPS);
	struct am_machine *m = l->r.m;
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 2);
	am_put_str(&b, "k");
	am_put_int(&b, 1);
	am_put_str(&b, "k2");
	am_put_int(&b, 1);
	(void)am_when_time(m, RIG_IDS(A, B), ticks, 2, nothing, NULL);
	(void)am_when_args(m, A, am_buf_val(&b), nothing, NULL);
	(void)am_when_queue(m, 2, nothing, NULL);
	(void)am_when_not(m, RIG_LIST(A), nothing, NULL);
	(void)am_add(m, RIG_LIST(A, B), am_buf_val(&b));
	(void)am_when_not(m, RIG_LIST(A, B), nothing, NULL);
	(void)am_set(m, NULL, 0, AM_NONE);
	check_lines(l,
	    "[whenTime:new] A,B 1 2\n[whenArgs:new] A (k,k2)\n"
	    "[whenQueue:new] 2\n[queue:add] A B\n[add] A B\n[state] +A +B\n"
	    "[whenArgs:match] A (k,k2)\n[whenQueue:match] 2\n"
	    "[whenNot:new] A B\n[queue:set] \n[set] \n[state] -A -B\n"
	    "[whenTime:match] A B [1 2]\n[whenNot:match] A B\n");
	am_buf_done(&b);
	logged_free(l);
}
END_TEST

START_TEST(functions_are_told)
{
	struct logged *l = logged_of(four, AM_LOG_OPS);

	(void)am_eval(l->r.m, "test.c", nothing, NULL);
	check_lines(l,
	    "[eval] test.c\n[prepend:eval] \n[exter] eval: test.c\n");
	logged_free(l);
}
END_TEST

START_TEST(a_cycle_of_require_is_told)
{
	struct logged *l = logged_of("{\"name\":\"A\",\"require\":[\"B\"]},"
				     "{\"name\":\"B\",\"require\":[\"A\"]}",
	    AM_LOG_CHANGES);

	check_lines(l,
	    "[resolver] relation error: state A has a Require cycle for "
	    "machine1\n");
	logged_free(l);
}
END_TEST

static void
stop_logging(struct am_event *ev)
{
	ck_assert_int_eq(am_set_logger(ev->machine, NULL), -EBUSY);
}

START_TEST(the_logger_stays_for_a_drain)
{
	static const struct am_handler of[] = { [A] = {
						    .state = stop_logging } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct logged *l = logged_of(four, AM_LOG_CHANGES);

	ck_assert_int_eq(am_bind(l->r.m, &h, NULL), 0);
	(void)am_add1(l->r.m, A, AM_NONE);
	(void)am_add1(l->r.m, B, AM_NONE);
	check_lines(l, "[state] +A\n[state] +B\n");
	logged_free(l);
}
END_TEST

START_TEST(tracers_and_imports_are_told)
{
	static const struct am_tracer t = { .size = sizeof(t), .name = "mine" },
				      u = { .size = sizeof(u) };
	struct logged *l = logged_of(four, AM_LOG_OPS);
	struct am_buf b = AM_BUF_INIT;

	ck_assert_int_eq(am_trace(l->r.m, &t, NULL), 0);
	ck_assert_int_eq(am_trace(l->r.m, &u, NULL), 0);
	am_untrace(l->r.m, &t, NULL);
	(void)am_add1(l->r.m, A, AM_NONE);
	ck_assert_int_eq(am_export(l->r.m, &b), 0);
	am_buf_reset(&l->lines);
	ck_assert_int_eq(am_import(l->r.m, am_buf_val(&b), NULL), 0);
	check_lines(l,
	    "[import] imported 1 times, now at 2 ticks\n"
	    "[import] exported at 2 ticks\n");
	am_buf_done(&b);
	logged_free(l);
}
END_TEST

START_TEST(errors_of_all_kinds_are_told)
{
	static const struct am_handler of[] = { [A] = {
						    .state = rig_take_long } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct logged *l = logged_of("{\"name\":\"A\"},{\"name\":\"B\","
				     "\"require\":[\"Exception\"]},"
				     "{\"name\":\"ErrHandlerTimeout\"}",
	    AM_LOG_OPS);
	struct am_buf b = AM_BUF_INIT;

	am_handler_timeout(l->r.m, 2);
	ck_assert_int_eq(am_bind(l->r.m, &h, NULL), 0);
	(void)am_add1(l->r.m, A, AM_NONE);
	ck_assert_ptr_nonnull(strstr(buf_text(&l->lines),
	    "[cancel] (A) by timeout\n"
	    "[prepend:add] ErrHandlerTimeout Exception\n"));
	ck_assert_ptr_nonnull(
	    strstr(buf_text(&l->lines), "[error:add] A (took "));
	am_buf_reset(&l->lines);
	am_put_map(&b, 1);
	am_put_str(&b, "err");
	am_put_str(&b, "line cut");
	(void)am_add(l->r.m, RIG_LIST(B, 3), am_buf_val(&b));
	ck_assert_ptr_nonnull(
	    strstr(buf_text(&l->lines), "[error] line cut\n"));
	am_buf_done(&b);
	logged_free(l);
}
END_TEST

START_TEST(the_environment_sets_the_level)
{
	struct logged *l = logged_of(four, AM_LOG_NOTHING);
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 1);
	am_put_str(&b, "k");
	am_put_bool(&b, true);
	l->logger.level = AM_LOG_EVERYTHING;
	(void)setenv("AM_LOG", "2", 1);
	(void)setenv("AM_LOG_ARGS", "1", 1);
	(void)setenv("AM_DEBUG", "1", 1);
	ck_assert_int_eq(am_set_logger_env(l->r.m, &l->logger), 0);
	(void)am_add1(l->r.m, A, am_buf_val(&b));
	check_lines(l, "[state] +A (k=true)\n");
	(void)setenv("AM_LOG", "verbose", 1);
	l->logger.level = AM_LOG_EXTERNAL;
	ck_assert_int_eq(am_set_logger_env(l->r.m, &l->logger), 0);
	(void)am_add1(l->r.m, B, AM_NONE);
	check_lines(l, "");
	am_buf_done(&b);
	logged_free(l);
}
END_TEST

/* ---- tracers ---- */

static void
put_event(struct rig *r, const char *what, const struct am_transition *t)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_mutation mut = {
		.op = t->op,
		.states = t->called,
		.n_states = t->n_called,
	};

	am_mutation_string(r->s, &mut, &b);
	rig_say(r, "%s %s%s", what, buf_text(&b), t->accepted ? "" : " no");
	am_buf_done(&b);
}

static void
on_queued(struct am_machine *m, const struct am_transition *t, void *arg)
{
	(void)m;
	ck_assert_uint_eq(t->id, 0);
	put_event(arg, "queued", t);
}

static void
on_start(struct am_machine *m, const struct am_transition *t, void *arg)
{
	ck_assert(am_not(m, t->called, t->n_called));
	put_event(arg, "start", t);
}

static void
on_finals(struct am_machine *m, const struct am_transition *t, void *arg)
{
	ck_assert(am_is(m, t->called, t->n_called));
	put_event(arg, "finals", t);
	if (t->called[0] == A)
		ck_assert_uint_ge(am_add1(m, D, AM_NONE), AM_QUEUED);
}

static void
on_end(struct am_machine *m, const struct am_transition *t, void *arg)
{
	(void)m;
	put_event(arg, "end", t);
}

static void
on_drain_end(struct am_machine *m, void *arg)
{
	(void)m;
	rig_say(arg, "drained");
}

static const struct am_tracer tracer = {
	.size = sizeof(tracer),
	.name = "all",
	.mutation_queued = on_queued,
	.transition_start = on_start,
	.transition_finals = on_finals,
	.transition_end = on_end,
	.drain_end = on_drain_end,
};

static void
check_events(struct logged *l, const char *want)
{
	ck_assert_str_eq(rig_log(&l->r), want);
}

START_TEST(tracers_hear_each_step)
{
	static const struct am_handler of[] = { [B] = { .enter = refuse } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct logged *l = logged_of(
	    "{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"C\",\"require\":"
	    "[\"A\"]},{\"name\":\"D\"}",
	    AM_LOG_NOTHING);

	ck_assert_int_eq(am_bind(l->r.m, &h, NULL), 0);
	ck_assert_int_eq(am_trace(l->r.m, &tracer, &l->r), 0);
	(void)am_add1(l->r.m, C, AM_NONE);
	check_events(l, "queued [add] C, end [add] C no, drained");
	(void)am_add1(l->r.m, B, AM_NONE);
	check_events(l,
	    "queued [add] B, start [add] B, end [add] B no, drained");
	(void)am_add1(l->r.m, A, AM_NONE);
	check_events(l,
	    "queued [add] A, start [add] A, finals [add] A, queued [add] D, "
	    "end [add] A, start [add] D, finals [add] D, end [add] D, "
	    "drained");
	am_untrace(l->r.m, &tracer, &l->r);
	(void)am_add1(l->r.m, C, AM_NONE);
	check_events(l, "");
	am_buf_done(&l->r.log);
	am_buf_done(&l->r.text);
	logged_free(l);
}
END_TEST

static void
pulse_events(struct am_machine *m, const struct am_transition *t, void *arg)
{
	(void)m;
	put_event(arg, "queued", t);
}

START_TEST(a_pulse_is_queued_twice)
{
	static const struct am_tracer t = { .size = sizeof(t),
		.mutation_queued = pulse_events };
	struct logged *l = logged_of(four, AM_LOG_NOTHING);

	ck_assert_int_eq(am_trace(l->r.m, &t, &l->r), 0);
	ck_assert_int_eq(am_pulse(l->r.m, RIG_LIST(A), AM_NONE), 0);
	check_events(l, "queued [add] A, queued [remove] A");
	am_buf_done(&l->r.log);
	am_buf_done(&l->r.text);
	logged_free(l);
}
END_TEST

/* ---- strings ---- */

static void
put_transition(struct am_machine *m, const struct am_transition *t, void *arg)
{
	struct am_buf *b = arg;

	am_transition_string(am_machine_schema(m), t, b);
}

START_TEST(mutations_and_transitions_have_strings)
{
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = put_transition };
	struct logged *l = logged_of(four, AM_LOG_NOTHING);

	ck_assert_int_eq(am_trace(l->r.m, &t, &l->lines), 0);
	(void)am_remove(l->r.m, RIG_LIST(C, A), AM_NONE);
	check_lines(l, "tx#1\n[remove] A C");
	ck_assert_str_eq(am_op_name(AM_CAN_REMOVE), "can_remove");
	ck_assert_str_eq(am_result_name(AM_EXECUTED), "executed");
	ck_assert_str_eq(am_result_name(AM_CANCELED), "canceled");
	ck_assert_str_eq(am_result_name(17), "queued");
	am_inspect_states(l->r.m, RIG_LIST(C, A), &l->lines);
	check_lines(l, "0 C\n    |Tick     0\n0 A\n    |Tick     0\n");
	logged_free(l);
}
END_TEST

UNIT_MAIN("machine_log", level_2_tells_what_changes, nobody_forges_a_line,
    lines_begin_with_five_letters_of_the_id, level_3_tells_what_relations_do,
    level_3_tells_handlers_and_the_queue,
    levels_differ_in_automatic_transitions, failures_are_told,
    args_are_shown_as_the_logger_says, subscriptions_are_told,
    functions_are_told, a_cycle_of_require_is_told,
    the_logger_stays_for_a_drain, tracers_and_imports_are_told,
    errors_of_all_kinds_are_told, the_environment_sets_the_level,
    tracers_hear_each_step, a_pulse_is_queued_twice,
    mutations_and_transitions_have_strings)
