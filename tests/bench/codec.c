/* codec.c - messages to bytes and back, JSON in and out. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "proto/arpc.h"
#include "proto/mp.h"
#include "tests/bench/bench.h"

static void
one_call(void *arg, uint64_t n)
{
	static struct arpc_mutation m;
	struct am_buf *b = (struct am_buf *)arg;
	struct arpc_frame f;
	struct mp_scan scan;
	const am_id id = 17;
	const char *why;
	size_t len;

	mp_scan_init(&scan, ARPC_FRAME_MAX, MP_FRAME_DEPTH_MAX);
	for (uint64_t i = 0; i < n; i++) {
		am_buf_reset(b);
		arpc_put_request(b, (uint16_t)i, ARPC_add);
		arpc_put_mutation(b, &id, 1, AM_NONE, -1);
		assert(mp_scan(&scan, (const uint8_t *)b->data, b->len, &len) ==
		    MP_SCAN_DONE);
		assert(arpc_frame_get(b->data, len, &f, &why) == 0);
		assert(arpc_mutation_get(f.params, 64, &m, &why) == 0);
	}
}

static void
one_update(void *arg, uint64_t n)
{
	enum { N = 64 };
	struct am_buf *b = (struct am_buf *)arg;
	uint64_t now[N] = { 0 }, there[N] = { 0 }, here[N] = { 0 };
	struct arpc_clock sent = { .tick = there, .n = N };
	struct arpc_clock got = { .tick = here, .n = N };
	const char *why;

	for (uint64_t i = 0; i < n; i++) {
		am_buf_reset(b);
		now[17]++;
		arpc_put_update(b, &sent, now, i);
		assert(arpc_update_get(am_buf_val(b), &got, &why) == 0);
	}
}

static void
one_json(void *arg, uint64_t n)
{
	static const char json[] =
	    "{\"id\":17,\"path\":\"/etc/services\",\"top\":[[\"tcp\",42]]}";
	struct am_buf *b = (struct am_buf *)arg;
	struct am_buf text = AM_BUF_INIT;

	for (uint64_t i = 0; i < n; i++) {
		am_buf_reset(b);
		am_buf_reset(&text);
		assert(am_json_decode(json, sizeof(json) - 1, b, NULL) == 0);
		assert(am_json_encode(am_buf_val(b), &text, NULL) == 0);
	}
	am_buf_done(&text);
}

void
bench_codec(void)
{
	struct am_buf b = AM_BUF_INIT;
	struct bench_figure f = { .unit = "ns", .floor = NAN, .budget = NAN };

	f.name = "c1";
	f.what = "a call: encode, scan, decode";
	f.value = bench_ns("c1", one_call, &b);
	bench_report(&f);
	f.name = "c2";
	f.what = "an update of one of 64 states: encode, apply";
	f.value = bench_ns("c2", one_update, &b);
	bench_report(&f);
	f.name = "c3";
	f.what = "a JSON object of 50 bytes: decode, encode";
	f.value = bench_ns("c3", one_json, &b);
	f.budget = 400;
	bench_report(&f);
	am_buf_done(&b);
}
