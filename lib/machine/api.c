/* Functions of amnode.h that are made of others. */
#include "lib/machine/mlog.h"

#include <assert.h>
#include <errno.h>

/* ---- mutations ---- */

static am_result
mutate(struct am_machine *m, enum am_op op, const am_id *states, size_t n,
    struct am_val args)
{
	return am_mutate(m,
	    &(struct am_mutation){ .op = op,
		.states = states,
		.n_states = n,
		.args = args });
}

am_result
am_add1(struct am_machine *m, am_id state, struct am_val args)
{
	return mutate(m, AM_ADD, &state, 1, args);
}

am_result
am_remove1(struct am_machine *m, am_id state, struct am_val args)
{
	return mutate(m, AM_REMOVE, &state, 1, args);
}

am_result
am_add(struct am_machine *m, const am_id *states, size_t n, struct am_val args)
{
	return mutate(m, AM_ADD, states, n, args);
}

am_result
am_remove(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_REMOVE, states, n, args);
}

am_result
am_set(struct am_machine *m, const am_id *states, size_t n, struct am_val args)
{
	return mutate(m, AM_SET, states, n, args);
}

am_result
am_toggle(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_TOGGLE, states, n, args);
}

am_result
am_can_add(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_CAN_ADD, states, n, args);
}

am_result
am_can_remove(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mutate(m, AM_CAN_REMOVE, states, n, args);
}

int
am_pulse(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args)
{
	return mach_pulse(m, states, n, states, n, args);
}

/* ---- errors ---- */

static am_result
add_err(struct am_machine *m, am_id state, const char *text)
{
	const am_id called[] = { state, m->schema->exception };
	struct am_buf args = AM_BUF_INIT;
	am_result r;

	am_put_map(&args, 1);
	am_put_str(&args, "err");
	am_put_str(&args, text);
	/* The text may be that of the last error. */
	if (!m->mirror)
		mach_error(m, text);
	r = am_add(m, called, 2, am_buf_val(&args));
	am_buf_done(&args);
	return r;
}

am_result
am_add_err(struct am_machine *m, am_id state, const char *text)
{
	bool remote = m->mirror && m->remote != NULL && !m->dying;
	const char *why = remote ? NULL : mach_not_mutable(m);

	assert(state < m->schema->len);
	if (why == NULL && (text == NULL || text[0] == '\0'))
		why = "no error";
	if (why == NULL && m->queue.len >= QUEUE_LIMIT)
		why = "the queue is full (1000)";
	if (why != NULL)
		return mach_refuse(m, why);
	return add_err(m, state, text);
}

/* ---- handlers ---- */

static int
check_handlers(const struct am_schema *s, const struct am_handlers *h)
{
	if (h->len > s->len || (h->len > 0 && h->of == NULL) ||
	    (h->n_pairs > 0 && h->pair == NULL))
		return -EINVAL;
	for (size_t i = 0; i < h->n_pairs; i++) {
		const struct am_pair_handler *p = &h->pair[i];

		/* A pair of a state with itself is its self handler. */
		if (p->before >= s->len || p->after >= s->len ||
		    p->before == p->after || p->fn == NULL)
			return -EINVAL;
	}
	return 0;
}

int
am_bind(struct am_machine *m, const struct am_handlers *h, void *arg)
{
	const struct am_schema *s = m->schema;
	int r = check_handlers(s, h);

	if (r < 0)
		return r;
	/* A drain walks the bindings; a mirror calls no handlers. */
	if (m->draining || m->mirror)
		return -EBUSY;
	if (m->n_bindings == UINT16_MAX)
		return -E2BIG;
	r = tables_add(m, h, arg);
	if (r < 0)
		return r;
	if (m->logger != NULL)
		mlog_line(m, AM_LOG_OPS, "[handlers] bind %u:%s",
		    m->n_bindings - 1U, h->name != NULL ? h->name : "handlers");
	/* The first table was not there yet to handle this error. */
	if (m->n_bindings == 1 && am_is1(m, s->exception))
		(void)am_add_err(m, s->exception, am_last_error(m));
	return 0;
}

/* ---- the end ---- */

static void
on_idle(struct am_machine *m, void *arg)
{
	(void)arg;
	am_machine_free(m);
}

struct am_machine *
am_machine_dispose(struct am_machine *m)
{
	int start;

	if (m == NULL)
		return NULL;
	start = am_schema_id(m->schema, "Start", 5);
	mach_pin(m);
	if (start >= 0 && !m->mirror && am_is1(m, (am_id)start)) {
		if (m->logger != NULL)
			mlog_line(m, AM_LOG_OPS,
			    "[dispose] graceful shutdown via Start");
		(void)am_remove1(m, (am_id)start, AM_NONE);
	}
	if (m->dying || am_when_queue_ends(m, on_idle, NULL) == AM_SUB_FAILED)
		am_machine_free(m);
	mach_unpin(m);
	return NULL;
}
