/* reap.h - nothing that the program started outlives this process. */
#ifndef DAEMON_EXEC_REAP_H
#define DAEMON_EXEC_REAP_H

#include <stdint.h>
#include <sys/types.h>

/* Kills every child and what those leave behind, and reaps it, for at most
 * timeout_ms. Blocks: the loop must be over. Returns how many were killed, or
 * -ETIMEDOUT if some still live. */
int reap_all(int64_t timeout_ms);

#endif
