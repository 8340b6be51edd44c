/* Waiting with a timeout, trying again, pipes. */
#include <errno.h>

#include "lib/amnode_log.h"
#include "lib/amnode_pipe.h"
#include "lib/amnode_wait.h"
#include "lib/base/clock.h"
#include "tests/unit/four.h"

struct bed {
	struct rig *r;
	struct am_loop *l;
	am_retry retry;
	int n_done;
	int result;
	am_result mutated;
};

static struct bed
bed_of(const char *states)
{
	return (struct bed){ .r = rig_json(states), .l = am_loop_new() };
}

static void
bed_done(struct bed *b)
{
	am_loop_free(b->l);
	rig_free(b->r);
}

static void
on_done(void *arg, int result)
{
	struct bed *b = arg;

	b->n_done++;
	b->result = result;
}

/* ---- waiting ---- */

static void
step_until_done(struct bed *b, int n)
{
	int64_t end = clock_ns() + 10 * NS_PER_S;

	while (b->n_done < n && clock_ns() < end)
		(void)am_loop_step(b->l, 100);
	ck_assert_int_eq(b->n_done, n);
}

START_TEST(all_of_several_are_waited_for)
{
	struct bed b = bed_of(four);
	struct rig *other = rig_json(four);
	static const uint64_t ticks[] = { 3 };
	const struct am_cond cond[] = {
		{ b.r->m, AM_COND_ACTIVE, RIG_LIST(A, B), NULL, AM_NONE },
		{ b.r->m, AM_COND_TICKS, RIG_LIST(C), ticks, AM_NONE },
		{ other->m, AM_COND_INACTIVE, RIG_LIST(D), NULL, AM_NONE },
		{ other->m, AM_COND_ERROR, NULL, 0, NULL, AM_NONE },
		{ other->m, AM_COND_ARGS, RIG_LIST(A), NULL, AM_NONE },
		{ other->m, AM_COND_QUEUE, NULL, 0, ticks, AM_NONE },
		{ other->m, AM_COND_QUEUE_ENDS, NULL, 0, NULL, AM_NONE },
	};

	ck_assert_uint_ne(am_wait_start(b.l, AM_WAIT_ALL, cond, 7, 10000,
			      on_done, &b),
	    0);
	(void)am_add(b.r->m, RIG_LIST(A, B, C), AM_NONE);
	(void)am_set(b.r->m, NULL, 0, AM_NONE);
	(void)am_add(other->m, RIG_LIST(A, 4), AM_NONE);
	ck_assert_int_eq(b.n_done, 0);
	(void)am_add1(b.r->m, C, AM_NONE);
	ck_assert_int_eq(b.n_done, 0);
	(void)am_add1(other->m, B, AM_NONE);
	ck_assert_int_eq(b.n_done, 1);
	ck_assert_int_eq(b.result, 0);
	rig_free(other);
	bed_done(&b);
}
END_TEST

START_TEST(any_of_several_is_told_by_its_place)
{
	struct bed b = bed_of(four);
	const struct am_cond cond[] = {
		{ b.r->m, AM_COND_ACTIVE, RIG_LIST(A), NULL, AM_NONE },
		{ b.r->m, AM_COND_ACTIVE, RIG_LIST(B), NULL, AM_NONE },
	};

	(void)am_wait_start(b.l, AM_WAIT_ANY, cond, 2, -1, on_done, &b);
	(void)am_add(b.r->m, RIG_LIST(B, A), AM_NONE);
	ck_assert_int_eq(b.n_done, 1);
	ck_assert_int_eq(b.result, 0);
	(void)am_remove1(b.r->m, A, AM_NONE);
	/* What holds already is told by the loop, not by the call. */
	(void)am_wait_start(b.l, AM_WAIT_ANY, cond, 2, -1, on_done, &b);
	ck_assert_int_eq(b.n_done, 1);
	step_until_done(&b, 2);
	ck_assert_int_eq(b.result, 1);
	(void)am_wait_start(b.l, AM_WAIT_ALL, cond, 0, -1, on_done, &b);
	step_until_done(&b, 3);
	ck_assert_int_eq(b.result, 0);
	bed_done(&b);
}
END_TEST

