/* A client or a worker that is freed by one of its own callbacks or handlers. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proto/worker.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

static struct world *the;

static void
free_client(void)
{
	the->c = am_client_free(the->c);
}

static void
on_ready(struct am_client *c, void *arg)
{
	(void)c;
	(void)arg;
	free_client();
}

static void
on_payload(struct am_client *c, const struct am_payload *p, void *arg)
{
	(void)c;
	(void)p;
	(void)arg;
	free_client();
}

static void
on_lost(struct am_client *c, const char *code, const char *reason, void *arg)
{
	(void)c;
	(void)reason;
	(void)arg;
	ck_assert_str_ne(code, "");
	free_client();
}

static void
on_state(struct am_machine *m, void *arg)
{
	(void)arg;
	if (!am_disposing(m) && the->c != NULL)
		free_client();
}

static void
turns(int n)
{
	for (int i = 0; i < n; i++)
		(void)am_loop_step(the->loop, 1);
}

static void
begin(const struct am_client_conf *more)
{
	struct am_client_conf conf = *more;
	const char *super;

	the = world_new();
	world_worker(the);
	world_supervisor(the);
	super = the->super_path;
	conf.size = sizeof(conf);
	conf.supervisors = &super;
	conf.n_supervisors = 1;
	the->c = am_client_new(the->loop, &conf, NULL);
	ck_assert_ptr_nonnull(the->c);
	the->cm = am_client_machine(the->c);
	ck_assert_int_eq(am_client_lease(the->c, 5000), 0);
	world_until_true(the, the->n_asked == 1);
}

static void
end(void)
{
	world_until_true(the, the->c == NULL);
	turns(5);
	world_free(the);
}

START_TEST(a_client_is_freed_by_on_ready)
{
	begin(&(struct am_client_conf){ .on_ready = on_ready });
	world_grant(the);
	end();
}
END_TEST

static void
ask(struct am_client *c, void *arg)
{
	(void)arg;
	ck_assert_int_eq(am_client_request(c, AM_NONE, 5000, NULL), 0);
	ck_assert_int_eq(am_client_request(c, AM_NONE, 5000, NULL), 0);
}

START_TEST(a_client_is_freed_by_on_payload)
{
	begin(&(struct am_client_conf){ .on_ready = ask,
	    .on_payload = on_payload });
	world_grant(the);
	world_until_true(the, the->n_reqs == 2);
	world_answer(the, 0, 1);
	world_answer(the, 1, 1);
	end();
}
END_TEST

START_TEST(a_client_is_freed_by_the_end_of_a_lost_request)
{
	begin(&(struct am_client_conf){ .on_ready = ask,
	    .on_payload = on_payload });
	world_grant(the);
	world_until_true(the, the->n_reqs == 2);
	flow_log_detach(&the->wlog);
	the->wlog.machine = NULL;
	the->worker = am_worker_free(the->worker);
	(void)unlink(the->public_path);
	end();
}
END_TEST

START_TEST(a_client_is_freed_by_on_lost)
{
	begin(&(struct am_client_conf){ .on_lost = on_lost });
	world_refuse(the, "pool_broken", "pool broken");
	end();
}
END_TEST

START_TEST(a_client_is_freed_by_each_state_of_its_machine)
{
	for (am_id id = 0; id < Cli__COUNT; id++) {
		bool freed;

		begin(&(struct am_client_conf){ .on_ready = ask });
		(void)am_when_next_active(the->cm, id, on_state, NULL);
		if (the->c != NULL)
			world_grant(the);
		for (int i = 0; i < 50 && the->c != NULL; i++)
			turns(1);
		if (the->c != NULL)
			rpc_server_close(the->server, -1, "cut");
		for (int i = 0; i < 50 && the->c != NULL; i++)
			turns(1);
		if (the->c != NULL && the->n_reqs > 0)
			world_answer(the, 0, 1);
		for (int i = 0; i < 20 && the->c != NULL; i++)
			turns(1);
		freed = the->c == NULL;
		if (!freed)
			free_client();
		ck_assert(freed || id != Cli_WorkerReady);
		end();
	}
}
END_TEST

/* ---- the worker ---- */

static bool frees;

static void
free_worker(struct am_worker *w)
{
	if (!frees)
		return;
	flow_log_detach(&the->wlog);
	the->wlog.machine = NULL;
	the->worker = am_worker_free(w);
}

static bool
enter(struct am_event *ev)
{
	free_worker(am_worker_of(ev->machine));
	return true;
}

static void
state(struct am_event *ev)
{
	if (the->worker != NULL)
		free_worker(am_worker_of(ev->machine));
}

static void
on_lease(struct am_worker *w, const char *client, void *arg)
{
	(void)client;
	(void)arg;
	free_worker(w);
}

static void
run_worker(const struct am_handler *handler)
{
	struct am_handlers handlers = { .name = "free",
		.of = handler,
		.len = Wrk__COUNT };

	the = world_new();
	frees = true;
	the->conf.handlers = &handlers;
	if (handler == NULL) {
		the->conf.handlers = NULL;
		the->conf.on_lease = on_lease;
	}
	world_worker_alone(the);
	for (int i = 0; i < 20 && the->worker != NULL; i++)
		turns(1);
	if (the->worker != NULL) {
		struct arpc_lease l = { .lease = "L1", .client = "c1" };

		world_connect_super(the);
		(void)netmach_lease_begin(the->super.nm, &l, NULL, NULL);
	}
	for (int i = 0; i < 20 && the->worker != NULL; i++)
		turns(1);
	ck_assert_ptr_null(the->worker);
	turns(5);
	world_free(the);
}

START_TEST(a_worker_is_freed_by_its_handlers)
{
	static const am_id ids[] = { Wrk_Start, Wrk_RpcReady, Wrk_Idle,
		Wrk_ServeClient, Wrk_Leased };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct am_handler of[Wrk__COUNT] = { { .enter = NULL } };

		of[ids[i]].enter = enter;
		run_worker(of);
		of[ids[i]] = (struct am_handler){ .state = state };
		run_worker(of);
	}
}
END_TEST

START_TEST(a_worker_is_freed_by_on_lease)
{
	run_worker(NULL);
}
END_TEST

UNIT_MAIN("free", a_client_is_freed_by_on_ready,
    a_client_is_freed_by_on_payload,
    a_client_is_freed_by_the_end_of_a_lost_request,
    a_client_is_freed_by_on_lost,
    a_client_is_freed_by_each_state_of_its_machine,
    a_worker_is_freed_by_its_handlers, a_worker_is_freed_by_on_lease)
