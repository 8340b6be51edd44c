/* push.c - how long a change takes to reach a mirror in another process, and
 * how many bytes it is. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/rpc/netmach.h"
#include "lib/rpc/server.h"
#include "proto/worker.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

enum {
	RUNS = 15,
	PUSHES = 1000, /* a run */
};

/* Of the server's last mutation; shared by both processes. */
struct stamp {
	int64_t ns;
};

/* ---- the server's process ---- */

static int
may(struct rpc_session *s, enum am_op op, const am_id *states, size_t n,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)op;
	(void)states;
	(void)n;
	(void)err;
	((struct stamp *)arg)->ns = clock_ns();
	return 0;
}

static const struct rpc_policy policy = { .may = may };

static void
serve(int fd, void *arg)
{
	struct am_schema *schema = am_schema_new(&am_worker_states, NULL);
	struct am_machine *m = am_machine_new(schema, "bench");
	struct am_loop *l = am_loop_new();
	struct rpc_server *srv = rpc_server_new(l, m);

	assert(rpc_server_listen(srv, fd, &policy, arg) >= 0);
	(void)am_loop_run(l);
}

/* ---- the client ---- */

struct client {
	struct am_loop *loop;
	struct netmach *nm;
	const struct stamp *stamp;
	double ns;
	int n;
};

static void
on_ready(struct netmach *nm, void *arg)
{
	(void)nm;
	((struct client *)arg)->n = 0;
}

static void
on_update(struct netmach *nm, void *arg)
{
	struct client *c = (struct client *)arg;

	(void)nm;
	c->ns += (double)(clock_ns() - c->stamp->ns);
	c->n++;
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	(void)nm;
	(void)arg;
	floor_die(why, code < 0 ? -code : EPROTO);
}

static const struct netmach_ops ops = {
	.on_ready = on_ready,
	.on_update = on_update,
	.on_close = on_close,
};

/* A notification is answered by nothing but the push. */
static double
one_run(struct client *c)
{
	const am_id id = Wrk_Healthcheck;

	c->ns = 0;
	c->n = 0;
	for (int i = 1; i <= PUSHES; i++) {
		(void)netmach_mutate(c->nm, AM_ADD, &id, 1, AM_NONE, -1, NULL,
		    NULL);
		while (c->n < i)
			(void)am_loop_step(c->loop, -1);
	}
	return c->ns / PUSHES;
}

static double
push_ns(const char *address, struct stamp *stamp)
{
	struct client c = { .loop = am_loop_new(), .stamp = stamp, .n = -1 };
	double best = INFINITY;
	struct addr addr;
	pid_t child;

	if (addr_parse(address, &addr, NULL) < 0)
		floor_die(address, EINVAL);
	child = floor_child(&addr, serve, stamp);
	c.nm = netmach_new(c.loop, &(struct netmach_conf){ 0 }, &ops, &c);
	if (netmach_connect(c.nm, &addr) < 0)
		floor_die("connect", EIO);
	while (c.n < 0)
		(void)am_loop_step(c.loop, -1);
	for (int i = 0; i < RUNS; i++)
		best = fmin(best, one_run(&c));
	c.nm = netmach_free(c.nm);
	am_loop_free(c.loop);
	floor_kill(child);
	return best;
}

static void
report(const char *name, const char *what, const char *unit, double value,
    double floor, double budget)
{
	bench_report(&(struct bench_figure){
	    .name = name,
	    .what = what,
	    .unit = unit,
	    .value = value,
	    .floor = floor,
	    .budget = budget,
	});
}

/* Long after the hello: ids of 16 bit, ticks beyond a byte. */
static void
wire_bytes(void)
{
	enum { N = 64, ID = 17 };
	uint64_t sent[N] = { [ID] = 5001 };
	uint64_t now[N] = { [ID] = 5003 };
	struct arpc_clock clock = { .tick = sent, .n = N, .queue_tick = 9000 };
	struct am_buf b = AM_BUF_INIT;
	const am_id id = ID;

	clock.sum = arpc_clock_sum(&clock);
	arpc_put_request(&b, 50000, ARPC_add);
	arpc_put_mutation(&b, &id, 1, AM_NONE, -1);
	report("r3a", "bytes of a call", "B", (double)b.len, NAN, 12);
	am_buf_reset(&b);
	arpc_put_response(&b, 50000);
	am_put_array(&b, 2);
	am_put_uint(&b, AM_EXECUTED);
	arpc_put_update(&b, &clock, now, 9001);
	report("r3b", "bytes of its answer", "B", (double)b.len, NAN, 16);
	am_buf_reset(&b);
	now[ID] += 2;
	arpc_put_notification(&b, ARPC_t);
	am_put_array(&b, 1);
	arpc_put_update(&b, &clock, now, 9002);
	report("r3c", "bytes of a push", "B", (double)b.len, NAN, 12);
	am_buf_done(&b);
}

void
bench_push(void)
{
	char dir[] = "/tmp/amnode-bench-XXXXXX", path[64];
	struct stamp *stamp = (struct stamp *)mmap(NULL, sizeof(*stamp),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double floor_ns;

	wire_bytes();
	if (stamp == MAP_FAILED || mkdtemp(dir) == NULL)
		floor_die(dir, errno);
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	floor_ns = floor_round_trip_ns(path);
	report("r4", "mutation to a mirror's callback, Unix", "us",
	    push_ns(path, stamp) / 1000, floor_ns / 2000, 1.3);
	(void)unlink(path);
	(void)rmdir(dir);
	(void)munmap(stamp, sizeof(*stamp));
}