START_TEST(a_wait_ends_by_time_machine_or_hand)
{
	struct bed b = bed_of(four);
	const struct am_cond cond[] = {
		{ b.r->m, AM_COND_ACTIVE, RIG_LIST(A), NULL, AM_NONE },
		{ b.r->m, AM_COND_ACTIVE, RIG_LIST(B), NULL, AM_NONE },
	};
	am_wait w;

	(void)am_wait_start(b.l, AM_WAIT_ANY, cond, 2, 1, on_done, &b);
	step_until_done(&b, 1);
	ck_assert_int_eq(b.result, -ETIMEDOUT);
	w = am_wait_start(b.l, AM_WAIT_ANY, cond, 2, -1, on_done, &b);
	am_wait_cancel(b.l, w);
	(void)am_add1(b.r->m, A, AM_NONE);
	ck_assert_int_eq(b.n_done, 1);
	(void)am_wait_start(b.l, AM_WAIT_ALL, cond, 2, -1, on_done, &b);
	b.r->m = am_machine_free(b.r->m);
	ck_assert_int_eq(b.n_done, 2);
	ck_assert_int_eq(b.result, -ECANCELED);
	am_wait_cancel(b.l, 0);
	bed_done(&b);
	b = bed_of(four);
	ck_assert_uint_eq(am_wait_start(b.l, AM_WAIT_ALL,
			      &(struct am_cond){
				  .machine = b.r->m,
				  .kind = AM_COND_ARGS,
				  .states = RIG_IDS(A),
				  .n_states = 1,
				  .args = { "k", 1 },
			      },
			      1, -1, on_done, &b),
	    0);
	bed_done(&b);
}
END_TEST

START_TEST(what_held_counts_although_a_machine_went_after_it)
{
	struct bed b = bed_of(four);
	struct rig *other = rig_json(four);
	const struct am_cond cond[] = {
		{ other->m, AM_COND_ACTIVE, RIG_LIST(A), NULL, AM_NONE },
		{ b.r->m, AM_COND_INACTIVE, RIG_LIST(B), NULL, AM_NONE },
	};

	(void)am_wait_start(b.l, AM_WAIT_ANY, cond, 2, -1, on_done, &b);
	rig_free(other);
	step_until_done(&b, 1);
	ck_assert_int_eq(b.result, 1);
	bed_done(&b);
}
END_TEST

static void
free_own_machine(struct am_machine *m, void *arg)
{
	struct bed *b = arg;

	ck_assert_ptr_eq(b->r->m, m);
	b->r->m = am_machine_free(m);
}

/* Both hold after one transition; the first callback frees the machine. */
START_TEST(what_held_counts_although_its_own_machine_went)
{
	static const enum am_wait_for both[] = { AM_WAIT_ANY, AM_WAIT_ALL };

	for (int i = 0; i < 2; i++) {
		struct bed b = bed_of(four);
		const struct am_cond cond[] = {
			{ b.r->m, AM_COND_ACTIVE, RIG_LIST(A), NULL, AM_NONE },
			{ b.r->m, AM_COND_ACTIVE, RIG_LIST(B), NULL, AM_NONE },
		};

		(void)am_when(b.r->m, RIG_LIST(A), free_own_machine, &b);
		(void)am_wait_start(b.l, both[i], cond, 2, -1, on_done, &b);
		(void)am_add(b.r->m, RIG_LIST(A, B), AM_NONE);
		ck_assert_int_eq(b.n_done, 1);
		ck_assert_int_eq(b.result, 0);
		bed_done(&b);
	}
}
END_TEST

/* One held when the wait was made, another one before the loop told. */
START_TEST(what_held_first_is_told)
{
	struct bed b = bed_of(four);
	const struct am_cond cond[] = {
		{ b.r->m, AM_COND_ACTIVE, RIG_LIST(A), NULL, AM_NONE },
		{ b.r->m, AM_COND_ACTIVE, RIG_LIST(B), NULL, AM_NONE },
	};

	(void)am_add1(b.r->m, B, AM_NONE);
	(void)am_wait_start(b.l, AM_WAIT_ANY, cond, 2, -1, on_done, &b);
	(void)am_add1(b.r->m, A, AM_NONE);
	ck_assert_int_eq(b.n_done, 0);
	step_until_done(&b, 1);
	ck_assert_int_eq(b.result, 1);
	bed_done(&b);
}
END_TEST

START_TEST(the_handle_of_a_wait_that_is_over_is_nobody_elses)
{
	struct bed b = bed_of(four);
	const struct am_cond cond = { b.r->m, AM_COND_ACTIVE, RIG_LIST(A), NULL,
		AM_NONE };
	am_wait first, second;

	first = am_wait_start(b.l, AM_WAIT_ANY, &cond, 1, -1, on_done, &b);
	(void)am_add1(b.r->m, A, AM_NONE);
	ck_assert_int_eq(b.n_done, 1);
	am_wait_cancel(b.l, first);
	(void)am_remove1(b.r->m, A, AM_NONE);
	second = am_wait_start(b.l, AM_WAIT_ANY, &cond, 1, -1, on_done, &b);
	ck_assert_uint_ne(first, second);
	am_wait_cancel(b.l, first);
	(void)am_add1(b.r->m, A, AM_NONE);
	ck_assert_int_eq(b.n_done, 2);
	bed_done(&b);
}
END_TEST

