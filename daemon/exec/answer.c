#include "daemon/exec/host.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "proto/worker.h"

enum { ANSWER_STATES_MAX = 64 };

#define protocol_error(...) (error_set(__VA_ARGS__), -EBADMSG)

/* What each gives besides 0 and -EAGAIN is no fault of the program: a request
 * that ended meanwhile is none any more. */
static int
send_final(struct host *h, const struct work_req *r, const struct line_msg *m)
{
	if (m->kind == LINE_ANSWER)
		return am_worker_answer(h->worker, r->req, m->data);
	if (m->kind == LINE_REFUSAL)
		return am_worker_refuse(h->worker, r->req, m->text);
	if (r->is_canceled)
		return am_worker_canceled(h->worker, r->req);
	return am_worker_fail(h->worker, r->req, m->code, m->text);
}

/* Before the answer. One that cannot be passed on is missing in what the client
 * gets, so the request has failed. */
static int
take_part(struct host *h, struct work_req *r, const struct line_msg *m)
{
	int sent;

	if (r->is_spoiled)
		return 0;
	if (m->kind == LINE_CHUNK)
		sent = am_worker_chunk(h->worker, r->req, m->data);
	else if (m->kind == LINE_PROGRESS)
		sent = am_worker_progress(h->worker, r->req, m->data);
	else
		sent = am_worker_fail(h->worker, r->req, m->code, m->text);
	if (sent == -EAGAIN)
		return sent;
	if (m->kind == LINE_BAD_PART) {
		r->is_spoiled = true;
		work_cancel(h, r);
	}
	return 0;
}

static int
take_answer(struct host *h, const struct line_msg *m, struct am_error *err)
{
	struct work_req *r = work_find(h, m->req);
	int sent;

	if (r == NULL && m->req >= 1 && m->req <= h->work.last_n)
		return protocol_error(err, "a second answer to request %ju",
		    (uintmax_t)m->req);
	if (r == NULL)
		return protocol_error(err,
		    "an answer to request %ju, which "
		    "it never got",
		    (uintmax_t)m->req);
	if (m->kind == LINE_PROGRESS || m->kind == LINE_CHUNK ||
	    m->kind == LINE_BAD_PART)
		return take_part(h, r, m);
	sent = r->is_spoiled ? 0 : send_final(h, r, m);
	if (sent == -EAGAIN)
		return sent;
	/* No answer of the program's: the client must get one, though. */
	if (sent < 0 && sent != -ENOENT)
		sent = am_worker_fail(h->worker, r->req, "bad_payload",
		    strerror(-sent));
	if (sent == -EAGAIN)
		return sent;
	if (sent < 0 && sent != -ENOENT)
		host_log("the answer to request %ju is lost: %s",
		    (uintmax_t)m->req, strerror(-sent));
	work_end(h, r);
	return 0;
}

/* ---- own states ---- */

struct names {
	const struct am_schema *schema;
	am_id id[ANSWER_STATES_MAX];
	size_t n;
	const char *bad; /* borrowed from the line */
	size_t bad_len;
	const char *why;
};

static int
note_state(const char *name, size_t len, void *arg)
{
	struct names *s = arg;
	int id = am_schema_id(s->schema, name, len);

	s->bad = name;
	s->bad_len = len;
	if (id < 0) {
		s->why = "there is no such state";
		return -ENOENT;
	}
	if (id < Wrk__COUNT) {
		s->why = "it is the worker's, not the program's";
		return -EPERM;
	}
	if (s->n == ANSWER_STATES_MAX) {
		s->why = "too many states in one line";
		return -E2BIG;
	}
	s->id[s->n++] = (am_id)id;
	return 0;
}

static void
change_states(struct host *h, const struct line_msg *m)
{
	struct names s = { .schema = h->schema };
	const char *verb = m->kind == LINE_ADD ? "add" : "remove";
	struct am_machine *machine = am_worker_machine(h->worker);
	int r = line_each_name(m->names, note_state, &s);

	if (r == -EINVAL || (r == 0 && s.n == 0)) {
		host_log("ignored: \"%s\" is not an array of names", verb);
		return;
	}
	if (r < 0) {
		host_log("ignored: %s \"%.*s\": %s", verb,
		    (int)(s.bad_len < LINE_CODE_MAX ? s.bad_len
						    : LINE_CODE_MAX),
		    s.bad, s.why);
		return;
	}
	/* Whether a relation cancels it is the schema's business. */
	if (m->kind == LINE_ADD)
		(void)am_add(machine, s.id, s.n, m->data);
	else
		(void)am_remove(machine, s.id, s.n, m->data);
}

static int
take_line(struct host *h, const struct line_msg *m, struct am_error *err)
{
	switch (m->kind) {
	case LINE_ANSWER:
	case LINE_ERROR:
	case LINE_REFUSAL:
	case LINE_PROGRESS:
	case LINE_CHUNK:
	case LINE_BAD_PART:
		return take_answer(h, m, err);
	case LINE_ADD:
	case LINE_REMOVE:
		change_states(h, m);
		return 0;
	case LINE_PONG:
		if (h->work.pinged)
			am_worker_alive(h->worker);
		h->work.pinged = false;
		return 0;
	case LINE_IDLE:
		work_idle(h);
		return 0;
	case LINE_READY:
		return protocol_error(err, "ready for a second time");
	case LINE_NOTHING:
		return 0;
	}
	return 0;
}

int
answer_line(struct host *h, const char *line, size_t len, struct am_error *err)
{
	struct line_msg m;
	int r = line_parse(line, len, &h->values, &m, err);

	if (r == 0)
		r = take_line(h, &m, err);
	line_buf_reset(&h->values);
	return r;
}

int
answer_long_line(struct host *h, const char *line, size_t len,
    struct am_error *err)
{
	struct line_msg m;
	int r = line_parse_long(line, len, h->line_max, &h->values, &m, err);

	if (r == 0)
		r = take_line(h, &m, err);
	line_buf_reset(&h->values);
	return r;
}
