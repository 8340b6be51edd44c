#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/dur.h"

const struct opt opts_table[OPT__COUNT] = {
#define OPT(id, n, l, a, k, h)                                                 \
	[OPT_##id] = { .name = (n),                                            \
		.letter = (l),                                                 \
		.arg = (a),                                                    \
		.kind = OPT_##k,                                               \
		.help = (h) },
#include "cli/opts.tbl.h"
#undef OPT
};

static const char flag_given[] = "";

static const struct {
	int64_t min;
	const char *which;
} numbers[] = {
	[OPT_COUNT] = { 1, " of 1 or more" },
	[OPT_WHOLE] = { 0, " of 0 or more" },
	[OPT_NUMBER] = { INT32_MIN, "" },
};

/* Checks the value and keeps it. */
static int
opt_take(struct cli *c, enum opt_id id, const char *text)
{
	const struct opt *o = &opts_table[id];
	char *end = NULL;
	int64_t n = 0;

	switch (o->kind) {
	case OPT_FLAG:
	case OPT_TEXT:
		break;
	case OPT_DURATION:
		if (dur_parse(text, &n) < 0)
			return cli_fail(c, EX_USAGE, "usage",
			    "--%s: \"%s\" is not a duration: write 500ms, 30s, "
			    "5m, 1h, inf or a number of seconds",
			    o->name, text);
		break;
	case OPT_COUNT:
	case OPT_WHOLE:
	case OPT_NUMBER:
		errno = 0;
		n = strtoll(text, &end, 10);
		if (errno != 0 || end == text || *end != '\0' ||
		    n > INT32_MAX || n < numbers[o->kind].min)
			return cli_fail(c, EX_USAGE, "usage",
			    "--%s: \"%s\" is not a number%s", o->name, text,
			    numbers[o->kind].which);
		break;
	}
	c->opts.text[id] = text;
	c->opts.num[id] = n;
	return EX_OK;
}

static int
opt_by_name(const char *name, size_t len)
{
	for (int i = 0; i < OPT__COUNT; i++)
		if (strlen(opts_table[i].name) == len &&
		    memcmp(opts_table[i].name, name, len) == 0)
			return i;
	return -ENOENT;
}

static int
opt_by_letter(char letter)
{
	for (int i = 0; i < OPT__COUNT; i++)
		if (opts_table[i].letter == letter)
			return i;
	return -ENOENT;
}

static int
unknown_option(struct cli *c, const char *arg)
{
	return cli_fail(c, EX_USAGE, "usage",
	    "unknown option %s; see \"amctl help%s%s\"", arg,
	    c->cmd != NULL ? " " : "", c->cmd != NULL ? c->cmd->name : "");
}

/* --name, --name=value, --name value. next: the argument behind, or NULL. */
static int
take_long(struct cli *c, const char *arg, const char *next, bool *ret_used)
{
	const char *name = arg + 2;
	size_t len = strcspn(name, "=");
	const char *value = name[len] == '=' ? name + len + 1 : NULL;
	int id = opt_by_name(name, len);

	if (id < 0)
		return unknown_option(c, arg);
	if (opts_table[id].arg == NULL) {
		if (value != NULL)
			return cli_fail(c, EX_USAGE, "usage",
			    "--%s takes no value", opts_table[id].name);
		return opt_take(c, (enum opt_id)id, flag_given);
	}
	if (value == NULL) {
		value = next;
		*ret_used = true;
	}
	if (value == NULL)
		return cli_fail(c, EX_USAGE, "usage", "--%s needs a value: %s",
		    opts_table[id].name, opts_table[id].arg);
	return opt_take(c, (enum opt_id)id, value);
}

/* -q, -qf, -tVALUE, -t VALUE. */
static int
take_short(struct cli *c, const char *arg, const char *next, bool *ret_used)
{
	for (const char *p = arg + 1; *p != '\0'; p++) {
		int id = opt_by_letter(*p);
		const char *value = flag_given;
		int rc;

		if (id < 0)
			return unknown_option(c, arg);
		if (opts_table[id].arg != NULL) {
			value = p[1] != '\0' ? p + 1 : next;
			*ret_used = p[1] == '\0';
		}
		if (value == NULL)
			return cli_fail(c, EX_USAGE, "usage",
			    "-%c needs a value: %s", *p, opts_table[id].arg);
		rc = opt_take(c, (enum opt_id)id, value);
		if (rc != EX_OK || opts_table[id].arg != NULL)
			return rc;
	}
	return EX_OK;
}

