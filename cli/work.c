#include "cli/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/utf8.h"
#include "proto/mp.h"

/* The worker's own answer to a deadline comes first, if it comes at once. */
enum { LATE_MS = 100 };

/* ---- verdicts ---- */

static const struct {
	const char *name;
	const char *status;
	enum exit_code exit;
} results[] = {
	{ "result", "ok", EX_OK },
	{ "ErrWork", "failed", EX_FAILED },
	{ "ErrWorkTimeout", "timeout", EX_TIMEOUT },
	{ "refused", "refused", EX_REFUSED },
	{ "canceled", "canceled", EX_LOST },
};

static void
verdict_set(struct verdict *v, enum exit_code exit, const char *status,
    const char *code, const char *message)
{
	v->exit = exit;
	v->status = status;
	(void)snprintf(v->code, sizeof(v->code), "%s", code);
	(void)snprintf(v->message, sizeof(v->message), "%s", message);
}

/* A long text is cut, not lost. */
static void
take_text(struct am_val map, const char *key, char *buf, size_t size)
{
	const char *s;
	size_t len;

	if (am_get_str(map, key, &s, &len) == 0)
		utf8_copy(buf, size, s, len);
}

void
verdict_of(const struct arpc_payload *p, struct verdict *ret)
{
	struct mp c = mp_of(p->name);
	char name[32] = "";

	(void)mp_get_text(&c, name, sizeof(name));
	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
		if (strcmp(name, results[i].name) != 0)
			continue;
		verdict_set(ret, results[i].exit, results[i].status,
		    results[i].status, "");
		if (results[i].exit == EX_OK)
			return;
		take_text(p->data, "code", ret->code, sizeof(ret->code));
		take_text(p->data, "message", ret->message,
		    sizeof(ret->message));
		return;
	}
	verdict_set(ret, EX_FAILED, "failed", "protocol",
	    "the worker's answer has an unknown name");
}

bool
verdict_of_reply(const struct netmach_reply *r, struct verdict *ret)
{
	enum exit_code exit;

	switch (r->status) {
	case NETMACH_OK:
		if (r->result != AM_CANCELED)
			return false;
		verdict_set(ret, EX_REFUSED, "refused", "canceled",
		    r->why != NULL && *r->why != '\0' ? r->why
						      : "no reason was given");
		return true;
	case NETMACH_ERROR:
		/* Full is the worker's window, or its outbox. */
		exit = r->error == ARPC_E_busy ? EX_REFUSED
					       : cli_code_of((int)r->error);
		verdict_set(ret, exit, cli_status(exit),
		    arpc_error_name(r->error), r->text);
		return true;
	case NETMACH_LOST:
		verdict_set(ret, EX_UNKNOWN, "unknown", "unknown", r->text);
		return true;
	case NETMACH_NOT_SENT:
		verdict_set(ret, EX_TIMEOUT, "timeout", "timeout", r->text);
		return true;
	}
	return false;
}

/* ---- one mutation ---- */

struct work_state {
	struct cli *cli;
	struct session *s;
	const struct work_conf *conf;
	uint64_t *before; /* the ticks */
	int64_t start_ns;
	double ms;
	bool is_final; /* the result came */
	struct verdict verdict;
	const char
	    *result; /* "executed", ...; NULL: an error answer, or none */
	uint64_t seq;
	struct am_buf name;
	struct am_buf source;
	struct am_buf data;
};

static void
work_done(struct work_state *w)
{
	free(w->before);
	am_buf_done(&w->name);
	am_buf_done(&w->source);
	am_buf_done(&w->data);
}

static int
take_ticks(struct work_state *w)
{
	const struct am_machine *m = session_mirror(w->s);
	size_t n = am_schema_len(am_machine_schema(m));

	w->before = calloc(n, sizeof(*w->before));
	if (w->before == NULL)
		return -ENOMEM;
	memcpy(w->before, am_time(m), n * sizeof(*w->before));
	return 0;
}

/* What comes before the result is printed where lines are a stream. */
static void
print_part(struct work_state *w, const struct arpc_payload *p)
{
	struct out *o = &w->cli->out;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	if (o->format != OUT_NDJSON &&
	    !(o->format == OUT_RAW && p->kind == ARPC_P_CHUNK))
		return;
	am_put_map(&b, 2);
	am_put_str(&b, "status");
	am_put_str(&b, arpc_payload_kind_name(p->kind));
	am_put_str(&b, "payload");
	am_put_val(&b, p->data);
	(void)out_item(o, am_buf_val(&b), p->data);
}

