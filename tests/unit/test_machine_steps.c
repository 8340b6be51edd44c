/* What a logger adds to a machine: sources, contexts, breakpoints, the rows of
 * levels 4 and 5, the steps of a transition. */
#include <errno.h>

#include "lib/amnode_log.h"
#include "lib/amnode_pipe.h"
#include "tests/unit/four.h"

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	(void)m;
	(void)level;
	buf_printf(arg, "%s\n", line);
}

static struct am_machine *
machine_of(const char *states, const char *id, enum am_log_level level,
    struct am_buf *lines)
{
	const struct am_logger l = {
		.size = sizeof(l),
		.level = level,
		.no_id = true,
		.line = on_line,
		.arg = lines,
	};
	struct am_schema *s = rig_schema(states);
	struct am_machine *m = am_machine_new(s, id);

	am_schema_unref(s);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(am_set_logger(m, &l), 0);
	return m;
}

static void
check_lines(struct am_buf *lines, const char *want)
{
	ck_assert_str_eq(buf_text(lines), want);
	am_buf_reset(lines);
}

/* ---- sources ---- */

static void
add_from_here(struct am_event *ev)
{
	const struct am_source from = am_source_of(ev);
	const am_id id = B;

	(void)am_mutate(ev->machine,
	    &(struct am_mutation){
		.op = AM_ADD,
		.states = &id,
		.n_states = 1,
		.from = &from,
	    });
	/* The same again waits already, wherever it comes from. */
	ck_assert_uint_eq(am_add1(ev->machine, B, AM_NONE), AM_EXECUTED);
}

static void
on_end(struct am_machine *m, const struct am_transition *t, void *arg)
{
	am_transition_string(am_machine_schema(m), t, arg);
	buf_puts(arg, "\n");
}

START_TEST(a_mutation_tells_where_it_was_made)
{
	static const struct am_handler of[] = { [A] = {
						    .state = add_from_here } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = on_end };
	struct am_buf from_lines = AM_BUF_INIT, lines = AM_BUF_INIT;
	struct am_machine *from = machine_of(four, "from", AM_LOG_EXTERNAL,
	    &from_lines);
	struct am_machine *to = machine_of(four, "to", AM_LOG_OPS, &lines);
	struct am_pipe *p = am_pipe_new(from, C, to, A, A);
	struct am_pipe *e = am_pipe_err(from, to, D);

	ck_assert_int_eq(am_bind(to, &h, NULL), 0);
	am_buf_reset(&lines);
	(void)am_add1(from, D, AM_NONE);
	(void)am_add1(from, C, AM_NONE);
	check_lines(&lines,
	    "[queue:add] A\n[add] A\n[source] from/2/2\n[state] +A\n"
	    "[handler:0] AState\n[queue:add] B\n"
	    "[postpone] queue running (1 item)\n"
	    "[queue:skipped] Duplicate detected for [add] B\n[add] B\n"
	    "[source] to/1/1\n[state] +B\n");
	/* And so do tracers, without a logger as well. */
	ck_assert_int_eq(am_set_logger(to, NULL), 0);
	ck_assert_int_eq(am_trace(to, &t, &lines), 0);
	(void)am_add_err(from, A, "no disk");
	(void)am_remove1(from, C, AM_NONE);
	check_lines(&lines,
	    "tx#3\n[add] D Exception\nsource: [3](from/3/t4)\n"
	    "tx#4\n[remove] A\nsource: [4](from/4/t5)\n");
	am_pipe_free(p);
	am_pipe_free(e);
	am_machine_free(from);
	am_machine_free(to);
	am_buf_done(&from_lines);
	am_buf_done(&lines);
}
END_TEST

/* ---- contexts ---- */

