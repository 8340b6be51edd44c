/* arpc_data.c - the messages that carry work: mutations, updates, payloads,
 * leases. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "proto/arpc.h"
#include "proto/bits.h"
#include "proto/mp.h"

static int
bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int64_t
bounded(int64_t duration_ms)
{
	return duration_ms < ARPC_DURATION_MAX_MS ? duration_ms
						  : ARPC_DURATION_MAX_MS;
}

/* ---- mutations ---- */

void
arpc_put_mutation(struct am_buf *b, const am_id *states, size_t n,
    struct am_val args, int64_t deadline_ms)
{
	bool has_args = args.len > 0;
	bool has_deadline = deadline_ms >= 0;

	am_put_array(b, has_deadline ? 3 : has_args ? 2 : 1);
	am_put_array(b, n);
	for (size_t i = 0; i < n; i++)
		am_put_uint(b, states[i]);
	if (has_args || has_deadline)
		am_put_val(b, args);
	if (has_deadline)
		am_put_int(b, deadline_ms);
}

static int
states_get(struct mp *c, size_t n_known, struct arpc_mutation *ret,
    const char **ret_why)
{
	uint64_t seen[BITS_WORDS(ARPC_NAMES_MAX)] = { 0 };
	uint64_t id;
	uint32_t n;

	ret->n_states = 0;
	if (mp_get_array(c, &n) < 0)
		return bad(ret_why, "states are not an array");
	if (n > ARPC_NAMES_MAX)
		return bad(ret_why, "too many states");
	for (uint32_t i = 0; i < n; i++) {
		if (mp_get_uint(c, UINT64_MAX, &id) < 0)
			return bad(ret_why, "a state is not a number");
		if (id >= n_known) {
			*ret_why = "no such state in the schema";
			return -ERANGE;
		}
		if (bits_test(seen, id))
			continue;
		bits_set(seen, id);
		ret->states[ret->n_states++] = (am_id)id;
	}
	return 0;
}

int
arpc_args_get(struct mp *c, struct am_val *ret, const char **ret_why)
{
	*ret = AM_NONE;
	if (mp_get_nil(c) == 0)
		return 0;
	switch (mp_get_args(c, ret)) {
	case 0:
		return 0;
	case -EEXIST:
		return bad(ret_why, "args have a duplicate key");
	case -E2BIG:
		return bad(ret_why, "args have more than 1,024 keys");
	default:
		return bad(ret_why, "args are not a map with string keys");
	}
}

int
arpc_mutation_get(struct am_val params, size_t n_known,
    struct arpc_mutation *ret, const char **ret_why)
{
	struct mp c = mp_of(params);
	uint64_t deadline_ms;
	uint32_t n;
	int r;

	if (mp_get_array(&c, &n) < 0 || n < 1 || n > 3)
		return bad(ret_why, "params are not [states, args, deadline]");
	r = states_get(&c, n_known, ret, ret_why);
	if (r < 0)
		return r;
	ret->args = AM_NONE;
	ret->deadline_ms = -1;
	if (n > 1 && arpc_args_get(&c, &ret->args, ret_why) < 0)
		return -EBADMSG;
	if (n > 2 && mp_get_nil(&c) < 0) {
		if (mp_get_uint(&c, INT64_MAX, &deadline_ms) < 0)
			return bad(ret_why, "the deadline is not a number");
		ret->deadline_ms = bounded((int64_t)deadline_ms);
	}
	return 0;
}

/* ---- updates ---- */

uint8_t
arpc_clock_sum(const struct arpc_clock *c)
{
	uint64_t sum = c->queue_tick + c->machine_tick;

	for (size_t i = 0; i < c->n; i++)
		sum += c->tick[i];
	return (uint8_t)sum;
}

void
arpc_put_update(struct am_buf *b, struct arpc_clock *sent, const uint64_t *now,
    uint64_t queue_tick)
{
	uint64_t delta = queue_tick - sent->queue_tick, sum = delta;
	size_t changed = 0;

	for (size_t i = 0; i < sent->n; i++) {
		changed += now[i] != sent->tick[i];
		sum += now[i] - sent->tick[i];
	}
	sent->queue_tick = queue_tick;
	sent->sum = (uint8_t)(sent->sum + sum);
	am_put_array(b, 2 + 2 * changed);
	am_put_uint(b, delta);
	am_put_uint(b, sent->sum);
	for (size_t i = 0; changed > 0; i++) {
		if (now[i] == sent->tick[i])
			continue;
		am_put_uint(b, i);
		am_put_uint(b, now[i] - sent->tick[i]);
		sent->tick[i] = now[i];
		changed--;
	}
}

