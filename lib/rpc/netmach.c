/* netmach.c - the life of a net machine and its calls. */
#include "lib/rpc/netmach_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/random.h"
#include "lib/machine/machine.h"
#include "lib/rpc/addr_resolve.h"

enum {
	CONNECT_MS = 5000,
	KEEP_MS = 60000,
	/* A server that closes every connection is not one of ours. */
	EARLY_MAX = 5,
};

/* ---- end of a connection ---- */

bool
netmach_may_return(int code)
{
	return code <= 0 || code == ARPC_E_busy + 1 ||
	    code == ARPC_E_internal + 1 || code == ARPC_E_no_hello + 1;
}

/* Whether to connect again: it makes sense, and there is time. */
static bool
may_retry(struct netmach *nm, int code, const char *why)
{
	if (nm->retry_ms == 0 || nm->closing || code > 0)
		return false;
	if (nm->epoch == 0 && !nm->retry_gone &&
	    (code < 0 || nm->n_early++ == EARLY_MAX))
		return false;
	if (code == 0 && strcmp(why, "eof") != 0 && !netmach_is_of_a_frame(why))
		return false;
	if ((code == -ECONNREFUSED || code == -ENOENT) && !nm->retry_gone)
		return false;
	/* TLS failed, or is missing: the next attempt would fail in the same
	 * way. */
	if (code == -EPROTO || code == -EACCES || code == -EPROTONOSUPPORT)
		return false;
	return clock_ns() - nm->lost_ns < nm->retry_ms * NS_PER_MS;
}

static void
wait_and_retry(struct netmach *nm)
{
	nm->give_up_ns = -1;
	(void)am_timer_start(&nm->retry, backoff_next(&nm->backoff));
}

/* Ends the calls that do not outlive the connection. */
static void
lose_calls(struct netmach *nm, const char *why)
{
	const struct netmach_reply r = {
		.status = NETMACH_LOST,
		.why = "",
		.text = why,
	};
	struct netmach_call call;

	while (
	    !nm->freed && !nm->resume && calls_take_oldest(&nm->calls, &call)) {
		if (call.fn != NULL)
			call.fn(nm, call.id, &r, call.arg);
	}
	while (!nm->freed && calls_take_oldest(&nm->others, &call)) {
		if (call.fn != NULL)
			call.fn(nm, call.id + OTHER_IDS, &r, call.arg);
	}
}

/* All earlier calls were answered before the bye. */
bool
netmach_refused(struct netmach *nm, enum arpc_error e, const char *why)
{
	struct netmach_reply r = {
		.status = NETMACH_ERROR,
		.error = e,
		.why = "",
		.text = why,
	};
	struct netmach_call call;

	if (!(nm->resume ? resend_take_sent(nm, &call)
			 : calls_take_oldest(&nm->calls, &call)))
		return true;
	if (call.fn != NULL)
		call.fn(nm, call.id, &r, call.arg);
	return !nm->freed;
}

void
netmach_end(struct netmach *nm, int code, const char *why)
{
	bool was_ready = nm->phase == NETMACH_READY;
	char text[sizeof(nm->lost_why)];

	nm->conn = NULL;
	nm->resolve = resolve_free(nm->resolve);
	nm->wrong = false;
	loop_free(nm->loop, nm->parts.data, nm->parts.len);
	nm->parts.data = NULL;
	nm->phase = NETMACH_CONNECTING;
	lose_calls(nm, why);
	if (nm->freed)
		return;
	if (nm->lost_ns == 0)
		nm->lost_ns = clock_ns();
	if (may_retry(nm, code, why)) {
		if (was_ready)
			(void)snprintf(nm->lost_why, sizeof(nm->lost_why), "%s",
			    why);
		resend_wait(nm);
		wait_and_retry(nm);
		if (was_ready && nm->ops->on_down != NULL)
			nm->ops->on_down(nm, why, nm->arg);
		return;
	}
	/* How it was lost says more than that it was not restored. */
	if (code < 0 && nm->lost_why[0] != '\0') {
		(void)snprintf(text, sizeof(text), "%s", nm->lost_why);
		why = text;
		code = 0;
	}
	nm->lost_why[0] = '\0';
	if (nm->closing || nm->retry_ms > 0 || !netmach_may_return(code))
		resend_give_up(nm, why);
	else
		resend_wait(nm);
	if (nm->freed)
		return;
	nm->closing = false;
	nm->phase = NETMACH_IDLE;
	if (nm->ops->on_close != NULL)
		nm->ops->on_close(nm, code, why, nm->arg);
}

