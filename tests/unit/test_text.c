/* Text of others, as it reaches terminals and logs. */
#include <string.h>

#include "lib/base/text.h"
#include "tests/unit/unit.h"

START_TEST(what_could_steer_a_terminal_is_escaped)
{
	static const struct {
		const char *text;
		const char *shown;
	} table[] = {
		{ "plain, \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \\ \"",
		    "plain, \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \\ \"" },
		{ "a\tb", "a\tb" },
		{ "\x1b[2J\r\n\a\x7f", "\\x1b[2J\\x0d\\x0a\\x07\\x7f" },
		/* C1: the one-character CSI, NEL. */
		{ "\xc2\x9b"
		  "2J\xc2\x85",
		    "\\u009b2J\\u0085" },
		{ "\xc2\xa0", "\xc2\xa0" },
		/* LRM, RLM, ALM; LRE to RLO; isolates; line separators. */
		{ "\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", "\\u200e\\u200f\\u061c" },
		{ "\xe2\x80\xaa\xe2\x80\xae", "\\u202a\\u202e" },
		{ "\xe2\x81\xa6\xe2\x81\xa9", "\\u2066\\u2069" },
		{ "\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029" },
		{ "\xe2\x80\x8d\xe2\x80\xa7\xe2\x80\xaf",
		    "\xe2\x80\x8d\xe2\x80\xa7\xe2\x80\xaf" },
		/* No UTF-8: alone, cut, overlong, surrogate. */
		{ "\x9b", "\\x9b" },
		{ "a\xe2\x82", "a\\xe2\\x82" },
		{ "\xc0\x9b", "\\xc0\\x9b" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
	};
	char out[200];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = strlen(table[i].text);

		ck_assert_uint_eq(text_show(out, sizeof(out), table[i].text,
				      len),
		    len);
		ck_assert_str_eq(out, table[i].shown);
	}
	ck_assert_uint_eq(text_show(out, sizeof(out), "a\0b", 3), 3);
	ck_assert_str_eq(out, "a\\x00b");
}
END_TEST

START_TEST(a_text_is_cut_between_characters_and_goes_on_there)
{
	static const char text[] = "abc\xe2\x82\xac\x1b\xc2\x85xyz";
	char out[64], all[100];

	for (size_t size = TEXT_CHAR_MAX; size < sizeof(out); size++) {
		size_t at = 0;

		all[0] = '\0';
		while (at < sizeof(text) - 1) {
			size_t n = text_show(out, size, text + at,
			    sizeof(text) - 1 - at);

			ck_assert_uint_gt(n, 0);
			ck_assert_uint_lt(strlen(out), size);
			at += n;
			(void)strcat(all, out);
		}
		ck_assert_uint_eq(at, sizeof(text) - 1);
		ck_assert_str_eq(all, "abc\xe2\x82\xac\\x1b\\u0085xyz");
	}
}
END_TEST

START_TEST(a_stream_gets_all_of_it)
{
	char *text = NULL, big[2000];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	memset(big, '\x1b', sizeof(big));
	text_put(f, big, sizeof(big));
	text_puts(f, "end");
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_uint_eq(len, sizeof(big) * 4 + 3);
	ck_assert_str_eq(text + len - 7, "\\x1bend");
	free(text);
}
END_TEST

UNIT_MAIN("text", what_could_steer_a_terminal_is_escaped,
    a_text_is_cut_between_characters_and_goes_on_there, a_stream_gets_all_of_it)
