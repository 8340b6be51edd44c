/* The lease of a client: a wish becomes a request, a request becomes a lease, a
 * lease ends (flows 4, 5b, 9; rules 18, 21, 32). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/node/client_int.h"
#include "proto/supervisor.h"

enum {
	/* With timeout 0 a supervisor answers at once. */
	NO_WAIT_MS = 5000,
	MISSES_MAX = 10,
};

static void
tell_lost(struct am_client *c, const char *code, const char *reason)
{
	if (c->conf.on_lost != NULL)
		c->conf.on_lost(c, code, reason, c->conf.arg);
}

/* ---- the wish ---- */

static void
wish_watch(struct am_client *c)
{
	int64_t left;

	if (c->wish_deadline_ns == 0)
		return;
	left = (c->wish_deadline_ns - clock_ns()) / NS_PER_MS;
	(void)am_timer_start(&c->wish_timer, left > 0 ? left : 0);
}

int
am_client_lease(struct am_client *c, int64_t timeout_ms)
{
	int r;

	if (am_is1(c->machine, Cli_WorkerWanted) || client_lease(c) != NULL)
		return -EALREADY;
	if (c->n_supervisors == 0)
		return -EDESTADDRREQ;
	super_begin(c);
	/* In a later turn: on_lost must not come before this returns. */
	if (!super_is_ready(c)) {
		r = am_timer_start(&c->super_timer, 0);
		if (r < 0)
			return r;
	}
	c->no_wait = timeout_ms == 0;
	c->n_misses = 0;
	c->wish_deadline_ns = 0;
	if (timeout_ms >= 0)
		c->wish_deadline_ns = clock_ns() +
		    node_ns(timeout_ms > 0 ? timeout_ms : NO_WAIT_MS);
	wish_watch(c);
	client_put_change(c, AM_ADD, Cli_WorkerWanted, Cli_WorkerWanted);
	return 0;
}

/* `why` is the reason given to the supervisor if the request still waits
 * there. */
static void
wish_end(struct am_client *c, const char *why, const char *code,
    const char *reason)
{
	char own_code[64], own_reason[AM_ERROR_MAX];

	/* Copied: they may be strings of a supervisor, which the next wish
	 * resets. */
	(void)snprintf(own_code, sizeof(own_code), "%s", code);
	(void)snprintf(own_reason, sizeof(own_reason), "%s", reason);
	am_timer_stop(&c->wish_timer);
	(void)snprintf(c->unwanted, sizeof(c->unwanted), "%s", why);
	client_put_change(c, AM_REMOVE, Cli_WorkerWanted, Cli_WorkerRequested);
	tell_lost(c, own_code, own_reason);
}

void
wish_on_timer(void *arg)
{
	struct am_client *c = arg;

	if (!am_is1(c->machine, Cli_WorkerWanted))
		return;
	if (c->request == 0 && c->super_error[0] != '\0')
		wish_end(c, AM_CODE_TIMEOUT, super_code(c), c->super_error);
	else
		wish_end(c, AM_CODE_TIMEOUT,
		    c->no_wait ? AM_CODE_NO_WORKER : AM_CODE_TIMEOUT,
		    "no worker in time");
}

void
wish_refused(struct am_client *c, const char *code, const char *reason)
{
	wish_end(c, AM_CODE_TIMEOUT, code, reason);
}

void
worker_wanted_state(struct am_event *ev)
{
	struct am_client *c = ev->arg;

	if (am_is1(ev->machine, Cli_SuperReady))
		(void)due_add1(&c->due, Cli_WorkerRequested, AM_NONE);
}

void
super_ready_state(struct am_event *ev)
{
	struct am_client *c = ev->arg;

	if (am_is1(ev->machine, Cli_WorkerWanted))
		(void)due_add1(&c->due, Cli_WorkerRequested, AM_NONE);
	if (am_is1(ev->machine, Cli_Releasing))
		lease_release(c);
}

/* ---- the request ---- */

static void
on_asked(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct am_client *c = arg;

	(void)nm;
	if (c->request == 0 || c->asked_id != id)
		return;
	switch (r->status) {
	case NETMACH_OK:
		if (r->result != AM_CANCELED)
			return;
		c->request = 0;
		super_refused(c, AM_CODE_REFUSED, r->why);
		return;
	case NETMACH_ERROR:
		c->request = 0;
		super_refused(c, arpc_error_name(r->error), r->text);
		return;
	case NETMACH_LOST:
	case NETMACH_NOT_SENT:
		return;
	}
}

