/* The examples that the reference's manual documents, written anew: what they
 * do, and the strings they print. */
#include <errno.h>

#include "lib/amnode_log.h"
#include "lib/amnode_wait.h"
#include "lib/base/clock.h"
#include "tests/unit/rig.h"

enum { Foo, Bar, Baz };

static const char three[] =
    "{\"name\":\"Foo\"},{\"name\":\"Bar\"},{\"name\":\"Baz\"}";

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	(void)m;
	(void)level;
	/* The manual is older than these lines. */
	if (strncmp(line, "[queue:", 7) != 0 &&
	    strncmp(line, "[handlers]", 10) != 0 &&
	    strncmp(line, "[rel:remove]", 12) != 0 &&
	    strncmp(line, "[prepend:", 9) != 0)
		rig_say(arg, "%s", line);
}

static void
log_to(struct rig *r, enum am_log_level level)
{
	const struct am_logger l = { .size = sizeof(l),
		.level = level,
		.no_id = true,
		.line = on_line,
		.arg = r };

	ck_assert_int_eq(am_set_logger(r->m, &l), 0);
}

/* A machine whose log is that of the reference, not the rig's own. */
static struct rig *
logged(const char *states, enum am_log_level level)
{
	struct rig *r = rig_json(states);
	struct am_machine *m = am_machine_new(r->s, "manual");

	am_machine_free(r->m);
	r->m = m;
	log_to(r, level);
	return r;
}

static void
check_all(struct rig *r, const char *want)
{
	am_buf_reset(&r->text);
	am_string_all(r->m, &r->text);
	ck_assert_str_eq(buf_text(&r->text), want);
}

/* ---- clocks, active states ---- */

START_TEST(clocks)
{
	struct rig *r = rig_json(three);
	struct am_ctx ctx;

	check_all(r, "() [Foo:0 Bar:0 Baz:0 Exception:0]");
	ck_assert_uint_eq(am_tick(r->m, Foo), 0);
	(void)am_add1(r->m, Foo, AM_NONE);
	(void)am_add1(r->m, Foo, AM_NONE);
	check_all(r, "(Foo:1) [Bar:0 Baz:0 Exception:0]");
	ck_assert_uint_eq(am_tick(r->m, Foo), 1);
	ctx = am_ctx(r->m, Foo);
	(void)am_remove1(r->m, Foo, AM_NONE);
	ck_assert(!am_ctx_valid(ctx));
	(void)am_add1(r->m, Foo, AM_NONE);
	check_all(r, "(Foo:3) [Bar:0 Baz:0 Exception:0]");
	ck_assert_uint_eq(am_tick(r->m, Foo), 3);
	rig_free(r);
}
END_TEST

START_TEST(active_states)
{
	static const am_id bar = Bar;
	struct rig *r = rig_json(three);
	struct am_buf b = AM_BUF_INIT;

	(void)am_add1(r->m, Foo, AM_NONE);
	ck_assert(am_is1(r->m, Foo));
	ck_assert(!am_is(r->m, RIG_LIST(Foo, Bar)));
	/* is(Foo, Bar) or is(Bar); is(Foo) or is(Bar) */
	ck_assert(!(am_is(r->m, RIG_LIST(Foo, Bar)) || am_is1(r->m, Bar)));
	ck_assert(am_any(r->m, RIG_LIST(Foo, Bar)));
	ck_assert(am_not(r->m, &bar, 1));
	am_string(r->m, &b);
	ck_assert_str_eq(buf_text(&b), "(Foo:1)");
	am_buf_done(&b);
	rig_free(r);
	r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"C\"},"
		     "{\"name\":\"D\"}");
	(void)am_add(r->m, RIG_LIST(0, 1), AM_NONE);
	check_all(r, "(A:1 B:1) [C:0 D:0 Exception:0]");
	ck_assert(!am_not(r->m, RIG_LIST(0, 2)));
	ck_assert(am_not(r->m, RIG_LIST(2, 3)));
	rig_free(r);
}
END_TEST

