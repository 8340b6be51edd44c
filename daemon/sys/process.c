/* The processes of workers: their sockets, FIFOs, start, signals and end. */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/events.h"
#include "daemon/sys/reap.h"
#include "daemon/sys/spawn.h"
#include "daemon/world.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/rpc/addr.h"
#include "lib/loop/loop.h"
#include "lib/proc/children.h"
#include "lib/proc/fd.h"
#include "lib/rpc/netmach.h"

enum { ENV_N = 16, ENV_LEN = 400 };

static bool
is_worker(pid_t pid, void *arg)
{
	const struct super *s = arg;
	const struct worker *w;

	TAILQ_FOREACH(w, &s->model.workers, link)
		if (w->pid == pid)
			return true;
	return false;
}

static void
on_sigchld(evutil_socket_t sig, short what, void *arg)
{
	struct world *world = arg;

	(void)sig;
	(void)what;
	reap_strays(is_worker, world->super);
}

int
process_init(struct world *w)
{
	int r = proc_adopt_orphans();

	if (r < 0)
		log_warn("amnoded: cannot be a subreaper: %s", strerror(-r));
	w->sigchld = evsignal_new(loop_base(w->loop), SIGCHLD, on_sigchld, w);
	if (w->sigchld == NULL || event_add(w->sigchld, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/* ---- files of a worker ---- */

static int
file_path(const struct world *world, const struct worker *w, const char *tail,
    char *buf, size_t size)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s.%s", w->id, tail);
	return runtime_path(world->runtime, name, buf, size);
}

static void
remove_file(const struct world *world, const struct worker *w, const char *tail)
{
	char path[RUNTIME_PATH_MAX];

	if (file_path(world, w, tail, path, sizeof(path)) == 0)
		(void)unlink(path);
}

/* Returns new fd, listening at the path of tail. */
static int
bind_unix(const struct world *world, const struct worker *w, const char *tail,
    mode_t mode, char *path, size_t size, struct am_error *err)
{
	struct addr a;
	int fd, r;

	r = file_path(world, w, tail, path, size);
	if (r == 0)
		r = addr_parse(path, &a, err);
	if (r < 0)
		return r;
	fd = addr_listen(&a, mode);
	if (fd < 0)
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot make the socket %s: %s", path, strerror(-fd));
	return fd;
}

static int
bind_public(const struct world *world, struct worker *w, struct am_error *err)
{
	am_cleanup(am_closep) int fd = -1;
	struct addr a;
	int r;

	if (world->tcp_host[0] == '\0')
		return bind_unix(world, w, "pub", access_mode(world->config),
		    w->address, sizeof(w->address), err);
	r = fd = addr_listen(&world->tcp, 0);
	if (r >= 0)
		r = addr_of_fd(fd, &a);
	if (r < 0) {
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot listen on %s: %s", world->tcp_host, strerror(-r));
		return r;
	}
	/* By the name of Listen=, which is that of the certificate. */
	(void)snprintf(w->address, sizeof(w->address), "%s:%u", world->tcp_host,
	    a.port);
	return am_steal_fd(&fd);
}

static int
open_logs(const struct world *world, struct worker *w, char *out, char *errp,
    size_t size, struct am_error *err)
{
	const struct config *c = world->config;
	int r = file_path(world, w, "out", out, size);

	if (r == 0)
		r = file_path(world, w, "err", errp, size);
	if (r == 0)
		r = logs_open(&w->logs, world->loop, w->id,
		    (struct logs_rate){ c->log_rate, c->log_burst }, out, errp);
	if (r < 0)
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot make its FIFOs in %s: %s", world->runtime->dir,
		    strerror(-r));
	return r;
}

/* ---- start ---- */

struct env {
	char text[ENV_N][ENV_LEN];
	const char *list[ENV_N + 1];
	size_t n;
};

static void __attribute__((format(printf, 2, 3)))
env_add(struct env *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->text[e->n], ENV_LEN, fmt, ap);
	va_end(ap);
	e->list[e->n] = e->text[e->n];
	e->list[++e->n] = NULL;
}

static bool
has_tls(const struct world *world)
{
	return world->security->tls != NULL && world->tcp_host[0] != '\0';
}

