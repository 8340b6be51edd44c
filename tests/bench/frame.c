/* frame.c - the dearest frame that a permitted client may send to a supervisor or
 * a worker, by the CPU time of the process that takes it. x1b: as a request, with
 * what amnode-exec then does: it makes a line of JSON and passes on the answer. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/rpc/addr.h"
#include "proto/arpc.h"
#include "proto/mp.h"
#include "proto/supervisor.h"
#include "proto/worker.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/frame.h"

enum {
	ROUNDS = 20,
	LONG = 60 * 1024, /* of the 64 KiB that a frame may have */
	KEYS_WAITED_FOR = 64,
	WAIT_MS = 10000,
	SETTLE_MS = 10000,
	LEASE_ID = 70000,
};

/* One end of a connection. */
struct peer {
	int fd;
	clockid_t clock; /* CPU time of the process at the other end */
	size_t len;      /* received, of which used is gone */
	size_t used;
	uint8_t in[1 << 20];
};

static uint32_t next_id = LEASE_ID;
static char dearest[64];
static double dearest_us;

/* ---- frames ---- */

static void
next_frame(struct peer *p, struct arpc_frame *ret)
{
	struct pollfd wait = { .fd = p->fd, .events = POLLIN };
	const char *why = "closed";
	struct mp_scan scan;
	size_t len = 0;
	ssize_t n;

	if (p->used == p->len)
		p->used = p->len = 0;
	for (;;) {
		mp_scan_init(&scan, sizeof(p->in), MP_FRAME_DEPTH_MAX);
		if (mp_scan(&scan, p->in + p->used, p->len - p->used, &len) ==
		    MP_SCAN_DONE)
			break;
		if (poll(&wait, 1, WAIT_MS) != 1)
			floor_die("x1: no answer", ETIMEDOUT);
		n = recv(p->fd, p->in + p->len, sizeof(p->in) - p->len, 0);
		if (n <= 0)
			floor_die("x1: recv", n < 0 ? errno : EPIPE);
		p->len += (size_t)n;
	}
	if (arpc_frame_get(p->in + p->used, len, ret, &why) < 0)
		floor_die(why, EBADMSG);
	p->used += len;
}

static void
until_answer(struct peer *p)
{
	struct arpc_frame f;

	do
		next_frame(p, &f);
	while (f.kind != ARPC_RESPONSE || f.id != next_id);
}

static void
send_all(const struct peer *p, const struct am_buf *b)
{
	struct pollfd wait = { .fd = p->fd, .events = POLLOUT };
	size_t off = 0;
	ssize_t n;

	while (off < b->len) {
		n = send(p->fd, b->data + off, b->len - off, MSG_NOSIGNAL);
		if (n > 0)
			off += (size_t)n;
		else if (errno != EAGAIN || poll(&wait, 1, WAIT_MS) != 1)
			floor_die("x1: send", errno);
	}
}

static double
cpu_us(const struct peer *p)
{
	struct timespec t;

	if (clock_gettime(p->clock, &t) < 0)
		floor_die("x1: clock", errno);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* After the answer it still ends its turn. */
static double
settled_us(const struct peer *p)
{
	double before, now = cpu_us(p);

	for (int i = 0; i < SETTLE_MS; i += 2) {
		before = now;
		(void)poll(NULL, 0, 2);
		now = cpu_us(p);
		if (now <= before)
			return now;
	}
	floor_die("x1: it never rests", ETIMEDOUT);
}

/* Of requests, the last one with next_id. What is sent as one is one. */
static void
measure(struct peer *p, const char *who, const char *what,
    const struct am_buf *frame)
{
	double best = INFINITY;

	for (int i = 0; i < ROUNDS; i++) {
		double start = settled_us(p);

		send_all(p, frame);
		until_answer(p);
		best = fmin(best, settled_us(p) - start);
	}
	if (best < dearest_us)
		return;
	dearest_us = best;
	(void)snprintf(dearest, sizeof(dearest), "%s of %zu KiB to a %s", what,
	    frame->len / 1024, who);
}

static void
report(const char *name, double budget)
{
	bench_report(&(struct bench_figure){
	    .name = name,
	    .what = dearest,
	    .unit = "us",
	    .value = dearest_us,
	    .floor = NAN,
	    .budget = budget,
	});
}

/* ---- what is sent ---- */

static void
put_head(struct am_buf *b, enum arpc_method method)
{
	am_buf_reset(b);
	arpc_put_request(b, ++next_id, method);
}

static void
put_state(struct am_buf *b, enum arpc_method method, am_id state)
{
	put_head(b, method);
	am_put_array(b, 2);
	am_put_array(b, 1);
	am_put_uint(b, state);
}

static void
put_nils(struct am_buf *b)
{
	am_put_map(b, 1);
	am_put_str(b, "a");
	am_put_array(b, LONG);
	for (int i = 0; i < LONG; i++)
		am_put_nil(b);
}

static void
put_keys(struct am_buf *b, unsigned n)
{
	char key[8];

	am_put_map(b, n);
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(key, sizeof(key), "k%04u", i);
		am_put_str(b, key);
		am_put_nil(b);
	}
}

static void
mutations(struct peer *p, const char *who, struct am_buf *b, am_id state)
{
	static const enum arpc_method methods[] = { ARPC_add, ARPC_remove,
		ARPC_set, ARPC_toggle, ARPC_can_add, ARPC_can_remove };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		const char *name = arpc_method_name(methods[i]);

		put_state(b, methods[i], state);
		put_nils(b);
		measure(p, who, name, b);
		put_state(b, methods[i], state);
		put_keys(b, AM_ARGS_MAX);
		measure(p, who, name, b);
		put_head(b, methods[i]);
		am_put_array(b, 1);
		am_put_array(b, ARPC_NAMES_MAX);
		for (int k = 0; k < ARPC_NAMES_MAX; k++)
			am_put_uint(b, state);
		measure(p, who, name, b);
	}
}