START_TEST(a_context_is_told_while_it_holds)
{
	struct am_buf lines = AM_BUF_INIT, e = AM_BUF_INIT;
	struct am_machine *m = machine_of(four, "m", AM_LOG_OPS, &lines);
	struct am_ctx a;

	(void)am_add1(m, A, AM_NONE);
	am_buf_reset(&lines);
	a = am_ctx(m, A);
	/* The second one of the same tick is the same. */
	(void)am_ctx(m, A);
	(void)am_ctx(m, B);
	check_lines(&lines, "[ctx:new] A\n[ctx:new] B\n");
	(void)am_set(m, RIG_LIST(B), AM_NONE);
	ck_assert(!am_ctx_valid(a));
	check_lines(&lines,
	    "[queue:set] B\n[set] B\n[state] +B -A\n[ctx:match] A\n"
	    "[ctx:match] B\n");
	(void)am_add1(m, C, AM_NONE);
	ck_assert_int_eq(am_export(m, &e), 0);
	(void)am_remove1(m, C, AM_NONE);
	am_buf_reset(&lines);
	(void)am_ctx(m, C);
	ck_assert_int_eq(am_import(m, am_buf_val(&e), NULL), 0);
	check_lines(&lines,
	    "[ctx:new] C\n[import] imported 1 times, now at 5 ticks\n"
	    "[import] exported at 4 ticks\n[ctx:match] C\n");
	am_machine_free(m);
	am_buf_reset(&lines);
	m = machine_of(four, "m", AM_LOG_CHANGES, &lines);
	(void)am_ctx(m, A);
	(void)am_add1(m, A, AM_NONE);
	check_lines(&lines, "[state] +A\n");
	am_machine_free(m);
	am_buf_done(&lines);
	am_buf_done(&e);
}
END_TEST

/* ---- breakpoints ---- */

START_TEST(a_breakpoint_matches_just_its_mutation)
{
	struct am_buf lines = AM_BUF_INIT;
	struct am_machine *m = machine_of(four, "m", AM_LOG_CHANGES, &lines);
	const struct am_logger ops = { .size = sizeof(ops),
		.level = AM_LOG_OPS,
		.no_id = true,
		.line = on_line,
		.arg = &lines };

	ck_assert_int_eq(am_breakpoint(m, AM_ADD, RIG_LIST(A, B)), 0);
	ck_assert_int_eq(am_breakpoint(m, AM_REMOVE, RIG_LIST(A)), 0);
	(void)am_add1(m, A, AM_NONE);
	(void)am_add(m, RIG_LIST(B, A), AM_NONE);
	(void)am_set(m, RIG_LIST(A, B), AM_NONE);
	(void)am_can_add(m, RIG_LIST(A, B), AM_NONE);
	check_lines(&lines, "[state] +A\n[state] +B\n");
	(void)am_add(m, RIG_LIST(A, B), AM_NONE);
	(void)am_remove1(m, A, AM_NONE);
	check_lines(&lines,
	    "[breakpoint] Machine.breakpoint\n"
	    "[breakpoint] Machine.breakpoint\n[state] -A\n");
	/* They go with the logger. */
	ck_assert_int_eq(am_set_logger(m, &ops), 0);
	ck_assert_int_eq(am_breakpoint(m, AM_SET, RIG_LIST(A)), -EINVAL);
	ck_assert_int_eq(am_breakpoint(m, AM_ADD, NULL, 0), -EINVAL);
	ck_assert_int_eq(am_breakpoint(m, AM_ADD, RIG_LIST(5)), -EINVAL);
	check_lines(&lines,
	    "[breakpoint] invalid\n[breakpoint] invalid\n"
	    "[breakpoint] invalid\n");
	(void)am_add(m, RIG_LIST(A, B), AM_NONE);
	ck_assert_ptr_null(strstr(buf_text(&lines), "breakpoint"));
	ck_assert_int_eq(am_set_logger(m, NULL), 0);
	ck_assert_int_eq(am_breakpoint(m, AM_ADD, RIG_LIST(A)), -EINVAL);
	am_machine_free(m);
	am_buf_done(&lines);
}
END_TEST

/* ---- handlers at levels 4 and 5 ---- */

static bool
fail_ask(struct am_event *ev)
{
	am_fail(ev, "no");
	return true;
}

