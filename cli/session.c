#include "cli/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/target.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

enum {
	CONNECT_MS = 5000,
	CLOSE_MS = 1000,
	/* A link that is cut is looked for so long, and as long as the command
	 * has time. */
	RETRY_MS = 10000,
};

static void
on_ready(struct netmach *nm, void *arg)
{
	struct session *s = (struct session *)arg;

	(void)nm;
	s->up = true;
	s->updates++;
}

static void
on_cut(struct netmach *nm, const char *why, void *arg)
{
	struct session *s = (struct session *)arg;

	(void)nm;
	(void)why;
	s->up = false;
	s->cuts++;
}

static void
on_update(struct netmach *nm, void *arg)
{
	struct session *s = (struct session *)arg;

	(void)nm;
	s->updates++;
}

static void
on_payload(struct netmach *nm, const struct arpc_payload *p, void *arg)
{
	struct session *s = (struct session *)arg;

	(void)nm;
	if (s->on_payload != NULL)
		s->on_payload(s, p, s->arg);
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	struct session *s = (struct session *)arg;

	(void)nm;
	s->up = false;
	s->down = true;
	s->code = code;
	(void)snprintf(s->why, sizeof(s->why), "%s", why);
	if (s->on_down != NULL)
		s->on_down(s, s->arg);
}

static bool
is_taken(struct netmach *nm, uint32_t id, void *arg)
{
	struct session *s = (struct session *)arg;

	(void)nm;
	return s->is_taken != NULL && s->is_taken(s, id, s->arg);
}

static const struct netmach_ops ops = {
	.is_taken = is_taken,
	.on_ready = on_ready,
	.on_update = on_update,
	.on_payload = on_payload,
	.on_down = on_cut,
	.on_close = on_close,
};

static void
on_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct session *s = (struct session *)arg;
	struct session_call *call = &s->call;

	(void)nm;
	if (id != call->id)
		return; /* its time was over */
	call->done = true;
	call->status = r->status;
	call->result = r->result;
	call->error = r->error;
	(void)snprintf(call->text, sizeof(call->text), "%s",
	    r->status == NETMACH_OK ? (r->why == NULL ? "" : r->why) : r->text);
	am_buf_reset(&call->value);
	if (r->status == NETMACH_OK && r->value.data != NULL)
		am_put_val(&call->value, r->value);
}

