/* What one frame may cost a supervisor with 1,000 workers: the worst of each kind
 * that a permitted client can send. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/world.h"
#include "lib/base/buf.h"
#include "lib/rpc/server.h"
#include "lib/rpc/user.h"
#include "lib/rpc/watch.h"
#include "proto/arpc.h"
#include "tests/unit/cost.h"
#include "tests/unit/super_rig.h"

enum {
	WORKERS = 1000,
	LEASES = 500,
	LONG = 60 * 1024, /* bytes of args: a frame has at most 64 KiB */
	/* A line of the log for each worker, ten times a minute at most. */
	LIST_US = 4 * LIMIT_US,
};

static struct rig *r;
static struct world world;
static struct super_io io;
static char dir[64], path[96], listen_at[128];

/* Too many for the rig's log. */
static void
start_workers(void)
{
	const char *set[1] = { listen_at };
	struct worker *w;

	r = rig_new(WORKERS, 0, WORKERS, set, 1);
	flow_log_detach(&r->log);
	event_start(&r->super);
	event_local_ready(&r->super);
	event_public_ready(&r->super);
	while ((w = TAILQ_LAST(&r->super.model.in_state[WORKER_SPAWNED],
		    worker_list)) != NULL) {
		rig_hello(w);
		rig_push(w);
	}
	ck_assert_int_eq(event_client_connected(&r->super, &r->c1), 0);
	rig_heartbeat_over(r);
	ck_assert(super_is(&r->super, Sup_Ready));
}

/* The real public socket before the made-up workers. */
static void
begin(void)
{
	struct am_error err = { "" };
	char json[64];

	(void)snprintf(dir, sizeof(dir), "/tmp/test_cost.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	(void)snprintf(listen_at, sizeof(listen_at), "Supervisor.Listen=%s",
	    path);
	start_workers();
	for (int i = 0; i < LEASES; i++) {
		(void)snprintf(json, sizeof(json),
		    "{\"request\":%d,\"timeout_ms\":30000}", i);
		(void)rig_lease(r, &r->c1, json);
	}
	world = (struct world){
		.super = &r->super,
		.loop = r->loop,
		.config = &r->config,
		.instance = "test",
		.server = rpc_server_new(r->loop, r->super.machine),
	};
	ck_assert_int_eq(access_bind(&world, &err), 0);
	io = *r->super.io;
	io.client = access_client;
	io.tell = access_tell;
	r->super.io = &io;
	r->super.world = &world;
	ck_assert_int_eq(access_listen(&r->super, &err), 0);
	r->super.world = r;
	cost_loop = r->loop;
}

static void
finish(void)
{
	(void)close(fd);
	for (int i = 0; i < 4; i++)
		(void)am_loop_step(r->loop, 0);
	world.server = rpc_server_free(world.server);
	rig_free(r);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* Returns what its hello cost. */
static int64_t
connect_one(bool follows)
{
	struct am_buf b = AM_BUF_INIT;
	struct arpc_hello h = { .proto = ARPC_VERSION, .client_id = 4711 };
	struct am_buf none = AM_BUF_INIT;
	struct am_error err;
	struct addr a;
	int64_t us;

	ck_assert_int_eq(addr_parse(path, &a, &err), 0);
	fd = addr_connect(&a);
	ck_assert_int_ge(fd, 0);
	am_put_array(&none, 0);
	if (!follows)
		h.sync.allow = am_buf_val(&none);
	arpc_put_hello(&b, next_id++, &h);
	us = take_us(b.data, b.len);
	am_buf_done(&b);
	am_buf_done(&none);
	return us;
}

static void
put_head(struct am_buf *b, enum arpc_method method, am_id state)
{
	am_buf_reset(b);
	arpc_put_request(b, next_id++, method);
	am_put_array(b, 2);
	am_put_array(b, 1);
	am_put_uint(b, state);
}

/* As many keys as there may be, after those that the state looks at. */
static void
put_many_keys(struct am_buf *b)
{
	char key[8];

	am_put_map(b, AM_ARGS_MAX);
	am_put_str(b, "request");
	am_put_uint(b, next_id);
	am_put_str(b, "timeout_ms");
	am_put_int(b, 0);
	for (unsigned i = 2; i < AM_ARGS_MAX; i++) {
		(void)snprintf(key, sizeof(key), "k%04u", i);
		am_put_str(b, key);
		am_put_nil(b);
	}
}

static void
put_one_long(struct am_buf *b, const char *key, bool text)
{
	static char long_text[LONG];

	am_put_map(b, 1);
	am_put_str(b, key);
	memset(long_text, 0x1b, sizeof(long_text));
	if (text) {
		am_put_strn(b, long_text, sizeof(long_text));
		return;
	}
	am_put_array(b, LONG);
	for (int i = 0; i < LONG; i++)
		am_put_nil(b);
}

START_TEST(mutations_with_long_args)
{
	static const am_id states[] = { Sup_LeaseRequested, Sup_ProvideWorker,
		Sup_ReleaseWorker, Sup_WorkerIssues, Sup_ListWorkers,
		Sup_KillWorker };
	static const char *const keys[] = { "lease", "worker", "any" };
	struct am_buf b = AM_BUF_INIT;
	char what[80];

	begin();
	(void)connect_one(true);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const char *name = am_schema_name(am_machine_schema(
						      r->super.machine),
		    states[i]);
		int64_t limit = states[i] == Sup_ListWorkers ? LIST_US
							     : LIMIT_US;

		put_head(&b, ARPC_add, states[i]);
		put_many_keys(&b);
		(void)snprintf(what, sizeof(what), "%s, many keys", name);
		costs_at_most(limit, what, &b);
		for (int k = 0; k < 6; k++) {
			put_head(&b, k < 3 ? ARPC_add : ARPC_can_add,
			    states[i]);
			put_one_long(&b, keys[k % 3], k % 3 < 2);
			(void)snprintf(what, sizeof(what), "%s, long %s", name,
			    keys[k % 3]);
			costs_at_most(limit, what, &b);
		}
	}
	am_buf_done(&b);
	finish();
}
END_TEST