static bool
never(struct am_event *ev)
{
	ck_abort_msg("state %u", ev->state);
	return true;
}

START_TEST(handlers_that_are_late_or_not_called_are_told)
{
	static const struct am_handler slow[] = {
		[A] = { .state = rig_take_long }
	};
	static const struct am_handlers h = { .name = "slow",
		.of = slow,
		.len = 1 };
	/* An automatic transition in which one fails asks on. */
	static const struct am_handler
	    bad[] = { [B] = { .enter = fail_ask }, [C] = { .enter = never } };
	static const struct am_handlers g = { .of = bad, .len = 3 };
	static const char autos[] =
	    "{\"name\":\"A\"},{\"name\":\"B\",\"auto\":true},"
	    "{\"name\":\"C\",\"auto\":true}";
	struct am_buf lines = AM_BUF_INIT;
	struct am_machine *m = machine_of(four, "m", AM_LOG_DECISIONS, &lines);

	am_handler_timeout(m, 2);
	ck_assert_int_eq(am_bind(m, &h, NULL), 0);
	(void)am_add1(m, A, AM_NONE);
	ck_assert_ptr_nonnull(strstr(buf_text(&lines),
	    "[handler:0] AState\n[handler:timeout]: AState from slow\n"
	    "[recover] handling panic...\n"));
	am_machine_free(m);
	m = machine_of(autos, "m", AM_LOG_DECISIONS, &lines);
	ck_assert_int_eq(am_bind(m, &g, NULL), 0);
	am_buf_reset(&lines);
	(void)am_add1(m, A, AM_NONE);
	ck_assert_ptr_nonnull(strstr(buf_text(&lines),
	    "[cancel] (B C A) by recover\n[prepend:add] Exception\n"
	    "[postpone] queue running (1 item)\n[handler:invalid] CEnter\n"));
	am_machine_free(m);
	am_buf_done(&lines);
}
END_TEST

static bool
yes(struct am_event *ev)
{
	(void)ev;
	return true;
}

START_TEST(each_name_is_told_at_the_last_level)
{
	static const struct am_handler of[] = { [B] = { .exit = yes } };
	static const struct am_pair_handler pair[] = { { B, C, yes } };
	static const struct am_handlers h = { .name = "h",
		.of = of,
		.len = 2,
		.pair = pair,
		.n_pairs = 1 };
	struct am_buf lines = AM_BUF_INIT;
	struct am_machine *m = machine_of(four, "m", AM_LOG_EVERYTHING, &lines);

	(void)am_add(m, RIG_LIST(A, B), AM_NONE);
	ck_assert_int_eq(am_bind(m, &h, NULL), 0);
	am_buf_reset(&lines);
	(void)am_set(m, RIG_LIST(A, C), AM_NONE);
	check_lines(&lines,
	    "[queue:set] A C\n[set] A C\n[handle:h] BExit\n[handler:0] BExit\n"
	    "[handler:end] BExit from h\n[handle:h] CEnter\n[handle:h] AA\n"
	    "[handle:h] AC\n[handle:h] BA\n[handle:h] BC\n[handler:0] BC\n"
	    "[handler:end] BC from h\n[handle:h] AnyEnter\n[state] +C -B A\n"
	    "[handle:h] BEnd\n[handle:h] CState\n[handle:h] AnyState\n");
	am_machine_free(m);
	am_buf_done(&lines);
}
END_TEST

/* ---- the end ---- */

static void
free_again(struct am_machine *m, void *arg)
{
	(void)arg;
	am_machine_free(m);
}

