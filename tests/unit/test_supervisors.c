/* A client with a list of supervisors: who refuses is left for the next one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/node/client_int.h"
#include "lib/rpc/server.h"
#include "proto/supervisor.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

/* A supervisor that refuses; the world's own is the one that has a worker. */
struct refuser {
	char path[160];
	enum arpc_error code;
	const char *why;
	unsigned n_asked;
	struct am_machine *m;
	struct rpc_server *server;
	const char *hello; /* why it refuses that; NULL: it does not */
};

static bool
refuse(struct am_event *ev)
{
	struct refuser *r = ev->arg;

	r->n_asked++;
	rpc_source_refuse(ev->source, r->code, r->why);
	return am_refuse(ev, "%s", r->why);
}

static const struct am_handler of[Sup__COUNT] = {
	[Sup_LeaseRequested] = { .enter = refuse },
};
static const struct am_handlers handlers = AM_HANDLERS("refuser", of);

static int
on_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	const struct refuser *r = arg;

	(void)s;
	(void)h;
	if (r->hello == NULL)
		return 0;
	return node_error(err, ARPC_E_not_permitted, "%s", r->hello);
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

static const struct rpc_policy policy = {
	.hello = on_hello,
	.may = may,
	.max_sessions = 16,
};

static void
refuser_listen(struct refuser *r, struct world *w)
{
	r->server = rpc_server_new(w->loop, r->m);
	ck_assert_int_ge(rpc_server_listen(r->server, world_listen(r->path),
			     &policy, r),
	    0);
}

static struct refuser *
refuser_new(struct world *w, const char *name, const char *why)
{
	struct am_schema *schema = am_schema_new(&am_supervisor_states, NULL);
	struct refuser *r = calloc(1, sizeof(*r));

	r->code = ARPC_E_no_worker;
	r->why = why;
	(void)snprintf(r->path, sizeof(r->path), "%s/%s", w->dir, name);
	r->m = am_machine_new(schema, name);
	am_schema_unref(schema);
	ck_assert_int_eq(am_bind(r->m, &handlers, r), 0);
	(void)am_add1(r->m, Sup_Start, AM_NONE);
	refuser_listen(r, w);
	return r;
}

static void
refuser_free(struct refuser *r)
{
	r->server = rpc_server_free(r->server);
	am_machine_free(r->m);
	(void)unlink(r->path);
	free(r);
}

static struct world *
world_of_two(void)
{
	struct world *w = world_new();

	world_worker(w);
	world_supervisor(w);
	return w;
}

static void
gets_a_worker(struct world *w)
{
	unsigned n_asked = w->n_asked, n_ready = w->n_ready;

	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == n_asked + 1);
	world_grant(w);
	world_until_true(w, w->n_ready == n_ready + 1);
}

static void
releases(struct world *w)
{
	unsigned n_lost = w->n_lost;

	ck_assert_int_eq(am_client_release(w->c), 0);
	world_until_true(w, strcmp(w->released, "released") == 0);
	world_end_lease(w, "L1", "released");
	world_until_true(w, w->n_lost == n_lost + 1);
	ck_assert_str_eq(w->lost_code, AM_CODE_RELEASED);
}

static void
next_gives(enum arpc_error code, const char *why)
{
	struct world *w = world_of_two();
	struct refuser *r = refuser_new(w, "first", why);

	r->code = code;
	world_client_of(w, r->path, w->super_path);
	gets_a_worker(w);
	ck_assert_uint_eq(r->n_asked, 1);
	ck_assert_uint_eq(w->n_lost, 0);
	refuser_free(r);
	world_free(w);
}

START_TEST(one_that_is_full_broken_or_draining_is_left_for_the_next)
{
	next_gives(ARPC_E_no_worker, "queue full (64)");
	next_gives(ARPC_E_pool_broken, "no such program");
	next_gives(ARPC_E_draining, "the supervisor is stopping");
	next_gives(ARPC_E_limit, "limit of your user reached (4)");
}
END_TEST

/* The code is a code of the protocol, not a word in the text. */
START_TEST(the_code_of_a_refusal_is_not_read_from_its_text)
{
	struct world *w = world_new();
	struct refuser *r = refuser_new(w, "first", "Draining: limit");

	world_client_of(w, r->path, r->path);
	r->code = ARPC_E_pool_broken;
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, AM_CODE_POOL_BROKEN);
	refuser_free(r);
	world_free(w);
}
END_TEST

START_TEST(a_refused_hello_is_left_for_the_next)
{
	struct world *w = world_of_two();
	struct refuser *r = refuser_new(w, "first", "");

	r->hello = "not you";
	world_client_of(w, r->path, w->super_path);
	gets_a_worker(w);
	ck_assert_uint_eq(r->n_asked, 0);
	refuser_free(r);
	world_free(w);
}
END_TEST