START_TEST(the_end_of_the_loop_ends_what_waits)
{
	struct bed b = bed_of(four);
	const struct am_cond cond = { b.r->m, AM_COND_ACTIVE, RIG_LIST(A), NULL,
		AM_NONE };

	for (int i = 0; i < 6; i++)
		(void)am_wait_start(b.l, AM_WAIT_ALL, &cond, 1, -1, on_done,
		    &b);
	b.l = am_loop_free(b.l);
	ck_assert_int_eq(b.n_done, 6);
	ck_assert_int_eq(b.result, -ECANCELED);
	/* Nothing of them is left in the machine. */
	(void)am_add1(b.r->m, A, AM_NONE);
	bed_done(&b);
}
END_TEST

/* ---- trying again ---- */

static void
on_tried(void *arg, am_result r)
{
	struct bed *b = arg;

	b->n_done++;
	b->mutated = r;
}

static bool
refuse_twice(struct am_event *ev)
{
	struct bed *b = ev->arg;

	rig_say(b->r, "%d", ++b->result);
	return b->result > 2;
}

static struct am_retry_conf
retry_of(struct bed *b, const am_id *state, unsigned retries)
{
	return (struct am_retry_conf){
		.size = sizeof(struct am_retry_conf),
		.machine = b->r->m,
		.mutation = { .op = AM_ADD, .states = state, .n_states = 1 },
		.retries = retries,
		.delay_ms = 1,
		.max_delay_ms = 2,
		.fn = on_tried,
		.arg = b,
	};
}

START_TEST(a_canceled_mutation_is_tried_again)
{
	static const struct am_handler of[] = { [A] = {
						    .enter = refuse_twice } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	static const am_id a = A;
	struct bed b = bed_of(four);
	struct am_retry_conf conf = retry_of(&b, &a, 3);

	ck_assert_int_eq(am_bind(b.r->m, &h, &b), 0);
	ck_assert_uint_ne(am_retry_start(b.l, &conf), 0);
	ck_assert_str_eq(rig_log(b.r), "");
	step_until_done(&b, 1);
	ck_assert_uint_eq(b.mutated, AM_EXECUTED);
	ck_assert_str_eq(rig_log(b.r),
	    "1, +A canceled (AEnter: refused), 2, +A canceled (AEnter: "
	    "refused), 3, +A");
	(void)am_remove1(b.r->m, A, AM_NONE);
	b.result = 0;
	conf.retries = 1;
	(void)am_retry_start(b.l, &conf);
	step_until_done(&b, 2);
	ck_assert_uint_eq(b.mutated, AM_CANCELED);
	ck_assert_str_eq(am_why(b.r->m), "AEnter: refused");
	bed_done(&b);
}
END_TEST

static void
say_from(struct am_machine *m, const struct am_transition *t, void *arg)
{
	(void)m;
	rig_say(arg, "from %s/%d", t->from->machine, (int)t->from->time);
}

START_TEST(a_retry_remembers_where_it_comes_from)
{
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = say_from };
	static const am_id a = A;
	struct bed b = bed_of(four);
	struct am_retry_conf conf = retry_of(&b, &a, 0);
	char id[] = "other";
	struct am_source from = { .machine = id, .time = 3 };

	conf.mutation.from = &from;
	ck_assert_int_eq(am_trace(b.r->m, &t, b.r), 0);
	(void)am_retry_start(b.l, &conf);
	id[0] = '\0';
	from.time = 4;
	step_until_done(&b, 1);
	ck_assert_str_eq(rig_log(b.r), "+A, from other/3");
	bed_done(&b);
}
END_TEST

static bool
free_machine(struct am_event *ev)
{
	struct bed *b = ev->arg;

	b->r->m = am_machine_free(b->r->m);
	return false;
}

static bool
free_retry(struct am_event *ev)
{
	struct bed *b = ev->arg;

	b->result++;
	am_retry_cancel(b->l, b->retry);
	return false;
}

