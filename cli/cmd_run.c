/* cmd_run.c - run: a command in the foreground, with a lease of its own. */
#include "cli/cmds.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/lease.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/loop/loop.h"
#include "lib/proc/fd.h"
#include "lib/proc/spawn.h"

extern char **environ;

/* What CMD gets after TERM before KILL. */
enum { GRACE_MS = 10000 };

struct run {
	struct cli *cli;
	struct session sup;
	struct session wrk;
	struct leasefile file;
	sigset_t old_mask;
	pid_t pid; /* of CMD; 0: it does not run */
	int pidfd;
	int sigfd;
	struct event *on_exit;
	struct event *on_signal;
	bool ended;
	bool lost;
};

/* What reaches a foreground command. */
static const int passed[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1,
	SIGUSR2 };

static void
run_done(struct run *r)
{
	if (r->on_exit != NULL)
		event_free(r->on_exit);
	if (r->on_signal != NULL)
		event_free(r->on_signal);
	am_closep(&r->pidfd);
	am_closep(&r->sigfd);
	session_done(&r->wrk);
	session_done(&r->sup);
	leasefile_done(&r->file);
}

static void
on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = (struct run *)arg;

	(void)fd;
	(void)what;
	r->ended = true;
}

/* A signal of the terminal reached CMD already: it is in the same group. */
static void
on_signal_event(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = (struct run *)arg;
	struct signalfd_siginfo si;

	(void)what;
	while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_code <= 0 && r->pid > 0)
			(void)kill(r->pid, (int)si.ssi_signo);
}

static void
on_worker_down(struct session *s, void *arg)
{
	struct run *r = (struct run *)arg;

	(void)s;
	r->lost = true;
}

/* Only now that there is a lease: who waits for one and is killed leaves no
 * file. Those of others who were killed later go as well. */
static int
name_lease(struct cli *c, struct run *r, const struct client_lease *lease)
{
	char name[32];
	struct am_error err;
	int rc;

	leasefile_prune((int64_t)time(NULL));
	leasefile_fresh_name(name, sizeof(name));
	rc = leasefile_lock(&r->file, name, &err);
	r->file.lease = *lease;
	(void)snprintf(r->file.supervisor, sizeof(r->file.supervisor), "%s",
	    r->sup.address);
	if (rc >= 0) {
		rc = leasefile_save(&r->file, &err);
		if (rc < 0)
			(void)leasefile_remove(&r->file);
	}
	/* CMD's amctl calls need the lock. */
	am_closep(&r->file.fd);
	if (rc >= 0)
		return EX_OK;
	lease_drop(&r->sup, lease->lease, "released");
	return cli_fail(c, EX_RUN_SELF, "lease_file", "%s", err.text);
}

static int
get_lease(struct cli *c, struct run *r)
{
	struct client_wish wish = { .ttl_ms = 0 };
	int64_t wait = cli_has(c, OPT_NO_WAIT) || c->no_wait ? 0
							     : cli_left_ms(c);
	struct client_lease lease;
	int rc = lease_wish_options(c, &wish);

	if (rc == EX_OK)
		rc = super_open(c, &r->sup);
	if (rc != EX_OK)
		return rc;
	if (lease_wish_own(&wish) < 0)
		return cli_fail(c, EX_RUN_SELF, "internal",
		    "/proc/self/stat cannot be read");
	rc = lease_take(c, &r->sup, &r->wrk, &wish, wait, &lease);
	return rc == EX_OK ? name_lease(c, r, &lease) : rc;
}

/* From here on signals are read, not delivered. */
static int
watch_signals(struct run *r)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		sigaddset(&set, passed[i]);
	if (sigprocmask(SIG_BLOCK, &set, &r->old_mask) < 0)
		return -errno;
	r->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->sigfd < 0 ? -errno : 0;
}

/* 0 or -errno, exec's. The program gets the signals as we got them. */
static int
spawn(struct run *r, char **argv)
{
	sigset_t dfl;
	int rc;

	(void)sigemptyset(&dfl);
	(void)sigaddset(&dfl, SIGPIPE);
	rc = proc_spawn(&(struct proc_spawn){ .argv = argv,
			    .env = environ,
			    .mask = &r->old_mask,
			    .defaults = &dfl },
	    &r->pid);
	if (rc < 0)
		r->pid = 0;
	return rc;
}

