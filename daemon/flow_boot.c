/* Flow 1: the supervisor starts; and what goes wrong with its handlers. */
#include "daemon/emit.h"
#include "daemon/flow.h"
#include "lib/base/log.h"

static bool
start_enter(struct am_event *ev)
{
	bool public = false;

	if (am_get_bool(ev->args, "public", &public) < 0 || !public)
		return am_refuse(ev, "no address");
	return true;
}

/* The loop adds LocalRpcReady and PublicRpcReady. */
static void
start_state(struct am_event *ev)
{
	struct super *s = ev->arg;

	(void)am_timer_start(&s->boot_timer, 0);
	(void)am_timer_start(&s->heartbeat_timer, s->config->heartbeat_ms);
}

/* A handler of ours failed: noted, and it goes on. */
static void
exception_state(struct am_event *ev)
{
	struct super *s = ev->arg;

	if (ev->n_called != 1)
		return;
	log_error("supervisor: a handler failed: %s",
	    am_last_error(s->machine));
	if (!super_is(s, Sup_ErrPool))
		(void)due_remove1(&s->due, Sup_Exception, AM_NONE);
}

/* A pulse that comes with Exception. */
static void
err_pulse_state(struct am_event *ev)
{
	struct super *s = ev->arg;
	am_id both[] = { ev->state, Sup_Exception };

	(void)due_mutate(&s->due, AM_REMOVE, both,
	    super_is(s, Sup_ErrPool) ? 1 : 2, AM_NONE);
}

static void
err_handler_timeout_state(struct am_event *ev)
{
	log_error("supervisor: a handler took too long: %s",
	    am_last_error(ev->machine));
	err_pulse_state(ev);
}

static const struct am_handler handlers[Sup__COUNT] = {
	[Sup_Exception] = { .state = exception_state },
	[Sup_ErrNetwork] = { .state = err_pulse_state },
	[Sup_ErrHandlerTimeout] = { .state = err_handler_timeout_state },
	[Sup_Start] = { .enter = start_enter, .state = start_state },
	/* Pulses that tell and do nothing. */
	[Sup_ClientConnected] = { .state = emit_end_pulse },
	[Sup_SuperConnected] = { .state = emit_end_pulse },
	[Sup_SuperDisconnected] = { .state = emit_end_pulse },
	[Sup_SuperSendPayload] = { .state = emit_end_pulse },
};

const struct am_handlers flow_boot_handlers = {
	.name = "amnoded boot",
	.of = handlers,
	.len = Sup__COUNT,
};
