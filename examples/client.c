/* client.c - leases a worker, gives it one piece of work, prints the answer.
 *
 *	cc client.c $(pkg-config --cflags --libs amnode) -o client
 *	./client /run/amnode/default/sock
 *	{"input":7,"output":49} */
#include <amnode.h>

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 10000 };

struct app {
	struct am_loop *loop;
	int status; /* of the process: 1 until the answer was printed */
};

/* A worker is leased to this process, and to nobody else. */
static void
on_ready(struct am_client *c, void *arg)
{
	struct app *app = arg;
	struct am_buf args = AM_BUF_INIT;

	am_put_map(&args, 1);
	am_put_str(&args, "input");
	am_put_int(&args, 7);
	if (am_client_request(c, am_buf_val(&args), TIMEOUT_MS, NULL) != 0)
		am_loop_stop(app->loop);
	am_buf_done(&args);
}

/* Whatever becomes of a request, it ends in exactly one result. */
static void
on_payload(struct am_client *c, const struct am_payload *p, void *arg)
{
	struct app *app = arg;
	struct am_buf json = AM_BUF_INIT;
	struct am_error err;

	if (p->kind != AM_PAYLOAD_RESULT)
		return; /* progress, or an event that nobody asked for */
	if (p->status != AM_STATUS_OK) {
		(void)fprintf(stderr, "client: %s: %s\n", p->code, p->message);
	} else if (am_json_encode(p->data, &json, &err) != 0) {
		(void)fprintf(stderr, "client: %s\n", err.text);
	} else {
		(void)printf("%.*s\n", (int)json.len, json.data);
		app->status = 0;
	}
	am_buf_done(&json);
	(void)am_client_release(c);
}

/* Released; or there is no worker for us, or not any more. */
static void
on_lost(struct am_client *c, const char *code, const char *reason, void *arg)
{
	struct app *app = arg;

	(void)c;
	if (strcmp(code, "released") != 0)
		(void)fprintf(stderr, "client: no worker: %s: %s\n", code,
		    reason);
	am_loop_stop(app->loop);
}

int
main(int argc, char **argv)
{
	struct am_error err = { "no event loop" };
	struct app app = { .loop = am_loop_new(), .status = 1 };
	const struct am_client_conf conf = {
		.size = sizeof(conf),
		.name = "example",
		.supervisors = (const char *const *)argv + 1,
		.n_supervisors = argc > 1 ? (size_t)argc - 1 : 0,
		.arg = &app,
		.on_ready = on_ready,
		.on_payload = on_payload,
		.on_lost = on_lost,
	};
	struct am_client *c = NULL;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: client SOCKET|HOST:PORT...\n");
		return 2;
	}
	if (app.loop != NULL)
		c = am_client_new(app.loop, &conf, &err);
	if (c == NULL) {
		(void)fprintf(stderr, "client: %s\n", err.text);
		return 2;
	}
	if (am_client_lease(c, TIMEOUT_MS) == 0)
		(void)am_loop_run(app.loop);
	(void)am_client_free(c);
	(void)am_loop_free(app.loop);
	return app.status;
}
