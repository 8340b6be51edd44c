/* What one frame may cost: the worst of each kind that a permitted client can
 * send to a worker, by the CPU time of each turn of its loop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/node/worker_outbox.h"
#include "lib/rpc/addr.h"
#include "lib/rpc/user.h"
#include "lib/rpc/watch.h"
#include "tests/unit/cost.h"
#include "tests/unit/worker_rig.h"

enum { N_OWN = AM_STATES_MAX - Wrk__COUNT };

static struct world *w;
static int64_t first_us; /* the last hello that was answered */

static void
many_states(struct am_state *row)
{
	static char name[N_OWN][16];

	memcpy(row, am_worker_states.row, Wrk__COUNT * sizeof(*row));
	for (unsigned i = 0; i < N_OWN; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "Own%u", i);
		row[Wrk__COUNT + i] = (struct am_state){ .name = name[i] };
	}
}

static void
connect_raw(void)
{
	struct arpc_hello h = { .proto = ARPC_VERSION,
		.client_id = 4711,
		.has_token = true };
	struct am_buf b = AM_BUF_INIT;
	struct am_error err;
	struct addr a;

	ck_assert_int_eq(addr_parse(w->public_path, &a, &err), 0);
	fd = addr_connect(&a);
	ck_assert_int_ge(fd, 0);
	memcpy(h.token, w->token, sizeof(h.token));
	arpc_put_hello(&b, next_id++, &h);
	first_us = take_us(b.data, b.len);
	am_buf_done(&b);
}

static void
begin(void)
{
	static struct am_state row[AM_STATES_MAX];
	static const struct am_states states = { .name = "many",
		.row = row,
		.len = AM_STATES_MAX };

	many_states(row);
	w = world_new();
	cost_loop = w->loop;
	w->conf.states = &states;
	world_worker(w);
	flow_log_detach(&w->wlog);
	w->wlog.machine = NULL;
	world_lease(w, "L1", 0, 0);
	connect_raw();
}

static void
finish(void)
{
	(void)close(fd);
	world_free(w);
}

/* ---- frames ---- */

static void
put_states(struct am_buf *b, unsigned n)
{
	am_put_array(b, n);
	for (unsigned i = 0; i < n; i++)
		am_put_uint(b, (unsigned)Wrk__COUNT + i % N_OWN);
}

START_TEST(mutations_of_many_states)
{
	static const enum arpc_method methods[] = { ARPC_add, ARPC_remove,
		ARPC_set, ARPC_toggle, ARPC_can_add, ARPC_can_remove };

	begin();
	for (size_t i = 0; i < 6; i++) {
		struct am_buf b = AM_BUF_INIT;

		arpc_put_request(&b, next_id++, methods[i]);
		am_put_array(&b, 1);
		put_states(&b, ARPC_NAMES_MAX);
		costs_little(arpc_method_name(methods[i]), &b);
		am_buf_done(&b);
	}
	finish();
}
END_TEST

/* Args of so many bytes. */
enum shape { ELEMENTS, NILS, KEYS, LONG_KEYS, ONE_STRING, N_SHAPES };
static const char *const shapes[] = { "small elements", "nils", "keys",
	"long keys", "one string" };

