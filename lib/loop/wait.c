/* Waiting for several conditions, and mutations that are tried again: what a
 * machine and a loop give together. */
#include "lib/amnode_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/sized.h"

/* ---- waiting ---- */

struct part {
	struct am_wait *wait;
	struct am_machine *machine;
	am_sub sub;
	am_sub gone;
	bool done; /* it has held, or its machine is gone */
};

struct am_wait {
	am_wait_fn fn;
	void *arg;
	struct am_timer timer;
	enum am_wait_for what;
	bool starting; /* fn has to wait until the caller has its handle */
	bool decided; /* so that the timer brings the result, not the timeout */
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

struct am_wait *
am_wait_free(struct am_wait *w)
{
	if (w == NULL)
		return NULL;
	for (size_t i = 0; i < w->n; i++)
		part_end(&w->part[i]);
	am_timer_done(&w->timer);
	free(w);
	return NULL;
}

static void
finish(struct am_wait *w, int result)
{
	am_wait_fn fn = w->fn;
	void *arg = w->arg;

	if (w->starting) {
		w->result = w->decided ? w->result : result;
		w->decided = true;
		return;
	}
	am_wait_free(w);
	fn(arg, result);
}

static void
on_timer(void *arg)
{
	struct am_wait *w = arg;

	finish(w, w->decided ? w->result : -ETIMEDOUT);
}

static void
on_held(struct am_machine *m, void *arg)
{
	struct part *p = arg;
	struct am_wait *w = p->wait;

	/* The machine's end: on_gone() comes. */
	if (am_disposing(m))
		return;
	part_end(p);
	w->left--;
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
part_begin(struct am_wait *w, const struct am_cond *c)
{
	struct part *p = &w->part[w->n++];
	am_sub sub;

	*p = (struct part){ .wait = w, .machine = c->machine };
	p->gone = am_when_disposed(c->machine, on_gone, p);
	sub = subscribe(c, p);
	p->sub = sub == AM_SUB_FAILED ? 0 : sub;
	return sub != AM_SUB_FAILED && p->gone != AM_SUB_FAILED;
}

struct am_wait *
am_wait_new(struct am_loop *l, enum am_wait_for what,
    const struct am_cond *cond, size_t n, int64_t timeout_ms, am_wait_fn fn,
    void *arg)
{
	struct am_wait *w = calloc(1, sizeof(*w) + n * sizeof(w->part[0]));

	if (w == NULL)
		return NULL;
	w->fn = fn;
	w->arg = arg;
	w->what = what;
	w->starting = true;
	w->left = n;
	am_timer_init(&w->timer, l, on_timer, w);
	for (size_t i = 0; i < n; i++)
		if (!part_begin(w, &cond[i]))
			return am_wait_free(w);
	if (n == 0 && what == AM_WAIT_ALL)
		w->decided = true;
	w->starting = false;
	if (w->decided)
		timeout_ms = 0;
	if (timeout_ms >= 0 && am_timer_start(&w->timer, timeout_ms) < 0)
		return am_wait_free(w);
	return w;
}

/* ---- trying again ---- */

struct am_retry {
	struct am_retry_conf conf;
	struct am_timer timer;
	am_sub gone; /* 0: the machine is */
	bool trying; /* its mutation runs, so it is not freed */
	bool freed;
	am_id *states; /* owned */
	void *args;    /* likewise */
	struct am_source from;
	char *from_machine; /* owned */
	int64_t delay_ms;
};

struct am_retry *
am_retry_free(struct am_retry *r)
{
	if (r == NULL)
		return NULL;
	r->freed = true;
	if (r->trying)
		return NULL;
	if (r->gone != 0)
		am_sub_cancel(r->conf.machine, r->gone);
	am_timer_done(&r->timer);
	free(r->states);
	free(r->args);
	free(r->from_machine);
	free(r);
	return NULL;
}

static void
retry_finish(struct am_retry *r, am_result result)
{
	void (*fn)(void *arg, am_result r) = r->conf.fn;
	void *arg = r->conf.arg;

	am_retry_free(r);
	fn(arg, result);
}

static void
on_machine_gone(struct am_machine *m, void *arg)
{
	struct am_retry *r = arg;

	(void)m;
	r->gone = 0;
	if (!r->trying)
		retry_finish(r, AM_CANCELED);
}

/* What the mutation causes may free the machine, and the retry. */
static void
on_try(void *arg)
{
	struct am_retry *r = arg;
	int64_t max = r->conf.max_delay_ms;
	am_result result;

	r->trying = true;
	result = am_mutate(r->conf.machine, &r->conf.mutation);
	r->trying = false;
	if (r->freed) {
		am_retry_free(r);
		return;
	}
	if (result != AM_CANCELED || r->conf.retries == 0 || r->gone == 0 ||
	    am_timer_start(&r->timer, r->delay_ms) < 0) {
		retry_finish(r, result);
		return;
	}
	r->conf.retries--;
	r->delay_ms = r->delay_ms > INT64_MAX / 2 ? INT64_MAX : 2 * r->delay_ms;
	if (max > 0 && r->delay_ms > max)
		r->delay_ms = max;
}

/* Copies what the mutation points to; -1: no memory. */
static int
own_mutation(struct am_retry *r, struct am_mutation *mut)
{
	r->states = malloc((mut->n_states + 1) * sizeof(*r->states));
	r->args = malloc(mut->args.len + 1);
	if (r->states == NULL || r->args == NULL)
		return -1;
	for (size_t i = 0; i < mut->n_states; i++)
		r->states[i] = mut->states[i];
	mut->states = r->states;
	if (mut->args.len > 0) {
		memcpy(r->args, mut->args.data, mut->args.len);
		mut->args.data = r->args;
	}
	if (mut->from == NULL)
		return 0;
	r->from_machine = strdup(mut->from->machine);
	r->from = *mut->from;
	r->from.machine = r->from_machine;
	mut->from = &r->from;
	return r->from_machine != NULL ? 0 : -1;
}

struct am_retry *
am_retry_new(struct am_loop *l, const struct am_retry_conf *conf)
{
	struct am_retry *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if (sized_copy(&r->conf, sizeof(r->conf), conf) < 0) {
		free(r);
		return NULL;
	}
	r->delay_ms = r->conf.delay_ms;
	am_timer_init(&r->timer, l, on_try, r);
	r->gone = am_when_disposed(r->conf.machine, on_machine_gone, r);
	if (r->gone == AM_SUB_FAILED ||
	    own_mutation(r, &r->conf.mutation) < 0 ||
	    am_timer_start(&r->timer, 0) < 0) {
		r->gone = r->gone == AM_SUB_FAILED ? 0 : r->gone;
		return am_retry_free(r);
	}
	return r;
}
