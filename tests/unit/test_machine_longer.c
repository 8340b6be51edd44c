/* Machines that take a longer schema. */
#include <errno.h>

#include "tests/unit/rig.h"

enum { A, B, C };

static const char three[] =
    "{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"Exception\"}";

static void
say(struct am_machine *m, void *arg)
{
	(void)m;
	rig_say(arg, "fired");
}

static void
say_end(struct am_machine *m, void *arg)
{
	ck_assert_uint_eq(am_tick(m, 70), 1);
	rig_say(arg, "end");
}

static void
say_state(struct am_event *ev)
{
	rig_say(ev->arg, "BState");
}

static void
set_in_handler(struct am_event *ev)
{
	struct rig *r = ev->arg;

	ck_assert_int_eq(am_set_schema(r->m, r->s), -EBUSY);
}

START_TEST(a_machine_takes_a_longer_schema)
{
	static const struct am_handler of[] = {
		[A] = { .state = set_in_handler },
		[B] = { .state = say_state }
	};
	static const struct am_handlers h = { .of = of, .len = 2 };
	struct rig *r = rig_json("{\"name\":\"A\",\"multi\":true},"
				 "{\"name\":\"B\"},{\"name\":\"C\"},"
				 "{\"name\":\"Exception\"}");
	struct am_schema *same, *longer;
	struct am_buf b = AM_BUF_INIT;

	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_uint_ne(am_when(r->m, RIG_LIST(B, C), say, r), 0);
	ck_assert_uint_ne(am_when_disposed(r->m, say_end, r), 0);
	(void)am_add(r->m, RIG_LIST(C, A), AM_NONE);
	same = rig_schema("{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"X\"},"
			  "{\"name\":\"Exception\"},{\"name\":\"Y\"}");
	ck_assert_int_eq(am_set_schema(r->m, r->s), -EINVAL);
	ck_assert_int_eq(am_set_schema(r->m, same), -EINVAL);
	for (int i = 4; i <= 70; i++)
		buf_printf(&b, "%s{\"name\":\"N%d\",\"require\":[\"C\"]}",
		    i > 4 ? "," : "", i);
	{
		struct am_schema *more, *have = r->s;

		buf_puts(&b, ",{\"name\":\"C\"}");
		more = rig_schema(buf_text(&b));
		longer = am_schema_merge(have, more, NULL);
		am_schema_unref(more);
	}
	ck_assert_int_eq(am_set_schema(r->m, longer), 0);
	am_schema_unref(r->s);
	r->s = longer;
	(void)rig_log(r);
	ck_assert_uint_eq(am_add1(r->m, 70, AM_NONE), AM_EXECUTED);
	ck_assert_str_eq(rig_log(r), "+N70");
	(void)am_add1(r->m, B, AM_NONE);
	ck_assert_str_eq(rig_log(r), "BState, +B, fired");
	am_string(r->m, &r->log);
	ck_assert_str_eq(rig_log(r), "(A:1 B:1 C:1 N70:1)");
	r->m = am_machine_free(r->m);
	ck_assert_str_eq(rig_log(r), "end");
	am_schema_unref(same);
	am_buf_done(&b);
	rig_free(r);
}
END_TEST

/* Nothing is bound, nobody has subscribed; then all is, by two tables. */
START_TEST(bare_and_busy_machines_take_a_longer_schema)
{
	static const struct am_handler of[] = { [B] = { .state = say_state } };
	static const struct am_handlers h = { .of = of, .len = 2 };
	static const struct am_handlers g = { .of = of, .len = 2 };
	struct rig *r = rig_json(three);
	struct am_schema *longer[2] = {
		rig_schema("{\"name\":\"A\"},{\"name\":\"B\"},"
			   "{\"name\":\"Exception\"},{\"name\":\"X\"}"),
		rig_schema("{\"name\":\"A\"},{\"name\":\"B\"},"
			   "{\"name\":\"Exception\"},{\"name\":\"X\"},"
			   "{\"name\":\"Y\",\"add\":[\"B\"]}"),
	};

	ck_assert_int_eq(am_set_schema(r->m, longer[0]), 0);
	ck_assert_int_eq(am_bind(r->m, &h, r), 0);
	ck_assert_int_eq(am_bind(r->m, &g, r), 0);
	ck_assert_int_eq(am_set_schema(r->m, longer[1]), 0);
	am_schema_unref(r->s);
	r->s = longer[1];
	(void)am_add1(r->m, 4, AM_NONE);
	ck_assert_str_eq(rig_log(r), "BState, BState, +Y");
	am_schema_unref(longer[0]);
	rig_free(r);
}
END_TEST

static void hear_once(struct am_machine *m, void *arg);
static void hear_and_free(struct am_machine *m, void *arg);

static const struct am_tracer once = { .size = sizeof(once),
	.schema_changed = hear_once };
static const struct am_tracer freeing = { .size = sizeof(freeing),
	.schema_changed = hear_and_free };

static void
hear_once(struct am_machine *m, void *arg)
{
	rig_say(arg, "once");
	am_untrace(m, &once, arg);
}

static void
hear_and_free(struct am_machine *m, void *arg)
{
	struct rig *r = arg;

	rig_say(r, "freed");
	r->m = am_machine_free(m);
}

START_TEST(who_hears_of_a_longer_schema_leaves_and_frees)
{
	struct rig *r = rig_json(three);
	struct am_schema *longer = rig_schema(
	    "{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"Exception\"},"
	    "{\"name\":\"X\"}");

	ck_assert_int_eq(am_trace(r->m, &once, r), 0);
	ck_assert_int_eq(am_trace(r->m, &freeing, r), 0);
	ck_assert_int_eq(am_trace(r->m, &once, r), 0);
	ck_assert_int_eq(am_set_schema(r->m, longer), 0);
	ck_assert_ptr_null(r->m);
	ck_assert_str_eq(rig_log(r), "once, freed");
	am_schema_unref(longer);
	rig_free(r);
}
END_TEST

/* What an import fires runs outside of a drain. */
static void
set_when_fired(struct am_machine *m, void *arg)
{
	ck_assert_int_eq(am_set_schema(m, arg), 0);
}

START_TEST(those_that_are_due_stay_so_in_a_longer_schema)
{
	struct rig *from = rig_json(three), *to = rig_json(three);
	struct am_schema *longer = rig_schema(
	    "{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"Exception\"},"
	    "{\"name\":\"X\"}");
	struct am_buf b = AM_BUF_INIT;
	am_sub due;

	(void)am_add1(from->m, A, AM_NONE);
	ck_assert_int_eq(am_export(from->m, &b), 0);
	(void)am_when(to->m, RIG_LIST(A), set_when_fired, longer);
	(void)am_when(to->m, RIG_LIST(A), say, to);
	due = am_when(to->m, RIG_LIST(A), say, to);
	ck_assert_int_eq(am_import(to->m, am_buf_val(&b), NULL), 0);
	ck_assert_str_eq(rig_log(to), "fired, fired");
	am_sub_cancel(to->m, due);
	am_schema_unref(longer);
	am_buf_done(&b);
	rig_free(from);
	rig_free(to);
}
END_TEST

UNIT_MAIN("machine_longer", a_machine_takes_a_longer_schema,
    bare_and_busy_machines_take_a_longer_schema,
    who_hears_of_a_longer_schema_leaves_and_frees,
    those_that_are_due_stay_so_in_a_longer_schema)
