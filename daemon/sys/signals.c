#include "daemon/sys/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>

#include "daemon/events.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"

/* TERM drains; a second one, or INT, stops at once. */
static void
on_stop(evutil_socket_t signum, short what, void *arg)
{
	struct signals *sig = arg;

	(void)what;
	notify_stopping(sig->notify);
	if (signum == SIGINT || super_is(sig->super, Sup_Draining))
		event_stop_now(sig->super);
	else
		event_stop(sig->super);
}

static void
on_hup(evutil_socket_t signum, short what, void *arg)
{
	struct signals *sig = arg;

	(void)signum;
	(void)what;
	log_warn("amnoded: SIGHUP: the configuration is read at start only; "
		 "restart to apply it");
	notify_reloading(sig->notify);
}

static void
on_usr1(evutil_socket_t signum, short what, void *arg)
{
	const struct signals *sig = arg;

	(void)signum;
	(void)what;
	super_dump(sig->super);
}

int
signals_start(struct signals *sig, struct super *s, struct notify *n)
{
	static const struct {
		int signum;
		event_callback_fn fn;
	} table[SIGNALS_N] = {
		{ SIGTERM, on_stop },
		{ SIGINT, on_stop },
		{ SIGHUP, on_hup },
		{ SIGUSR1, on_usr1 },
	};

	*sig = (struct signals){ .super = s, .notify = n };
	for (size_t i = 0; i < SIGNALS_N; i++) {
		sig->event[i] = evsignal_new(loop_base(s->loop),
		    table[i].signum, table[i].fn, sig);
		if (sig->event[i] == NULL || event_add(sig->event[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

void
signals_done(struct signals *sig)
{
	for (size_t i = 0; i < SIGNALS_N; i++) {
		if (sig->event[i] != NULL)
			event_free(sig->event[i]);
		sig->event[i] = NULL;
	}
}
