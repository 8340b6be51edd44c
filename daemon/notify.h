/* notify.h - what systemd is told; does nothing without it. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>

#include "daemon/super.h"
#include "lib/loop/loop.h"

struct notify {
	struct super *super; /* borrowed; NULL: not started */
	bool on;             /* there is a NOTIFY_SOCKET */
	bool ready;          /* READY=1 was sent */
	char status[400];    /* as it was sent */
	struct turn_item turn;
	struct am_timer watchdog;
	int64_t watchdog_ms; /* 0: none */
};

/* Follows the supervisor's machine: READY=1 when the public socket listens,
 * STATUS= in words once a turn when it changes. 0 or -errno. */
int notify_start(struct notify *n, struct super *s);
void notify_stopping(struct notify *n);
void notify_reloading(struct notify *n); /* RELOADING=1, READY=1 */
void notify_done(struct notify *n); /* before the supervisor ends; idempotent */

#endif
