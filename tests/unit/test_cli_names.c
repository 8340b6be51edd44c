#include <string.h>

#include "cli/names.h"
#include "lib/base/buf.h"
#include "proto/worker.h"
#include "tests/unit/unit.h"

START_TEST(distances_are_in_letters)
{
	static const struct {
		const char *a;
		const char *b;
		unsigned want;
	} cases[] = {
		{ "Ready", "Ready", 0 }, { "Ready", "Redy", 1 },
		{ "Ready", "Readyy", 1 }, { "Ready", "Raedy", 1 },
		{ "Ready", "Rexdy", 1 }, { "Ready", "ready", 1 },
		{ "ready", "REady", 1 }, /* two letters of another case */
		{ "WorkReqested", "WorkRequested", 1 }, { "", "ab", 2 },
		{ "abc", "xyz", 3 },
		{ "Working", "WorkReady", 4 }, /* more than the bound of 3 */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(names_distance(cases[i].a, cases[i].b, 3) ==
			cases[i].want,
		    "%s, %s: %u", cases[i].a, cases[i].b,
		    names_distance(cases[i].a, cases[i].b, 3));
		ck_assert_uint_eq(names_distance(cases[i].b, cases[i].a, 3),
		    cases[i].want);
	}
}
END_TEST

START_TEST(a_name_too_long_is_far_from_all)
{
	char name[300];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_uint_eq(names_distance(name, name, 5), 6);
}
END_TEST

START_TEST(the_nearest_names_come_first)
{
	static const struct {
		const char *name;
		const char *want; /* NULL: nothing is near */
	} cases[] = {
		{ "WorkReqested", "\"WorkRequested\"" },
		{ "workrequested", "\"WorkRequested\"" },
		{ "Redy", "\"Ready\"" },
		{ "RpcReady ", "\"RpcReady\"" },
		{ "Client", "\"ClientConnected\" or \"ClientSendPayload\"" },
		{ "Frobnicated", NULL },
		{ "x", NULL },
		{ "", NULL },
	};
	struct am_schema *s = am_schema_new(&am_worker_states, NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct am_buf b = AM_BUF_INIT;
		bool near = names_near(s, cases[i].name, &b);

		ck_assert_msg(near == (cases[i].want != NULL), "%s: %s",
		    cases[i].name, buf_text(&b));
		if (near)
			ck_assert_msg(strncmp(buf_text(&b), cases[i].want,
					  strlen(cases[i].want)) == 0,
			    "%s: %s", cases[i].name, buf_text(&b));
		am_buf_done(&b);
	}
	am_schema_unref(s);
}
END_TEST

UNIT_MAIN("cli_names", distances_are_in_letters,
    a_name_too_long_is_far_from_all, the_nearest_names_come_first)