START_TEST(inspecting)
{
	struct rig *r = rig_json(
	    "{\"name\":\"Exception\",\"multi\":true},"
	    "{\"name\":\"DownloadingFile\",\"remove\":[\"FileDownloaded\"]},"
	    "{\"name\":\"FileDownloaded\",\"remove\":[\"DownloadingFile\"]},"
	    "{\"name\":\"ProcessingFile\",\"auto\":true,\"require\":["
	    "\"FileDownloaded\"],\"remove\":[\"FileProcessed\"]},"
	    "{\"name\":\"FileProcessed\",\"remove\":[\"ProcessingFile\"]}");

	(void)am_add1(r->m, 1, AM_NONE);
	(void)am_add1(r->m, 2, AM_NONE);
	(void)am_add1(r->m, 4, AM_NONE);
	(void)rig_log(r);
	am_inspect(r->m, &r->log);
	ck_assert_str_eq(rig_log(r),
	    "0 Exception\n    |Tick     0\n    |Multi    true\n"
	    "0 DownloadingFile\n    |Tick     2\n"
	    "    |Remove   FileDownloaded\n"
	    "1 FileDownloaded\n    |Tick     1\n"
	    "    |Remove   DownloadingFile\n"
	    "0 ProcessingFile\n    |Tick     2\n    |Auto     true\n"
	    "    |Require  FileDownloaded\n    |Remove   FileProcessed\n"
	    "1 FileProcessed\n    |Tick     1\n"
	    "    |Remove   ProcessingFile\n");
	rig_free(r);
}
END_TEST

/* ---- mutations ---- */

START_TEST(mutations)
{
	struct rig *r = rig_json(three);

	(void)am_add1(r->m, Foo, AM_NONE);
	check_all(r, "(Foo:1) [Bar:0 Baz:0 Exception:0]");
	(void)am_add1(r->m, Bar, AM_NONE);
	(void)am_add1(r->m, Bar, AM_NONE);
	check_all(r, "(Foo:1 Bar:1) [Baz:0 Exception:0]");
	(void)am_remove1(r->m, Foo, AM_NONE);
	check_all(r, "(Bar:1) [Foo:2 Baz:0 Exception:0]");
	(void)am_remove1(r->m, Bar, AM_NONE);
	check_all(r, "() [Foo:2 Bar:2 Baz:0 Exception:0]");
	rig_free(r);
	r = rig_json(three);
	(void)am_add1(r->m, Foo, AM_NONE);
	(void)am_set(r->m, RIG_LIST(Bar), AM_NONE);
	check_all(r, "(Bar:1) [Foo:2 Baz:0 Exception:0]");
	rig_free(r);
}
END_TEST

static bool
yes(struct am_event *ev)
{
	(void)ev;
	return true;
}

static bool
no(struct am_event *ev)
{
	(void)ev;
	return false;
}

static void
nothing(struct am_event *ev)
{
	(void)ev;
}

