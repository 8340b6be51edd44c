#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/cleanup.h"
#include "proto/client.h"
#include "proto/supervisor.h"
#include "proto/worker.h"
#include "tests/unit/unit.h"

static void
unrefp(struct am_schema **s)
{
	*s = am_schema_unref(*s);
}

static void
json_freep(cJSON **j)
{
	cJSON_Delete(*j);
}

static void
closep(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
}

/* ---- the tables and the reference's dumps ---- */

struct own_row {
	const char *name;
	bool multi;
	const char *require;
	const char *remove;
};

/* flows.md, "Own states". */
static const struct own_row own_supervisor[] = {
	{ "LeaseRequested", true, "Start", "" },
	{ "ClientsWaiting", false, "Start", "" },
	{ "LeaseGranted", true, "Start", "" },
	{ "LeaseConfirmed", true, "Start", "" },
	{ "ReleaseWorker", true, "Start", "" },
	{ "LeaseEnded", true, "", "" },
	{ "AdoptingWorkers", false, "Start", "ForkWorker" },
	{ "WorkerAdopted", true, "Start", "" },
	{ "Draining", false, "Start",
	    "Ready WorkersAvailable LeaseRequested ForkWorker PoolStarting "
	    "NormalizingPool AdoptingWorkers LeaseOffered" },
	{ "LeaseOffered", true, "Start", "" },
};
static const struct own_row own_worker[] = {
	{ "Leased", false, "PublicRpcReady", "ServeClient" },
	{ "LeaseEnding", false, "Leased", "WorkRequested" },
	{ "CancelWork", true, "Working", "" },
};
static const struct own_row own_client[] = {
	{ "WorkerWanted", false, "Start", "" },
	{ "Leased", false, "", "WorkerWanted" },
	{ "Releasing", false, "Leased", "" },
};

static const struct {
	const char *file;
	const struct am_states *states;
	size_t n_reference;
	const struct own_row *own;
	size_t n_own;
} tables[] = {
	{ "tests/data/schemas/node-supervisor.json", &am_supervisor_states, 36,
	    own_supervisor, 10 },
	{ "tests/data/schemas/node-worker.json", &am_worker_states, 24,
	    own_worker, 3 },
	{ "tests/data/schemas/node-client.json", &am_client_states, 21,
	    own_client, 3 },
};
enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

static cJSON *
read_dump(const char *path)
{
	am_cleanup(closep) FILE *f = fopen(path, "r");
	static char text[65536];
	size_t len;

	ck_assert_msg(f != NULL, "%s: cannot be read", path);
	len = fread(text, 1, sizeof(text), f);
	ck_assert_uint_lt(len, sizeof(text));
	return cJSON_ParseWithLength(text, len);
}

/* The list's names as one text: "Start Ready". */
static const char *
names(const struct am_states *t, const struct am_list *l, char *buf)
{
	buf[0] = '\0';
	for (size_t i = 0; i < l->len; i++) {
		ck_assert_uint_lt(l->id[i], t->len);
		(void)sprintf(buf + strlen(buf), "%s%s", i > 0 ? " " : "",
		    t->row[l->id[i]].name);
	}
	return buf;
}

static void
check_list(const struct am_states *t, size_t row, const cJSON *def,
    const char *field, const struct am_list *have)
{
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(def, field);
	const cJSON *name;
	char text[2048] = "", buf[2048];

	cJSON_ArrayForEach(name, want)
	{
		if (text[0] != '\0')
			(void)strcat(text, " ");
		(void)strcat(text, name->valuestring);
	}
	ck_assert_msg(strcmp(names(t, have, buf), text) == 0,
	    "%s %s: \"%s\", not \"%s\"", t->row[row].name, field, buf, text);
}

