/* refuse.h - Enter handlers refuse with a code for the client. */
#ifndef DAEMON_REFUSE_H
#define DAEMON_REFUSE_H

#include "daemon/super.h"

/* Like am_refuse(). */
bool refuse_with_code(struct super *s, struct am_event *ev, enum arpc_error e,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* There is no lease as the args name it; says how it ended if that is known. */
bool refuse_unknown_lease(struct super *s, struct am_event *ev);

#endif
