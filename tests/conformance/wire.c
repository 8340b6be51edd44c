#include "tests/conformance/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/rpc/netmach.h"
#include "lib/rpc/server.h"

enum { WAIT_S = 5 };

struct wire {
	struct am_loop *loop;
	struct rpc_server *server;
	struct netmach *nm;
	bool ready, closed;
	am_result handle; /* that waits; 0: none */
	am_result result;
};

static int
on_may(struct rpc_session *s, enum am_op op, const am_id *states, size_t n,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)op;
	(void)states;
	(void)n;
	(void)err;
	(void)arg;
	return 0;
}

static const struct rpc_policy policy = { .may = on_may };

static void
on_ready(struct netmach *nm, void *arg)
{
	struct wire *w = arg;

	(void)nm;
	w->ready = true;
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	struct wire *w = arg;

	(void)nm;
	(void)fprintf(stderr, "conformance: connection: %s (%d)\n", why, code);
	w->closed = true;
}

static const struct netmach_ops ops = {
	.on_ready = on_ready,
	.on_close = on_close,
};

static void
on_result(struct am_machine *mirror, am_result handle, am_result result,
    const char *why, void *arg)
{
	struct wire *w = arg;

	(void)mirror;
	(void)why;
	if (handle != w->handle)
		return;
	w->handle = 0;
	w->result = result;
}

/* Turns until what has to be is so, or the time is over. */
static bool
until(struct wire *w, bool (*done)(const struct wire *w))
{
	int64_t end_ns = clock_ns() + WAIT_S * NS_PER_S;

	while (!done(w)) {
		if (w->closed || clock_ns() >= end_ns)
			return false;
		(void)am_loop_step(w->loop, 100);
	}
	return true;
}

static bool
is_ready(const struct wire *w)
{
	return w->ready;
}

static bool
is_settled(const struct wire *w)
{
	return w->handle == 0 && netmach_is_exact(w->nm);
}

static int
connect_it(struct wire *w, struct am_machine *m)
{
	char path[64];
	struct addr addr;
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/amnode-case.%d", getpid());
	(void)unlink(path);
	if (addr_parse(path, &addr, NULL) < 0)
		return -1;
	fd = addr_listen(&addr, 0600);
	w->server = rpc_server_new(w->loop, m);
	if (fd < 0 || w->server == NULL ||
	    rpc_server_listen(w->server, fd, &policy, w) < 0)
		return -1;
	w->nm = netmach_new(w->loop, &(struct netmach_conf){ .resume = true },
	    &ops, w);
	if (w->nm == NULL || netmach_connect(w->nm, &addr) < 0)
		return -1;
	(void)unlink(path);
	return 0;
}

struct wire *
wire_new(struct am_machine *m)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->loop = am_loop_new();
	if (w->loop == NULL || connect_it(w, m) < 0 || !until(w, is_ready) ||
	    am_on_result(wire_mirror(w), on_result, w) < 0) {
		(void)fprintf(stderr, "conformance: no connection\n");
		return wire_free(w);
	}
	return w;
}

struct wire *
wire_free(struct wire *w)
{
	if (w == NULL)
		return NULL;
	w->nm = netmach_free(w->nm);
	w->server = rpc_server_free(w->server);
	w->loop = am_loop_free(w->loop);
	free(w);
	return NULL;
}

struct am_machine *
wire_mirror(const struct wire *w)
{
	return netmach_mirror(w->nm);
}

bool
wire_mutate(struct wire *w, const struct am_mutation *mut,
    am_result *ret_result)
{
	w->handle = am_mutate(wire_mirror(w), mut);
	if (w->handle < AM_QUEUED || !until(w, is_settled))
		return false;
	*ret_result = w->result;
	return true;
}
