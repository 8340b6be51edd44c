/* rpc.c - mutations of a machine in another process. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/rpc/netmach.h"
#include "lib/rpc/server.h"
#include "lib/rpc/tls.h"
#include "proto/worker.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

enum { WINDOW = 64 };

/* ---- the server's process ---- */

static int
on_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)h;
	(void)err;
	(void)arg;
	return 0;
}

static int
may(struct rpc_session *s, enum am_op op, const am_id *states, size_t n,
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

static const struct rpc_policy policy = { .hello = on_hello, .may = may };

static void
serve(int fd, void *arg)
{
	struct am_schema *schema = am_schema_new(&am_worker_states, NULL);
	struct am_machine *m = am_machine_new(schema, "bench");
	struct am_loop *l = am_loop_new();
	struct rpc_server *srv = rpc_server_new(l, m);
	int listener = rpc_server_listen(srv, fd, &policy, NULL);

	assert(listener >= 0);
	if (arg != NULL)
		rpc_server_set_tls(srv, listener, (const struct tls *)arg);
	(void)am_loop_run(l);
}

/* ---- the client ---- */

struct client {
	struct am_loop *loop;
	struct am_schema *schema;
	struct netmach *nm;
	struct addr addr;
	struct tls *tls; /* NULL: plain */
	uint64_t to_send;
	uint64_t to_come;
	am_id id; /* Healthcheck is multi: each add moves its clock */
};

static void
on_ready(struct netmach *nm, void *arg)
{
	(void)nm;
	am_loop_stop(((struct client *)arg)->loop);
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	(void)nm;
	(void)arg;
	if (code != 0)
		floor_die(why, code < 0 ? -code : EPROTO);
	am_loop_stop(((struct client *)arg)->loop);
}

static const struct netmach_ops ops = {
	.on_ready = on_ready,
	.on_close = on_close,
};

static void on_reply(struct netmach *nm, uint32_t id,
    const struct netmach_reply *r, void *arg);

static void
send_one(struct client *c)
{
	c->to_send--;
	if (netmach_mutate(c->nm, AM_ADD, &c->id, 1, AM_NONE, -1, on_reply, c) <
	    0)
		floor_die("mutate", ENOTCONN);
}

static void
on_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct client *c = (struct client *)arg;

	(void)nm;
	(void)id;
	if (r->status != NETMACH_OK || r->result != AM_EXECUTED)
		floor_die("the mutation", EPROTO);
	if (--c->to_come == 0)
		am_loop_stop(c->loop);
	else if (c->to_send > 0)
		send_one(c);
}

static void
mutate(struct client *c, uint64_t n, uint64_t window)
{
	c->to_send = n;
	c->to_come = n;
	while (c->to_send > 0 && window-- > 0)
		send_one(c);
	(void)am_loop_run(c->loop);
}

static void
one_by_one(void *arg, uint64_t n)
{
	mutate((struct client *)arg, n, 1);
}

static void
in_a_window(void *arg, uint64_t n)
{
	mutate((struct client *)arg, n, WINDOW);
}

static void
client_connect(struct client *c)
{
	const struct netmach_conf conf = {
		.schema = c->schema,
		.tls = c->tls,
	};
	int r;

	c->nm = netmach_new(c->loop, &conf, &ops, c);
	assert(c->nm != NULL);
	r = netmach_connect(c->nm, &c->addr);
	if (r < 0)
		floor_die("connect", -r);
	(void)am_loop_run(c->loop);
}

static void
connect_close(void *arg, uint64_t n)
{
	struct client *c = (struct client *)arg;

	while (n-- > 0) {
		client_connect(c);
		c->nm = netmach_free(c->nm);
	}
}

static void
report(const char *name, const char *what, double ns, double floor_ns,
    double budget)
{
	const struct bench_figure f = {
		.name = name,
		.what = what,
		.value = ns / 1000,
		.unit = "us",
		.floor = floor_ns / 1000,
		.budget = budget,
	};

	bench_report(&f);
}