static void
check_row(const struct am_states *t, size_t i, const cJSON *def)
{
	const struct am_state *row = &t->row[i];

	ck_assert_str_eq(row->name,
	    cJSON_GetObjectItemCaseSensitive(def, "name")->valuestring);
	ck_assert_msg(row->automatic ==
		(bool)cJSON_IsTrue(
		    cJSON_GetObjectItemCaseSensitive(def, "auto")),
	    "%s auto", row->name);
	ck_assert_msg(row->multi ==
		(bool)cJSON_IsTrue(
		    cJSON_GetObjectItemCaseSensitive(def, "multi")),
	    "%s multi", row->name);
	check_list(t, i, def, "require", &row->require);
	check_list(t, i, def, "add", &row->add);
	check_list(t, i, def, "remove", &row->remove);
	check_list(t, i, def, "after", &row->after);
}

START_TEST(reference_rows_are_the_reference_s)
{
	for (size_t i = 0; i < N_TABLES; i++) {
		am_cleanup(json_freep) cJSON *doc = read_dump(tables[i].file);
		const cJSON *def;
		size_t row = 0;

		ck_assert_ptr_nonnull(doc);
		cJSON_ArrayForEach(def,
		    cJSON_GetObjectItemCaseSensitive(doc, "states"))
		{
			check_row(tables[i].states, row++, def);
		}
		ck_assert_uint_eq(row, tables[i].n_reference);
	}
}
END_TEST

START_TEST(own_rows_follow_as_in_flows)
{
	char buf[2048];

	for (size_t i = 0; i < N_TABLES; i++) {
		const struct am_states *t = tables[i].states;

		ck_assert_uint_eq(t->len,
		    tables[i].n_reference + tables[i].n_own);
		for (size_t k = 0; k < tables[i].n_own; k++) {
			const struct own_row *own = &tables[i].own[k];
			const struct am_state *row =
			    &t->row[tables[i].n_reference + k];

			ck_assert_str_eq(row->name, own->name);
			ck_assert_int_eq(row->multi, own->multi);
			ck_assert(!row->automatic);
			ck_assert_str_eq(names(t, &row->require, buf),
			    own->require);
			ck_assert_str_eq(names(t, &row->remove, buf),
			    own->remove);
			ck_assert_uint_eq(row->add.len + row->after.len, 0);
		}
	}
}
END_TEST

START_TEST(every_row_says_pulse_or_level)
{
	for (size_t i = 0; i < N_TABLES; i++) {
		const struct am_states *t = tables[i].states;

		for (size_t k = 0; k < t->len; k++)
			ck_assert_msg(strncmp(t->row[k].doc, "pulse: ", 7) ==
				    0 ||
				strncmp(t->row[k].doc, "level: ", 7) == 0,
			    "%s", t->row[k].name);
	}
}
END_TEST

START_TEST(a_compiled_schema_keeps_rows_and_finds_names)
{
	for (size_t i = 0; i < N_TABLES; i++) {
		const struct am_states *t = tables[i].states;
		am_cleanup(unrefp) struct am_schema *s = am_schema_new(t, NULL);

		ck_assert_ptr_nonnull(s);
		ck_assert_uint_eq(am_schema_len(s), t->len);
		for (size_t k = 0; k < t->len; k++) {
			const char *name = t->row[k].name;
			const struct am_state *row = am_schema_state(s,
			    (am_id)k);

			ck_assert_str_eq(am_schema_name(s, (am_id)k), name);
			ck_assert_str_eq(row->doc, t->row[k].doc);
			ck_assert_uint_eq(row->remove.len,
			    t->row[k].remove.len);
			ck_assert_int_eq(am_schema_id(s, name, strlen(name)),
			    (int)k);
		}
		ck_assert_ptr_null(am_schema_name(s, (am_id)t->len));
		ck_assert_ptr_null(am_schema_state(s, (am_id)t->len));
		ck_assert_int_eq(am_schema_id(s, "Star", 4), -ENOENT);
		ck_assert_int_eq(am_schema_id(s, "Startx", 6), -ENOENT);
		ck_assert_int_eq(am_schema_id(s, "Startx", 5),
		    am_schema_id(s, "Start", 5));
		ck_assert_int_eq(am_schema_id(s, "", 0), -ENOENT);
	}
}
END_TEST

