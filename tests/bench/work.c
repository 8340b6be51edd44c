/* work.c - requests to a Python worker through amctl stream and amnode-exec,
 * beside the same worker over bare pipes. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/frame.h"

enum { REQUESTS = 5000, ROUNDS = 5 };

#define PYTHON "/usr/bin/python3"
#define WORKER "examples/square.py"

extern char **environ;

/* ---- cores ---- */

/* One for who asks, one for the worker; the same if there is one only. */
struct cores {
	cpu_set_t all;
	int client;
	int worker;
};

static struct cores
find_cores(void)
{
	struct cores c = { .client = -1 };

	if (sched_getaffinity(0, sizeof(c.all), &c.all) < 0)
		floor_die("sched_getaffinity", errno);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &c.all))
			continue;
		c.worker = i;
		if (c.client >= 0)
			break;
		c.client = i;
	}
	return c;
}

/* This process, and what it starts from now on. */
static void
go_to(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		floor_die("sched_setaffinity", errno);
}

/* ---- processes ---- */

/* in, out, in3 and out4: its fds 0, 1, 3 and 4; -1: /dev/null, and none. */
static pid_t
start(const char *const *argv, int in, int out, int in3, int out4)
{
	posix_spawn_file_actions_t fa;
	pid_t pid = 0;
	int r;

	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null",
	    O_WRONLY, 0);
	if (in >= 0)
		(void)posix_spawn_file_actions_adddup2(&fa, in, STDIN_FILENO);
	if (out >= 0)
		(void)posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	else
		(void)posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO,
		    "/dev/null", O_WRONLY, 0);
	if (in3 >= 0) {
		(void)posix_spawn_file_actions_adddup2(&fa, in3, 3);
		(void)posix_spawn_file_actions_adddup2(&fa, out4, 4);
	}
	(void)posix_spawn_file_actions_addclosefrom_np(&fa, in3 >= 0 ? 5 : 3);
	r = posix_spawnp(&pid, argv[0], &fa, NULL,
	    (char *const *)(uintptr_t)argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	if (r != 0)
		floor_die(argv[0], r);
	return pid;
}

static void
end_of(pid_t pid, const char *what)
{
	int status = 0;

	if (waitpid(pid, &status, 0) < 0 || status != 0)
		floor_die(what, ECHILD);
}

/* ---- the floor ---- */

struct bare {
	pid_t pid;
	int to;
	int from;
};

/* Reads its line. */
static void
bare_read(const struct bare *b)
{
	char line[4096];
	ssize_t n;

	do {
		n = read(b->from, line, sizeof(line));
		if (n <= 0)
			floor_die(WORKER, n < 0 ? errno : EPIPE);
	} while (line[n - 1] != '\n');
}

/* Above the numbers that they get in the worker. */
static void
make_pipe(int fds[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) < 0)
		floor_die("pipe", errno);
	for (int i = 0; i < 2; i++) {
		fds[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 10);
		(void)close(low[i]);
	}
}

static struct bare
bare_start(void)
{
	const char *argv[] = { PYTHON, WORKER, NULL };
	struct bare b;
	int to[2], from[2];

	make_pipe(to);
	make_pipe(from);
	b = (struct bare){ .to = to[1], .from = from[0] };
	b.pid = start(argv, -1, -1, to[0], from[1]);
	(void)close(to[0]);
	(void)close(from[1]);
	bare_read(&b); /* ready */
	return b;
}

static void
bare_end(struct bare *b)
{
	(void)close(b->to);
	end_of(b->pid, WORKER);
	(void)close(b->from);
}

static double
bare_us(const struct bare *b)
{
	int64_t start_ns = clock_ns();

	for (int i = 0; i < REQUESTS; i++) {
		char line[80];
		int n = snprintf(line, sizeof(line),
		    "{\"req\":%d,\"args\":{\"input\":%d}}\n", i, i);

		if (write(b->to, line, (size_t)n) != n)
			floor_die(WORKER, errno);
		bare_read(b);
	}
	return (double)(clock_ns() - start_ns) / 1e3 / REQUESTS;
}

/* ---- amnode ---- */

struct served {
	char dir[64];
	char amctl[256];
	char socket[96];
	pid_t amnoded;
	int lines;
};

static void
write_lines(struct served *s)
{
	FILE *f = tmpfile();

	if (f == NULL)
		floor_die("tmpfile", errno);
	for (int i = 0; i < REQUESTS; i++)
		(void)fprintf(f, "{\"args\":{\"input\":%d}}\n", i);
	(void)fflush(f);
	s->lines = fcntl(fileno(f), F_DUPFD_CLOEXEC, 10);
	(void)fclose(f);
}

