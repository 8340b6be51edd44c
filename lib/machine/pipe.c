#include "lib/amnode_pipe.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/machine/mlog.h"

struct am_pipe {
	struct am_pipe *next; /* owned */
	struct am_machine *from, *to;
	am_id state;
	am_id active;
	am_id inactive;
	bool is_err;
	bool over; /* one of the machines is gone */
	am_sub tick, from_gone, to_gone;
};

/* ---- its mutations ---- */

/* The origin matters only to loggers and tracers. */
static void
mutate(const struct am_pipe *p, struct am_mutation *mut)
{
	struct am_source from;

	if (p->to->logger != NULL || p->to->n_tracers > 0) {
		from = mach_source(p->from);
		mut->from = &from;
	}
	(void)am_mutate(p->to, mut);
}

/* What this causes may free the pipe. */
static void
pass_error(const struct am_pipe *p)
{
	struct am_machine *to = p->to;
	const am_id called[] = { p->active, to->schema->exception };
	struct am_mutation mut = { .states = called, .n_states = 2 };
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 1);
	am_put_str(&args, "err");
	am_put_str(&args, am_last_error(p->from));
	mut.args = am_buf_val(&args);
	mutate(p, &mut);
	am_buf_done(&args);
}

static void
pass(const struct am_pipe *p)
{
	bool active = am_is1(p->from, p->state);
	const am_id called = active ? p->active : p->inactive;
	bool remove = !active && p->inactive == p->active;
	struct am_mutation mut = {
		.op = remove ? AM_REMOVE : AM_ADD,
		.states = &called,
		.n_states = 1,
	};

	if (!p->is_err)
		mutate(p, &mut);
	else if (active)
		pass_error(p);
}

static void
on_tick(struct am_machine *m, void *arg)
{
	struct am_pipe *p = arg;

	/* The machine is being freed: on_gone() follows. */
	if (m->dying)
		return;
	p->tick = am_when_ticks(m, p->state, 1, on_tick, p);
	pass(p);
}

/* ---- its end ---- */

static void
cut(struct am_pipe *p)
{
	if (p->over)
		return;
	p->over = true;
	am_sub_cancel(p->from, p->tick);
	am_sub_cancel(p->from, p->from_gone);
	am_sub_cancel(p->to, p->to_gone);
}

static void
on_gone(struct am_machine *m, void *arg)
{
	struct am_pipe *p = arg;
	struct am_machine *other = m == p->from ? p->to : p->from;

	cut(p);
	if (other != m && other->logger != NULL)
		mlog_line(other, AM_LOG_OPS, "[pipe:gc] %s", m->id);
}

struct am_pipe *
am_pipe_free(struct am_pipe *p)
{
	while (p != NULL) {
		struct am_pipe *next = p->next;

		cut(p);
		free(p);
		p = next;
	}
	return NULL;
}

/* ---- its beginning ---- */

static void
log_way(const struct am_pipe *p, const char *op, am_id in)
{
	if (p->from->logger != NULL)
		mlog_line(p->from, AM_LOG_OPS, "[pipe-out:%s] %s to %s", op,
		    p->from->schema->row[p->state].name, p->to->id);
	if (p->to->logger != NULL)
		mlog_line(p->to, AM_LOG_OPS, "[pipe-in:%s] %s from %s", op,
		    p->to->schema->row[in].name, p->from->id);
}

static struct am_pipe *
pipe_begin(const struct am_pipe *conf)
{
	const struct am_schema *to = conf->to->schema;
	struct am_pipe *p;

	assert(conf->active < to->len && conf->inactive < to->len);
	/* They would report their end before the pipe is set up. */
	if (conf->from->dying || conf->to->dying)
		return NULL;
	p = malloc(sizeof(*p));
	if (p == NULL)
		return NULL;
	*p = *conf;
	p->tick = am_when_ticks(p->from, p->state, 1, on_tick, p);
	p->from_gone = am_when_disposed(p->from, on_gone, p);
	p->to_gone = am_when_disposed(p->to, on_gone, p);
	if (p->tick == AM_SUB_FAILED || p->from_gone == AM_SUB_FAILED ||
	    p->to_gone == AM_SUB_FAILED)
		return am_pipe_free(p);
	log_way(p, "add", p->active);
	if (!p->is_err)
		log_way(p, p->inactive == p->active ? "remove" : "add",
		    p->inactive);
	/* Outside a drain nothing else keeps the machine, whose id is passed
	 * on. */
	mach_pin(conf->from);
	if (am_is1(p->from, p->state))
		pass(p);
	mach_unpin(conf->from);
	return p;
}

struct am_pipe *
am_pipe_new(struct am_machine *from, am_id state, struct am_machine *to,
    am_id active, am_id inactive)
{
	return pipe_begin(&(struct am_pipe){
	    .from = from,
	    .to = to,
	    .state = state,
	    .active = active,
	    .inactive = inactive,
	});
}

struct am_pipe *
am_pipe_err(struct am_machine *from, struct am_machine *to, am_id err)
{
	return pipe_begin(&(struct am_pipe){
	    .from = from,
	    .to = to,
	    .state = from->schema->exception,
	    .active = err,
	    .inactive = err,
	    .is_err = true,
	});
}

static struct am_pipe *
pipe_named(struct am_machine *from, const char *name, struct am_machine *to,
    am_id active, am_id inactive)
{
	int id = am_schema_id(from->schema, name, strlen(name));

	return id < 0 ? NULL
		      : am_pipe_new(from, (am_id)id, to, active, inactive);
}

struct am_pipe *
am_pipe_ready(struct am_machine *from, struct am_machine *to, am_id active,
    am_id inactive)
{
	return pipe_named(from, "Ready", to, active, inactive);
}

struct am_pipe *
am_pipe_connected(struct am_machine *from, struct am_machine *to,
    const am_id states[4])
{
	static const char *const name[] = { "Disconnected", "Connecting",
		"Connected", "Disconnecting" };
	struct am_pipe *all = NULL;

	for (int i = 0; i < 4; i++) {
		struct am_pipe *p = pipe_named(from, name[i], to, states[i],
		    states[i]);

		if (p == NULL)
			return am_pipe_free(all);
		p->next = all;
		all = p;
	}
	return all;
}
