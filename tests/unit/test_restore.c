/* Schemas that are merged, compared and written; machines that take over the
 * clocks of another run. */
#include <errno.h>

#include "proto/supervisor.h"
#include "proto/worker.h"
#include "tests/unit/rig.h"

enum { A, B, C, D };

/* ---- JSON ---- */

static void
check_round_trip(struct am_schema *s)
{
	struct am_buf a = AM_BUF_INIT, b = AM_BUF_INIT;
	struct am_error err = { "" };
	struct am_schema *t;

	am_schema_to_json(s, &a);
	t = am_schema_from_json(a.data, a.len, NULL, &err);
	ck_assert_msg(t != NULL, "%s", err.text);
	ck_assert(am_schema_hash(s) == am_schema_hash(t));
	ck_assert_uint_eq(am_schema_len(s), am_schema_len(t));
	am_schema_to_json(t, &b);
	ck_assert_str_eq(buf_text(&a), buf_text(&b));
	am_buf_done(&a);
	am_buf_done(&b);
	am_schema_unref(t);
	am_schema_unref(s);
}

START_TEST(a_schema_survives_as_json)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_schema *s = rig_schema(
	    "{\"name\":\"A\",\"doc\":\"say \\\"hi\\\"\",\"auto\":true,"
	    "\"require\":[\"B\"],\"add\":[\"C\",\"B\"]},{\"name\":\"B\","
	    "\"multi\":true,\"remove\":[\"C\"],\"after\":[\"A\"]},"
	    "{\"name\":\"C\"}");

	am_schema_to_json(s, &b);
	ck_assert_str_eq(buf_text(&b),
	    "{\"states\":[{\"name\":\"A\",\"doc\":\"say \\\"hi\\\"\",\"auto\":"
	    "true,\"require\":[\"B\"],\"add\":[\"C\",\"B\"]},{\"name\":\"B\","
	    "\"multi\":true,\"remove\":[\"C\"],\"after\":[\"A\"]},{\"name\":"
	    "\"C\"},{\"name\":\"Exception\",\"doc\":\"level: an error state is "
	    "active\",\"multi\":true}]}");
	am_buf_done(&b);
	check_round_trip(s);
	check_round_trip(am_schema_new(&am_supervisor_states, NULL));
	check_round_trip(am_schema_new(&am_worker_states, NULL));
}
END_TEST

/* ---- groups ---- */

static const char grouped[] = "{\"states\":[{\"name\":\"A\"},{\"name\":\"B\"},"
			      "{\"name\":\"C\"}],\"groups\":{\"Pool\":[\"C\","
			      "\"A\"],\"None\":[],\"Err\":[\"Exception\"]}}";

static void
check_group(const struct am_schema *s, const char *name, const char *want)
{
	const struct am_list *g = am_schema_group(s, name);
	char have[128] = "";

	ck_assert_ptr_nonnull(g);
	for (size_t i = 0; i < g->len; i++)
		(void)sprintf(have + strlen(have), "%s%s", i > 0 ? " " : "",
		    am_schema_name(s, g->id[i]));
	ck_assert_str_eq(have, want);
}

