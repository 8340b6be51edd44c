/* Exports and imports the clocks of a machine, and extends its schema. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/machine/mlog.h"
#include "proto/mp.h"

/* ---- a longer schema ---- */

static bool
is_longer(const struct am_schema *old, const struct am_schema *s)
{
	if (s->len <= old->len)
		return false;
	for (size_t i = 0; i < old->len; i++)
		if (strcmp(s->row[i].name, old->row[i].name) != 0)
			return false;
	return true;
}

/* -EINVAL: it is not an extension. */
static int
grow(struct am_machine *m, struct am_schema *s)
{
	const struct am_schema *old = m->schema;
	size_t size = (s->len + (size_t)s->nw) * sizeof(uint64_t) +
	    s->len * sizeof(am_id);
	struct subs *subs;
	uint64_t *block;

	if (!is_longer(old, s))
		return -EINVAL;
	block = calloc(1, size);
	subs = subs_longer(m, s);
	if (block == NULL || (subs == NULL && m->subs != NULL) ||
	    tables_move(m, s) < 0) {
		free(block);
		free(subs);
		return -ENOMEM;
	}
	subs_move(m, s, subs);
	memcpy(block, m->clock, old->len * sizeof(*m->clock));
	bits_copy(block + s->len, m->active, old->nw);
	memcpy(block + s->len + s->nw, m->order, m->n_active * sizeof(am_id));
	free(m->block);
	m->block = block;
	m->clock = block;
	m->active = block + s->len;
	m->order = (am_id *)(m->active + s->nw);
	/* The list is sorted by the old relations. */
	m->steady = STEADY_NO;
	am_schema_unref(m->schema);
	m->schema = am_schema_ref(s);
	return 0;
}

int
am_set_schema(struct am_machine *m, struct am_schema *s)
{
	int r;

	if (m->draining || m->dying || m->mirror)
		return -EBUSY;
	r = grow(m, s);
	if (r < 0)
		return r;
	mach_pin(m);
	trace_schema_changed(m);
	mach_unpin(m);
	return 0;
}

int
mach_mirror_grow(struct am_machine *m, struct am_schema *s)
{
	assert(m->mirror);
	return m->draining || m->dying ? -EBUSY : grow(m, s);
}

/* ---- export ---- */

int
am_export(const struct am_machine *m, struct am_buf *out)
{
	const struct am_schema *s = m->schema;

	am_put_map(out, 5);
	am_put_str(out, "id");
	am_put_str(out, m->id);
	am_put_str(out, "states");
	am_put_array(out, s->len);
	for (size_t i = 0; i < s->len; i++)
		am_put_str(out, s->row[i].name);
	am_put_str(out, "time");
	am_put_array(out, s->len);
	for (size_t i = 0; i < s->len; i++)
		am_put_uint(out, m->clock[i]);
	am_put_str(out, "machine_tick");
	am_put_uint(out, m->machine_tick);
	am_put_str(out, "queue_tick");
	am_put_uint(out, m->queue_tick);
	return am_buf_error(out);
}

/* ---- import ---- */

struct import {
	uint64_t machine_tick;
	uint64_t queue_tick;
	uint64_t clock[AM_STATES_MAX]; /* by our ids */
	am_id order[AM_STATES_MAX];    /* our ids in the order of the export */
};

static int
get_number(struct am_val v, const char *key, uint64_t *ret)
{
	struct am_val n;
	struct mp c;

	if (am_get(v, key, &n) < 0)
		return -EINVAL;
	c = mp_of(n);
	return mp_get_uint(&c, UINT64_MAX, ret) < 0 ? -EINVAL : 0;
}

static int
open_array(const struct am_machine *m, struct am_val v, const char *key,
    struct mp *ret, struct am_error *err)
{
	struct am_val a;
	uint32_t n;

