/* cmd_stream.c - stream: the requests of many lines on one lease. */
#include "cli/cmds.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/stream.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/loop/loop.h"
#include "proto/worker.h"

enum {
	OUT_HIGH = 64 * 1024, /* more waiting: no line is read */
	LATE_MS = 100,    /* the worker's answer to a deadline comes first */
	HOLD_MS = 1500,   /* for a late worker to end its request */
	SIGNAL_MS = 1000, /* for answers to CancelWork */
	TAIL_MS = 5000,   /* for a slow reader after a signal */
};

static void
stream_done(struct stream *s)
{
	for (size_t i = 0; s->slot != NULL && i < s->window; i++) {
		am_buf_done(&s->slot[i].doc);
		am_buf_done(&s->slot[i].text);
	}
	free(s->slot);
	am_buf_done(&s->acks);
	lines_in_done(&s->in);
	lines_out_done(&s->out);
	attach_done(&s->at);
	session_done(&s->sup);
}

/* ---- what the worker says ---- */

/* A request missed its deadline. If its program does not stop, the worker is
 * about to be killed, and what is sent to it now would be lost with it. */
static void
hold(struct stream *s)
{
	s->hold_ns = clock_ns() + HOLD_MS * NS_PER_MS;
}

static bool
is_working(const struct stream *s)
{
	return s->at.s.up && am_is1(session_mirror(&s->at.s), Wrk_Working);
}

static bool
is_held(struct stream *s)
{
	if (s->hold_ns == 0)
		return false;
	if (is_working(s) && clock_ns() < s->hold_ns)
		return true;
	s->hold_ns = 0;
	return false;
}

/* The outcome of what is in flight is known to nobody. */
static struct verdict
gone(const char *why)
{
	struct verdict v = { .exit = EX_UNKNOWN,
		.status = "unknown",
		.code = "unknown" };

	(void)snprintf(v.message, sizeof(v.message),
	    "the worker is gone: %.400s", why);
	return v;
}

static void
on_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct stream *s = (struct stream *)arg;
	struct slot *slot = stream_slot(s, id);
	struct verdict v;

	(void)nm;
	if (slot == NULL)
		return;
	if (r->status == NETMACH_LOST) {
		v = gone(r->text);
		stream_finish(s, slot, &v, AM_NONE);
	} else if (verdict_of_reply(r, &v)) {
		stream_finish(s, slot, &v, AM_NONE);
	} else if (!slot->is_request) {
		v = (struct verdict){ .exit = EX_OK, .status = "ok" };
		stream_finish(s, slot, &v, AM_NONE);
	}
}

static void
on_payload(struct session *session, const struct arpc_payload *p, void *arg)
{
	struct stream *s = (struct stream *)arg;
	struct slot *slot = p->req == 0 ? NULL : stream_slot(s, p->req);
	struct verdict v;

	(void)session;
	/* Of a line that has ended here it is of no use to anybody. */
	if (p->req != 0)
		buf_append(&s->acks, &p->seq, sizeof(p->seq));
	if (slot == NULL)
		return;
	if (p->kind == ARPC_P_RESULT) {
		verdict_of(p, &v);
		if (v.exit == EX_TIMEOUT)
			hold(s);
		stream_finish(s, slot, &v, p->data);
	} else {
		stream_part(s, slot, arpc_payload_kind_name(p->kind), p->data);
	}
}

static bool
is_taken(struct session *session, uint32_t id, void *arg)
{
	struct stream *s = (struct stream *)arg;

	(void)session;
	return stream_slot(s, id) != NULL;
}

static void
on_down(struct session *session, void *arg)
{
	struct stream *s = (struct stream *)arg;
	struct verdict v = gone(session->why);

	stream_end_all(s, &v, true);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct stream *s = (struct stream *)arg;

	(void)what;
	s->signal = (int)sig;
	s->n_signals++;
	s->stop = true;
	s->cli->interrupted = true;
}

/* ---- sending ---- */

static void
send_slot(struct stream *s, struct slot *slot)
{
	am_id ids[AM_STATES_MAX];
	struct verdict v = { .exit = EX_FAILED,
		.status = "failed",
		.code = "bad_input" };
	struct am_error err;
	int n = slot_states(s, slot, ids, &err);

	if (n < 0) {
		(void)snprintf(v.message, sizeof(v.message), "%s", err.text);
		stream_finish(s, slot, &v, AM_NONE);
		return;
	}
	slot->is_request = false;
	for (int i = 0; i < n; i++)
		slot->is_request |= ids[i] == Wrk_WorkRequested;
	n = netmach_mutate(s->at.s.nm, AM_ADD, ids, (size_t)n,
	    slot_args(s, slot), slot->is_request ? slot->timeout_ms : -1,
	    on_reply, s);
	if (session_bad_args(n) != NULL) {
		(void)snprintf(v.message, sizeof(v.message), "%s",
		    session_bad_args(n));
		stream_finish(s, slot, &v, AM_NONE);
		return;
	}
	if (n < 0)
		return; /* the connection is over; the next worker gets it */
	slot->id = (uint32_t)n;
	slot->sent = true;
	slot->deadline_ns = slot->timeout_ms < 0
	    ? INT64_MAX
	    : clock_ns() + (slot->timeout_ms + LATE_MS) * NS_PER_MS;
}