START_TEST(defining_handlers)
{
	static const struct am_handler of[] = { [Foo] = { .enter = yes,
						    .state = nothing } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = logged(three, AM_LOG_OPS);

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	(void)am_add1(r->m, Foo, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "[add] Foo, [handler:0] FooEnter, [state] +Foo, "
	    "[handler:0] FooState");
	rig_free(r);
}
END_TEST

/* From Foo to Bar; and a self handler, from Foo to Foo Bar. */
START_TEST(the_order_of_handlers)
{
	static const struct am_handler of[] = {
		[Foo] = { .exit = yes, .end = nothing, .self = yes },
		[Bar] = { .enter = yes, .state = nothing },
	};
	static const struct am_pair_handler pair[] = { { Foo, Bar, yes } };
	static const struct am_handlers h = { .of = of,
		.len = 2,
		.pair = pair,
		.n_pairs = 1 };
	struct rig *r = logged(three, AM_LOG_OPS);

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	(void)am_add1(r->m, Foo, AM_NONE);
	(void)rig_log(r);
	(void)am_set(r->m, RIG_LIST(Bar), AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "[set] Bar, [handler:0] FooExit, [handler:0] BarEnter, "
	    "[handler:0] FooBar, [state] +Bar -Foo, [handler:0] FooEnd, "
	    "[handler:0] BarState");
	(void)am_set(r->m, RIG_LIST(Foo), AM_NONE);
	(void)rig_log(r);
	(void)am_add1(r->m, Bar, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "[add] Bar, [handler:0] BarEnter, [handler:0] FooFoo, "
	    "[handler:0] FooBar, [state] +Bar, [handler:0] BarState");
	rig_free(r);
}
END_TEST

START_TEST(rejected_negotiation)
{
	static const struct am_handler of[] = { [Foo] = { .enter = no } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = logged("{\"name\":\"Foo\",\"add\":[\"Bar\"]},"
			       "{\"name\":\"Bar\"}",
	    AM_LOG_OPS);

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	ck_assert_uint_eq(am_add1(r->m, Foo, AM_NONE), AM_CANCELED);
	ck_assert_str_eq(rig_log(r),
	    "[add] Foo, [implied] Bar, [handler:0] FooEnter, "
	    "[cancel] (Foo Bar) by FooEnter");
	check_all(r, "() [Foo:0 Bar:0 Exception:0]");
	rig_free(r);
}
END_TEST

static bool
see_target(struct am_event *ev)
{
	ck_assert(!am_is(ev->machine, RIG_LIST(Foo, Bar)));
	ck_assert(ev->n_called == 1 && ev->called[0] == Foo);
	return true;
}

static void
see_active(struct am_event *ev)
{
	ck_assert(am_is(ev->machine, RIG_LIST(Foo, Bar)));
}

START_TEST(target_states)
{
	static const struct am_handler of[] = { [Foo] = { .enter = see_target,
						    .state = see_active } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = logged("{\"name\":\"Foo\",\"add\":[\"Bar\"]},"
			       "{\"name\":\"Bar\"}",
	    AM_LOG_OPS);

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	(void)am_add1(r->m, Foo, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "[add] Foo, [implied] Bar, [handler:0] FooEnter, "
	    "[state] +Foo +Bar, [handler:0] FooState");
	check_all(r, "(Foo:1 Bar:1) [Exception:0]");
	rig_free(r);
}
END_TEST

/* ---- relations ---- */

static const struct {
	const char *states;
	const char *adds; /* ids, one add each; a blank: one add of all */
	am_result last;
	const char *log;
	const char *all;
} relations[] = {
	{ "{\"name\":\"Foo\",\"add\":[\"Bar\"]},{\"name\":\"Bar\"}", "0",
	    AM_EXECUTED, "[add] Foo, [implied] Bar, [state] +Foo +Bar",
	    "(Foo:1 Bar:1) [Exception:0]" },
	{ "{\"name\":\"Foo\",\"remove\":[\"Bar\"]},{\"name\":\"Bar\"}", "01",
	    AM_CANCELED,
	    "[add] Foo, [state] +Foo, [add] Bar, [cancel:reject] Bar",
	    "(Foo:1) [Bar:0 Exception:0]" },
	{ "{\"name\":\"Foo\"},{\"name\":\"Bar\",\"remove\":[\"Foo\"]}", " 01",
	    AM_CANCELED, "[add] Foo Bar, [cancel:reject] Foo",
	    "() [Foo:0 Bar:0 Exception:0]" },
	{ "{\"name\":\"Foo\"},{\"name\":\"Bar\",\"remove\":[\"Foo\"]}", "10",
	    AM_CANCELED,
	    "[add] Bar, [state] +Bar, [add] Foo, [cancel:reject] Foo",
	    "(Bar:1) [Foo:0 Exception:0]" },
	{ "{\"name\":\"Foo\"},{\"name\":\"Bar\",\"require\":[\"Foo\"]}", "01",
	    AM_EXECUTED, "[add] Foo, [state] +Foo, [add] Bar, [state] +Bar",
	    "(Foo:1 Bar:1) [Exception:0]" },
	{ "{\"name\":\"Foo\"},{\"name\":\"Bar\",\"require\":[\"Foo\"]}", "1",
	    AM_CANCELED, "[add] Bar, [reject] Bar(-Foo), [cancel:reject] Bar",
	    "() [Foo:0 Bar:0 Exception:0]" },
};

static am_result
add_digits(struct am_machine *m, const char *adds)
{
	bool together = adds[0] == ' ';
	am_result r = AM_EXECUTED;
	am_id ids[4];
	size_t n = 0;

	for (adds += together; *adds != '\0'; adds++) {
		ids[n++] = (am_id)(*adds - '0');
		if (!together)
			r = am_add1(m, ids[n - 1], AM_NONE);
	}
	return together ? am_add(m, ids, n, AM_NONE) : r;
}

START_TEST(relations_add_remove_require)
{
	for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
		struct rig *r = logged(relations[i].states, AM_LOG_OPS);

		ck_assert_uint_eq(add_digits(r->m, relations[i].adds),
		    relations[i].last);
		ck_assert_str_eq(rig_log(r), relations[i].log);
		check_all(r, relations[i].all);
		rig_free(r);
	}
}
END_TEST

START_TEST(relations_after)
{
	static const struct am_handler of
	    [] = { [Foo] = { .state = nothing }, [Bar] = { .state = nothing } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = logged("{\"name\":\"Foo\",\"after\":[\"Bar\"]},"
			       "{\"name\":\"Bar\",\"require\":[\"Foo\"]}",
	    AM_LOG_OPS);

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	(void)am_add(r->m, RIG_LIST(Foo, Bar), AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "[add] Foo Bar, [state] +Bar +Foo, [handler:0] BarState, "
	    "[handler:0] FooState");
	rig_free(r);
}
END_TEST

/* ---- auto, multi ---- */

START_TEST(auto_states)
{
	struct rig *r = logged(
	    "{\"name\":\"ProcessingFile\"},"
	    "{\"name\":\"FileProcessed\",\"remove\":[\"ProcessingFile\"]},"
	    "{\"name\":\"UploadingFile\",\"auto\":true,\"require\":["
	    "\"FileProcessed\"]}",
	    AM_LOG_CHANGES);

	(void)am_add1(r->m, 0, AM_NONE);
	(void)am_add1(r->m, 1, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "[state] +ProcessingFile, [state] +FileProcessed -ProcessingFile, "
	    "[auto_] +UploadingFile");
	rig_free(r);
}
END_TEST

START_TEST(auto_states_and_log_levels)
{
	static const struct am_handler
	    of[] = { [Foo] = { .state = nothing }, [Bar] = { .enter = no } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	static const char *const want[] = {
		[AM_LOG_CHANGES] = "[state] +Foo",
		[AM_LOG_OPS] =
		    "[add] Foo, [state] +Foo, [handler:0] FooState, [auto] Bar,"
		    " [postpone] queue running (1 item), [handler:0] BarEnter, "
		    "[cancel] (Bar Foo) by BarEnter",
		[AM_LOG_DECISIONS] =
		    "[add] Foo, [state] +Foo, [handler:0] FooState, [auto] Bar,"
		    " [postpone] queue running (1 item), [add:auto] Bar, "
		    "[handler:0] BarEnter, [cancel] (Bar Foo) by BarEnter",
	};

	for (int i = AM_LOG_CHANGES; i <= AM_LOG_DECISIONS; i++) {
		struct rig *r = logged("{\"name\":\"Foo\"},{\"name\":\"Bar\","
				       "\"auto\":true}",
		    (enum am_log_level)i);

		ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
		ck_assert_uint_eq(am_add1(r->m, Foo, AM_NONE), AM_EXECUTED);
		ck_assert_str_eq(rig_log(r), want[i]);
		rig_free(r);
	}
}
END_TEST

START_TEST(multi_states)
{
	struct rig *r = rig_json("{\"name\":\"Click\",\"multi\":true}");

	(void)am_add1(r->m, 0, AM_NONE);
	(void)am_add1(r->m, 0, AM_NONE);
	(void)am_add1(r->m, 0, AM_NONE);
	check_all(r, "(Click:5) [Exception:0]");
	rig_free(r);
}
END_TEST

static void
remove_itself(struct am_event *ev)
{
	(void)am_remove1(ev->machine, ev->state, AM_NONE);
}

START_TEST(self_removal)
{
	static const struct am_handler of[] = { { .state = remove_itself } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json("{\"name\":\"Click\"}");

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	(void)am_add1(r->m, 0, AM_NONE);
	check_all(r, "() [Click:2 Exception:0]");
	rig_free(r);
}
END_TEST

/* ---- the queue ---- */

static void
add_bar(struct am_event *ev)
{
	ck_assert_uint_ge(am_add1(ev->machine, Bar, AM_NONE), AM_QUEUED);
	ck_assert(!am_is1(ev->machine, Bar));
}

START_TEST(queue)
{
	static const struct am_handler of[] = { [Foo] = { .state = add_bar } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = logged("{\"name\":\"Foo\"},{\"name\":\"Bar\"}",
	    AM_LOG_OPS);

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	ck_assert_uint_eq(am_add1(r->m, Foo, AM_NONE), AM_EXECUTED);
	ck_assert_str_eq(rig_log(r),
	    "[add] Foo, [state] +Foo, [handler:0] FooState, "
	    "[postpone] queue running (1 item), [add] Bar, [state] +Bar");
	rig_free(r);
}
END_TEST

/* ---- failures ---- */

static void
fail_state(struct am_event *ev)
{
	am_fail(ev, "BState panic");
}

START_TEST(partial_final_failure)
{
	static const struct am_handler of[] = { [1] = { .state = fail_state } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"},"
				 "{\"name\":\"C\"},{\"name\":\"D\"}");

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	ck_assert_uint_eq(am_add(r->m, RIG_LIST(0, 1, 2), AM_NONE),
	    AM_CANCELED);
	check_all(r, "(A:1 Exception:1) [B:2 C:2 D:0]");
	ck_assert_str_eq(am_last_error(r->m), "BState panic");
	rig_free(r);
}
END_TEST

static bool
fail_enter(struct am_event *ev)
{
	am_fail(ev, "no");
	return true;
}

START_TEST(negotiation_failure)
{
	static const struct am_handler of[] = { [1] = { .enter = fail_enter } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json("{\"name\":\"A\"},{\"name\":\"B\"}");

	(void)am_add1(r->m, 0, AM_NONE);
	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	ck_assert_uint_eq(am_add1(r->m, 1, AM_NONE), AM_CANCELED);
	check_all(r, "(A:1 Exception:1) [B:0]");
	rig_free(r);
}
END_TEST

/* ---- waiting ---- */

static void
say(struct am_machine *m, void *arg)
{
	(void)m;
	rig_say(arg, "Foo Bar");
}

START_TEST(waiting)
{
	struct rig *r = logged("{\"name\":\"Foo\",\"add\":[\"Bar\"]},"
			       "{\"name\":\"Bar\"}",
	    AM_LOG_OPS);
	static const uint64_t times[] = { 6, 10 };
	struct rig *t;

	(void)am_when(r->m, RIG_LIST(Foo, Bar), say, r);
	(void)am_add1(r->m, Foo, AM_NONE);
	(void)am_add1(r->m, Bar, AM_NONE);
	ck_assert_str_eq(rig_log(r),
	    "[when:new] Foo Bar, [add] Foo, [implied] Bar, "
	    "[state] +Foo +Bar, [when:match] Foo Bar, Foo Bar, [add] Bar");
	check_all(r, "(Foo:1 Bar:1) [Exception:0]");
	rig_free(r);
	t = rig_json("{\"name\":\"Foo\"},{\"name\":\"Bar\",\"multi\":true}");
	(void)am_when_time(t->m, RIG_IDS(Foo, Bar), times, 2, say, t);
	for (int i = 0; i < 6; i++)
		(void)am_toggle(t->m, RIG_LIST(Foo), AM_NONE);
	for (int i = 0; i < 5; i++)
		(void)am_add1(t->m, Bar, AM_NONE);
	(void)rig_log(t);
	(void)am_add1(t->m, Bar, AM_NONE);
	ck_assert_str_eq(rig_log(t), "+Bar, Foo Bar");
	rig_free(t);
}
END_TEST

static void
on_wait(void *arg, int result)
{
	struct rig *r = arg;

	rig_say(r, "%s",
	    result == -ETIMEDOUT ? "timeout"
		: result == 0    ? "error or the end"
				 : "state Bar active");
}

/* Whichever comes first: an error, Bar, or ten seconds. */
START_TEST(a_timeout_flow)
{
	struct rig *r = rig_json("{\"name\":\"Foo\"},{\"name\":\"Bar\"}");
	struct am_loop *l = am_loop_new();
	const struct am_cond cond[] = {
		{ .machine = r->m, .kind = AM_COND_ERROR },
		{ .machine = r->m,
		    .kind = AM_COND_ACTIVE,
		    .states = RIG_IDS(Bar),
		    .n_states = 1 },
	};

	ck_assert_uint_ne(am_wait_start(l, AM_WAIT_ANY, cond, 2, 10000, on_wait,
			      r),
	    0);
	(void)am_add1(r->m, Foo, AM_NONE);
	(void)am_add1(r->m, 2, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+Foo, +Exception, error or the end");
	check_all(r, "(Foo:1 Exception:1) [Bar:0]");
	am_loop_free(l);
	rig_free(r);
}
END_TEST

UNIT_MAIN("manual", clocks, active_states, inspecting, mutations,
    defining_handlers, the_order_of_handlers, rejected_negotiation,
    target_states, relations_add_remove_require, relations_after, auto_states,
    auto_states_and_log_levels, multi_states, self_removal, queue,
    partial_final_failure, negotiation_failure, waiting, a_timeout_flow)
