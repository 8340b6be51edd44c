/* settle.h - what follows from the numbers. */
#ifndef DAEMON_SETTLE_H
#define DAEMON_SETTLE_H

#include "daemon/super.h"

/* Brings all that is derived into line, in one fixed order. Runs after each
 * drain by itself (settle_bind()); events that are no mutation call it. */
void settle(struct super *s);
/* From now on after each drain of the machine. 0 or -ENOMEM. */
int settle_bind(struct super *s);

/* How many workers there should be: min(Max, max(Min, leased + waiting) + Warm). */
unsigned settle_wanted(const struct super *s);

#endif
