#include "lib/node/due.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/machine/machine.h"

struct due_item {
	STAILQ_ENTRY(due_item) link;
	bool is_pulse;
	enum am_op op; /* unless it is a pulse */
	am_id state[DUE_STATES_MAX];
	size_t n;
	size_t n_back; /* pulses */
	size_t len;
	uint8_t args[];
};

void
due_init(struct due *d, struct am_machine *m)
{
	*d = (struct due){ .machine = m };
	STAILQ_INIT(&d->items);
}

void
due_done(struct due *d)
{
	struct due_item *it;

	if (d->gone != NULL)
		*d->gone = true;
	d->gone = NULL;
	while ((it = STAILQ_FIRST(&d->items)) != NULL) {
		STAILQ_REMOVE_HEAD(&d->items, link);
		free(it);
	}
	d->machine = NULL;
}

bool
due_is_empty(const struct due *d)
{
	return STAILQ_EMPTY(&d->items);
}

static bool
put(struct due *d, const struct due_item *what, const am_id *states,
    struct am_val args)
{
	struct due_item *it = malloc(sizeof(*it) + args.len);

	if (it == NULL)
		return false;
	*it = *what;
	assert(it->n <= DUE_STATES_MAX);
	memcpy(it->state, states, it->n * sizeof(*states));
	it->len = args.len;
	if (args.len > 0)
		memcpy(it->args, args.data, args.len);
	STAILQ_INSERT_TAIL(&d->items, it, link);
	return true;
}

void
due_pulse(struct due *d, const am_id *states, size_t n, size_t n_back,
    struct am_val args)
{
	const struct due_item it = {
		.is_pulse = true,
		.n = n,
		.n_back = n_back,
	};

	/* It must not overtake those that wait. */
	if (!due_is_empty(d) ||
	    mach_pulse(d->machine, states, n, states, n_back, args) < 0)
		(void)put(d, &it, states, args);
}

am_result
due_mutate(struct due *d, enum am_op op, const am_id *states, size_t n,
    struct am_val args)
{
	const struct am_mutation mut = {
		.op = op,
		.states = states,
		.n_states = n,
		.args = args,
	};
	const struct due_item it = { .op = op, .n = n };
	am_result r = AM_CANCELED;

	/* In a drain only a full queue cancels it at once. */
	if (due_is_empty(d))
		r = am_mutate(d->machine, &mut);
	if (r != AM_CANCELED || (due_is_empty(d) && !am_draining(d->machine)))
		return r;
	return put(d, &it, states, args) ? AM_QUEUED : AM_CANCELED;
}

am_result
due_add1(struct due *d, am_id state, struct am_val args)
{
	return due_mutate(d, AM_ADD, &state, 1, args);
}

am_result
due_remove1(struct due *d, am_id state, struct am_val args)
{
	return due_mutate(d, AM_REMOVE, &state, 1, args);
}

/* false: it must keep waiting. */
static bool
make(struct am_machine *m, const struct due_item *it)
{
	struct am_val args = { it->args, it->len };
	struct am_mutation mut = {
		.op = it->op,
		.states = it->state,
		.n_states = it->n,
		.args = it->len > 0 ? args : AM_NONE,
	};

	if (it->is_pulse)
		return mach_pulse(m, it->state, it->n, it->state, it->n_back,
			   mut.args) == 0;
	(void)am_mutate(m, &mut);
	return true;
}

void
due_run(struct due *d)
{
	struct due_item *it;
	bool gone = false;
	bool made = true;

	/* Each of them is a drain of its own, at whose end this is called
	 * again. */
	if (d->running)
		return;
	d->running = true;
	d->gone = &gone;
	while (made && (it = STAILQ_FIRST(&d->items)) != NULL) {
		STAILQ_REMOVE_HEAD(&d->items, link);
		made = make(d->machine, it);
		if (!made && !gone)
			STAILQ_INSERT_HEAD(&d->items, it, link);
		else
			free(it);
		/* A handler of the program may have freed the owner. */
		if (gone)
			return;
	}
	d->running = false;
	d->gone = NULL;
}
