/* reap.h - the ends of processes: workers by pidfd, what escaped from them as
 * their subreaper. */
#ifndef DAEMON_SYS_REAP_H
#define DAEMON_SYS_REAP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Has it exited? Then kills its group while the zombie pins the id, reaps it,
 * and writes "status=1" or "signal=9" to how. */
bool reap_process(pid_t pid, char *how, size_t size);
/* Kills and reaps children that is_ours() does not know. */
void reap_strays(bool (*is_ours)(pid_t pid, void *arg), void *arg);

#endif