static int64_t
wish_left_ms(const struct am_client *c)
{
	int64_t left;

	if (c->no_wait)
		return 0;
	if (c->wish_deadline_ns == 0)
		return -1;
	left = (c->wish_deadline_ns - clock_ns()) / NS_PER_MS;
	return left > 1 ? left : 1;
}

void
worker_requested_state(struct am_event *ev)
{
	struct am_client *c = ev->arg;
	const am_id state = Sup_LeaseRequested;
	const struct client_wish *w = &c->wish;
	struct am_buf args = AM_BUF_INIT;
	/* On another host the pid means another process. */
	bool bound = w->pid > 0 && netmach_is_local(c->super);
	int id;

	/* A handler of the user's has freed the client. */
	if (c->super == NULL)
		return;
	c->request = ++c->last_request;
	(void)snprintf(c->unwanted, sizeof(c->unwanted), "unwanted");
	am_put_map(&args,
	    3 + (w->ttl_ms > 0) + (w->max_ms > 0) + (bound ? 2 : 0));
	node_put_uint(&args, "request", c->request);
	node_put_int(&args, "timeout_ms", wish_left_ms(c));
	node_put_int(&args, "priority", w->priority);
	if (w->ttl_ms > 0)
		node_put_int(&args, "ttl_ms", w->ttl_ms);
	if (w->max_ms > 0)
		node_put_int(&args, "max_ms", w->max_ms);
	if (bound) {
		node_put_int(&args, "pid", w->pid);
		node_put_uint(&args, "pid_start", w->pid_start);
	}
	/* Otherwise the connection is closing; SuperReady will end and
	 * return. */
	id = netmach_mutate(c->super, AM_ADD, &state, 1, am_buf_val(&args), -1,
	    on_asked, c);
	c->asked_id = id > 0 ? (uint32_t)id : 0;
	am_buf_done(&args);
}

/* -ENOTCONN, -ENOMEM */
static int
release_args(struct am_client *c, struct am_val args, netmach_reply_fn fn)
{
	const am_id state = Sup_ReleaseWorker;

	if (!super_is_ready(c))
		return -ENOTCONN;
	return netmach_mutate(c->super, AM_ADD, &state, 1, args, -1, fn, c);
}

static int
release_lease(struct am_client *c, const char *lease, const char *reason,
    netmach_reply_fn fn)
{
	struct am_buf args = AM_BUF_INIT;
	int r;

	am_put_map(&args, 2);
	node_put_str(&args, "lease", lease);
	node_put_str(&args, "reason", reason);
	r = release_args(c, am_buf_val(&args), fn);
	am_buf_done(&args);
	return r;
}

void
worker_requested_end(struct am_event *ev)
{
	struct am_client *c = ev->arg;
	struct am_buf args = AM_BUF_INIT;

	if (c->request == 0 || am_is1(ev->machine, Cli_Leased))
		return;
	am_put_map(&args, 2);
	node_put_uint(&args, "request", c->request);
	node_put_str(&args, "reason", c->unwanted);
	(void)release_args(c, am_buf_val(&args), NULL);
	am_buf_done(&args);
	c->request = 0;
}

/* ---- the answer ---- */

static int
read_lease(struct am_val data, struct client_lease *ret)
{
	const void *token;
	size_t len;
	int64_t pid;

	*ret = (struct client_lease){ .pid = 0 };
	if (am_get_text(data, "lease", ret->lease, sizeof(ret->lease)) < 0 ||
	    am_get_text(data, "worker", ret->worker, sizeof(ret->worker)) < 0 ||
	    am_get_text(data, "address", ret->address, sizeof(ret->address)) <
		0 ||
	    am_get_bin(data, "token", &token, &len) < 0 ||
	    len != sizeof(ret->token) || ret->lease[0] == '\0')
		return -EBADMSG;
	memcpy(ret->token, token, len);
	if (am_get_int(data, "pid", &pid) == 0)
		ret->pid = (pid_t)pid;
	(void)am_get_int(data, "ttl_ms", &ret->ttl_ms);
	(void)am_get_int(data, "max_ms", &ret->max_ms);
	return 0;
}

/* Whether it answers the request that waits. */
static bool
is_awaited(const struct am_client *c, struct am_val data)
{
	int64_t request;

	return am_get_int(data, "request", &request) == 0 && c->request != 0 &&
	    (uint64_t)request == c->request;
}

