#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "tests/unit/unit.h"

/* amctl(1) as one text. */
static const char *
page(void)
{
	static char text[65536];
	FILE *f = fopen("man/amctl.1", "re");
	size_t n;

	ck_assert_msg(f != NULL, "man/amctl.1 cannot be read");
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	ck_assert_uint_lt(n, sizeof(text) - 1);
	(void)fclose(f);
	return text;
}

static bool
is_word_end(char c)
{
	return !isalnum((unsigned char)c) && c != '-';
}

/* On a line that begins so: is there this word? */
static bool
has_word(const char *text, const char *begin, const char *word)
{
	size_t len = strlen(word);

	for (const char *line = text; line != NULL && *line != '\0';
	     line = strchr(line, '\n'), line += line != NULL) {
		const char *end = strchrnul(line, '\n');

		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		for (const char *p = line; p + len <= end; p++)
			if (strncmp(p, word, len) == 0 && is_word_end(p[len]))
				return true;
	}
	return false;
}

START_TEST(every_command_has_its_paragraph)
{
	for (size_t i = 0; i < n_cmds; i++) {
		char word[64];

		(void)snprintf(word, sizeof(word), "Cm %s", cmds[i].name);
		ck_assert_msg(has_word(page(), ".It Cm", word),
		    "amctl(1) has no \".It %s\"", word);
	}
}
END_TEST

START_TEST(every_option_of_a_command_is_on_its_line)
{
	for (size_t i = 0; i < n_cmds; i++) {
		for (int o = OPT_GLOBALS; o < OPT__COUNT; o++) {
			char begin[64];
			char word[64];

			if ((cmds[i].flags & (UINT64_C(1) << o)) == 0)
				continue;
			(void)snprintf(begin, sizeof(begin), ".It Cm %s",
			    cmds[i].name);
			(void)snprintf(word, sizeof(word), " -%s",
			    opts_table[o].name);
			/* set and toggle are on the line of remove. */
			if (!has_word(page(), begin, word))
				(void)snprintf(begin, sizeof(begin),
				    ".It Cm %s",
				    strncmp(cmds[i].name, "can-", 4) == 0
					? "can-add"
					: "remove");
			ck_assert_msg(has_word(page(), begin, word),
			    "amctl(1): %s: no option%s", cmds[i].name, word);
		}
	}
}
END_TEST

START_TEST(every_global_option_is_there)
{
	for (int o = 0; o < OPT_GLOBALS; o++) {
		char word[64];

		(void)snprintf(word, sizeof(word), " -%s", opts_table[o].name);
		ck_assert_msg(has_word(page(), ".It Fl", word),
		    "amctl(1): no option%s", word);
	}
}
END_TEST

static bool
is_option(const char *name, size_t len)
{
	for (int o = 0; o < OPT__COUNT; o++)
		if (strlen(opts_table[o].name) == len &&
		    memcmp(opts_table[o].name, name, len) == 0)
			return true;
	return false;
}

START_TEST(there_is_no_option_that_is_none)
{
	for (const char *p = page(); (p = strstr(p, "Fl -")) != NULL;) {
		size_t len = 0;

		p += 4;
		while (!is_word_end(p[len]))
			len++;
		ck_assert_msg(is_option(p, len),
		    "amctl(1): --%.*s is no option", (int)len, p);
	}
}
END_TEST

START_TEST(every_exit_code_is_there)
{
#define X(name, number, status, help)                                          \
	ck_assert_msg(has_word(page(), ".It ", " " #number),                   \
	    "amctl(1): no exit code " #number);
	EXIT_CODES(X)
#undef X
}
END_TEST

UNIT_MAIN("cli_man", every_command_has_its_paragraph,
    every_option_of_a_command_is_on_its_line, every_global_option_is_there,
    there_is_no_option_that_is_none, every_exit_code_is_there)