START_TEST(groups_have_names)
{
	struct am_schema *s = am_schema_from_json(grouped, strlen(grouped),
	    NULL, NULL);
	struct am_machine *m = am_machine_new(s, "groups");
	const struct am_group *all;
	struct am_buf b = AM_BUF_INIT;
	size_t n;

	check_group(s, "Pool", "C A");
	check_group(s, "None", "");
	check_group(s, "Err", "Exception");
	ck_assert_ptr_null(am_schema_group(s, "pool"));
	all = am_schema_groups(s, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(all[1].name, "None");
	ck_assert_int_eq(am_switch(m, am_schema_group(s, "Pool"), 1), -ENOENT);
	(void)am_add1(m, 0, AM_NONE);
	ck_assert_int_eq(am_switch(m, am_schema_group(s, "Pool"), 1), 0);
	(void)am_add1(m, 2, AM_NONE);
	ck_assert_int_eq(am_switch(m, am_schema_group(s, "Pool"), 1), 2);
	am_machine_free(m);
	am_schema_to_json(s, &b);
	ck_assert_ptr_nonnull(strstr(buf_text(&b),
	    "],\"groups\":{\"Pool\":[\"C\",\"A\"],\"None\":[],\"Err\":["
	    "\"Exception\"]}}"));
	am_buf_done(&b);
	check_round_trip(s);
}
END_TEST

START_TEST(groups_are_merged_by_name)
{
	static const char more_json[] =
	    "{\"states\":[{\"name\":\"D\"},{\"name\":\"A\"}],\"groups\":"
	    "{\"New\":[\"D\",\"A\"],\"Pool\":[\"D\"]}}";
	struct am_schema *base = am_schema_from_json(grouped, strlen(grouped),
	    NULL, NULL);
	struct am_schema *more = am_schema_from_json(more_json,
	    strlen(more_json), NULL, NULL);
	struct am_schema *s = am_schema_merge(base, more, NULL);
	size_t n;

	check_group(s, "Pool", "D");
	check_group(s, "New", "D A");
	check_group(s, "Err", "Exception");
	ck_assert_str_eq(am_schema_groups(s, &n)[0].name, "Pool");
	ck_assert_uint_eq(n, 4);
	am_schema_unref(base);
	am_schema_unref(more);
	check_round_trip(s);
}
END_TEST

static const struct {
	const char *groups, *message;
} bad_groups[] = {
	{ "[]", "\"groups\" must be an object of arrays of state names" },
	{ "{\"G\":1}", "group \"G\": must be an array of state names" },
	{ "{\"G\":[1]}", "group \"G\": must be an array of state names" },
	{ "{\"G\":[\"X\"]}", "group \"G\": no such state: \"X\"" },
	{ "{\"G\":[\"A\",\"A\"]}", "group \"G\": \"A\" twice" },
	{ "{\"G\":[],\"G\":[]}",
	    "key \"G\" at byte 42 is there twice: one would be lost" },
	{ "{\"a b\":[]}",
	    "group 0: \"a b\" is not a name: letters, digits and _, a letter "
	    "first, at most 128" },
};

START_TEST(a_bad_group_is_refused_by_name)
{
	static const am_id far[] = { 9 };
	static const struct am_state row = { .name = "A" };
	static const struct am_group one[2] = { { "G", { far, 1 } },
		{ NULL, { NULL, 0 } } };
	struct am_states t = { .row = &row, .len = 1, .group = one };
	struct am_group *many = calloc(AM_STATES_MAX + 1, sizeof(*many));
	struct am_error err;
	char json[256];

	for (size_t i = 0; i < sizeof(bad_groups) / sizeof(bad_groups[0]);
	     i++) {
		(void)snprintf(json, sizeof(json),
		    "{\"states\":[{\"name\":\"A\"}],\"groups\":%s}",
		    bad_groups[i].groups);
		ck_assert_ptr_null(
		    am_schema_from_json(json, strlen(json), NULL, &err));
		ck_assert_str_eq(err.text, bad_groups[i].message);
	}
	t.n_groups = 1;
	ck_assert_ptr_null(am_schema_new(&t, &err));
	ck_assert_str_eq(err.text, "group \"G\": no such state: id 9");
	t.group = &one[1];
	ck_assert_ptr_null(am_schema_new(&t, &err));
	t.group = many;
	t.n_groups = AM_STATES_MAX + 1;
	ck_assert_ptr_null(am_schema_new(&t, &err));
	ck_assert_str_eq(err.text, "1025 groups: at most 1024 are allowed");
	free(many);
}
END_TEST

START_TEST(groups_of_a_base_come_first)
{
	static const struct am_state row = { .name = "A" };
	static const am_id a[] = { 0 };
	static const struct am_group g = { "Base", { a, 1 } };
	static const struct am_states base = { .row = &row,
		.len = 1,
		.group = &g,
		.n_groups = 1 };
	static const char json[] = "{\"states\":[{\"name\":\"B\"}],"
				   "\"groups\":{\"Own\":[\"B\",\"A\"]}}";
	static const char twice[] = "{\"states\":[],\"groups\":{\"Base\":[]}}";
	struct am_error err;
	struct am_schema *s = am_schema_from_json(json, strlen(json), &base,
	    &err);

	ck_assert_msg(s != NULL, "%s", err.text);
	check_group(s, "Base", "A");
	check_group(s, "Own", "B A");
	am_schema_unref(s);
	ck_assert_ptr_null(
	    am_schema_from_json(twice, strlen(twice), &base, &err));
	ck_assert_str_eq(err.text, "group \"Base\": defined twice");
}
END_TEST

/* As many states as there may be, with relations; one more is refused. */
START_TEST(a_schema_of_1024_states_works)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_error err = { "" };
	struct am_schema *s;
	struct am_machine *m;

	buf_puts(&b, "{\"states\":[{\"name\":\"Exception\"}");
	for (int i = 1; i < AM_STATES_MAX; i++)
		buf_printf(&b,
		    ",{\"name\":\"S%d\",\"require\":[\"S%d\"],\"multi\":true,"
		    "\"after\":[\"S1\"]}",
		    i, i > 1 ? i - 1 : 1);
	buf_puts(&b, "]}");
	s = am_schema_from_json(b.data, b.len, NULL, &err);
	ck_assert_msg(s != NULL, "%s", err.text);
	m = am_machine_new(s, "large");
	for (am_id i = 1; i < AM_STATES_MAX; i++)
		ck_assert_uint_eq(am_add1(m, i, AM_NONE), AM_EXECUTED);
	ck_assert_uint_eq(am_remove1(m, 1, AM_NONE), AM_EXECUTED);
	for (am_id i = 0; i < AM_STATES_MAX; i++)
		ck_assert_uint_eq(am_tick(m, i), i > 0 ? 2 : 0);
	am_machine_free(m);
	b.len -= 2;
	buf_puts(&b, ",{\"name\":\"X\"}]}");
	ck_assert_ptr_null(am_schema_from_json(b.data, b.len, NULL, &err));
	ck_assert_str_eq(err.text, "1025 states: at most 1024 are allowed");
	am_buf_done(&b);
	check_round_trip(s);
}
END_TEST