int
session_until(struct cli *c, bool (*done)(void *arg), void *arg,
    int64_t deadline_ns)
{
	while (!done(arg)) {
		int64_t left = -1;
		int rc;

		if (c->interrupted)
			return -EINTR;
		if (deadline_ns != INT64_MAX) {
			left = deadline_ns - clock_ns();
			if (left <= 0)
				return -ETIMEDOUT;
			left = (left + NS_PER_MS - 1) / NS_PER_MS;
			if (left > 3600 * 1000)
				left = 3600 * 1000;
		}
		rc = am_loop_step(c->loop, (int)left);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
session_addr(struct cli *c, const char *text, struct addr *ret,
    struct am_error *err)
{
	/* The files are looked at only where they are needed. */
	int r = addr_parse_tls(text, ret, err);

	if (r < 0 || !addr_is_tcp(ret))
		return r;
	if (cli_tls(c, err) < 0)
		return -EINVAL;
	return c->tls != NULL ? 0 : addr_parse(text, ret, err);
}

int
session_start(struct session *s, struct cli *c, const char *address,
    const struct addr *a, const uint8_t *token)
{
	struct netmach_conf conf = { .name = "amctl",
		.token = token,
		.timeout_ms = CONNECT_MS,
		.tls = c->tls,
		/* A cut of the link is none of the user's business. */
		.resume = true,
		.retry_ms = RETRY_MS,
		/* They stay in the outbox, for amctl payloads. */
		.sync.no_events = true };
	static const uint8_t none[] = { 0x90 }; /* an empty array */
	char name[64];

	if (s->is_late)
		conf.sync.prompt = (struct am_val){ none, sizeof(none) };
	s->cli = c;
	s->up = false;
	s->down = false;
	s->cuts = 0;
	(void)snprintf(s->address, sizeof(s->address), "%s", address);
	if (cli_loop(c) == NULL)
		return -ENOMEM;
	if (c->cmd != NULL) {
		(void)snprintf(name, sizeof(name), "amctl %s", c->cmd->name);
		conf.name = name;
	}
	s->nm = netmach_free(s->nm);
	s->nm = netmach_new(c->loop, &conf, &ops, s);
	if (s->nm == NULL)
		return -ENOMEM;
	return netmach_connect(s->nm, a);
}

static bool
is_open_or_down(void *arg)
{
	const struct session *s = (const struct session *)arg;

	return s->up || s->down;
}

int
session_open(struct session *s, struct cli *c, const char *address,
    const struct addr *a, const uint8_t *token)
{
	int rc = session_start(s, c, address, a, token);

	if (rc == 0)
		rc = session_until(c, is_open_or_down, s, cli_io_deadline(c));
	if (rc < 0)
		return rc;
	if (s->up)
		return 0;
	if (s->code < 0)
		return s->code;
	return s->code > 0 ? -EPERM : -ECONNRESET;
}

int
session_open_text(struct session *s, struct cli *c, const char *address,
    const uint8_t *token)
{
	struct am_error err;
	struct addr a;
	int rc = session_addr(c, address, &a, &err);

	if (rc == 0)
		return session_open(s, c, address, &a, token);
	s->cli = c;
	s->down = true;
	s->code = rc;
	(void)snprintf(s->why, sizeof(s->why), "%s", err.text);
	(void)snprintf(s->address, sizeof(s->address), "%s", address);
	return rc;
}

int
session_wait_up(struct session *s, int64_t deadline_ns)
{
	return session_until(s->cli, is_open_or_down, s, deadline_ns);
}

static void
call_begin(struct session *s)
{
	s->call.id = 0;
	s->call.done = false;
	s->call.text[0] = '\0';
}

static bool
is_answered(void *arg)
{
	const struct session *s = (const struct session *)arg;

	return s->call.done;
}

static int
call_wait(struct session *s, int64_t deadline_ns)
{
	int rc;

	rc = session_until(s->cli, is_answered, s, deadline_ns);
	if (rc < 0)
		return rc;
	switch (s->call.status) {
	case NETMACH_OK:
	case NETMACH_ERROR:
		break;
	case NETMACH_NOT_SENT:
		return -ECONNRESET;
	case NETMACH_LOST:
		return -EREMOTEIO;
	}
	return 0;
}

/* r: of a call that was made, its id or -errno. */
static int
asked(struct session *s, int r)
{
	if (r < 0)
		return r == -ENOTCONN ? -ECONNRESET : r;
	s->call.id = (uint32_t)r;
	return 0;
}

int
session_send(struct session *s, enum am_op op, const am_id *states, size_t n,
    struct am_val args, int64_t request_ms)
{
	call_begin(s);
	if (s->nm == NULL)
		return -ECONNRESET;
	return asked(s,
	    netmach_mutate(s->nm, op, states, n, args, request_ms, on_reply,
		s));
}

int
session_send_once(struct session *s, enum am_op op, const am_id *states,
    size_t n, struct am_val args)
{
	call_begin(s);
	return asked(s,
	    netmach_mutate_once(s->nm, op, states, n, args, on_reply, s));
}

int
session_mutate(struct session *s, enum am_op op, const am_id *states, size_t n,
    struct am_val args, int64_t request_ms, int64_t deadline_ns)
{
	int rc = session_send(s, op, states, n, args, request_ms);

	return rc < 0 ? rc : call_wait(s, deadline_ns);
}

/* What changes nothing is asked again on the next connection. */
static int
read_call(struct session *s,
    int (*send)(struct session *s, struct am_val params), struct am_val params,
    int64_t deadline_ns)
{
	int rc;

	if (s->nm == NULL)
		return -ECONNRESET;
	do {
		rc = session_wait_up(s, deadline_ns);
		if (rc < 0)
			return rc;
		if (s->down)
			return -ECONNRESET;
		call_begin(s);
		rc = asked(s, send(s, params));
		if (rc == 0)
			rc = call_wait(s, deadline_ns);
	} while (rc == -EREMOTEIO);
	return rc;
}

static int
send_info(struct session *s, struct am_val params)
{
	return netmach_info(s->nm, params, on_reply, s);
}

static int
send_sync(struct session *s, struct am_val params)
{
	(void)params;
	return netmach_sync(s->nm, on_reply, s);
}

int
session_info(struct session *s, const char *topic, struct am_val param,
    int64_t deadline_ns)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	am_put_array(&b, param.len == 0 ? 1 : 2);
	am_put_str(&b, topic);
	if (param.len > 0)
		am_put_val(&b, param);
	return read_call(s, send_info, am_buf_val(&b), deadline_ns);
}

int
session_sync(struct session *s, int64_t deadline_ns)
{
	return read_call(s, send_sync, AM_NONE, deadline_ns);
}

struct update_wait {
	const struct session *s;
	unsigned updates;
};

static bool
is_updated(void *arg)
{
	const struct update_wait *w = (const struct update_wait *)arg;

	return w->s->updates != w->updates || w->s->down;
}

int
session_wait_update(struct session *s, unsigned updates, int64_t deadline_ns)
{
	struct update_wait w = { s, updates };
	int rc = session_until(s->cli, is_updated, &w, deadline_ns);

	if (rc < 0)
		return rc;
	return s->down ? -ECONNRESET : 0;
}

static bool
is_down(void *arg)
{
	const struct session *s = (const struct session *)arg;

	return s->down;
}

void
session_close(struct session *s)
{
	if (s->nm == NULL || !s->up)
		return;
	s->on_down = NULL;
	s->on_payload = NULL;
	s->is_taken = NULL;
	netmach_close(s->nm, "done");
	/* Whether the bye arrives is of no matter; what was put before it is. */
	(void)session_until(s->cli, is_down, s,
	    clock_ns() + CLOSE_MS * NS_PER_MS);
	s->up = false;
}

void
session_done(struct session *s)
{
	session_close(s);
	s->nm = netmach_free(s->nm);
	am_buf_done(&s->call.value);
}

/* ---- the supervisor ---- */

/* A server of TLS is not understood, and does not understand us. */
static const char *
tls_hint(const struct cli *c, const struct session *s)
{
	return c->tls == NULL && strchr(s->address, '/') == NULL
	    ? "; if it speaks TLS, --tls-cert is missing"
	    : "";
}

static int
super_unreachable(struct cli *c, const struct session *s, int rc)
{
	/* What a server says of our certificate came by a connection. */
	if (rc == -EACCES && s->down)
		return cli_fail(c, EX_DENIED, "not_permitted",
		    "%s: not permitted: %s", s->address, s->why);
	if (rc == -EACCES)
		return cli_fail(c, EX_DENIED, "not_permitted",
		    "%s: %s: are you in the group of the socket?", s->address,
		    strerror(-rc));
	if (rc == -ETIMEDOUT && cli_left_ms(c) == 0 && !c->no_wait)
		return cli_fail(c, EX_TIMEOUT, "timeout",
		    "%s: amnoded did not answer in time", s->address);
	if (rc == -EPERM)
		return cli_fail(c,
		    s->code == ARPC_E_not_permitted + 1 ? EX_DENIED
							: EX_UNREACHABLE,
		    "unreachable", "%s: amnoded refused the connection: %s%s",
		    s->address, s->why, tls_hint(c, s));
	if (rc == -ECONNRESET && s->code == 0)
		return cli_fail(c, EX_UNREACHABLE, "unreachable",
		    "%s: amnoded closed the connection: %s%s", s->address,
		    s->why, tls_hint(c, s));
	return cli_fail(c, EX_UNREACHABLE, "unreachable",
	    "cannot connect to %s: %s; is amnoded running?", s->address,
	    s->down ? s->why : strerror(-rc));
}

int
super_open(struct cli *c, struct session *s)
{
	struct target t;
	int rc = target_find(c, &t);

	if (rc != EX_OK)
		return rc;
	rc = session_open(s, c, t.text, &t.addr, NULL);
	return rc < 0 ? super_unreachable(c, s, rc) : EX_OK;
}

int
super_open_at(struct cli *c, struct session *s, const char *address,
    const uint8_t *token)
{
	int rc = session_open_text(s, c, address, token);

	return rc < 0 ? super_unreachable(c, s, rc) : EX_OK;
}

const char *
session_bad_args(int rc)
{
	switch (rc) {
	case -E2BIG:
		return "the args are too large: at most 1,024 keys, and 60 KiB "
		       "to a supervisor, 16 MiB less 4 KiB to a worker";
	case -EINVAL:
		return "the args are not a map of different keys, or nested "
		       "over 32 levels";
	default:
		return NULL;
	}
}

int
session_fail(struct cli *c, struct session *s, int rc)
{
	const struct session_call *call = &s->call;
	enum exit_code code;

	if (rc == -ETIMEDOUT)
		return cli_fail(c, EX_TIMEOUT, "timeout",
		    "%s: no answer in time", s->address);
	if (rc == -EREMOTEIO)
		return cli_fail(c, EX_UNKNOWN, "unknown",
		    "outcome unknown: %s: the connection was lost: %s",
		    s->address, s->down ? s->why : call->text);
	if (session_bad_args(rc) != NULL)
		return cli_fail(c, EX_USAGE, "bad_input", "%s",
		    session_bad_args(rc));
	if (rc < 0)
		return cli_fail(c, EX_UNREACHABLE, "unreachable",
		    "%s: the connection was lost: %s", s->address,
		    s->down ? s->why : strerror(-rc));
	code = cli_code_of((int)call->error);
	return cli_fail(c, code, arpc_error_name(call->error), "%s%s",
	    code == EX_DENIED ? "not permitted: " : "", call->text);
}

int
super_info(struct cli *c, struct session *s, const char *topic,
    struct am_val param)
{
	int rc = session_info(s, topic, param, cli_io_deadline(c));

	if (rc < 0 || s->call.status != NETMACH_OK)
		return session_fail(c, s, rc);
	return EX_OK;
}
