#include "lib/base/json_scan.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "proto/mp.h"

enum { NUMBER_MAX = 64 };

struct scan {
	const char *json; /* borrowed */
	size_t len;
	size_t at;
	unsigned depth;
	struct am_buf *is_whole; /* borrowed */
	struct am_error *err;    /* borrowed; may be NULL */
};

size_t
utf8_len(const char *s, size_t avail)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1
	    : u[0] < 0xc2      ? 0
	    : u[0] < 0xe0      ? 2
	    : u[0] < 0xf0      ? 3
	    : u[0] < 0xf5      ? 4
			       : 0;

	if (n == 0 || n > avail)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

static int
not_json(const struct scan *s, const char *what)
{
	return error_set(s->err, "not JSON at byte %zu: %s", s->at, what);
}

static int
scan_string(struct scan *s)
{
	size_t start = s->at++;

	while (s->at < s->len && s->json[s->at] != '"') {
		const char *p = s->json + s->at;
		size_t left = s->len - s->at;
		size_t n = utf8_len(p, left);

		if (n == 0)
			return error_set(s->err,
			    "string at byte %zu is not UTF-8 (byte %zu): "
			    "send it as {\"$bin\":\"base64\"}",
			    start, s->at);
		if ((unsigned char)*p < ' ')
			return not_json(s, "control character in a string");
		if (*p == '\\') {
			if (left >= 6 && memcmp(p, "\\u0000", 6) == 0)
				return error_set(s->err,
				    "string at byte %zu holds a NUL "
				    "(byte %zu): send it as "
				    "{\"$bin\":\"base64\"}",
				    start, s->at);
			n = left >= 2 ? 2 : 1;
		}
		s->at += n;
	}
	if (s->at == s->len) {
		s->at = start;
		return not_json(s, "string without an end");
	}
	s->at++;
	return 0;
}

static size_t
skip_digits(const struct scan *s, size_t i)
{
	while (i < s->len && isdigit((unsigned char)s->json[i]))
		i++;
	return i;
}

/* The end of the number at s->at by the grammar of JSON; 0 if it is none. */
static size_t
number_end(const struct scan *s, bool *ret_is_whole)
{
	size_t i = s->at, start;

	*ret_is_whole = true;
	if (s->json[i] == '-')
		i++;
	start = i;
	i = skip_digits(s, i);
	if (i == start || (s->json[start] == '0' && i > start + 1))
		return 0;
	if (i < s->len && s->json[i] == '.') {
		*ret_is_whole = false;
		start = ++i;
		i = skip_digits(s, i);
		if (i == start)
			return 0;
	}
	if (i < s->len && (s->json[i] == 'e' || s->json[i] == 'E')) {
		*ret_is_whole = false;
		i++;
		if (i < s->len && (s->json[i] == '+' || s->json[i] == '-'))
			i++;
		start = i;
		i = skip_digits(s, i);
		if (i == start)
			return 0;
	}
	return i;
}

static int
scan_number(struct scan *s)
{
	const char *p = s->json + s->at;
	char text[NUMBER_MAX];
	bool is_whole;
	size_t end = number_end(s, &is_whole), len;
	double d;

	if (end == 0)
		return not_json(s, "malformed number");
	len = end - s->at;
	if (len >= sizeof(text))
		return error_set(s->err, "number at byte %zu is too long",
		    s->at);
	memcpy(text, p, len);
	text[len] = '\0';
	d = strtod(text, NULL);
	/* 2^53 + 1 becomes 2^53 as a double, so that one is compared as text. */
	if (is_whole &&
	    (fabs(d) > 0x1p53 ||
		(fabs(d) == 0x1p53 &&
		    strstr(text, "9007199254740992") == NULL)))
		return error_set(s->err,
		    "integer %s at byte %zu is beyond 2^53 and would be "
		    "changed on the way: send it as a string",
		    text, s->at);
	if (isinf(d))
		return error_set(s->err,
		    "number %s at byte %zu is beyond what a double can hold",
		    text, s->at);
	buf_putc(s->is_whole, is_whole ? 1 : 0);
	s->at = end;
	return 0;
}

static int
scan_word(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);

		if (s->len - s->at >= n &&
		    memcmp(s->json + s->at, words[i], n) == 0) {
			s->at += n;
			return 0;
		}
	}
	return not_json(s, "no value begins like this");
}

static int
scan_token(struct scan *s)
{
	char c = s->json[s->at];

	switch (c) {
	case '"':
		return scan_string(s);
	case '{':
	case '[':
		if (s->depth == MP_VALUE_DEPTH_MAX)
			return error_set(s->err,
			    "nested deeper than %d levels at byte %zu",
			    MP_VALUE_DEPTH_MAX, s->at);
		s->depth++;
		s->at++;
		return 0;
	case '}':
	case ']':
		if (s->depth == 0)
			return not_json(s, "nothing is open to be closed");
		s->depth--;
		s->at++;
		return 0;
	case ',':
	case ':':
	case ' ':
	case '\t':
	case '\n':
	case '\r':
		s->at++;
		return 0;
	default:
		if (c == '-' || isdigit((unsigned char)c))
			return scan_number(s);
		return scan_word(s);
	}
}

int
json_scan(const char *json, size_t len, struct am_buf *is_whole,
    struct am_error *err)
{
	struct scan s = {
		.json = json,
		.len = len,
		.is_whole = is_whole,
		.err = err,
	};

	while (s.at < s.len) {
		int r = scan_token(&s);

		if (r < 0)
			return r;
	}
	return am_buf_error(is_whole);
}