static void
on_payload(struct session *s, const struct arpc_payload *p, void *arg)
{
	struct work_state *w = (struct work_state *)arg;

	if (p->req == 0 || p->req != s->call.id || w->is_final)
		return;
	if (p->kind != ARPC_P_RESULT) {
		print_part(w, p);
		netmach_ack(s->nm, p->seq);
		return;
	}
	w->is_final = true;
	w->seq = p->seq;
	verdict_of(p, &w->verdict);
	am_put_val(&w->name, p->name);
	am_put_val(&w->source, p->source);
	am_put_val(&w->data, p->data);
}

static bool
is_over(void *arg)
{
	const struct work_state *w = (const struct work_state *)arg;
	const struct session_call *call = &w->s->call;

	/* A result proves that the mutation was made, but its reply has the
	 * clocks: both, if both come. */
	if (w->s->down)
		return true;
	if (!call->done)
		return false;
	return !w->conf->is_request || w->conf->wait != WORK_RESULT ||
	    w->is_final || call->status != NETMACH_OK ||
	    call->result == AM_CANCELED;
}

static void
put_ticks(struct work_state *w, struct am_buf *b)
{
	const struct am_machine *m = session_mirror(w->s);
	const struct am_schema *schema = am_machine_schema(m);
	const uint64_t *now = am_time(m);
	size_t len = am_schema_len(schema);
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += now[i] != w->before[i];
	am_put_map(b, n);
	for (size_t i = 0; i < len; i++) {
		if (now[i] == w->before[i])
			continue;
		am_put_str(b, am_schema_name(schema, (am_id)i));
		am_put_uint(b, now[i]);
	}
}

static void
put_payload(struct work_state *w, struct am_buf *b)
{
	am_put_str(b, "payload");
	am_put_map(b, 4);
	am_put_str(b, "seq");
	am_put_uint(b, w->seq);
	am_put_str(b, "name");
	am_put_val(b, am_buf_val(&w->name));
	am_put_str(b, "source");
	am_put_val(b, am_buf_val(&w->source));
	am_put_str(b, "data");
	am_put_val(b, am_buf_val(&w->data));
}

static void
put_error(const struct verdict *v, struct am_buf *b)
{
	am_put_str(b, "error");
	am_put_map(b, 2);
	am_put_str(b, "code");
	am_put_str(b, v->code);
	am_put_str(b, "message");
	am_put_str(b, v->message);
}

static const char *
result_word(const struct session_call *call)
{
	if (!call->done || call->status != NETMACH_OK)
		return NULL;
	if (call->result == AM_EXECUTED)
		return "executed";
	return call->result == AM_CANCELED ? "canceled" : "queued";
}

/* {"status","result","payload"|"error","ticks","ms"} */
static void
put_doc(struct work_state *w, struct am_buf *b)
{
	const struct verdict *v = &w->verdict;
	bool ok = v->exit == EX_OK;

	am_put_map(b, ok && !w->is_final ? 4 : 5);
	am_put_str(b, "status");
	am_put_str(b, v->status);
	am_put_str(b, "result");
	am_put_str(b, w->result);
	if (!ok)
		put_error(v, b);
	else if (w->is_final)
		put_payload(w, b);
	am_put_str(b, "ticks");
	put_ticks(w, b);
	am_put_str(b, "ms");
	am_put_double(b, (double)(int64_t)(w->ms * 1000) / 1000);
}

static void
say_verdict(struct work_state *w)
{
	const struct verdict *v = &w->verdict;
	const char *state = am_schema_name(am_machine_schema(
					       session_mirror(w->s)),
	    w->conf->states[0]);

	if (v->exit == EX_DENIED)
		cli_err(w->cli, "%s: not permitted: %s", state, v->message);
	else if (strcmp(v->code, "canceled") == 0 ||
	    strcmp(v->code, v->status) == 0)
		cli_err(w->cli, "%s: %s: %s", state, v->code, v->message);
	else
		cli_err(w->cli, "%s: %s: %s%s%s", state, v->status, v->code,
		    v->message[0] != '\0' ? ": " : "", v->message);
}

static int
print(struct work_state *w)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf word = AM_BUF_INIT;
	struct cli *c = w->cli;
	const struct verdict *v = &w->verdict;
	bool json = c->out.ops == &out_json_ops;

	/* The last clocks come a moment after the result. */
	if (json && !w->s->down && v->exit != EX_TIMEOUT)
		(void)session_sync(w->s, cli_io_deadline(c));
	put_doc(w, &b);
	if (v->exit != EX_OK) {
		say_verdict(w);
		c->out.field = NULL;
		if (json)
			(void)out_doc(&c->out, am_buf_val(&b), AM_NONE, NULL);
		return (int)v->exit;
	}
	am_put_str(&word, w->result);
	if (w->is_final)
		return cli_print(c, am_buf_val(&b), am_buf_val(&w->data), NULL);
	return cli_print(c, am_buf_val(&b), am_buf_val(&word), &out_bare);
}

