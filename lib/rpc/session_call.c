/* session_call.c - handles requests and notifications after hello. */
#include "lib/rpc/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "proto/mp.h"

enum { ACKS_MAX = 1024 };

/* Whether it was executed before, on a connection that was lost. Then it is
 * answered from memory. */
static bool
is_repeated(struct rpc_session *s, const struct arpc_frame *f)
{
	const struct replay_entry *r = NULL;

	if (s->replay == NULL || f->kind != ARPC_REQUEST || f->id == 0 ||
	    f->id > UINT16_MAX)
		return false;
	switch (replay_see(s->replay, f->id, &r)) {
	case REPLAY_NEW:
		return false;
	case REPLAY_KNOWN:
		session_answer_result(s, f->id, r->result,
		    r->why == NULL ? "" : r->why);
		return true;
	case REPLAY_FULL:
		session_answer_error(s, f, ARPC_E_internal, "no memory");
		return true;
	case REPLAY_FORGOTTEN:
		session_answer_error(s, f, ARPC_E_forgotten,
		    "%u is more than %d mutations ago", (unsigned)f->id,
		    REPLAY_WINDOW);
		return true;
	}
	return false;
}

/* A notification gets no answer. */
static void
answer_mutation(struct rpc_session *s, const struct arpc_frame *f,
    am_result result, bool is_check)
{
	const struct refusal *no = &s->srv->refusal;
	const char *why = "";

	if (f->kind != ARPC_REQUEST)
		return;
	if (result == AM_CANCELED)
		why = am_why(s->srv->machine);
	/* Nothing was executed: if it is sent again it is tried again. */
	if (result == AM_CANCELED && no->source != NULL && !is_check) {
		session_answer_error(s, f, no->error, "%s", no->text);
		return;
	}
	if (s->replay != NULL && !is_check && f->id != 0 && f->id <= UINT16_MAX)
		replay_put(s->replay, f->id, result, why);
	session_answer_result(s, f->id, result, why);
}

static void
on_mutation(struct rpc_session *s, const struct arpc_frame *f, enum am_op op)
{
	bool is_check = op == AM_CAN_ADD || op == AM_CAN_REMOVE;
	const struct rpc_policy *policy = s->li->policy;
	struct rpc_source source = { .session = s };
	struct arpc_mutation m;
	struct am_error err = { "not allowed here" };
	const char *why = "";
	am_result result;
	int r;

	if (!is_check && is_repeated(s, f))
		return;
	r = arpc_mutation_get(f->params, s->sent.n, &m, &why);
	if (r < 0) {
		session_answer_error(s, f,
		    r == -ERANGE ? ARPC_E_no_state : ARPC_E_bad_params, "%s",
		    why);
		return;
	}
	r = policy->may == NULL
	    ? ARPC_E_not_permitted
	    : policy->may(s, op, m.states, m.n_states, &err, s->li->arg);
	if (r != 0) {
		session_answer_error(s, f, (enum arpc_error)r, "%s", err.text);
		return;
	}
	if (op == AM_SET && policy->keep != NULL)
		m.n_states = policy->keep(s, m.states, m.n_states, s->li->arg);
	if (f->kind == ARPC_REQUEST)
		source.id = f->id;
	source.deadline_ms = m.deadline_ms;
	s->srv->refusal.source = NULL;
	result = am_mutate(s->srv->machine,
	    &(struct am_mutation){
		.op = op,
		.states = m.states,
		.n_states = m.n_states,
		.args = m.args,
		.source = &source,
	    });
	answer_mutation(s, f, result, is_check);
	s->srv->refusal.source = NULL;
}

/* The rest of an array as an array of its own. */
static void
put_rest(struct am_buf *out, const struct mp *rest, uint32_t n)
{
	am_put_array(out, n);
	if (n > 0)
		am_put_val(out,
		    (struct am_val){ rest->p, (size_t)(rest->end - rest->p) });
}

