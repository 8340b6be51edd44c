#include "daemon/super.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "daemon/events.h"
#include "daemon/flow.h"
#include "daemon/settle.h"
#include "lib/amnode_log.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/node/common.h"

#ifdef AM_CHECK
/* No pulse outlives its drain. */
static void
assert_no_pulse(struct am_machine *m, void *arg)
{
	(void)arg;
	assert(node_pulse_left(m) == NULL);
}
static const struct am_tracer pulse_tracer = { .size = sizeof(pulse_tracer),
	.drain_end = assert_no_pulse };
#endif

/* Of am_set_logger_env(). */
static void
on_machine_line(const struct am_machine *m, enum am_log_level level,
    const char *line, void *arg)
{
	(void)m;
	(void)level;
	(void)arg;
	log_info("machine: %s", line);
}

static const struct am_logger logger = { .size = sizeof(logger),
	.line = on_machine_line };

static int
bind_all(struct super *s)
{
	static const struct am_handlers *const flows[] = {
		&flow_boot_handlers,
		&flow_pool_handlers,
		&flow_lease_handlers,
		&flow_release_handlers,
		&flow_health_handlers,
		&flow_stop_handlers,
	};

	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
		if (am_bind(s->machine, flows[i], s) < 0)
			return -ENOMEM;
#ifdef AM_CHECK
	if (am_trace(s->machine, &pulse_tracer, s) < 0)
		return -ENOMEM;
#endif
	if (am_set_logger_env(s->machine, &logger) < 0)
		return -ENOMEM;
	due_init(&s->due, s->machine);
	return settle_bind(s);
}

int
super_init(struct super *s, struct am_loop *loop, const struct config *config,
    const char *instance, const struct super_io *io, void *world,
    struct am_error *err)
{
	char id[64];

	*s = (struct super){
		.loop = loop,
		.config = config,
		.instance = instance,
		.io = io,
		.world = world,
		.on_owner_exit = event_owner_exit,
		.started_ns = clock_ns(),
	};
	events_init(s);
	if (model_init(&s->model, loop, &event_timers) < 0)
		return -ENOMEM;
	s->schema = am_schema_new(&am_supervisor_states, err);
	if (s->schema == NULL)
		return -EINVAL;
	(void)snprintf(id, sizeof(id), "amnoded-%s", instance);
	s->machine = am_machine_new(s->schema, id);
	return s->machine == NULL ? -ENOMEM : bind_all(s);
}

static void
free_waiter(struct super *s, struct waiter *w)
{
	owner_done(&w->owner);
	waiter_free(&s->model, w);
}

void
super_done(struct super *s)
{
	struct model *m = &s->model;
	struct waiter *w;
	struct worker *wk;

	while (!TAILQ_EMPTY(&m->leases)) {
		lease_free(m, TAILQ_FIRST(&m->leases), NULL, &w);
		free_waiter(s, w);
	}
	while ((w = TAILQ_FIRST(&m->queue)) != NULL)
		free_waiter(s, w);
	while ((wk = TAILQ_FIRST(&m->workers)) != NULL) {
		s->io->forget(s, wk);
		model_free_worker(m, wk);
	}
	model_done(m);
	events_done(s);
	loop_forget(s->loop, &s->settle_later);
	s->machine = am_machine_free(s->machine);
	due_done(&s->due);
	s->schema = am_schema_unref(s->schema);
}
