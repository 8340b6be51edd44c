/* health.h - rounds of health checks of idle workers, and the end of those that
 * nobody could ever get. */
#ifndef DAEMON_HEALTH_H
#define DAEMON_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/amnode.h"

struct super;
struct worker;

enum {
	HEALTH_TRIES = 3,
	HEALTH_PAUSE_MS = 500,
	HEALTH_STUCK_GRACE_MS =
	    5000, /* over RequestTimeout: a working one is asked, too */
};

struct health {
	struct am_timer timer; /* the next real round */
	struct am_timer end;   /* of this one, in the next turn */
	bool due;              /* the timer asked for a real round */
};

void health_init(struct super *s);
void health_done(struct super *s);
/* Heartbeat came: a real round if one is due, else it ends in the next turn. */
void health_round(struct super *s);
/* Heartbeat by timer. */
void health_beat(struct super *s);
/* -Heartbeat */
void health_round_done(struct super *s);
/* The mirror changed: did it answer? */
void health_look(struct worker *w);
/* Asks this one after a pause, whatever the round: one that refuses each lease
 * and is well otherwise must not be offered one after the other at full speed. */
void health_ask_later(struct worker *w);
/* It is leaving: it cannot answer any more. */
void health_forget(struct worker *w);
/* One more try, or the verdict. By its timer; public for tests. */
void health_on_timeout(struct worker *w);

#endif
