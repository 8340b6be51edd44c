/* netmach_ask.c - what a mirror asks of its machine: mutations, traces, and
 * am_when_args(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rpc/netmach_int.h"
#include "lib/rpc/watch.h"

/* A subscription of the mirror to args; the machine watches for them. */
struct asked_args {
	TAILQ_ENTRY(asked_args) link;
	am_sub sub;
	uint32_t id; /* of the call; 0: to be made on the next connection */
	am_id state;
	size_t len;
	uint8_t args[];
};

/* ---- mutations ---- */

static void
on_result(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	am_result result = r->result;
	const char *why = r->why;

	(void)arg;
	if (nm->remote.on_result == NULL)
		return;
	if (r->status != NETMACH_OK) {
		result = r->status == NETMACH_LOST ? AM_RESULT_LOST
						   : AM_CANCELED;
		why = r->text;
	}
	nm->remote.on_result(nm->mirror, AM_QUEUED + id, result, why,
	    nm->remote.result_arg);
}

static int
mutate(struct am_machine *m, const struct am_mutation *mut, void *arg)
{
	(void)m;
	return netmach_mutate(netmach_of(arg), mut->op, mut->states,
	    mut->n_states, mut->args, -1, on_result, NULL);
}

/* ---- tracing ---- */

static void
trace(struct am_machine *m, bool on, void *arg)
{
	struct netmach *nm = netmach_of(arg);

	(void)m;
	nm->traced = on;
	if (netmach_is_ready(nm))
		(void)netmach_trace(nm, on || nm->all_mutations, NULL, NULL);
}

bool
netmach_tell_mutated(struct netmach *nm, const struct arpc_mutated *mu)
{
	const struct am_transition t = {
		.op = (enum am_op)mu->op,
		.automatic = (mu->flags & ARPC_M_AUTOMATIC) != 0,
		.accepted = (mu->flags & ARPC_M_ACCEPTED) != 0,
		.called = mu->called,
		.n_called = mu->n_called,
		.args = AM_NONE,
		.time_after = am_time(nm->mirror),
		.why = "",
		.steps = "",
	};

	if (nm->traced)
		mach_mirror_tell(nm->mirror, &t);
	return !nm->freed;
}

/* ---- args ---- */

static void
drop(struct netmach *nm, struct asked_args *a)
{
	TAILQ_REMOVE(&nm->asked, a, link);
	nm->n_asked--;
	nm->asked_bytes -= a->len;
	free(a);
}

static void
on_args(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct asked_args *a;
	am_sub sub;

	(void)arg;
	TAILQ_FOREACH(a, &nm->asked, link) {
		if (a->id == id)
			break;
	}
	if (a == NULL)
		return;
	if (r->status == NETMACH_LOST) {
		a->id = 0;
		return;
	}
	sub = a->sub;
	drop(nm, a);
	if (r->status == NETMACH_OK)
		mach_sub_fire(nm->mirror, sub);
}

/* -errno: this cannot be asked for. */
static int
ask(struct netmach *nm, struct asked_args *a)
{
	int r = netmach_when_args(nm, a->state,
	    (struct am_val){ a->len > 0 ? a->args : NULL, a->len }, on_args,
	    NULL);

	if (r == -ENOTCONN)
		return 0;
	if (r > 0)
		a->id = (uint32_t)r;
	return r;
}

static int
when_args(struct am_machine *m, am_id state, struct am_val args, am_sub sub,
    void *arg)
{
	struct netmach *nm = netmach_of(arg);
	struct asked_args *a;
	int r;

	(void)m;
	/* Canceled ones still wait at the other end. */
	if (nm->n_asked == WHEN_ARGS_MAX ||
	    args.len > WHEN_ARGS_BYTES - nm->asked_bytes)
		return -ENOSPC;
	a = malloc(sizeof(*a) + args.len);
	if (a == NULL)
		return -ENOMEM;
	*a = (struct asked_args){
		.sub = sub,
		.state = state,
		.len = args.len,
	};
	if (args.len > 0)
		memcpy(a->args, args.data, args.len);
	TAILQ_INSERT_TAIL(&nm->asked, a, link);
	nm->n_asked++;
	nm->asked_bytes += a->len;
	r = ask(nm, a);
	if (r < 0)
		drop(nm, a);
	return r < 0 ? r : 0;
}

void
netmach_ask_again(struct netmach *nm)
{
	struct asked_args *a, *next;

	for (a = TAILQ_FIRST(&nm->asked); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->id != 0)
			continue;
		if (!mach_sub_waits(nm->mirror, a->sub) || ask(nm, a) < 0)
			drop(nm, a);
	}
}

void
netmach_ask_nothing(struct netmach *nm)
{
	struct asked_args *a;

	while ((a = TAILQ_FIRST(&nm->asked)) != NULL)
		drop(nm, a);
	nm->traced = false;
}

void
netmach_ask_init(struct netmach *nm)
{
	TAILQ_INIT(&nm->asked);
	nm->remote = (struct mach_remote){
		.mutate = mutate,
		.trace = trace,
		.when_args = when_args,
		.arg = nm,
	};
}
