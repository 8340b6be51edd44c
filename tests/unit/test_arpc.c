#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "proto/arpc.h"
#include "proto/mp.h"
#include "proto/worker.h"
#include "tests/unit/unit.h"

static struct arpc_frame
frame(const struct am_buf *b)
{
	struct arpc_frame f;
	const char *why = "";

	ck_assert_msg(arpc_frame_get(b->data, b->len, &f, &why) == 0, "%s",
	    why);
	return f;
}

START_TEST(frames_are_told_apart)
{
	struct am_buf b = AM_BUF_INIT;
	struct arpc_frame f;

	arpc_put_request(&b, 65535, ARPC_can_add);
	am_put_array(&b, 0);
	f = frame(&b);
	ck_assert_int_eq(f.kind, ARPC_REQUEST);
	ck_assert_uint_eq(f.id, 65535);
	ck_assert_int_eq(f.method, ARPC_can_add);
	ck_assert_str_eq(arpc_method_name(f.method), "can_add");
	am_buf_reset(&b);
	arpc_put_response(&b, UINT32_MAX);
	am_put_int(&b, 7);
	f = frame(&b);
	ck_assert_int_eq(f.kind, ARPC_RESPONSE);
	ck_assert_uint_eq(f.id, UINT32_MAX);
	ck_assert_ptr_null(f.error.data);
	ck_assert_uint_eq(f.params.len, 1);
	am_buf_reset(&b);
	arpc_put_bye(&b, "enough");
	f = frame(&b);
	ck_assert_int_eq(f.kind, ARPC_NOTIFICATION);
	ck_assert_int_eq(f.method, ARPC_bye);
	am_buf_done(&b);
}
END_TEST

START_TEST(every_method_is_found_by_its_name)
{
	for (unsigned m = 0; m < ARPC__COUNT; m++) {
		struct am_buf b = AM_BUF_INIT;

		arpc_put_notification(&b, (enum arpc_method)m);
		am_put_array(&b, 0);
		ck_assert_uint_eq(frame(&b).method, m);
		am_buf_done(&b);
	}
}
END_TEST

START_TEST(an_unknown_method_is_well_formed)
{
	struct arpc_frame f;
	const char *why;

	ck_assert_int_eq(arpc_frame_get("\x93\x02\xa3xyz\x90", 7, &f, &why), 0);
	ck_assert_int_eq(f.method, ARPC_UNKNOWN);
	ck_assert(f.name_len == 3 && memcmp(f.name, "xyz", 3) == 0);
}
END_TEST

START_TEST(malformed_frames_are_refused_with_a_reason)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *why;
	} in[] = {
		{ "\x01", 1, "not an array" },
		{ "\x90", 1, "type" },
		{ "\x94\x03\x01\xa1t\x90", 6, "type" },
		{ "\x94\xa1\x30\x01\xa1t\x90", 7, "type" },
		{ "\x93\x00\x01\xa1t", 5, "elements" },
		{ "\x94\x02\xa1t\x90\xc0", 6, "elements" },
		{ "\x94\x00\xff\xa1t\x90", 6, "id" },
		{ "\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1t\x90", 14,
		    "id" },
		{ "\x94\x00\x01\x02\x90", 5, "method" },
		{ "\x94\x00\x01\xa1t\x80", 6, "params" },
		{ "\x93\x02\xa1t\xc0", 5, "params" },
		{ "\x94\x01\x01\xc0", 4, "malformed" },
	};

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct arpc_frame f = { .id = 77 };
		const char *why = "";

		ck_assert_int_eq(arpc_frame_get(in[i].bytes, in[i].len, &f,
				     &why),
		    -EBADMSG);
		ck_assert_msg(strstr(why, in[i].why) != NULL, "%zu: %s", i,
		    why);
		ck_assert_uint_eq(f.id, 77);
	}
}
END_TEST