/* In the drain of ServerPayload: accepts the lease, or returns it at once. */
static void
take_lease(struct am_client *c, struct am_val data)
{
	struct am_buf args = AM_BUF_INIT;
	struct client_lease l;

	if (read_lease(data, &l) < 0)
		return;
	if (!is_awaited(c, data) || !am_is1(c->machine, Cli_WorkerRequested) ||
	    worker_set(c, &l) < 0) {
		(void)release_lease(c, l.lease, "unwanted", NULL);
	} else {
		c->request = 0;
		c->home = c->at;
		backoff_reset(&c->super_backoff, BACKOFF_MIN_MS);
		am_put_map(&args, 1);
		node_put_str(&args, "lease", l.lease);
		(void)due_add1(&c->due, Cli_Leased, am_buf_val(&args));
		am_buf_done(&args);
	}
	node_wipe(&l, sizeof(l));
}

void
server_payload_state(struct am_event *ev)
{
	struct am_client *c = ev->arg;

	(void)am_remove1(ev->machine, Cli_ServerPayload, AM_NONE);
	if (c->provided.data != NULL)
		take_lease(c, c->provided);
}

/* {"request", "error": {"code", "message"}} */
static void
refused(struct am_client *c, struct am_val data, struct am_val error)
{
	char code[64], message[512];

	if (!is_awaited(c, data))
		return;
	c->request = 0;
	node_get_text(error, "code", code, sizeof(code));
	node_get_text(error, "message", message, sizeof(message));
	if (strcmp(code, AM_CODE_TIMEOUT) == 0)
		wish_end(c, "", code, message);
	else
		super_refused(c, code, message);
}

void
provide_worker(struct am_client *c, struct am_val data)
{
	struct am_buf args = AM_BUF_INIT;
	struct am_val error = AM_NONE;
	bool held = client_lease(c) != NULL;
	char id[40];

	if (am_get(data, "error", &error) == 0) {
		node_get_text(error, "code", id, sizeof(id));
	} else {
		node_get_text(data, "lease", id, sizeof(id));
		c->provided = data;
	}
	am_put_map(&args, 2);
	node_put_str(&args, "name", "ProvideWorker");
	node_put_str(&args, error.data != NULL ? "error" : "lease", id);
	(void)due_add1(&c->due, Cli_ServerPayload, am_buf_val(&args));
	am_buf_done(&args);
	c->provided = AM_NONE;
	if (error.data != NULL) {
		refused(c, data, error);
	} else if (!held && client_lease(c) != NULL) {
		am_timer_stop(&c->wish_timer);
		worker_connect(c);
	} else if (is_awaited(c, data)) {
		c->request = 0;
		wish_end(c, "", AM_CODE_BAD_ANSWER,
		    "the supervisor named no worker that can be "
		    "reached");
	}
}

/* ---- the lease of another process ---- */

int
client_attach(struct am_client *c, const struct client_lease *l)
{
	struct am_buf args = AM_BUF_INIT;
	int r;

	if (am_is1(c->machine, Cli_WorkerWanted) || client_lease(c) != NULL)
		return -EALREADY;
	c->attached = true;
	r = worker_set(c, l);
	if (r < 0) {
		c->attached = false;
		return r;
	}
	if (!super_is_ready(c))
		am_timer_stop(&c->super_timer);
	am_put_map(&args, 1);
	node_put_str(&args, "lease", l->lease);
	(void)due_add1(&c->due, Cli_Leased, am_buf_val(&args));
	am_buf_done(&args);
	return am_timer_start(&c->worker_timer, 0);
}

void
client_detach(struct am_client *c)
{
	requests_lost(c, AM_CODE_DETACHED, "the connection was closed");
	am_timer_stop(&c->super_timer);
	am_timer_stop(&c->wish_timer);
	c->super = netmach_free(c->super);
	c->request = 0;
	client_put_change(c, AM_REMOVE, Cli_WorkerWanted, Cli_WorkerRequested);
	client_put_change(c, AM_REMOVE, Cli_SuperReady, Cli_SuperConnected);
	client_put_change(c, AM_REMOVE, Cli_SuperConnecting,
	    Cli_SuperConnecting);
	if (client_lease(c) == NULL)
		return;
	worker_forget(c);
	client_put_change(c, AM_REMOVE, Cli_Leased, Cli_Leased);
}

/* ---- the end ---- */

/* {"state", "reason", ...}; an error if the supervisor has forgotten it. */
static void
on_reason(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct am_client *c = arg;
	char reason[64] = "";

	(void)nm;
	(void)id;
	if (client_lease(c) == NULL || !am_is1(c->machine, Cli_Releasing) ||
	    r->status == NETMACH_LOST || r->status == NETMACH_NOT_SENT)
		return;
	if (r->status == NETMACH_OK)
		node_get_text(r->value, "reason", reason, sizeof(reason));
	if (reason[0] != '\0')
		lease_over(c, reason, reason);
	else
		lease_over(c, AM_CODE_ENDED, "it was over already");
}