/* A verdict from the reply, where no result decides. */
static int
judge(struct work_state *w, int rc)
{
	const struct session_call *call = &w->s->call;
	struct netmach_reply r = {
		.status = call->status,
		.result = call->result,
		.why = call->text,
		.error = call->error,
		.text = call->text,
	};

	if (w->is_final)
		return EX_OK;
	if (rc == -ETIMEDOUT) {
		verdict_set(&w->verdict, EX_TIMEOUT, "timeout", "timeout",
		    "no answer in time");
		return EX_OK;
	}
	if (rc < 0 || w->s->down || call->status == NETMACH_LOST)
		return EX_UNKNOWN;
	if (!verdict_of_reply(&r, &w->verdict))
		verdict_set(&w->verdict, EX_OK, "ok", "", "");
	return EX_OK;
}

/* Active now, or was in between. */
static bool
is_reached(void *arg)
{
	const struct work_state *w = (const struct work_state *)arg;
	const struct am_machine *m = session_mirror(w->s);
	am_id state = w->conf->until;

	return w->s->down || am_is1(m, state) ||
	    am_tick(m, state) > w->before[state];
}

/* For the state that the mutation shall bring. 0, also if the verdict says that
 * it did not come; -ECONNRESET. */
static int
wait_state(struct work_state *w)
{
	struct cli *c = w->cli;
	struct verdict *v = &w->verdict;
	int rc = session_until(c, is_reached, w, cli_wait_deadline(c));

	if (rc == 0)
		return w->s->down ? -ECONNRESET : 0;
	verdict_set(v, EX_TIMEOUT, "timeout", "timeout", "");
	(void)snprintf(v->message, sizeof(v->message),
	    "state \"%.128s\" did not come in time", w->conf->until_name);
	return 0;
}

/* Sent, and no more is known of it: for people that is nothing to print. */
static int
work_notify(struct work_state *w)
{
	const struct work_conf *conf = w->conf;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	struct out *o = &w->cli->out;

	(void)netmach_mutate(w->s->nm, conf->op, conf->states, conf->n_states,
	    conf->args, -1, NULL, NULL);
	if (o->ops != &out_json_ops)
		return EX_OK;
	verdict_set(&w->verdict, EX_OK, "ok", "", "");
	put_doc(w, &b);
	return cli_print(w->cli, am_buf_val(&b), AM_NONE, NULL);
}

static int64_t
deadline(const struct cli *c)
{
	int64_t ns = c->no_wait ? cli_io_deadline(c) : c->deadline_ns;

	return ns == INT64_MAX ? ns : ns + LATE_MS * NS_PER_MS;
}

int
work_do(struct cli *c, struct session *s, const struct work_conf *conf)
{
	am_cleanup(work_done) struct work_state w = { .cli = c,
		.s = s,
		.conf = conf,
		.start_ns = clock_ns() };
	int rc;

	if (take_ticks(&w) < 0)
		return cli_fail(c, EX_FAILED, "internal", "no memory");
	if (conf->wait == WORK_NONE)
		return work_notify(&w);
	/* A result that nobody waits for stays in the worker's outbox. */
	s->on_payload = conf->wait == WORK_RESULT ? on_payload : NULL;
	s->arg = &w;
	rc = session_send(s, conf->op, conf->states, conf->n_states, conf->args,
	    conf->is_request ? cli_left_ms(c) : -1);
	if (rc == 0)
		rc = session_until(c, is_over, &w, deadline(c));
	s->on_payload = NULL;
	s->arg = NULL;
	if (session_bad_args(rc) != NULL)
		return session_fail(c, s, rc);
	w.ms = (double)(clock_ns() - w.start_ns) / (double)NS_PER_MS;
	w.result = result_word(&s->call);
	if (judge(&w, rc) != EX_OK)
		return EX_UNKNOWN;
	if (conf->until_name != NULL && w.verdict.exit == EX_OK &&
	    wait_state(&w) < 0)
		return -ECONNRESET;
	rc = print(&w);
	/* Only what was written is acknowledged. */
	if (w.is_final && out_flush(&c->out) == 0 && !s->down)
		netmach_ack(s->nm, w.seq);
	return rc;
}
