/* facts.h - for the facts of flows.md about schemas and machines: one test a
 * fact, named by it, on the real tables. */
#ifndef TESTS_UNIT_FACTS_H
#define TESTS_UNIT_FACTS_H

#include "tests/unit/rig.h"

enum { HEARD_MAX = 32 };

/* A machine of a table, the handlers of a fact, and what they heard. */
struct fact {
	struct rig *rig;
	struct am_machine *m;
	const struct am_schema *s;
	struct am_handlers h;
	struct am_buf args;
	void (*batch)(struct fact *f);
	int heard[HEARD_MAX]; /* {k} of the args, in order */
	size_t n_heard;
};

static inline bool
fact_on_check(struct am_event *ev)
{
	struct fact *f = ev->arg;
	void (*batch)(struct fact *) = f->batch;

	f->batch = NULL;
	if (batch != NULL)
		batch(f);
	return true;
}

static inline struct fact *
fact_of(const struct am_states *t, const am_id *up, size_t n)
{
	struct fact *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	f->rig = rig_table(t);
	f->m = f->rig->m;
	f->s = f->rig->s;
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(am_add1(f->m, up[i], AM_NONE) == AM_EXECUTED,
		    "%s: %s", am_schema_name(f->s, up[i]), am_why(f->m));
	(void)rig_log(f->rig);
	return f;
}

static inline void
fact_free(struct fact *f)
{
	rig_free(f->rig);
	am_buf_done(&f->args);
	free(f);
}

static inline void
fact_bind(struct fact *f, const struct am_handler *of, size_t len)
{
	f->h = (struct am_handlers){ .name = "fact",
		.of = of,
		.len = len,
		.any_enter = fact_on_check };
	ck_assert_int_eq(am_bind(f->m, &f->h, f), 0);
}

/* {"k": n}. Valid until the next call. */
static inline struct am_val
fact_args(struct fact *f, int n)
{
	am_buf_reset(&f->args);
	am_put_map(&f->args, 1);
	am_put_str(&f->args, "k");
	am_put_int(&f->args, n);
	return am_buf_val(&f->args);
}

/* Queues what fn() does, then runs it in one drain: fn is called by a check,
 * which changes nothing itself. */
static inline void
fact_batch(struct fact *f, void (*fn)(struct fact *f))
{
	const am_id any[] = { 0 };

	if (f->h.any_enter == NULL)
		fact_bind(f, NULL, 0);
	f->batch = fn;
	(void)am_can_remove(f->m, any, 1, AM_NONE);
	ck_assert(f->batch == NULL);
}

static inline void
fact_hear(struct am_event *ev)
{
	struct fact *f = ev->arg;
	int64_t k = -1;

	(void)am_get_int(ev->args, "k", &k);
	ck_assert_uint_lt(f->n_heard, HEARD_MAX);
	f->heard[f->n_heard++] = (int)k;
}

static inline void
fact_heard(struct fact *f, const int *want, size_t n)
{
	ck_assert_uint_eq(f->n_heard, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(f->heard[i], want[i]);
	f->n_heard = 0;
}
#define FACT_HEARD(f, ...)                                                     \
	fact_heard(f, (const int[]){ __VA_ARGS__ },                            \
	    sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

/* An xorshift generator: the same numbers everywhere. */
static inline unsigned
fact_random(uint64_t *seed, unsigned below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (unsigned)(*seed >> 33) % below;
}

#define ADD1(f, id, n) am_add1((f)->m, id, fact_args(f, n))
#define IS(f, ...) am_is((f)->m, RIG_LIST(__VA_ARGS__))
#define NOT(f, ...) am_not((f)->m, RIG_LIST(__VA_ARGS__))

#endif