START_TEST(names_of_four_kib_are_refused_in_every_place)
{
	static const char *const forms[] = {
		"{\"states\":[{\"name\":\"%s\"}]}",
		"{\"states\":[{\"name\":\"A\",\"add\":[\"%s\"]}]}",
		"{\"states\":[{\"name\":\"A\",\"%s\":true}]}",
		"{\"states\":[{\"name\":\"%s\"},{\"name\":\"%s\"}]}",
	};
	char name[4097], json[16384];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct am_error err = { "" };
		const char *second = strrchr(forms[i], '%');
		size_t head = (size_t)(strchr(forms[i], '%') - forms[i]);

		(void)snprintf(json, sizeof(json), "%.*s%s%s", (int)head,
		    forms[i], name, second + 2);
		ck_assert_ptr_null(
		    am_schema_from_json(json, strlen(json), NULL, &err));
		ck_assert_uint_gt(strlen(err.text), 0);
	}
}
END_TEST

/* ---- merging ---- */

START_TEST(a_merged_schema_has_the_later_states)
{
	struct am_schema *base = rig_schema(
	    "{\"name\":\"A\",\"require\":[\"B\"]},{\"name\":\"B\"},"
	    "{\"name\":\"Exception\"}");
	struct am_schema *more = rig_schema(
	    "{\"name\":\"C\",\"add\":[\"A\"]},{\"name\":\"A\",\"multi\":true,"
	    "\"remove\":[\"C\"]}");
	struct am_schema *s = am_schema_merge(base, more, NULL);
	struct am_schema *want = rig_schema(
	    "{\"name\":\"A\",\"multi\":true,\"remove\":[\"C\"]},"
	    "{\"name\":\"B\"},{\"name\":\"Exception\"},{\"name\":\"C\","
	    "\"add\":[\"A\"]}");

	ck_assert_ptr_nonnull(s);
	ck_assert(am_schema_hash(s) == am_schema_hash(want));
	ck_assert(!am_schema_state(s, 2)->multi);
	am_schema_unref(base);
	am_schema_unref(more);
	am_schema_unref(want);
	check_round_trip(s);
}
END_TEST