/* ---- JSON ---- */

static struct am_schema *
from_json(const char *json, const struct am_states *base, struct am_error *err)
{
	return am_schema_from_json(json, strlen(json), base, err);
}

START_TEST(json_makes_the_schema_of_a_table)
{
	am_cleanup(unrefp) struct am_schema *s = from_json(
	    "{\"states\":[{\"name\":\"A\",\"auto\":true,\"require\":[\"B\"]},"
	    "{\"name\":\"B\",\"multi\":true,\"add\":[\"C\"],\"doc\":\"d\"},"
	    "{\"name\":\"C\",\"remove\":[\"A\",\"C\"],\"after\":[\"B\"]}]} \n",
	    NULL, NULL);
	static const am_id a[] = { 0 }, b[] = { 1 }, c[] = { 2 },
			   ac[] = { 0, 2 };
	static const struct am_state rows[] = {
		{ .name = "A", .automatic = true, .require = { b, 1 } },
		{ .name = "B", .multi = true, .add = { c, 1 } },
		{ .name = "C", .remove = { ac, 2 }, .after = { b, 1 } },
	};
	am_cleanup(unrefp) struct am_schema *t = am_schema_new(
	    &(struct am_states){ .name = "t", .row = rows, .len = 3 }, NULL);
	struct am_state other[3];
	am_cleanup(unrefp) struct am_schema *u = NULL;

	ck_assert_ptr_nonnull(s);
	ck_assert_ptr_nonnull(t);
	ck_assert_uint_eq(am_schema_len(s), 4);
	ck_assert_str_eq(am_schema_name(s, 3), "Exception");
	ck_assert(am_schema_state(s, 3)->multi);
	ck_assert_str_eq(am_schema_state(s, 1)->doc, "d");
	ck_assert_uint_eq(am_schema_hash(s), am_schema_hash(t));
	ck_assert_uint_eq(am_schema_hash(s) >> 63, 0);
	memcpy(other, rows, sizeof(other));
	other[2].after.id = a;
	u = am_schema_new(&(struct am_states){ .name = "u",
			      .row = other,
			      .len = 3 },
	    NULL);
	ck_assert_uint_ne(am_schema_hash(s), am_schema_hash(u));
}
END_TEST

START_TEST(json_dumps_of_the_reference_compile)
{
	static const char *const files[] = {
		"tests/data/schemas/node-supervisor.json",
		"tests/data/schemas/node-worker.json",
		"tests/data/schemas/node-client.json",
		"tests/data/schemas/node-bootstrap.json",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		am_cleanup(json_freep) cJSON *doc = read_dump(files[i]);
		am_cleanup(am_freep) char *text = cJSON_PrintUnformatted(doc);
		am_cleanup(unrefp) struct am_schema *s = NULL;
		struct am_error err = { "" };

		s = from_json(text, NULL, &err);
		ck_assert_msg(s != NULL, "%s: %s", files[i], err.text);
		ck_assert_str_eq(err.text, "");
	}
}
END_TEST

START_TEST(rows_of_a_base_come_first)
{
	am_cleanup(unrefp) struct am_schema *s =
	    from_json("{\"states\":[{\"name\":\"Fetching\",\"require\":"
		      "[\"Ready\"]}]}",
		&am_worker_states, NULL);

	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(am_schema_len(s), (size_t)Wrk__COUNT + 1);
	ck_assert_int_eq(am_schema_id(s, "Fetching", 8), Wrk__COUNT);
	ck_assert_int_eq(am_schema_state(s, Wrk__COUNT)->require.id[0],
	    Wrk_Ready);
	ck_assert_int_eq(am_schema_id(s, "CancelWork", 10), Wrk_CancelWork);
}
END_TEST