static int
take_word(struct cli *c, char *word)
{
	if (c->cmd != NULL) {
		c->argv[c->argc++] = word;
		return EX_OK;
	}
	c->cmd = cmd_find(word);
	if (c->cmd == NULL)
		return cli_fail(c, EX_USAGE, "usage",
		    "unknown command \"%s\"; see \"amctl help\"", word);
	return EX_OK;
}

/* Options that belong to other commands. */
static int
check_foreign(struct cli *c)
{
	for (int i = OPT_GLOBALS; i < OPT__COUNT; i++)
		if (c->opts.text[i] != NULL &&
		    (c->cmd->flags & (UINT64_C(1) << i)) == 0)
			return cli_fail(c, EX_USAGE, "usage",
			    "there is no option --%s here; see \"amctl help "
			    "%s\"",
			    opts_table[i].name, c->cmd->name);
	return EX_OK;
}

static int
check_words(struct cli *c)
{
	const struct cmd *cmd = c->cmd;

	if (cli_has(c, OPT_HELP))
		return EX_OK;
	if (c->argc < cmd->min_args || c->argc > cmd->max_args)
		return cli_fail(c, EX_USAGE, "usage",
		    "too %s words; usage: amctl %s%s%s",
		    c->argc < cmd->min_args ? "few" : "many", cmd->name,
		    *cmd->usage != '\0' ? " " : "", cmd->usage);
	return check_foreign(c);
}

/* What the environment says, unless an option said it. An explicit -i beats
 * AMCTL_SOCKET. */
static int
take_environment(struct cli *c)
{
	static const struct {
		enum opt_id id;
		const char *name;
	} vars[] = {
		{ OPT_SOCKET, "AMCTL_SOCKET" },
		{ OPT_INSTANCE, "AMCTL_INSTANCE" },
		{ OPT_LEASE, "AMCTL_LEASE" },
		{ OPT_TLS_CERT, "AMCTL_TLS_CERT" },
		{ OPT_TLS_KEY, "AMCTL_TLS_KEY" },
		{ OPT_TLS_CA, "AMCTL_TLS_CA" },
		{ OPT_TIMEOUT, "AMCTL_TIMEOUT" },
	};
	bool target = cli_has(c, OPT_SOCKET) || cli_has(c, OPT_INSTANCE);

	for (size_t i = 0; i < sizeof(vars) / sizeof(*vars); i++) {
		const char *value = getenv(vars[i].name);
		enum opt_id id = vars[i].id;
		int rc;

		if (value == NULL || *value == '\0' || cli_has(c, id))
			continue;
		if (target && (id == OPT_SOCKET || id == OPT_INSTANCE))
			continue;
		if (id == OPT_TIMEOUT && cli_is_unbounded(c))
			continue;
		rc = opt_take(c, id, value);
		if (rc != EX_OK)
			return rc;
		if (id == OPT_SOCKET)
			target = true;
	}
	return EX_OK;
}

int
cli_parse(struct cli *c, int argc, char **argv)
{
	bool words_only = false;

	c->argv = argv;
	for (int i = 1; i < argc; i++) {
		char *arg = argv[i];
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		bool used = false;
		int rc;

		if (words_only || arg[0] != '-' || arg[1] == '\0') {
			bool first = c->cmd == NULL;

			rc = take_word(c, arg);
			if (rc == EX_OK && !first &&
			    (c->cmd->flags & CMD_STOP) != 0)
				words_only = true;
		} else if (strcmp(arg, "--") == 0) {
			words_only = true;
			continue;
		} else if (arg[1] == '-') {
			rc = take_long(c, arg, next, &used);
		} else {
			rc = take_short(c, arg, next, &used);
		}
		if (rc != EX_OK)
			return rc;
		i += used;
	}
	if (c->cmd == NULL)
		return EX_OK;
	/* There is room: the command's name is no word. */
	c->argv[c->argc] = NULL;
	c->lease_by_option = cli_has(c, OPT_LEASE);
	return take_environment(c) != EX_OK ? EX_USAGE : check_words(c);
}
