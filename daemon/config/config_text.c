#include "daemon/config/config_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config/config_key.h"
#include "lib/base/buf.h"
#include "lib/base/utf8.h"

enum {
	SECTION_MAX = 64,
	ORIGIN_MAX = 4200,
};

enum place {
	PLACE_TOP,     /* before any section */
	PLACE_SECTION, /* in one that we know */
	PLACE_BAD,     /* in one that was complained of: its keys are skipped */
};

struct piece {
	char *s;
	size_t len;
};

int
config_text_check(const char *s, size_t len, struct am_error *err)
{
	for (size_t i = 0, n; i < len; i += n) {
		unsigned char c = (unsigned char)s[i];

		n = utf8_len(s + i, len - i);
		if (n == 0)
			return error_set(err,
			    "is not text: byte 0x%02x is not UTF-8 here", c);
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return error_set(err,
			    "is not text: byte 0x%02x is a control character",
			    c);
	}
	return 0;
}

bool
config_text_goes_on(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[len - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

struct reader {
	const char *path;
	struct config *config;
	struct config_errors *errors;
	unsigned line;      /* that is being read */
	struct piece entry; /* its lines, joined in place */
	unsigned first;     /* line on which the entry begins */
	bool goes_on;       /* the last line ended in a backslash */
	enum place place;
	char section[SECTION_MAX + 1];
	unsigned set_on[CONFIG__COUNT]; /* line; 0: not in this file */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct piece
trim(struct piece p)
{
	while (p.len > 0 && is_blank(p.s[0])) {
		p.s++;
		p.len--;
	}
	while (p.len > 0 && is_blank(p.s[p.len - 1]))
		p.len--;
	return p;
}

static void __attribute__((format(printf, 2, 3)))
complain(struct reader *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	config_complain(r->errors, "%s:%u: %s", r->path, r->first, text);
}

/* Complains unless it is UTF-8 without control characters but the tab. */
static bool
is_text(struct reader *r, struct piece p)
{
	struct am_error err;

	if (config_text_check(p.s, p.len, &err) == 0)
		return true;
	complain(r, "%s", err.text);
	return false;
}

static void
read_section(struct reader *r, struct piece p)
{
	struct piece name;

	r->place = PLACE_BAD;
	if (p.s[p.len - 1] != ']') {
		complain(r, "a section is written [Section]: the ] is missing");
		return;
	}
	name = trim((struct piece){ p.s + 1, p.len - 2 });
	if (name.len > SECTION_MAX) {
		complain(r, "the name of a section is too long");
		return;
	}
	memcpy(r->section, name.s, name.len);
	r->section[name.len] = '\0';
	if (config_has_section(r->section))
		r->place = PLACE_SECTION;
	else
		complain(r, "[%s]: unknown section; " CONFIG_HINT, r->section);
}

static void
read_key(struct reader *r, const char *key, const char *value)
{
	char origin[ORIGIN_MAX];
	int row;

	(void)snprintf(origin, sizeof(origin), "%s:%u", r->path, r->first);
	row = config_find(r->section, key, origin, r->errors);
	if (row < 0)
		return;
	if (r->set_on[row] > 0) {
		complain(r, "%s.%s: is already set on line %u", r->section, key,
		    r->set_on[row]);
		return;
	}
	r->set_on[row] = r->first;
	config_take(r->config, (size_t)row, value, origin, r->errors);
}

/* A section, or Key=Value. */
static void
end_entry(struct reader *r)
{
	struct piece p = trim(r->entry), key, value;
	char *is;

	r->entry.len = 0;
	if (p.len == 0 || !is_text(r, p))
		return;
	if (config_text_goes_on(p.s, p.len)) {
		complain(r, "has blanks after the backslash at its end");
		return;
	}
	if (p.s[0] == '[') {
		read_section(r, p);
		return;
	}
	if (r->place == PLACE_TOP)
		complain(r, "stands before any [Section]");
	if (r->place != PLACE_SECTION)
		return;
	is = memchr(p.s, '=', p.len);
	key = trim((struct piece){ p.s, is != NULL ? (size_t)(is - p.s) : 0 });
	if (key.len == 0) {
		complain(r, "is neither [Section] nor Key=Value");
		return;
	}
	value = trim((struct piece){ is + 1, p.len - (size_t)(is + 1 - p.s) });
	key.s[key.len] = '\0';
	value.s[value.len] = '\0';
	read_key(r, key.s, value.s);
}

static void
read_line(struct reader *r, struct piece p)
{
	struct piece line = p;

	while (line.len > 0 && is_blank(line.s[0]))
		line = (struct piece){ line.s + 1, line.len - 1 };
	if (line.len > 0 && line.s[line.len - 1] == '\r')
		line.len--;
	/* Comments may also stand between the lines of an entry. */
	if (line.len > 0 && (line.s[0] == '#' || line.s[0] == ';'))
		return;
	if (!r->goes_on) {
		r->first = r->line;
		r->entry = (struct piece){ p.s, 0 };
	}
	r->goes_on = config_text_goes_on(line.s, line.len);
	if (r->goes_on)
		line.s[line.len - 1] = ' ';
	memmove(r->entry.s + r->entry.len, line.s, line.len);
	r->entry.len += line.len;
	if (!r->goes_on)
		end_entry(r);
}

void
config_text_read(struct config *c, const char *path, char *text, size_t len,
    struct config_errors *e)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct reader r = { .path = path, .config = c, .errors = e };
	char *end = text + len, *p = text, *nl;

	if (len >= sizeof(bom) - 1 && memcmp(p, bom, sizeof(bom) - 1) == 0)
		p += sizeof(bom) - 1;
	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		r.line++;
		read_line(&r, (struct piece){ p, (size_t)(nl - p) });
	}
	if (r.goes_on)
		complain(&r, "ends in a backslash, but no line follows");
}
