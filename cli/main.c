/* main.c - amctl: options, a command, an exit code. */
#include "cli/cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/dur.h"
#include "lib/rpc/tls.h"

static int
set_output(struct cli *c)
{
	enum out_format format = OUT_TABLE;
	const char *text = c->opts.text[OPT_OUTPUT];

	if (text != NULL && out_format_parse(text, &format) < 0)
		return cli_fail(c, EX_USAGE, "usage",
		    "--output: \"%s\" is none of table, json, ndjson, raw",
		    text);
	if (cli_has(c, OPT_JSON)) {
		if (text != NULL && format != OUT_JSON)
			return cli_fail(c, EX_USAGE, "usage",
			    "--json and --output %s contradict each other",
			    text);
		format = OUT_JSON;
	}
	out_init(&c->out, format, c->opts.text[OPT_FIELD],
	    cli_has(c, OPT_QUIET));
	return EX_OK;
}

static void
set_deadline(struct cli *c)
{
	int64_t ms = cli_timeout_ms(c);

	c->no_wait = ms == 0;
	c->deadline_ns = ms <= 0 ? INT64_MAX : clock_ns() + ms * NS_PER_MS;
}

/* --help and --version stand for commands. */
static int
dispatch(struct cli *c)
{
	if (cli_has(c, OPT_VERSION)) {
		c->cmd = cmd_find("version");
	} else if (cli_has(c, OPT_HELP)) {
		c->about = c->cmd;
		c->argc = 0;
		c->cmd = cmd_find("help");
	} else if (c->cmd == NULL) {
		return cli_fail(c, EX_USAGE, "usage",
		    "no command; \"amctl help\" lists them");
	}
	set_deadline(c);
	return c->cmd->exec(c);
}

/* A descriptor that is closed must not become one of our sockets: what is
 * printed would go there. This one fails on use, as a closed one does. */
static void
fill_standard(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null",
			    fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int
main(int argc, char **argv)
{
	struct cli c = { .deadline_ns = INT64_MAX };
	int rc;
	int err;

	fill_standard();
	/* A peer that died is an error of its connection. */
	(void)signal(SIGPIPE, SIG_IGN);
	out_init(&c.out, OUT_RAW, NULL, false);
	rc = cli_parse(&c, argc, argv);
	if (rc == EX_OK)
		rc = set_output(&c);
	if (rc == EX_OK)
		rc = dispatch(&c);
	err = out_flush(&c.out);
	if (err < 0 && err != -EPIPE)
		rc = cli_fail(&c, EX_FAILED, "output", "standard output: %s",
		    strerror(-err));
	out_done(&c.out);
	c.loop = am_loop_free(c.loop);
	c.tls = tls_free(c.tls);
	if (err == -EPIPE) {
		/* As anybody else whose reader went away. */
		(void)signal(SIGPIPE, SIG_DFL);
		(void)raise(SIGPIPE);
	}
	return rc;
}