static void
amctl(const struct served *s, const char *command, const char *option)
{
	const char *argv[] = { s->amctl, "-s", s->socket, command, option,
		NULL };

	pid_t pid;
	int status = 0;

	(void)lseek(s->lines, 0, SEEK_SET);
	pid = start(argv, s->lines, -1, -1, -1);
	if (waitpid(pid, &status, 0) < 0 || status != 0) {
		(void)kill(s->amnoded, SIGTERM);
		floor_die("amctl failed", ECHILD);
	}
}

static struct served
serve(void)
{
	const char *build = getenv("BUILD");
	char amnoded[256], run[96], exec[512];
	struct served s = { .dir = "/tmp/bench_work.XXXXXX" };
	struct addr a;
	int fd;
	const char *argv[] = { amnoded, "-i", "bench", "--set", run, "--set",
		exec, "--set", "Pool.Min=1", "--set", "Pool.Warm=0", "--set",
		"Pool.Max=1", NULL };

	build = build != NULL ? build : "build";
	if (mkdtemp(s.dir) == NULL)
		floor_die(s.dir, errno);
	(void)snprintf(amnoded, sizeof(amnoded), "%s/amnoded", build);
	(void)snprintf(s.amctl, sizeof(s.amctl), "%s/amctl", build);
	(void)snprintf(run, sizeof(run), "Supervisor.RuntimeDir=%s/run", s.dir);
	(void)snprintf(exec, sizeof(exec),
	    "Worker.Exec=%s/amnode-exec -- " PYTHON " " WORKER, build);
	(void)snprintf(s.socket, sizeof(s.socket), "%s/run/sock", s.dir);
	write_lines(&s);
	s.amnoded = start(argv, -1, -1, -1, -1);
	if (addr_parse(s.socket, &a, NULL) < 0)
		floor_die(s.socket, EINVAL);
	while ((fd = addr_connect(&a)) < 0) {
		if (waitpid(s.amnoded, NULL, WNOHANG) != 0)
			floor_die(amnoded, ECHILD);
		(void)usleep(1000);
	}
	(void)close(fd);
	amctl(&s, "wait", "--for=pool-ready");
	return s;
}

static void
serve_end(struct served *s)
{
	char path[96];

	(void)kill(s->amnoded, SIGTERM);
	end_of(s->amnoded, "amnoded");
	(void)close(s->lines);
	(void)snprintf(path, sizeof(path), "%s/run/lock", s->dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/run", s->dir);
	(void)rmdir(path);
	(void)rmdir(s->dir);
}

static double
stream_us(const struct served *s)
{
	int64_t start_ns = clock_ns();

	amctl(s, "stream", NULL);
	return (double)(clock_ns() - start_ns) / 1e3 / REQUESTS;
}

/* ---- the figure ---- */

struct pair {
	double value;
	double floor;
};

static int
by_ratio(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	double p = a->value / a->floor, q = b->value / b->floor;

	return (p > q) - (p < q);
}

/* By turns: a machine that gets busy does so for both. */
static struct pair
median(const struct served *s, const struct bare *b)
{
	struct pair run[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		run[i] = (struct pair){ .floor = bare_us(b),
			.value = stream_us(s) };
	qsort(run, ROUNDS, sizeof(run[0]), by_ratio);
	return run[ROUNDS / 2];
}

static void
put(const char *name, const char *what, struct pair p, double budget)
{
	bench_report(&(struct bench_figure){
	    .name = name,
	    .what = what,
	    .unit = "us",
	    .value = p.value,
	    .floor = p.floor,
	    .budget = budget,
	});
}

/* On an idle machine who is woken is so on another core, and that is most of a
 * round trip, of the bare one, too. On a busy one all share a core: then each
 * process more costs what it works, and nothing hides it. */
void
bench_work(void)
{
	struct cores cores = find_cores();
	struct served s;
	struct bare b;

	go_to(cores.worker);
	s = serve();
	b = bare_start();
	go_to(cores.client);
	put("w1", "request to a Python worker, amctl stream", median(&s, &b),
	    2);
	go_to(cores.worker);
	put("w1b", "the same, all on one core", median(&s, &b), NAN);
	(void)sched_setaffinity(0, sizeof(cores.all), &cores.all);
	bare_end(&b);
	frame_bench(s.socket, s.amnoded);
	serve_end(&s);
}
