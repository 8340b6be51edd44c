#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/amnode_log.h"
#include "lib/base/cleanup.h"
#include "lib/node/worker_int.h"

enum {
	WORKER_WINDOW = 64,
	WORKER_REQUEST_TIMEOUT_MS = 60000,
	WORKER_ORPHAN_TTL_MS = 60000,
	WORKER_HARD_MS = 1000,
};

/* At least what the configuration of amnoded allows. */
static const long long duration_max_ms = 366LL * 24 * 3600 * 1000;

void
worker_env_init(struct worker_env *e)
{
	*e = (struct worker_env){
		.private_fd = -1,
		.public_fd = -1,
		.tls_fd = { -1, -1, -1 },
		.window = WORKER_WINDOW,
		.request_timeout_ms = WORKER_REQUEST_TIMEOUT_MS,
		.orphan_ttl_ms = WORKER_ORPHAN_TTL_MS,
		.hard_ms = WORKER_HARD_MS,
		.outbox_bytes = OUTBOX_BYTES,
		.outbox_len = OUTBOX_LEN,
	};
}

/* Leaves *ret unchanged if the variable is not set. */
static int
env_number(const char *name, long long min, long long max, long long *ret,
    struct am_error *err)
{
	const char *text = getenv(name);
	char *end;
	long long v;

	if (text == NULL)
		return 0;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || v < min || v > max)
		return node_error(err, -EINVAL,
		    "%s is \"%.40s\": expected a number from %lld to %lld",
		    name, text, min, max);
	*ret = v;
	return 0;
}

static void
env_text(const char *name, char *buf, size_t size)
{
	const char *text = getenv(name);

	if (text != NULL)
		(void)snprintf(buf, size, "%s", text);
}

static int
env_limits(struct worker_env *e, struct am_error *err)
{
	long long window = e->window, timeout = e->request_timeout_ms;
	long long orphan = e->orphan_ttl_ms;
	int r;

	r = env_number("AM_WINDOW", 1, WORKER_WINDOW_MAX, &window, err);
	if (r == 0)
		r = env_number("AM_REQUEST_TIMEOUT_MS", 0, duration_max_ms,
		    &timeout, err);
	if (r == 0)
		r = env_number("AM_ORPHAN_TTL_MS", 0, duration_max_ms, &orphan,
		    err);
	e->window = (unsigned)window;
	e->request_timeout_ms = timeout;
	e->orphan_ttl_ms = orphan;
	return r;
}

const char *const worker_env_tls[TLS_N_PARTS] = {
	[TLS_CERT] = "AM_TLS_CERT_FD",
	[TLS_KEY] = "AM_TLS_KEY_FD",
	[TLS_CA] = "AM_TLS_CA_FD",
};

/* All of them or none. */
static int
env_tls(struct worker_env *e, struct am_error *err)
{
	int n = 0;
	int r = 0;

	for (int i = 0; i < TLS_N_PARTS && r == 0; i++) {
		long long fd = -1;

		r = env_number(worker_env_tls[i], 3, INT_MAX, &fd, err);
		e->tls_fd[i] = (int)fd;
		n += fd >= 0;
	}
	if (r == 0 && n > 0 && n < TLS_N_PARTS)
		return node_error(err, -EINVAL,
		    "%s, %s and %s: either all or none must be set",
		    worker_env_tls[TLS_CERT], worker_env_tls[TLS_KEY],
		    worker_env_tls[TLS_CA]);
	return r;
}

int
worker_env_get(struct worker_env *ret, struct am_error *err)
{
	struct worker_env e;
	long long private_fd = -1, public_fd = -1;
	int r;

	worker_env_init(&e);
	r = env_number("AM_PRIVATE_FD", 3, INT_MAX, &private_fd, err);
	if (r == 0)
		r = env_number("AM_PUBLIC_FD", 3, INT_MAX, &public_fd, err);
	if (r < 0)
		return r;
	if (private_fd < 0 || public_fd < 0 || private_fd == public_fd)
		return node_error(err, -ENOENT,
		    "AM_PRIVATE_FD and AM_PUBLIC_FD are not set: this program "
		    "is a worker, amnoded starts it (Exec= in its "
		    "configuration)");
	r = env_limits(&e, err);
	if (r == 0)
		r = env_tls(&e, err);
	if (r < 0)
		return r;
	e.private_fd = (int)private_fd;
	e.public_fd = (int)public_fd;
	env_text("AM_WORKER_ID", e.id, sizeof(e.id));
	env_text("AM_KIND", e.kind, sizeof(e.kind));
	env_text("AM_INSTANCE", e.instance, sizeof(e.instance));
	env_text("AM_PUBLIC_ADDR", e.address, sizeof(e.address));
	*ret = e;
	return 0;
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	worker_stop(arg, sig == SIGINT ? "SIGINT" : "SIGTERM");
}

static int
add_signals(struct am_worker *w)
{
	struct event_base *base = loop_base(w->loop);

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	w->on_term = evsignal_new(base, SIGTERM, on_signal, w);
	w->on_int = evsignal_new(base, SIGINT, on_signal, w);
	if (w->on_term == NULL || w->on_int == NULL ||
	    event_add(w->on_term, NULL) < 0 || event_add(w->on_int, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void
on_denied(struct am_worker *w, const char *line, void *arg)
{
	(void)arg;
	(void)fprintf(stderr, "%s: %s\n",
	    w->conf.kind != NULL ? w->conf.kind : "worker", line);
}

/* Of am_set_logger_env(). */
static void
on_machine_line(const struct am_machine *m, enum am_log_level level,
    const char *line, void *arg)
{
	const struct am_worker *w = arg;

	(void)m;
	(void)level;
	(void)fprintf(stderr, "%s: machine: %s\n",
	    w->conf.kind != NULL ? w->conf.kind : "worker", line);
}

static int
add_logger(struct am_worker *w)
{
	const struct am_logger logger = {
		.size = sizeof(logger),
		.line = on_machine_line,
		.arg = w,
	};

	return am_set_logger_env(w->machine, &logger);
}

struct am_worker *
am_worker_new(struct am_loop *l, const struct am_worker_conf *conf,
    struct am_error *err)
{
	struct worker_env env;
	struct am_worker *w;

	if (worker_env_get(&env, err) < 0)
		return NULL;
	w = worker_new(l, conf, &env, err);
	if (w != NULL && w->conf.on_denied == NULL)
		w->conf.on_denied = on_denied;
	if (w != NULL && (add_signals(w) < 0 || add_logger(w) < 0)) {
		(void)node_error(err, -ENOMEM, "out of memory");
		w = am_worker_free(w);
	}
	return w;
}

int
am_worker_main(const struct am_worker_conf *conf)
{
	struct am_error err = { .text = "" };
	struct am_loop *l = am_loop_new();
	struct am_worker *w = NULL;
	const char *kind = conf->kind != NULL ? conf->kind : "worker";
	int status = 1;

	if (l == NULL)
		(void)node_error(&err, -ENOMEM, "no event loop: %s",
		    strerror(errno));
	else
		w = am_worker_new(l, conf, &err);
	if (w == NULL) {
		(void)fprintf(stderr, "%s: %s\n", kind, err.text);
		(void)am_loop_free(l);
		return 2;
	}
	if (am_loop_run(l) < 0)
		(void)fprintf(stderr, "%s: the event loop failed\n", kind);
	else if (w->exiting)
		status = w->status;
	(void)am_worker_free(w);
	(void)am_loop_free(l);
	return status;
}
