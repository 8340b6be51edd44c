/* Without memory: the n-th allocation fails, for each n that a program of all
 * calls makes. Nothing crashes or leaks, what failed has changed nothing, and
 * the machine goes on. Linked with --wrap, see the Makefile; check allocates as
 * well, so it is not asked meanwhile. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "lib/amnode_log.h"
#include "lib/amnode_pipe.h"
#include "lib/amnode_wait.h"
#include "tests/unit/rig.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);

/* How many more succeed; -1: all. The wrapped functions know no context. */
static long left = -1;

static bool
fails(void)
{
	/* It fails once: what comes behind it finds memory again. */
	if (left > 0 && --left == 0)
		return true;
	return false;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

enum { A, B, C, D, E, F, N_STATES };

static const struct am_state rows[] = {
	[A] = { .name = "A", .require = AM_LIST(, B) },
	[B] = { .name = "B", .add = AM_LIST(, C) },
	[C] = { .name = "C", .doc = "level: c" },
	[D] = { .name = "D", .multi = true },
	[E] = { .name = "E", .remove = AM_LIST(, C) },
	[F] = { .name = "F" },
};
static const am_id some[] = { A, C };
static const struct am_group groups[] = { { "G", { some, 2 } },
	{ "H", { some, 1 } } };
static const struct am_states states = { .group = groups,
	.n_groups = 2,
	.name = "nomem",
	.row = rows,
	.len = N_STATES };
static const am_id x_only[] = { 0 };
static const struct am_state extra[] = { { .name = "X" },
	{ .name = "Y", .add = { x_only, 1 } } };
static const struct am_states more_states = { .name = "more",
	.row = rows,
	.len = N_STATES - 1 };

static const char json[] = "{\"states\":[{\"name\":\"A\",\"add\":[\"B\"]},"
			   "{\"name\":\"B\"}],\"groups\":{\"G\":[\"A\"]}}";

/* {"k": 1} */
static const struct am_val args = { "\x81\xa1k\x01", 4 };

static void
on_sub(struct am_machine *m, void *arg)
{
	(void)m;
	(void)arg;
}

static bool
query(const struct am_machine *m, void *arg)
{
	(void)m;
	(void)arg;
	return false;
}

static void
on_d(struct am_event *ev)
{
	static const am_id many[] = { A, B, C, D, E, F };
	struct am_machine *m = ev->machine;

	/* More than a queue holds at first, and more than fits in an item. */
	for (int i = 0; i < 6; i++)
		(void)am_remove(m, many, 6, args);
	(void)am_can_add(m, many, 1, args);
	(void)am_pulse(m, many, 6, args);
	(void)am_eval(m, "nomem", on_sub, NULL);
}

static void
on_f(struct am_event *ev)
{
	am_fail(ev, "failed");
}

static bool
refuse(struct am_event *ev)
{
	return am_refuse(ev, "no");
}

static const struct am_handler of[] = { [D] = { .state = on_d },
	[E] = { .enter = refuse },
	[F] = { .state = on_f } };
static const struct am_handlers first = { .of = of, .len = N_STATES };
static const struct am_pair_handler pair[] = { { A, B, refuse } };
static const struct am_handlers second = { .pair = pair, .n_pairs = 1 };

static void
on_transition(struct am_machine *m, const struct am_transition *t, void *arg)
{
	(void)m;
	(void)t;
	(void)arg;
}

static const struct am_tracer tracer = { .size = sizeof(tracer),
	.transition_end = on_transition };

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	(void)m;
	(void)level;
	(void)line;
	(void)arg;
}

static void
on_wait(void *arg, int result)
{
	(void)arg;
	(void)result;
}

static void
on_retry(void *arg, am_result r)
{
	(void)arg;
	(void)r;
}

static void
subscribe_all(struct am_machine *m)
{
	static const am_id many[] = { A, C };
	static const uint64_t ticks[] = { 9, 9 };

	(void)am_when(m, many, 2, on_sub, NULL);
	(void)am_when_time(m, many, ticks, 2, on_sub, NULL);
	(void)am_when_args(m, A, args, on_sub, NULL);
	(void)am_when_query(m, query, on_sub, NULL);
	(void)am_when_queue(m, 1000, on_sub, NULL);
	(void)am_when_disposed(m, on_sub, NULL);
}

static void
mutate_all(struct am_machine *m)
{
	for (am_id i = A; i < N_STATES; i++) {
		am_result r = am_add1(m, i, args);

		assert(r == AM_EXECUTED || r == AM_CANCELED);
	}
	assert(!am_draining(m));
}

