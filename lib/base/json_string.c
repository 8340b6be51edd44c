/* JSON input: strings, and messages about refused texts. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/json_scan.h"
#include "lib/base/utf8.h"

enum { SHOWN_MAX = 64 }; /* bytes of the text in a message */

/* ---- errors ---- */

int
scan_not_json(const struct scan *s, size_t at, const char *what)
{
	return error_set(s->err, "not JSON at byte %zu: %s", at, what);
}

int
scan_cut(struct scan *s)
{
	if (s->is_salvage && s->is_lossy)
		return JSON_E_CUT;
	(void)scan_not_json(s, s->len, "the text ends too early");
	return s->is_salvage ? JSON_E_CUT : -EINVAL;
}

int
scan_lose(struct scan *s, const char *fmt, ...)
{
	char text[AM_ERROR_MAX];
	va_list ap;

	if (s->is_lossy)
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->is_lossy = true;
	(void)error_set(s->err, "%s", text);
	return s->is_salvage ? 0 : -EINVAL;
}

int
scan_shown(const char *p, size_t len)
{
	return (int)utf8_cut(p, len, SHOWN_MAX);
}

const char *
scan_more(size_t len)
{
	return len > SHOWN_MAX ? "..." : "";
}

/* ---- strings ---- */

/* How many of the first four characters are hex digits, up to one that is not,
 * and their value. */
static size_t
hex4(const char *p, size_t avail, uint32_t *ret)
{
	size_t i = 0;

	for (*ret = 0; i < 4 && i < avail; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9' ? c - '0'
		    : c >= 'a' && c <= 'f'       ? c - 'a' + 10
		    : c >= 'A' && c <= 'F'       ? c - 'A' + 10
						 : -1;

		if (digit < 0)
			break;
		*ret = *ret * 16 + (uint32_t)digit;
	}
	return i;
}

enum escape_fault {
	ESCAPE_OK,
	ESCAPE_UNKNOWN, /* a letter that JSON does not have */
	ESCAPE_HEX,     /* \u without four digits */
	ESCAPE_HALF,    /* half of a surrogate pair */
	ESCAPE_NUL,
	ESCAPE_CUT, /* the text ends in it */
};

static enum escape_fault
escape_unicode(const char *p, size_t avail, size_t *ret_n, uint32_t *ret)
{
	uint32_t high, low = 0;
	size_t n = hex4(p + 2, avail - 2, &high);

	if (n < 4)
		return n == avail - 2 ? ESCAPE_CUT : ESCAPE_HEX;
	*ret_n = 6;
	*ret = high;
	if (high < 0xd800 || high > 0xdfff)
		return high == 0 ? ESCAPE_NUL : ESCAPE_OK;
	if (high > 0xdbff || avail < 12 || p[6] != '\\' || p[7] != 'u' ||
	    hex4(p + 8, 4, &low) < 4 || low < 0xdc00 || low > 0xdfff)
		return ESCAPE_HALF;
	*ret_n = 12;
	*ret = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
	return ESCAPE_OK;
}

/* Decodes the escape at p: its length, and its character. */
static enum escape_fault
escape_read(const char *p, size_t avail, size_t *ret_n, uint32_t *ret)
{
	static const char letters[] = { '"', '\\', '/', 'b', 'f', 'n', 'r',
		't' };
	static const char means[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	*ret_n = 2;
	if (avail < 2)
		return ESCAPE_CUT;
	if (p[1] == 'u')
		return escape_unicode(p, avail, ret_n, ret);
	letter = memchr(letters, p[1], sizeof(letters));
	if (letter == NULL)
		return ESCAPE_UNKNOWN;
	*ret = (uint32_t)means[letter - letters];
	return ESCAPE_OK;
}

/* Checks the escape at *i and moves past it; it makes str shorter. */
static int
measure_escape(struct scan *s, struct scan_string *str, size_t *i)
{
	const char *p = s->json + *i;
	uint32_t code = 0;
	size_t n;
	char utf8[4];
	enum escape_fault fault = escape_read(p, s->len - *i, &n, &code);

	switch (fault) {
	case ESCAPE_OK:
		str->len += utf8_put(utf8, code);
		*i += n;
		return 0;
	case ESCAPE_UNKNOWN:
		return scan_not_json(s, *i,
		    "no such escape; write a backslash as \\\\");
	case ESCAPE_HEX:
		return scan_not_json(s, *i,
		    "\\u without four hex digits; write a backslash as \\\\");
	case ESCAPE_CUT:
		*i = s->len;
		return 0;
	case ESCAPE_HALF:
	case ESCAPE_NUL:
		break;
	}
	str->is_lost = true;
	*i += n;
	if (fault == ESCAPE_HALF)
		return scan_lose(s,
		    "string at byte %zu: %.6s at byte %zu is half of a "
		    "surrogate pair",
		    str->start - 1, p, *i - n);
	return scan_lose(s,
	    "string at byte %zu holds a NUL at byte %zu: send it as "
	    "{\"$bin\":\"base64\"}",
	    str->start - 1, *i - n);
}

static int
measure_special(struct scan *s, struct scan_string *str, size_t *i)
{
	const char *p = s->json + *i;
	size_t n;

	if (*p == '\\')
		return measure_escape(s, str, i);
	if ((unsigned char)*p < ' ') {
		char what[64];

		(void)snprintf(what, sizeof(what),
		    "control character in a string; write it as \\u%04x", *p);
		return scan_not_json(s, *i, what);
	}
	n = utf8_len(p, s->len - *i);
	*i += n == 0 ? 1 : n;
	str->len += n;
	if (n > 0)
		return 0;
	str->is_lost = true;
	return scan_lose(s,
	    "string at byte %zu is not UTF-8 at byte %zu: send it as "
	    "{\"$bin\":\"base64\"}",
	    str->start - 1, *i - 1);
}

int
scan_string_measure(struct scan *s, struct scan_string *ret)
{
	size_t i = s->at + 1;

	*ret = (struct scan_string){ .start = i };
	for (;;) {
		size_t from = i;
		int r;

		while (i < s->len && json_is_plain(s->json[i]))
			i++;
		ret->len += i - from;
		if (i >= s->len) {
			s->at = s->len;
			ret->is_lost = true;
			return scan_cut(s);
		}
		if (s->json[i] == '"')
			break;
		r = measure_special(s, ret, &i);
		if (r < 0)
			return r;
	}
	ret->end = i;
	s->at = i + 1;
	return 0;
}

/* Writes the string's bytes over those at the end. */
static void
copy_escaped(const struct scan *s, const struct scan_string *str)
{
	const char *p = s->json + str->start, *end = s->json + str->end;
	char *to = s->out->data + s->out->len - str->len;

	while (p < end) {
		uint32_t code = 0;
		size_t n = 1;

		if (*p != '\\') {
			*to++ = *p++;
			continue;
		}
		(void)escape_read(p, (size_t)(end - p), &n, &code);
		to += utf8_put(to, code);
		p += n;
	}
}

void
scan_string_put(const struct scan *s, const struct scan_string *str)
{
	if (str->len == str->end - str->start) {
		am_put_strn(s->out, s->json + str->start, str->len);
		return;
	}
	/* The right head, and bytes to be replaced. */
	am_put_strn(s->out, s->json + str->start, str->len);
	if (am_buf_error(s->out) == 0)
		copy_escaped(s, str);
}
