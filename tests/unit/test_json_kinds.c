/* The kinds of text that JSONTestSuite knows (github.com/nst/JSONTestSuite), in
 * cases of our own: what every reader takes, what none takes, and what each
 * decides for itself. Names are those of its files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "tests/unit/unit.h"

struct text {
	const char *name;
	const char *json;
	size_t len;
	const char *want; /* what comes out, or a part of the message */
};

#define T(name, json, want)                                                    \
	{                                                                      \
		name, json, sizeof(json) - 1, want                             \
	}

static const struct text taken[] = {
	T("array_arraysWithSpaces", "[[]  ]", "[[]]"),
	T("array_empty-string", "[\"\"]", "[\"\"]"),
	T("array_empty", "[]", "[]"),
	T("array_ending_with_newline", "[\"b\"]\n", "[\"b\"]"),
	T("array_false", "[false]", "[false]"),
	T("array_heterogeneous", "[null,2,\"3\",{}]", "[null,2,\"3\",{}]"),
	T("array_null", "[null]", "[null]"),
	T("array_with_1_and_newline", "[1\n]", "[1]"),
	T("array_with_leading_space", " [1]", "[1]"),
	T("array_with_several_null", "[2,null,null,null,1]",
	    "[2,null,null,null,1]"),
	T("array_with_trailing_space", "[2] ", "[2]"),
	T("number", "[234e-5]", "[0.00234]"),
	T("number_0e+1", "[0e+7]", "[0.0]"),
	T("number_0e1", "[0e7]", "[0.0]"),
	T("number_after_space", "[ 5]", "[5]"),
	T("number_double_close_to_zero",
	    "[-0.00000000000000000000000000000000000000000000000000000000000"
	    "00000000000000003]",
	    "[-3e-76]"),
	T("number_int_with_exp", "[30e1]", "[300.0]"),
	T("number_minus_zero", "[-0]", "[-0.0]"),
	T("number_negative_int", "[-456]", "[-456]"),
	T("number_negative_one", "[-1]", "[-1]"),
	T("number_negative_zero", "[-0.0]", "[-0.0]"),
	T("number_real_capital_e", "[2E21]", "[2e+21]"),
	T("number_real_capital_e_neg_exp", "[2E-3]", "[0.002]"),
	T("number_real_capital_e_pos_exp", "[2E+3]", "[2000.0]"),
	T("number_real_exponent", "[321e44]", "[3.21e+46]"),
	T("number_real_fraction_exponent", "[32.125e5]", "[3212500.0]"),
	T("number_real_neg_exp", "[2e-3]", "[0.002]"),
	T("number_real_pos_exponent", "[2e+3]", "[2000.0]"),
	T("number_simple_int", "[321]", "[321]"),
	T("number_simple_real", "[321.654321]", "[321.654321]"),
	T("object", "{\"qwe\":\"rty\",\"dfg\":\"cvb\"}",
	    "{\"qwe\":\"rty\",\"dfg\":\"cvb\"}"),
	T("object_basic", "{\"qwe\":\"rty\"}", "{\"qwe\":\"rty\"}"),
	T("object_empty", "{}", "{}"),
	T("object_empty_key", "{\"\":1}", "{\"\":1}"),
	T("object_extreme_numbers", "{\"least\":-2.5e+27,\"most\":2.5e+27}",
	    "{\"least\":-2.5e+27,\"most\":2.5e+27}"),
	T("object_long_strings",
	    "{\"x\":[{\"id\":"
	    "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}"
	    "],\"id\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}",
	    "{\"x\":[{\"id\":"
	    "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}"
	    "],\"id\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}"),
	T("object_simple", "{\"b\":[]}", "{\"b\":[]}"),
	T("object_string_unicode", "{\"t\":\"\\u041f\\u043e\"}",
	    "{\"t\":\"\xd0\x9f\xd0\xbe\"}"),
	T("object_with_newlines", "{\n\"b\":\n1\n}", "{\"b\":1}"),
	T("string_1_2_3_bytes_UTF-8_sequences", "[\"\\u0061\\u014e\\u30ab\"]",
	    "[\"a\xc5\x8e\xe3\x82\xab\"]"),
	T("string_accepted_surrogate_pair", "[\"\\uD801\\udc38\"]",
	    "[\"\xf0\x90\x90\xb8\"]"),
	T("string_accepted_surrogate_pairs",
	    "[\"\\ud83d\\ude38\\ud83d\\udc4c\"]",
	    "[\"\xf0\x9f\x98\xb8\xf0\x9f\x91\x8c\"]"),
	T("string_allowed_escapes", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
	    "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]"),
	T("string_backslash_and_u_escaped_zero", "[\"\\\\u0000\"]",
	    "[\"\\\\u0000\"]"),
	T("string_backslash_doublequotes", "[\"\\\"\"]", "[\"\\\"\"]"),
	T("string_comments", "[\"a/*b*/c//d\"]", "[\"a/*b*/c//d\"]"),
	T("string_double_escape_a", "[\"\\\\b\"]", "[\"\\\\b\"]"),
	T("string_double_escape_n", "[\"\\\\n\"]", "[\"\\\\n\"]"),
	T("string_escaped_control_character", "[\"\\u0013\"]", "[\"\\u0013\"]"),
	T("string_escaped_noncharacter", "[\"\\ufffe\"]", "[\"\xef\xbf\xbe\"]"),
	T("string_in_array", "[\"qwe\"]", "[\"qwe\"]"),
	T("string_in_array_with_leading_space", "[ \"qwe\"]", "[\"qwe\"]"),
	T("string_last_surrogates_1_and_2", "[\"\\uDBFF\\uDFFe\"]",
	    "[\"\xf4\x8f\xbf\xbe\"]"),
	T("string_nbsp_uescaped", "[\"old\\u00a0line\"]",
	    "[\"old\xc2\xa0line\"]"),
	T("string_nonCharacterInUTF-8_U+10FFFF", "[\"\xf4\x8f\xbf\xbf\"]",
	    "[\"\xf4\x8f\xbf\xbf\"]"),
	T("string_nonCharacterInUTF-8_U+FFFF", "[\"\xef\xbf\xbf\"]",
	    "[\"\xef\xbf\xbf\"]"),
	T("string_one-byte-utf-8", "[\"\\u002d\"]", "[\"-\"]"),
	T("string_pi", "[\"\xcf\x80\"]", "[\"\xcf\x80\"]"),
	T("string_reservedCharacterInUTF-8_U+1BFFF", "[\"\xf0\x9b\xbf\xbf\"]",
	    "[\"\xf0\x9b\xbf\xbf\"]"),
	T("string_simple_ascii", "[\"qwe \"]", "[\"qwe \"]"),
	T("string_space", "\" \"", "\" \""),
	T("string_surrogates_U+1D11E_MUSICAL_SYMBOL_G_CLEF",
	    "[\"\\uD834\\uDd1e\"]", "[\"\xf0\x9d\x84\x9e\"]"),
	T("string_three-byte-utf-8", "[\"\\u0822\"]", "[\"\xe0\xa0\xa2\"]"),
	T("string_two-byte-utf-8", "[\"\\u0124\"]", "[\"\xc4\xa4\"]"),
	T("string_u+2028_line_sep", "[\"\xe2\x80\xa8\"]", "[\"\xe2\x80\xa8\"]"),
	T("string_u+2029_par_sep", "[\"\xe2\x80\xa9\"]", "[\"\xe2\x80\xa9\"]"),
	T("string_uEscape", "[\"\\u0062\\u30af\"]", "[\"b\xe3\x82\xaf\"]"),
	T("string_uescaped_newline", "[\"old\\u000Aline\"]",
	    "[\"old\\nline\"]"),
	T("string_unescaped_char_delete", "[\"\x7f\"]", "[\"\x7f\"]"),
	T("string_unicode", "[\"\\uA77D\"]", "[\"\xea\x9d\xbd\"]"),
	T("string_unicodeEscapedBackslash", "[\"\\u005C\"]", "[\"\\\\\"]"),
	T("string_unicode_2", "[\"\xe2\x8d\x83\"]", "[\"\xe2\x8d\x83\"]"),
	T("string_unicode_U+200B_ZERO_WIDTH_SPACE", "[\"\\u200b\"]",
	    "[\"\xe2\x80\x8b\"]"),
	T("string_unicode_U+2064_invisible_plus", "[\"\\u2064\"]",
	    "[\"\xe2\x81\xa4\"]"),
	T("string_unicode_U+FDD0_nonchar", "[\"\\ufdd0\"]",
	    "[\"\xef\xb7\x90\"]"),
	T("string_unicode_escaped_double_quote", "[\"\\u0022\"]", "[\"\\\"\"]"),
	T("string_utf8", "[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]",
	    "[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]"),
	T("string_with_del_character", "[\"x\x7fx\"]", "[\"x\x7fx\"]"),
	T("structure_lonely_false", "false", "false"),
	T("structure_lonely_int", "42", "42"),
	T("structure_lonely_negative_real", "-0.5", "-0.5"),
	T("structure_lonely_null", "null", "null"),
	T("structure_lonely_string", "\"qwe\"", "\"qwe\""),
	T("structure_lonely_true", "true", "true"),
	T("structure_string_empty", "\"\"", "\"\""),
	T("structure_trailing_newline", "[\"b\"]\n", "[\"b\"]"),
	T("structure_true_in_array", "[true]", "[true]"),
	T("structure_whitespace_array", " [] ", "[]"),
};

