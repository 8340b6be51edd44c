/* orphan.h - workers of an amnoded that died, when this one stops as well. */
#ifndef DAEMON_SYS_ORPHAN_H
#define DAEMON_SYS_ORPHAN_H

#include <stdint.h>

#include "daemon/sys/runtime.h"

/* Sends TERM to every worker that a dead amnoded left running in this directory
 * and waits until they are gone, KILL for their groups after grace_ms. Blocks
 * so long: only when nothing else is left to do. */
void orphans_stop(const struct runtime *rt, int64_t grace_ms);

#endif
