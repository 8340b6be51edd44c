/* worker_access.h - who may do what to a worker (flow rule 22). */
#ifndef LIB_NODE_WORKER_ACCESS_H
#define LIB_NODE_WORKER_ACCESS_H

#include "lib/rpc/allow.h"

/* The roles of peers. */
enum {
	WORKER_CLIENT =
	    1, /* on the public socket, with the token of the lease */
	WORKER_SUPER = 2, /* on the private socket */
};

extern const struct allow_list worker_allow;

#endif