START_TEST(errors_carry_code_text_and_field)
{
	struct am_buf b = AM_BUF_INIT;
	const char *text;
	size_t len;

	for (unsigned e = 0; e < ARPC_E__COUNT; e++) {
		am_buf_reset(&b);
		arpc_put_error(&b, 3, (enum arpc_error)e, "states", "no %s",
		    "x");
		ck_assert_uint_eq(arpc_error_get(frame(&b).error, &text, &len),
		    e);
		ck_assert(len == 13 && memcmp(text, "no x (states)", 13) == 0);
	}
	ck_assert_int_eq(arpc_error_get((struct am_val){ "\xa4what", 5 }, &text,
			     &len),
	    ARPC_E_internal);
	ck_assert(len == 4 && memcmp(text, "what", 4) == 0);
	ck_assert_int_eq(arpc_error_get(AM_NONE, &text, &len), ARPC_E_internal);
	am_buf_done(&b);
}
END_TEST

START_TEST(a_long_text_is_cut_between_characters)
{
	char text[ARPC_TEXT_MAX * 2];
	struct am_buf b = AM_BUF_INIT, json = AM_BUF_INIT;

	for (size_t skew = 0; skew < 4; skew++) {
		memset(text, 'x', sizeof(text));
		for (size_t i = skew; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 4);
		text[sizeof(text) - 1] = '\0';
		am_buf_reset(&b);
		arpc_put_bye(&b, text);
		ck_assert_uint_lt(b.len, ARPC_TEXT_MAX + 16);
		ck_assert_int_eq(am_json_encode(am_buf_val(&b), &json, NULL),
		    0);
		am_buf_reset(&b);
		arpc_put_error(&b, 1, ARPC_E_busy, NULL, "%s", text);
		ck_assert_uint_lt(b.len, ARPC_TEXT_MAX + 16);
	}
	am_buf_done(&b);
	am_buf_done(&json);
}
END_TEST

START_TEST(hello_goes_both_ways)
{
	struct arpc_hello h = { .proto = 1,
		.client_id = INT64_MAX,
		.name = "me\n",
		.has_token = true,
		.has_hash = true,
		.hash = 99 };
	struct am_buf b = AM_BUF_INIT, names = AM_BUF_INIT;
	struct arpc_hello got;
	const char *why = "";

	memset(h.token, 0xab, sizeof(h.token));
	arpc_put_hello(&b, 1, &h);
	ck_assert_msg(arpc_hello_get(frame(&b).params, &got, &why) == 0, "%s",
	    why);
	ck_assert_uint_eq(got.client_id, INT64_MAX);
	ck_assert_str_eq(got.name, "me?");
	ck_assert(got.has_token && got.has_hash && got.hash == 99);
	ck_assert_mem_eq(got.token, h.token, sizeof(h.token));
	am_buf_reset(&b);
	h = (struct arpc_hello){ .proto = 2, .client_id = 5 };
	arpc_put_hello(&b, 1, &h);
	ck_assert_int_eq(arpc_hello_get(frame(&b).params, &got, &why), 0);
	ck_assert(got.proto == 2 && !got.has_token && !got.has_hash);
	ck_assert(!got.has_resume && got.sync.skip.data == NULL);
	ck_assert_str_eq(got.name, "");
	am_buf_reset(&b);
	h.has_resume = true;
	h.resume_epoch = 77;
	am_put_array(&names, 1);
	am_put_str(&names, "Ready");
	h.sync = (struct arpc_sync){ .shallow = true,
		.no_schema = true,
		.no_events = true,
		.prompt = am_buf_val(&names) };
	arpc_put_hello(&b, 1, &h);
	ck_assert_int_eq(arpc_hello_get(frame(&b).params, &got, &why), 0);
	ck_assert(got.has_resume && got.resume_epoch == 77);
	ck_assert(got.sync.shallow && got.sync.no_schema);
	ck_assert(got.sync.no_events);
	ck_assert(!got.sync.mutations && got.sync.allow.data == NULL);
	ck_assert_uint_eq(got.sync.prompt.len, names.len);
	am_buf_done(&names);
	am_buf_done(&b);
}
END_TEST

/* Params from JSON: what a foreign client could send. */
static struct am_val
params(struct am_buf *b, const char *json)
{
	am_buf_reset(b);
	ck_assert_int_eq(am_json_decode(json, strlen(json), b, NULL), 0);
	return am_buf_val(b);
}

