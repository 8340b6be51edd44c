/* Real processes: start, end, what escapes; the runtime directory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/sys/logs.h"
#include "daemon/sys/orphan.h"
#include "daemon/sys/reap.h"
#include "daemon/sys/runtime.h"
#include "daemon/sys/spawn.h"
#include "lib/base/log.h"
#include "lib/proc/children.h"
#include "tests/unit/unit.h"

struct run {
	char dir[64];
	char out[80];
	char err[80];
	int fd;
};

static void
setup(struct run *r)
{
	*r = (struct run){ .dir = "/tmp/amproc.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	(void)snprintf(r->out, sizeof(r->out), "%s/out", r->dir);
	(void)snprintf(r->err, sizeof(r->err), "%s/err", r->dir);
	ck_assert_int_eq(mkfifo(r->out, 0600), 0);
	ck_assert_int_eq(mkfifo(r->err, 0600), 0);
	r->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void
teardown(struct run *r)
{
	char cmd[128];

	(void)close(r->fd);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", r->dir);
	ck_assert_int_eq(system(cmd), 0);
}

static int
run_sh(const struct run *r, const char *script, pid_t *ret_pid)
{
	char sh[] = "/bin/sh", c[] = "-c", text[256];
	char *argv[] = { sh, c, text, NULL };
	char path[] = "PATH=/usr/bin:/bin";
	char *env[] = { path, NULL };

	(void)snprintf(text, sizeof(text), "%s", script);
	return spawn_process(&(struct spawn){ .argv = argv,
				 .env = env,
				 .private_fd = r->fd,
				 .public_fd = r->fd,
				 .out = r->out,
				 .err = r->err },
	    ret_pid);
}

/* Blocks until it has exited; then reaps. */
static void
reap(pid_t pid, char *how, size_t size)
{
	siginfo_t info;

	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert(reap_process(pid, how, size));
}

START_TEST(an_error_of_exec_is_returned)
{
	char no[] = "/does/not/exist";
	char *argv[] = { no, NULL }, *env[] = { NULL };
	struct run r;
	pid_t pid;

	setup(&r);
	ck_assert_int_eq(spawn_process(&(struct spawn){ .argv = argv,
					   .env = env,
					   .private_fd = r.fd,
					   .public_fd = r.fd,
					   .out = r.out,
					   .err = r.err },
			     &pid),
	    -ENOENT);
	teardown(&r);
}
END_TEST

START_TEST(it_has_its_own_group_and_five_descriptors)
{
	struct run r;
	char how[32];
	pid_t pid;
	int other = open("/dev/null", O_RDWR);

	setup(&r);
	ck_assert_int_eq(run_sh(&r,
			     "test \"$(ls /proc/self/fd | tr '\\n' ' ')\" = "
			     "'0 1 2 3 4 5 ' || exit 1; kill -STOP $$; exit 7",
			     &pid),
	    0);
	ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
	ck_assert_int_eq(getpgid(pid), pid);
	ck_assert(!reap_process(pid, how, sizeof(how)));
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	reap(pid, how, sizeof(how));
	ck_assert_str_eq(how, "status=7");
	(void)close(other);
	teardown(&r);
}
END_TEST

START_TEST(its_children_die_with_it)
{
	struct run r;
	char how[32];
	pid_t pid;

	setup(&r);
	ck_assert_int_eq(proc_adopt_orphans(), 0);
	ck_assert_int_eq(run_sh(&r, "sleep 100 & kill -9 $$", &pid), 0);
	reap(pid, how, sizeof(how));
	ck_assert_str_eq(how, "signal=9");
	/* The sleeper is ours now, and dead. */
	ck_assert_int_gt(waitpid(-pid, NULL, 0), 0);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
	teardown(&r);
}
END_TEST

START_TEST(a_number_that_was_cut_is_nobody)
{
	char whole[] = "12 345 ", cut[] = "12 34";
	char *p = whole;

	ck_assert_int_eq(proc_next_child(&p), 12);
	ck_assert_int_eq(proc_next_child(&p), 345);
	ck_assert_int_eq(proc_next_child(&p), 0);
	p = cut;
	ck_assert_int_eq(proc_next_child(&p), 12);
	ck_assert_int_eq(proc_next_child(&p), 0);
}
END_TEST

