#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/exec/host.h"
#include "daemon/exec/reap.h"
#include "daemon/exec/states.h"
#include "lib/proc/children.h"

enum {
	REAP_MS = 2000,
	LOG_FINISH_MS = 200,
};

static const char usage[] =
    "usage: amnode-exec [--schema FILE] -- CMD [ARG...]\n"
    "\n"
    "Runs CMD as a worker of amnoded(8), which starts it: see Exec= in\n"
    "amnoded.conf(5). CMD speaks am-worker(7) on the descriptors 3 and 4.\n"
    "\n"
    "  --schema FILE  states of CMD's own, as JSON\n"
    "  --help         this text\n"
    "  --version      the version\n";

struct exec_options {
	const char *schema; /* NULL: none */
	char **cmd;
};

/* -1: go on, else the exit status. */
static int
parse_options(int argc, char **argv, struct exec_options *ret)
{
	static const struct option longs[] = {
		{ "schema", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	/* '+': what follows CMD is CMD's. */
	while ((c = getopt_long(argc, argv, "+hV", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			ret->schema = optarg;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		case 'V':
			(void)puts("amnode-exec " AM_VERSION);
			return 0;
		default:
			(void)fputs(usage, stderr);
			return HOST_EXIT_USAGE;
		}
	}
	if (optind == argc) {
		(void)fputs("amnode-exec: no CMD given\n", stderr);
		(void)fputs(usage, stderr);
		return HOST_EXIT_USAGE;
	}
	ret->cmd = argv + optind;
	return -1;
}

static int
run(struct am_loop *l, struct am_schema *schema, char *const *cmd)
{
	struct host h;
	int status = host_start(&h, l, schema, cmd);

	if (status == 0) {
		int r = am_loop_run(l);

		status = h.status;
		if (r < 0) {
			host_log("loop: %s", strerror(-r));
			status = HOST_EXIT_FAILED;
		}
	}
	host_done(&h);
	if (reap_all(REAP_MS) < 0)
		host_log("processes of the program are still alive after "
			 "SIGKILL");
	return status;
}

int
main(int argc, char **argv)
{
	struct exec_options opt = { NULL, NULL };
	struct am_schema *schema = NULL;
	struct am_error err;
	struct am_loop *l;
	int status = parse_options(argc, argv, &opt);

	if (status >= 0)
		return status;
	(void)signal(SIGPIPE, SIG_IGN);
	log_init(LOG_LEVEL_INFO, LOG_MODE_BARE);
	if (getenv("AM_PRIVATE_FD") == NULL || getenv("AM_PUBLIC_FD") == NULL) {
		host_log(
		    "AM_PRIVATE_FD and AM_PUBLIC_FD are not set: this is "
		    "started by amnoded, put it into Exec= of its [Worker]");
		return HOST_EXIT_USAGE;
	}
	if (opt.schema != NULL) {
		schema = states_from_file(opt.schema, &err);
		if (schema == NULL) {
			host_log("%s", err.text);
			return HOST_EXIT_SCHEMA;
		}
	}
	l = am_loop_new();
	if (l == NULL || proc_adopt_orphans() < 0) {
		host_log("cannot start: %s", strerror(errno));
		return HOST_EXIT_FAILED;
	}
	status = run(l, schema, opt.cmd);
	(void)am_loop_free(l);
	log_finish(LOG_FINISH_MS);
	return status;
}