/* It was over before its release: asks the supervisor why. */
static void
ask_reason(struct am_client *c)
{
	struct am_buf params = AM_BUF_INIT;

	am_put_array(&params, 2);
	am_put_str(&params, "lease");
	am_put_str(&params, c->lease.lease);
	(void)netmach_info(c->super, am_buf_val(&params), on_reason, c);
	am_buf_done(&params);
}

/* The supervisor has accepted the release: the worker says bye, if it can be
 * reached. */
static void
on_released(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct am_client *c = arg;

	(void)nm;
	(void)id;
	if (client_lease(c) == NULL || !am_is1(c->machine, Cli_Releasing))
		return;
	switch (r->status) {
	case NETMACH_OK:
		if (r->result == AM_CANCELED)
			ask_reason(c);
		/* If requests are open, keep looking for the worker, which may
		 * have their results. */
		else if (netmach_phase(c->worker) != NETMACH_READY &&
		    c->n_pending == 0)
			lease_over(c, AM_CODE_RELEASED, "released");
		return;
	case NETMACH_ERROR:
		if (r->error == ARPC_E_no_lease)
			ask_reason(c);
		else
			lease_over(c, arpc_error_name(r->error), r->text);
		return;
	case NETMACH_LOST: /* sent again on the next connection */
	case NETMACH_NOT_SENT:
		return;
	}
}

void
lease_release(struct am_client *c)
{
	int r = release_lease(c, c->lease.lease, "released", on_released);

	if (r < 0 && r != -ENOTCONN)
		super_again(c);
}

void
releasing_state(struct am_event *ev)
{
	lease_release(ev->arg);
}

int
am_client_release(struct am_client *c)
{
	if (am_is1(c->machine, Cli_WorkerWanted)) {
		wish_end(c, AM_CODE_UNWANTED, AM_CODE_RELEASED,
		    "no longer wanted");
		return 0;
	}
	if (client_lease(c) == NULL)
		return -ENOENT;
	if (c->n_supervisors == 0)
		return -EDESTADDRREQ;
	client_put_change(c, AM_ADD, Cli_Releasing, Cli_Releasing);
	if (!super_is_ready(c))
		super_connect(c);
	return 0;
}

/* A supervisor takes back an unconfirmed lease when its connection is lost, and
 * a worker may die before it is reached: any other worker will do. */
void
lease_missed(struct am_client *c, const char *code, const char *reason)
{
	bool is_late = c->wish_deadline_ns != 0 &&
	    clock_ns() >= c->wish_deadline_ns;

	if (c->said_ready || c->attached || is_late ||
	    c->n_misses++ == MISSES_MAX || am_is1(c->machine, Cli_Releasing)) {
		lease_over(c, code, reason);
		return;
	}
	(void)release_lease(c, c->lease.lease, "unwanted", NULL);
	worker_forget(c);
	client_put_change(c, AM_REMOVE, Cli_Leased, Cli_Leased);
	client_put_change(c, AM_REMOVE, Cli_WorkerRequested,
	    Cli_WorkerRequested);
	wish_watch(c);
	super_begin(c);
	client_put_change(c, AM_ADD, Cli_WorkerWanted, Cli_WorkerWanted);
	if (!super_is_ready(c))
		super_connect(c);
}

void
lease_over(struct am_client *c, const char *code, const char *reason)
{
	struct am_buf args = AM_BUF_INIT;
	char own_code[64], own_reason[ARPC_TEXT_MAX];

	/* Copied: they may be strings of the connection that ends now. */
	(void)snprintf(own_code, sizeof(own_code), "%s", code);
	(void)snprintf(own_reason, sizeof(own_reason), "%s", reason);
	worker_forget(c);
	am_put_map(&args, 1);
	node_put_str(&args, "reason", own_code);
	(void)due_remove1(&c->due, Cli_Leased, am_buf_val(&args));
	am_buf_done(&args);
	/* Still active if the worker was never reached. */
	if (am_is1(c->machine, Cli_WorkerRequested))
		client_put_change(c, AM_REMOVE, Cli_WorkerRequested,
		    Cli_WorkerRequested);
	requests_lost(c, own_code, own_reason);
	tell_lost(c, own_code, own_reason);
}