/* Every reader of JSON takes them, and some lose what they say. */
static const struct text taken_by_others[] = {
	T("object_duplicated_key", "{\"b\":\"c\",\"b\":\"d\"}",
	    "key \"b\" at byte 9 is there twice"),
	T("object_duplicated_key_and_value", "{\"b\":\"c\",\"b\":\"c\"}",
	    "key \"b\" at byte 9 is there twice"),
	T("object_escaped_null_in_key", "{\"qwe\\u0000rty\":1}",
	    "NUL at byte 5"),
	T("string_null_escape", "[\"\\u0000\"]", "NUL at byte 2"),
};

static const struct text refused[] = {
	T("array_1_true_without_comma", "[2 true]", "byte 3: a comma"),
	T("array_a_invalid_utf8", "[b\xe5]", "byte 1: no value"),
	T("array_colon_instead_of_comma", "[\"\":2]", "byte 3: a comma"),
	T("array_comma_after_close", "[\"\"],", "byte 4: there is text"),
	T("array_comma_and_number", "[,2]", "byte 1: no value"),
	T("array_double_comma", "[2,,3]", "byte 3: no value"),
	T("array_double_extra_comma", "[\"y\",,]", "byte 5: no value"),
	T("array_extra_close", "[\"y\"]]", "byte 5: there is text"),
	T("array_extra_comma", "[\"\",]", "byte 4: no value"),
	T("array_incomplete", "[\"y\"", "byte 4: the text ends"),
	T("array_incomplete_invalid_value", "[y", "byte 1: no value"),
	T("array_inner_array_no_comma", "[4[5]]", "byte 2: a comma"),
	T("array_invalid_utf8", "[\xff]", "byte 1: no value"),
	T("array_items_separated_by_semicolon", "[2;3]", "byte 2: a comma"),
	T("array_just_comma", "[,]", "byte 1: no value"),
	T("array_just_minus", "[-]", "byte 1: malformed number"),
	T("array_missing_value", "[   , \"\"]", "byte 4: no value"),
	T("array_newlines_unclosed", "[\"b\",\n5\n,2,", "the text ends"),
	T("array_number_and_comma", "[2,]", "byte 3: no value"),
	T("array_number_and_several_commas", "[2,,]", "byte 3: no value"),
	T("array_spaces_vertical_tab_formfeed", "[\"\vb\"\\f]",
	    "control character"),
	T("array_star_inside", "[*]", "byte 1: no value"),
	T("array_unclosed", "[\"\"", "the text ends"),
	T("array_unclosed_trailing_comma", "[2,", "the text ends"),
	T("array_unclosed_with_new_lines", "[2,\n2\n,2", "the text ends"),
	T("array_unclosed_with_object_inside", "[{}", "the text ends"),
	T("incomplete_false", "[fals]", "byte 1: no value"),
	T("incomplete_null", "[nul]", "byte 1: no value"),
	T("incomplete_true", "[tru]", "byte 1: no value"),
	T("multidigit_number_then_00", "321\0", "byte 3: there is text"),
	T("number_++", "[++7]", "byte 1: no value"),
	T("number_+1", "[+2]", "byte 1: no value"),
	T("number_+Inf", "[+Inf]", "byte 1: no value"),
	T("number_-01", "[-02]", "byte 1: malformed number"),
	T("number_-1.0.", "[-2.0.]", "byte 5: a comma"),
	T("number_-2.", "[-3.]", "byte 1: malformed number"),
	T("number_-NaN", "[-NaN]", "byte 1: malformed number"),
	T("number_.-1", "[.-2]", "byte 1: no value"),
	T("number_.2e-3", "[.3e-2]", "byte 1: no value"),
	T("number_0.1.2", "[0.2.3]", "byte 4: a comma"),
	T("number_0.3e+", "[0.4e+]", "byte 1: malformed number"),
	T("number_0.3e", "[0.4e]", "byte 1: malformed number"),
	T("number_0.e1", "[0.e2]", "byte 1: malformed number"),
	T("number_0_capital_E+", "[0E+]", "byte 1: malformed number"),
	T("number_0_capital_E", "[0E]", "byte 1: malformed number"),
	T("number_0e+", "[0e+]", "byte 1: malformed number"),
	T("number_0e", "[0e]", "byte 1: malformed number"),
	T("number_1.0e+", "[2.0e+]", "byte 1: malformed number"),
	T("number_1.0e-", "[2.0e-]", "byte 1: malformed number"),
	T("number_1.0e", "[2.0e]", "byte 1: malformed number"),
	T("number_1_000", "[2 000.0]", "byte 3: a comma"),
	T("number_1eE2", "[2eE3]", "byte 1: malformed number"),
	T("number_2.e+3", "[3.e+2]", "byte 1: malformed number"),
	T("number_2.e-3", "[3.e-2]", "byte 1: malformed number"),
	T("number_2.e3", "[3.e2]", "byte 1: malformed number"),
	T("number_9.e+", "[8.e+]", "byte 1: malformed number"),
	T("number_Inf", "[Inf]", "byte 1: no value"),
	T("number_NaN", "[NaN]", "NaN at byte 1"),
	T("number_U+FF11_fullwidth_digit_one", "[\xef\xbc\x91]",
	    "byte 1: no value"),
	T("number_expression", "[2+3]", "byte 2: a comma"),
	T("number_hex_1_digit", "[0x3]", "byte 2: a comma"),
	T("number_hex_2_digits", "[0x43]", "byte 2: a comma"),
	T("number_infinity", "[Infinity]", "Infinity at byte 1"),
	T("number_invalid+-", "[0e+-2]", "byte 1: malformed number"),
	T("number_invalid-negative-real", "[-321.321xyz]", "byte 9: a comma"),
	T("number_invalid-utf-8-in-bigger-int", "[321\xe5]", "byte 4: a comma"),
	T("number_invalid-utf-8-in-exponent", "[2e2\xe5]", "byte 4: a comma"),
	T("number_invalid-utf-8-in-int", "[0\xe5]", "byte 2: a comma"),
	T("number_minus_infinity", "[-Infinity]", "-Infinity at byte 1"),
	T("number_minus_sign_with_trailing_garbage", "[-qwe]",
	    "byte 1: malformed number"),
	T("number_minus_space_1", "[- 2]", "byte 1: malformed number"),
	T("number_neg_int_starting_with_zero", "[-034]",
	    "byte 1: malformed number"),
	T("number_neg_real_without_int_part", "[-.321]",
	    "byte 1: malformed number"),
	T("number_neg_with_garbage_at_end", "[-2y]", "byte 3: a comma"),
	T("number_real_garbage_after_e", "[2eb]", "byte 1: malformed number"),
	T("number_real_with_invalid_utf8_after_e", "[2e\xe5]",
	    "byte 1: malformed number"),
	T("number_real_without_fractional_part", "[2.]",
	    "byte 1: malformed number"),
	T("number_starting_with_dot", "[.321]", "byte 1: no value"),
	T("number_with_alpha", "[2.3b-]", "byte 4: a comma"),
	T("number_with_alpha_char", "[2.9011Hb]", "byte 7: a comma"),
	T("number_with_leading_zero", "[034]", "byte 1: malformed number"),
	T("object_bad_value", "[\"y\",truth]", "byte 5: no value"),
	T("object_bracket_key", "{[:\"y\"}", "byte 1: a key must"),
	T("object_comma_instead_of_colon", "{\"y\",null}", "byte 4: a colon"),
	T("object_double_colon", "{\"y\"::\"c\"}", "byte 5: no value"),
	T("object_emoji", "{\xf0\x9f\x87\xa8}", "byte 1: a key must"),
	T("object_garbage_at_end", "{\"b\":\"b\" 321}", "byte 9: a comma"),
	T("object_key_with_single_quotes", "{key:'val'}", "byte 1: a key must"),
	T("object_lone_continuation_byte_in_key_and_trailing_comma",
	    "{\"\xb9\":\"0\",}", "UTF-8 at byte 2"),
	T("object_missing_colon", "{\"b\" c}", "byte 5: a colon"),
	T("object_missing_key", "{:\"c\"}", "byte 1: a key must"),
	T("object_missing_semicolon", "{\"b\" \"c\"}", "byte 5: a colon"),
	T("object_missing_value", "{\"b\":", "the text ends"),
	T("object_no-colon", "{\"b\"", "the text ends"),
	T("object_non_string_key", "{2:2}", "byte 1: a key must"),
	T("object_non_string_key_but_huge_number_instead", "{8888E8888:2}",
	    "byte 1: a key must"),
	T("object_repeated_null_null", "{null:null,null:null}",
	    "byte 1: a key must"),
	T("object_several_trailing_commas", "{\"id\":1,,,,}",
	    "byte 8: a key must"),
	T("object_single_quote", "{'b':0}", "byte 1: a key must"),
	T("object_trailing_comma", "{\"id\":1,}", "byte 8: a key must"),
	T("object_trailing_comment", "{\"b\":\"c\"}/**/", "byte 9: there is"),
	T("object_trailing_comment_open", "{\"b\":\"c\"}/**//",
	    "byte 9: there"),
	T("object_trailing_comment_slash_open", "{\"b\":\"c\"}//", "byte 9: "),
	T("object_trailing_comment_slash_open_incomplete", "{\"b\":\"c\"}/",
	    "byte 9: there is"),
	T("object_two_commas_in_a_row", "{\"b\":\"c\",,\"d\":1}",
	    "byte 9: a key must"),
	T("object_unquoted_key", "{b: \"c\"}", "byte 1: a key must"),
	T("object_unterminated-value", "{\"b\":\"b", "the text ends"),
	T("object_with_single_string", "{\"b\":\"c\",\"b\"}",
	    "byte 12: a colon"),
	T("object_with_trailing_garbage", "{\"b\":\"c\"}#", "byte 9: there is"),
	T("single_space", " ", "byte 1: the text ends"),
	T("string_1_surrogate_then_escape", "[\"\\uD801\\\"]", "half of a"),
	T("string_1_surrogate_then_escape_u", "[\"\\uD801\\u\"]", "half of a"),
	T("string_1_surrogate_then_escape_u1", "[\"\\uD801\\u1\"]", "half of"),
	T("string_1_surrogate_then_escape_u1x", "[\"\\uD801\\u1x\"]", "half"),
	T("string_accentuated_char_no_quotes", "[\xc3\xa8]",
	    "byte 1: no value"),
	T("string_backslash_00", "[\"\\\0\"]", "byte 2: no such escape"),
	T("string_escape_x", "[\"\\x01\"]", "byte 2: no such escape"),
	T("string_escaped_backslash_bad", "[\"\\\\\\\"]", "the text ends"),
	T("string_escaped_ctrl_char_tab", "[\"\\\t\"]", "byte 2: no such"),
	T("string_escaped_emoji", "[\"\\\xf0\x9f\x8c\x80\"]",
	    "byte 2: no such escape"),
	T("string_incomplete_escape", "[\"\\\"]", "the text ends"),
	T("string_incomplete_escaped_character", "[\"\\u00B\"]",
	    "byte 2: \\u without four hex digits"),
	T("string_incomplete_surrogate", "[\"\\uD801\\uDC\"]", "half of a"),
	T("string_incomplete_surrogate_escape_invalid",
	    "[\"\\uD801\\uD801\\y\"]", "half of a"),
	T("string_invalid-utf-8-in-escape", "[\"\\u\xe5\"]",
	    "byte 2: \\u without four"),
	T("string_invalid_backslash_esc", "[\"\\b\\c\"]", "byte 4: no such"),
	T("string_invalid_unicode_escape", "[\"\\uqqqq\"]", "byte 2: \\u"),
	T("string_invalid_utf8_after_escape", "[\"\\\xe5\"]", "byte 2: no"),
	T("string_leading_uescaped_thinspace", "[\\u0020\"qwe\"]", "byte 1: "),
	T("string_no_quotes_with_bad_escape", "[\\n]", "byte 1: no value"),
	T("string_single_doublequote", "\"", "the text ends"),
	T("string_single_quote", "['quote']", "byte 1: no value"),
	T("string_single_string_no_double_quotes", "bcd", "byte 0: no value"),
	T("string_start_escape_unclosed", "[\"\\", "the text ends"),
	T("string_unescaped_ctrl_char", "[\"b\0b\"]",
	    "byte 3: control character in a string; write it as \\u0000"),
	T("string_unescaped_newline", "[\"old\nline\"]",
	    "byte 5: control character in a string; write it as \\u000a"),
	T("string_unescaped_tab", "[\"\t\"]", "write it as \\u0009"),
	T("string_unicode_CapitalU", "\"\\UA77d\"", "byte 1: no such escape"),
	T("string_with_trailing_garbage", "\"\"y", "byte 2: there is text"),
	T("structure_U+2060_word_joined", "[\xe2\x81\xa0]", "byte 1: no value"),
	T("structure_UTF8_BOM_no_data", "\xef\xbb\xbf", "byte order mark"),
	T("structure_angle_bracket_.", "<.>", "byte 0: no value"),
	T("structure_angle_bracket_null", "[<null>]", "byte 1: no value"),
	T("structure_array_trailing_garbage", "[2]y", "byte 3: there is text"),
	T("structure_array_with_extra_array_close", "[2]]", "byte 3: there"),
	T("structure_array_with_unclosed_string", "[\"qwe]", "the text ends"),
	T("structure_ascii-unicode-identifier", "b\xc3\xa5", "byte 0: no"),
	T("structure_capitalized_True", "[True]", "byte 1: no value"),
	T("structure_close_unopened_array", "2]", "byte 1: there is text"),
	T("structure_comma_instead_of_closing_brace", "{\"y\": true,",
	    "the text ends"),
	T("structure_double_array", "[][]", "byte 2: there is text"),
	T("structure_end_array", "]", "byte 0: no value"),
	T("structure_incomplete_UTF8_BOM", "\xef\xbb{}", "byte 0: no value"),
	T("structure_lone-invalid-utf-8", "\xe5", "byte 0: no value"),
	T("structure_lone-open-bracket", "[", "the text ends"),
	T("structure_no_data", "", "byte 0: the text ends"),
	T("structure_null-byte-outside-string", "[\0]", "byte 1: no value"),
	T("structure_number_with_trailing_garbage", "3@", "byte 1: there is"),
	T("structure_object_followed_by_closing_object", "{}}", "byte 2: "),
	T("structure_object_unclosed_no_value", "{\"\":", "the text ends"),
	T("structure_object_with_comment", "{\"b\":/*c*/\"d\"}", "byte 5: no"),
	T("structure_object_with_trailing_garbage", "{\"b\": true} \"y\"",
	    "byte 12: there is text"),
	T("structure_open_array_apostrophe", "['", "byte 1: no value"),
	T("structure_open_array_comma", "[,", "byte 1: no value"),
	T("structure_open_array_open_object", "[{", "the text ends"),
	T("structure_open_array_open_string", "[\"b", "the text ends"),
	T("structure_open_array_string", "[\"b\"", "the text ends"),
	T("structure_open_object", "{", "the text ends"),
	T("structure_open_object_close_array", "{]", "byte 1: a key must"),
	T("structure_open_object_comma", "{,", "byte 1: a key must"),
	T("structure_open_object_open_array", "{[", "byte 1: a key must"),
	T("structure_open_object_open_string", "{\"b", "the text ends"),
	T("structure_open_object_string_with_apostrophes", "{'b'", "byte 1: a"),
	T("structure_open_open", "[\"\\{[\"\\{[\"\\{", "byte 2: no such"),
	T("structure_single_eacute", "\xc3\xa9", "byte 0: no value"),
	T("structure_single_star", "*", "byte 0: no value"),
	T("structure_trailing_#", "{\"b\":\"c\"}#{}", "byte 9: there is text"),
	T("structure_uescaped_LF_before_string", "[\\u000A\"\"]", "byte 1: no"),
	T("structure_unclosed_array", "[2", "the text ends"),
	T("structure_unclosed_array_partial_null", "[ false, nul",
	    "the text ends"),
	T("structure_unclosed_array_unfinished_false", "[ true, fals",
	    "the text ends"),
	T("structure_unclosed_array_unfinished_true", "[ false, tru",
	    "the text ends"),
	T("structure_unclosed_object", "{\"qwe\":\"rty\"", "the text ends"),
	T("structure_unicode-identifier", "\xc3\xa5", "byte 0: no value"),
	T("structure_whitespace_U+2060_word_joiner", "\xe2\x81\xa0",
	    "byte 0: no value"),
	T("structure_whitespace_formfeed", "[\f]", "byte 1: no value"),
};

