/* leasefile.h - what amctl keeps of a lease between two calls: one file of a
 * name, 0600, in a directory of the user's own, 0700.
 *
 * Writers hold its lock (flock) and write it in one piece of a fixed size, so
 * that readers need none. After the end of the lease it keeps the reason. */
#ifndef CLI_LEASEFILE_H
#define CLI_LEASEFILE_H

#include "lib/amnode.h"
#include "lib/node/client.h"

enum {
	LEASEFILE_NAME_MAX = 64,
	LEASEFILE_SIZE = 2048, /* padded with spaces */
};

struct leasefile {
	char name[LEASEFILE_NAME_MAX + 1];
	char path[256];
	int fd; /* open while the lock is held; -1 */
	struct client_lease lease;
	char supervisor[256]; /* its address */
	char ended[64];       /* the reason; empty while it lives */
};
#define LEASEFILE_INIT ((struct leasefile){ .fd = -1 })

enum leasefile_state {
	LEASEFILE_NONE, /* no file, or one that was never filled */
	LEASEFILE_LIVE,
	LEASEFILE_ENDED,
};

/* [A-Za-z0-9][A-Za-z0-9._-]*, at most 64. */
bool leasefile_name_ok(const char *name);
/* "auto-" and 16 random digits. */
void leasefile_fresh_name(char *buf, size_t size);

/* Each: -errno with a message in err. The directory is made where it is missing
 * and refused where it is not ours alone. */

/* The fields of a file's text; -EBADMSG. */
int leasefile_parse(struct leasefile *f, const char *text, size_t len);
/* Reads it. Returns an enum leasefile_state. */
int leasefile_load(struct leasefile *f, const char *name, struct am_error *err);
/* Makes or opens it, takes the lock, reads it: enum leasefile_state. -EBUSY:
 * another amctl holds the lock. */
int leasefile_lock(struct leasefile *f, const char *name, struct am_error *err);
/* Writes it; the lock must be held. */
int leasefile_save(struct leasefile *f, struct am_error *err);
/* Records the reason, if the file still is about this lease. */
int leasefile_end(struct leasefile *f, const char *reason,
    struct am_error *err);
int leasefile_remove(struct leasefile *f);
/* Removes what fresh names have left behind: a day after the end of the lease,
 * or after its last possible one. now: seconds since 1970. */
void leasefile_prune(int64_t now);
/* Gives the lock back, forgets the token. Idempotent. */
void leasefile_done(struct leasefile *f);

#endif
