/* frame.h - what the dearest frame costs who takes it. */
#ifndef TESTS_BENCH_FRAME_H
#define TESTS_BENCH_FRAME_H

#include <sys/types.h>

/* Reports x1 and x1b. The pool of this amnoded has an idle worker, which is left leased:
 * by nobody, so that it comes back. */
void frame_bench(const char *socket, pid_t amnoded);

#endif