static const struct {
	const char *json;
	const char *message;
} bad_json[] = {
	{ "", "not JSON at byte 0: the text ends too early" },
	{ "{\"states\":[}", "not JSON at byte 11: no value begins like this" },
	{ "{\"states\":[]} x",
	    "not JSON at byte 14: there is text behind the value" },
	{ "{\"states\":[{\"name\":\"A\\uZ\"}]}",
	    "not JSON at byte 21: \\u without four hex digits; write a "
	    "backslash as \\\\" },
	{ "\xef\xbb\xbf{\"states\":[]}",
	    "not JSON at byte 0: a byte order mark (BOM); leave it out" },
	{ "[]", "must be an object with the array \"states\"" },
	{ "{\"states\":{}}", "must be an object with the array \"states\"" },
	{ "{\"states\":[],\"states\":[]}",
	    "key \"states\" at byte 13 is there twice: one would be lost" },
	{ "{\"groups\":{},\"states\":[],\"groups\":{}}",
	    "key \"groups\" at byte 25 is there twice: one would be lost" },
	{ "{\"states\":[1]}", "states[0]: must be an object" },
	{ "{\"states\":[{}]}",
	    "states[0]: \"name\" must be a string that is not empty" },
	{ "{\"states\":[{\"name\":7}]}",
	    "states[0]: \"name\" must be a string that is not empty" },
	{ "{\"states\":[{\"name\":\"A b\"}]}",
	    "state 0: \"A b\" is not a name: letters, digits and _, a letter "
	    "first, at most 128" },
	{ "{\"states\":[{\"name\":\"A\\u0000\"}]}",
	    "string at byte 19 holds a NUL at byte 21: send it as "
	    "{\"$bin\":\"base64\"}" },
	{ "{\"states\":[{\"name\":\"A\"},{\"name\":\"A\"}]}",
	    "state \"A\": defined twice" },
	{ "{\"states\":[{\"name\":\"A\",\"require\":[\"B\"]}]}",
	    "state \"A\": require: no such state: \"B\"" },
	{ "{\"states\":[{\"name\":\"A\",\"remove\":[\"A\",\"A\"]}]}",
	    "state \"A\": remove: \"A\" twice" },
	{ "{\"states\":[{\"name\":\"A\",\"require\":[\"Aa\"]}]}",
	    "state \"A\": require: no such state: \"Aa\"" },
	{ "{\"states\":[{\"name\":\"AB\",\"require\":[\"A\"]}]}",
	    "state \"AB\": require: no such state: \"A\"" },
	{ "{\"states\":[],\"groups\":[]}",
	    "\"groups\" must be an object of arrays of state names" },
	{ "{\"states\":[{\"name\":\"A\",\"add\":\"A\"}]}",
	    "state \"A\": add: must be an array of state names" },
	{ "{\"states\":[{\"name\":\"A\",\"after\":[1]}]}",
	    "state \"A\": after: must be an array of state names" },
	{ "{\"states\":[{\"name\":\"A\",\"doc\":1}]}",
	    "state \"A\": doc: must be a string" },
	{ "{\"states\":[{\"name\":\"A\",\"auto\":1}]}",
	    "state \"A\": auto: must be true or false" },
	{ "{\"states\":[{\"name\":\"A\",\"auto\":true,\"auto\":true}]}",
	    "key \"auto\" at byte 35 is there twice: one would be lost" },
	{ "{\"states\":[{\"name\":\"A\",\"requires\":[]}]}",
	    "state \"A\": unknown key \"requires\"; known: name, doc, auto, "
	    "multi, require, add, remove, after" },
	{ "{\"states\":[{\"name\":\"A\"},{\"name\":\"B\",\"require\":[\"A\"],"
	  "\"remove\":[\"A\"]}]}",
	    "state \"B\": remove: \"A\" is required by it as well" },
};