static void
put_shaped(struct am_buf *b, enum shape shape, size_t len)
{
	static char text[AM_ARGS_MAX * 64];
	char key[16];
	unsigned n;

	memset(text, 'k', sizeof(text));
	switch (shape) {
	case ELEMENTS:
	case NILS:
		am_put_map(b, 1);
		am_put_str(b, "a");
		am_put_array(b, len);
		for (size_t i = 0; i < len; i++) {
			if (shape == NILS)
				am_put_nil(b);
			else
				am_put_uint(b, i % 100);
		}
		return;
	case KEYS:
	case LONG_KEYS:
		n = shape == KEYS ? AM_ARGS_MAX : AM_ARGS_MAX * 3 / 4;
		am_put_map(b, n);
		for (unsigned i = 0; i < n; i++) {
			size_t key_len = shape == KEYS ? 8 : len / n - 8;

			(void)snprintf(key, sizeof(key), "%08u", i);
			memcpy(text + key_len - 8, key, 8);
			am_put_strn(b, text, key_len);
			am_put_nil(b);
			memset(text + key_len - 8, 'k', 8);
		}
		return;
	case ONE_STRING:
		am_put_map(b, 1);
		am_put_str(b, "a");
		am_put_array(b, len / sizeof(text) + 1);
		for (size_t i = 0; i <= len / sizeof(text); i++)
			am_put_strn(b, text, sizeof(text));
		return;
	case N_SHAPES:
		return;
	}
}

static void
args_of(size_t len, am_id state)
{
	for (int i = 0; i < N_SHAPES; i++) {
		struct am_buf b = AM_BUF_INIT;
		char what[64];

		arpc_put_request(&b, next_id++, ARPC_add);
		am_put_array(&b, 2);
		am_put_array(&b, 1);
		am_put_uint(&b, state);
		put_shaped(&b, (enum shape)i, len);
		(void)snprintf(what, sizeof(what), "args of %zu KiB, %s",
		    len / 1024, shapes[i]);
		costs_little(what, &b);
		am_buf_done(&b);
	}
}

START_TEST(args_as_long_as_a_supervisor_takes_them)
{
	begin();
	args_of(60 * 1024, Wrk__COUNT);
	args_of(60 * 1024, Wrk_CancelWork);
	args_of(60 * 1024, Wrk_WorkRequested);
	finish();
}
END_TEST

START_TEST(args_as_long_as_a_worker_takes_them)
{
	begin();
	args_of(15 * 1024 * 1024, Wrk__COUNT);
	finish();
}
END_TEST

START_TEST(acks_of_a_frame_full_of_numbers)
{
	struct am_buf b = AM_BUF_INIT;

	begin();
	for (int i = 0; i < OUTBOX_LEN; i++)
		ck_assert_int_eq(am_worker_event(w->worker, "e", AM_NONE), 0);
	arpc_put_notification(&b, ARPC_ack);
	am_put_array(&b, 1);
	am_put_array(&b, 1000000);
	for (int i = 0; i < 1000000; i++)
		am_put_uint(&b, 100000 + (unsigned)i % 1024);
	costs_little("ack of what is not there", &b);
	am_buf_reset(&b);
	arpc_put_notification(&b, ARPC_ack);
	am_put_array(&b, 1);
	am_put_array(&b, OUTBOX_LEN);
	for (unsigned i = 1; i <= OUTBOX_LEN; i++)
		am_put_uint(&b, i);
	costs_little("ack of a full outbox", &b);
	am_buf_done(&b);
	finish();
}
END_TEST

static void
put_info(struct am_buf *b, const char *topic, uint64_t param)
{
	am_buf_reset(b);
	arpc_put_request(b, next_id++, ARPC_info);
	am_put_array(b, 2);
	am_put_str(b, topic);
	am_put_uint(b, param);
}

START_TEST(what_a_full_outbox_is_asked)
{
	static char kib[1000];
	struct am_buf b = AM_BUF_INIT, data = AM_BUF_INIT;

	begin();
	am_put_bin(&data, kib, sizeof(kib));
	for (int i = 0; i < OUTBOX_LEN - 10; i++)
		ck_assert_int_eq(am_worker_event(w->worker, "e",
				     i < 10000 ? am_buf_val(&data) : AM_NONE),
		    0);
	(void)take_us(NULL, 0);
	put_info(&b, "payloads", 0);
	costs_little("payloads since 0", &b);
	put_info(&b, "payloads", 40000);
	costs_little("payloads since 40000", &b);
	put_info(&b, "payloads", 65000);
	costs_little("payloads since 65000", &b);
	put_info(&b, "open", 0);
	costs_little("open", &b);
	put_info(&b, "status", 0);
	costs_little("status", &b);
	am_buf_done(&b);
	am_buf_done(&data);
	finish();
}
END_TEST

