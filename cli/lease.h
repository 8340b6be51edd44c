/* lease.h - leases: to get one, to use one that a file names, to learn why one
 * is over. */
#ifndef CLI_LEASE_H
#define CLI_LEASE_H

#include "cli/leasefile.h"
#include "cli/session.h"

/* What the supervisor says of a lease. */
struct lease_info {
	char state[16];
	char reason[64]; /* if the state is "ended" */
};

/* 0, -ENOENT (not known to it), or as session_info(). Says nothing. */
int lease_ask(struct cli *c, struct session *sup, const char *id,
    struct lease_info *ret);
/* Waits until it is over, at most until deadline: the same, or -ETIMEDOUT. */
int lease_wait_end(struct cli *c, struct session *sup, const char *id,
    struct lease_info *ret, int64_t deadline_ns);
/* Waits until the supervisor has seen our hello to the worker. EX_OK or a code
 * after a message. */
int lease_wait_confirmed(struct cli *c, struct session *sup, const char *id);

/* --ttl, --max, --priority. EX_OK or a code after a message. */
int lease_wish_options(struct cli *c, struct client_wish *ret);
/* The wish of a command that ends the lease with its own process. */
int lease_wish_own(struct client_wish *ret);
/* The same for another process; EX_OK or a code after a message. */
int lease_wish_pid(struct cli *c, struct client_wish *ret, pid_t pid);

/* Why there is no worker; for those who go on. */
struct lease_refusal {
	enum exit_code exit;
	char code[32];
	char message[AM_ERROR_MAX];
};
/* Asks for a worker (wait_ms: 0 only if one is free now, -1 no bound) and
 * connects to it. EX_OK, or the code in no without a message. */
int lease_try(struct cli *c, struct session *sup, struct session *wrk,
    const struct client_wish *wish, int64_t wait_ms, struct client_lease *ret,
    struct lease_refusal *no);
/* The same with a message. */
int lease_take(struct cli *c, struct session *sup, struct session *wrk,
    const struct client_wish *wish, int64_t wait_ms, struct client_lease *ret);
/* Sends the release and does not wait. */
void lease_drop(struct session *sup, const char *id, const char *reason);

/* The machine that a command is about: the worker of the named lease, or with
 * --super the supervisor. */
struct attach {
	struct session s;
	struct leasefile file;
	bool super;
};
#define ATTACH_INIT                                                            \
	((struct attach){ .s = SESSION_INIT, .file = LEASEFILE_INIT })

/* -l, AMCTL_LEASE or "default"; NULL after a message if it is no name. */
const char *attach_name(struct cli *c);
/* The file of the named lease, which has to live: EX_OK or a code after a
 * message. */
int attach_load(struct cli *c, struct leasefile *f);
int attach_open(struct cli *c, struct attach *a);
/* The connection is over: asks amnoded why, records it if the lease is over.
 * in_request: with something under way. Returns the code after a message. */
int attach_lost(struct cli *c, struct attach *a, bool in_request);
/* What session_*() returned went wrong; says so, returns the code. */
int attach_fail(struct cli *c, struct attach *a, int rc);
void attach_done(struct attach *a);
/* Why the lease is over; empty and -errno if amnoded does not say. */
int attach_reason(struct cli *c, const struct leasefile *f, char *buf,
    size_t size);

#endif