static void
help_all(struct am_machine *m, struct am_loop *l)
{
	static const am_id a = A;
	const struct am_cond cond = { m, AM_COND_ACTIVE, &a, 1, NULL, AM_NONE };
	const struct am_retry_conf conf = { .size = sizeof(conf),
		.machine = m,
		.mutation = { .op = AM_ADD,
		    .states = &a,
		    .n_states = 1,
		    .args = args },
		.fn = on_retry };

	am_pipe_free(am_pipe_new(m, A, m, F, F));
	am_wait_cancel(l,
	    am_wait_start(l, AM_WAIT_ALL, &cond, 1, 1000, on_wait, NULL));
	am_retry_cancel(l, am_retry_start(l, &conf));
}

/* A longer schema, made of both. */
static void
grow(struct am_machine *m, struct am_schema *s)
{
	struct am_schema *x = am_schema_new(&(struct am_states){ .name = "x",
						.row = extra,
						.len = 2 },
	    NULL);
	struct am_schema *longer = x != NULL ? am_schema_merge(s, x, NULL)
					     : NULL;
	size_t len = am_schema_len(s);
	int r;

	if (longer != NULL) {
		r = am_set_schema(m, longer);
		assert(am_machine_schema(m) == (r == 0 ? longer : s));
		assert(am_schema_len(am_machine_schema(m)) ==
		    len + (r == 0 ? 2 : 0));
	}
	am_schema_unref(x);
	am_schema_unref(longer);
}

static void
use(struct am_schema *s, struct am_loop *l)
{
	const struct am_logger logger = { .size = sizeof(logger),
		.level = AM_LOG_EVERYTHING,
		.all_args = true,
		.line = on_line };
	struct am_machine *m = am_machine_new(s, "nomem");
	struct am_buf b = AM_BUF_INIT;

	if (m == NULL)
		return;
	(void)am_bind(m, &first, NULL);
	subscribe_all(m);
	mutate_all(m);
	(void)am_bind(m, &second, NULL);
	(void)am_trace(m, &tracer, NULL);
	mutate_all(m);
	help_all(m, l);
	(void)am_export(m, &b);
	if (am_buf_error(&b) == 0)
		assert(am_import(m, am_buf_val(&b), NULL) == 0);
	am_buf_reset(&b);
	am_schema_to_json(s, &b);
	grow(m, s);
	if (am_set_logger(m, &logger) == 0)
		(void)am_breakpoint(m, AM_ADD, x_only, 1);
	mutate_all(m);
	am_buf_done(&b);
	am_machine_free(m);
}

/* More keys than few, binary, escapes; all or nothing. */
static void
carry_json(void)
{
	char text[4096] = "{\"\\u0041\":{\"$bin\":\"AAAA\"}";
	struct am_buf val = AM_BUF_INIT, again = AM_BUF_INIT;
	size_t len = strlen(text);
	int r;

	for (int i = 0; i < 200; i++)
		len += (size_t)sprintf(text + len, ",\"key %d\":%d.5", i, i);
	text[len++] = '}';
	r = am_json_decode(text, len, &val, NULL);
	assert(r == 0 || (r == -ENOMEM && val.len == 0));
	if (r == 0) {
		r = am_json_encode(am_buf_val(&val), &again, NULL);
		assert(r == 0 || (r == -ENOMEM && again.len == 0));
	}
	am_buf_done(&val);
	am_buf_done(&again);
}

/* Did all allocations succeed? */
static bool
run(long n, struct am_loop *l)
{
	struct am_error err = { "" };
	struct am_schema *s, *more;
	bool all;

	left = n;
	s = am_schema_new(&states, &err);
	if (s != NULL)
		use(s, l);
	else
		assert(strlen(err.text) > 0);
	more = am_schema_new(&more_states, NULL);
	am_schema_unref(am_schema_from_json(json, strlen(json), NULL, NULL));
	carry_json();
	all = left > 0;
	left = -1;
	am_schema_unref(s);
	am_schema_unref(more);
	return all;
}

START_TEST(the_nth_allocation_fails)
{
	struct am_loop *l = am_loop_new();
	long n = 1;

	while (!run(n, l))
		n++;
	ck_assert_int_gt(n, 100);
	am_loop_free(l);
}
END_TEST

UNIT_MAIN("nomem", the_nth_allocation_fails)
