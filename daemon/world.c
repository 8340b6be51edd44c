#include "daemon/world.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/sys/spawn.h"
#include "lib/rpc/server.h"

static bool
id_taken(struct super *s, uint32_t number)
{
	const struct world *w = s->world;

	return runtime_is_live(w->runtime, number);
}

static void
stopped(struct super *s)
{
	struct world *w = s->world;

	w->stopped = true;
	am_loop_stop(w->loop);
}

const struct super_io world_io = {
	.spawn = process_spawn,
	.connect = link_connect,
	.serve = link_serve,
	.end_lease = link_end_lease,
	.ask = link_ask,
	.signal = process_signal,
	.forget = process_forget,
	.tell = access_tell,
	.listen = access_listen,
	.client = access_client,
	.refuse = access_refuse,
	.id_taken = id_taken,
	.stopped = stopped,
};

int
world_init(struct world *w, struct am_loop *l, const struct config *config,
    const struct security *security, struct runtime *rt, const char *instance,
    struct am_error *err)
{
	*w = (struct world){
		.loop = l,
		.config = config,
		.security = security,
		.runtime = rt,
		.instance = instance,
		.spawn = spawn_process,
		.listen_fd = -1,
	};
	return access_bind(w, err);
}

int
world_serve(struct world *w, struct super *s, struct am_error *err)
{
	int r;

	w->super = s;
	w->server = rpc_server_new(w->loop, s->machine);
	r = w->server == NULL ? -ENOMEM : process_init(w);
	if (r < 0)
		(void)snprintf(err->text, sizeof(err->text), "cannot start: %s",
		    strerror(-r));
	return r;
}

void
world_close_clients(struct world *w, const char *reason)
{
	if (w->server != NULL)
		rpc_server_close(w->server, -1, reason);
}

void
world_done(struct world *w)
{
	struct client *c;

	w->server = rpc_server_free(w->server);
	am_buf_done(&w->prompt);
	/* Dropped sessions are not told of. */
	while (w->super != NULL &&
	    (c = TAILQ_FIRST(&w->super->model.clients)) != NULL) {
		model_remove_client(&w->super->model, c);
		explicit_bzero(c->token, sizeof(c->token));
		free(c);
	}
	if (w->sigchld != NULL)
		event_free(w->sigchld);
	w->sigchld = NULL;
	if (w->listen_fd >= 0)
		(void)close(w->listen_fd);
	w->listen_fd = -1;
	if (w->listen_path[0] != '\0')
		(void)unlink(w->listen_path);
	w->listen_path[0] = '\0';
}