START_TEST(small_frames_with_long_answers)
{
	static const enum arpc_method methods[] = { ARPC_sync, ARPC_schema };
	int64_t best;

	begin();
	best = first_us;
	for (int i = 1; i < ROUNDS; i++) {
		(void)close(fd);
		connect_raw();
		best = first_us < best ? first_us : best;
	}
	printf("# hello, with a schema: %d us\n", (int)best);
	ck_assert_int_le(best, LIMIT_US);
	for (size_t i = 0; i < 2; i++) {
		struct am_buf b = AM_BUF_INIT;
		char what[64];

		arpc_put_request(&b, next_id++, methods[i]);
		am_put_array(&b, 0);
		costs_little(arpc_method_name(methods[i]), &b);
		am_buf_reset(&b);
		for (int n = 0; n < 5000; n++) {
			arpc_put_request(&b, next_id++, methods[i]);
			am_put_array(&b, 0);
		}
		(void)snprintf(what, sizeof(what), "%s, 5,000 of them",
		    arpc_method_name(methods[i]));
		/* A turn takes 256 of them, or 256 KiB of answers. */
		costs_at_most(4 * LIMIT_US, what, &b);
		am_buf_done(&b);
	}
	finish();
}
END_TEST

START_TEST(params_of_any_length)
{
	static const enum arpc_method methods[] = { ARPC_hello, ARPC_info,
		ARPC_trace, ARPC_lease_begin, ARPC_sync, ARPC_schema,
		ARPC_UNKNOWN };
	struct am_buf b = AM_BUF_INIT;

	begin();
	for (size_t i = 0; i < 7; i++) {
		am_buf_reset(&b);
		am_put_array(&b, 4);
		am_put_uint(&b, ARPC_REQUEST);
		am_put_uint(&b, next_id++);
		am_put_str(&b, arpc_method_name(methods[i]));
		am_put_array(&b, 1000001);
		am_put_str(&b, "payloads");
		for (int n = 0; n < 1000000; n++)
			am_put_nil(&b);
		costs_little(arpc_method_name(methods[i]), &b);
	}
	am_buf_done(&b);
	finish();
}
END_TEST

/* k000 .. as many as n, in order; the last one has this value. */
static void
put_keys(struct am_buf *b, unsigned n, unsigned last)
{
	char key[8];

	am_put_map(b, n);
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(key, sizeof(key), "k%03u", i % 1000);
		am_put_str(b, key);
		am_put_uint(b, i == n - 1 ? last : 0);
	}
}

/* As many as a user may have, who misses each by its last key only. */
static void
wait_for_args(am_id state)
{
	struct am_buf b = AM_BUF_INIT;

	for (int i = 0; i < WHEN_ARGS_MAX; i++) {
		arpc_put_request(&b, next_id++, ARPC_when_args);
		am_put_array(&b, 2);
		am_put_uint(&b, state);
		put_keys(&b, AM_WHEN_ARGS_KEYS, 1);
	}
	(void)take_us(b.data, b.len);
	am_buf_done(&b);
}

static void
put_add(struct am_buf *b, am_id state)
{
	am_buf_reset(b);
	arpc_put_request(b, next_id++, ARPC_add);
	am_put_array(b, 2);
	am_put_array(b, 1);
	am_put_uint(b, state);
}

