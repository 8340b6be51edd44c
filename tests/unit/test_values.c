/* Values at each entry: what the other end would refuse is refused here, and
 * what can be asked can be answered. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/machine/machine.h"
#include "proto/mp.h"
#include "tests/unit/worker_rig.h"

enum { ROOM = 1 << 20 };

static struct am_val
val(const char *bytes, size_t len)
{
	return (struct am_val){ bytes, len };
}

/* A map {"a": [[...]]} of so many levels. */
static void
put_nested(struct am_buf *b, unsigned depth)
{
	am_put_map(b, 1);
	am_put_str(b, "a");
	for (unsigned i = 2; i < depth; i++)
		am_put_array(b, 1);
	am_put_array(b, 0);
}

/* n keys, of which so many differ. */
static void
put_keys(struct am_buf *b, unsigned n, unsigned n_different)
{
	am_put_map(b, n);
	for (unsigned i = 0; i < n; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "key%u", i % n_different);
		am_put_str(b, key);
		am_put_uint(b, i);
	}
}

START_TEST(a_value_is_whole_and_of_32_levels)
{
	static const struct {
		const char *bytes;
		size_t len;
		int value;
		int args;
	} cases[] = {
		{ NULL, 0, 0, 0 },
		{ "x", 0, 0, 0 },
		{ "\x80", 1, 0, 0 },
		{ "\xc0", 1, 0, -EINVAL },
		{ "\x90", 1, 0, -EINVAL },
		{ "\xc1", 1, -EINVAL, -EINVAL },
		{ "\x81\xa1k", 3, -EINVAL, -EINVAL },
		{ "\x81\xa1k\x01", 4, 0, 0 },
		{ "\x81\xa1k\x01\x01", 5, -EINVAL, -EINVAL },
		{ "\x81\x01\x01", 3, 0, -EINVAL },
		{ "\x82\xa1k\x01\xa1k\x02", 7, 0, -EINVAL },
		{ "\x82\xa1k\x01\xa1l\x02", 7, 0, 0 },
		{ "\x82\xa1k\x01\xd9\x01k\x02", 8, 0, -EINVAL },
		{ "\xdf\xff\xff\xff\xff", 5, -EINVAL, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct am_val v = val(cases[i].bytes, cases[i].len);

		ck_assert_int_eq(am_val_check(v, ROOM), cases[i].value);
		ck_assert_int_eq(am_args_check(v, ROOM), cases[i].args);
	}
	for (unsigned depth = 31; depth <= 33; depth++) {
		struct am_buf b = AM_BUF_INIT;
		int r = depth <= 32 ? 0 : -EINVAL;

		put_nested(&b, depth);
		ck_assert_int_eq(am_val_check(am_buf_val(&b), ROOM), r);
		ck_assert_int_eq(am_args_check(am_buf_val(&b), ROOM), r);
		ck_assert_int_eq(am_val_check(am_buf_val(&b), b.len - 1),
		    -E2BIG);
		am_buf_done(&b);
	}
}
END_TEST

START_TEST(a_key_comes_once_among_few_and_many)
{
	static const unsigned counts[] = { 2, 8, 9, 100, AM_ARGS_MAX };

	for (size_t i = 0; i < 5; i++) {
		struct am_buf b = AM_BUF_INIT;

		put_keys(&b, counts[i], counts[i]);
		ck_assert_int_eq(am_args_check(am_buf_val(&b), ROOM), 0);
		am_buf_reset(&b);
		put_keys(&b, counts[i], counts[i] - 1);
		ck_assert_int_eq(am_args_check(am_buf_val(&b), ROOM), -EINVAL);
		am_buf_reset(&b);
		put_keys(&b, AM_ARGS_MAX + counts[i], AM_ARGS_MAX + counts[i]);
		ck_assert_int_eq(am_args_check(am_buf_val(&b), ROOM), -E2BIG);
		am_buf_done(&b);
	}
}
END_TEST

/* What is refused at each entry of a connection. */
static const struct {
	const char *bytes;
	size_t len;
	int r;
} bad_args[] = {
	{ "\xc1", 1, -EINVAL },
	{ "\x81\xa1k", 3, -EINVAL },
	{ "\x93\x01\x02\x03", 4, -EINVAL },
	{ "\x82\xa1k\x01\xa1k\x02", 7, -EINVAL },
};

static struct am_val
failed_value(struct am_buf *b)
{
	(void)am_buf_reserve(b, SIZE_MAX);
	return am_buf_val(b);
}

/* More than a frame carries. */
static struct am_val
large_value(struct am_buf *b, size_t len)
{
	static char zeros[1 << 20];

	am_put_map(b, 1);
	am_put_str(b, "a");
	am_put_array(b, len / sizeof(zeros) + 1);
	for (size_t i = 0; i <= len / sizeof(zeros); i++)
		am_put_bin(b, zeros, sizeof(zeros));
	return am_buf_val(b);
}

static int
send_all_ways(struct netmach *nm, struct am_val args)
{
	const am_id state = Wrk_WorkRequested;
	int r;

	r = netmach_mutate(nm, AM_ADD, &state, 1, args, -1, NULL, NULL);
	ck_assert_int_eq(netmach_mutate(nm, AM_ADD, &state, 1, args, -1,
			     world_on_reply, NULL),
	    r);
	ck_assert_int_eq(netmach_mutate_once(nm, AM_ADD, &state, 1, args,
			     world_on_reply, NULL),
	    r);
	ck_assert_int_eq(netmach_mutate(nm, AM_CAN_ADD, &state, 1, args, -1,
			     world_on_reply, NULL),
	    r);
	ck_assert_int_eq(netmach_when_args(nm, state, args, world_on_reply,
			     NULL),
	    r);
	return r;
}

START_TEST(a_connection_carries_no_bad_args)
{
	struct world *w = leased();
	struct am_buf b = AM_BUF_INIT;
	struct netmach *nm = w->client.nm;

	for (size_t i = 0; i < sizeof(bad_args) / sizeof(bad_args[0]); i++)
		ck_assert_int_eq(send_all_ways(nm,
				     val(bad_args[i].bytes, bad_args[i].len)),
		    bad_args[i].r);
	ck_assert_int_eq(send_all_ways(nm, failed_value(&b)), -ENOMEM);
	ck_assert_int_eq(netmach_info(nm, val("\xc1", 1), world_on_reply, NULL),
	    -EINVAL);
	am_buf_reset(&b);
	ck_assert_int_eq(send_all_ways(nm, large_value(&b, ARPC_FRAME_MAX)),
	    -E2BIG);
	/* Its own limit is shorter, and it has said so. */
	am_buf_reset(&b);
	(void)large_value(&b, 0);
	ck_assert_int_eq(send_all_ways(w->super.nm, am_buf_val(&b)), -E2BIG);
	/* A length of 0 is none, wherever it points to. */
	w->client.replied = false;
	ck_assert_int_gt(netmach_mutate(nm, AM_ADD,
			     &(am_id){ Wrk_WorkRequested }, 1, val("abc", 0),
			     -1, world_on_reply, &w->client),
	    0);
	world_until(w, &w->client.replied);
	ck_assert_uint_eq(w->client.result, AM_EXECUTED);
	ck_assert(w->client.ready && !w->client.closed);
	ck_assert_uint_eq(w->n_reqs, 1);
	am_buf_done(&b);
	world_free(w);
}
END_TEST

START_TEST(a_mirror_sends_no_bad_args)
{
	struct world *w = leased();
	struct am_machine *m = netmach_mirror(w->client.nm);
	const am_id ids[] = { Wrk_WorkRequested };
	struct am_buf b = AM_BUF_INIT;

	for (size_t i = 0; i < sizeof(bad_args) / sizeof(bad_args[0]); i++) {
		struct am_val v = val(bad_args[i].bytes, bad_args[i].len);

		ck_assert_uint_eq(am_add1(m, ids[0], v), AM_CANCELED);
		ck_assert_str_eq(am_why(m),
		    "the args are not a map, or malformed");
		ck_assert_uint_eq(am_set(m, ids, 1, v), AM_CANCELED);
		ck_assert_uint_eq(am_can_add(m, ids, 1, v), AM_CANCELED);
	}
	ck_assert_uint_eq(am_add1(m, ids[0], failed_value(&b)), AM_CANCELED);
	ck_assert_str_eq(am_why(m), "out of memory");
	ck_assert_uint_ge(am_add1(m, ids[0], AM_NONE), AM_QUEUED);
	am_buf_done(&b);
	world_free(w);
}
END_TEST

static void
check_answers(struct world *w, struct am_val v, int r)
{
	struct am_worker *k = w->worker;

	ck_assert_int_eq(am_worker_progress(k, w->req[0], v), r);
	ck_assert_int_eq(am_worker_chunk(k, w->req[0], v), r);
	ck_assert_int_eq(am_worker_event(k, "e", v), r);
	ck_assert_int_eq(am_worker_answer(k, w->req[0], v), r);
}

START_TEST(a_worker_sends_no_bad_data)
{
	struct world *w = leased();
	struct am_buf b = AM_BUF_INIT;

	request(w, NULL);
	check_answers(w, val("\xc1", 1), -EINVAL);
	check_answers(w, val("\x92\x01", 2), -EINVAL);
	check_answers(w, val("\x01\x02", 2), -EINVAL);
	check_answers(w, failed_value(&b), -ENOMEM);
	am_buf_reset(&b);
	put_nested(&b, 33);
	check_answers(w, am_buf_val(&b), -EINVAL);
	am_buf_reset(&b);
	check_answers(w, large_value(&b, ARPC_PAYLOAD_MAX), -E2BIG);
	check_answers(w, val("abc", 0), 0);
	got(w, 4);
	ck_assert(w->client.ready && !w->client.closed);
	am_buf_done(&b);
	world_free(w);
}
END_TEST

/* What waits for an answer is kept, at most 64 MiB of it. */
START_TEST(large_requests_fill_the_window_sooner)
{
	struct world *w = idle();
	struct am_buf b = AM_BUF_INIT;
	struct am_val large = large_value(&b, 14 << 20);
	uint64_t req[4];

	world_supervisor(w);
	world_client(w);
	w->wlog.off = w->clog.off = true;
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(am_client_request(w->c, large, -1, &req[i]),
		    0);
	ck_assert_int_eq(am_client_request(w->c, large, -1, NULL), -EBUSY);
	ck_assert_int_eq(am_client_cancel(w->c, req[0]), 0);
	world_until_true(w, w->n_reqs == 4);
	ck_assert_int_eq(am_client_request(w->c, large, -1, NULL), 0);
	am_buf_done(&b);
	world_free(w);
}
END_TEST

START_TEST(what_can_be_asked_can_be_answered)
{
	struct world *w = leased();
	const am_id state = Wrk_WorkRequested;
	struct am_buf b = AM_BUF_INIT;

	w->client.no_ack = true;
	put_nested(&b, 32);
	w->client.replied = false;
	ck_assert_int_gt(netmach_mutate(w->client.nm, AM_ADD, &state, 1,
			     am_buf_val(&b), -1, world_on_reply, &w->client),
	    0);
	world_until(w, &w->client.replied);
	ck_assert_uint_eq(w->client.result, AM_EXECUTED);
	ck_assert_int_eq(am_worker_answer(w->worker, w->req[0], am_buf_val(&b)),
	    0);
	got(w, 1);
	/* Inside the answer to info, too. */
	world_info(w, &w->client, "payloads");
	ck_assert_int_eq(w->client.status, NETMACH_OK);
	ck_assert_ptr_nonnull(
	    memmem(w->client.value.data, w->client.value.len, b.data, b.len));
	am_buf_done(&b);
	world_free(w);
}
END_TEST

UNIT_MAIN("values", a_value_is_whole_and_of_32_levels,
    a_key_comes_once_among_few_and_many, a_connection_carries_no_bad_args,
    a_mirror_sends_no_bad_args, a_worker_sends_no_bad_data,
    large_requests_fill_the_window_sooner, what_can_be_asked_can_be_answered)