/* The worker does not read: more would only pile up here. */
static bool
is_behind(const struct stream *s)
{
	return s->at.s.nm != NULL &&
	    netmach_backlog(s->at.s.nm) > CONN_OUT_SOFT;
}

static void
sstream_end_all(struct stream *s)
{
	if (is_held(s))
		return;
	for (size_t i = 0; i < s->window && s->n_used > 0; i++) {
		struct slot *slot = &s->slot[i];

		if (is_behind(s))
			return;
		if (slot->used && !slot->sent && !slot->is_final && s->at.s.up)
			send_slot(s, slot);
	}
}

/* It outlives a cut of the link; what comes of it is the line's own end. */
static void
on_cancel_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	(void)nm;
	(void)id;
	(void)r;
	(void)arg;
}

static void
cancel(struct stream *s, const struct slot *slot, const char *reason)
{
	static const am_id state = Wrk_CancelWork;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	if (s->at.s.down)
		return;
	am_put_map(&b, 2);
	am_put_str(&b, "req");
	am_put_uint(&b, slot->id);
	am_put_str(&b, "reason");
	am_put_str(&b, reason);
	(void)netmach_mutate(s->at.s.nm, AM_ADD, &state, 1, am_buf_val(&b), -1,
	    on_cancel_reply, NULL);
}

/* Lines whose worker does not even answer to the deadline. */
static void
end_late(struct stream *s, int64_t now)
{
	struct verdict v = { .exit = EX_TIMEOUT,
		.status = "timeout",
		.code = "timeout",
		.message = "no answer in time" };

	for (size_t i = 0; i < s->window; i++) {
		struct slot *slot = &s->slot[i];

		if (!slot_in_flight(slot) || slot->deadline_ns > now)
			continue;
		cancel(s, slot, "timeout");
		hold(s);
		stream_finish(s, slot, &v, AM_NONE);
	}
}