START_TEST(the_end_is_told)
{
	struct am_buf lines = AM_BUF_INIT;
	struct am_machine *m = machine_of("{\"name\":\"Start\"}", "m",
	    AM_LOG_EVERYTHING, &lines);

	(void)am_add1(m, 0, AM_NONE);
	(void)am_when_disposed(m, free_again, NULL);
	(void)am_when(m, RIG_LIST(0, 1), free_again, NULL);
	am_buf_reset(&lines);
	am_machine_dispose(m);
	check_lines(&lines,
	    "[dispose] graceful shutdown via Start\n[queue:remove] Start\n"
	    "[remove] Start\n[state] -Start\n[dispose] subscriptions\n"
	    "[Dispose] already disposed\n[whenDisposed:match] 1\n"
	    "[Dispose] already disposed\n[end] doDispose\n");
	am_buf_done(&lines);
}
END_TEST

/* ---- steps ---- */

static bool
refuse(struct am_event *ev)
{
	return am_refuse(ev, "no");
}

static void
nothing(struct am_event *ev)
{
	(void)ev;
}

static const char related[] =
    "{\"name\":\"A\",\"add\":[\"B\"],\"require\":[\"D\"]},{\"name\":\"B\"},"
    "{\"name\":\"C\",\"remove\":[\"B\"]},{\"name\":\"D\"}";

START_TEST(a_transition_tells_its_steps)
{
	static const struct am_handler of[] = {
		[A] = { .enter = yes, .self = yes, .state = nothing },
		[B] = { .end = nothing },
		[D] = { .exit = refuse },
	};
	static const struct am_handlers h = { .of = of,
		.len = 4,
		.any_enter = yes };
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = on_end };
	struct am_buf lines = AM_BUF_INIT, text = AM_BUF_INIT;
	struct am_machine *m = machine_of(related, "m", AM_LOG_OPS, &lines);

	ck_assert_int_eq(am_bind(m, &h, NULL), 0);
	ck_assert_int_eq(am_trace(m, &t, &text), 0);
	/* What A adds goes with it when a requirement is missing. */
	(void)am_add1(m, A, AM_NONE);
	check_lines(&text,
	    "tx#1\n[add] A\n- called **A**\n- activate **A**\n"
	    "- **A** add **B**\n- activate **B**\n"
	    "- **A** require **D**\n- deactivate-passive **A**\n"
	    "- cancel **D**\n- cancel **A**\n");
	/* Relations are looked at twice, satisfied ones too. */
	(void)am_add(m, RIG_LIST(A, D), AM_NONE);
	check_lines(&text,
	    "tx#2\n[add] A D\n- called **A**\n- called **D**\n"
	    "- activate **A**\n- activate **D**\n"
	    "- **A** add **B**\n- activate **B**\n- **A** require **D**\n"
	    "- **A** add **B**\n- activate **B**\n- **A** require **D**\n"
	    "- handler **A**Enter\n- handler **Any**Enter\n"
	    "- handler **A**State\n");
	(void)am_add1(m, C, AM_NONE);
	check_lines(&text,
	    "tx#3\n[add] C\n- called **C**\n- activate **C**\n"
	    "- **A** require **D**\n- **C** remove **B**\n"
	    "- deactivate **B**\n- **A** require **D**\n"
	    "- handler **A****A**\n- handler **Any**Enter\n"
	    "- handler **B**End\n");
	/* A handler is a step when it has run, whatever it said. */
	(void)am_set(m, RIG_LIST(C), AM_NONE);
	check_lines(&text,
	    "tx#4\n[set] C\n- called **C**\n- deactivate **D**\n"
	    "- deactivate **A**\n- handler **D**Exit\n");
	/* The simple plan tells the same. */
	(void)am_remove1(m, B, AM_NONE);
	check_lines(&text,
	    "tx#5\n[remove] B\n- called **B**\n- deactivate **B**\n"
	    "- **A** require **D**\n- **A** require **D**\n"
	    "- handler **Any**Enter\n");
	/* Below level 3 none are kept. */
	ck_assert_int_eq(am_set_logger(m,
			     &(struct am_logger){
				 .size = sizeof(struct am_logger),
				 .level = AM_LOG_CHANGES,
				 .line = on_line,
				 .arg = &lines,
			     }),
	    0);
	(void)am_remove1(m, C, AM_NONE);
	check_lines(&text, "tx#6\n[remove] C\n");
	am_machine_free(m);
	am_buf_done(&text);
	am_buf_done(&lines);
}
END_TEST