/* Where readers differ, all is refused that would be changed. */
static const struct text decided[] = {
	T("number_double_huge_neg_exp", "[321.654e-987]", "out of the range"),
	T("number_huge_exp",
	    "[0.5e00668809912345678901234567890123456789012345678901234567]",
	    "out of the range"),
	T("number_neg_int_huge_exp", "[-2e+8888]", "out of the range"),
	T("number_pos_double_huge_exp", "[2.5e+8888]", "out of the range"),
	T("number_real_neg_overflow", "[-321321e100000]", "out of the range"),
	T("number_real_pos_overflow", "[321321e100000]", "out of the range"),
	T("number_real_underflow", "[321e-10000000]", "out of the range"),
	T("number_too_big_neg_int", "[-321321321321321321321321321321]",
	    "beyond 64 bits"),
	T("number_too_big_pos_int", "[200000000000000000000]",
	    "beyond 64 bits"),
	T("number_very_big_negative_int",
	    "[-432374623746328746328746328746328746328746328746]",
	    "beyond 64 bits"),
	T("object_key_lone_2nd_surrogate", "{\"\\uDFBB\":0}", "half of a"),
	T("string_1st_surrogate_but_2nd_missing", "[\"\\uDBDB\"]", "half of"),
	T("string_1st_valid_surrogate_2nd_invalid", "[\"\\uD889\\u4321\"]",
	    "half of a"),
	T("string_UTF-16LE_with_BOM", "\xff\xfe[\0\"\0\xe9\0\"\0]\0",
	    "byte order mark (BOM) of UTF-16"),
	T("string_UTF-8_invalid_sequence", "[\"\xe6\x97\xa5\xd1\x88\xfb\"]",
	    "UTF-8 at byte 7"),
	T("string_UTF8_surrogate_U+D800", "[\"\xed\xa0\x81\"]",
	    "UTF-8 at byte 2"),
	T("string_incomplete_surrogate_and_escape_valid", "[\"\\uD801\\n\"]",
	    "half of a"),
	T("string_incomplete_surrogate_pair", "[\"\\uDd1eb\"]", "half of a"),
	T("string_incomplete_surrogates_escape_valid",
	    "[\"\\uD801\\uD801\\n\"]", "half of a"),
	T("string_invalid_lonely_surrogate", "[\"\\ud801\"]", "half of a"),
	T("string_invalid_surrogate", "[\"\\ud801bcd\"]", "half of a"),
	T("string_invalid_utf-8", "[\"\xfe\"]", "UTF-8 at byte 2"),
	T("string_inverted_surrogates_U+1D11E", "[\"\\uDd1e\\uD834\"]",
	    "half of a"),
	T("string_iso_latin_1", "[\"\xe8\"]", "UTF-8 at byte 2"),
	T("string_lone_second_surrogate", "[\"\\uDFAB\"]", "half of a"),
	T("string_lone_utf8_continuation_byte", "[\"\x82\"]", "UTF-8 at"),
	T("string_not_in_unicode_range", "[\"\xf4\xbf\xbf\xbe\"]", "UTF-8 at"),
	T("string_overlong_sequence_2_bytes", "[\"\xc0\xae\"]", "UTF-8 at"),
	T("string_overlong_sequence_6_bytes", "[\"\xfc\x83\xbf\xbf\xbf\xbe\"]",
	    "UTF-8 at"),
	T("string_overlong_sequence_6_bytes_null",
	    "[\"\xfc\x80\x80\x80\x80\x81\"]", "UTF-8 at"),
	T("string_truncated-utf-8", "[\"\xe0\xfe\"]", "UTF-8 at byte 2"),
	T("string_utf16BE_no_BOM", "\0[\0\"\0\xe9\0\"\0]", "byte 0: no value"),
	T("string_utf16LE_no_BOM", "[\0\"\0\xe9\0\"\0]\0", "byte 1: no value"),
	T("structure_UTF-8_BOM_empty_object", "\xef\xbb\xbf{}",
	    "not JSON at byte 0: a byte order mark (BOM)"),
};

