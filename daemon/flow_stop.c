/* Flow 13: it stops. What ends then, and when, settle.c knows. */
#include "daemon/emit.h"
#include "daemon/flow.h"

static void
draining_state(struct am_event *ev)
{
	struct super *s = ev->arg;

	(void)am_timer_start(&s->stop_timer, s->config->stop_timeout_ms);
}

static void
start_end(struct am_event *ev)
{
	struct super *s = ev->arg;

	s->io->stopped(s);
}

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_Start] = { .end = start_end },
	[Sup_Draining] = { .state = draining_state },
};

const struct am_handlers flow_stop_handlers = {
	.name = "amnoded stop",
	.of = handlers,
	.len = Sup__COUNT,
};
