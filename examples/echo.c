/* echo.c - the smallest worker in C: it answers what it is asked. It has the
 * states of every worker and none of its own; square.c has.
 *
 *	cc echo.c $(pkg-config --cflags --libs amnode) -o echo
 *	amnoded --set Worker.Exec=$PWD/echo
 *	amctl request hello=world */
#include <amnode.h>
#include <amnode/worker.h>

static void
work_requested_state(struct am_event *ev)
{
	struct am_worker *w = am_worker_of(ev->machine);

	(void)am_worker_answer(w, am_worker_req(w, ev), ev->args);
}

static const struct am_handler handler[Wrk__COUNT] = {
	[Wrk_WorkRequested] = { .state = work_requested_state },
};

static const struct am_handlers handlers = AM_HANDLERS("echo", handler);

int
main(void)
{
	const struct am_worker_conf conf = {
		.size = sizeof(conf),
		.kind = "echo",
		.handlers = &handlers,
	};

	return am_worker_main(&conf);
}