static bool
nobody(pid_t pid, void *arg)
{
	(void)pid;
	(void)arg;
	return false;
}

START_TEST(what_left_the_group_is_killed_as_our_child)
{
	struct run r;
	char how[32];
	pid_t pid;

	setup(&r);
	ck_assert_int_eq(proc_adopt_orphans(), 0);
	ck_assert_int_eq(run_sh(&r, "setsid sleep 100 & kill -9 $$", &pid), 0);
	reap(pid, how, sizeof(how));
	while (waitpid(-1, NULL, WNOHANG) == 0)
		reap_strays(nobody, NULL);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
	teardown(&r);
}
END_TEST

START_TEST(private_variables_are_not_passed_on)
{
	char a[] = "PATH=/bin", b[] = "LISTEN_FDS=1", c[] = "NOTIFY_SOCKET=x",
	     d[] = "WATCHDOG_USEC=1", e[] = "JOURNAL_STREAM=1:2",
	     f[] = "AM_KIND=old", g[] = "LISTENER=stays";
	char *own[] = { a, b, c, d, e, f, g, NULL };
	const char *add[] = { "AM_KIND=new", NULL };
	char **env = spawn_env(own, add);

	ck_assert_ptr_nonnull(env);
	ck_assert_str_eq(env[0], "PATH=/bin");
	ck_assert_str_eq(env[1], "LISTENER=stays");
	ck_assert_str_eq(env[2], "AM_KIND=new");
	ck_assert_ptr_null(env[3]);
	spawn_env_free(env);
}
END_TEST

/* ---- the runtime directory ---- */

static int
listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

START_TEST(a_second_one_is_refused_and_the_first_named)
{
	struct run r;
	struct runtime a, b;
	struct am_error err;
	char dir[80], pid[32];

	setup(&r);
	(void)snprintf(dir, sizeof(dir), "%s/x/run", r.dir);
	ck_assert_int_eq(runtime_open(&a, dir, "t", &err), 0);
	ck_assert_int_eq(runtime_open(&b, dir, "t", &err), -EBUSY);
	(void)snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
	ck_assert_ptr_nonnull(strstr(err.text, pid));
	ck_assert_ptr_nonnull(strstr(err.text, "already"));
	runtime_close(&a);
	ck_assert_int_eq(access(dir, F_OK), -1);
	ck_assert_int_eq(runtime_open(&b, dir, "t", &err), 0);
	runtime_close(&b);
	teardown(&r);
}
END_TEST

