/* Creates and frees machines. */
#include "lib/machine/mlog.h"

#include <stdlib.h>

#ifndef MACHINE_FAST
#define MACHINE_FAST 1 /* 0: each transition is planned by resolve() */
#endif

struct am_machine *
mach_alloc(struct am_schema *schema, const char *id)
{
	size_t len = schema->len, nw = schema->nw;
	size_t id_size = strlen(id) + 1;
	struct am_machine *m = calloc(1,
	    sizeof(*m) + (len + nw) * sizeof(uint64_t) + len * sizeof(am_id) +
		id_size);

	if (m == NULL)
		return NULL;
	m->clock = (uint64_t *)(m + 1);
	m->active = m->clock + len;
	m->order = (am_id *)(m->active + nw);
	m->id = (char *)(m->order + len);
	memcpy(m->id, id, id_size);
	m->schema = am_schema_ref(schema);
	m->queue_tick = 1;
	m->general = !MACHINE_FAST;
	m->handler_limit_ms = HANDLER_TIMEOUT_MS;
	return m;
}

struct am_machine *
am_machine_new(struct am_schema *schema, const char *id)
{
	return mach_alloc(schema, id);
}

void
am_handler_timeout(struct am_machine *m, int64_t timeout_ms)
{
	m->handler_limit_ms = timeout_ms < 0 ? INT64_MAX : timeout_ms;
	m->debugged = false;
}

static void
free_memory(struct am_machine *m)
{
	tables_unref(m);
	am_schema_unref(m->schema);
	free(m->block);
	free(m->tracer);
	mlog_free(m);
	free(m->why);
	free(m->last_error);
	free(m);
}

void
mach_destroy(struct am_machine *m)
{
	m->pins++;
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EVERYTHING, "[dispose] subscriptions");
	if (m->subs != NULL)
		subs_disposed(m);
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_EVERYTHING, "[end] doDispose");
	queue_done(&m->queue);
	subs_free(m);
	m->ended = true;
	if (!m->held)
		free_memory(m);
}

void
mach_hold(struct am_machine *m)
{
	m->held = true;
}

struct am_machine *
mach_release(struct am_machine *m)
{
	if (m != NULL) {
		m->held = false;
		if (m->ended)
			free_memory(m);
	}
	return NULL;
}

struct am_machine *
am_machine_free(struct am_machine *m)
{
	if (m == NULL)
		return NULL;
	if (m->dying && m->logger != NULL)
		mlog_line(m, AM_LOG_DECISIONS, "[Dispose] already disposed");
	m->dying = true;
	if (m->pins == 0)
		mach_destroy(m);
	return NULL;
}

bool
am_disposing(const struct am_machine *m)
{
	return m->dying;
}