START_TEST(a_malformed_hello_is_refused)
{
	static const char *const in[] = { "[]", "[1]", "[{},{}]", "[{}]",
		"[{\"proto\":1}]", "[{\"id\":1}]",
		"[{\"proto\":\"1\",\"id\":1}]", "[{\"proto\":1,\"id\":-1}]",
		"[{\"proto\":1,\"id\":0}]",
		"[{\"proto\":1,\"id\":1,\"name\":1}]",
		"[{\"proto\":1,\"id\":1,\"token\":\"0123456789abcdef\"}]",
		"[{\"proto\":1,\"id\":1,\"token\":{\"$bin\":\"AAEC\"}}]",
		"[{\"proto\":1,\"id\":1,\"hash\":null}]",
		"[{\"proto\":1,\"id\":1,\"resume\":true}]",
		"[{\"proto\":1,\"id\":1,\"resume\":{\"epoch\":-1}}]",
		"[{\"proto\":1,\"id\":1,\"sync\":[]}]",
		"[{\"proto\":1,\"id\":1,\"sync\":{\"skip\":\"A\"}}]",
		"[{\"proto\":1,\"id\":1,\"sync\":{\"shallow\":1}}]",
		"[{\"proto\":1,\"id\":1,\"sync\":{\"events\":1}}]",
		("[{\"proto\":1,\"id\":1,"
		 "\"sync\":{\"skip\":[],\"allow\":[]}}]") };
	struct am_buf b = AM_BUF_INIT;
	struct arpc_hello h;
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		ck_assert_msg(arpc_hello_get(params(&b, in[i]), &h, &why) ==
			-EBADMSG,
		    "%s", in[i]);
		ck_assert_ptr_nonnull(why);
	}
	/* Unknown keys are for later versions. */
	ck_assert_int_eq(arpc_hello_get(params(&b,
					    "[{\"new\":[],\"id\":7,"
					    "\"proto\":1}]"),
			     &h, &why),
	    0);
	am_buf_done(&b);
}
END_TEST

START_TEST(welcome_goes_both_ways)
{
	struct am_buf b = AM_BUF_INIT, time = AM_BUF_INIT, rows = AM_BUF_INIT;
	struct arpc_welcome w = { .proto = 1,
		.machine = "worker-w1",
		.epoch = 1,
		.hash = UINT64_MAX >> 1,
		.n_states = am_worker_states.len,
		.queue_tick = 5,
		.machine_tick = 1,
		.last_seq = 9 };
	struct arpc_welcome got;
	const char *why = "";

	am_put_array(&time, am_worker_states.len);
	for (size_t i = 0; i < am_worker_states.len; i++)
		am_put_uint(&time, i);
	arpc_put_schema(&rows, &am_worker_states);
	ck_assert(mp_is_value(am_buf_val(&rows)));
	w.time = am_buf_val(&time);
	w.schema = am_buf_val(&rows);
	arpc_put_welcome(&b, &w);
	ck_assert_msg(arpc_welcome_get(am_buf_val(&b), &got, &why) == 0, "%s",
	    why);
	ck_assert_str_eq(got.machine, "worker-w1");
	ck_assert_uint_eq(got.hash, w.hash);
	ck_assert_uint_eq(got.last_seq, 9);
	ck_assert_uint_eq(got.window, 0);
	ck_assert_uint_eq(got.schema.len, rows.len);
	ck_assert_mem_eq(got.time.data, time.data, time.len);
	am_buf_reset(&b);
	w.schema = AM_NONE;
	w.window = 64;
	arpc_put_welcome(&b, &w);
	ck_assert_int_eq(arpc_welcome_get(am_buf_val(&b), &got, &why), 0);
	ck_assert_uint_eq(got.window, 64);
	ck_assert_ptr_null(got.schema.data);
	ck_assert_uint_eq(got.frame_max, ARPC_FRAME_MAX);
	am_buf_reset(&b);
	w.frame_max = ARPC_FRAME_SMALL;
	arpc_put_welcome(&b, &w);
	ck_assert_int_eq(arpc_welcome_get(am_buf_val(&b), &got, &why), 0);
	ck_assert_uint_eq(got.frame_max, ARPC_FRAME_SMALL);
	am_buf_reset(&b);
	w.frame_max = ARPC_FRAME_MIN - 1;
	arpc_put_welcome(&b, &w);
	ck_assert_int_eq(arpc_welcome_get(am_buf_val(&b), &got, &why),
	    -EBADMSG);
	am_buf_reset(&b);
	w.frame_max = 0;
	w.n_states--;
	arpc_put_welcome(&b, &w);
	ck_assert_int_eq(arpc_welcome_get(am_buf_val(&b), &got, &why),
	    -EBADMSG);
	am_buf_done(&b);
	am_buf_done(&time);
	am_buf_done(&rows);
}
END_TEST

