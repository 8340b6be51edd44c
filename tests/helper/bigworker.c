/* bigworker.c - a worker with much to say: to {bytes, chunks, ms} it answers with
 * a string of so many bytes, after as many chunks of a million each, and so many
 * milliseconds later. One request at a time. */
#include <amnode.h>
#include <amnode/worker.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1000000 };

static struct {
	struct am_timer timer;
	struct am_worker *worker;
	am_req req;
	int64_t bytes;
} late;

static void
put_text(struct am_buf *b, int64_t len)
{
	char *text = malloc((size_t)len + 1);

	if (text == NULL)
		abort();
	memset(text, 'x', (size_t)len);
	text[len] = '\0';
	am_buf_reset(b);
	am_put_str(b, text);
	free(text);
}

static void
answer(void *arg)
{
	struct am_buf b = AM_BUF_INIT;

	(void)arg;
	put_text(&b, late.bytes);
	(void)am_worker_answer(late.worker, late.req, am_buf_val(&b));
	am_buf_done(&b);
}

static void
work_requested_state(struct am_event *ev)
{
	struct am_worker *w = am_worker_of(ev->machine);
	am_req req = am_worker_req(w, ev);
	struct am_buf b = AM_BUF_INIT;
	int64_t chunks = 0, ms = 0;

	late.worker = w;
	late.req = req;
	late.bytes = 0;
	(void)am_get_int(ev->args, "bytes", &late.bytes);
	(void)am_get_int(ev->args, "chunks", &chunks);
	(void)am_get_int(ev->args, "ms", &ms);
	put_text(&b, CHUNK);
	for (int64_t i = 0; i < chunks; i++)
		(void)am_worker_chunk(w, req, am_buf_val(&b));
	am_buf_done(&b);
	if (ms == 0) {
		answer(NULL);
		return;
	}
	am_timer_init(&late.timer, am_worker_loop(w), answer, NULL);
	if (am_timer_start(&late.timer, ms) < 0)
		abort();
}

static const struct am_handler handler[Wrk__COUNT] = {
	[Wrk_WorkRequested] = { .state = work_requested_state },
};

static const struct am_handlers handlers = AM_HANDLERS("big", handler);

int
main(void)
{
	const struct am_worker_conf conf = {
		.size = sizeof(conf),
		.kind = "big",
		.handlers = &handlers,
	};

	return am_worker_main(&conf);
}
