/* What a client sees of its worker and its supervisor through amnode.h. */
#include <string.h>

#include "proto/supervisor.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

static struct world *
leased_with(struct am_view worker, struct am_view supervisor)
{
	struct world *w = world_new();

	w->worker_view = worker;
	w->supervisor_view = supervisor;
	world_worker(w);
	world_supervisor(w);
	world_client(w);
	world_until_state(w, w->cm, Cli_SuperReady, true);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1 || w->n_lost == 1);
	return w;
}

/* One request, to its end: the worker's clocks move. */
static void
work(struct world *w)
{
	size_t n = w->n_told, n_reqs = w->n_reqs;

	ck_assert_int_eq(am_client_request(w->c, AM_NONE, 5000, NULL), 0);
	world_until_true(w, w->n_reqs > n_reqs);
	world_answer(w, w->n_reqs - 1, 1);
	world_until_true(w, w->n_told > n);
	world_until_state(w, w->w, Wrk_Idle, true);
	for (int i = 0; i < 5; i++)
		(void)am_loop_step(w->loop, 0);
}

START_TEST(only_the_named_states_are_shown)
{
	static const char *const only[] = { "Working", NULL };
	struct world *w = leased_with((struct am_view){ .only = only },
	    (struct am_view){ .only = NULL });
	struct am_machine *mirror = am_client_worker(w->c);

	work(w);
	ck_assert_uint_eq(am_tick(mirror, Wrk_Working),
	    am_tick(w->w, Wrk_Working));
	ck_assert_uint_gt(am_tick(w->w, Wrk_WorkRequested), 0);
	ck_assert_uint_eq(am_tick(mirror, Wrk_WorkRequested), 0);
	world_free(w);
}
END_TEST

START_TEST(skipped_states_are_not_shown)
{
	static const char *const skip[] = { "Working", "WorkRequested", NULL };
	struct world *w = leased_with((struct am_view){ .skip = skip },
	    (struct am_view){ .only = NULL });
	struct am_machine *mirror = am_client_worker(w->c);

	work(w);
	ck_assert_uint_eq(am_tick(mirror, Wrk_Working), 0);
	ck_assert_uint_eq(am_tick(mirror, Wrk_Idle), am_tick(w->w, Wrk_Idle));
	world_free(w);
}
END_TEST

START_TEST(a_shallow_view_tells_whether_and_not_how_often)
{
	struct world *w = leased_with((struct am_view){ .shallow = true },
	    (struct am_view){ .only = NULL });
	struct am_machine *mirror = am_client_worker(w->c);

	work(w);
	work(w);
	ck_assert_uint_ge(am_tick(w->w, Wrk_WorkRequested), 4);
	ck_assert_uint_eq(am_tick(mirror, Wrk_WorkRequested), 0);
	ck_assert(am_is1(mirror, Wrk_Idle));
	world_free(w);
}
END_TEST

START_TEST(the_supervisor_has_a_view_of_its_own)
{
	static const char *const only[] = { "Start", NULL };
	struct world *w = leased_with((struct am_view){ .only = NULL },
	    (struct am_view){ .only = only });
	const struct am_machine *mirror = am_client_supervisor(w->c);

	ck_assert_ptr_nonnull(mirror);
	ck_assert_uint_eq(am_schema_len(am_machine_schema(mirror)), Sup__COUNT);
	ck_assert_uint_gt(am_tick(w->s, Sup_LeaseRequested), 0);
	ck_assert_uint_eq(am_tick(mirror, Sup_LeaseRequested), 0);
	ck_assert_uint_eq(am_tick(mirror, Sup_Start), am_tick(w->s, Sup_Start));
	world_free(w);
}
END_TEST

START_TEST(a_view_of_a_state_that_is_not_there_ends_the_lease)
{
	static const char *const only[] = { "Wroking", NULL };
	struct world *w = leased_with((struct am_view){ .only = only },
	    (struct am_view){ .only = NULL });

	ck_assert_uint_eq(w->n_ready, 0);
	ck_assert_str_eq(w->lost_code, AM_CODE_BAD_PARAMS);
	ck_assert_ptr_nonnull(strstr(w->lost_reason, "no state \"Wroking\""));
	world_free(w);
}
END_TEST

START_TEST(a_view_does_not_name_and_skip)
{
	static const char *const some[] = { "Working", NULL };
	const struct am_client_conf conf = { .size = sizeof(conf),
		.worker_view = { .only = some, .skip = some } };
	struct am_loop *l = am_loop_new();
	struct am_error err;

	ck_assert_ptr_null(am_client_new(l, &conf, &err));
	ck_assert_str_eq(err.text,
	    "a view can have `only` or `skip`, but not both");
	am_loop_free(l);
}
END_TEST

static void
on_came(struct am_machine *m, void *arg)
{
	(void)m;
	*(bool *)arg = !am_disposing(m);
}

static void
on_end(struct am_machine *m, const struct am_transition *t, void *arg)
{
	(void)m;
	if (t->n_called == 1 && t->called[0] == Wrk_Working && t->accepted)
		++*(unsigned *)arg;
}

START_TEST(the_worker_can_be_traced_and_its_args_waited_for)
{
	static const struct am_tracer tracer = { .size = sizeof(tracer),
		.transition_end = on_end };
	struct world *w = leased_with((struct am_view){ .only = NULL },
	    (struct am_view){ .only = NULL });
	struct am_machine *mirror = am_client_worker(w->c);
	struct am_buf args = AM_BUF_INIT;
	unsigned n_working = 0;
	bool came = false;

	ck_assert_int_eq(am_trace(mirror, &tracer, &n_working), 0);
	ck_assert_int_eq(am_json_decode("{\"input\":3}", 11, &args, NULL), 0);
	ck_assert_uint_ne(am_when_args(mirror, Wrk_WorkRequested,
			      am_buf_val(&args), on_came, &came),
	    AM_SUB_FAILED);
	ck_assert_int_eq(am_client_request(w->c, am_buf_val(&args), 5000, NULL),
	    0);
	world_until(w, &came);
	world_until_true(w, n_working >= 1);
	am_untrace(mirror, &tracer, &n_working);
	am_buf_done(&args);
	world_free(w);
}
END_TEST

UNIT_MAIN("view", only_the_named_states_are_shown, skipped_states_are_not_shown,
    a_shallow_view_tells_whether_and_not_how_often,
    the_supervisor_has_a_view_of_its_own,
    a_view_of_a_state_that_is_not_there_ends_the_lease,
    a_view_does_not_name_and_skip,
    the_worker_can_be_traced_and_its_args_waited_for)