START_TEST(mutations_go_both_ways)
{
	static struct arpc_mutation m;
	const am_id ids[] = { 3, 0, 299 };
	struct am_buf b = AM_BUF_INIT, args = AM_BUF_INIT;
	const char *why = "";
	int64_t v = 0;

	am_put_map(&args, 1);
	am_put_str(&args, "input");
	am_put_int(&args, 3);
	for (int with = 0; with < 4; with++) {
		struct am_val a = with & 1 ? am_buf_val(&args) : AM_NONE;
		int64_t deadline_ms = with & 2 ? 5000 : -1;

		am_buf_reset(&b);
		arpc_put_mutation(&b, ids, 3, a, deadline_ms);
		ck_assert_msg(arpc_mutation_get(am_buf_val(&b), 300, &m,
				  &why) == 0,
		    "%s", why);
		ck_assert_uint_eq(m.n_states, 3);
		ck_assert_mem_eq(m.states, ids, sizeof(ids));
		ck_assert_int_eq(m.deadline_ms, deadline_ms);
		ck_assert_int_eq(am_get_int(m.args, "input", &v),
		    with & 1 ? 0 : -ENOENT);
	}
	ck_assert_int_eq(arpc_mutation_get(am_buf_val(&b), 299, &m, &why),
	    -ERANGE);
	am_buf_done(&b);
	am_buf_done(&args);
}
END_TEST

START_TEST(malformed_mutations_are_refused)
{
	static struct arpc_mutation m;
	static const char *const in[] = { "{}", "[]", "[1]", "[[\"Foo\"]]",
		"[[-1]]", "[[1.0]]", "[[1],1]", "[[1],[]]", "[[1],{},-1]",
		"[[1],{},\"1\"]", "[[1],{},1,1]" };
	struct am_buf b = AM_BUF_INIT;
	const char *why;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		why = NULL;
		ck_assert_msg(arpc_mutation_get(params(&b, in[i]), 9, &m,
				  &why) == -EBADMSG,
		    "%s", in[i]);
		ck_assert_ptr_nonnull(why);
	}
	ck_assert_int_eq(arpc_mutation_get(params(&b, "[[1],null,null]"), 9, &m,
			     &why),
	    0);
	am_buf_reset(&b);
	arpc_put_mutation(&b, NULL, 0, AM_NONE, INT64_MAX);
	ck_assert_int_eq(arpc_mutation_get(am_buf_val(&b), 9, &m, &why), 0);
	ck_assert_int_eq(m.deadline_ms, ARPC_DURATION_MAX_MS);
	am_buf_reset(&b);
	buf_append(&b, "\x92\x91\x01\x82\xa1k\x01\xa1k\x01", 10);
	ck_assert_int_eq(arpc_mutation_get(am_buf_val(&b), 9, &m, &why),
	    -EBADMSG);
	ck_assert_str_eq(why, "args have a duplicate key");
	am_buf_reset(&b);
	buf_append(&b, "\x92\x91\x01\x81\x01\x01", 6);
	ck_assert_int_eq(arpc_mutation_get(am_buf_val(&b), 9, &m, &why),
	    -EBADMSG);
	ck_assert_str_eq(why, "args are not a map with string keys");
	am_buf_reset(&b);
	am_put_array(&b, 1);
	am_put_array(&b, ARPC_NAMES_MAX + 1);
	for (int i = 0; i <= ARPC_NAMES_MAX; i++)
		am_put_uint(&b, 0);
	ck_assert_int_eq(arpc_mutation_get(am_buf_val(&b), 9, &m, &why),
	    -EBADMSG);
	am_buf_done(&b);
}
END_TEST