/* ---- life ---- */

static void
on_reap(void *arg)
{
	struct netmach *nm = netmach_of(arg);

	am_timer_done(&nm->retry);
	free(nm->found);
	netmach_ask_nothing(nm);
	resend_done(nm);
	calls_done(&nm->calls);
	calls_done(&nm->others);
	free(nm->clock.tick);
	free(nm->parts.data);
	seqs_done(&nm->told);
	seqs_done(&nm->unacked);
	am_schema_unref(nm->schema);
	explicit_bzero(&nm->hello, sizeof(nm->hello));
	nm->magic = 0;
	free(nm);
}

static bool
is_taken(uint32_t id, void *arg)
{
	struct netmach *nm = netmach_of(arg);

	return nm->ops->is_taken != NULL && nm->ops->is_taken(nm, id, nm->arg);
}

struct netmach *
netmach_new(struct am_loop *l, const struct netmach_conf *conf,
    const struct netmach_ops *ops, void *arg)
{
	struct netmach *nm = calloc(1, sizeof(*nm));

	if (nm == NULL)
		return NULL;
	nm->magic = NETMACH_MAGIC;
	nm->loop = l;
	nm->ops = ops;
	nm->arg = arg;
	nm->take_max = conf->take_max > 0 ? conf->take_max : ARPC_FRAME_MAX;
	nm->out_max = conf->out_max > 0 ? conf->out_max : CONN_OUT_HARD;
	nm->frame_max = ARPC_FRAME_MAX;
	nm->timeout_ms = conf->timeout_ms > 0 ? conf->timeout_ms : CONNECT_MS;
	nm->hello.proto = ARPC_VERSION;
	nm->hello.client_id = conf->client_id != 0 ? conf->client_id
						   : random_id();
	if (conf->name != NULL)
		(void)snprintf(nm->hello.name, sizeof(nm->hello.name), "%s",
		    conf->name);
	if (conf->token != NULL) {
		nm->hello.has_token = true;
		memcpy(nm->hello.token, conf->token, ARPC_TOKEN_LEN);
	}
	if (conf->schema != NULL) {
		nm->schema = am_schema_ref(conf->schema);
		nm->hash = am_schema_hash(nm->schema);
	}
	nm->tls = conf->tls;
	nm->resume = conf->resume;
	nm->hello.has_resume = conf->resume;
	nm->hello.sync = conf->sync;
	nm->all_mutations = conf->sync.mutations;
	nm->keep_ms = conf->keep_ms > 0 ? conf->keep_ms : KEEP_MS;
	nm->retry_ms = conf->retry_ms;
	nm->retry_gone = conf->retry_gone;
	netmach_ask_init(nm);
	TAILQ_INIT(&nm->resend);
	TAILQ_INIT(&nm->over);
	nm->calls.is_taken = is_taken;
	nm->calls.arg = nm;
	am_timer_init(&nm->keep_timer, l, resend_on_timer, nm);
	nm->reap = (struct turn_item){ .fn = on_reap, .arg = nm };
	am_timer_init(&nm->retry, l, netmach_on_retry, nm);
	return nm;
}

struct netmach *
netmach_free(struct netmach *nm)
{
	if (nm == NULL || nm->freed)
		return NULL;
	nm->freed = true;
	nm->phase = NETMACH_IDLE;
	if (nm->conn != NULL)
		conn_drop(nm->conn);
	nm->conn = NULL;
	nm->resolve = resolve_free(nm->resolve);
	am_timer_stop(&nm->retry);
	am_timer_stop(&nm->keep_timer);
	if (nm->mirror != NULL)
		mach_set_remote(nm->mirror, NULL);
	nm->mirror = am_machine_free(nm->mirror);
	loop_at_reap(nm->loop, &nm->reap);
	return NULL;
}

void
netmach_leave(struct netmach *nm, const char *reason)
{
	if (netmach_is_ready(nm))
		arpc_put_bye(conn_out(nm->conn), reason);
}

