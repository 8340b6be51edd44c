#include "proto/arpc.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/mp.h"

static const struct {
	const char *text;
	uint8_t len;
} methods[ARPC__COUNT] = {
#define MSG(name, dir, answer) [ARPC_##name] = { #name, sizeof(#name) - 1 },
#include "proto/arpc_msg.tbl.h"
#undef MSG
};

static const char *const errors[ARPC_E__COUNT] = {
#define X(name) [ARPC_E_##name] = #name,
	ARPC_ERRORS(X)
#undef X
};

/* Sets the reason of a decoder that refuses. */
static int
bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

const char *
arpc_method_name(enum arpc_method m)
{
	return m < ARPC__COUNT ? methods[m].text : "unknown";
}

static enum arpc_method
method_of(const char *name, size_t len)
{
	for (unsigned m = 0; m < ARPC__COUNT; m++)
		if (len == methods[m].len &&
		    memcmp(name, methods[m].text, len) == 0)
			return (enum arpc_method)m;
	return ARPC_UNKNOWN;
}

/* ---- frames ---- */

static int
response_get(struct mp *c, struct arpc_frame *ret)
{
	if (mp_get_nil(c) == 0)
		ret->error = AM_NONE;
	else if (mp_get_val(c, &ret->error) < 0)
		return -EBADMSG;
	ret->method = ARPC_UNKNOWN;
	ret->name = "";
	ret->name_len = 0;
	ret->params = mp_rest(c);
	return ret->params.data == NULL ? -EBADMSG : 0;
}

static int
call_get(struct mp *c, struct arpc_frame *ret, const char **ret_why)
{
	if (mp_get_str(c, &ret->name, &ret->name_len) < 0)
		return bad(ret_why, "the method is not a string");
	ret->method = method_of(ret->name, ret->name_len);
	ret->error = AM_NONE;
	if (mp_type(c) != MP_ARRAY)
		return bad(ret_why, "params are not an array");
	ret->params = mp_rest(c);
	return 0;
}

int
arpc_frame_get(const void *data, size_t len, struct arpc_frame *ret,
    const char **ret_why)
{
	struct mp c = mp_of((struct am_val){ data, len });
	struct arpc_frame f = { .id = 0 };
	uint64_t kind, id;
	uint32_t n;
	int r;

	if (mp_get_array(&c, &n) < 0)
		return bad(ret_why, "the frame is not an array");
	if (n == 0 || mp_get_uint(&c, ARPC_NOTIFICATION, &kind) < 0)
		return bad(ret_why, "the type is not 0, 1 or 2");
	f.kind = (enum arpc_kind)kind;
	if (n != (f.kind == ARPC_NOTIFICATION ? 3 : 4))
		return bad(ret_why, "wrong number of elements");
	if (f.kind != ARPC_NOTIFICATION) {
		if (mp_get_uint(&c, UINT32_MAX, &id) < 0)
			return bad(ret_why, "the id does not fit 32 bits");
		f.id = (uint32_t)id;
	}
	*ret_why = "the frame is malformed";
	r = f.kind == ARPC_RESPONSE ? response_get(&c, &f)
				    : call_get(&c, &f, ret_why);
	if (r < 0)
		return r;
	*ret = f;
	return 0;
}

void
arpc_put_request(struct am_buf *b, uint32_t id, enum arpc_method m)
{
	am_put_array(b, 4);
	am_put_uint(b, ARPC_REQUEST);
	am_put_uint(b, id);
	am_put_strn(b, methods[m].text, methods[m].len);
}

void
arpc_put_notification(struct am_buf *b, enum arpc_method m)
{
	am_put_array(b, 3);
	am_put_uint(b, ARPC_NOTIFICATION);
	am_put_strn(b, methods[m].text, methods[m].len);
}

void
arpc_put_response(struct am_buf *b, uint32_t id)
{
	am_put_array(b, 4);
	am_put_uint(b, ARPC_RESPONSE);
	am_put_uint(b, id);
	am_put_nil(b);
}

/* ---- errors ---- */

/* The length of the text without a UTF-8 sequence that was cut in the
 * middle. */