START_TEST(leavings_of_the_dead_go_those_of_the_living_stay)
{
	struct run r;
	struct runtime rt;
	struct am_error err;
	char dead[80], live[80], fifo[80];
	int fd;

	setup(&r);
	(void)snprintf(dead, sizeof(dead), "%s/w1.priv", r.dir);
	(void)snprintf(live, sizeof(live), "%s/w2.priv", r.dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/w1.out", r.dir);
	(void)close(listen_at(dead));
	fd = listen_at(live);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(runtime_open(&rt, r.dir, "t", &err), 0);
	ck_assert_int_eq(access(dead, F_OK), -1);
	ck_assert_int_eq(access(fifo, F_OK), -1);
	ck_assert_int_eq(access(live, F_OK), 0);
	ck_assert(runtime_is_live(&rt, 2));
	ck_assert(!runtime_is_live(&rt, 1));
	(void)close(fd);
	runtime_close(&rt);
	ck_assert_int_eq(access(live, F_OK), -1);
	teardown(&r);
}
END_TEST

START_TEST(files_that_are_no_sockets_are_never_removed)
{
	struct run r;
	struct runtime rt;
	struct am_error err;
	char path[80];
	int fd;

	setup(&r);
	(void)snprintf(path, sizeof(path), "%s/w1.priv", r.dir);
	ck_assert_int_eq(runtime_try(path), RUNTIME_SOCKET_NONE);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	ck_assert_int_eq(runtime_try(path), RUNTIME_SOCKET_OTHER);
	ck_assert_int_eq(runtime_try(r.dir), RUNTIME_SOCKET_OTHER);
	ck_assert_int_eq(runtime_try(r.out), RUNTIME_SOCKET_OTHER);
	ck_assert_int_eq(runtime_open(&rt, r.dir, "t", &err), 0);
	runtime_close(&rt);
	ck_assert_int_eq(access(path, F_OK), 0);
	teardown(&r);
}
END_TEST

/* A process that listens there; TERM ends it unless it is stubborn. */
static pid_t
orphan(const char *path, bool stubborn)
{
	int ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)signal(SIGTERM, stubborn ? SIG_IGN : SIG_DFL);
		(void)listen_at(path);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

START_TEST(workers_of_a_dead_one_are_stopped_with_this_one)
{
	struct run r;
	struct runtime rt;
	struct am_error err;
	char path[2][80];
	pid_t pid[2];
	int status;

	setup(&r);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(path[i], sizeof(path[i]), "%s/w%d.priv", r.dir,
		    i + 1);
		pid[i] = orphan(path[i], i == 1);
	}
	ck_assert_int_eq(runtime_open(&rt, r.dir, "t", &err), 0);
	ck_assert_uint_eq(rt.n_live, 2);
	orphans_stop(&rt, 200);
	ck_assert_int_eq(waitpid(pid[0], &status, WNOHANG), pid[0]);
	ck_assert_int_eq(WTERMSIG(status), SIGTERM);
	ck_assert_int_eq(waitpid(pid[1], &status, WNOHANG), pid[1]);
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	runtime_close(&rt);
	ck_assert_int_eq(access(path[0], F_OK), -1);
	teardown(&r);
}
END_TEST

START_TEST(a_bad_directory_is_refused_with_a_reason)
{
	struct run r;
	struct runtime rt;
	struct am_error err;
	char path[256];

	setup(&r);
	(void)snprintf(path, sizeof(path), "%s/%0100d", r.dir, 0);
	ck_assert_int_eq(runtime_open(&rt, path, "t", &err), -ENAMETOOLONG);
	ck_assert_ptr_nonnull(strstr(err.text, "too long"));
	ck_assert_int_eq(runtime_open(&rt, "rel/ative", "t", &err), -EINVAL);
	ck_assert_int_eq(chmod(r.dir, 0777), 0);
	ck_assert_int_eq(runtime_open(&rt, r.dir, "t", &err), -EPERM);
	ck_assert_int_eq(chmod(r.dir, 0700), 0);
	ck_assert_int_eq(runtime_open(&rt, r.out, "t", &err), -ENOTDIR);
	teardown(&r);
}
END_TEST

/* ---- logs ---- */

struct printer {
	struct run run;
	struct am_loop *l;
	struct worker_logs logs;
	int out;
	int err;
	char out_path[80];
	char err_path[80];
	FILE *captured; /* our log */
};

