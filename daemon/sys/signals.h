/* signals.h - TERM, INT, HUP and USR1 as events of the loop. */
#ifndef DAEMON_SYS_SIGNALS_H
#define DAEMON_SYS_SIGNALS_H

#include "daemon/sys/notify.h"

struct event;

enum { SIGNALS_N = 4 };

struct signals {
	struct super *super;            /* borrowed */
	struct notify *notify;          /* borrowed */
	struct event *event[SIGNALS_N]; /* owned */
};

/* 0 or -errno. */
int signals_start(struct signals *sig, struct super *s, struct notify *n);
void signals_done(struct signals *sig); /* idempotent */

#endif
