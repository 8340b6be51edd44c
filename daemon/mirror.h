/* mirror.h - what the mirror of a worker's machine shows. */
#ifndef DAEMON_MIRROR_H
#define DAEMON_MIRROR_H

#include "daemon/model.h"

bool mirror_is(const struct worker *w, am_id state);
uint64_t mirror_tick(const struct worker *w, am_id state);
bool mirror_is_free(const struct worker *w);     /* for a lease */
bool mirror_has_request(const struct worker *w); /* open, or being taken */

#endif
