#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/dur.h"
#include "tests/unit/unit.h"

enum { ARGC_MAX = 16 };

/* Splits at blanks. The texts live as long as the struct. */
struct line {
	char text[256];
	char *argv[ARGC_MAX];
	int argc;
	struct cli c;
};

static int
parse(struct line *l, const char *text)
{
	char *save = NULL;

	*l = (struct line){ .argc = 0 };
	out_init(&l->c.out, OUT_RAW, NULL, false);
	(void)snprintf(l->text, sizeof(l->text), "amctl %s", text);
	for (char *w = strtok_r(l->text, " ", &save); w != NULL;
	     w = strtok_r(NULL, " ", &save))
		l->argv[l->argc++] = w;
	return cli_parse(&l->c, l->argc, l->argv);
}

/* What it says goes nowhere. */
static int
parse_quietly(struct line *l, const char *text)
{
	int null = open("/dev/null", O_WRONLY);
	int keep = dup(STDERR_FILENO);
	int rc;

	(void)dup2(null, STDERR_FILENO);
	rc = parse(l, text);
	(void)dup2(keep, STDERR_FILENO);
	(void)close(null);
	(void)close(keep);
	return rc;
}

static void
clean_env(void)
{
	(void)unsetenv("AMCTL_SOCKET");
	(void)unsetenv("AMCTL_INSTANCE");
	(void)unsetenv("AMCTL_LEASE");
	(void)unsetenv("AMCTL_TIMEOUT");
}

START_TEST(options_stand_before_and_after_the_command)
{
	struct line l;

	clean_env();
	ck_assert_int_eq(parse(&l, "-i x add -t 5s A --json B k=v -q"), 0);
	ck_assert_str_eq(l.c.cmd->name, "add");
	ck_assert_str_eq(l.c.opts.text[OPT_INSTANCE], "x");
	ck_assert_int_eq(cli_timeout_ms(&l.c), 5000);
	ck_assert(cli_has(&l.c, OPT_JSON));
	ck_assert(cli_has(&l.c, OPT_QUIET));
	ck_assert_int_eq(l.c.argc, 3);
	ck_assert_str_eq(l.c.argv[0], "A");
	ck_assert_str_eq(l.c.argv[2], "k=v");
}
END_TEST

START_TEST(a_value_is_joined_or_the_next_word)
{
	static const char *const forms[] = { "ping -t7", "ping -t 7",
		"ping --timeout=7", "ping --timeout 7", "-qt7 ping" };

	clean_env();
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct line l;

		ck_assert_int_eq(parse(&l, forms[i]), 0);
		ck_assert_int_eq(cli_timeout_ms(&l.c), 7000);
	}
}
END_TEST

START_TEST(durations_of_timeouts)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "ping", 30000 },
		{ "ping -t 0", 0 },
		{ "ping -t inf", -1 },
		{ "ping -t 500ms", 500 },
		{ "ping -t 2", 2000 },
		{ "ping -t 1.5m", 90000 },
		{ "run true", -1 },
		{ "run -t 3 true", 3000 },
		{ "payloads --follow", -1 },
		{ "payloads", 30000 },
	};

	clean_env();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line l;

		ck_assert_int_eq(parse(&l, cases[i].text), 0);
		ck_assert_msg(cli_timeout_ms(&l.c) == cases[i].ms, "%s",
		    cases[i].text);
	}
}
END_TEST

START_TEST(the_environment_is_the_default)
{
	struct line l;

	clean_env();
	ck_assert_int_eq(setenv("AMCTL_SOCKET", "/env/sock", 1), 0);
	ck_assert_int_eq(setenv("AMCTL_LEASE", "mine", 1), 0);
	ck_assert_int_eq(setenv("AMCTL_TIMEOUT", "9s", 1), 0);
	ck_assert_int_eq(parse(&l, "ping"), 0);
	ck_assert_str_eq(l.c.opts.text[OPT_SOCKET], "/env/sock");
	ck_assert_str_eq(l.c.opts.text[OPT_LEASE], "mine");
	ck_assert(!l.c.lease_by_option);
	ck_assert_int_eq(cli_timeout_ms(&l.c), 9000);
	ck_assert_int_eq(parse(&l, "ping -s /opt/sock -t 1 -l b"), 0);
	ck_assert_str_eq(l.c.opts.text[OPT_SOCKET], "/opt/sock");
	ck_assert_str_eq(l.c.opts.text[OPT_LEASE], "b");
	ck_assert(l.c.lease_by_option);
	ck_assert_int_eq(cli_timeout_ms(&l.c), 1000);
	/* -i means another one than AMCTL_SOCKET. */
	ck_assert_int_eq(parse(&l, "ping -i x"), 0);
	ck_assert_ptr_null(l.c.opts.text[OPT_SOCKET]);
	/* run has no timeout but its own option's. */
	ck_assert_int_eq(parse(&l, "run true"), 0);
	ck_assert_int_eq(cli_timeout_ms(&l.c), -1);
	clean_env();
}
END_TEST

START_TEST(words_of_run_are_its_commands)
{
	struct line l;

	clean_env();
	ck_assert_int_eq(parse(&l, "run --ttl 5s sh -c --ttl -- -x"), 0);
	ck_assert_int_eq(l.c.argc, 5);
	ck_assert_str_eq(l.c.argv[0], "sh");
	ck_assert_str_eq(l.c.argv[2], "--ttl");
	ck_assert_str_eq(l.c.argv[3], "--");
	ck_assert_ptr_null(l.c.argv[5]);
	ck_assert_int_eq(l.c.opts.num[OPT_TTL], 5000);
	ck_assert_int_eq(parse(&l, "run -- -weird-name -q"), 0);
	ck_assert_str_eq(l.c.argv[0], "-weird-name");
	ck_assert_int_eq(l.c.argc, 2);
	ck_assert(!cli_has(&l.c, OPT_QUIET));
}
END_TEST

START_TEST(wrong_usage_is_2)
{
	static const char *const bad[] = { "frobnicate", "ping --frob",
		"ping -z", "ping -t", "ping -t 5x", "ping -t -1",
		"ping --json=1", "ping word", "add", "ping --ttl 5s",
		"request-worker --bind-pid x", "request-worker --bind-pid 0",
		"request-worker --bind-pid -3", "request-worker --priority 1e3",
		"payloads --since -1", "stream --window 0", "help a b", "--",
		"-t 5x" };

	clean_env();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct line l;
		int rc = parse_quietly(&l, bad[i]);

		/* "--" alone has no command, which main() tells. */
		ck_assert_msg(rc == EX_USAGE || l.c.cmd == NULL, "%s", bad[i]);
	}
}
END_TEST

UNIT_MAIN("cli_opts", options_stand_before_and_after_the_command,
    a_value_is_joined_or_the_next_word, durations_of_timeouts,
    the_environment_is_the_default, words_of_run_are_its_commands,
    wrong_usage_is_2)
