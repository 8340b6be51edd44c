#include "daemon/exec/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon/exec/states.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

enum {
	HOST_START_MS = 30000,
	HOST_GRACE_MS = 5000,
	/* From a broken protocol to the program's end: the supervisor is told,
	 * and the failed requests' clients, in this time. */
	HOST_BROKEN_MS = 500,
	HOST_KILLED_MS = 1000, /* SIGKILL to its exit */
	HOST_QUOTE_MAX = 4 * LINE_SHOW_BYTES + 8,
};

/* A bound of our environment; what is no number is as if it were not there:
 * amnoded has checked it. */
static int64_t
env_number(const char *name, int64_t fallback)
{
	const char *s = getenv(name);
	char *end;
	long long v;

	if (s == NULL || *s == '\0')
		return fallback;
	errno = 0;
	v = strtoll(s, &end, 10);
	return errno != 0 || *end != '\0' || v < 0 ? fallback : v;
}

/* ---- the end ---- */

static void
leave(struct host *h, int status)
{
	if (h->phase == HOST_GONE)
		return;
	h->phase = HOST_GONE;
	h->status = status;
	am_timer_stop(&h->timer);
	if (h->worker != NULL)
		am_worker_exit(h->worker, status);
	else
		am_loop_stop(h->loop);
}

/* The program takes no part any more: the rest is killed by reap_all(). */
static void
give_up(struct host *h, int status)
{
	prog_mute(&h->prog);
	prog_kill(&h->prog, SIGKILL);
	leave(h, status);
}

static void
on_exit_of_program(int status, void *arg)
{
	struct host *h = arg;
	int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				       : WEXITSTATUS(status);

	if (h->phase == HOST_STARTING)
		host_log("the program ended before it was ready, exit=%d",
		    code);
	/* A worker that broke is not to look as if it had left in peace. */
	if (h->phase == HOST_STARTING && code == 0)
		code = HOST_EXIT_FAILED;
	if (h->phase == HOST_BROKEN)
		code = HOST_EXIT_PROTOCOL;
	leave(h, code);
}

void
host_stop(struct host *h, const char *reason)
{
	bool is_ready = h->phase == HOST_SERVING;

	if (h->phase >= HOST_STOPPING)
		return;
	if (h->phase == HOST_BROKEN) {
		give_up(h, HOST_EXIT_PROTOCOL);
		return;
	}
	h->phase = HOST_STOPPING;
	if (is_ready)
		line_put_stop(prog_out(&h->prog), reason);
	prog_close_in(&h->prog);
	/* The supervisor's grace runs, too, and ends with SIGKILL: both
	 * signals must come before. */
	if (am_timer_start(&h->timer, h->stop_grace_ms / 2) < 0)
		give_up(h, HOST_EXIT_FAILED);
}

static void
enforce_stop(struct host *h)
{
	if (h->is_termed) {
		host_log("the program did not leave on SIGTERM, killed");
		prog_kill(&h->prog, SIGKILL);
		if (am_timer_start(&h->timer, HOST_KILLED_MS) < 0)
			leave(h, 128 + SIGKILL);
		return;
	}
	h->is_termed = true;
	prog_kill(&h->prog, SIGTERM);
	if (am_timer_start(&h->timer, h->stop_grace_ms * 2 / 5) < 0)
		give_up(h, HOST_EXIT_FAILED);
}

static void
on_timer(void *arg)
{
	struct host *h = arg;

	switch (h->phase) {
	case HOST_STARTING:
		host_log("the program did not say that it is ready within "
			 "StartTimeout (%jd ms)",
		    (intmax_t)h->start_timeout_ms);
		give_up(h, HOST_EXIT_START);
		break;
	case HOST_BROKEN:
		give_up(h, HOST_EXIT_PROTOCOL);
		break;
	case HOST_STOPPING:
		enforce_stop(h);
		break;
	case HOST_SERVING:
	case HOST_GONE:
		break;
	}
}

