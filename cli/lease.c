#include "cli/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/dur.h"
#include "proto/mp.h"
#include "proto/supervisor.h"

enum { TRIES_MAX = 10, GRACE_MS = 1000, NOW_MS = 5000 };

int
lease_ask(struct cli *c, struct session *sup, const char *id,
    struct lease_info *ret)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	struct am_val v;
	int rc;

	am_put_str(&b, id);
	rc = session_info(sup, "lease", am_buf_val(&b), cli_io_deadline(c));
	if (rc < 0)
		return rc;
	if (sup->call.status != NETMACH_OK)
		return sup->call.error == ARPC_E_no_lease ? -ENOENT : -EPROTO;
	v = am_buf_val(&sup->call.value);
	if (am_get_text(v, "state", ret->state, sizeof(ret->state)) < 0)
		return -EPROTO;
	ret->reason[0] = '\0';
	(void)am_get_text(v, "reason", ret->reason, sizeof(ret->reason));
	return 0;
}

int
lease_wait_end(struct cli *c, struct session *sup, const char *id,
    struct lease_info *ret, int64_t deadline_ns)
{
	for (;;) {
		unsigned updates = sup->updates;
		int rc = lease_ask(c, sup, id, ret);

		if (rc < 0 || strcmp(ret->state, "ended") == 0)
			return rc;
		rc = session_wait_update(sup, updates, deadline_ns);
		if (rc < 0)
			return rc;
	}
}

int
lease_wait_confirmed(struct cli *c, struct session *sup, const char *id)
{
	struct lease_info info;
	int64_t deadline = cli_io_deadline(c);

	for (;;) {
		unsigned updates = sup->updates;
		int rc = lease_ask(c, sup, id, &info);

		if (rc == -ENOENT)
			return cli_fail(c, EX_LOST, "lost",
			    "lease %s: amnoded does not know it", id);
		if (rc < 0)
			return session_fail(c, sup, rc);
		if (strcmp(info.state, "confirmed") == 0)
			return EX_OK;
		if (strcmp(info.state, "ended") == 0)
			return cli_fail(c, EX_LOST, "lost",
			    "lease %s is over: %s", id, info.reason);
		rc = session_wait_update(sup, updates, deadline);
		if (rc < 0)
			return session_fail(c, sup, rc);
	}
}

static bool
is_bounded(const struct cli *c, enum opt_id id)
{
	return !cli_has(c, id) ||
	    (c->opts.num[id] > 0 && c->opts.num[id] != DUR_INF);
}

int
lease_wish_options(struct cli *c, struct client_wish *ret)
{
	if (!is_bounded(c, OPT_TTL) || !is_bounded(c, OPT_MAX))
		return cli_fail(c, EX_USAGE, "usage",
		    "--ttl and --max have to be more than 0 and less than inf");
	ret->ttl_ms = c->opts.num[OPT_TTL];
	ret->max_ms = c->opts.num[OPT_MAX];
	ret->priority = (int)c->opts.num[OPT_PRIORITY];
	return EX_OK;
}

int
lease_wish_own(struct client_wish *ret)
{
	ret->pid = getpid();
	return client_pid_start(ret->pid, &ret->pid_start);
}

int
lease_wish_pid(struct cli *c, struct client_wish *ret, pid_t pid)
{
	int rc = client_pid_start(pid, &ret->pid_start);

	if (rc < 0)
		return cli_fail(c, EX_MISSING, "no_process",
		    "--bind-pid %d: no such process", (int)pid);
	ret->pid = pid;
	return EX_OK;
}

/* ---- to get one ---- */

static uint64_t
put_wish(struct am_buf *b, const struct session *sup,
    const struct client_wish *w, int64_t wait_ms)
{
	/* One request at a time on a connection, so any number does. */
	uint64_t request = (uint64_t)clock_ns() & INT64_MAX;
	/* On another host the number means another process. */
	bool bound = w->pid != 0 && netmach_is_local(sup->nm);

	am_put_map(b,
	    2 + (w->priority != 0) + (w->ttl_ms != 0) + (w->max_ms != 0) +
		(bound ? 2U : 0U));
	am_put_str(b, "request");
	am_put_uint(b, request);
	am_put_str(b, "timeout_ms");
	am_put_int(b, wait_ms);
	if (w->priority != 0) {
		am_put_str(b, "priority");
		am_put_int(b, w->priority);
	}
	if (w->ttl_ms != 0) {
		am_put_str(b, "ttl_ms");
		am_put_int(b, w->ttl_ms);
	}
	if (w->max_ms != 0) {
		am_put_str(b, "max_ms");
		am_put_int(b, w->max_ms);
	}
	if (bound) {
		am_put_str(b, "pid");
		am_put_int(b, w->pid);
		am_put_str(b, "pid_start");
		am_put_uint(b, w->pid_start);
	}
	return request;
}

