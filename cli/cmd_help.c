/* cmd_help.c - help and version. */
#include "cli/cmds.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

static void
put_option(struct am_buf *b, const struct opt *o)
{
	char left[64];
	const char *arg = o->arg != NULL ? o->arg : "";
	const char *gap = o->arg != NULL ? " " : "";

	if (o->letter != '\0')
		(void)snprintf(left, sizeof(left), "-%c, --%s%s%s", o->letter,
		    o->name, gap, arg);
	else
		(void)snprintf(left, sizeof(left), "    --%s%s%s", o->name, gap,
		    arg);
	buf_printf(b, "  %-34s %s\n", left, o->help);
}

static void
put_exit_codes(struct am_buf *b)
{
	buf_puts(b, "Exit codes:\n");
#define X(name, number, status, help)                                          \
	buf_printf(b, "  %3d  %s\n", number, help);
	EXIT_CODES(X)
#undef X
}

static void
put_command(struct am_buf *b, const struct cmd *cmd)
{
	bool own = false;

	buf_printf(b, "amctl %s%s%s\n  %s\n", cmd->name,
	    *cmd->usage != '\0' ? " " : "", cmd->usage, cmd->help);
	for (int i = OPT_GLOBALS; i < OPT__COUNT; i++) {
		if ((cmd->flags & (UINT64_C(1) << i)) == 0)
			continue;
		if (!own)
			buf_puts(b, "\nOptions:\n");
		own = true;
		put_option(b, &opts_table[i]);
	}
	buf_puts(b,
	    "\nOptions of all commands are in \"amctl help\", the rest in "
	    "amctl(1).\n");
}

static void
put_all(struct am_buf *b)
{
	buf_puts(b,
	    "amctl [OPTION...] COMMAND [WORD...]\n"
	    "  leases workers of amnoded and drives them\n\nCommands:\n");
	for (size_t i = 0; i < n_cmds; i++)
		buf_printf(b, "  %-15s %s\n", cmds[i].name, cmds[i].help);
	buf_puts(b, "\nOptions:\n");
	for (int i = 0; i < OPT_GLOBALS; i++)
		put_option(b, &opts_table[i]);
	buf_puts(b,
	    "\n\"amctl help COMMAND\" and \"amctl help exit-codes\" say more; "
	    "amctl(1) all.\n");
}

/* Lines as they are; in JSON as one string. */
static int
print_text(struct cli *c, const char *key, struct am_buf *b)
{
	if (b->len > 0 && b->data[b->len - 1] == '\n')
		b->len--;
	return out_line(&c->out, key, buf_text(b));
}

int
cmd_help(struct cli *c)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	const struct cmd *cmd = c->about;

	if (cmd == NULL && c->argc == 0) {
		put_all(&b);
		return print_text(c, "help", &b);
	}
	if (cmd == NULL && strcmp(c->argv[0], "exit-codes") == 0) {
		put_exit_codes(&b);
		return print_text(c, "help", &b);
	}
	if (cmd == NULL)
		cmd = cmd_find(c->argv[0]);
	if (cmd == NULL)
		return cli_fail(c, EX_USAGE, "usage",
		    "unknown command \"%s\"; see \"amctl help\"", c->argv[0]);
	put_command(&b, cmd);
	return print_text(c, "help", &b);
}

int
cmd_version(struct cli *c)
{
	if (c->out.ops == &out_json_ops || c->out.field != NULL)
		return out_line(&c->out, "version", AM_VERSION);
	return out_line(&c->out, "version", "amctl " AM_VERSION);
}