START_TEST(a_handler_of_two_tables_is_one_step)
{
	static const struct am_handler of[] = { [A] = { .enter = yes,
						    .state = nothing } };
	static const struct am_pair_handler pair[] = { { A, B, yes } };
	static const struct am_handlers h = { .of = of,
		.len = 1,
		.pair = pair,
		.n_pairs = 1,
		.any_state = nothing };
	static const struct am_handlers again = { .of = of, .len = 1 };
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = on_end };
	struct am_buf lines = AM_BUF_INIT, text = AM_BUF_INIT;
	struct am_machine *m = machine_of(four, "m", AM_LOG_OPS, &lines);

	ck_assert_int_eq(am_bind(m, &h, NULL), 0);
	ck_assert_int_eq(am_bind(m, &again, NULL), 0);
	ck_assert_int_eq(am_trace(m, &t, &text), 0);
	(void)am_add1(m, A, AM_NONE);
	(void)am_add1(m, B, AM_NONE);
	check_lines(&text,
	    "tx#1\n[add] A\n- called **A**\n- activate **A**\n"
	    "- handler **A**Enter\n- handler **A**State\n"
	    "- handler **Any**State\n"
	    "tx#2\n[add] B\n- called **B**\n- activate **B**\n"
	    "- handler **A****B**\n- handler **Any**State\n");
	/* Of a check only what it adds, and its handlers. */
	(void)am_remove1(m, A, AM_NONE);
	am_buf_reset(&text);
	(void)am_can_add(m, RIG_LIST(A), AM_NONE);
	check_lines(&text, "tx#4\n[add] A\n- handler **A**Enter\n");
	am_machine_free(m);
	am_buf_done(&text);
	am_buf_done(&lines);
}
END_TEST

START_TEST(sorting_and_automatic_states_are_steps)
{
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = on_end };
	static const char rows[] =
	    "{\"name\":\"A\",\"after\":[\"B\"]},{\"name\":\"B\"},"
	    "{\"name\":\"C\",\"auto\":true,\"require\":[\"B\"]}";
	struct am_buf lines = AM_BUF_INIT, text = AM_BUF_INIT;
	struct am_machine *m = machine_of(rows, "m", AM_LOG_OPS, &lines);

	ck_assert_int_eq(am_trace(m, &t, &text), 0);
	(void)am_add(m, RIG_LIST(A, B), AM_NONE);
	/* An automatic one is resolved again after its handlers. */
	check_lines(&text,
	    "tx#1\n[add] A B\n- called **A**\n- called **B**\n"
	    "- activate **A**\n- activate **B**\n- **B** after **A**\n"
	    "tx#2\n[add] C\n- called **C**\n- activate **C**\n"
	    "- **C** require **B**\n- **C** require **B**\n"
	    "- **B** after **A**\n- activate **C**\n"
	    "- **C** require **B**\n- **C** require **B**\n"
	    "- **B** after **A**\n");
	am_machine_free(m);
	am_buf_done(&text);
	am_buf_done(&lines);
}
END_TEST

/* ---- what lower levels leave out, and the last one adds ---- */

static void
add_twice_and_fail(struct am_event *ev)
{
	(void)am_add1(ev->machine, B, AM_NONE);
	(void)am_add1(ev->machine, B, AM_NONE);
	am_fail(ev, "no");
}

START_TEST(level_2_tells_no_more)
{
	static const struct am_handler of[] = {
		[A] = { .state = add_twice_and_fail },
		[C] = { .enter = refuse },
	};
	static const struct am_handlers h = { .of = of, .len = 3 };
	struct am_buf lines = AM_BUF_INIT;
	struct am_machine *m = machine_of(four, "m", AM_LOG_CHANGES, &lines);

	ck_assert_int_eq(am_bind(m, &h, NULL), 0);
	(void)am_add1(m, A, AM_NONE);
	(void)am_add1(m, C, AM_NONE);
	check_lines(&lines,
	    "[state] +A\n[state] -A\n[state] +Exception\n"
	    "[error:add] A (no)\n[state] +B\n");
	am_machine_free(m);
	m = machine_of(four, "m", AM_LOG_OPS, &lines);
	(void)am_when_args(m, A, AM_NONE, free_again, NULL);
	check_lines(&lines, "[whenArgs:new] A ()\n");
	am_machine_free(m);
	am_buf_done(&lines);
}
END_TEST