static void
others(struct peer *p, const char *who, struct am_buf *b, am_id state)
{
	static const char *const topics[] = { "status", "workers", "leases",
		"lease", "payloads", "open" };

	for (int m = 0; m <= ARPC__COUNT; m++) {
		if (m == ARPC_bye || m == ARPC_t || m == ARPC_m ||
		    m == ARPC_p || m == ARPC_part)
			continue;
		/* Too many params, or not those. */
		put_head(b, (enum arpc_method)m);
		am_put_array(b, LONG);
		for (int i = 0; i < LONG; i++)
			am_put_nil(b);
		measure(p, who, arpc_method_name((enum arpc_method)m), b);
	}
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		put_head(b, ARPC_info);
		am_put_array(b, LONG);
		am_put_str(b, topics[i]);
		for (int k = 1; k < LONG; k++)
			am_put_nil(b);
		measure(p, who, "info", b);
	}
	put_head(b, ARPC_trace);
	am_put_array(b, 1);
	am_put_bool(b, true);
	measure(p, who, "trace", b);
	am_buf_reset(b);
	arpc_put_notification(b, ARPC_ack);
	am_put_array(b, 1);
	am_put_array(b, 1024);
	for (unsigned i = 0; i < 1024; i++)
		am_put_uint(b, 1000000 + i);
	arpc_put_request(b, ++next_id, ARPC_sync);
	am_put_array(b, 0);
	measure(p, who, "ack", b);
	/* Nobody answers these until the connection ends. */
	am_buf_reset(b);
	for (int i = 0; i < KEYS_WAITED_FOR; i++) {
		arpc_put_request(b, ++next_id, ARPC_when_args);
		am_put_array(b, 2);
		am_put_uint(b, state);
		put_keys(b, KEYS_WAITED_FOR);
	}
	arpc_put_request(b, ++next_id, ARPC_sync);
	am_put_array(b, 0);
	measure(p, who, "64 when_args", b);
	put_state(b, ARPC_add, state);
	put_keys(b, AM_ARGS_MAX);
	measure(p, who, "add that 64 when_args wait for", b);
}

/* ---- the two servers ---- */

static void
peer_connect(struct peer *p, const char *address, pid_t pid,
    const struct arpc_hello *hello, const char *who)
{
	struct am_buf b = AM_BUF_INIT;
	double start;
	struct addr a;

	if (clock_getcpuclockid(pid, &p->clock) != 0)
		floor_die("x1: clock_getcpuclockid", ESRCH);
	if (addr_parse(address, &a, NULL) < 0)
		floor_die(address, EINVAL);
	p->len = p->used = 0;
	start = settled_us(p);
	p->fd = addr_connect(&a);
	if (p->fd < 0)
		floor_die(address, -p->fd);
	arpc_put_hello(&b, ++next_id, hello);
	send_all(p, &b);
	until_answer(p);
	start = settled_us(p) - start;
	if (start > dearest_us) {
		dearest_us = start;
		(void)snprintf(dearest, sizeof(dearest), "hello to a %s", who);
	}
	am_buf_done(&b);
}

/* Fills in the token; address as it was granted. */
static pid_t
lease(struct peer *p, struct arpc_hello *hello, char *address, size_t size)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_val token = AM_NONE;
	struct arpc_payload grant;
	const char *why = "no worker";
	struct arpc_frame f;
	const void *bytes;
	int64_t pid = 0;
	struct mp c;
	size_t len;

	put_state(&b, ARPC_add, Sup_LeaseRequested);
	am_put_map(&b, 1);
	am_put_str(&b, "request");
	am_put_uint(&b, 1);
	send_all(p, &b);
	am_buf_done(&b);
	do
		next_frame(p, &f);
	while (f.kind != ARPC_NOTIFICATION || f.method != ARPC_p);
	if (arpc_payload_get(f.params, &grant, &why) < 0 ||
	    am_get_text(grant.data, "address", address, size) < 0 ||
	    am_get_int(grant.data, "pid", &pid) < 0 ||
	    am_get(grant.data, "token", &token) < 0)
		floor_die(why, EBADMSG);
	c = mp_of(token);
	if (mp_get_bin(&c, &bytes, &len) < 0 || len != sizeof(hello->token))
		floor_die("x1: token", EBADMSG);
	memcpy(hello->token, bytes, len);
	hello->has_token = true;
	return (pid_t)pid;
}

void
frame_bench(const char *socket, pid_t amnoded)
{
	static struct peer super, worker;
	struct arpc_hello hello = { .proto = ARPC_VERSION, .client_id = 4711 };
	struct am_buf b = AM_BUF_INIT;
	char address[128];
	pid_t pid;

	dearest_us = 0;
	peer_connect(&super, socket, amnoded, &hello, "supervisor");
	pid = lease(&super, &hello, address, sizeof(address));
	peer_connect(&worker, address, pid, &hello, "worker");
	mutations(&super, "supervisor", &b, Sup_ReleaseWorker);
	mutations(&super, "supervisor", &b, Sup_ListWorkers);
	others(&super, "supervisor", &b, Sup_ListWorkers);
	mutations(&worker, "worker", &b, Wrk_CancelWork);
	others(&worker, "worker", &b, Wrk_CancelWork);
	report("x1", 1000);
	dearest_us = 0;
	mutations(&worker, "worker", &b, Wrk_WorkRequested);
	report("x1b", NAN);
	(void)close(worker.fd);
	(void)close(super.fd);
	am_buf_done(&b);
}