/* One that was appended to parts of what is merged was not given either. */
START_TEST(no_merge_makes_an_exception_given)
{
	struct am_schema *base = rig_schema(
	    "{\"name\":\"A\"},{\"name\":\"Exception\",\"add\":[\"A\"]}");
	struct am_schema *b = rig_schema("{\"name\":\"B\"}");
	struct am_schema *c = rig_schema("{\"name\":\"C\"}");
	struct am_schema *bc = am_schema_merge(b, c, NULL);
	struct am_schema *s = am_schema_merge(base, bc, NULL);
	struct am_schema *back = am_schema_merge(bc, base, NULL);

	ck_assert_uint_eq(am_schema_state(s, 1)->add.len, 1);
	ck_assert_uint_eq(am_schema_state(back,
			      (am_id)am_schema_id(back, "Exception", 9))
			      ->add.len,
	    1);
	am_schema_unref(base);
	am_schema_unref(b);
	am_schema_unref(c);
	am_schema_unref(bc);
	am_schema_unref(s);
	am_schema_unref(back);
}
END_TEST

static struct am_schema *
many_states(const char *prefix, int n)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_schema *s;

	buf_puts(&b, "{\"states\":[{\"name\":\"Exception\"}");
	for (int i = 1; i < n; i++)
		buf_printf(&b, ",{\"name\":\"%s%d\"}", prefix, i);
	buf_puts(&b, "]}");
	s = am_schema_from_json(b.data, b.len, NULL, NULL);
	ck_assert_ptr_nonnull(s);
	am_buf_done(&b);
	return s;
}

START_TEST(a_merge_of_too_many_states_says_so)
{
	struct am_schema *base = many_states("A", 1000);
	struct am_schema *more = many_states("B", 26);
	struct am_error err = { "" };

	ck_assert_ptr_null(am_schema_merge(base, more, &err));
	ck_assert_str_eq(err.text, "1025 states: at most 1024 are allowed");
	am_schema_unref(base);
	am_schema_unref(more);
}
END_TEST

START_TEST(a_schema_is_compared_with_names)
{
	static const char *const good[] = { "A", "B", "Exception", "C" };
	static const char *const bad[] = { "A", "C", "Exception" };
	struct am_schema *s = rig_schema("{\"name\":\"A\"},{\"name\":\"B\"}");
	struct am_error err = { "" };

	ck_assert_int_eq(am_schema_verify(s, good, 3, &err), 0);
	ck_assert_int_eq(am_schema_verify(s, good, 4, &err), -EINVAL);
	ck_assert_str_eq(err.text, "there is no state \"C\"");
	ck_assert_int_eq(am_schema_verify(s, good, 2, &err), -EINVAL);
	ck_assert_str_eq(err.text,
	    "state \"Exception\" is missing in the list");
	ck_assert_int_eq(am_schema_verify(s, bad, 3, NULL), -EINVAL);
	ck_assert_int_eq(am_schema_verify(s, bad, 3, &err), -EINVAL);
	ck_assert_str_eq(err.text, "state 1 is \"B\", not \"C\"");
	am_schema_unref(s);
}
END_TEST

/* ---- export, import ---- */

static void
say(struct am_machine *m, void *arg)
{
	(void)m;
	rig_say(arg, "fired");
}

static const char restorable[] =
    "{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"MachineRestored\"}";

START_TEST(clocks_are_taken_over_by_name)
{
	struct rig *from = rig_json("{\"name\":\"MachineRestored\"},"
				    "{\"name\":\"B\",\"multi\":true},"
				    "{\"name\":\"A\"}");
	struct rig *to = rig_json(restorable);
	struct am_buf b = AM_BUF_INIT;

	(void)am_add(from->m, RIG_LIST(2, 1), AM_NONE);
	(void)am_add1(from->m, 1, AM_NONE);
	ck_assert_int_eq(am_export(from->m, &b), 0);
	ck_assert_uint_ne(am_when(to->m, RIG_LIST(A, B), say, to), 0);
	ck_assert_int_eq(am_import(to->m, am_buf_val(&b), NULL), 0);
	ck_assert_str_eq(rig_log(to), "fired, +MachineRestored");
	am_string_all(to->m, &to->log);
	ck_assert_str_eq(rig_log(to),
	    "(A:1 B:3 MachineRestored:1) [Exception:0]");
	ck_assert_uint_eq(am_machine_tick(to->m), 1);
	ck_assert_uint_eq(am_queue_tick(to->m), 2);
	am_buf_done(&b);
	rig_free(from);
	rig_free(to);
}
END_TEST