	if (am_get(v, key, &a) < 0)
		return error_set(err, "is not an export: \"%s\" is missing",
		    key);
	*ret = mp_of(a);
	if (mp_get_array(ret, &n) < 0)
		return error_set(err,
		    "is not an export: \"%s\" is not an array", key);
	if (n != m->schema->len)
		return error_set(err, "has %u %s: the machine has %u states", n,
		    key, m->schema->len);
	return 0;
}

static int
read_clocks(const struct am_machine *m, struct am_val v, struct import *im,
    struct am_error *err)
{
	const struct am_schema *s = m->schema;
	struct set seen;
	struct mp names, time;
	int r = open_array(m, v, "states", &names, err);

	if (r == 0)
		r = open_array(m, v, "time", &time, err);
	bits_zero(seen.w, s->nw);
	for (size_t i = 0; r == 0 && i < s->len; i++) {
		const char *name;
		uint64_t tick;
		size_t len;
		int id;

		if (mp_get_str(&names, &name, &len) < 0 ||
		    mp_get_uint(&time, UINT64_MAX, &tick) < 0)
			return error_set(err,
			    "is not an export: state %zu has no name or no "
			    "tick",
			    i);
		id = am_schema_id(s, name, len);
		if (id < 0 || bits_test(seen.w, (size_t)id))
			return error_set(err, "state \"%.*s\": %s",
			    len < 128 ? (int)len : 128, name,
			    id < 0 ? "no such state" : "is there twice");
		bits_set(seen.w, (size_t)id);
		im->order[i] = (am_id)id;
		im->clock[id] = tick;
	}
	return r;
}

static int
read_import(const struct am_machine *m, struct am_val v, struct import *im,
    struct am_error *err)
{
	const char *id;
	size_t len;

	if (!mp_is_value(v) || am_get_str(v, "id", &id, &len) < 0)
		return error_set(err, "is not an export: \"id\" is missing");
	if (strlen(m->id) != len || memcmp(m->id, id, len) != 0)
		return error_set(err, "is of machine \"%.*s\", not of \"%s\"",
		    len < 128 ? (int)len : 128, id, m->id);
	if (get_number(v, "machine_tick", &im->machine_tick) < 0 ||
	    get_number(v, "queue_tick", &im->queue_tick) < 0)
		return error_set(err, "is not an export: a tick is missing");
	return read_clocks(m, v, im, err);
}

static void
take_over(struct am_machine *m, const struct import *im, uint64_t *ret_changed)
{
	const struct am_schema *s = m->schema;

	bits_zero(ret_changed, s->nw);
	bits_zero(m->active, s->nw);
	m->n_active = 0;
	for (size_t i = 0; i < s->len; i++) {
		am_id id = im->order[i];

		if (m->clock[id] != im->clock[id])
			bits_set(ret_changed, id);
		m->clock[id] = im->clock[id];
		if (m->clock[id] % 2 == 0)
			continue;
		bits_set(m->active, id);
		m->order[m->n_active++] = id;
	}
	m->steady = STEADY_NO;
	m->machine_tick = im->machine_tick + 1;
}

int
am_import(struct am_machine *m, struct am_val exported, struct am_error *err)
{
	int restored = am_schema_id(m->schema, "MachineRestored", 15);
	struct set changed;
	struct import im;

	if (m->draining || m->dying || m->mirror) {
		(void)error_set(err,
		    "not possible during a drain, or for a mirror");
		return -EBUSY;
	}
	if (read_import(m, exported, &im, err) < 0)
		return -EINVAL;
	take_over(m, &im, changed.w);
	if (m->logger != NULL) {
		mlog_line(m, AM_LOG_CHANGES,
		    "[import] imported %llu times, now at %llu ticks",
		    (unsigned long long)m->machine_tick,
		    (unsigned long long)m->queue_tick);
		mlog_line(m, AM_LOG_OPS, "[import] exported at %llu ticks",
		    (unsigned long long)im.queue_tick);
	}
	mach_pin(m);
	subs_update(m, changed.w);
	if (restored >= 0 && !m->dying)
		(void)am_add1(m, (am_id)restored, AM_NONE);
	mach_unpin(m);
	return 0;
}