/* One certificate, which is its own CA, for both sides. */
static struct tls *
tls_make(void)
{
	char dir[] = "/tmp/amnode-bench-XXXXXX", command[320];
	char cert[64], key[64];
	struct am_error err;
	struct tls *tls;

	if (mkdtemp(dir) == NULL)
		floor_die(dir, errno);
	(void)snprintf(cert, sizeof(cert), "%s/crt", dir);
	(void)snprintf(key, sizeof(key), "%s/key", dir);
	(void)snprintf(command, sizeof(command),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
	    "-nodes -days 2 -subj /CN=bench -addext "
	    "subjectAltName=IP:127.0.0.1 "
	    "-keyout %s -out %s 2>/dev/null",
	    key, cert);
	if (system(command) != 0)
		floor_die("openssl", ENOENT);
	tls = tls_new(
	    (const struct tls_source[TLS_N_PARTS]){
		[TLS_CERT] = { cert, -1 },
		[TLS_KEY] = { key, -1 },
		[TLS_CA] = { cert, -1 },
	    },
	    &err);
	if (tls == NULL)
		floor_die(err.text, ENOENT);
	(void)unlink(cert);
	(void)unlink(key);
	(void)rmdir(dir);
	return tls;
}

/* Beside r1 over TCP, to whose floor it is held; there is no budget. */
static void
bench_tls(void)
{
	const char *address = "127.0.0.1:0";
	double floor_ns = floor_round_trip_ns(address);
	double connect_ns = floor_connect_ns(address);
	struct client c = { .id = Wrk_Healthcheck, .loop = am_loop_new() };
	pid_t child;

	c.schema = am_schema_new(&am_worker_states, NULL);
	c.tls = tls_make();
	(void)addr_parse(address, &c.addr, NULL);
	child = floor_child(&c.addr, serve, c.tls);
	client_connect(&c);
	report("r1", "remote add, TLS", bench_ns("r1", one_by_one, &c),
	    floor_ns, NAN);
	report("r2", "the same, window 64, TLS",
	    bench_ns("r2", in_a_window, &c), floor_ns, NAN);
	c.nm = netmach_free(c.nm);
	report("r5", "connect to ready, TLS", bench_ns("r5", connect_close, &c),
	    connect_ns, NAN);
	floor_kill(child);
	am_schema_unref(c.schema);
	am_loop_free(c.loop);
	tls_free(c.tls);
}

static void
bench_address(const char *address, const char *transport)
{
	double floor_ns = floor_round_trip_ns(address);
	double connect_ns = floor_connect_ns(address);
	struct client c = { .id = Wrk_Healthcheck, .loop = am_loop_new() };
	char what[64];
	double ns;
	pid_t child;

	c.schema = am_schema_new(&am_worker_states, NULL);
	if (addr_parse(address, &c.addr, NULL) < 0)
		floor_die(address, EINVAL);
	child = floor_child(&c.addr, serve, NULL);
	client_connect(&c);
	ns = bench_ns("r1", one_by_one, &c);
	(void)snprintf(what, sizeof(what), "remote add, %s", transport);
	report("r1", what, ns, floor_ns, 1.3);
	(void)snprintf(what, sizeof(what), "the same, window %d, %s", WINDOW,
	    transport);
	/* Its budget is the rate: 8 times that of r1. */
	report("r2", what, bench_ns("r2", in_a_window, &c), ns, 1.0 / 8);
	c.nm = netmach_free(c.nm);
	(void)snprintf(what, sizeof(what), "connect to ready, %s", transport);
	report("r5", what, bench_ns("r5", connect_close, &c), connect_ns, 2);
	floor_kill(child);
	am_schema_unref(c.schema);
	am_loop_free(c.loop);
}

void
bench_rpc(void)
{
	char dir[] = "/tmp/amnode-bench-XXXXXX", path[64];

	if (mkdtemp(dir) == NULL)
		floor_die(dir, errno);
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	bench_address(path, "Unix");
	(void)unlink(path);
	(void)rmdir(dir);
	bench_address("127.0.0.1:0", "TCP");
	bench_tls();
}