static int
start(struct cli *c, struct run *r)
{
	struct event_base *base = loop_base(c->loop);
	int rc = watch_signals(r);

	if (rc < 0)
		return cli_fail(c, EX_RUN_SELF, "internal", "signals: %s",
		    strerror(-rc));
	if (setenv("AMCTL_LEASE", r->file.name, 1) < 0)
		return cli_fail(c, EX_RUN_SELF, "internal", "no memory");
	rc = spawn(r, c->argv);
	if (rc < 0)
		return cli_fail(c, rc == -ENOENT ? EX_RUN_NOENT : EX_RUN_EXEC,
		    "exec", "%s: %s", c->argv[0], strerror(-rc));
	r->pidfd = proc_pidfd(r->pid);
	if (r->pidfd >= 0)
		r->on_exit = event_new(base, r->pidfd, EV_READ, on_exit_event,
		    r);
	r->on_signal = event_new(base, r->sigfd, EV_READ | EV_PERSIST,
	    on_signal_event, r);
	if (r->on_exit == NULL || r->on_signal == NULL ||
	    event_add(r->on_exit, NULL) < 0 ||
	    event_add(r->on_signal, NULL) < 0) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
		return cli_fail(c, EX_RUN_SELF, "internal",
		    "%s cannot be watched", c->argv[0]);
	}
	return EX_OK;
}

static bool
is_over(void *arg)
{
	const struct run *r = (const struct run *)arg;

	return r->ended || r->lost;
}

static bool
is_ended(void *arg)
{
	const struct run *r = (const struct run *)arg;

	return r->ended;
}

/* TERM, some time, KILL. */
static void
stop_cmd(struct cli *c, struct run *r)
{
	(void)kill(r->pid, SIGTERM);
	(void)kill(r->pid, SIGCONT);
	if (session_until(c, is_ended, r, clock_ns() + GRACE_MS * NS_PER_MS) <
	    0) {
		cli_say(c, "%s did not end on TERM: killed", c->argv[0]);
		(void)kill(r->pid, SIGKILL);
	}
}

static int
exit_code(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EX_RUN_SELF;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* Runs until CMD ended, whatever comes first. */
static int
supervise(struct cli *c, struct run *r)
{
	char reason[64] = "";
	int rc = session_until(c, is_over, r, c->deadline_ns);
	int code;

	if (rc < 0 || !r->ended)
		stop_cmd(c, r);
	code = exit_code(r->pid);
	r->pid = 0;
	if (rc == -ETIMEDOUT)
		return cli_fail(c, EX_TIMEOUT, "timeout",
		    "%s did not end in time", c->argv[0]);
	if (!r->lost)
		return code;
	(void)attach_reason(c, &r->file, reason, sizeof(reason));
	return cli_fail(c, EX_LOST, "lost",
	    "lease \"%s\" was lost: %s; %s was told to end", r->file.name,
	    reason[0] != '\0' ? reason : r->wrk.why, c->argv[0]);
}

int
cmd_run(struct cli *c)
{
	am_cleanup(run_done) struct run r = {
		.cli = c,
		.sup = SESSION_INIT,
		.wrk = SESSION_INIT,
		.file = LEASEFILE_INIT,
		.pidfd = -1,
		.sigfd = -1,
	};
	int rc;

	if (c->lease_by_option)
		return cli_fail(c, EX_USAGE, "usage",
		    "-l makes no sense here: run takes a lease of its own, and "
		    "CMD finds its name in AMCTL_LEASE");
	rc = get_lease(c, &r);
	if (rc != EX_OK)
		return rc;
	r.wrk.on_down = on_worker_down;
	r.wrk.arg = &r;
	rc = start(c, &r);
	if (rc == EX_OK)
		rc = supervise(c, &r);
	r.wrk.on_down = NULL;
	session_close(&r.wrk);
	lease_drop(&r.sup, r.file.lease.lease, "released");
	(void)leasefile_remove(&r.file);
	return rc;
}
