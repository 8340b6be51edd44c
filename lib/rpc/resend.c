#include "lib/rpc/resend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/rpc/replay.h"
#include "lib/rpc/netmach_int.h"

static void
resend_take(struct netmach *nm, struct resend *k)
{
	if (nm->unsent == k)
		nm->unsent = TAILQ_NEXT(k, link);
	TAILQ_REMOVE(k->is_over ? &nm->over : &nm->resend, k, link);
}

static void
resend_free(struct netmach *nm, struct resend *k)
{
	resend_take(nm, k);
	nm->resend_bytes -= sizeof(*k) + k->len;
	free(k);
}

void
resend_done(struct netmach *nm)
{
	struct resend *k;

	while ((k = TAILQ_FIRST(&nm->over)) != NULL)
		resend_free(nm, k);
	while ((k = TAILQ_FIRST(&nm->resend)) != NULL)
		resend_free(nm, k);
	am_timer_done(&nm->keep_timer);
}

/* Ends it without an answer, in tell_over(). What the callback asks for then is
 * queued behind all that end now. */
static void
put_over(struct netmach *nm, struct resend *k)
{
	resend_take(nm, k);
	k->is_over = true;
	TAILQ_INSERT_TAIL(&nm->over, k, link);
}

/* false: the user has freed the net machine. */
static bool
tell_over(struct netmach *nm, const char *why)
{
	struct netmach_reply r = { .why = "", .text = why };
	struct netmach_call call;
	struct resend *k;
	bool is_open;

	while (!nm->freed && (k = TAILQ_FIRST(&nm->over)) != NULL) {
		r.status = k->sent ? NETMACH_LOST : NETMACH_NOT_SENT;
		is_open = calls_take(&nm->calls, k->id, &call);
		resend_free(nm, k);
		if (is_open && call.fn != NULL)
			call.fn(nm, call.id, &r, call.arg);
	}
	return !nm->freed;
}

void
resend_give_up(struct netmach *nm, const char *why)
{
	struct resend *k;

	am_timer_stop(&nm->keep_timer);
	while ((k = TAILQ_FIRST(&nm->resend)) != NULL)
		put_over(nm, k);
	(void)tell_over(nm, why);
}

/* ---- sending ---- */

static void
send_one(struct netmach *nm, struct resend *k)
{
	struct am_buf *out = conn_out(nm->conn);
	int64_t left_ms = -1;

	if (k->deadline_ns >= 0) {
		/* Rounded up: 0 says that it is over. */
		left_ms = (k->deadline_ns - clock_ns() + NS_PER_MS - 1) /
		    NS_PER_MS;
		left_ms = left_ms > 0 ? left_ms : 0;
	}
	arpc_put_request(out, k->id, k->method);
	am_put_array(out, left_ms < 0 ? 2 : 3);
	am_put_val(out, (struct am_val){ k->params, k->len });
	if (left_ms >= 0)
		am_put_int(out, left_ms);
	k->sent = true;
}

void
resend_flush(struct netmach *nm)
{
	const struct resend *first = TAILQ_FIRST(&nm->resend);
	struct resend *k = nm->unsent;

	if (k == NULL)
		return;
	if (!netmach_is_ready(nm)) {
		resend_wait(nm);
		return;
	}
	while (k != NULL && replay_distance(first->id, k->id) < RESEND_WINDOW) {
		send_one(nm, k);
		k = TAILQ_NEXT(k, link);
	}
	nm->unsent = k;
}

int
resend_put(struct netmach *nm, enum arpc_method method, const am_id *states,
    size_t n, struct am_val args, int64_t deadline_ms, struct resend **ret)
{
	am_cleanup(am_buf_done) struct am_buf b = AM_BUF_INIT;
	struct resend *k;

	if (nm->resend_bytes + sizeof(*k) + args.len > RESEND_BYTES_MAX)
		return -ENOBUFS;
	am_put_array(&b, n);
	for (size_t i = 0; i < n; i++)
		am_put_uint(&b, states[i]);
	am_put_val(&b, args);
	k = am_buf_error(&b) < 0 ? NULL : malloc(sizeof(*k) + b.len);
	if (k == NULL)
		return -ENOMEM;
	*k = (struct resend){
		.method = method,
		.kept_ns = clock_ns(),
		.deadline_ns = -1,
		.len = b.len,
	};
	memcpy(k->params, b.data, b.len);
	if (deadline_ms > ARPC_DURATION_MAX_MS)
		deadline_ms = ARPC_DURATION_MAX_MS;
	if (deadline_ms >= 0)
		k->deadline_ns = k->kept_ns + deadline_ms * NS_PER_MS;
	TAILQ_INSERT_TAIL(&nm->resend, k, link);
	nm->resend_bytes += sizeof(*k) + k->len;
	if (nm->unsent == NULL)
		nm->unsent = k;
	*ret = k;
	return 0;
}

void
resend_drop(struct netmach *nm, struct resend *k)
{
	if (k != NULL) {
		resend_free(nm, k);
		resend_flush(nm);
	}
}

bool
resend_take_sent(struct netmach *nm, struct netmach_call *ret)
{
	struct resend *k = TAILQ_FIRST(&nm->resend);

	if (k == NULL || !k->sent || !calls_take(&nm->calls, k->id, ret))
		return false;
	resend_free(nm, k);
	return true;
}

bool
resend_resume(struct netmach *nm, bool resumed)
{
	struct resend *k;

	nm->lost_ns = 0;
	am_timer_stop(&nm->keep_timer);
	/* All of them, in order: the server skips those that it knows. */
	if (resumed)
		nm->unsent = TAILQ_FIRST(&nm->resend);
	while (!resumed && (k = TAILQ_FIRST(&nm->resend)) != NULL && k->sent)
		put_over(nm, k);
	resend_flush(nm);
	return tell_over(nm, "the server remembers nothing of this client");
}

/* ---- without a connection ---- */

static int64_t
end_of(const struct netmach *nm, const struct resend *k)
{
	int64_t since_ns = nm->lost_ns > k->kept_ns ? nm->lost_ns : k->kept_ns;
	int64_t end_ns = since_ns + nm->keep_ms * NS_PER_MS;

	return k->deadline_ns >= 0 && k->deadline_ns < end_ns ? k->deadline_ns
							      : end_ns;
}

void
resend_wait(struct netmach *nm)
{
	const struct resend *k;
	int64_t now = clock_ns();
	int64_t first_ns = INT64_MAX;
	int64_t left_ms;

	if (nm->lost_ns == 0)
		nm->lost_ns = now;
	TAILQ_FOREACH(k, &nm->resend, link) {
		if (end_of(nm, k) < first_ns)
			first_ns = end_of(nm, k);
	}
	if (first_ns == INT64_MAX)
		return;
	left_ms = (first_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	(void)am_timer_start(&nm->keep_timer, left_ms > 0 ? left_ms : 0);
}

void
resend_on_timer(void *arg)
{
	struct netmach *nm = netmach_of(arg);
	int64_t now = clock_ns();
	struct resend *k;
	struct resend *next;

	if (netmach_is_ready(nm))
		return;
	for (k = TAILQ_FIRST(&nm->resend); k != NULL; k = next) {
		next = TAILQ_NEXT(k, link);
		if (end_of(nm, k) <= now)
			put_over(nm, k);
	}
	if (tell_over(nm, "no connection within the time"))
		resend_wait(nm);
}
