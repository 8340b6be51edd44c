/* fuzz_codec.c - bytes of a peer, as libFuzzer makes them. The first byte
 * chooses what they are taken for. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "proto/arpc.h"
#include "proto/mp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every decoder gets everything: none may trust that it was meant. */
static void
decode_all(struct am_val params)
{
	static struct arpc_mutation mutation;
	uint64_t ticks[64] = { 0 };
	struct arpc_clock clock = { .tick = ticks, .n = 64 };
	struct arpc_welcome welcome;
	struct arpc_payload payload;
	struct arpc_hello hello;
	struct arpc_lease lease;
	static struct arpc_mutated mutated;
	const char *why, *text;
	const void *bytes;
	uint64_t seq;
	size_t len;

	(void)arpc_hello_get(params, &hello, &why);
	(void)arpc_welcome_get(params, &welcome, &why);
	(void)arpc_mutation_get(params, 64, &mutation, &why);
	(void)arpc_update_get(params, &clock, &why);
	(void)arpc_payload_get(params, &payload, &why);
	(void)arpc_part_get(params, &seq, &bytes, &len, &why);
	(void)arpc_mutated_get(params, 64, &mutated, &why);
	(void)arpc_lease_get(params, &lease, &why);
	(void)arpc_error_get(params, &text, &len);
}

/* What JSON can carry comes back as it went. */
static void
check_round(struct am_val v)
{
	am_cleanup(buf_donep) struct am_buf text = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf again = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf text2 = AM_BUF_INIT;
	struct am_error err;

	if (am_json_encode(v, &text, &err) < 0)
		return;
	assert(am_json_decode(text.data, text.len, &again, &err) == 0);
	assert(am_json_encode(am_buf_val(&again), &text2, &err) == 0);
	assert(text.len == text2.len);
	assert(memcmp(text.data, text2.data, text.len) == 0);
}

static void
fuzz_stream(const uint8_t *data, size_t size)
{
	struct arpc_frame f;
	struct mp_scan scan;
	const char *why;
	size_t off = 0, have = 0, len;

	mp_scan_init(&scan, ARPC_FRAME_MAX, MP_FRAME_DEPTH_MAX);
	while (have < size) {
		enum mp_scan_result r = mp_scan(&scan, data + off, ++have - off,
		    &len);

		if (r == MP_SCAN_MORE)
			continue;
		if (r != MP_SCAN_DONE)
			return;
		/* Byte by byte the end is seen at once. */
		assert(off + len == have);
		if (arpc_frame_get(data + off, len, &f, &why) == 0)
			decode_all(f.params);
		check_round((struct am_val){ data + off, len });
		off += len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	am_cleanup(am_freep) uint8_t *copy = NULL;

	if (size == 0)
		return 0;
	/* A block of its own size, so that ASan sees a byte too far. */
	copy = malloc(size);
	assert(copy != NULL);
	memcpy(copy, data + 1, --size);
	switch (data[0]) {
	case 'f':
		fuzz_stream(copy, size);
		break;
	default:
		/* Not even scanned. */
		decode_all((struct am_val){ copy, size });
		break;
	}
	return 0;
}