static size_t
whole_chars(const char *s, size_t len)
{
	size_t lead = len, want;
	unsigned char u;

	while (lead > 0 && len - lead < 4 &&
	    ((unsigned char)s[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0 || (unsigned char)s[lead - 1] < 0xc0)
		return len;
	u = (unsigned char)s[lead - 1];
	want = u >= 0xf0 ? 4 : u >= 0xe0 ? 3 : 2;
	return len - lead + 1 < want ? lead - 1 : len;
}

/* Puts a text of at most ARPC_TEXT_MAX bytes. */
static void
put_text(struct am_buf *b, const char *s)
{
	size_t len = strnlen(s, ARPC_TEXT_MAX);

	if (s[len] != '\0')
		len = whole_chars(s, len);
	am_put_strn(b, s, len);
}

const char *
arpc_error_name(enum arpc_error e)
{
	return errors[e];
}

void
arpc_put_error(struct am_buf *b, uint32_t id, enum arpc_error e,
    const char *field, const char *fmt, ...)
{
	char what[ARPC_TEXT_MAX], text[ARPC_TEXT_MAX + 1];
	va_list ap;
	int n;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (field == NULL)
		n = snprintf(text, sizeof(text), "%s: %s", errors[e], what);
	else
		n = snprintf(text, sizeof(text), "%s: %s (%s)", errors[e], what,
		    field);
	if (n >= (int)sizeof(text))
		text[whole_chars(text, sizeof(text) - 1)] = '\0';
	am_put_array(b, 4);
	am_put_uint(b, ARPC_RESPONSE);
	am_put_uint(b, id);
	put_text(b, text);
	am_put_nil(b);
}

enum arpc_error
arpc_error_get(struct am_val error, const char **ret_text, size_t *ret_len)
{
	struct mp c = mp_of(error);
	const char *s;
	size_t len;

	if (mp_get_str(&c, &s, &len) < 0) {
		*ret_text = "an error that is not a string";
		*ret_len = strlen(*ret_text);
		return ARPC_E_internal;
	}
	*ret_text = s;
	*ret_len = len;
	for (unsigned e = 0; e < ARPC_E__COUNT; e++) {
		size_t n = strlen(errors[e]);

		if (len >= n + 2 && memcmp(s, errors[e], n) == 0 &&
		    memcmp(s + n, ": ", 2) == 0) {
			*ret_text = s + n + 2;
			*ret_len = len - n - 2;
			return (enum arpc_error)e;
		}
	}
	return ARPC_E_internal;
}

void
arpc_put_bye(struct am_buf *b, const char *reason)
{
	arpc_put_notification(b, ARPC_bye);
	am_put_array(b, 1);
	put_text(b, reason);
}

/* ---- hello ---- */

/* The params must be one map. */
static int
only_map(struct am_val params, struct am_val *ret, const char **ret_why)
{
	struct mp c = mp_of(params);
	uint32_t n;

	if (mp_get_array(&c, &n) < 0 || n != 1 || mp_type(&c) != MP_MAP ||
	    mp_get_val(&c, ret) < 0)
		return bad(ret_why, "params are not one map");
	return 0;
}

static int
get_uint(struct am_val map, const char *key, uint64_t max, uint64_t *ret)
{
	struct am_val v = AM_NONE;
	struct mp c;
	int r = am_get(map, key, &v);

	if (r < 0)
		return r;
	c = mp_of(v);
	return mp_get_uint(&c, max, ret);
}

/* A text for people: truncated, with control characters replaced. */
static int
shown_get(struct am_val v, char *buf, size_t size)
{
	struct mp c = mp_of(v);
	const char *s;
	size_t len;
	int r = mp_get_str(&c, &s, &len);

	if (r < 0)
		return r;
	if (len >= size)
		len = whole_chars(s, size - 1);
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)((unsigned char)s[i] < ' ' || s[i] == 0x7f
			? '?'
			: s[i]);
	buf[len] = '\0';
	return 0;
}

static int
token_get(struct am_val v, uint8_t *ret)
{
	struct mp c = mp_of(v);
	const void *p;
	size_t len;
	int r = mp_get_bin(&c, &p, &len);

	if (r < 0)
		return r;
	if (len != ARPC_TOKEN_LEN)
		return -ERANGE;
	memcpy(ret, p, len);
	return 0;
}

static bool
has_sync(const struct arpc_sync *y)
{
	return y->allow.data != NULL || y->skip.data != NULL || y->shallow ||
	    y->mutations || y->no_schema || y->no_events ||
	    y->prompt.data != NULL;
}

static void
put_sync(struct am_buf *b, const struct arpc_sync *y)
{
	am_put_str(b, "sync");
	am_put_map(b,
	    (y->allow.data != NULL) + (y->skip.data != NULL) +
		(size_t)y->shallow + y->mutations + y->no_schema +
		y->no_events + (y->prompt.data != NULL));
	if (y->allow.data != NULL) {
		am_put_str(b, "allow");
		am_put_val(b, y->allow);
	}
	if (y->skip.data != NULL) {
		am_put_str(b, "skip");
		am_put_val(b, y->skip);
	}
	if (y->shallow) {
		am_put_str(b, "shallow");
		am_put_bool(b, true);
	}
	if (y->mutations) {
		am_put_str(b, "mutations");
		am_put_bool(b, true);
	}
	if (y->no_schema) {
		am_put_str(b, "schema");
		am_put_bool(b, false);
	}
	if (y->no_events) {
		am_put_str(b, "events");
		am_put_bool(b, false);
	}
	if (y->prompt.data != NULL) {
		am_put_str(b, "prompt");
		am_put_val(b, y->prompt);
	}
}

void
arpc_put_hello(struct am_buf *b, uint32_t id, const struct arpc_hello *h)
{
	bool has_name = h->name[0] != '\0';

	arpc_put_request(b, id, ARPC_hello);
	am_put_array(b, 1);
	am_put_map(b,
	    2 + (size_t)has_name + h->has_token + h->has_hash + h->has_resume +
		has_sync(&h->sync));
	am_put_str(b, "proto");
	am_put_uint(b, h->proto);
	am_put_str(b, "id");
	am_put_uint(b, h->client_id);
	if (has_name) {
		am_put_str(b, "name");
		am_put_str(b, h->name);
	}
	if (h->has_token) {
		am_put_str(b, "token");
		am_put_bin(b, h->token, sizeof(h->token));
	}
	if (h->has_hash) {
		am_put_str(b, "hash");
		am_put_uint(b, h->hash);
	}
	if (h->has_resume) {
		am_put_str(b, "resume");
		am_put_map(b, h->resume_epoch != 0 ? 1 : 0);
		if (h->resume_epoch != 0) {
			am_put_str(b, "epoch");
			am_put_uint(b, h->resume_epoch);
		}
	}
	if (has_sync(&h->sync))
		put_sync(b, &h->sync);
}

enum { HELLO_KEYS_MAX = 64 };

/* The values of these keys, AM_NONE of those that the map has not, in one pass:
 * a peer that nobody knows yet may send any map. A key twice is malformed, and so are
 * many keys. */
static int
pick(struct am_val map, const char *const *keys, size_t n_keys,
    struct am_val *ret)
{
	struct mp c = mp_of(map);
	struct am_val value;
	const char *text;
	size_t len, k;
	uint32_t n;

	if (mp_get_map(&c, &n) < 0 || n > HELLO_KEYS_MAX)
		return -EBADMSG;
	for (k = 0; k < n_keys; k++)
		ret[k] = AM_NONE;
	for (; n > 0; n--) {
		if (mp_get_str(&c, &text, &len) < 0 ||
		    mp_get_val(&c, &value) < 0)
			return -EBADMSG;
		for (k = 0; k < n_keys; k++)
			if (strlen(keys[k]) == len &&
			    memcmp(keys[k], text, len) == 0)
				break;
		if (k == n_keys)
			continue;
		if (ret[k].len > 0)
			return -EBADMSG;
		ret[k] = value;
	}
	return 0;
}

/* An optional value of a type; 0 without one. */
static bool
is_none_or(struct am_val v, enum mp_type type)
{
	struct mp c = mp_of(v);

	return v.len == 0 || mp_type(&c) == type;
}

static int
flag_get(struct am_val v, bool *ret)
{
	struct mp c = mp_of(v);

	return v.len == 0 ? 0 : mp_get_bool(&c, ret);
}

static int
uint_get(struct am_val v, uint64_t max, uint64_t *ret)
{
	struct mp c = mp_of(v);

	return mp_get_uint(&c, max, ret);
}

enum { ALLOW, SKIP, PROMPT, SHALLOW, MUTATIONS, SCHEMA, EVENTS, N_SYNC };
static const char *const sync_keys[N_SYNC] = { "allow", "skip", "prompt",
	"shallow", "mutations", "schema", "events" };

static int
sync_get(struct am_val map, struct arpc_sync *y)
{
	bool schema = true, events = true;
	struct am_val v[N_SYNC];

	if (map.len == 0)
		return 0;
	if (pick(map, sync_keys, N_SYNC, v) < 0 ||
	    !is_none_or(v[ALLOW], MP_ARRAY) || !is_none_or(v[SKIP], MP_ARRAY) ||
	    !is_none_or(v[PROMPT], MP_ARRAY) ||
	    flag_get(v[SHALLOW], &y->shallow) < 0 ||
	    flag_get(v[MUTATIONS], &y->mutations) < 0 ||
	    flag_get(v[SCHEMA], &schema) < 0 ||
	    flag_get(v[EVENTS], &events) < 0 ||
	    (v[ALLOW].len > 0 && v[SKIP].len > 0))
		return -EBADMSG;
	y->allow = v[ALLOW];
	y->skip = v[SKIP];
	y->prompt = v[PROMPT];
	y->no_schema = !schema;
	y->no_events = !events;
	return 0;
}

static int
resume_get(struct am_val map, struct arpc_hello *h)
{
	static const char *const keys[] = { "epoch" };
	struct am_val epoch;

	h->has_resume = map.len > 0;
	if (!h->has_resume)
		return 0;
	if (pick(map, keys, 1, &epoch) < 0)
		return -EBADMSG;
	return epoch.len == 0 ? 0
			      : uint_get(epoch, UINT64_MAX, &h->resume_epoch);
}

enum { PROTO, ID, NAME, TOKEN, HASH, RESUME, SYNC, N_HELLO };
static const char *const hello_keys[N_HELLO] = { "proto", "id", "name", "token",
	"hash", "resume", "sync" };

int
arpc_hello_get(struct am_val params, struct arpc_hello *ret,
    const char **ret_why)
{
	struct arpc_hello h = { .name = "" };
	struct am_val map, v[N_HELLO];
	uint64_t proto;

	if (only_map(params, &map, ret_why) < 0)
		return -EBADMSG;
	if (pick(map, hello_keys, N_HELLO, v) < 0)
		return bad(ret_why,
		    "hello has over 64 keys, one of them twice, or "
		    "one that is no string");
	if (uint_get(v[PROTO], UINT32_MAX, &proto) < 0)
		return bad(ret_why, "hello has no number \"proto\"");
	h.proto = (uint32_t)proto;
	if (uint_get(v[ID], INT64_MAX, &h.client_id) < 0 || h.client_id == 0)
		return bad(ret_why, "hello has no \"id\" from 1 to 2^63 - 1");
	if (v[NAME].len > 0 && shown_get(v[NAME], h.name, sizeof(h.name)) < 0)
		return bad(ret_why, "\"name\" is not a string");
	h.has_token = v[TOKEN].len > 0;
	if (h.has_token && token_get(v[TOKEN], h.token) < 0)
		return bad(ret_why, "\"token\" is not 16 bytes of binary");
	h.has_hash = v[HASH].len > 0;
	if (h.has_hash && uint_get(v[HASH], UINT64_MAX, &h.hash) < 0)
		return bad(ret_why, "\"hash\" is not a number");
	if (resume_get(v[RESUME], &h) < 0)
		return bad(ret_why, "\"resume\" is not a map with an epoch");
	if (sync_get(v[SYNC], &h.sync) < 0)
		return bad(ret_why,
		    "\"sync\" is not a map of allow or skip, shallow, "
		    "mutations, schema, events, prompt");
	*ret = h;
	return 0;
}

static bool
has_max(const struct arpc_welcome *w)
{
	return w->frame_max > 0 && w->frame_max < ARPC_FRAME_MAX;
}

void
arpc_put_welcome(struct am_buf *b, const struct arpc_welcome *w)
{
	am_put_map(b,
	    9U + (w->schema.len > 0) + (w->window > 0) + has_max(w) +
		w->has_resumed);
	am_put_str(b, "proto");
	am_put_uint(b, w->proto);
	am_put_str(b, "id");
	am_put_str(b, w->machine);
	am_put_str(b, "epoch");
	am_put_uint(b, w->epoch);
	am_put_str(b, "states");
	am_put_uint(b, w->n_states);
	if (w->schema.len > 0) {
		am_put_str(b, "schema");
		am_put_val(b, w->schema);
	}
	am_put_str(b, "hash");
	am_put_uint(b, w->hash);
	am_put_str(b, "time");
	am_put_val(b, w->time);
	am_put_str(b, "q");
	am_put_uint(b, w->queue_tick);
	am_put_str(b, "m");
	am_put_uint(b, w->machine_tick);
	am_put_str(b, "seq");
	am_put_uint(b, w->last_seq);
	if (w->window > 0) {
		am_put_str(b, "window");
		am_put_uint(b, w->window);
	}
	if (has_max(w)) {
		am_put_str(b, "max");
		am_put_uint(b, w->frame_max);
	}
	if (w->has_resumed) {
		am_put_str(b, "resumed");
		am_put_bool(b, w->resumed);
	}
}

/* Whether v is an array of n unsigned numbers. */
static bool
is_time(struct am_val v, uint32_t n)
{
	struct mp c = mp_of(v);
	uint64_t tick;
	uint32_t len;

	if (mp_get_array(&c, &len) < 0 || len != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (mp_get_uint(&c, UINT64_MAX, &tick) < 0)
			return false;
	return true;
}

static int
welcome_numbers_get(struct am_val map, struct arpc_welcome *w)
{
	uint64_t proto, n_states, frame_max = ARPC_FRAME_MAX;
	int r = get_uint(map, "max", ARPC_FRAME_MAX, &frame_max);

	if ((r < 0 && r != -ENOENT) || frame_max < ARPC_FRAME_MIN ||
	    get_uint(map, "proto", UINT32_MAX, &proto) < 0 ||
	    get_uint(map, "states", AM_STATES_MAX, &n_states) < 0 ||
	    get_uint(map, "epoch", UINT64_MAX, &w->epoch) < 0 ||
	    get_uint(map, "hash", UINT64_MAX, &w->hash) < 0 ||
	    get_uint(map, "q", UINT64_MAX, &w->queue_tick) < 0 ||
	    get_uint(map, "m", UINT64_MAX, &w->machine_tick) < 0 ||
	    get_uint(map, "seq", UINT64_MAX, &w->last_seq) < 0)
		return -EBADMSG;
	w->proto = (uint32_t)proto;
	w->n_states = (uint32_t)n_states;
	w->frame_max = (size_t)frame_max;
	return 0;
}

int
arpc_welcome_get(struct am_val result, struct arpc_welcome *ret,
    const char **ret_why)
{
	struct arpc_welcome w = { .schema = AM_NONE };
	struct am_val id = AM_NONE;
	uint64_t window = 0;
	struct mp c;
	int r;

	if (welcome_numbers_get(result, &w) < 0)
		return bad(ret_why, "a number is missing in the welcome");
	if (am_get(result, "id", &id) < 0 ||
	    shown_get(id, w.machine, sizeof(w.machine)) < 0)
		return bad(ret_why, "\"id\" is not a string");
	if (am_get(result, "time", &w.time) < 0 || !is_time(w.time, w.n_states))
		return bad(ret_why,
		    "\"time\" does not have one tick per state");
	r = am_get(result, "schema", &w.schema);
	c = mp_of(w.schema);
	if (r != -ENOENT && (r < 0 || mp_type(&c) != MP_ARRAY))
		return bad(ret_why, "\"schema\" is not an array");
	r = get_uint(result, "window", UINT32_MAX, &window);
	if (r < 0 && r != -ENOENT)
		return bad(ret_why, "\"window\" is not a number");
	w.window = (uint32_t)window;
	w.has_resumed = am_get_bool(result, "resumed", &w.resumed) == 0;
	*ret = w;
	return 0;
}

static void
put_list(struct am_buf *b, struct am_list l)
{
	am_put_array(b, l.len);
	for (size_t i = 0; i < l.len; i++)
		am_put_uint(b, l.id[i]);
}

void
arpc_put_schema(struct am_buf *b, const struct am_states *states)
{
	am_put_array(b, states->len);
	for (size_t i = 0; i < states->len; i++) {
		const struct am_state *row = &states->row[i];

		am_put_array(b, 6);
		am_put_str(b, row->name);
		am_put_uint(b,
		    (row->automatic ? 1U : 0U) | (row->multi ? 2U : 0U));
		put_list(b, row->require);
		put_list(b, row->add);
		put_list(b, row->remove);
		put_list(b, row->after);
	}
}
