/* client.h - what programs of this tree need of a client besides amnode.h. */
#ifndef LIB_NODE_CLIENT_H
#define LIB_NODE_CLIENT_H

#include "lib/amnode.h"
#include "lib/rpc/netmach.h"

/* A lease as the payload ProvideWorker describes it. */
struct client_lease {
	char lease[40];
	char worker[40];
	pid_t pid;
	char address[256];
	uint8_t token[ARPC_TOKEN_LEN];
	int64_t ttl_ms;
	int64_t max_ms;
};

/* What am_client_lease() asks for. Set it before. */
struct client_wish {
	int64_t ttl_ms;     /* 0: the supervisor's default */
	int64_t max_ms;     /* likewise */
	int priority;       /* higher first; default 0 */
	pid_t pid;          /* the lease ends when it exits; 0: none */
	uint64_t pid_start; /* field 22 of its /proc/PID/stat */
};
/* Without this call the lease is bound to this process. */
void client_wish(struct am_client *c, const struct client_wish *w);

/* The present lease (Leased is active), borrowed; NULL: none. */
const struct client_lease *client_lease(const struct am_client *c);
/* Uses the lease of another process, and connects to its worker; to a
 * supervisor only for am_client_release(). Copies it. */
int client_attach(struct am_client *c, const struct client_lease *l);
/* Closes both connections without releasing the lease, which lives on by its
 * ttl. */
void client_detach(struct am_client *c);

/* Why no supervisor is connected: "/run/amnode/a/sock: Connection refused";
 * empty if one is, or none was tried. SuperDisconnected means that a whole
 * round of the list has failed. */
const char *client_super_error(const struct am_client *c);

/* Field 22 of /proc/PID/stat; together with the pid it identifies a process. */
int client_pid_start(pid_t pid, uint64_t *ret);

#endif
