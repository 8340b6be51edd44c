/* JSON input: writes MessagePack while it reads the text. */
#include "lib/base/json_scan.h"

#include <errno.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "lib/base/json_keys.h"
#include "lib/base/number.h"
#include "proto/mp.h"

static int scan_value(struct scan *s);

/* ---- strings, numbers and words ---- */

static int
scan_string(struct scan *s)
{
	struct scan_string str;
	int r = scan_string_measure(s, &str);

	if (r < 0)
		return r;
	if (str.is_lost)
		am_put_nil(s->out);
	else
		scan_string_put(s, &str);
	return r;
}

static void
put_number(struct am_buf *out, const struct number *n)
{
	if (n->kind == NUMBER_UINT)
		am_put_uint(out, n->u);
	else if (n->kind == NUMBER_INT)
		am_put_int(out, n->i);
	else if (n->kind == NUMBER_DOUBLE)
		am_put_double(out, n->d);
	else
		am_put_nil(out);
}

/* Whether the text ends in a number, which may have been cut off. */
static bool
ends_in_number(const struct scan *s)
{
	size_t i = s->at;

	while (i < s->len && s->json[i] != '\0' &&
	    strchr("0123456789+-.eE", s->json[i]) != NULL)
		i++;
	return i == s->len && s->depth > 0;
}

static int
scan_number(struct scan *s)
{
	static const char *const faults[] = {
		[NUMBER_BEYOND_64_BITS] = "is an integer beyond 64 bits",
		[NUMBER_OUT_OF_RANGE] = "is out of the range of a double",
		[NUMBER_INEXACT] = "has digits that a double cannot hold",
	};
	const char *p = s->json + s->at;
	struct number n;
	size_t at = s->at;
	size_t len = number_read(p, s->len - at, &n);

	if ((len == 0 || at + len == s->len) && ends_in_number(s)) {
		s->at = s->len;
		am_put_nil(s->out);
		return scan_cut(s);
	}
	if (len == 0)
		return scan_not_json(s, at, "malformed number");
	s->at += len;
	put_number(s->out, &n);
	if (n.kind < NUMBER_BEYOND_64_BITS)
		return 0;
	return scan_lose(s, "number %.*s%s at byte %zu %s: send it as a string",
	    scan_shown(p, len), p, scan_more(len), at, faults[n.kind]);
}

enum word { WORD_NULL, WORD_TRUE, WORD_FALSE, WORD_NOT_A_NUMBER };

/* The last three are written by other programs, for values that JSON lacks. */
static const struct {
	const char *text;
	enum word word;
} words[] = {
	{ "null", WORD_NULL },
	{ "true", WORD_TRUE },
	{ "false", WORD_FALSE },
	{ "NaN", WORD_NOT_A_NUMBER },
	{ "Infinity", WORD_NOT_A_NUMBER },
	{ "-Infinity", WORD_NOT_A_NUMBER },
};

static int
put_word(struct scan *s, size_t at, const char *text, enum word word)
{
	if (word == WORD_TRUE || word == WORD_FALSE)
		am_put_bool(s->out, word == WORD_TRUE);
	else
		am_put_nil(s->out);
	if (word == WORD_NOT_A_NUMBER)
		return scan_lose(s, "%s at byte %zu: JSON has no number for it",
		    text, at);
	return 0;
}

static int
scan_word(struct scan *s)
{
	const char *p = s->json + s->at;
	size_t avail = s->len - s->at;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i].text), at = s->at;

		if (memcmp(p, words[i].text, n < avail ? n : avail) != 0)
			continue;
		if (avail < n) {
			am_put_nil(s->out);
			s->at = s->len;
			return scan_cut(s);
		}
		s->at += n;
		return put_word(s, at, words[i].text, words[i].word);
	}
	return scan_not_json(s, s->at, "no value begins like this");
}

/* ---- arrays and objects ---- */

/* The next byte that is not white space; -1 at the end. */
static int
peek(struct scan *s)
{
	while (s->at < s->len) {
		char c = s->json[s->at];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return (unsigned char)c;
		s->at++;
	}
	return -1;
}

