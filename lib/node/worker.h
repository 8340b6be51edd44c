/* worker.h - a worker for programs of this tree: without a process of its own
 * (tests), or with more to tell the supervisor (amnode-exec). */
#ifndef LIB_NODE_WORKER_H
#define LIB_NODE_WORKER_H

#include "lib/amnode.h"
#include "lib/rpc/tls.h"

enum {
	WORKER_WINDOW_MAX = 1024,
	WORKER_SESSIONS_MAX = 16, /* connections of one lease */
};

/* What the supervisor passes to a worker in its environment. */
struct worker_env {
	int private_fd;    /* listening; -1: none */
	int public_fd;     /* likewise */
	char id[40];       /* AM_WORKER_ID */
	char kind[64];     /* AM_KIND */
	char instance[40]; /* AM_INSTANCE */
	char address[256]; /* AM_PUBLIC_ADDR, for info */
	/* AM_TLS_CERT_FD, AM_TLS_KEY_FD, AM_TLS_CA_FD, for TLS on the public
	 * socket, in the order of enum tls_part; -1: plain. */
	int tls_fd[TLS_N_PARTS];
	unsigned window;            /* AM_WINDOW: requests open at once */
	int64_t request_timeout_ms; /* AM_REQUEST_TIMEOUT_MS; 0: none */
	int64_t orphan_ttl_ms;      /* AM_ORPHAN_TTL_MS; 0: no limit */
	/* Not from the environment: if a request does not end within this time
	 * after its deadline, the worker is stuck. */
	int64_t hard_ms;
	size_t outbox_bytes;
	size_t outbox_len;
};

/* The names of these three variables. */
extern const char *const worker_env_tls[TLS_N_PARTS];
void worker_env_init(struct worker_env *e); /* the defaults, no sockets */
/* Reads the environment. -ENOENT: not started by amnoded; -EINVAL: a bad value;
 * with a message in err. */
int worker_env_get(struct worker_env *ret, struct am_error *err);

/* Like am_worker_new(), but with this environment and without signal handlers.
 * Takes all fds, also on failure. Borrows l; copies conf. */
struct am_worker *worker_new(struct am_loop *l,
    const struct am_worker_conf *conf, const struct worker_env *env,
    struct am_error *err);
size_t worker_n_open(const struct am_worker *w); /* requests */

#endif