static char **
make_env(const struct world *world, const struct worker *w)
{
	const struct config *c = world->config;
	struct env e = { .n = 0 };

	env_add(&e, "AM_PRIVATE_FD=%d", SPAWN_PRIVATE_FD);
	env_add(&e, "AM_PUBLIC_FD=%d", SPAWN_PUBLIC_FD);
	env_add(&e, "AM_WORKER_ID=%s", w->id);
	env_add(&e, "AM_KIND=%s", c->kind);
	env_add(&e, "AM_INSTANCE=%s", world->instance);
	env_add(&e, "AM_PUBLIC_ADDR=%s", w->address);
	env_add(&e, "AM_WINDOW=%" PRId64, c->window);
	env_add(&e, "AM_REQUEST_TIMEOUT_MS=%" PRId64, c->request_timeout_ms);
	env_add(&e, "AM_LINE_MAX=%" PRId64, c->line_max);
	env_add(&e, "AM_ORPHAN_TTL_MS=%" PRId64, c->orphan_ttl_ms);
	env_add(&e, "AM_STOP_GRACE_MS=%" PRId64, c->stop_grace_ms);
	env_add(&e, "AM_START_TIMEOUT_MS=%" PRId64, c->start_timeout_ms);
	if (has_tls(world)) {
		env_add(&e, "AM_TLS_CERT_FD=%d", SPAWN_EXTRA_FD + TLS_CERT);
		env_add(&e, "AM_TLS_KEY_FD=%d", SPAWN_EXTRA_FD + TLS_KEY);
		env_add(&e, "AM_TLS_CA_FD=%d", SPAWN_EXTRA_FD + TLS_CA);
	}
	return spawn_env(environ, e.list);
}

static void
on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct super *s = w->super;
	char how[32];

	(void)fd;
	(void)what;
	if (!reap_process(w->pid, how, sizeof(how))) {
		(void)event_add(w->exit_event, NULL);
		return;
	}
	/* Its row is still there, so it is not taken for a stray. */
	reap_strays(is_worker, s);
	event_worker_exit(w, how);
}

/* From now on its exit is seen. */
static int
watch(const struct world *world, struct worker *w)
{
	int r = proc_pidfd(w->pid);

	if (r < 0)
		return r;
	w->pidfd = r;
	w->exit_event = event_new(loop_base(world->loop), w->pidfd, EV_READ,
	    on_exit_event, w);
	if (w->exit_event == NULL || event_add(w->exit_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int
start(const struct world *world, struct worker *w, const struct spawn *sp,
    struct am_error *err)
{
	char how[32];
	int r = world->spawn(sp, &w->pid);

	if (r < 0) {
		w->pid = 0;
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot start \"%.200s\": %s", sp->argv[0], strerror(-r));
		return r;
	}
	r = watch(world, w);
	if (r < 0) {
		(void)snprintf(err->text, sizeof(err->text),
		    "cannot watch its process: %s", strerror(-r));
		(void)kill(-w->pid, SIGKILL);
		while (!reap_process(w->pid, how, sizeof(how)))
			;
		w->pid = 0;
	}
	return r;
}

int
process_spawn(struct super *s, struct worker *w, struct am_error *err)
{
	struct world *world = s->world;
	char priv_path[RUNTIME_PATH_MAX], out[RUNTIME_PATH_MAX],
	    errp[RUNTIME_PATH_MAX];
	/* Our copies go at the end, so that its death is an error of the
	 * connection at once. */
	am_cleanup(am_closep) int priv = -1;
	am_cleanup(am_closep) int pub = -1;
	char **env;
	int r;

	r = priv = bind_unix(world, w, "priv", 0600, priv_path,
	    sizeof(priv_path), err);
	if (r >= 0)
		r = pub = bind_public(world, w, err);
	if (r >= 0)
		r = open_logs(world, w, out, errp, sizeof(out), err);
	if (r < 0)
		return r;
	env = make_env(world, w);
	if (env == NULL) {
		(void)snprintf(err->text, sizeof(err->text),
		    "no memory for its environment");
		return -ENOMEM;
	}
	r = start(world, w,
	    &(struct spawn){
		.argv = world->config->exec.word,
		.env = env,
		.private_fd = priv,
		.public_fd = pub,
		.out = out,
		.err = errp,
		.extra = world->security->part,
		.n_extra = has_tls(world) ? TLS_N_PARTS : 0,
		.files = world->files.rlim_max > 0 ? &world->files : NULL,
	    },
	    err);
	spawn_env_free(env);
	return r;
}

/* ---- signals and end ---- */

void
process_signal(struct super *s, struct worker *w, int sig)
{
	(void)s;
	/* Until it is reaped the number is its own; reaping changes the state. */
	if (w->pid <= 0 || w->state == WORKER_EXITED)
		return;
	(void)kill(sig == SIGTERM ? w->pid : -w->pid, sig);
}

void
process_forget(struct super *s, struct worker *w)
{
	const struct world *world = s->world;

	w->net = netmach_free(w->net);
	w->mirror = NULL;
	if (w->exit_event != NULL)
		event_free(w->exit_event);
	w->exit_event = NULL;
	if (w->pidfd >= 0)
		(void)close(w->pidfd);
	w->pidfd = -1;
	logs_done(&w->logs);
	remove_file(world, w, "priv");
	remove_file(world, w, "pub");
}