int
netmach_connect(struct netmach *nm, const struct addr *a)
{
	int r;

	if (nm->phase != NETMACH_IDLE || nm->conn != NULL)
		return -EALREADY;
	nm->addr = *a;
	nm->give_up_ns = clock_ns() + nm->timeout_ms * NS_PER_MS;
	r = netmach_begin(nm);
	if (r == 0)
		nm->phase = NETMACH_CONNECTING;
	else
		nm->resolve = resolve_free(nm->resolve);
	return r;
}

void
netmach_close(struct netmach *nm, const char *reason)
{
	nm->closing = nm->conn != NULL || nm->phase == NETMACH_CONNECTING;
	if (nm->conn != NULL) {
		conn_close(nm->conn, reason);
	} else if (nm->phase == NETMACH_CONNECTING) {
		nm->resolve = resolve_free(nm->resolve);
		nm->give_up_ns = 0;
		(void)am_timer_start(&nm->retry, 0);
	}
}

enum netmach_phase
netmach_phase(const struct netmach *nm)
{
	return nm->phase;
}

struct am_machine *
netmach_mirror(const struct netmach *nm)
{
	return nm->mirror;
}

void
netmach_give_up(struct netmach *nm, const char *why)
{
	resend_give_up(nm, why);
}

uint64_t
netmach_epoch(const struct netmach *nm)
{
	return nm->epoch;
}

uint64_t
netmach_client_id(const struct netmach *nm)
{
	return nm->hello.client_id;
}

uint64_t
netmach_last_seq(const struct netmach *nm)
{
	return nm->last_seq;
}

unsigned
netmach_window(const struct netmach *nm)
{
	return nm->window;
}

uint64_t
netmach_mismatches(const struct netmach *nm)
{
	return nm->mismatches;
}

bool
netmach_is_exact(const struct netmach *nm)
{
	return netmach_is_ready(nm) && !nm->wrong;
}

const struct conn_peer *
netmach_peer(const struct netmach *nm)
{
	static const struct conn_peer nobody = {
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
	};

	return nm->conn == NULL ? &nobody : conn_peer(nm->conn);
}

bool
netmach_is_local(const struct netmach *nm)
{
	return addr_is_local(netmach_at(nm)) ||
	    (nm->conn != NULL && conn_is_local(nm->conn));
}

size_t
netmach_backlog(const struct netmach *nm)
{
	return nm->conn == NULL ? 0 : conn_backlog(nm->conn);
}

/* ---- calls ---- */

/* Opens a call that is not a mutation, and puts the head of its frame into
 * *ret_out; the params follow. Returns its id, or -errno. */
static int
call_begin(struct netmach *nm, enum arpc_method method, netmach_reply_fn fn,
    void *arg, struct am_buf **ret_out)
{
	struct netmach_call call = { .method = method, .fn = fn, .arg = arg };
	int r;

	if (!netmach_is_ready(nm))
		return -ENOTCONN;
	r = calls_open(&nm->others, &call);
	if (r < 0)
		return r;
	*ret_out = conn_out(nm->conn);
	arpc_put_request(*ret_out, call.id + OTHER_IDS, method);
	return (int)(call.id + OTHER_IDS);
}

static enum arpc_method
method_of(enum am_op op)
{
	switch (op) {
	case AM_ADD:
		return ARPC_add;
	case AM_REMOVE:
		return ARPC_remove;
	case AM_SET:
		return ARPC_set;
	case AM_TOGGLE:
		return ARPC_toggle;
	case AM_CAN_ADD:
		return ARPC_can_add;
	case AM_CAN_REMOVE:
		return ARPC_can_remove;
	}
	return ARPC_UNKNOWN;
}

/* Refuses what the server would close the connection for. */
static int
check_mutation(const struct netmach *nm, size_t n, struct am_val args)
{
	if (n > ARPC_NAMES_MAX)
		return -EINVAL;
	return am_args_check(args, nm->frame_max - ARPC_FRAME_HEAD);
}