START_TEST(automatic_states_that_are_barred_are_told)
{
	struct am_buf lines = AM_BUF_INIT;
	struct am_machine *m = machine_of("{\"name\":\"A\",\"remove\":[\"B\"]},"
					  "{\"name\":\"B\",\"auto\":true}",
	    "m", AM_LOG_EVERYTHING, &lines);

	(void)am_add1(m, A, AM_NONE);
	check_lines(&lines,
	    "[queue:add] A\n[add] A\n[state] +A\n"
	    "[auto:rel:remove] B by A\n");
	am_machine_free(m);
	am_buf_done(&lines);
}
END_TEST

/* ---- AM_DEBUG ---- */

START_TEST(debugging_gives_handlers_more_time)
{
	static const struct am_handler of[] = { [A] = {
						    .state = rig_take_long } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	const struct am_logger l = { .size = sizeof(l), .line = on_line };

	for (int debug = 0; debug < 2; debug++) {
		struct am_buf lines = AM_BUF_INIT;
		struct am_machine *m = machine_of(four, "m", AM_LOG_NOTHING,
		    &lines);

		(void)setenv("AM_DEBUG", debug ? "1" : "0", 1);
		(void)unsetenv("AM_LOG");
		/* 30 ms of 20, or of 200 */
		am_handler_timeout(m, 20);
		ck_assert_int_eq(am_bind(m, &h, NULL), 0);
		ck_assert_int_eq(am_set_logger_env(m, &l), 0);
		ck_assert_uint_eq(am_add1(m, A, AM_NONE),
		    debug ? AM_EXECUTED : AM_CANCELED);
		am_machine_free(m);
		am_buf_done(&lines);
	}
}
END_TEST

static void
log_in_drain(struct am_event *ev)
{
	const struct am_logger l = { .size = sizeof(l), .line = on_line };

	ck_assert_int_eq(am_set_logger_env(ev->machine, &l), -EBUSY);
}

/* Ten times, and no more however often it is asked for. */
START_TEST(debugging_gives_time_once)
{
	static const struct am_handler of[] = { [A] = { .state = log_in_drain },
		[B] = { .state = rig_take_long } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	const struct am_logger l = { .size = sizeof(l), .line = on_line };
	struct am_buf lines = AM_BUF_INIT;
	struct am_machine *m = machine_of(four, "m", AM_LOG_NOTHING, &lines);

	(void)setenv("AM_DEBUG", "1", 1);
	(void)unsetenv("AM_LOG");
	/* 30 ms of 10, never of 100 */
	am_handler_timeout(m, 1);
	ck_assert_int_eq(am_bind(m, &h, NULL), 0);
	(void)am_add1(m, A, AM_NONE);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(am_set_logger_env(m, &l), 0);
	ck_assert_uint_eq(am_add1(m, B, AM_NONE), AM_CANCELED);
	am_machine_free(m);
	am_buf_done(&lines);
}
END_TEST

UNIT_MAIN("machine_steps", a_mutation_tells_where_it_was_made,
    a_context_is_told_while_it_holds, a_breakpoint_matches_just_its_mutation,
    handlers_that_are_late_or_not_called_are_told,
    each_name_is_told_at_the_last_level, the_end_is_told,
    a_transition_tells_its_steps, a_handler_of_two_tables_is_one_step,
    sorting_and_automatic_states_are_steps, level_2_tells_no_more,
    automatic_states_that_are_barred_are_told,
    debugging_gives_handlers_more_time, debugging_gives_time_once)
