/* Tries mutations again while they are canceled. */
#include "lib/amnode_wait.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/sized.h"
#include "lib/loop/loop_int.h"

struct retry {
	struct am_loop *loop;
	am_retry handle;
	struct am_retry_conf conf;
	struct am_timer timer;
	am_sub gone; /* 0: the machine is gone */
	bool trying; /* the mutation is running: do not free this */
	bool freed;
	am_id *states; /* owned */
	void *args;    /* likewise */
	struct am_source from;
	char *from_machine; /* owned */
	int64_t delay_ms;
};

static void
retry_free(struct retry *r)
{
	r->freed = true;
	loop_handle_drop(r->loop, r->handle);
	if (r->trying)
		return;
	if (r->gone != 0)
		am_sub_cancel(r->conf.machine, r->gone);
	am_timer_done(&r->timer);
	free(r->states);
	free(r->args);
	free(r->from_machine);
	free(r);
}

static void
retry_finish(struct retry *r, am_result result)
{
	void (*fn)(void *arg, am_result r) = r->conf.fn;
	void *arg = r->conf.arg;

	retry_free(r);
	fn(arg, result);
}

static void
on_machine_gone(struct am_machine *m, void *arg)
{
	struct retry *r = arg;

	(void)m;
	r->gone = 0;
	if (!r->trying)
		retry_finish(r, AM_CANCELED);
}

/* The mutation may cause the machine, and this retry, to be freed. */
static void
on_try(void *arg)
{
	struct retry *r = arg;
	int64_t max = r->conf.max_delay_ms;
	am_result result;

	r->trying = true;
	result = am_mutate(r->conf.machine, &r->conf.mutation);
	r->trying = false;
	if (r->freed) {
		retry_free(r);
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
own_mutation(struct retry *r, struct am_mutation *mut)
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

/* The loop is being freed. */
static void
on_end(void *obj)
{
	retry_finish(obj, AM_CANCELED);
}

am_retry
am_retry_start(struct am_loop *l, const struct am_retry_conf *conf)
{
	struct retry *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return 0;
	if (sized_copy(&r->conf, sizeof(r->conf), conf) < 0) {
		free(r);
		return 0;
	}
	r->loop = l;
	r->delay_ms = r->conf.delay_ms;
	am_timer_init(&r->timer, l, on_try, r);
	r->gone = am_when_disposed(r->conf.machine, on_machine_gone, r);
	if (r->gone == AM_SUB_FAILED)
		r->gone = 0;
	else
		r->handle = loop_handle(l, r, on_end);
	if (r->handle == 0 || own_mutation(r, &r->conf.mutation) < 0 ||
	    am_timer_start(&r->timer, 0) < 0) {
		retry_free(r);
		return 0;
	}
	return r->handle;
}

void
am_retry_cancel(struct am_loop *l, am_retry retry)
{
	struct retry *r = loop_handle_get(l, retry);

	if (r != NULL)
		retry_free(r);
}
