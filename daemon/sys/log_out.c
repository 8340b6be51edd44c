#include "daemon/sys/log_out.h"

#include <event2/event.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	const struct log_out *o = arg;

	(void)fd;
	(void)what;
	if (!log_flush())
		(void)event_add(o->event, NULL);
}

/* Without an event the next line tries. */
static void
on_wait(int fd, void *arg)
{
	struct log_out *o = arg;

	if (o->event == NULL)
		o->event = event_new(loop_base(o->loop), fd, EV_WRITE,
		    on_writable, o);
	if (o->event != NULL)
		(void)event_add(o->event, NULL);
}

/* What libevent has to say goes the same way. */
static void
on_libevent(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warn("libevent: %s", text);
}

void
log_out_start(struct log_out *o, struct am_loop *l)
{
	*o = (struct log_out){ .loop = l };
	event_set_log_callback(on_libevent);
	log_on_wait(on_wait, o);
}

void
log_out_done(struct log_out *o)
{
	log_on_wait(NULL, NULL);
	if (o->event != NULL)
		event_free(o->event);
	*o = (struct log_out){ .loop = NULL };
}