/* What is sent on is read as the same by whom it reaches. */
static void
assert_taken(const struct text *t)
{
	struct am_buf val = AM_BUF_INIT, json = AM_BUF_INIT,
		      again = AM_BUF_INIT;
	struct am_error err = { "" };

	ck_assert_msg(am_json_decode(t->json, t->len, &val, &err) == 0,
	    "%s: %s", t->name, err.text);
	ck_assert_msg(am_json_encode(am_buf_val(&val), &json, &err) == 0,
	    "%s: %s", t->name, err.text);
	ck_assert_msg(strcmp(buf_text(&json), t->want) == 0, "%s: %s", t->name,
	    buf_text(&json));
	ck_assert_int_eq(am_json_decode(json.data, json.len, &again, NULL), 0);
	ck_assert_msg(again.len == val.len &&
		memcmp(again.data, val.data, val.len) == 0,
	    "%s", t->name);
	am_buf_done(&val);
	am_buf_done(&json);
	am_buf_done(&again);
}

static void
assert_refused(const struct text *t)
{
	struct am_buf val = AM_BUF_INIT;
	struct am_error err = { "" };

	ck_assert_msg(am_json_decode(t->json, t->len, &val, &err) == -EINVAL,
	    "%s is taken", t->name);
	ck_assert_msg(strstr(err.text, t->want) != NULL,
	    "%s: \"%s\" is not in: %s", t->name, t->want, err.text);
	ck_assert_uint_eq(val.len, 0);
	am_buf_done(&val);
}