static int
mutate_kept(struct netmach *nm, struct netmach_call *call, const am_id *states,
    size_t n, struct am_val args, int64_t deadline_ms)
{
	int r;

	if (nm->freed || nm->closing)
		return -ENOTCONN;
	r = resend_put(nm, call->method, states, n, args, deadline_ms,
	    &call->resend);
	if (r < 0)
		return r;
	r = calls_open(&nm->calls, call);
	if (r < 0) {
		resend_drop(nm, call->resend);
		return r;
	}
	call->resend->id = call->id;
	resend_flush(nm);
	return (int)call->id;
}

int
netmach_mutate_once(struct netmach *nm, enum am_op op, const am_id *states,
    size_t n, struct am_val args, netmach_reply_fn fn, void *arg)
{
	struct am_buf *out;
	int r = check_mutation(nm, n, args);

	if (r == 0)
		r = call_begin(nm, method_of(op), fn, arg, &out);
	if (r > 0)
		arpc_put_mutation(out, states, n, args, -1);
	return r;
}

int
netmach_mutate(struct netmach *nm, enum am_op op, const am_id *states, size_t n,
    struct am_val args, int64_t deadline_ms, netmach_reply_fn fn, void *arg)
{
	struct netmach_call call = { .method = method_of(op),
		.fn = fn,
		.arg = arg };
	struct am_buf *out;
	int r;

	if (op == AM_CAN_ADD || op == AM_CAN_REMOVE)
		return netmach_mutate_once(nm, op, states, n, args, fn, arg);
	r = check_mutation(nm, n, args);
	if (r < 0)
		return r;
	if (nm->resume && fn != NULL)
		return mutate_kept(nm, &call, states, n, args, deadline_ms);
	if (!netmach_is_ready(nm))
		return -ENOTCONN;
	if (fn != NULL)
		r = calls_open(&nm->calls, &call);
	if (r < 0)
		return r;
	out = conn_out(nm->conn);
	if (fn != NULL)
		arpc_put_request(out, call.id, call.method);
	else
		arpc_put_notification(out, call.method);
	arpc_put_mutation(out, states, n, args, deadline_ms);
	return (int)call.id;
}

/* ---- calls of other kinds ---- */

int
netmach_info(struct netmach *nm, struct am_val params, netmach_reply_fn fn,
    void *arg)
{
	struct am_buf *out;
	int r = am_val_check(params, nm->frame_max - ARPC_FRAME_HEAD);

	if (r == 0)
		r = call_begin(nm, ARPC_info, fn, arg, &out);
	if (r > 0)
		am_put_val(out, params);
	return r;
}

int
netmach_lease_begin(struct netmach *nm, const struct arpc_lease *lease,
    netmach_reply_fn fn, void *arg)
{
	struct am_buf *out;
	int r = call_begin(nm, ARPC_lease_begin, fn, arg, &out);

	if (r > 0)
		arpc_put_lease(out, lease);
	return r;
}

int
netmach_sync(struct netmach *nm, netmach_reply_fn fn, void *arg)
{
	struct am_buf *out;
	int r = call_begin(nm, ARPC_sync, fn, arg, &out);

	if (r > 0)
		am_put_array(out, 0);
	return r;
}

int
netmach_when_args(struct netmach *nm, am_id state, struct am_val args,
    netmach_reply_fn fn, void *arg)
{
	struct am_buf *out;
	int r = check_mutation(nm, 1, args);

	if (r == 0)
		r = call_begin(nm, ARPC_when_args, fn, arg, &out);
	if (r > 0) {
		am_put_array(out, 2);
		am_put_uint(out, state);
		am_put_val(out, args);
	}
	return r;
}

int
netmach_trace(struct netmach *nm, bool on, netmach_reply_fn fn, void *arg)
{
	struct am_buf *out;
	int r = call_begin(nm, ARPC_trace, fn, arg, &out);

	if (r > 0) {
		am_put_array(out, 1);
		am_put_bool(out, on);
	}
	return r;
}

void
netmach_ack(struct netmach *nm, uint64_t seq)
{
	struct am_buf *out;

	/* Without a connection: acked when the payload arrives again. */
	(void)seqs_remove(&nm->unacked, seq);
	if (!netmach_is_ready(nm))
		return;
	out = conn_out(nm->conn);
	arpc_put_notification(out, ARPC_ack);
	am_put_array(out, 1);
	am_put_array(out, 1);
	am_put_uint(out, seq);
}
