/* flow_health.h - health checks, as far as other parts begin or hear them. */
#ifndef DAEMON_FLOW_HEALTH_H
#define DAEMON_FLOW_HEALTH_H

#include <stdbool.h>

struct super;
struct worker;

enum {
	HEALTH_TRIES = 3,
	HEALTH_PAUSE_MS = 500,
	HEALTH_STUCK_GRACE_MS = 5000, /* over RequestTimeout */
};

/* Asks all that are to be asked, if a round is due. */
void flow_health_round(struct super *s);
/* Asks this one after a pause, whatever the round: one that refuses each lease
 * and is well otherwise must not be offered one after the other at full speed. */
void flow_health_later(struct super *s, struct worker *w);
/* The mirror changed: did it answer? */
void flow_health_look(struct super *s, struct worker *w);
/* One more try; false: it had all of them. */
bool flow_health_again(struct super *s, struct worker *w);

#endif