START_TEST(one_that_begins_to_drain_while_it_is_waited_for_is_left)
{
	struct world *w = world_of_two();
	struct refuser *r = refuser_new(w, "second", "queue full (64)");

	world_client_of(w, w->super_path, r->path);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_refuse(w, "draining", "the supervisor stops");
	world_until_true(w, w->n_lost == 1);
	ck_assert_uint_eq(r->n_asked, 1);
	/* Both have refused: of each it is said why. */
	ck_assert_str_eq(w->lost_code, AM_CODE_DRAINING);
	ck_assert_ptr_nonnull(
	    strstr(w->lost_reason, "/sock: the supervisor stops; "));
	ck_assert_ptr_nonnull(
	    strstr(w->lost_reason, "/second: queue full (64)"));
	refuser_free(r);
	world_free(w);
}
END_TEST

START_TEST(no_wait_ends_with_the_last_and_says_why_each_refused)
{
	struct world *w = world_of_two();
	struct refuser *r = refuser_new(w, "first", "no worker is free now");
	char none[160];

	(void)snprintf(none, sizeof(none), "%s/none", w->dir);
	world_client_of(w, r->path, none);
	ck_assert_int_eq(am_client_lease(w->c, 0), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, AM_CODE_NO_WORKER);
	ck_assert_ptr_nonnull(
	    strstr(w->lost_reason, "/first: no worker is free now; "));
	ck_assert_ptr_nonnull(
	    strstr(w->lost_reason, "/none: No such file or directory"));
	ck_assert(!am_is1(w->cm, Cli_WorkerWanted));
	refuser_free(r);
	world_free(w);
}
END_TEST

START_TEST(one_that_is_not_there_yet_is_waited_for_while_others_refuse)
{
	struct world *w = world_new();
	struct refuser *r = refuser_new(w, "first", "queue full (64)");

	world_worker(w);
	world_client_of(w, r->path, w->super_path);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, r->n_asked == 2); /* each round anew */
	ck_assert_uint_eq(w->n_lost, 0);
	world_supervisor(w);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	refuser_free(r);
	world_free(w);
}
END_TEST

START_TEST(the_first_is_asked_again_when_it_had_its_rest)
{
	struct world *w = world_of_two();
	struct refuser *r = refuser_new(w, "first", "queue full (64)");

	world_client_of(w, r->path, w->super_path);
	gets_a_worker(w);
	releases(w);
	/* At once it is not: the connected one is. */
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 2);
	ck_assert_uint_eq(r->n_asked, 1);
	ck_assert_int_eq(am_client_release(w->c), 0);
	/* Later it is. */
	w->c->supervisor[0].left_ns -= node_ns(10000);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 3);
	ck_assert_uint_eq(r->n_asked, 2);
	refuser_free(r);
	world_free(w);
}
END_TEST

START_TEST(a_lease_is_released_to_the_one_who_gave_it)
{
	struct world *w = world_of_two();
	struct refuser *r = refuser_new(w, "first", "queue full (64)");

	world_client_of(w, r->path, w->super_path);
	gets_a_worker(w);
	w->c->supervisor[0].left_ns = 0; /* it would be first again */
	rpc_server_close(w->server, -1, "cut");
	world_until_state(w, w->cm, Cli_SuperReady, false);
	releases(w);
	refuser_free(r);
	world_free(w);
}
END_TEST

static int depth, n_again;

static void
ask_again(struct am_client *c, const char *code, const char *reason, void *arg)
{
	(void)reason;
	(void)arg;
	ck_assert_str_eq(code, AM_CODE_UNREACHABLE);
	ck_assert_int_eq(depth, 0);
	depth++;
	n_again++;
	ck_assert_int_eq(am_client_lease(c, 0), 0);
	depth--;
}

START_TEST(a_client_that_asks_again_in_on_lost_does_so_in_another_turn)
{
	struct world *w = world_new();
	const char *nobody = w->super_path;
	const struct am_client_conf conf = {
		.size = sizeof(conf),
		.supervisors = &nobody,
		.n_supervisors = 1,
		.on_lost = ask_again,
	};
	struct am_client *c = am_client_new(w->loop, &conf, NULL);

	ck_assert_ptr_nonnull(c);
	depth = n_again = 0;
	ck_assert_int_eq(am_client_lease(c, 0), 0);
	ck_assert_int_eq(n_again, 0);
	world_until_true(w, n_again == 100);
	am_client_free(c);
	world_free(w);
}
END_TEST

UNIT_MAIN("supervisors",
    one_that_is_full_broken_or_draining_is_left_for_the_next,
    the_code_of_a_refusal_is_not_read_from_its_text,
    a_refused_hello_is_left_for_the_next,
    one_that_begins_to_drain_while_it_is_waited_for_is_left,
    no_wait_ends_with_the_last_and_says_why_each_refused,
    one_that_is_not_there_yet_is_waited_for_while_others_refuse,
    the_first_is_asked_again_when_it_had_its_rest,
    a_lease_is_released_to_the_one_who_gave_it,
    a_client_that_asks_again_in_on_lost_does_so_in_another_turn)
