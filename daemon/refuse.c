#include "daemon/refuse.h"

#include <stdarg.h>
#include <stdio.h>

bool
refuse_with_code(struct super *s, struct am_event *ev, enum arpc_error e,
    const char *fmt, ...)
{
	char text[AM_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->io->refuse(s, ev->source, e, text);
	return am_refuse(ev, "%s", text);
}

bool
refuse_unknown_lease(struct super *s, struct am_event *ev)
{
	const struct lease_end *end;
	char id[16] = "";

	(void)am_get_text(ev->args, "lease", id, sizeof(id));
	end = lease_find_end(&s->model, id);
	if (end != NULL)
		return refuse_with_code(s, ev, ARPC_E_no_lease,
		    "lease %s is over: %s", id, end->reason);
	return refuse_with_code(s, ev, ARPC_E_no_lease, "no such lease: \"%s\"",
	    id);
}