static int
scan_key(struct scan *s)
{
	struct json_key key;
	struct scan_string str;
	int r;

	r = peek(s);
	if (r < 0)
		return scan_cut(s);
	if (r != '"')
		return scan_not_json(s, s->at, "a key must be a string");
	key.at = s->at;
	r = scan_string_measure(s, &str);
	if (r != 0)
		return r;
	if (str.is_lost)
		am_put_strn(s->out, "", 0);
	else
		scan_string_put(s, &str);
	if (am_buf_error(s->out) < 0)
		return -ENOMEM;
	key.len = str.is_lost ? 0 : str.len;
	key.start = s->out->len - key.len;
	r = json_keys_push(s->keys, &key);
	if (r < 0)
		return r;
	r = peek(s);
	if (r >= 0 && r != ':')
		return scan_not_json(s, s->at, "a colon must follow a key");
	s->at += r == ':';
	return 0;
}

static int
scan_member(struct scan *s, char close, size_t *n)
{
	int r = close == '}' ? scan_key(s) : 0;

	if (r != 0)
		return r;
	++*n;
	return scan_value(s);
}

/* Scans from after the opening bracket to after the closing one. */
static int
scan_members(struct scan *s, char close, size_t *n)
{
	*n = 0;
	if (peek(s) == close) {
		s->at++;
		return 0;
	}
	for (;;) {
		int r = scan_member(s, close, n);
		int c = r == 0 ? peek(s) : -1;

		if (r != 0)
			return r;
		if (c < 0)
			return scan_cut(s);
		if (c != close && c != ',')
			return scan_not_json(s, s->at,
			    close == ']' ? "a comma or ] must follow a value"
					 : "a comma or } must follow a value");
		s->at++;
		if (c == close)
			return 0;
	}
}

/* The head takes the place of the byte at start. */
static int
put_head(struct am_buf *out, size_t start, bool is_map, size_t n)
{
	size_t end = out->len, len;
	char head[8];

	if (is_map)
		am_put_map(out, n);
	else
		am_put_array(out, n);
	if (am_buf_error(out) < 0)
		return -ENOMEM;
	len = out->len - end;
	memcpy(head, out->data + end, len);
	memmove(out->data + start + len, out->data + start + 1,
	    end - start - 1);
	memcpy(out->data + start, head, len);
	out->len = end + len - 1;
	return 0;
}

/* Turns the map at start into binary if it is {"$bin":"..."}; else returns
 * 1. */
static int
put_bin(struct scan *s, size_t start, size_t at)
{
	am_cleanup(buf_donep) struct am_buf bytes = AM_BUF_INIT;
	struct mp c = mp_of((struct am_val){ s->out->data + start + 1,
	    s->out->len - start - 1 });
	const char *key, *text;
	size_t key_len, len;
	int r;

	if (mp_get_str(&c, &key, &key_len) < 0 || key_len != 4 ||
	    memcmp(key, "$bin", 4) != 0 || mp_get_str(&c, &text, &len) < 0)
		return 1;
	r = base64_decode(&bytes, text, len);
	if (r == -EINVAL)
		r = scan_lose(s,
		    "{\"$bin\":\"%.*s%s\"} at byte %zu is not base64 with "
		    "padding",
		    scan_shown(text, len), text, scan_more(len), at);
	if (r < 0)
		return r;
	s->out->len = start;
	am_put_bin(s->out, bytes.data, bytes.len);
	return 0;
}

/* Ends an object, which is written completely after start. */
static int
close_object(struct scan *s, size_t start, size_t first_key, size_t n,
    size_t at)
{
	const struct json_key *twice = json_keys_pop(s->keys, first_key,
	    s->out->data);
	int r = 1;

	if (twice != NULL &&
	    scan_lose(s,
		"key \"%.*s%s\" at byte %zu is there twice: one would be lost",
		scan_shown(s->out->data + twice->start, twice->len),
		s->out->data + twice->start, scan_more(twice->len),
		twice->at) < 0)
		return -EINVAL;
	if (n == 1)
		r = put_bin(s, start, at);
	return r <= 0 ? r : put_head(s->out, start, true, n);
}

