/* amnoded - keeps warm worker processes, and lends them. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/config/config.h"
#include "daemon/config/config_check.h"
#include "daemon/events.h"
#include "daemon/sys/log_out.h"
#include "daemon/sys/notify.h"
#include "daemon/sys/orphan.h"
#include "daemon/sys/runtime.h"
#include "daemon/net/security.h"
#include "daemon/sys/signals.h"
#include "daemon/world.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

enum {
	EXIT_CANNOT_START = 1,
	EXIT_BAD_USAGE = 2,
	SETS_MAX = 128,
	LOG_FINISH_MS = 200,
	FDS_BESIDE = 1100, /* clients, and what we need ourselves */
};

enum mode {
	MODE_RUN,
	MODE_CHECK,
	MODE_PRINT,
};

struct options {
	const char *file;
	const char *instance;
	const char *set[SETS_MAX];
	size_t n_set;
	enum mode mode;
	bool debug;
};

static const char usage[] =
    "usage: amnoded [-c FILE] [-i INSTANCE] [--set Section.Key=VALUE]...\n"
    "       amnoded --check | --print-config | --version | --help\n"
    "\n"
    "Keeps a pool of warm worker processes, and lends them to clients.\n"
    "\n"
    "  -c, --config FILE     configuration (default "
    "/etc/amnode/INSTANCE.conf)\n"
    "  -i, --instance NAME   name of this amnoded (default \"default\")\n"
    "      --set S.K=VALUE   override a key of the configuration; may be "
    "repeated\n"
    "      --check           check the configuration and exit\n"
    "      --print-config    print the configuration in force and exit\n"
    "      --debug           log more\n"
    "      --version         print the version and exit\n"
    "  -h, --help            print this and exit\n"
    "\n"
    "See amnoded(8) and amnoded.conf(5).\n";

enum {
	OPT_SET = 256,
	OPT_CHECK,
	OPT_PRINT,
	OPT_VERSION,
	OPT_DEBUG,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "instance", required_argument, NULL, 'i' },
	{ "set", required_argument, NULL, OPT_SET },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "print-config", no_argument, NULL, OPT_PRINT },
	{ "debug", no_argument, NULL, OPT_DEBUG },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* -1: go on; else the exit status. */
