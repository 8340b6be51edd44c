#include "lib/machine/machine.h"

#include <assert.h>
#include <errno.h>

#include "lib/machine/mach.h"

struct am_machine *
mach_new_mirror(struct am_schema *schema, const char *id)
{
	struct am_machine *m = mach_alloc(schema, id);

	if (m != NULL)
		m->mirror = true;
	return m;
}

void
mach_set_remote(struct am_machine *m, struct mach_remote *r)
{
	assert(m->mirror);
	m->remote = r;
}

int
am_on_result(struct am_machine *m, am_result_fn fn, void *arg)
{
	if (m->remote == NULL)
		return -EINVAL;
	m->remote->on_result = fn;
	m->remote->result_arg = arg;
	return 0;
}

void
mach_mirror_set(struct am_machine *m, const uint64_t *ticks,
    uint64_t queue_tick, uint64_t machine_tick)
{
	const struct am_schema *s = m->schema;
	struct set changed;

	assert(m->mirror);
	bits_zero(changed.w, s->nw);
	m->n_active = 0;
	for (size_t i = 0; i < s->len; i++) {
		if (m->clock[i] != ticks[i])
			bits_set(changed.w, i);
		m->clock[i] = ticks[i];
		if (ticks[i] % 2 == 0) {
			bits_clear(m->active, i);
			continue;
		}
		bits_set(m->active, i);
		m->order[m->n_active++] = (am_id)i;
	}
	m->queue_tick = queue_tick;
	m->machine_tick = machine_tick;
	mach_pin(m);
	subs_update(m, changed.w);
	mach_unpin(m);
}

void
mach_sub_fire(struct am_machine *m, am_sub sub)
{
	if (!mach_sub_waits(m, sub))
		return;
	mach_pin(m);
	subs_fire(m, sub);
	mach_unpin(m);
}

void
mach_mirror_tell(struct am_machine *m, const struct am_transition *t)
{
	mach_pin(m);
	trace_remote(m, t);
	mach_unpin(m);
}