static int
wait_ms(const struct stream *s)
{
	int64_t first = s->hold_ns != 0 ? s->hold_ns : INT64_MAX;
	int64_t left;

	for (size_t i = 0; i < s->window; i++) {
		const struct slot *slot = &s->slot[i];

		if (slot_in_flight(slot) && slot->deadline_ns < first)
			first = slot->deadline_ns;
	}
	if (first == INT64_MAX)
		return -1;
	left = (first - clock_ns()) / NS_PER_MS + 1;
	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* ---- the lease ---- */

static void
hook(struct stream *s)
{
	s->at.s.on_payload = on_payload;
	s->at.s.is_taken = is_taken;
	s->at.s.on_down = on_down;
	s->at.s.arg = s;
}

static int
open_named(struct stream *s)
{
	int rc = attach_open(s->cli, &s->at);

	if (rc == EX_OK)
		hook(s);
	return rc;
}

/* The supervisor may have been restarted meanwhile. */
static int
open_own(struct stream *s)
{
	struct cli *c = s->cli;
	struct lease_refusal no = { .exit = EX_OK };
	int rc;

	s->at.s.on_down = NULL;
	s->at.s.on_payload = NULL;
	s->at.s.is_taken = NULL;
	if (s->sup.nm != NULL && !s->sup.up && !s->sup.down)
		(void)session_wait_up(&s->sup, cli_io_deadline(c));
	if (!s->sup.up) {
		rc = super_open(c, &s->sup);
		if (rc != EX_OK)
			return rc;
	}
	rc = lease_try(c, &s->sup, &s->at.s, &s->wish, s->timeout_ms, &s->lease,
	    &no);
	if (rc == EX_OK)
		hook(s);
	else if (!c->interrupted)
		(void)cli_fail(c, no.exit, no.code, "%s", no.message);
	return rc;
}

/* The worker is gone: another one, or the end. */
static void
reopen(struct stream *s)
{
	struct verdict v = { .status = "failed",
		.code = "no_worker",
		.message = "there is no worker any more" };
	int rc;

	if (s->is_named) {
		s->stop = true;
		s->lost = true;
		(void)attach_lost(s->cli, &s->at, false);
	} else {
		/* It may live behind a link that is not made again. */
		if (s->sup.up)
			lease_drop(&s->sup, s->lease.lease, "discard");
		rc = open_own(s);
		if (rc == EX_OK)
			return;
		s->stop = true;
		s->fatal = s->cli->interrupted ? 0 : rc;
	}
	v.exit = EX_FAILED;
	stream_end_all(s, &v, false);
}

/* It went on too long after a deadline: it is replaced, and the next lines go
 * to another one. A named lease has to wait for its end. */
static void
leave_stuck(struct stream *s)
{
	if (s->hold_ns == 0 || clock_ns() < s->hold_ns || s->is_named ||
	    !is_working(s) || stream_in_flight(s))
		return;
	s->hold_ns = 0;
	if (s->sup.up)
		lease_drop(&s->sup, s->lease.lease, "discard");
	session_close(&s->at.s);
	s->at.s.down = true;
}

/* ---- the loop ---- */

static void
send_acks(struct stream *s)
{
	const char *p = s->acks.data;

	if (s->acks.len == 0 || lines_out_len(&s->out) > 0 || !s->at.s.up)
		return;
	for (size_t i = 0; i < s->acks.len; i += sizeof(uint64_t)) {
		uint64_t seq;

		memcpy(&seq, p + i, sizeof(seq));
		netmach_ack(s->at.s.nm, seq);
	}
	am_buf_reset(&s->acks);
}

/* Takes lines while there is room. -errno of the input. */
static int
read_lines(struct stream *s)
{
	/* Without a worker the next line, if there is one, gets another. */
	while (!s->eof && !s->stop && (s->at.s.up || s->at.s.down) &&
	    !is_held(s) && !is_behind(s) && stream_has_room(s) &&
	    lines_out_len(&s->out) < OUT_HIGH) {
		enum line_kind kind;
		const char *line = NULL;
		size_t len = 0;
		int rc = lines_next(&s->in, &kind, &line, &len);

		if (rc < 0)
			return rc;
		if (kind == LINE_NONE) {
			lines_wait(&s->in);
			return 0;
		}
		if (kind == LINE_EOF) {
			s->eof = true;
			return 0;
		}
		stream_take(s, kind, line, len);
		sstream_end_all(s);
		/* Bad lines only: what they say has to go out, too. */
		if (lines_out_len(&s->out) >= OUT_HIGH &&
		    (rc = lines_flush(&s->out)) < 0)
			return rc;
	}
	return 0;
}

static int
turn(struct stream *s)
{
	int rc;

	leave_stuck(s);
	/* A worker that died while nothing was to be done is replaced only
	 * when there is. */
	if (s->at.s.down && !s->stop && (s->is_named || s->n_used > 0))
		reopen(s);
	sstream_end_all(s);
	rc = read_lines(s);
	if (rc == 0)
		rc = lines_flush(&s->out);
	send_acks(s);
	if (rc < 0)
		return rc;
	if (s->n_used == 0 && (s->eof || s->stop))
		return 0;
	if (s->n_used > 0 && s->at.s.down && !s->stop)
		return 0; /* there is a line for another worker */
	rc = am_loop_step(s->cli->loop, wait_ms(s));
	end_late(s, clock_ns());
	return rc;
}

/* Asked to end: what is in flight is canceled, what does not answer in time
 * is unknown. A second signal does not wait. */
static void
wind_up(struct stream *s)
{
	int64_t until = clock_ns() + SIGNAL_MS * NS_PER_MS;
	struct verdict unknown = { .exit = EX_UNKNOWN,
		.status = "unknown",
		.code = "unknown",
		.message = "interrupted" };
	struct verdict canceled = { .exit = EX_REFUSED,
		.status = "canceled",
		.code = "canceled",
		.message = "interrupted before it was sent" };

	s->cli->interrupted = false;
	stream_end_all(s, &canceled, false);
	for (size_t i = 0; i < s->window; i++)
		if (slot_in_flight(&s->slot[i]))
			cancel(s, &s->slot[i], "interrupted");
	while (s->n_used > 0 && s->n_signals < 2 && clock_ns() < until)
		(void)am_loop_step(s->cli->loop,
		    (int)((until - clock_ns()) / NS_PER_MS) + 1);
	stream_end_all(s, &unknown, true);
	s->cli->interrupted = false;
}

/* Writes the rest; bounded after a signal, else by the reader. */
static int
drain(struct stream *s)
{
	int64_t until = clock_ns() + TAIL_MS * NS_PER_MS;
	int rc = lines_flush(&s->out);

	while (rc == 0 && lines_out_len(&s->out) > 0) {
		int64_t now = clock_ns();

		if (s->n_signals > 1 || (s->n_signals == 1 && now > until))
			return -ETIMEDOUT;
		(void)am_loop_step(s->cli->loop, 1000);
		rc = lines_flush(&s->out);
	}
	return rc;
}

static int
exit_code(const struct stream *s)
{
	if (s->signal == SIGINT)
		return EX_INT;
	if (s->signal != 0)
		return EX_TERM;
	if (s->lost)
		return EX_LOST;
	if (s->fatal != 0)
		return s->fatal;
	if (s->any_unknown)
		return EX_UNKNOWN;
	return s->any_bad ? EX_FAILED : EX_OK;
}

static int
run(struct stream *s)
{
	int rc = 0;

	while (rc == 0 && s->signal == 0 &&
	    (s->n_used > 0 || !(s->eof || s->stop)))
		rc = turn(s);
	if (s->signal != 0)
		wind_up(s);
	if (rc == 0)
		rc = drain(s);
	send_acks(s);
	if (rc == -EPIPE) {
		(void)signal(SIGPIPE, SIG_DFL);
		(void)raise(SIGPIPE);
	}
	if (rc < 0 && s->signal == 0)
		return cli_fail(s->cli, EX_FAILED, "io", "%s", strerror(-rc));
	return exit_code(s);
}

static int
init(struct stream *s, struct cli *c)
{
	struct am_loop *l = cli_loop(c);

	/* A line ends by its payload: nothing before it is in a hurry. */
	s->at.s.is_late = true;
	s->slot = calloc(s->window, sizeof(*s->slot));
	if (l == NULL || s->slot == NULL ||
	    lines_in_init(&s->in, loop_base(l), STDIN_FILENO) < 0 ||
	    lines_out_init(&s->out, loop_base(l), STDOUT_FILENO) < 0)
		return cli_fail(c, EX_FAILED, "internal", "no memory");
	if (!s->is_named && lease_wish_own(&s->wish) < 0)
		return cli_fail(c, EX_FAILED, "internal",
		    "/proc/self/stat cannot be read");
	return EX_OK;
}

static int
check_options(struct cli *c, struct stream *s)
{
	if (cli_has(c, OPT_SUPER) || cli_has(c, OPT_FIELD))
		return cli_fail(c, EX_USAGE, "usage",
		    "--super and --field make no sense here");
	if (s->timeout_ms == 0)
		return cli_fail(c, EX_USAGE, "usage",
		    "--timeout: a line needs more than 0");
	if (s->window > STREAM_WINDOW_MAX)
		return cli_fail(c, EX_USAGE, "usage", "--window: at most %d",
		    STREAM_WINDOW_MAX);
	return EX_OK;
}

struct stream_signals {
	struct event *sigint;
	struct event *sigterm;
};

static void
signals_done(struct stream_signals *w)
{
	if (w->sigint != NULL)
		event_free(w->sigint);
	if (w->sigterm != NULL)
		event_free(w->sigterm);
}

int
cmd_stream(struct cli *c)
{
	am_cleanup(stream_done) struct stream s = {
		.cli = c,
		.is_named = cli_has(c, OPT_LEASE),
		.is_raw = cli_has(c, OPT_RAW),
		.is_ordered = cli_has(c, OPT_ORDERED),
		.window = cli_has(c, OPT_WINDOW)
		    ? (size_t)c->opts.num[OPT_WINDOW]
		    : 1,
		.timeout_ms = cli_timeout_ms(c),
		.at = ATTACH_INIT,
		.sup = SESSION_INIT,
		.next = 1,
		.head = 1,
	};
	am_cleanup(signals_done) struct stream_signals w = { NULL, NULL };
	int rc = check_options(c, &s);

	/* -t bounds a line, not the whole. */
	c->deadline_ns = INT64_MAX;
	if (rc == EX_OK)
		rc = init(&s, c);
	if (rc != EX_OK)
		return rc;
	w.sigint = event_new(loop_base(c->loop), SIGINT, EV_SIGNAL | EV_PERSIST,
	    on_signal, &s);
	w.sigterm = event_new(loop_base(c->loop), SIGTERM,
	    EV_SIGNAL | EV_PERSIST, on_signal, &s);
	if (w.sigint == NULL || w.sigterm == NULL ||
	    event_add(w.sigint, NULL) < 0 || event_add(w.sigterm, NULL) < 0)
		return cli_fail(c, EX_FAILED, "internal",
		    "signals cannot be watched");
	rc = s.is_named ? open_named(&s) : open_own(&s);
	/* From here on the lines are what is printed, also for errors. */
	if (rc == EX_OK)
		c->out.said = true;
	if (rc == EX_OK)
		rc = run(&s);
	else if (s.signal != 0)
		rc = exit_code(&s);
	c->interrupted = false;
	s.at.s.on_down = NULL;
	session_close(&s.at.s);
	if (!s.is_named && s.sup.up)
		lease_drop(&s.sup, s.lease.lease, "released");
	return rc;
}