/* Skips a container that is too deep: checks strings and counts brackets. */
static int
skip_container(struct scan *s)
{
	struct scan_string str;
	size_t open = 0;
	int r = 0;

	am_put_nil(s->out);
	while (s->at < s->len && r == 0) {
		char c = s->json[s->at];

		if (c == '"') {
			r = scan_string_measure(s, &str);
			continue;
		}
		s->at++;
		if (c == '[' || c == '{')
			open++;
		else if ((c == ']' || c == '}') && --open == 0)
			return 0;
	}
	return r != 0 ? r : scan_cut(s);
}

static int
scan_container(struct scan *s)
{
	size_t start = s->out->len, at = s->at, first_key = s->keys->n, n;
	bool is_map = s->json[at] == '{';
	int ended, r;

	if (s->depth == s->depth_max) {
		r = scan_lose(s, "nested deeper than %d levels at byte %zu",
		    MP_VALUE_DEPTH_MAX, at);
		return r < 0 ? r : skip_container(s);
	}
	buf_putc(s->out, '\0');
	s->at++;
	s->depth++;
	ended = scan_members(s, is_map ? '}' : ']', &n);
	s->depth--;
	if (ended < 0)
		return ended;
	if (am_buf_error(s->out) < 0)
		return -ENOMEM;
	r = is_map ? close_object(s, start, first_key, n, at)
		   : put_head(s->out, start, false, n);
	return r < 0 ? r : ended;
}

/* Whether it begins like a number. */
static bool
is_infinity(const struct scan *s)
{
	return s->len - s->at > 1 && s->json[s->at + 1] == 'I';
}

static int
scan_value(struct scan *s)
{
	int c = peek(s);

	switch (c) {
	case -1:
		am_put_nil(s->out);
		return scan_cut(s);
	case '"':
		return scan_string(s);
	case '{':
	case '[':
		return scan_container(s);
	default:
		if ((c >= '0' && c <= '9') || (c == '-' && !is_infinity(s)))
			return scan_number(s);
		return scan_word(s);
	}
}

/* ---- whole texts ---- */

/* Some editors and shells put these before a text. */
static const char *
byte_order_mark(const char *json, size_t len)
{
	if (len >= 3 && memcmp(json, "\xef\xbb\xbf", 3) == 0)
		return "a byte order mark (BOM); leave it out";
	if (len >= 2 &&
	    (memcmp(json, "\xff\xfe", 2) == 0 ||
		memcmp(json, "\xfe\xff", 2) == 0))
		return "a byte order mark (BOM) of UTF-16; send UTF-8 without "
		       "one";
	return NULL;
}

static int
scan_text(struct scan *s)
{
	const char *bom = byte_order_mark(s->json, s->len);
	int r;

	if (bom != NULL)
		return scan_not_json(s, 0, bom);
	r = scan_value(s);
	if (r == 0 && peek(s) >= 0)
		r = scan_not_json(s, s->at, "there is text behind the value");
	if (r == 0 && s->is_lossy)
		r = JSON_E_LOSSY;
	return am_buf_error(s->out) < 0 ? -ENOMEM : r;
}

static int
scan(const char *json, size_t len, unsigned n_around, bool is_salvage,
    struct am_buf *out, struct am_error *err)
{
	struct json_keys keys;
	struct scan s = {
		.json = json,
		.len = len,
		.keys = &keys,
		.depth_max = MP_VALUE_DEPTH_MAX + n_around,
		.is_salvage = is_salvage,
		.out = out,
		.err = err,
	};
	size_t start = out->len;
	int r;

	json_keys_init(&keys);
	r = scan_text(&s);
	json_keys_done(&keys);
	if (r < 0)
		out->len = start;
	return r;
}

int
json_decode(const char *json, size_t len, unsigned n_around, struct am_buf *out,
    struct am_error *err)
{
	return scan(json, len, n_around, false, out, err);
}

int
json_salvage(const char *json, size_t len, unsigned n_around,
    struct am_buf *out, struct am_error *err)
{
	return scan(json, len, n_around, true, out, err);
}

int
am_json_decode(const char *json, size_t len, struct am_buf *out,
    struct am_error *err)
{
	return json_decode(json, len, 0, out, err);
}
