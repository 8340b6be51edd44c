#include "daemon/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

static void
on_turn(void *arg)
{
	struct notify *n = arg;
	char status[sizeof(n->status)];

	super_status(n->super, status, sizeof(status));
	if (strcmp(status, n->status) != 0) {
		memcpy(n->status, status, sizeof(status));
		(void)sd_notifyf(0, "STATUS=%s", status);
	}
	if (!n->ready && super_is(n->super, Sup_PublicRpcReady)) {
		n->ready = true;
		(void)sd_notify(0, "READY=1");
	}
}

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct notify *n = arg;

	(void)m;
	loop_at_flush(n->super->loop, &n->turn);
}

static const struct am_tracer tracer = { .size = sizeof(tracer),
	.drain_end = on_drain_end };

static void
on_watchdog(void *arg)
{
	struct notify *n = arg;

	(void)sd_notify(0, "WATCHDOG=1");
	(void)am_timer_start(&n->watchdog, n->watchdog_ms);
}

int
notify_start(struct notify *n, struct super *s)
{
	uint64_t usec = 0;

	*n = (struct notify){ .super = s };
	n->on = getenv("NOTIFY_SOCKET") != NULL;
	n->turn = (struct turn_item){ .fn = on_turn, .arg = n };
	am_timer_init(&n->watchdog, s->loop, on_watchdog, n);
	if (!n->on)
		return 0;
	if (sd_watchdog_enabled(0, &usec) > 0 && usec > 0) {
		n->watchdog_ms = (int64_t)(usec / 2000);
		(void)am_timer_start(&n->watchdog,
		    n->watchdog_ms > 0 ? n->watchdog_ms : 1);
	}
	return am_trace(s->machine, &tracer, n);
}

void
notify_stopping(struct notify *n)
{
	if (n->on)
		(void)sd_notify(0, "STOPPING=1");
}

void
notify_reloading(struct notify *n)
{
	if (n->on)
		(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		    clock_ns() / 1000);
	if (n->on)
		(void)sd_notify(0, "READY=1");
}

void
notify_done(struct notify *n)
{
	if (n->super == NULL)
		return;
	if (n->on)
		am_untrace(n->super->machine, &tracer, n);
	loop_forget(n->super->loop, &n->turn);
	am_timer_done(&n->watchdog);
	n->super = NULL;
}
