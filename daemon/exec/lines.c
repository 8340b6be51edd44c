#include "daemon/exec/lines.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/utf8.h"
#include "proto/mp.h"

/* The key that says what a line is. At most one of them is in it. */
static const struct {
	const char *key;
	enum line_kind kind;
} kinds[] = {
	{ "ready", LINE_READY },
	{ "payload", LINE_ANSWER },
	{ "error", LINE_ERROR },
	{ "accept", LINE_REFUSAL },
	{ "progress", LINE_PROGRESS },
	{ "chunk", LINE_CHUNK },
	{ "add", LINE_ADD },
	{ "remove", LINE_REMOVE },
	{ "pong", LINE_PONG },
	{ "idle", LINE_IDLE },
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* What one pass over a line's keys finds. */
struct found {
	const char *key; /* of kinds[] */
	enum line_kind kind;
	struct am_val val; /* of that key */
	struct am_val req;
	struct am_val args;
	struct am_val reason;
};

static const char no_key[] =
    "the line has \"req\", but none of \"payload\", \"error\", \"accept\", "
    "\"progress\" and \"chunk\"";

#define bad(...) (error_set(__VA_ARGS__), -EBADMSG)

static bool
key_is(const char *key, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(key, name, len) == 0;
}

static int
note_key(struct found *f, const char *key, size_t len, struct am_val val,
    struct am_error *err)
{
	if (key_is(key, len, "req") && f->req.data != NULL)
		return bad(err, "\"req\" is there twice");
	if (key_is(key, len, "req"))
		f->req = val;
	else if (key_is(key, len, "args"))
		f->args = val;
	else if (key_is(key, len, "reason"))
		f->reason = val;
	for (size_t i = 0; i < N_KINDS; i++) {
		if (!key_is(key, len, kinds[i].key))
			continue;
		if (f->key != NULL)
			return bad(err, "both \"%s\" and \"%s\" in one line",
			    f->key, kinds[i].key);
		f->key = kinds[i].key;
		f->kind = kinds[i].kind;
		f->val = val;
	}
	return 0;
}

static int
find_keys(struct am_val line, struct found *f, struct am_error *err)
{
	struct mp c = mp_of(line);
	uint32_t n;

	if (mp_get_map(&c, &n) < 0)
		return bad(err, "not a JSON object");
	for (uint32_t i = 0; i < n; i++) {
		const char *key;
		size_t len;
		struct am_val val;
		int r;

		if (mp_get_str(&c, &key, &len) < 0 || mp_get_val(&c, &val) < 0)
			return bad(err, "not a JSON object");
		r = note_key(f, key, len, val, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A text of the program, cut to fit; fallback if there is none. */
static void
take_text(struct am_val val, const char *fallback, char *buf, size_t size)
{
	struct mp c = mp_of(val);
	const char *s = fallback;
	size_t len = 0;

	if (mp_get_str(&c, &s, &len) < 0 || len == 0) {
		s = fallback;
		len = strlen(fallback);
	}
	utf8_copy(buf, size, s, len);
}

static void
read_error(struct am_val val, struct line_msg *m)
{
	struct mp c = mp_of(val);
	struct am_val code = AM_NONE;
	struct am_val text = AM_NONE;

	/* {"error":"no such file"} is plain enough. */
	if (mp_type(&c) == MP_STR) {
		text = val;
	} else {
		(void)am_get(val, "code", &code);
		(void)am_get(val, "message", &text);
	}
	take_text(code, "failed", m->code, sizeof(m->code));
	take_text(text, "the program gave no message", m->text,
	    sizeof(m->text));
}

static int
read_details(const struct found *f, struct line_msg *m, struct am_error *err)
{
	struct mp req = mp_of(f->req);
	struct mp c = mp_of(f->val);
	bool accept;

	switch (f->kind) {
	case LINE_REFUSAL:
		if (mp_get_bool(&c, &accept) < 0 || accept) {
			/* An acceptance is no answer and not asked for. */
			m->kind = LINE_NOTHING;
			return 0;
		}
		take_text(f->reason, "the program gave no reason", m->text,
		    sizeof(m->text));
		break;
	case LINE_ERROR:
		read_error(f->val, m);
		break;
	case LINE_ANSWER:
	case LINE_PROGRESS:
	case LINE_CHUNK:
		m->data = f->val;
		break;
	case LINE_ADD:
	case LINE_REMOVE:
		m->names = f->val;
		m->data = f->args;
		return 0;
	case LINE_NOTHING:
		if (f->req.data == NULL)
			return 0;
		m->kind = LINE_ERROR;
		take_text(AM_NONE, "bad_answer", m->code, sizeof(m->code));
		take_text(AM_NONE, no_key, m->text, sizeof(m->text));
		break;
	case LINE_READY:
	case LINE_BAD_PART:
	case LINE_PONG:
	case LINE_IDLE:
		return 0;
	}
	if (mp_get_uint(&req, UINT64_MAX, &m->req) == 0)
		return 0;
	if (f->key == NULL)
		return bad(err, "\"req\" is not a number");
	return bad(err, "\"%s\" without the \"req\" that it is for", f->key);
}

/* The line is for a request, which it spoils: text says why. */
static int
spoil(struct line_msg *m, const char *code, const char *text,
    struct am_error *err)
{
	switch (m->kind) {
	case LINE_ANSWER:
	case LINE_ERROR:
	case LINE_REFUSAL:
		m->kind = LINE_ERROR;
		break;
	case LINE_PROGRESS:
	case LINE_CHUNK:
		m->kind = LINE_BAD_PART;
		break;
	case LINE_NOTHING:
	case LINE_READY:
	case LINE_BAD_PART:
	case LINE_ADD:
	case LINE_REMOVE:
	case LINE_PONG:
	case LINE_IDLE:
		return bad(err, "%s", text);
	}
	utf8_copy(m->code, sizeof(m->code), code, strlen(code));
	utf8_copy(m->text, sizeof(m->text), text, strlen(text));
	return 0;
}

/* What json_salvage() returns, but for its errors: -EBADMSG with a message. */
static int
parse(const char *line, size_t len, struct am_buf *buf, struct line_msg *ret,
    struct am_error *why, struct am_error *err)
{
	struct found f = { .kind = LINE_NOTHING };
	int json, r;

	*ret = (struct line_msg){ .kind = LINE_NOTHING };
	am_buf_reset(buf);
	json = json_salvage(line, len, 1, buf, why);
	if (json == -ENOMEM)
		return json;
	if (json < 0)
		return bad(err, "%s", why->text);
	r = find_keys(am_buf_val(buf), &f, err);
	if (r < 0)
		return r;
	ret->kind = f.kind;
	r = read_details(&f, ret, err);
	return r < 0 ? r : json;
}

int
line_parse(const char *line, size_t len, struct am_buf *buf,
    struct line_msg *ret, struct am_error *err)
{
	struct am_error why;
	int r = parse(line, len, buf, ret, &why, err);

	if (r == JSON_E_CUT)
		return bad(err, "%s", why.text);
	return r == JSON_E_LOSSY ? spoil(ret, "bad_payload", why.text, err) : r;
}

int
line_parse_long(const char *line, size_t len, size_t max, struct am_buf *buf,
    struct line_msg *ret, struct am_error *err)
{
	struct am_error why;
	int r = parse(line, len, buf, ret, &why, err);

	if (r < 0)
		return r;
	(void)error_set(&why,
	    "a line is longer than %zu bytes (Worker.LineMax)", max);
	return spoil(ret, "too_big", why.text, err);
}

/* ---- ready ---- */

static int
note_ability(const char *name, size_t len, void *arg)
{
	struct line_ready *r = arg;

	if (key_is(name, len, "ping"))
		r->can_ping = true;
	else if (key_is(name, len, "reset"))
		r->can_reset = true;
	else if (key_is(name, len, "cancel"))
		r->can_cancel = true;
	return 0;
}

int
line_parse_ready(struct am_val whole, struct line_ready *ret,
    struct am_error *err)
{
	struct line_ready r = { .concurrency = 1 };
	struct am_val can;
	int64_t n;
	int found;

	if (am_get_int(whole, "ready", &n) < 0 || n != 1)
		return bad(err,
		    "\"ready\" is not 1, the version of am-worker "
		    "that this host speaks");
	if (am_get(whole, "can", &can) == 0 &&
	    line_each_name(can, note_ability, &r) < 0)
		return bad(err, "\"can\" is not an array of strings");
	found = am_get_int(whole, "concurrency", &n);
	if (found == 0 && n >= 1 && n <= LINE_CONCURRENCY_MAX)
		r.concurrency = (unsigned int)n;
	else if (found != -ENOENT)
		return bad(err, "\"concurrency\" is not a number from 1 to %d",
		    LINE_CONCURRENCY_MAX);
	(void)am_get(whole, "states", &r.states);
	*ret = r;
	return 0;
}

int
line_each_name(struct am_val val,
    int (*fn)(const char *name, size_t len, void *arg), void *arg)
{
	struct mp c = mp_of(val);
	uint32_t n;

	if (mp_get_array(&c, &n) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		const char *name;
		size_t len;
		int r;

		if (mp_get_str(&c, &name, &len) < 0)
			return -EINVAL;
		r = fn(name, len, arg);
		if (r != 0)
			return r;
	}
	return 0;
}