int
arpc_update_get(struct am_val update, struct arpc_clock *clock,
    const char **ret_why)
{
	struct mp c = mp_of(update);
	uint64_t delta, sum, id;
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n < 2 || n % 2 != 0)
		return bad(ret_why, "an update is not an array of pairs");
	if (mp_get_uint(&c, UINT64_MAX, &delta) < 0 ||
	    mp_get_uint(&c, UINT8_MAX, &sum) < 0)
		return bad(ret_why, "an update has no queue tick or checksum");
	clock->queue_tick += delta;
	clock->sum = (uint8_t)(clock->sum + delta);
	for (n -= 2; n > 0; n -= 2) {
		if (mp_get_uint(&c, UINT64_MAX, &id) < 0 || id >= clock->n)
			return bad(ret_why, "an update names an unknown state");
		if (mp_get_uint(&c, UINT64_MAX, &delta) < 0)
			return bad(ret_why, "a tick is not a number");
		clock->tick[id] += delta;
		clock->sum = (uint8_t)(clock->sum + delta);
	}
	if (clock->sum != sum) {
		*ret_why = "the checksum differs";
		return -EILSEQ;
	}
	return 0;
}

/* ---- mutations as they happened ---- */

int
arpc_mutated_get(struct am_val params, size_t n_known, struct arpc_mutated *ret,
    const char **ret_why)
{
	struct mp c = mp_of(params);
	uint64_t op, flags, id;
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n < 4 ||
	    mp_get_val(&c, &ret->update) < 0 || mp_get_uint(&c, 2, &op) < 0 ||
	    mp_get_array(&c, &n) < 0 || n > ARPC_NAMES_MAX)
		return bad(ret_why, "m is not [update, op, called, flags]");
	for (uint32_t i = 0; i < n; i++) {
		if (mp_get_uint(&c, UINT64_MAX, &id) < 0 || id >= n_known)
			return bad(ret_why, "m names an unknown state");
		ret->called[i] = (am_id)id;
	}
	if (mp_get_uint(&c, UINT32_MAX, &flags) < 0)
		return bad(ret_why, "m has no flags");
	ret->op = (unsigned)op;
	ret->flags = (unsigned)flags;
	ret->n_called = n;
	return 0;
}

/* ---- payloads ---- */

const char *
arpc_payload_kind_name(enum arpc_payload_kind kind)
{
	switch (kind) {
	case ARPC_P_RESULT:
		return "result";
	case ARPC_P_PROGRESS:
		return "progress";
	case ARPC_P_CHUNK:
		return "chunk";
	case ARPC_P_EVENT:
		return "event";
	}
	return "?";
}

void
arpc_put_payload(struct am_buf *b, uint64_t seq, uint32_t req,
    enum arpc_payload_kind kind, const char *name, const char *source,
    struct am_val data)
{
	arpc_put_notification(b, ARPC_p);
	am_put_array(b, 6);
	am_put_uint(b, seq);
	am_put_uint(b, req);
	am_put_uint(b, kind);
	am_put_str(b, name == NULL ? "" : name);
	am_put_str(b, source == NULL ? "" : source);
	am_put_val(b, data);
}

void
arpc_put_payload_head(struct am_buf *b, uint64_t seq, uint32_t req,
    enum arpc_payload_kind kind, const char *name, const char *source,
    size_t total)
{
	arpc_put_notification(b, ARPC_p);
	am_put_array(b, 7);
	am_put_uint(b, seq);
	am_put_uint(b, req);
	am_put_uint(b, kind);
	am_put_str(b, name == NULL ? "" : name);
	am_put_str(b, source == NULL ? "" : source);
	am_put_nil(b);
	am_put_uint(b, total);
}

