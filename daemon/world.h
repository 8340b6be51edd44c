/* world.h - what the supervisor's handlers reach in a real amnoded: processes
 * (sys/process.c), private connections (net/private.c), the public socket
 * (net/public.c). */
#ifndef DAEMON_WORLD_H
#define DAEMON_WORLD_H

#include <sys/resource.h>

#include "daemon/sys/runtime.h"
#include "daemon/net/security.h"
#include "daemon/super.h"
#include "lib/rpc/addr.h"

struct rpc_server;
struct event;

/* A seam for tests: spawn_process() or what takes its place. */
struct spawn;
typedef int (*spawn_fn)(const struct spawn *sp, pid_t *ret_pid);

struct world {
	struct super *super;         /* borrowed */
	struct am_loop *loop;        /* borrowed */
	const struct config *config; /* borrowed */
	struct runtime *runtime;     /* borrowed */
	const char *instance;        /* borrowed */
	spawn_fn spawn;
	struct rlimit files; /* of the workers; rlim_max 0: as ours */
	int listen_fd; /* bound and listening; -1 when the server has it */
	char listen_path
	    [RUNTIME_PATH_MAX]; /* to remove at the end; may be empty */
	const struct security *security; /* borrowed */
	/* Of Listen=HOST:PORT: where the workers listen, with port 0, and what
	 * their clients are told. */
	struct addr tcp;
	char tcp_host[ADDR_HOST_MAX + 2]; /* [v6] in brackets; empty: Unix */
	struct rpc_server *server;        /* owned */
	struct event *sigchld;            /* owned */
	struct am_buf prompt;             /* of net/private.c, for sync */
	bool stopped;
};

extern const struct super_io world_io;

/* Binds the public socket and prepares the rest; super is initialised with
 * world_io and this world afterwards, then world_serve() is called. 0 or -errno
 * with a sentence in err. */
int world_init(struct world *w, struct am_loop *l, const struct config *config,
    const struct security *security, struct runtime *rt, const char *instance,
    struct am_error *err);
int world_serve(struct world *w, struct super *s, struct am_error *err);
/* Sends the clients their bye. */
void world_close_clients(struct world *w, const char *reason);
void world_done(struct world *w); /* idempotent */

/* sys/process.c */
int process_init(struct world *w);
int process_spawn(struct super *s, struct worker *w, struct am_error *err);
void process_signal(struct super *s, struct worker *w, int sig);
void process_forget(struct super *s, struct worker *w);

/* net/private.c */
int link_connect(struct super *s, struct worker *w);
int link_serve(struct super *s, struct worker *w, const struct arpc_lease *l);
int link_end_lease(struct super *s, struct worker *w, const struct lease *l);
int link_ask(struct super *s, struct worker *w);

/* net/public.c: the roles of clients, and what each may do. */
enum { ACCESS_CLIENT = 1, ACCESS_ADMIN = 2 };
struct allow_list;
extern const struct allow_list access_allowed;
bool access_has_list(const struct config *c); /* of users or groups */
/* Of the public sockets: with a list, who is let in is asked by hello (or by a
 * worker's token), and all may knock. */
mode_t access_mode(const struct config *c);
int access_bind(struct world *w, struct am_error *err);
int access_listen(struct super *s, struct am_error *err);
int access_tell(struct super *s, struct client *c, uint32_t req,
    const char *name, struct am_val data);
void access_refuse(struct super *s, const void *source, enum arpc_error e,
    const char *text);
struct client *access_client(struct super *s, const void *source,
    uint32_t *ret_id);

/* net/info.c: the result of info [topic, ...]; 0 or an enum arpc_error with a text
 * in err. */
int info_get(const struct super *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err);

#endif