static void
on_info(struct rpc_session *s, const struct arpc_frame *f)
{
	const struct rpc_policy *policy = s->li->policy;
	struct mp params = mp_of(f->params);
	am_cleanup(am_buf_done) struct am_buf rest = AM_BUF_INIT;
	am_cleanup(am_buf_done) struct am_buf value = AM_BUF_INIT;
	struct am_error err = { "" };
	char topic[64];
	struct am_buf *out;
	uint32_t n;
	int r;

	if (mp_get_array(&params, &n) < 0 || n == 0 ||
	    mp_get_text(&params, topic, sizeof(topic)) < 0) {
		session_answer_error(s, f, ARPC_E_bad_params,
		    "info takes the name of a topic");
		return;
	}
	put_rest(&rest, &params, n - 1);
	(void)snprintf(err.text, sizeof(err.text), "no topic \"%s\"", topic);
	r = policy->info == NULL ? ARPC_E_no_topic
				 : policy->info(s, topic, am_buf_val(&rest),
				       &value, &err, s->li->arg);
	if (s->conn == NULL)
		return;
	if (r == 0 && (am_buf_error(&value) < 0 || am_buf_error(&rest) < 0)) {
		r = ARPC_E_internal;
		(void)snprintf(err.text, sizeof(err.text), "no memory");
	}
	if (r != 0) {
		session_answer_error(s, f, (enum arpc_error)r, "%s", err.text);
		return;
	}
	out = conn_out(s->conn);
	arpc_put_response(out, f->id);
	am_put_val(out, am_buf_val(&value));
}

static void
on_ack(struct rpc_session *s, const struct arpc_frame *f)
{
	const struct rpc_policy *policy = s->li->policy;
	struct mp params = mp_of(f->params);
	uint64_t seq[ACKS_MAX];
	size_t len = 0;
	uint32_t n;

	if (mp_get_array(&params, &n) < 0 || n == 0 ||
	    mp_get_array(&params, &n) < 0 || n > ACKS_MAX ||
	    policy->ack == NULL) {
		s->srv->ignored++;
		return;
	}
	for (; n > 0; n--) {
		if (mp_get_uint(&params, UINT64_MAX, &seq[len++]) < 0) {
			s->srv->ignored++;
			return;
		}
	}
	policy->ack(s, seq, len, s->li->arg);
}

static void
on_lease_begin(struct rpc_session *s, const struct arpc_frame *f)
{
	const struct rpc_policy *policy = s->li->policy;
	struct arpc_lease lease;
	const char *why = "";
	am_result result;

	if (policy->lease_begin == NULL) {
		session_answer_error(s, f, ARPC_E_no_method,
		    "lease_begin is for the private connection");
		return;
	}
	if (arpc_lease_get(f->params, &lease, &why) < 0) {
		session_answer_error(s, f, ARPC_E_bad_params, "lease_begin: %s",
		    why);
		return;
	}
	result = policy->lease_begin(s, &lease, s->li->arg);
	explicit_bzero(lease.token, sizeof(lease.token));
	session_answer_result(s, f->id, result,
	    result == AM_CANCELED ? am_why(s->srv->machine) : "");
}

static int
when_args_get(struct am_val params, uint64_t *ret_state, struct am_val *ret,
    const char **ret_why)
{
	struct mp c = mp_of(params);
	uint32_t n;

	*ret_why = "takes a state and a map";
	if (mp_get_array(&c, &n) < 0 || n < 1 ||
	    mp_get_uint(&c, UINT64_MAX, ret_state) < 0 ||
	    (n > 1 && arpc_args_get(&c, ret, ret_why) < 0))
		return -EINVAL;
	c = mp_of(*ret);
	if (ret->len == 0 || mp_get_map(&c, &n) < 0 || n <= AM_WHEN_ARGS_KEYS)
		return 0;
	*ret_why = "more than 64 keys";
	return -E2BIG;
}

/* [state, args?]: answered as am_when_args() says. */
static void
on_when_args(struct rpc_session *s, const struct arpc_frame *f)
{
	struct am_val args = AM_NONE;
	const char *why;
	uint64_t state;
	int r;

	if (when_args_get(f->params, &state, &args, &why) < 0) {
		session_answer_error(s, f, ARPC_E_bad_params, "when_args: %s",
		    why);
		return;
	}
	if (state >= s->sent.n) {
		session_answer_error(s, f, ARPC_E_no_state,
		    "no such state in the schema");
		return;
	}
	r = watch_when_args(s, f->id, (am_id)state, args);
	if (r == -ENOSPC)
		session_answer_error(s, f, ARPC_E_busy,
		    "%d when_args or %d KiB of args wait already",
		    WHEN_ARGS_MAX, WHEN_ARGS_BYTES / 1024);
	else if (r == -EDQUOT)
		session_answer_error(s, f, ARPC_E_busy,
		    "when_args of this user with %d keys or %d KiB wait "
		    "already",
		    USER_WHEN_KEYS, USER_WHEN_BYTES / 1024);
	else if (r < 0)
		session_answer_error(s, f, ARPC_E_internal, "no memory");
}