static void
import_in_handler(struct am_event *ev)
{
	struct am_error err = { "" };

	ck_assert_int_eq(am_import(ev->machine, AM_NONE, &err), -EBUSY);
	ck_assert_str_eq(err.text,
	    "not possible during a drain, or for a mirror");
}

START_TEST(no_clock_is_taken_over_in_a_drain)
{
	static const struct am_handler of[] = {
		[A] = { .state = import_in_handler }
	};
	static const struct am_handlers h = { .of = of, .len = 1 };
	struct rig *r = rig_json(restorable);

	ck_assert_int_eq(am_bind(r->m, &h, NULL), 0);
	(void)am_add1(r->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(r), "+A");
	rig_free(r);
}
END_TEST

static void
check_refused(struct rig *r, const char *json, const char *why)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_error err = { "" };

	ck_assert_int_eq(am_json_decode(json, strlen(json), &b, NULL), 0);
	ck_assert_int_eq(am_import(r->m, am_buf_val(&b), &err), -EINVAL);
	ck_assert_str_eq(err.text, why);
	am_buf_done(&b);
}

START_TEST(what_is_no_export_is_refused)
{
	struct rig *r = rig_json("{\"name\":\"A\"}");
	struct am_error err;

	ck_assert_int_eq(am_import(r->m, AM_NONE, &err), -EINVAL);
	check_refused(r, "[1]", "is not an export: \"id\" is missing");
	check_refused(r, "{\"id\":\"x\"}",
	    "is of machine \"x\", not of \"rig\"");
	check_refused(r, "{\"id\":\"rig\"}",
	    "is not an export: a tick is missing");
	check_refused(r, "{\"id\":\"rig\",\"machine_tick\":-1}",
	    "is not an export: a tick is missing");
	check_refused(r, "{\"id\":\"rig\",\"machine_tick\":1,\"queue_tick\":1}",
	    "is not an export: \"states\" is missing");
	check_refused(r,
	    "{\"id\":\"rig\",\"machine_tick\":1,\"queue_tick\":1,\"states\":1}",
	    "is not an export: \"states\" is not an array");
	check_refused(r,
	    "{\"id\":\"rig\",\"machine_tick\":1,\"queue_tick\":1,\"states\":["
	    "\"A\"]}",
	    "has 1 states: the machine has 2 states");
	check_refused(r,
	    "{\"id\":\"rig\",\"machine_tick\":1,\"queue_tick\":1,\"states\":["
	    "\"A\",\"B\"],\"time\":[1,1]}",
	    "state \"B\": no such state");
	check_refused(r,
	    "{\"id\":\"rig\",\"machine_tick\":1,\"queue_tick\":1,\"states\":["
	    "\"A\",\"A\"],\"time\":[1,1]}",
	    "state \"A\": is there twice");
	check_refused(r,
	    "{\"id\":\"rig\",\"machine_tick\":1,\"queue_tick\":1,\"states\":["
	    "\"A\",\"Exception\"],\"time\":[1,-1]}",
	    "is not an export: state 1 has no name or no tick");
	ck_assert_str_eq(rig_active(r), "");
	rig_free(r);
}
END_TEST

UNIT_MAIN("restore", a_schema_survives_as_json, groups_have_names,
    groups_are_merged_by_name, a_bad_group_is_refused_by_name,
    groups_of_a_base_come_first, a_schema_of_1024_states_works,
    names_of_four_kib_are_refused_in_every_place,
    a_merged_schema_has_the_later_states, no_merge_makes_an_exception_given,
    a_merge_of_too_many_states_says_so, a_schema_is_compared_with_names,
    clocks_are_taken_over_by_name, no_clock_is_taken_over_in_a_drain,
    what_is_no_export_is_refused)