/* The answer that is waited for. */
struct grant {
	struct session *sup;
	unsigned cuts; /* the session's when it was asked */
	uint64_t request;
	bool done;
	bool granted;
	struct client_lease *lease;
	struct lease_refusal *no;
};

static void
refuse(struct lease_refusal *no, enum exit_code exit, const char *code,
    const char *message)
{
	no->exit = exit;
	(void)snprintf(no->code, sizeof(no->code), "%s", code);
	(void)snprintf(no->message, sizeof(no->message), "no worker: %.490s",
	    message);
}

static void
grant_error(struct grant *g, struct am_val error)
{
	char code[32] = "no_worker";
	char message[AM_ERROR_MAX] = "";

	(void)am_get_text(error, "code", code, sizeof(code));
	(void)am_get_text(error, "message", message, sizeof(message));
	refuse(g->no, strcmp(code, "timeout") == 0 ? EX_TIMEOUT : EX_NO_WORKER,
	    code, message[0] != '\0' ? message : code);
}

static int
grant_lease(struct client_lease *l, struct am_val data)
{
	const void *token;
	size_t len;
	int64_t pid = 0;

	if (am_get_text(data, "lease", l->lease, sizeof(l->lease)) < 0 ||
	    am_get_text(data, "worker", l->worker, sizeof(l->worker)) < 0 ||
	    am_get_text(data, "address", l->address, sizeof(l->address)) < 0 ||
	    am_get_int(data, "pid", &pid) < 0 ||
	    am_get_int(data, "ttl_ms", &l->ttl_ms) < 0 ||
	    am_get_int(data, "max_ms", &l->max_ms) < 0 ||
	    am_get_bin(data, "token", &token, &len) < 0 ||
	    len != ARPC_TOKEN_LEN)
		return -EPROTO;
	l->pid = (pid_t)pid;
	memcpy(l->token, token, len);
	return 0;
}

static void
on_provide(struct session *s, const struct arpc_payload *p, void *arg)
{
	struct grant *g = (struct grant *)arg;
	struct mp c = mp_of(p->name);
	char name[32];
	struct am_val error;
	int64_t request = 0;

	(void)s;
	if (mp_get_text(&c, name, sizeof(name)) < 0 ||
	    strcmp(name, "ProvideWorker") != 0)
		return;
	if (am_get_int(p->data, "request", &request) < 0 ||
	    (uint64_t)request != g->request)
		return;
	g->done = true;
	if (am_get(p->data, "error", &error) == 0)
		grant_error(g, error);
	else if (grant_lease(g->lease, p->data) == 0)
		g->granted = true;
	else
		refuse(g->no, EX_FAILED, "protocol",
		    "amnoded's answer cannot be understood");
}

static bool
is_decided(void *arg)
{
	const struct grant *g = (const struct grant *)arg;
	const struct session_call *call = &g->sup->call;

	return g->done || g->sup->down || g->sup->cuts != g->cuts ||
	    (call->done &&
		(call->status != NETMACH_OK || call->result == AM_CANCELED));
}

static int64_t
grant_deadline(int64_t wait_ms)
{
	if (wait_ms < 0)
		return INT64_MAX;
	return clock_ns() +
	    (wait_ms == 0 ? NOW_MS : wait_ms + GRACE_MS) * NS_PER_MS;
}