/* [bool] */
static void
on_trace(struct rpc_session *s, const struct arpc_frame *f)
{
	struct mp c = mp_of(f->params);
	struct am_buf *out;
	uint32_t n;
	bool on;

	if (mp_get_array(&c, &n) < 0 || n < 1 || mp_get_bool(&c, &on) < 0) {
		session_answer_error(s, f, ARPC_E_bad_params,
		    "trace takes true or false");
		return;
	}
	s->watch.mutations = on;
	if (session_watch(s) < 0) {
		session_answer_error(s, f, ARPC_E_internal, "no memory");
		return;
	}
	out = conn_out(s->conn);
	arpc_put_response(out, f->id);
	am_put_bool(out, on);
}

/* Only args may be long. */
static const bool may_be_long[ARPC__COUNT + 1] = {
	[ARPC_add] = true,
	[ARPC_remove] = true,
	[ARPC_set] = true,
	[ARPC_toggle] = true,
	[ARPC_can_add] = true,
	[ARPC_can_remove] = true,
};

void
session_on_request(struct rpc_session *s, const struct arpc_frame *f)
{
	if (f->params.len > ARPC_FRAME_SMALL && !may_be_long[f->method]) {
		session_answer_error(s, f, ARPC_E_bad_params,
		    "params of over 64 KiB");
		return;
	}
	switch (f->method) {
	case ARPC_hello:
		session_answer_error(s, f, ARPC_E_bad_params,
		    "hello was said already");
		return;
	case ARPC_add:
		on_mutation(s, f, AM_ADD);
		return;
	case ARPC_remove:
		on_mutation(s, f, AM_REMOVE);
		return;
	case ARPC_set:
		on_mutation(s, f, AM_SET);
		return;
	case ARPC_toggle:
		on_mutation(s, f, AM_TOGGLE);
		return;
	case ARPC_can_add:
		on_mutation(s, f, AM_CAN_ADD);
		return;
	case ARPC_can_remove:
		on_mutation(s, f, AM_CAN_REMOVE);
		return;
	case ARPC_sync:
		session_answer_welcome(s, f->id, AM_NONE);
		return;
	case ARPC_info:
		on_info(s, f);
		return;
	case ARPC_lease_begin:
		on_lease_begin(s, f);
		return;
	case ARPC_when_args:
		on_when_args(s, f);
		return;
	case ARPC_trace:
		on_trace(s, f);
		return;
	case ARPC_schema:
		session_answer_schema(s, f);
		return;
	case ARPC_ack:
	case ARPC_bye:
	case ARPC_t:
	case ARPC_m:
	case ARPC_p:
	case ARPC_part:
	case ARPC_UNKNOWN:
		session_answer_error(s, f, ARPC_E_no_method,
		    "no request \"%.*s\"",
		    (int)(f->name_len < 64 ? f->name_len : 64), f->name);
		return;
	}
}

void
session_on_notification(struct rpc_session *s, const struct arpc_frame *f)
{
	switch (f->method) {
	case ARPC_add:
	case ARPC_remove:
	case ARPC_set:
	case ARPC_toggle:
		session_on_request(s, f);
		return;
	case ARPC_ack:
		on_ack(s, f);
		return;
	case ARPC_hello:
	case ARPC_can_add:
	case ARPC_can_remove:
	case ARPC_sync:
	case ARPC_info:
	case ARPC_lease_begin:
	case ARPC_when_args:
	case ARPC_trace:
	case ARPC_schema:
	case ARPC_bye:
	case ARPC_t:
	case ARPC_m:
	case ARPC_p:
	case ARPC_part:
	case ARPC_UNKNOWN:
		s->srv->ignored++;
		return;
	}
}