START_TEST(a_retry_ends_with_its_machine)
{
	static const struct am_handler of[] = {
		[A] = { .enter = free_machine },
		[B] = { .enter = free_retry },
	};
	static const struct am_handlers h = { .of = of, .len = 2 };
	static const am_id a = A, f = B;
	struct bed b = bed_of(four);
	struct am_retry_conf conf = retry_of(&b, &f, 3);

	ck_assert_int_eq(am_bind(b.r->m, &h, &b), 0);
	/* Freed by what it does, and before it does anything. */
	b.retry = am_retry_start(b.l, &conf);
	(void)am_loop_step(b.l, 1000);
	ck_assert_int_eq(b.result, 1);
	am_retry_cancel(b.l, am_retry_start(b.l, &conf));
	conf.mutation.states = &a;
	(void)am_retry_start(b.l, &conf);
	step_until_done(&b, 1);
	ck_assert_uint_eq(b.mutated, AM_CANCELED);
	bed_done(&b);
	b = bed_of(four);
	conf = retry_of(&b, &a, 3);
	(void)am_retry_start(b.l, &conf);
	b.r->m = am_machine_free(b.r->m);
	ck_assert_int_eq(b.n_done, 1);
	ck_assert_uint_eq(b.mutated, AM_CANCELED);
	bed_done(&b);
	b = bed_of(four);
	conf = retry_of(&b, &a, 3);
	(void)am_retry_start(b.l, &conf);
	b.l = am_loop_free(b.l);
	ck_assert_int_eq(b.n_done, 1);
	ck_assert_uint_eq(b.mutated, AM_CANCELED);
	bed_done(&b);
}
END_TEST

/* ---- pipes ---- */

static const char source[] =
    "{\"name\":\"A\",\"multi\":true},{\"name\":\"Ready\"},"
    "{\"name\":\"Disconnected\"},{\"name\":\"Connecting\"},"
    "{\"name\":\"Connected\"},{\"name\":\"Disconnecting\"}";

START_TEST(a_state_is_mirrored)
{
	struct rig *from = rig_json(source), *to = rig_json(four);
	struct am_pipe *p, *q;

	p = am_pipe_new(from->m, A, to->m, B, B);
	(void)am_add1(from->m, A, AM_NONE);
	(void)am_add1(from->m, A, AM_NONE);
	(void)am_remove1(from->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(to), "+B, +B, -B");
	(void)am_add1(from->m, A, AM_NONE);
	/* Active by now, so it is passed on at once. */
	q = am_pipe_new(from->m, A, to->m, C, D);
	(void)am_remove1(from->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(to), "+B, +C, -B, +D");
	ck_assert_ptr_null(am_pipe_free(p));
	(void)am_add1(from->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(to), "+C");
	to->m = am_machine_free(to->m);
	(void)am_remove1(from->m, A, AM_NONE);
	am_pipe_free(q);
	am_pipe_free(NULL);
	rig_free(from);
	rig_free(to);
}
END_TEST

static void
fail_it(struct am_event *ev)
{
	am_fail(ev, "no disk");
}

static void
say_err(struct am_event *ev)
{
	char text[64] = "?";

	(void)am_get_text(ev->args, "err", text, sizeof(text));
	rig_say(ev->arg, "err: %s", text);
}

START_TEST(errors_are_passed_on_and_stay)
{
	static const struct am_handler fails[] = { [A] = { .state = fail_it } };
	static const struct am_handlers h = { .of = fails, .len = 1 };
	static const struct am_handler says[] = { [D] = { .state = say_err } };
	static const struct am_handlers s = { .of = says, .len = 4 };
	struct rig *from = rig_json(source), *to = rig_json(four);
	struct am_pipe *p = am_pipe_err(from->m, to->m, D);

	ck_assert_int_eq(am_bind(from->m, &h, NULL), 0);
	ck_assert_int_eq(am_bind(to->m, &s, to), 0);
	(void)am_add1(from->m, A, AM_NONE);
	ck_assert_str_eq(rig_log(to), "err: no disk, +D Exception");
	(void)am_set(from->m, NULL, 0, AM_NONE);
	ck_assert_str_eq(rig_active(to), "D Exception");
	from->m = am_machine_free(from->m);
	am_pipe_free(p);
	rig_free(from);
	rig_free(to);
}
END_TEST

