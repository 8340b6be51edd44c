/* Reads a machine: states, ticks, contexts, reasons. */
#include "lib/machine/mlog.h"

#include <assert.h>
#include <errno.h>

const char *
am_machine_id(const struct am_machine *m)
{
	return m->id;
}

void
mach_set_owner(struct am_machine *m, void *owner)
{
	m->owner = owner;
}

void *
mach_owner(const struct am_machine *m)
{
	return m->owner;
}

struct am_schema *
am_machine_schema(const struct am_machine *m)
{
	return m->schema;
}

bool
am_is1(const struct am_machine *m, am_id state)
{
	assert(state < m->schema->len);
	return bits_test(m->active, state) && !m->dying;
}

bool
am_is(const struct am_machine *m, const am_id *states, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!am_is1(m, states[i]))
			return false;
	return !m->dying;
}

bool
am_any(const struct am_machine *m, const am_id *states, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (am_is1(m, states[i]))
			return true;
	return false;
}

bool
am_not(const struct am_machine *m, const am_id *states, size_t n)
{
	return !am_any(m, states, n) && !m->dying;
}

int
am_switch(const struct am_machine *m, const struct am_list *groups, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < groups[i].len; k++)
			if (am_is1(m, groups[i].id[k]))
				return groups[i].id[k];
	return -ENOENT;
}

uint64_t
am_tick(const struct am_machine *m, am_id state)
{
	assert(state < m->schema->len);
	return m->clock[state];
}

const uint64_t *
am_time(const struct am_machine *m)
{
	return m->clock;
}

uint64_t
am_queue_tick(const struct am_machine *m)
{
	return m->queue_tick;
}

uint64_t
am_machine_tick(const struct am_machine *m)
{
	return m->machine_tick;
}

const am_id *
am_active(const struct am_machine *m, size_t *ret_n)
{
	*ret_n = m->n_active;
	return m->order;
}

bool
am_draining(const struct am_machine *m)
{
	return m->draining;
}

struct am_source
mach_source(const struct am_machine *m)
{
	struct am_source s = { .machine = m->id,
		.transition = m->n_transitions };

	for (size_t i = 0; i < m->schema->len; i++)
		s.time += m->clock[i];
	return s;
}

struct am_source
am_source_of(const struct am_event *ev)
{
	return mach_source(ev->machine);
}

struct am_ctx
am_ctx(const struct am_machine *m, am_id state)
{
	if (m->logger != NULL)
		mlog_ctx_new(m, state);
	return (struct am_ctx){
		.machine = m,
		.state = state,
		.tick = am_tick(m, state),
	};
}

bool
am_ctx_valid(struct am_ctx c)
{
	return am_tick(c.machine, c.state) == c.tick;
}

const char *
am_why(const struct am_machine *m)
{
	return m->why != NULL ? m->why : "";
}

const char *
am_last_error(const struct am_machine *m)
{
	return m->last_error != NULL ? m->last_error : "";
}