START_TEST(args_that_many_wait_for)
{
	static int fds[USER_WHEN_KEYS / WHEN_ARGS_MAX / AM_WHEN_ARGS_KEYS];
	struct am_buf b = AM_BUF_INIT;
	int64_t best = INT64_MAX;

	begin();
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		fds[i] = fd;
		connect_raw();
		wait_for_args(Wrk_CancelWork);
	}
	put_add(&b, Wrk_CancelWork);
	put_keys(&b, 1000, 0);
	costs_little("args that miss all that wait", &b);
	put_add(&b, Wrk_CancelWork);
	put_keys(&b, AM_WHEN_ARGS_KEYS, 1);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t us = take_us(b.data, b.len);

		best = us < best ? us : best;
		wait_for_args(Wrk_CancelWork);
	}
	printf("# args that match all that wait: %d us\n", (int)best);
	ck_assert_int_le(best, LIMIT_US);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		(void)close(fds[i]);
	am_buf_done(&b);
	finish();
}
END_TEST

START_TEST(mutations_that_all_trace)
{
	static int fds[WORKER_SESSIONS_MAX];
	struct am_buf on = AM_BUF_INIT, b = AM_BUF_INIT;

	begin();
	for (int i = 0; i < WORKER_SESSIONS_MAX; i++) {
		am_buf_reset(&on);
		arpc_put_request(&on, next_id++, ARPC_trace);
		am_put_array(&on, 1);
		am_put_bool(&on, true);
		(void)take_us(on.data, on.len);
		fds[i] = fd;
		if (i < WORKER_SESSIONS_MAX - 1)
			connect_raw();
	}
	arpc_put_request(&b, next_id++, ARPC_add);
	am_put_array(&b, 1);
	put_states(&b, ARPC_NAMES_MAX);
	costs_little("add of all states, traced by all connections", &b);
	for (int i = 0; i < WORKER_SESSIONS_MAX - 1; i++)
		(void)close(fds[i]);
	am_buf_done(&on);
	am_buf_done(&b);
	finish();
}
END_TEST

/* ---- before it is let in ---- */

START_TEST(hello_of_a_stranger)
{
	static const char *const keys[] = { "allow", "prompt" };
	struct am_buf b = AM_BUF_INIT, map = AM_BUF_INIT;
	struct am_error err;
	struct addr a;

	begin();
	ck_assert_int_eq(addr_parse(w->public_path, &a, &err), 0);
	for (int kind = 0; kind < 3; kind++) {
		int64_t best = INT64_MAX;

		am_buf_reset(&b);
		am_buf_reset(&map);
		arpc_put_request(&b, next_id++, ARPC_hello);
		am_put_array(&b, 1);
		am_put_map(&b, kind == 2 ? 20002 : 3);
		am_put_str(&b, "proto");
		am_put_uint(&b, 1);
		am_put_str(&b, "id");
		am_put_uint(&b, 5);
		if (kind < 2) {
			am_put_str(&b, "sync");
			am_put_map(&b, 1);
			am_put_str(&b, keys[kind]);
			am_put_array(&b, 9000);
			for (int i = 0; i < 9000; i++)
				am_put_str(&b, "Ready");
		}
		for (int i = 0; kind == 2 && i < 20000; i++) {
			am_put_str(&b, "a");
			am_put_nil(&b);
		}
		ck_assert_uint_lt(b.len, ARPC_FRAME_SMALL);
		for (int i = 0; i < ROUNDS; i++) {
			int64_t us;

			(void)close(fd);
			fd = addr_connect(&a);
			us = take_us(b.data, b.len);
			best = us < best ? us : best;
		}
		printf("# hello of a stranger: %d us\n", (int)best);
		/* Anybody may connect and send it again. */
		ck_assert_int_le(best, LIMIT_US / 3);
	}
	am_buf_done(&b);
	am_buf_done(&map);
	finish();
}
END_TEST

UNIT_MAIN("cost", mutations_of_many_states,
    args_as_long_as_a_supervisor_takes_them,
    args_as_long_as_a_worker_takes_them, acks_of_a_frame_full_of_numbers,
    what_a_full_outbox_is_asked, small_frames_with_long_answers,
    params_of_any_length, args_that_many_wait_for, mutations_that_all_trace,
    hello_of_a_stranger)
