/* Waits for several conditions, of several machines, with a timeout. */
#include "lib/amnode_wait.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/loop/loop_int.h"
#include "lib/machine/machine.h"

/* ---- waiting ---- */

struct part {
	struct wait *wait;
	struct am_machine *machine;
	am_sub sub;
	am_sub gone;
	bool done; /* the condition has held, or the machine is gone */
};

struct wait {
	struct am_loop *loop;
	am_wait handle;
	am_wait_fn fn;
	void *arg;
	struct am_timer timer;
	enum am_wait_for what;
	bool starting; /* the caller does not have the handle yet */
	bool decided;  /* the timer delivers result; else it is the timeout */
	int result;
	size_t left;
	size_t n;
	struct part part[];
};

static void
part_end(struct part *p)
{
	if (p->done)
		return;
	p->done = true;
	am_sub_cancel(p->machine, p->sub);
	am_sub_cancel(p->machine, p->gone);
}

static void
wait_free(struct wait *w)
{
	for (size_t i = 0; i < w->n; i++)
		part_end(&w->part[i]);
	am_timer_done(&w->timer);
	loop_handle_drop(w->loop, w->handle);
	free(w);
}

static void
finish(struct wait *w, int result)
{
	am_wait_fn fn = w->fn;
	void *arg = w->arg;

	if (w->starting) {
		w->result = w->decided ? w->result : result;
		w->decided = true;
		return;
	}
	wait_free(w);
	fn(arg, result);
}

static void
on_timer(void *arg)
{
	struct wait *w = arg;

	finish(w, w->decided ? w->result : -ETIMEDOUT);
}

static void
on_held(struct am_machine *m, void *arg)
{
	struct part *p = arg;
	struct wait *w = p->wait;

	/* It never will: on_gone() follows. */
	if (!mach_sub_held(m))
		return;
	part_end(p);
	w->left--;
	/* Then the timer delivers what was first. */
	if (w->decided)
		return;
	if (w->what == AM_WAIT_ANY)
		finish(w, (int)(p - w->part));
	else if (w->left == 0)
		finish(w, 0);
}

static void
on_gone(struct am_machine *m, void *arg)
{
	struct part *p = arg;

	(void)m;
	part_end(p);
	/* If it is decided already, the timer delivers the result. */
	if (!p->wait->decided)
		finish(p->wait, -ECANCELED);
}

static am_sub
subscribe(const struct am_cond *c, struct part *p)
{
	struct am_machine *m = c->machine;

	switch (c->kind) {
	case AM_COND_ACTIVE:
		return am_when(m, c->states, c->n_states, on_held, p);
	case AM_COND_INACTIVE:
		return am_when_not(m, c->states, c->n_states, on_held, p);
	case AM_COND_TICKS:
		return am_when_time(m, c->states, c->ticks, c->n_states,
		    on_held, p);
	case AM_COND_ARGS:
		return am_when_args(m, c->states[0], c->args, on_held, p);
	case AM_COND_ERROR:
		return am_when_err(m, on_held, p);
	case AM_COND_QUEUE:
		return am_when_queue(m, c->ticks[0], on_held, p);
	case AM_COND_QUEUE_ENDS:
		return am_when_queue_ends(m, on_held, p);
	}
	return AM_SUB_FAILED;
}

static bool
part_begin(struct wait *w, const struct am_cond *c)
{
	struct part *p = &w->part[w->n++];
	am_sub sub;

	*p = (struct part){ .wait = w, .machine = c->machine };
	p->gone = am_when_disposed(c->machine, on_gone, p);
	sub = subscribe(c, p);
	p->sub = sub == AM_SUB_FAILED ? 0 : sub;
	return sub != AM_SUB_FAILED && p->gone != AM_SUB_FAILED;
}

/* The loop is being freed. */
static void
on_end(void *obj)
{
	struct wait *w = obj;

	finish(w, w->decided ? w->result : -ECANCELED);
}

am_wait
am_wait_start(struct am_loop *l, enum am_wait_for what,
    const struct am_cond *cond, size_t n, int64_t timeout_ms, am_wait_fn fn,
    void *arg)
{
	struct wait *w = calloc(1, sizeof(*w) + n * sizeof(w->part[0]));
	bool ok;

	if (w == NULL)
		return 0;
	w->loop = l;
	w->fn = fn;
	w->arg = arg;
	w->what = what;
	w->starting = true;
	w->left = n;
	am_timer_init(&w->timer, l, on_timer, w);
	w->handle = loop_handle(l, w, on_end);
	ok = w->handle != 0;
	for (size_t i = 0; ok && i < n; i++)
		ok = part_begin(w, &cond[i]);
	if (n == 0 && what == AM_WAIT_ALL)
		w->decided = true;
	w->starting = false;
	if (w->decided)
		timeout_ms = 0;
	if (!ok ||
	    (timeout_ms >= 0 && am_timer_start(&w->timer, timeout_ms) < 0)) {
		wait_free(w);
		return 0;
	}
	return w->handle;
}

void
am_wait_cancel(struct am_loop *l, am_wait wait)
{
	struct wait *w = loop_handle_get(l, wait);

	if (w != NULL)
		wait_free(w);
}
