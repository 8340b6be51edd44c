/* cli.h - what every command of amctl gets: options, words, output. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdint.h>

#include "cli/exitcodes.h"
#include "cli/output.h"
#include "lib/amnode.h"

enum opt_id {
#define OPT(id, name, letter, arg, kind, help) OPT_##id,
#include "cli/opts.tbl.h"
#undef OPT
	OPT__COUNT
};
#define OPT_BIT(id) (UINT64_C(1) << OPT_##id)
enum { OPT_GLOBALS = OPT_VERSION + 1 };

enum opt_kind {
	OPT_FLAG,
	OPT_TEXT,
	OPT_DURATION, /* num: milliseconds, DUR_INF: inf */
	OPT_COUNT,    /* num: 1 or more */
	OPT_WHOLE,    /* num: 0 or more */
	OPT_NUMBER,   /* num: any integer of 32 bits */
};

struct opt {
	const char *name;
	char letter; /* 0: none */
	const char *arg;
	enum opt_kind kind;
	const char *help;
};
extern const struct opt opts_table[OPT__COUNT];

/* Borrowed from argv and the environment. */
struct opts {
	const char *text[OPT__COUNT]; /* NULL: not given */
	int64_t num[OPT__COUNT];
};

enum { CMD_ANY = 9999, CMD_NAME_MAX = 16 };

struct cli;

/* One command. The words after its name are c->argv. */
struct cmd {
	const char *name;
	int min_args; /* words */
	int max_args; /* CMD_ANY: no bound */
	const char *usage;
	const char *help;
	uint64_t flags;             /* OPT_BIT() of its own options; CMD_* */
	int (*exec)(struct cli *c); /* an exit code */
};
/* The options end at the first word that is none: the rest is a command. */
#define CMD_STOP (UINT64_C(1) << 63)
/* Without -t there is no timeout: see cli_is_unbounded(). */
#define CMD_NO_TIMEOUT (UINT64_C(1) << 62)

extern const struct cmd cmds[];
extern const size_t n_cmds;
const struct cmd *cmd_find(const char *name);

struct cli {
	const struct cmd *cmd;   /* NULL: none was found yet */
	const struct cmd *about; /* that --help was given with; NULL */
	struct opts opts;
	char **argv; /* borrowed: the words */
	int argc;
	struct am_loop *loop; /* NULL until cli_loop() */
	struct tls *tls;      /* NULL until cli_tls() */
	int64_t deadline_ns;  /* of the whole command; INT64_MAX: none */
	bool no_wait;         /* -t 0 */
	bool interrupted;     /* session_until() gives up with -EINTR */
	bool lease_by_option; /* -l, not AMCTL_LEASE */
	struct out out;
};

/* Sorts argv into options and words, finds the command. 0 or EX_USAGE after a
 * message. Writes into argv. */
int cli_parse(struct cli *c, int argc, char **argv);

/* The loop, made at the first call; NULL without memory or fds. */
struct am_loop *cli_loop(struct cli *c);

/* What --tls-cert, --tls-key and --tls-ca name is in c->tls then; NULL: they are
 * not given. -EINVAL with a message in err. */
int cli_tls(struct cli *c, struct am_error *err);

static inline bool
cli_has(const struct cli *c, enum opt_id id)
{
	return c->opts.text[id] != NULL;
}

/* Has it a timeout only if -t gives one? */
bool cli_is_unbounded(const struct cli *c);
/* The command's timeout in ms from the start: -1 none, 0 do not wait. */
int64_t cli_timeout_ms(const struct cli *c);
/* What is left of it, at least 0; -1: no bound. */
int64_t cli_left_ms(const struct cli *c);
/* Until when a connection or an answer may take: the command's deadline, at
 * most 5 s; these 5 s also with -t 0. */
int64_t cli_io_deadline(const struct cli *c);
/* Until when a condition may be waited for: with -t 0 not at all. */
int64_t cli_wait_deadline(const struct cli *c);

/* Says "amctl: COMMAND: ..." on stderr, and with --json, unless it is about
 * usage, prints the document {"status","error":{"code","message"}}. Returns
 * code. */
int cli_fail(struct cli *c, enum exit_code code, const char *name,
    const char *fmt, ...) AM_PRINTF(4, 5);
/* out_doc(); EX_OK or EX_MISSING after a message. */
int cli_print(struct cli *c, struct am_val doc, struct am_val plain,
    const struct out_view *view);
/* The message alone. */
void cli_err(const struct cli *c, const char *fmt, ...) AM_PRINTF(2, 3);
/* Something beside the result, on stderr; not with -q. */
void cli_say(const struct cli *c, const char *fmt, ...) AM_PRINTF(2, 3);
/* The word for --json: "ok", "failed", ... */
const char *cli_status(enum exit_code code);
/* What an error answer of the other side means here. */
enum exit_code cli_code_of(int arpc_error);

#endif