START_TEST(known_states_are_found_by_name)
{
	struct rig *from = rig_json(source), *to = rig_json(four);
	struct am_pipe *p = am_pipe_ready(from->m, to->m, A, B);
	struct am_pipe *q = am_pipe_connected(from->m, to->m,
	    RIG_IDS(A, B, C, D));

	ck_assert_ptr_null(am_pipe_ready(to->m, from->m, A, A));
	ck_assert_ptr_null(
	    am_pipe_connected(to->m, from->m, RIG_IDS(A, A, A, A)));
	(void)am_add1(from->m, 1, AM_NONE);
	(void)am_remove1(from->m, 1, AM_NONE);
	ck_assert_str_eq(rig_log(to), "+A, +B");
	(void)am_set(from->m, RIG_LIST(3), AM_NONE);
	(void)am_set(from->m, RIG_LIST(4), AM_NONE);
	ck_assert_str_eq(rig_log(to), "+B, +C, -B");
	am_pipe_free(p);
	am_pipe_free(q);
	rig_free(from);
	rig_free(to);
}
END_TEST

static void
free_source(struct am_event *ev)
{
	struct bed *b = ev->arg;

	b->r->m = am_machine_free(b->r->m);
}

/* What a new pipe passes at once ends the machine that it comes from. */
START_TEST(a_machine_is_freed_by_what_is_passed)
{
	static const struct am_handler of[] = { [A] = {
						    .state = free_source } };
	static const struct am_handlers h = { .of = of, .len = 1 };
	static const struct am_tracer t = { .size = sizeof(t),
		.transition_end = say_from };
	struct bed b = bed_of(four);
	struct rig *to = rig_json(four);
	struct am_pipe *p;

	(void)am_add1(b.r->m, B, AM_NONE);
	ck_assert_int_eq(am_bind(to->m, &h, &b), 0);
	ck_assert_int_eq(am_trace(to->m, &t, to), 0);
	p = am_pipe_new(b.r->m, B, to->m, A, A);
	ck_assert_ptr_null(b.r->m);
	ck_assert_str_eq(rig_log(to), "+A, from rig/1");
	am_pipe_free(p);
	rig_free(to);
	bed_done(&b);
}
END_TEST

static void
pipe_at_end(struct am_machine *m, void *arg)
{
	struct rig *other = arg;

	ck_assert_ptr_null(am_pipe_new(m, A, other->m, B, B));
	ck_assert_ptr_null(am_pipe_err(other->m, m, A));
	rig_say(other, "end");
}

START_TEST(a_machine_that_is_freed_gets_no_pipe)
{
	struct rig *r = rig_json(four), *other = rig_json(four);

	(void)am_when_disposed(r->m, pipe_at_end, other);
	r->m = am_machine_free(r->m);
	ck_assert_str_eq(rig_log(other), "end");
	(void)am_add1(other->m, A, AM_NONE);
	rig_free(other);
	rig_free(r);
}
END_TEST

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	(void)level;
	rig_say(arg, "%s %s", am_machine_id(m), line);
}

START_TEST(pipes_are_logged_at_both_ends)
{
	struct rig *from = rig_json(source), *to = rig_json(four);
	const struct am_logger l = { .size = sizeof(l),
		.level = AM_LOG_OPS,
		.no_id = true,
		.line = on_line,
		.arg = to };
	struct am_pipe *p;

	ck_assert_int_eq(am_set_logger(from->m, &l), 0);
	ck_assert_int_eq(am_set_logger(to->m, &l), 0);
	p = am_pipe_new(from->m, A, to->m, B, B);
	from->m = am_machine_free(from->m);
	ck_assert_str_eq(rig_log(to),
	    "rig [whenTime:new] A 1, rig [whenDisposed:new] 2, "
	    "rig [whenDisposed:new] 1, "
	    "rig [pipe-out:add] A to rig, rig [pipe-in:add] B from rig, "
	    "rig [pipe-out:remove] A to rig, rig [pipe-in:remove] B from rig, "
	    "rig [whenDisposed:match] 2, rig [pipe:gc] rig");
	am_pipe_free(p);
	rig_free(from);
	rig_free(to);
}
END_TEST

UNIT_MAIN("help", all_of_several_are_waited_for,
    any_of_several_is_told_by_its_place, a_wait_ends_by_time_machine_or_hand,
    what_held_counts_although_a_machine_went_after_it,
    what_held_counts_although_its_own_machine_went, what_held_first_is_told,
    the_handle_of_a_wait_that_is_over_is_nobody_elses,
    the_end_of_the_loop_ends_what_waits, a_canceled_mutation_is_tried_again,
    a_retry_remembers_where_it_comes_from, a_retry_ends_with_its_machine,
    a_state_is_mirrored, errors_are_passed_on_and_stay,
    known_states_are_found_by_name, a_machine_is_freed_by_what_is_passed,
    a_machine_that_is_freed_gets_no_pipe, pipes_are_logged_at_both_ends)