static void
printer_open(struct printer *p, struct logs_rate rate)
{
	setup(&p->run);
	(void)snprintf(p->out_path, sizeof(p->out_path), "%s/w1.out",
	    p->run.dir);
	(void)snprintf(p->err_path, sizeof(p->err_path), "%s/w1.err",
	    p->run.dir);
	p->l = am_loop_new();
	ck_assert_ptr_nonnull(p->l);
	ck_assert_int_eq(logs_open(&p->logs, p->l, "w1", rate, p->out_path,
			     p->err_path),
	    0);
	p->out = open(p->out_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	p->err = open(p->err_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	p->captured = tmpfile();
	ck_assert_ptr_nonnull(p->captured);
	ck_assert_int_ge(dup2(fileno(p->captured), STDERR_FILENO), 0);
	log_init(LOG_LEVEL_INFO, LOG_MODE_JOURNAL);
}

static void
printer_close(struct printer *p)
{
	logs_done(&p->logs);
	ck_assert_int_eq(access(p->out_path, F_OK), -1);
	ck_assert_int_eq(access(p->err_path, F_OK), -1);
	(void)close(p->out);
	(void)close(p->err);
	(void)fclose(p->captured);
	(void)am_loop_free(p->l);
	teardown(&p->run);
}

/* Turns of the loop until the FIFO is empty and nothing is due. */
static void
printer_turn(struct printer *p)
{
	int left = 1;

	while (left > 0 || p->logs.out.rest.deadline_ns != 0) {
		ck_assert_int_eq(am_loop_step(p->l, 1000), 0);
		ck_assert_int_eq(ioctl(p->out, FIONREAD, &left), 0);
	}
}

/* All that was logged, in a static buffer. */
static const char *
printed(struct printer *p)
{
	static char text[1 << 20];
	ssize_t n = pread(fileno(p->captured), text, sizeof(text) - 1, 0);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

START_TEST(every_byte_of_a_long_line_is_logged_in_marked_pieces)
{
	char text[10000], all[sizeof(text)];
	struct printer p;
	size_t n = 0, at = 0;

	printer_open(&p, (struct logs_rate){ 0, 1 });
	/* Three bytes each, so that no cut is in the right place by itself. */
	for (n = 0; n + 3 < sizeof(text) - 1; n += 3)
		memcpy(text + n, "\xe2\x82\xac", 3);
	memcpy(text + 5001, "abc", 3);
	memcpy(text + n, "\r\n", 2);
	ck_assert_int_eq(write(p.out, "one\ntwo\r\n\n", 10), 10);
	ck_assert_int_eq(write(p.out, text, n + 2), (ssize_t)n + 2);
	ck_assert_int_eq(write(p.out, "end\n", 4), 4);
	printer_turn(&p);
	ck_assert_int_eq(strncmp(printed(&p),
			     "<6>worker: stdout id=w1 | one\n"
			     "<6>worker: stdout id=w1 | two\n"
			     "<6>worker: stdout id=w1 | \n"
			     "<6>worker: stdout id=w1 | \xe2\x82\xac",
			     94),
	    0);
	ck_assert_uint_eq(count(printed(&p), " +| "), 4);
	ck_assert_uint_eq(count(printed(&p), "\\x"), 0);
	ck_assert_ptr_nonnull(
	    strstr(printed(&p), "\n<6>worker: stdout id=w1 | end\n"));
	for (const char *s = printed(&p), *nl; (nl = strchr(s, '\n')) != NULL;
	     s = nl + 1) {
		const char *bar = strstr(s, "| ") + 2;

		if (*bar == '\xe2' || strstr(s, "+|") == bar - 3) {
			memcpy(all + at, bar, (size_t)(nl - bar));
			at += (size_t)(nl - bar);
		}
		if (strncmp(nl + 1, "<6>worker: stdout id=w1 | end", 29) == 0)
			break;
	}
	ck_assert_uint_eq(at, n);
	ck_assert_int_eq(memcmp(all, text, n), 0);
	printer_close(&p);
}
END_TEST

START_TEST(what_is_no_text_is_shown)
{
	struct printer p;

	printer_open(&p, (struct logs_rate){ 0, 1 });
	ck_assert_int_eq(write(p.out, "a\0b\x1b[2J\xff\tc\n", 11), 11);
	printer_turn(&p);
	ck_assert_str_eq(printed(&p),
	    "<6>worker: stdout id=w1 | a\\x00b\\x1b[2J\\xff\tc\n");
	printer_close(&p);
}
END_TEST

START_TEST(a_last_line_without_a_newline_comes_when_it_is_asked_for)
{
	struct printer p;

	printer_open(&p, (struct logs_rate){ 0, 1 });
	ck_assert_int_eq(write(p.out, "50%", 3), 3);
	printer_turn(&p);
	ck_assert_str_eq(printed(&p), "");
	ck_assert_int_eq(write(p.err, "oops", 4), 4);
	logs_flush(&p.logs);
	ck_assert_str_eq(printed(&p),
	    "<6>worker: stdout id=w1 | 50%\n"
	    "<6>worker: stderr id=w1 | oops\n");
	logs_flush(&p.logs);
	ck_assert_int_eq(write(p.out, "left", 4), 4);
	logs_done(&p.logs);
	ck_assert_ptr_nonnull(
	    strstr(printed(&p), "oops\n<6>worker: stdout id=w1 | left\n"));
	printer_close(&p);
}
END_TEST

START_TEST(last_words_are_those_of_the_program)
{
	static const char text[] = "first\n  KeyError: \x1b'text' \n \n"
				   "lock\namnode-exec: it is gone\n"
				   "last wordsamnode-exec: exit=1\n";
	struct printer p;
	size_t n = sizeof(text) - 1;

	printer_open(&p, (struct logs_rate){ 1, 1 });
	ck_assert_int_eq(write(p.out, "stdout\n", 7), 7);
	ck_assert_int_eq(write(p.err, text, 27), 27);
	logs_flush(&p.logs);
	ck_assert_str_eq(p.logs.last, "KeyError: \\x1b'text' ");
	ck_assert_int_eq(write(p.err, text + 27, n - 27), (ssize_t)n - 27);
	logs_end(&p.logs);
	/* They are kept, also when no line may be logged any more. */
	ck_assert_str_eq(p.logs.last, "last words");
	logs_end(&p.logs);
	printer_close(&p);
}
END_TEST

START_TEST(a_flood_has_a_share_of_each_turn_only)
{
	struct printer p;
	char text[60000];
	unsigned n, before = 0;

	printer_open(&p, (struct logs_rate){ 0, 1 });
	memset(text, '\n', sizeof(text));
	ck_assert_int_eq(write(p.out, text, sizeof(text)), sizeof(text));
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(am_loop_step(p.l, 1000), 0);
		n = count(printed(&p), "\n");
		ck_assert_uint_le(n - before, LOGS_TURN_LINES);
		before = n;
	}
	ck_assert_uint_gt(before, LOGS_TURN_LINES);
	/* The dead have a bound as well, and it is told. */
	logs_done(&p.logs);
	n = count(printed(&p), "| \n");
	ck_assert_uint_eq(n, before + LOGS_END_LINES);
	ck_assert_uint_eq(count(printed(&p), "lines_left_out="), 1);
	printer_close(&p);
}
END_TEST

START_TEST(lines_over_the_rate_are_counted_and_told_of)
{
	enum { N = 3000, BURST = 100 };
	unsigned left_out = 0, n;
	struct printer p;
	const char *at;

	printer_open(&p, (struct logs_rate){ 1, BURST });
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(write(p.out, "a line\n", 7), 7);
	printer_turn(&p);
	n = count(printed(&p), "| a line\n");
	ck_assert_uint_ge(n, BURST);
	ck_assert_uint_lt(n, BURST + 10);
	logs_done(&p.logs);
	at = strstr(printed(&p), "lines_left_out=");
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(sscanf(at, "lines_left_out=%u", &left_out), 1);
	ck_assert_uint_eq(n + left_out, N);
	printer_close(&p);
}
END_TEST

UNIT_MAIN("daemon processes", an_error_of_exec_is_returned,
    it_has_its_own_group_and_five_descriptors, a_number_that_was_cut_is_nobody,
    its_children_die_with_it, what_left_the_group_is_killed_as_our_child,
    private_variables_are_not_passed_on,
    a_second_one_is_refused_and_the_first_named,
    leavings_of_the_dead_go_those_of_the_living_stay,
    files_that_are_no_sockets_are_never_removed,
    workers_of_a_dead_one_are_stopped_with_this_one,
    a_bad_directory_is_refused_with_a_reason,
    every_byte_of_a_long_line_is_logged_in_marked_pieces,
    what_is_no_text_is_shown,
    a_last_line_without_a_newline_comes_when_it_is_asked_for,
    last_words_are_those_of_the_program, a_flood_has_a_share_of_each_turn_only,
    lines_over_the_rate_are_counted_and_told_of)