void
host_broken(struct host *h, const char *why, const char *line, size_t len)
{
	char quoted[HOST_QUOTE_MAX];

	if (h->phase != HOST_STARTING && h->phase != HOST_SERVING)
		return;
	if (line != NULL)
		host_log("protocol error: %s: %s", why,
		    log_quote(quoted, sizeof(quoted), line,
			len < LINE_SHOW_BYTES ? len : LINE_SHOW_BYTES));
	else
		host_log("protocol error: %s", why);
	if (h->phase == HOST_STARTING) {
		give_up(h, HOST_EXIT_PROTOCOL);
		return;
	}
	h->phase = HOST_BROKEN;
	prog_mute(&h->prog);
	/* In this order: its last request's end must not make it idle. */
	(void)am_worker_stuck(h->worker, "protocol", why);
	work_fail_all(h, "protocol", why);
	if (am_timer_start(&h->timer, HOST_BROKEN_MS) < 0)
		give_up(h, HOST_EXIT_PROTOCOL);
}

/* ---- what the worker says ---- */

static void
on_lease(struct am_worker *w, const char *client, void *arg)
{
	struct host *h = arg;

	(void)w;
	if (h->can_reset)
		line_put_lease_begin(prog_out(&h->prog), client);
}

static void
on_reset(struct am_worker *w, void *arg)
{
	(void)w;
	work_reset(arg);
}

static void
on_ping(struct am_worker *w, void *arg)
{
	struct host *h = arg;

	if (!h->can_ping) {
		am_worker_alive(w);
		return;
	}
	/* One at a time: its answer answers all. */
	if (!h->work.pinged)
		line_put_ping(prog_out(&h->prog));
	h->work.pinged = true;
}

static void
on_stop(struct am_worker *w, const char *reason, void *arg)
{
	(void)w;
	host_stop(arg, reason);
}

static void
on_room(struct am_worker *w, void *arg)
{
	struct host *h = arg;

	(void)w;
	prog_resume(&h->prog);
	work_pump(h);
}

static void
on_denied(struct am_worker *w, const char *line, void *arg)
{
	(void)w;
	(void)arg;
	host_log("%s", line);
}

/* ---- what the program says ---- */

static int
start_worker(struct host *h, struct am_error *err)
{
	const struct am_worker_conf conf = {
		.size = sizeof(conf),
		.kind = getenv("AM_KIND"),
		.schema = h->schema,
		.handlers = &work_handlers,
		.arg = h,
		.on_lease = on_lease,
		.on_reset = on_reset,
		.on_ping = on_ping,
		.on_stop = on_stop,
		.on_room = on_room,
		.on_denied = on_denied,
	};

	h->worker = am_worker_new(h->loop, &conf, err);
	if (h->worker == NULL)
		return HOST_EXIT_FAILED;
	h->phase = HOST_SERVING;
	am_timer_stop(&h->timer);
	return 0;
}

/* 0, or an exit status with the reason in err. */
static int
take_ready(struct host *h, struct am_error *err)
{
	struct line_ready r;

	if (line_parse_ready(am_buf_val(&h->values), &r, err) < 0)
		return HOST_EXIT_PROTOCOL;
	h->can_ping = r.can_ping;
	h->can_reset = r.can_reset;
	h->can_cancel = r.can_cancel;
	h->work.concurrency = r.concurrency;
	if (r.states.data != NULL && h->schema != NULL) {
		(void)error_set(err,
		    "states both by --schema and in the ready "
		    "message; leave one out");
		return HOST_EXIT_SCHEMA;
	}
	if (r.states.data != NULL)
		h->schema = states_from_value(r.states, err);
	else if (h->schema == NULL)
		h->schema = states_from_json(NULL, 0, err);
	if (h->schema == NULL)
		return HOST_EXIT_SCHEMA;
	return start_worker(h, err);
}

static int
starting_line(struct host *h, const char *line, size_t len,
    struct am_error *err)
{
	struct line_msg m;
	int r = line_parse(line, len, &h->values, &m, err);

	if (r < 0)
		return r;
	if (m.kind != LINE_READY)
		return error_set(err, "the first line is not {\"ready\":1}"),
		       -EBADMSG;
	r = take_ready(h, err);
	if (r != 0) {
		host_log("%s", err->text);
		give_up(h, r);
	}
	return 0;
}