START_TEST(updates_keep_two_clocks_equal)
{
	enum { N = 70 };
	uint64_t now[N] = { 0 }, a[N] = { 0 }, z[N] = { 0 };
	struct arpc_clock sent = { .tick = a, .n = N, .machine_tick = 3 };
	struct arpc_clock got = { .tick = z, .n = N, .machine_tick = 3 };
	struct am_buf b = AM_BUF_INIT;
	const char *why = "";

	sent.sum = arpc_clock_sum(&sent);
	got.sum = arpc_clock_sum(&got);
	for (uint64_t round = 1; round < 100; round++) {
		for (uint64_t i = 0; i < N; i += round)
			now[i] += round * round * round;
		am_buf_reset(&b);
		arpc_put_update(&b, &sent, now, round * 7);
		ck_assert_msg(arpc_update_get(am_buf_val(&b), &got, &why) == 0,
		    "%s", why);
		ck_assert_mem_eq(now, a, sizeof(now));
		ck_assert_mem_eq(now, z, sizeof(now));
		ck_assert_uint_eq(got.queue_tick, round * 7);
		ck_assert_uint_eq(got.sum, arpc_clock_sum(&sent));
	}
	/* One missed update is found by the next one. */
	now[0]++;
	arpc_put_update(&b, &sent, now, 700);
	now[1]++;
	am_buf_reset(&b);
	arpc_put_update(&b, &sent, now, 701);
	ck_assert_int_eq(arpc_update_get(am_buf_val(&b), &got, &why), -EILSEQ);
	am_buf_done(&b);
}
END_TEST

START_TEST(malformed_updates_are_refused)
{
	static const char *const in[] = { "{}", "[]", "[1]", "[1,2,3]",
		"[1,256]", "[-1,0]", "[0,0,4,1]", "[0,0,0,-1]",
		"[0,0,\"a\",1]" };
	uint64_t ticks[4] = { 0 };
	struct am_buf b = AM_BUF_INIT;
	const char *why;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct arpc_clock c = { .tick = ticks, .n = 4 };

		ck_assert_msg(arpc_update_get(params(&b, in[i]), &c, &why) ==
			-EBADMSG,
		    "%s", in[i]);
	}
	am_buf_done(&b);
}
END_TEST

START_TEST(a_steady_call_answer_and_push_are_small)
{
	enum { N = 64 };
	uint64_t now[N], old[N];
	struct arpc_clock sent = { .tick = old, .n = N };
	struct am_buf b = AM_BUF_INIT;
	const am_id id = 17;

	for (size_t i = 0; i < N; i++)
		now[i] = old[i] = 1000;
	arpc_put_request(&b, 65535, ARPC_add);
	arpc_put_mutation(&b, &id, 1, AM_NONE, -1);
	ck_assert_uint_le(b.len, 12);
	am_buf_reset(&b);
	now[17]++;
	arpc_put_response(&b, 65535);
	am_put_array(&b, 2);
	am_put_uint(&b, 0);
	arpc_put_update(&b, &sent, now, 1);
	ck_assert_uint_le(b.len, 16);
	am_buf_reset(&b);
	now[17]++;
	arpc_put_notification(&b, ARPC_t);
	arpc_put_update(&b, &sent, now, 2);
	ck_assert_uint_le(b.len, 12);
	am_buf_done(&b);
}
END_TEST