START_TEST(what_is_not_permitted)
{
	static const enum arpc_method methods[] = { ARPC_add, ARPC_remove,
		ARPC_set, ARPC_toggle, ARPC_can_add, ARPC_can_remove };
	struct am_buf b = AM_BUF_INIT;

	begin();
	(void)connect_one(true);
	for (size_t i = 0; i < 6; i++) {
		am_buf_reset(&b);
		arpc_put_request(&b, next_id++, methods[i]);
		am_put_array(&b, 1);
		am_put_array(&b, ARPC_NAMES_MAX);
		for (unsigned n = 0; n < ARPC_NAMES_MAX; n++)
			am_put_uint(&b,
			    n == ARPC_NAMES_MAX - 1 ? Sup_Start
						    : Sup_ListWorkers);
		costs_little(arpc_method_name(methods[i]), &b);
	}
	am_buf_done(&b);
	finish();
}
END_TEST

static void
put_ask(struct am_buf *b, enum arpc_method method, const char *topic,
    const char *param)
{
	am_buf_reset(b);
	arpc_put_request(b, next_id++, method);
	am_put_array(b, (topic != NULL) + (param != NULL));
	if (topic != NULL)
		am_put_str(b, topic);
	if (param != NULL)
		am_put_str(b, param);
}

START_TEST(what_is_asked_about_many_workers)
{
	static const char *const topics[] = { "status", "workers", "leases" };
	struct am_buf b = AM_BUF_INIT;
	int64_t best = INT64_MAX;

	begin();
	for (int i = 0; i < ROUNDS; i++) {
		int64_t us = connect_one(true);

		best = us < best ? us : best;
		(void)close(fd);
	}
	printf("# hello: %d us\n", (int)best);
	ck_assert_int_le(best, LIMIT_US);
	(void)connect_one(true);
	for (size_t i = 0; i < 3; i++) {
		put_ask(&b, ARPC_info, topics[i], NULL);
		costs_little(topics[i], &b);
	}
	put_ask(&b, ARPC_info, "lease", "L500");
	costs_little("lease", &b);
	put_ask(&b, ARPC_info, "lease", "L7000");
	costs_little("lease, unknown", &b);
	put_ask(&b, ARPC_sync, NULL, NULL);
	costs_little("sync", &b);
	put_ask(&b, ARPC_schema, NULL, NULL);
	costs_little("schema", &b);
	am_buf_done(&b);
	finish();
}
END_TEST

/* As many as a user may have, on as many connections as that takes. */
START_TEST(args_that_many_wait_for)
{
	enum { CONNECTIONS = USER_WHEN_KEYS / WHEN_ARGS_MAX };
	static int fds[CONNECTIONS];
	struct am_buf b = AM_BUF_INIT;

	begin();
	for (int i = 0; i < CONNECTIONS; i++) {
		(void)connect_one(false);
		fds[i] = fd;
		am_buf_reset(&b);
		for (int n = 0; n < WHEN_ARGS_MAX; n++) {
			arpc_put_request(&b, next_id++, ARPC_when_args);
			am_put_array(&b, 2);
			am_put_uint(&b, Sup_LeaseRequested);
			am_put_map(&b, 1);
			am_put_str(&b, "k0002");
			am_put_uint(&b, 7);
		}
		(void)take_us(b.data, b.len);
	}
	(void)connect_one(true);
	put_head(&b, ARPC_add, Sup_LeaseRequested);
	put_many_keys(&b);
	costs_little("args that miss all that wait", &b);
	for (int i = 0; i < CONNECTIONS; i++)
		(void)close(fds[i]);
	am_buf_done(&b);
	finish();
}
END_TEST

START_TEST(mutations_that_many_trace)
{
	enum { CONNECTIONS = 64 };
	static int fds[CONNECTIONS];
	struct am_buf b = AM_BUF_INIT;

	begin();
	for (int i = 0; i < CONNECTIONS; i++) {
		(void)connect_one(true);
		fds[i] = fd;
		am_buf_reset(&b);
		arpc_put_request(&b, next_id++, ARPC_trace);
		am_put_array(&b, 1);
		am_put_bool(&b, true);
		(void)take_us(b.data, b.len);
	}
	put_head(&b, ARPC_add, Sup_LeaseRequested);
	put_many_keys(&b);
	costs_little("LeaseRequested, traced by 64 connections", &b);
	for (int i = 0; i < CONNECTIONS - 1; i++)
		(void)close(fds[i]);
	am_buf_done(&b);
	finish();
}
END_TEST

UNIT_MAIN("daemon_cost", mutations_with_long_args, what_is_not_permitted,
    what_is_asked_about_many_workers, args_that_many_wait_for,
    mutations_that_many_trace)
