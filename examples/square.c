/* square.c - a worker in C: squares numbers.
 *
 * A worker is a state machine that amnoded starts and lends. A client leases
 * it, adds the state WorkRequested {"input": 7}, and gets the payload
 * {"input": 7, "output": 49}. This file has the three parts of every worker:
 * its states, its handlers, and main(). One without states of its own is
 * shorter: echo.c.
 *
 *	cc square.c $(pkg-config --cflags --libs amnode) -o square
 *	amnoded --set Worker.Exec=$PWD/square
 *	amctl request input:=7 */
#include <amnode.h>

/* ---- the states: from the table in square.tbl.h ---- */

enum state {
#define STATE(name, ...) Sq_##name,
#include "square.tbl.h"
#undef STATE
	Sq__COUNT
};

#define S(...) AM_LIST(Sq_, __VA_ARGS__)
static const struct am_state rows[Sq__COUNT] = {
#define STATE(n, d, ...) [Sq_##n] = { .name = #n, .doc = d, __VA_ARGS__ },
#include "square.tbl.h"
#undef STATE
};

static const struct am_states states = AM_STATES("square", rows);

/* ---- the handlers ---- */

/* Before the transition: may it happen? The reason is what the client sees
 * (exit status 5 of amctl). */
static bool
work_requested_enter(struct am_event *ev)
{
	double input;

	if (am_get_double(ev->args, "input", &input) != 0)
		return am_refuse(ev, "input is not a number");
	return true;
}

/* Whole numbers stay whole in JSON: 49, not 49.0. */
static void
put_number(struct am_buf *b, const char *key, double v)
{
	const double exact = 9007199254740992.0; /* 2^53 */

	am_put_str(b, key);
	if (v > -exact && v < exact && v == (double)(int64_t)v)
		am_put_int(b, (int64_t)v);
	else
		am_put_double(b, v);
}

/* The request is taken. The work itself is a state too: whoever watches this
 * worker sees when it squares. Mutations made in a handler are queued: they run
 * as soon as it has returned. */
static void
work_requested_state(struct am_event *ev)
{
	struct am_worker *w = am_worker_of(ev->machine);
	struct am_buf answer = AM_BUF_INIT;
	const am_id squaring = Sq_Squaring;
	double input = 0;

	(void)am_pulse(ev->machine, &squaring, 1, ev->args);
	(void)am_add1(ev->machine, Sq_Used, AM_NONE);
	(void)am_get_double(ev->args, "input", &input);
	am_put_map(&answer, 2);
	put_number(&answer, "input", input);
	put_number(&answer, "output", input * input);

	/* Exactly one answer per request, here or at any later time. What
	 * takes long belongs in a thread or a child: the loop must go on. */
	(void)am_worker_answer(w, am_worker_req(w, ev), am_buf_val(&answer));
	am_buf_done(&answer);
}

static const struct am_handler handler[Sq__COUNT] = {
	[Sq_WorkRequested] = { .enter = work_requested_enter,
	    .state = work_requested_state },
};

static const struct am_handlers handlers = AM_HANDLERS("square", handler);

/* ---- main ---- */

int
main(void)
{
	const struct am_worker_conf conf = {
		.size = sizeof(conf),
		.kind = "square",
		.states = &states,
		.handlers = &handlers,
	};

	return am_worker_main(&conf);
}