#define EACH(table, i)                                                         \
	size_t i = 0;                                                          \
	i < sizeof(table) / sizeof((table)[0]);                                \
	i++

START_TEST(what_every_reader_takes_is_taken)
{
	for (EACH(taken, i))
		assert_taken(&taken[i]);
}
END_TEST

START_TEST(what_no_reader_takes_is_refused)
{
	for (EACH(refused, i))
		assert_refused(&refused[i]);
}
END_TEST

START_TEST(what_would_be_changed_is_refused)
{
	for (EACH(taken_by_others, i))
		assert_refused(&taken_by_others[i]);
	for (EACH(decided, i))
		assert_refused(&decided[i]);
}
END_TEST

/* n_structure_open_array_object, n_structure_100000_opening_arrays,
 * i_structure_500_nested_arrays */
START_TEST(deep_nesting_is_refused_at_the_level_that_is_too_much)
{
	static const char *const units[] = { "[", "[{\"\":" };

	for (EACH(units, i)) {
		struct am_buf json = AM_BUF_INIT;
		struct text t = { .name = units[i],
			.want = i == 0 ? "deeper than 32 levels at byte 32"
				       : "deeper than 32 levels at byte 80" };

		for (int k = 0; k < 100000; k++)
			buf_puts(&json, units[i]);
		t.json = json.data;
		t.len = json.len;
		assert_refused(&t);
		am_buf_done(&json);
	}
}
END_TEST

/* However a text is cut, there is an error, and no byte behind it is read: each
 * one lies at the end of a block of its own. */
START_TEST(every_beginning_of_a_text_is_looked_at_safely)
{
	for (EACH(taken, i)) {
		for (size_t len = 0; len < taken[i].len; len++) {
			struct am_buf val = AM_BUF_INIT;
			struct am_error err = { "" };
			char *json = malloc(len + 1);

			ck_assert_ptr_nonnull(json);
			memcpy(json + 1, taken[i].json, len);
			if (am_json_decode(json + 1, len, &val, &err) < 0)
				ck_assert_str_ne(err.text, "");
			free(json);
			am_buf_done(&val);
		}
	}
}
END_TEST

UNIT_MAIN("json_kinds", what_every_reader_takes_is_taken,
    what_no_reader_takes_is_refused, what_would_be_changed_is_refused,
    deep_nesting_is_refused_at_the_level_that_is_too_much,
    every_beginning_of_a_text_is_looked_at_safely)
