/* wish.h - what a client asks for with LeaseRequested or ProvideWorker. */
#ifndef DAEMON_WISH_H
#define DAEMON_WISH_H

#include <stdint.h>

#include "lib/amnode.h"

struct config;

enum { WISH_PRIORITY_MAX = 100 };

struct wish {
	int64_t request;
	int64_t timeout_ms; /* -1: none; 0: does not wait */
	int64_t priority;
	int64_t ttl_ms;
	int64_t max_ms;
	int64_t pid; /* to bind the lease to; 0: none */
	int64_t pid_start;
};

/* 0, or -EINVAL with a reason in err. */
int wish_parse(const struct config *c, struct am_val args, struct wish *ret,
    struct am_error *err);

#endif