void
arpc_put_part(struct am_buf *b, uint64_t seq, const void *p, size_t len)
{
	arpc_put_notification(b, ARPC_part);
	am_put_array(b, 2);
	am_put_uint(b, seq);
	if (p == NULL)
		am_put_nil(b);
	else
		am_put_bin(b, p, len);
}

int
arpc_part_get(struct am_val params, uint64_t *ret_seq, const void **ret_bytes,
    size_t *ret_len, const char **ret_why)
{
	struct mp c = mp_of(params);
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n < 2 ||
	    mp_get_uint(&c, UINT64_MAX, ret_seq) < 0)
		return bad(ret_why, "a part is not [seq, bytes]");
	*ret_bytes = NULL;
	*ret_len = 0;
	if (mp_get_nil(&c) == 0)
		return 0;
	if (mp_get_bin(&c, ret_bytes, ret_len) < 0)
		return bad(ret_why, "a part is not binary");
	return 0;
}

int
arpc_payload_get(struct am_val params, struct arpc_payload *ret,
    const char **ret_why)
{
	struct mp c = mp_of(params);
	struct arpc_payload p;
	uint64_t req, kind, total = 0;
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n < 6 || n > 7)
		return bad(ret_why, "a payload does not have six elements");
	if (mp_get_uint(&c, UINT64_MAX, &p.seq) < 0 ||
	    mp_get_uint(&c, UINT32_MAX, &req) < 0)
		return bad(ret_why, "a payload's seq or req is not a number");
	if (mp_get_uint(&c, ARPC_P_EVENT, &kind) < 0)
		return bad(ret_why, "a payload has an unknown kind");
	if (mp_type(&c) != MP_STR || mp_get_val(&c, &p.name) < 0 ||
	    mp_type(&c) != MP_STR || mp_get_val(&c, &p.source) < 0)
		return bad(ret_why,
		    "the name or source of a payload is not a string");
	if (mp_get_val(&c, &p.data) < 0)
		return bad(ret_why, "a payload has no data");
	if (n == 7 &&
	    (mp_get_uint(&c, ARPC_PAYLOAD_MAX, &total) < 0 || total == 0))
		return bad(ret_why, "a payload has no valid length");
	p.total = (size_t)total;
	p.req = (uint32_t)req;
	p.kind = (enum arpc_payload_kind)kind;
	*ret = p;
	return 0;
}

/* ---- leases ---- */

void
arpc_put_lease(struct am_buf *b, const struct arpc_lease *l)
{
	am_put_array(b, 1);
	am_put_map(b, 5);
	am_put_str(b, "lease");
	am_put_str(b, l->lease);
	am_put_str(b, "token");
	am_put_bin(b, l->token, sizeof(l->token));
	am_put_str(b, "client");
	am_put_str(b, l->client);
	am_put_str(b, "ttl_ms");
	am_put_int(b, l->ttl_ms);
	am_put_str(b, "max_ms");
	am_put_int(b, l->max_ms);
}

int
arpc_lease_get(struct am_val params, struct arpc_lease *ret,
    const char **ret_why)
{
	struct mp c = mp_of(params);
	struct arpc_lease l;
	struct am_val map;
	const void *token;
	size_t len;
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n != 1 || mp_get_val(&c, &map) < 0)
		return bad(ret_why, "params are not one map");
	if (am_get_text(map, "lease", l.lease, sizeof(l.lease)) < 0)
		return bad(ret_why,
		    "\"lease\" is not a text of at most 39 bytes");
	if (am_get_bin(map, "token", &token, &len) < 0 ||
	    len != sizeof(l.token))
		return bad(ret_why, "\"token\" is not 16 bytes of binary");
	memcpy(l.token, token, len);
	if (am_get_text(map, "client", l.client, sizeof(l.client)) < 0)
		return bad(ret_why,
		    "\"client\" is not a text of at most 63 bytes");
	if (am_get_int(map, "ttl_ms", &l.ttl_ms) < 0 || l.ttl_ms < 0 ||
	    am_get_int(map, "max_ms", &l.max_ms) < 0 || l.max_ms < 0)
		return bad(ret_why,
		    "\"ttl_ms\" or \"max_ms\" is not a duration");
	l.ttl_ms = bounded(l.ttl_ms);
	l.max_ms = bounded(l.max_ms);
	*ret = l;
	return 0;
}