START_TEST(payloads_go_both_ways)
{
	struct am_buf b = AM_BUF_INIT, data = AM_BUF_INIT;
	struct arpc_payload p;
	const char *why = "", *s;
	struct mp c;
	size_t len;

	am_put_int(&data, 49);
	arpc_put_payload(&b, 12, 34, ARPC_P_CHUNK, "name", NULL,
	    am_buf_val(&data));
	ck_assert_int_eq(frame(&b).method, ARPC_p);
	ck_assert_msg(arpc_payload_get(frame(&b).params, &p, &why) == 0, "%s",
	    why);
	ck_assert(p.seq == 12 && p.req == 34 && p.kind == ARPC_P_CHUNK);
	c = mp_of(p.name);
	ck_assert_int_eq(mp_get_str(&c, &s, &len), 0);
	ck_assert(len == 4 && memcmp(s, "name", 4) == 0);
	ck_assert_uint_eq(p.data.len, 1);
	ck_assert_int_eq(arpc_payload_get(params(&b, "[1,2,4,\"\",\"\",null]"),
			     &p, &why),
	    -EBADMSG);
	ck_assert_int_eq(arpc_payload_get(params(&b, "[1,2,0,\"\",1,null]"), &p,
			     &why),
	    -EBADMSG);
	ck_assert_int_eq(arpc_payload_get(params(&b, "[1,2,0,\"\",\"\"]"), &p,
			     &why),
	    -EBADMSG);
	am_buf_done(&b);
	am_buf_done(&data);
}
END_TEST

START_TEST(parts_go_both_ways)
{
	struct am_buf b = AM_BUF_INIT;
	const char *why = "";
	struct arpc_payload p;
	const void *bytes;
	uint64_t seq;
	size_t len;

	arpc_put_payload_head(&b, 5, 6, ARPC_P_RESULT, "n", "s", 300000);
	ck_assert_int_eq(arpc_payload_get(frame(&b).params, &p, &why), 0);
	ck_assert_uint_eq(p.total, 300000);
	am_buf_reset(&b);
	arpc_put_part(&b, 5, "abc", 3);
	ck_assert_int_eq(arpc_part_get(frame(&b).params, &seq, &bytes, &len,
			     &why),
	    0);
	ck_assert(seq == 5 && len == 3 && memcmp(bytes, "abc", 3) == 0);
	am_buf_reset(&b);
	arpc_put_part(&b, 5, NULL, 0);
	ck_assert_int_eq(arpc_part_get(frame(&b).params, &seq, &bytes, &len,
			     &why),
	    0);
	ck_assert_ptr_null(bytes);
	ck_assert_int_eq(arpc_payload_get(params(&b,
					      "[1,2,0,\"\",\"\",null,0]"),
			     &p, &why),
	    -EBADMSG);
	ck_assert_int_eq(
	    arpc_payload_get(params(&b, "[1,2,0,\"\",\"\",null,67108865]"), &p,
		&why),
	    -EBADMSG);
	ck_assert_int_eq(arpc_part_get(params(&b, "[1,\"a\"]"), &seq, &bytes,
			     &len, &why),
	    -EBADMSG);
	am_buf_done(&b);
}
END_TEST

START_TEST(leases_go_both_ways)
{
	struct arpc_lease l = { .lease = "l1",
		.client = "amctl",
		.ttl_ms = 1,
		.max_ms = INT64_MAX };
	struct am_buf b = AM_BUF_INIT;
	struct arpc_lease got;
	const char *why = "";

	memset(l.token, 7, sizeof(l.token));
	arpc_put_lease(&b, &l);
	ck_assert_msg(arpc_lease_get(am_buf_val(&b), &got, &why) == 0, "%s",
	    why);
	ck_assert_str_eq(got.lease, "l1");
	ck_assert_str_eq(got.client, "amctl");
	ck_assert_mem_eq(got.token, l.token, sizeof(l.token));
	ck_assert(got.ttl_ms == 1 && got.max_ms == ARPC_DURATION_MAX_MS);
	ck_assert_int_eq(arpc_lease_get(params(&b, "[{\"lease\":\"l1\"}]"),
			     &got, &why),
	    -EBADMSG);
	am_buf_done(&b);
}
END_TEST

UNIT_MAIN("arpc", frames_are_told_apart, every_method_is_found_by_its_name,
    an_unknown_method_is_well_formed,
    malformed_frames_are_refused_with_a_reason,
    errors_carry_code_text_and_field, a_long_text_is_cut_between_characters,
    hello_goes_both_ways, a_malformed_hello_is_refused, welcome_goes_both_ways,
    mutations_go_both_ways, malformed_mutations_are_refused,
    updates_keep_two_clocks_equal, malformed_updates_are_refused,
    a_steady_call_answer_and_push_are_small, payloads_go_both_ways,
    leases_go_both_ways, parts_go_both_ways)