/* Neither granted nor refused by a payload. */
static void
grant_failed(struct grant *g, int rc, int64_t wait_ms)
{
	const struct session_call *call = &g->sup->call;
	char text[AM_ERROR_MAX];
	char ms[32];

	if (rc == -ETIMEDOUT) {
		dur_format(wait_ms, ms, sizeof(ms));
		(void)snprintf(text, sizeof(text), "none within %s", ms);
		refuse(g->no, EX_TIMEOUT, "timeout", text);
	} else if (rc < 0 || g->sup->down || call->status == NETMACH_LOST) {
		(void)snprintf(text, sizeof(text),
		    "the connection to amnoded was lost: %.400s",
		    g->sup->down ? g->sup->why : strerror(rc < 0 ? -rc : EIO));
		refuse(g->no, EX_UNREACHABLE, "unreachable", text);
	} else if (call->status == NETMACH_ERROR) {
		refuse(g->no, cli_code_of((int)call->error),
		    arpc_error_name(call->error), call->text);
	} else {
		refuse(g->no, EX_REFUSED, "canceled", call->text);
	}
}

/* As session_until(). */
static int
grant_ask(struct grant *g, const struct client_wish *wish, int64_t wait_ms,
    int64_t deadline_ns)
{
	static const am_id asked = Sup_LeaseRequested;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	int rc;

	g->cuts = g->sup->cuts;
	g->request = put_wish(&b, g->sup, wish, wait_ms);
	rc = session_send_once(g->sup, AM_ADD, &asked, 1, am_buf_val(&b));
	if (rc == 0)
		rc = session_until(g->sup->cli, is_decided, g, deadline_ns);
	return rc;
}

static int64_t
left_of(int64_t until_ns)
{
	int64_t left = until_ns - clock_ns();

	return left < 0 ? 0 : left / NS_PER_MS;
}

/* With a connection that is cut amnoded drops what was asked for on it, granted
 * or not: it is asked for anew. */
static int
grant_get(struct session *sup, const struct client_wish *wish, int64_t wait_ms,
    struct client_lease *ret, struct lease_refusal *no)
{
	struct grant g = { .sup = sup, .lease = ret, .no = no };
	int64_t until = grant_deadline(wait_ms);
	int64_t left_ms = wait_ms;
	int rc;

	sup->on_payload = on_provide;
	sup->arg = &g;
	for (;;) {
		rc = session_wait_up(sup, until);
		if (rc == 0 && !sup->down)
			rc = grant_ask(&g, wish, left_ms, until);
		if (g.done || rc < 0 || sup->down || sup->cuts == g.cuts)
			break;
		/* 0 would be: only if one is free now. */
		if (wait_ms > 0)
			left_ms = left_of(until - GRACE_MS * NS_PER_MS) + 1;
	}
	sup->on_payload = NULL;
	sup->arg = NULL;
	if (g.granted)
		return EX_OK;
	if (!g.done)
		grant_failed(&g, rc, wait_ms);
	return (int)no->exit;
}

int
lease_try(struct cli *c, struct session *sup, struct session *wrk,
    const struct client_wish *wish, int64_t wait_ms, struct client_lease *ret,
    struct lease_refusal *no)
{
	int64_t until = wait_ms < 0 ? INT64_MAX
				    : clock_ns() + wait_ms * NS_PER_MS;
	int rc = 0;

	for (int i = 0; i < TRIES_MAX; i++) {
		int64_t ms = wait_ms <= 0 ? wait_ms : left_of(until);

		rc = grant_get(sup, wish, ms, ret, no);
		if (rc != EX_OK)
			return rc;
		rc = session_open_text(wrk, c, ret->address, ret->token);
		if (rc == 0)
			return EX_OK;
		/* It died under our hands; the next one is as good. */
		lease_drop(sup, ret->lease, "unwanted");
	}
	refuse(no, EX_NO_WORKER, "no_worker",
	    wrk->down ? wrk->why : strerror(-rc));
	return (int)no->exit;
}

int
lease_take(struct cli *c, struct session *sup, struct session *wrk,
    const struct client_wish *wish, int64_t wait_ms, struct client_lease *ret)
{
	struct lease_refusal no;
	int rc = lease_try(c, sup, wrk, wish, wait_ms, ret, &no);

	return rc == EX_OK ? rc
			   : cli_fail(c, no.exit, no.code, "%s", no.message);
}

void
lease_drop(struct session *sup, const char *id, const char *reason)
{
	static const am_id release = Sup_ReleaseWorker;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	if (sup->nm == NULL)
		return;
	am_put_map(&b, 2);
	am_put_str(&b, "lease");
	am_put_str(&b, id);
	am_put_str(&b, "reason");
	am_put_str(&b, reason);
	(void)netmach_mutate(sup->nm, AM_ADD, &release, 1, am_buf_val(&b), -1,
	    NULL, NULL);
}