/* 0 and -EAGAIN are prog's business. */
static int
after_line(struct host *h, int r, const char *why, const char *line, size_t len)
{
	if (r == -EAGAIN)
		return r;
	if (r < 0)
		host_broken(h, r == -ENOMEM ? "no memory" : why, line, len);
	return 0;
}

static int
on_line(const char *line, size_t len, void *arg)
{
	struct host *h = arg;
	struct am_error err = { "" };
	int r = 0;

	if (len == 0 || h->phase == HOST_BROKEN || h->phase == HOST_GONE)
		return 0;
	if (h->worker == NULL && h->phase == HOST_STARTING)
		r = starting_line(h, line, len, &err);
	else if (h->worker != NULL)
		r = answer_line(h, line, len, &err);
	return after_line(h, r, err.text, line, len);
}

static int
on_long_line(const char *line, size_t len, void *arg)
{
	struct host *h = arg;
	struct am_error err = { "the first line is too long" };
	int r = -EBADMSG;

	if (h->phase == HOST_BROKEN || h->phase == HOST_GONE)
		return 0;
	if (h->worker != NULL)
		r = answer_long_line(h, line, len, &err);
	return after_line(h, r, err.text, line, len);
}

static void
on_broken(const char *why, void *arg)
{
	host_broken(arg, why, NULL, 0);
}

static void
on_prog_room(void *arg)
{
	work_pump(arg);
}

static const struct prog_ops prog_ops = {
	.on_line = on_line,
	.on_long_line = on_long_line,
	.on_broken = on_broken,
	.on_room = on_prog_room,
	.on_exit = on_exit_of_program,
};

/* ---- the beginning ---- */

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	host_stop(arg, sig == SIGTERM ? "signal TERM" : "signal INT");
}

static int
watch_signals(struct host *h)
{
	struct event_base *base = loop_base(h->loop);

	h->ev_term = evsignal_new(base, SIGTERM, on_signal, h);
	h->ev_int = evsignal_new(base, SIGINT, on_signal, h);
	if (h->ev_term == NULL || h->ev_int == NULL ||
	    event_add(h->ev_term, NULL) < 0 || event_add(h->ev_int, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int
host_start(struct host *h, struct am_loop *l, struct am_schema *schema,
    char *const *argv)
{
	struct am_error err;
	int r;

	*h = (struct host){ .loop = l, .schema = schema };
	h->start_timeout_ms = env_number("AM_START_TIMEOUT_MS", HOST_START_MS);
	h->stop_grace_ms = env_number("AM_STOP_GRACE_MS", HOST_GRACE_MS);
	h->line_max = (size_t)env_number("AM_LINE_MAX", LINE_MAX_DEFAULT);
	if (h->line_max < LINE_MAX_LOWEST)
		h->line_max = LINE_MAX_LOWEST;
	work_init(&h->work);
	am_timer_init(&h->timer, l, on_timer, h);
	if (watch_signals(h) < 0 ||
	    am_timer_start(&h->timer, h->start_timeout_ms) < 0) {
		host_log("no memory");
		return HOST_EXIT_FAILED;
	}
	r = prog_start(&h->prog, l, argv, h->line_max, &prog_ops, h, &err);
	if (r == 0)
		return 0;
	host_log("%s", err.text);
	if (r == -ENOENT || r == -ENOTDIR)
		return HOST_EXIT_MISSING;
	return r == -ENOMEM ? HOST_EXIT_FAILED : HOST_EXIT_NOEXEC;
}

void
host_done(struct host *h)
{
	h->worker = am_worker_free(h->worker);
	prog_done(&h->prog);
	work_done(&h->work);
	am_timer_done(&h->timer);
	if (h->ev_term != NULL)
		event_free(h->ev_term);
	if (h->ev_int != NULL)
		event_free(h->ev_int);
	am_buf_done(&h->values);
	h->schema = am_schema_unref(h->schema);
	*h = (struct host){ .loop = NULL };
}