static int
parse_options(int argc, char **argv, struct options *ret)
{
	int opt;

	*ret = (struct options){ .instance = "default" };
	while ((opt = getopt_long(argc, argv, "c:i:h", long_options, NULL)) !=
	    -1) {
		switch (opt) {
		case 'c':
			ret->file = optarg;
			break;
		case 'i':
			ret->instance = optarg;
			break;
		case OPT_SET:
			if (ret->n_set == SETS_MAX) {
				(void)fprintf(stderr,
				    "amnoded: more than %d --set\n", SETS_MAX);
				return EXIT_BAD_USAGE;
			}
			ret->set[ret->n_set++] = optarg;
			break;
		case OPT_CHECK:
			ret->mode = MODE_CHECK;
			break;
		case OPT_PRINT:
			ret->mode = MODE_PRINT;
			break;
		case OPT_DEBUG:
			ret->debug = true;
			break;
		case OPT_VERSION:
			(void)printf("amnoded %s\n", AM_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			(void)fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			(void)fputs("amnoded: try \"amnoded --help\"\n",
			    stderr);
			return EXIT_BAD_USAGE;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr,
		    "amnoded: unexpected argument \"%s\"; try \"amnoded "
		    "--help\"\n",
		    argv[optind]);
		return EXIT_BAD_USAGE;
	}
	if (!config_instance_ok(ret->instance)) {
		(void)fprintf(stderr,
		    "amnoded: instance \"%s\": a name is 1 to %d of a-z, 0-9 "
		    "and -, the first not -\n",
		    ret->instance, CONFIG_INSTANCE_MAX);
		return EXIT_BAD_USAGE;
	}
	return -1;
}

static int
load_config(const struct options *o, struct config *ret,
    struct security *ret_security)
{
	struct config_errors errors = { .n = 0 };
	char path[128];
	int r;

	(void)snprintf(path, sizeof(path), "/etc/amnode/%s.conf", o->instance);
	r = config_load(ret,
	    &(struct config_source){
		.file = o->file != NULL ? o->file : path,
		.must_exist = o->file != NULL,
		.set = o->set,
		.n_set = o->n_set,
	    },
	    &errors);
	if (r == 0 && o->mode != MODE_PRINT)
		r = security_open(ret_security, ret, &errors);
	if (o->mode == MODE_CHECK)
		config_check_start(ret, o->instance, &errors);
	if (errors.n > 0)
		r = -EINVAL;
	for (size_t i = 0; i < errors.n; i++) {
		(void)fputs("amnoded: ", stderr);
		text_puts(stderr, errors.line[i]);
		(void)fputs("\n", stderr);
	}
	if (errors.lost > 0)
		(void)fprintf(stderr, "amnoded: and %zu more errors\n",
		    errors.lost);
	config_errors_done(&errors);
	return r;
}

/* Descriptors 0 to 2 must not become sockets. */
static void
open_std_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* All that we may have: clients come and go as they like. Workers get what we
 * were started with, as a program may not expect more. Each of them takes a
 * connection, a pidfd and two FIFOs here. */
static void
raise_fd_limit(const struct config *config, struct rlimit *ret_old)
{
	rlim_t need = (rlim_t)config->pool_max * 4 + FDS_BESIDE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	*ret_old = limit;
	if (limit.rlim_max < need)
		log_warn("amnoded: %llu open files may be needed, the limit is "
			 "%llu: raise LimitNOFILE= or lower Pool.Max",
		    (unsigned long long)need,
		    (unsigned long long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* What is allowed, and seldom meant. */
static void
warn_of_risks(const struct config *config, const struct security *security)
{
	if (config->listen[0] != '\0' && strchr(config->listen, '/') == NULL &&
	    security->tls == NULL)
		log_warn("amnoded: %s is TCP without TLS: every local user may "
			 "lease workers",
		    config->listen);
	if (geteuid() == 0)
		log_warn("amnoded: running as root, and so will the workers: "
			 "set User= in the unit");
}

/* From here on everything has been made; returns when Start has left. */
static int
serve(struct am_loop *loop, struct super *s, struct world *w,
    struct am_error *err)
{
	struct notify notify = NOTIFY_INIT;
	struct signals signals = { .super = NULL };
	int r = world_serve(w, s, err);

	if (r == 0)
		r = notify_start(&notify, s);
	if (r == 0)
		r = signals_start(&signals, s, &notify);
	if (r == 0) {
		event_start(s);
		r = w->stopped ? 0 : am_loop_run(loop);
	}
	signals_done(&signals);
	notify_done(&notify);
	return r;
}

static int
run(const struct options *o, const struct config *config,
    const struct security *security)
{
	struct am_error err = { "no memory" };
	struct super super = { .loop = NULL };
	struct world world = { .listen_fd = -1 };
	struct rlimit files = { 0, 0 };
	struct log_out log_out = { .loop = NULL };
	struct runtime rt;
	struct am_loop *loop;
	int r;

	r = runtime_open(&rt, config->runtime_dir, o->instance, &err);
	if (r < 0) {
		log_error("amnoded: %s", err.text);
		return EXIT_CANNOT_START;
	}
	raise_fd_limit(config, &files);
	warn_of_risks(config, security);
	loop = am_loop_new();
	if (loop != NULL)
		log_out_start(&log_out, loop);
	r = loop == NULL ? -ENOMEM
			 : world_init(&world, loop, config, security, &rt,
			       o->instance, &err);
	world.files = files;
	if (r == 0)
		r = super_init(&super, loop, config, o->instance, &world_io,
		    &world, &err);
	if (r == 0)
		r = serve(loop, &super, &world, &err);
	if (r < 0)
		log_error("amnoded: cannot start: %s", err.text);
	else
		log_info("amnoded: stopped");
	world_close_clients(&world, "drain");
	if (loop != NULL)
		(void)am_loop_step(loop, 0);
	world_done(&world);
	if (super.loop != NULL)
		super_done(&super);
	log_out_done(&log_out);
	(void)am_loop_free(loop);
	/* Nothing of this instance may be left, whoever started it. */
	if (r == 0 && rt.n_live > 0)
		orphans_stop(&rt,
		    super.stop == STOP_NOW ? 0
					   : 2 * config->stop_grace_ms + 500);
	r = r < 0 || super.failed ? EXIT_CANNOT_START : EXIT_SUCCESS;
	runtime_close(&rt);
	return r;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct security security = SECURITY_INIT;
	struct config config;
	int r;

	open_std_fds();
	(void)signal(SIGPIPE, SIG_IGN);
	r = parse_options(argc, argv, &options);
	if (r >= 0)
		return r;
	log_init(options.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	    LOG_MODE_AUTO);
	r = load_config(&options, &config, &security);
	if (r < 0)
		r = EXIT_BAD_USAGE;
	else if (options.mode == MODE_PRINT)
		config_print(&config, stdout);
	else if (options.mode == MODE_RUN)
		r = run(&options, &config, &security);
	security_close(&security);
	config_done(&config);
	log_finish(LOG_FINISH_MS);
	return r;
}