START_TEST(a_bad_schema_is_refused_by_name)
{
	for (size_t i = 0; i < sizeof(bad_json) / sizeof(bad_json[0]); i++) {
		struct am_error err = { "" };

		ck_assert_ptr_null(from_json(bad_json[i].json, NULL, &err));
		ck_assert_str_eq(err.text, bad_json[i].message);
		ck_assert_ptr_null(from_json(bad_json[i].json, NULL, NULL));
	}
}
END_TEST

START_TEST(a_base_state_is_not_defined_again)
{
	struct am_error err;

	ck_assert_ptr_null(from_json("{\"states\":[{\"name\":\"Idle\"}]}",
	    &am_worker_states, &err));
	ck_assert_str_eq(err.text,
	    "state \"Idle\": is a base state, which cannot be defined again");
}
END_TEST

START_TEST(a_bad_table_is_refused_by_name)
{
	static const am_id far[] = { 9 }, twice[] = { 0, 0 };
	static const struct am_state rows[][1] = {
		{ { .name = "A", .add = { far, 1 } } },
		{ { .name = "A", .require = { twice, 2 } } },
		{ { .name = NULL } },
	};
	static const struct am_state two[] = { { .name = "A" },
		{ .name = "A" } };
	static const char *const messages[] = {
		"state \"A\": add: no such state: id 9",
		"state \"A\": require: \"A\" twice",
		"state 0: \"\" is not a name",
	};
	struct am_error err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_ptr_null(
		    am_schema_new(&(struct am_states){ .name = "bad",
				      .row = rows[i],
				      .len = 1 },
			&err));
		ck_assert_msg(strncmp(err.text, messages[i],
				  strlen(messages[i])) == 0,
		    "%s", err.text);
	}
	ck_assert_ptr_null(am_schema_new(&(struct am_states){ .name = "bad",
					     .row = two,
					     .len = 2 },
	    &err));
	ck_assert_str_eq(err.text, "state \"A\": defined twice");
}
END_TEST

START_TEST(a_schema_of_over_4_mib_is_refused)
{
	size_t len = 4 * 1024 * 1024 + 1;
	char *json = calloc(1, len);
	struct am_error err;

	ck_assert_ptr_nonnull(json);
	memset(json, ' ', len);
	ck_assert_ptr_null(am_schema_from_json(json, len, NULL, &err));
	ck_assert_str_eq(err.text,
	    "a schema of 4194305 bytes: at most 4194304");
	ck_assert_ptr_null(am_schema_from_json(json, len - 1, NULL, &err));
	ck_assert_str_eq(err.text,
	    "not JSON at byte 4194304: the text ends too early");
	free(json);
}
END_TEST

START_TEST(there_are_at_most_1024_states)
{
	static char name[AM_STATES_MAX + 1][8];
	static struct am_state rows[AM_STATES_MAX + 1];
	struct am_schema *s;
	struct am_error err;

	for (size_t i = 0; i <= AM_STATES_MAX; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "S%zu", i);
		rows[i].name = name[i];
	}
	s = am_schema_new(&(struct am_states){ .name = "big",
			      .row = rows,
			      .len = 1023 },
	    &err);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(am_schema_len(s), 1024);
	ck_assert_ptr_null(am_schema_unref(s));
	ck_assert_ptr_null(am_schema_new(&(struct am_states){ .name = "big",
					     .row = rows,
					     .len = 1024 },
	    &err));
	ck_assert_str_eq(err.text, "1025 states: at most 1024 are allowed");
}
END_TEST

UNIT_MAIN("schema", reference_rows_are_the_reference_s,
    own_rows_follow_as_in_flows, every_row_says_pulse_or_level,
    a_compiled_schema_keeps_rows_and_finds_names,
    json_makes_the_schema_of_a_table, json_dumps_of_the_reference_compile,
    rows_of_a_base_come_first, a_bad_schema_is_refused_by_name,
    a_base_state_is_not_defined_again, a_bad_table_is_refused_by_name,
    there_are_at_most_1024_states, a_schema_of_over_4_mib_is_refused)
