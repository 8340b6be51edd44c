/* What a worker sends and a client gets: in order, once, and none is lost, even if
 * the machine's queue is full, the link is cut, or the lease ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/node/worker_int.h"
#include "tests/unit/worker_rig.h"

/* ---- a client of the library ---- */

static void
lease_client(struct world *w)
{
	world_supervisor(w);
	world_client(w);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	/* More happens than they take. */
	w->wlog.off = w->clog.off = true;
}

static struct world *
with_client(unsigned window)
{
	struct world *w = world_new();

	w->env.window = window;
	world_worker(w);
	lease_client(w);
	return w;
}

static uint64_t
ask(struct world *w, int64_t timeout_ms)
{
	uint64_t req = 0;

	ck_assert_int_eq(am_client_request(w->c, AM_NONE, timeout_ms, &req), 0);
	return req;
}

START_TEST(a_link_that_is_cut_is_told)
{
	struct world *w = with_client(4);

	ck_assert_uint_eq(am_client_window(w->c), 4);
	ck_assert_uint_eq(w->n_up, 0);
	world_cut(w);
	world_until_true(w, w->n_down == 1);
	world_until_true(w, w->n_up == 1);
	ck_assert_uint_eq(w->n_ready, 1);
	(void)ask(w, 5000);
	world_free(w);
}
END_TEST

/* Until on_up no program may be asked: its requests end without a link. */
static void
ask_again(struct world *w)
{
	(void)am_client_request(w->c, AM_NONE, w->n_up > 0 ? -1 : 40, NULL);
}

START_TEST(a_client_that_refills_does_not_stop_without_a_link)
{
	struct world *w = with_client(1);
	char away[160];
	int fd;

	/* Somebody listens and does not answer. */
	(void)snprintf(away, sizeof(away), "%s.away", w->public_path);
	ck_assert_int_eq(rename(w->public_path, away), 0);
	fd = world_listen(w->public_path);
	w->refill = ask_again;
	(void)ask(w, 0);
	world_cut(w);
	world_until_true(w, w->n_told > 0 && w->n_down == 1);
	ck_assert_uint_eq(w->n_up, 0);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, 0, NULL), -ENOTCONN);
	ck_assert_int_eq(rename(away, w->public_path), 0);
	(void)close(fd);
	world_until_true(w, w->n_up == 1 && w->n_reqs > 0);
	world_free(w);
}
END_TEST

static void
ask_once(struct world *w)
{
	w->refill = NULL;
	(void)ask(w, 5000);
}

START_TEST(an_answer_makes_room_before_it_is_told)
{
	struct world *w = world_new();

	w->env.outbox_len = 1;
	world_worker(w);
	lease_client(w);
	w->refill = ask_once;
	(void)ask(w, 5000);
	world_until_true(w, w->n_reqs == 1);
	world_answer(w, 0, 1);
	world_until_true(w, w->n_reqs == 2 || w->n_told == 2);
	ck_assert_uint_eq(w->n_reqs, 2);
	world_free(w);
}
END_TEST

START_TEST(a_full_window_is_told_at_once)
{
	struct world *w = with_client(2);

	(void)ask(w, -1);
	(void)ask(w, -1);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, -1, NULL), -EBUSY);
	world_until_true(w, w->n_reqs == 2);
	world_answer(w, 0, 1);
	world_until_true(w, w->n_told == 1);
	(void)ask(w, -1);
	ck_assert_int_eq(am_client_request(w->c, AM_NONE, -1, NULL), -EBUSY);
	world_free(w);
}
END_TEST

START_TEST(a_window_that_others_fill_is_busy)
{
	struct world *w = with_client(2);
	uint64_t req;

	world_connect_client(w);
	request(w, NULL);
	request(w, NULL);
	refused_busy(w, NULL, "window full (2)");
	req = ask(w, -1);
	world_until_true(w, w->n_told == 1);
	ck_assert_uint_eq(w->told[0].req, req);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_REFUSED);
	ck_assert_str_eq(w->told[0].code, AM_CODE_BUSY);
	world_free(w);
}
END_TEST

/* The link is gone already and nobody knows, or it is being made again. */
START_TEST(a_cancel_is_not_lost_with_the_link)
{
	struct world *w = with_client(2);
	uint64_t first = ask(w, -1), second = ask(w, -1);

	world_until_true(w, w->n_reqs == 2);
	world_cut(w);
	ck_assert_int_eq(am_client_cancel(w->c, first), 0);
	world_until_true(w, w->n_down == 1);
	ck_assert_int_eq(am_client_cancel(w->c, second), 0);
	world_until_true(w, w->n_cancels == 2);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[0]), 0);
	ck_assert_int_eq(am_worker_canceled(w->worker, w->req[1]), 0);
	world_until_true(w, w->n_told == 2);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_CANCELED);
	ck_assert_int_eq(w->told[1].status, AM_STATUS_CANCELED);
	world_free(w);
}
END_TEST

/* ---- more than the machine's queue takes ---- */

static struct am_val
number(struct am_buf *b, int64_t n)
{
	am_buf_reset(b);
	am_put_map(b, 1);
	am_put_str(b, "output");
	am_put_int(b, n);
	return am_buf_val(b);
}

enum { CHUNKS = 600 };

static void
many_chunks(struct world *w, am_req req, struct am_val args)
{
	struct am_buf b = AM_BUF_INIT;

	(void)args;
	for (int i = 0; i < CHUNKS; i++)
		ck_assert_int_eq(am_worker_chunk(w->worker, req, number(&b, i)),
		    0);
	ck_assert_int_eq(am_worker_answer(w->worker, req, number(&b, CHUNKS)),
	    0);
	am_buf_done(&b);
}

static void
in_order(const struct world_payload *p, size_t n)
{
	for (size_t i = 1; i < n; i++)
		ck_assert_uint_gt(p[i].seq, p[i - 1].seq);
}

START_TEST(chunks_of_one_handler_all_come_in_order)
{
	struct world *w = with_client(4);
	uint64_t ticks, req;

	w->work = many_chunks;
	ticks = am_tick(w->w, Wrk_ClientSendPayload);
	req = ask(w, 5000);
	world_until_true(w, w->n_told > CHUNKS);
	in_order(w->told, w->n_told);
	for (int i = 0; i <= CHUNKS; i++) {
		ck_assert_uint_eq(w->told[i].req, req);
		ck_assert_int_eq(w->told[i].value, i);
		ck_assert_str_eq(w->told[i].kind,
		    i < CHUNKS ? "chunk" : "result");
	}
	ck_assert_uint_eq(w->n_told, CHUNKS + 1);
	/* None is left out as a state, either. */
	ck_assert_uint_eq(am_tick(w->w, Wrk_ClientSendPayload),
	    ticks + 2 * (CHUNKS + 1));
	ck_assert(am_is1(w->w, Wrk_Idle));
	world_until_true(w, world_outbox_len(w) == 0);
	world_free(w);
}
END_TEST

START_TEST(a_thousand_open_requests_end_with_their_lease)
{
	enum { N = 1000 };
	struct world *w = with_client(1024);

	for (int i = 0; i < N; i++)
		(void)ask(w, -1);
	world_until_true(w, w->n_reqs == N);
	ck_assert_int_eq(am_client_release(w->c), 0);
	world_until_true(w, w->n_lost == 1);
	ck_assert_str_eq(w->lost_code, "released");
	ck_assert_uint_eq(w->n_told, N);
	in_order(w->told, N);
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(w->told[i].status, AM_STATUS_CANCELED);
		ck_assert_str_eq(w->told[i].message, "released");
	}
	world_free(w);
}
END_TEST

/* The queue has no room, so everything else that is said has to wait as well. */
static void
chunks_and_stuck(struct world *w, am_req req, struct am_val args)
{
	many_chunks(w, req, args);
	ck_assert_int_eq(am_worker_stuck(w->worker, "ink", "out of ink"), 0);
}

START_TEST(a_full_queue_does_not_lose_that_a_worker_is_stuck)
{
	struct world *w = with_client(4);

	w->work = chunks_and_stuck;
	(void)ask(w, 5000);
	world_until_true(w, w->super.n_got == 1);
	ck_assert_str_eq(w->super.got[0].name, "Error");
	ck_assert_str_eq(w->super.got[0].code, "ink");
	world_until_true(w, w->n_told == CHUNKS + 1);
	world_free(w);
}
END_TEST

static void
chunks_and_error(struct world *w, am_req req, struct am_val args)
{
	struct am_buf b = AM_BUF_INIT;

	(void)args;
	for (int i = 0; i < CHUNKS; i++)
		ck_assert_int_eq(am_worker_chunk(w->worker, req, number(&b, i)),
		    0);
	ck_assert_int_eq(am_worker_fail(w->worker, req, "ink", "out of ink"),
	    0);
	am_worker_alive(w->worker);
	am_buf_done(&b);
}

START_TEST(a_full_queue_does_not_lose_errors_and_signs_of_life)
{
	struct world *w = with_client(4);
	uint64_t errors;

	w->work = chunks_and_error;
	(void)am_add1(w->w, Wrk_Healthcheck, AM_NONE);
	errors = am_tick(w->w, Wrk_ErrWork);
	(void)ask(w, 5000);
	world_until_true(w, w->n_told == CHUNKS + 1);
	ck_assert_int_eq(w->told[CHUNKS].status, AM_STATUS_FAILED);
	ck_assert_uint_eq(am_tick(w->w, Wrk_ErrWork), errors + 2);
	ck_assert(!am_is1(w->w, Wrk_Exception));
	ck_assert(!am_is1(w->w, Wrk_Healthcheck));
	ck_assert(am_is1(w->w, Wrk_Idle));
	world_free(w);
}
END_TEST

static void
fill_and_lease(struct am_event *ev)
{
	struct world *w = ev->arg;
	const am_id state = Cli_Heartbeat;
	struct am_buf b = AM_BUF_INIT;

	(void)am_remove1(ev->machine, Cli_Healthcheck, AM_NONE);
	for (int i = 0; am_pulse(ev->machine, &state, 1, number(&b, i)) == 0;
	     i++)
		ck_assert_int_lt(i, 1000);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	am_buf_done(&b);
}

START_TEST(a_full_queue_does_not_lose_a_wish)
{
	static const struct am_handler of[Cli__COUNT] = {
		[Cli_Healthcheck] = { .state = fill_and_lease },
	};
	static const struct am_handlers user = AM_HANDLERS("user", of);
	struct world *w = world_new();

	world_supervisor(w);
	world_client(w);
	w->clog.off = true;
	world_until_state(w, w->cm, Cli_SuperReady, true);
	ck_assert_int_eq(am_bind(w->cm, &user, w), 0);
	(void)am_add1(w->cm, Cli_Healthcheck, AM_NONE);
	world_until_true(w, w->n_asked == 1);
	world_free(w);
}
END_TEST

/* ---- events of a lease with several clients ---- */

static struct world_peer *
join(struct world *w, bool no_ack)
{
	struct world_peer *p = calloc(1, sizeof(*p));

	ck_assert_ptr_nonnull(p);
	p->no_ack = no_ack;
	world_connect_peer(w, p);
	ck_assert_msg(p->ready, "%s", p->why);
	return p;
}

static void
leave(struct world_peer *p)
{
	p->nm = netmach_free(p->nm);
	am_buf_done(&p->value);
	free(p);
}

static void
say(struct world *w)
{
	ck_assert_int_eq(am_worker_event(w->worker, "found", AM_NONE), 0);
}

START_TEST(an_event_stays_until_each_client_has_acked_it)
{
	struct world *w = idle();
	struct world_peer *a, *b;

	world_lease(w, "L1", 0, 0);
	a = join(w, true);
	b = join(w, true);
	say(w);
	world_until_true(w, a->n_got == 1 && b->n_got == 1);
	netmach_ack(a->nm, a->got[0].seq);
	netmach_ack(a->nm, a->got[0].seq);
	ck_assert_uint_eq(world_add(w, a, Wrk_WorkRequested, NULL),
	    AM_EXECUTED);
	ck_assert_uint_eq(world_outbox_len(w), 1);
	netmach_ack(b->nm, b->got[0].seq);
	world_until_true(w, world_outbox_len(w) == 0);
	leave(a);
	leave(b);
	world_free(w);
}
END_TEST

START_TEST(a_client_that_was_cut_gets_its_event)
{
	struct world *w = idle();
	struct world_peer *a, *b;

	world_lease(w, "L1", 0, 0);
	a = join(w, false);
	b = join(w, true);
	say(w);
	world_until_true(w, a->n_got == 1 && b->n_got == 1);
	world_disconnect(w, b);
	say(w);
	world_until_true(w, a->n_got == 2 && w->worker->n_sessions == 1);
	ck_assert_uint_eq(world_add(w, a, Wrk_WorkRequested, NULL),
	    AM_EXECUTED);
	ck_assert_uint_eq(world_outbox_len(w), 2);
	b->no_ack = false;
	world_connect_peer(w, b);
	world_until_true(w, b->n_got == 3);
	ck_assert_uint_eq(b->got[1].seq, b->got[0].seq);
	world_until_true(w, world_outbox_len(w) == 0);
	leave(a);
	leave(b);
	world_free(w);
}
END_TEST

START_TEST(a_client_that_takes_leave_is_not_waited_for)
{
	struct world *w = idle();
	struct world_peer *a, *b;

	world_lease(w, "L1", 0, 0);
	a = join(w, false);
	b = join(w, true);
	say(w);
	world_until_true(w, a->n_got == 1 && b->n_got == 1);
	netmach_close(b->nm, "done");
	world_until_true(w, world_outbox_len(w) == 0);
	/* The last one that was told has not acked: it is kept. */
	a->no_ack = true;
	say(w);
	world_until_true(w, a->n_got == 2);
	netmach_close(a->nm, "done");
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	ck_assert_uint_eq(world_outbox_len(w), 1);
	leave(a);
	leave(b);
	world_free(w);
}
END_TEST

START_TEST(a_client_that_stays_away_is_not_waited_for)
{
	struct world *w = idle();
	struct world_peer *a, *b;
	int64_t end_ns;

	w->wlog.off = true;
	world_lease(w, "L1", 1, 0); /* ttl 1 ms */
	a = join(w, false);
	b = join(w, true);
	say(w);
	world_until_true(w, a->n_got == 1 && b->n_got == 1);
	world_disconnect(w, b);
	world_until_true(w, w->worker->n_sessions == 1);
	end_ns = clock_ns() + 5 * NS_PER_MS;
	world_until_true(w, clock_ns() > end_ns);
	ck_assert_uint_eq(world_outbox_len(w), 1);
	/* With the next one it is given up. */
	say(w);
	world_until_true(w, world_outbox_len(w) == 0);
	leave(a);
	leave(b);
	world_free(w);
}
END_TEST

/* ---- the end of a lease waits for what was asked for ---- */

static struct world *
answered(int64_t wait_ms)
{
	struct world *w = leased();

	w->wait_ms = wait_ms;
	w->client.no_ack = true;
	request(w, NULL);
	world_answer(w, 0, 7);
	return w;
}

START_TEST(the_end_of_a_lease_waits_for_an_ack)
{
	struct world *w = answered(60000);
	int64_t start_ns = clock_ns();

	world_end_lease(w, "L1", "drain");
	got(w, 1);
	refused(w, NULL, "WorkRequested removed by LeaseEnding");
	ck_assert(am_is1(w->w, Wrk_Leased) && !w->client.closed);
	netmach_ack(w->client.nm, w->client.got[0].seq);
	world_until_true(w, w->client.closed);
	ck_assert_str_eq(w->client.why, "drain");
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_int_lt(clock_ns() - start_ns, 5 * NS_PER_S);
	world_free(w);
}
END_TEST

START_TEST(the_end_of_a_lease_does_not_wait_for_ever)
{
	struct world *w = answered(100);
	int64_t start_ns = clock_ns();

	world_end_lease(w, "L1", "max");
	world_until_true(w, w->client.closed);
	ck_assert_str_eq(w->client.why, "max");
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_int_ge(clock_ns() - start_ns, 100 * NS_PER_MS);
	world_free(w);
}
END_TEST

START_TEST(the_end_of_a_lease_waits_for_a_client_that_was_cut)
{
	struct world *w = answered(60000);

	got(w, 1);
	world_disconnect(w, &w->client);
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	world_end_lease(w, "L1", "drain");
	ck_assert(am_is1(w->w, Wrk_LeaseEnding));
	w->client.no_ack = false;
	world_connect_client(w);
	ck_assert_msg(w->client.ready, "%s", w->client.why);
	got(w, 2);
	ck_assert_int_eq(w->client.got[1].value, 7);
	world_until_true(w, w->client.closed);
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

START_TEST(the_end_of_a_lease_waits_for_nobody_who_took_leave)
{
	struct world *w = answered(60000);

	got(w, 1);
	netmach_close(w->client.nm, "done");
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	world_end_lease(w, "L1", "released");
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

START_TEST(a_client_that_leaves_ends_the_wait_for_it)
{
	struct world *w = answered(60000);

	got(w, 1);
	say(w); /* nobody asked for it */
	world_end_lease(w, "L1", "released");
	ck_assert(am_is1(w->w, Wrk_LeaseEnding));
	netmach_close(w->client.nm, "done");
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

/* It says bye, so nobody waits for what it had open. */
START_TEST(a_client_that_is_freed_does_not_hold_its_worker)
{
	struct world *w = with_client(4);

	w->wait_ms = 60000;
	(void)ask(w, -1);
	(void)ask(w, -1);
	world_until_true(w, w->n_reqs == 2);
	world_answer(w, 0, 1);
	flow_log_detach(&w->clog);
	w->clog.machine = NULL;
	w->c = am_client_free(w->c);
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_str_eq(w->released, "released");
	world_free(w);
}
END_TEST

/* ---- what a payload costs ---- */

static int n_chunks;
static int64_t chunk_ns; /* at work, each */

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void
count_cost(struct world *w, am_req req, struct am_val args)
{
	struct am_buf b = AM_BUF_INIT;
	int64_t start_ns = cpu_ns();

	(void)args;
	for (int i = 0; i < n_chunks; i++)
		ck_assert_int_eq(am_worker_chunk(w->worker, req, number(&b, i)),
		    0);
	chunk_ns = (cpu_ns() - start_ns) / n_chunks;
	am_buf_done(&b);
}

static int64_t
cost_of(int n)
{
	struct world *w = leased();
	int64_t start_ns;

	w->wlog.off = true;
	am_handler_timeout(w->w, -1);
	w->work = count_cost;
	n_chunks = n;
	world_disconnect(w, &w->client); /* nothing is acked */
	world_until_state(w, w->w, Wrk_ClientConnected, false);
	(void)am_add1(w->w, Wrk_WorkRequested, AM_NONE);
	ck_assert_uint_eq(world_outbox_len(w), (size_t)n);
	/* And out again, in any order: here the newest first. */
	start_ns = cpu_ns();
	for (uint64_t seq = w->worker->outbox.last_seq; n > 0; n--, seq--)
		payload_acked(w->worker, &w->worker->client[0], seq);
	chunk_ns += (cpu_ns() - start_ns) / n_chunks;
	world_free(w);
	return chunk_ns;
}

START_TEST(a_payload_costs_the_same_however_many_wait)
{
	int64_t few = cost_of(5000), many = cost_of(60000);

	(void)printf("# %lld and %lld ns\n", (long long)few, (long long)many);
	ck_assert_int_lt(many, 5 * few + 500);
}
END_TEST

/* ---- the account ---- */

enum { ASKED_MAX = 1200 };

/* What was asked for is counted where it is done and where it ends. */
static struct {
	uint32_t seed;
	size_t n_asked;
	uint64_t req[ASKED_MAX];
	unsigned done[ASKED_MAX];  /* by the worker */
	unsigned ended[ASKED_MAX]; /* how often the client was told */
	enum am_status status[ASKED_MAX];
	int64_t chunk[ASKED_MAX]; /* the last one */
	size_t n_ends;
	am_req open[ASKED_MAX]; /* the worker's, if it was not answered */
} account;

static unsigned
random_below(unsigned n)
{
	account.seed = account.seed * 1664525 + 1013904223;
	return (account.seed >> 16) % n;
}

static void
do_work(struct world *w, am_req req, struct am_val args)
{
	struct am_buf b = AM_BUF_INIT;
	int64_t n = -1;

	ck_assert_int_eq(am_get_int(args, "output", &n), 0);
	account.done[n]++;
	for (int64_t i = 1; i <= (random_below(6) == 0 ? 520 : 2); i++)
		ck_assert_int_eq(am_worker_chunk(w->worker, req, number(&b, i)),
		    0);
	if (random_below(2) == 0)
		ck_assert_int_eq(am_worker_answer(w->worker, req,
				     number(&b, n)),
		    0);
	else
		account.open[n] = req;
	am_buf_done(&b);
}

static void
count(struct world *w)
{
	const struct world_payload *p = w->told;
	size_t i = 0;

	if (w->n_told == 0)
		return; /* the link is there again */
	w->n_told = 0;
	if (p->req == 0)
		return;
	while (i < account.n_asked && account.req[i] != p->req)
		i++;
	ck_assert_uint_lt(i, account.n_asked);
	ck_assert_uint_eq(account.ended[i], 0);
	if (strcmp(p->kind, "chunk") == 0) {
		ck_assert_int_eq(p->value, account.chunk[i] + 1);
		account.chunk[i]++;
		return;
	}
	account.ended[i]++;
	account.n_ends++;
	account.status[i] = (enum am_status)p->status;
	if (p->status == AM_STATUS_OK)
		ck_assert_int_eq(p->value, (int64_t)i);
}

static void
ask_one(struct world *w)
{
	struct am_buf b = AM_BUF_INIT;
	size_t i = account.n_asked;
	int r;

	if (i + 1 == ASKED_MAX)
		return;
	/* It may be told of before its number is known: never within the call. */
	r = am_client_request(w->c, number(&b, (int64_t)i),
	    random_below(5) == 0 ? 10 : -1, &account.req[i]);
	if (r == 0)
		account.n_asked++;
	else
		ck_assert(r == -ENOLCK || r == -ENOTCONN || r == -EBUSY);
	am_buf_done(&b);
}

static void
end_one(struct world *w)
{
	am_req req = account.open[random_below((unsigned)account.n_asked + 1)];

	/* Most of them have ended already, in one way or another. */
	switch (random_below(3)) {
	case 0:
		(void)am_worker_fail(w->worker, req, "ink", "none");
		break;
	case 1:
		(void)am_worker_refuse(w->worker, req, "not today");
		break;
	default:
		(void)am_worker_canceled(w->worker, req);
	}
}

static void
release_and_lease(struct world *w)
{
	unsigned n_lost = w->n_lost, n_ready = w->n_ready, n_asked = w->n_asked;

	ck_assert_int_eq(am_client_release(w->c), 0);
	world_until_true(w, w->n_lost > n_lost);
	world_until_state(w, w->w, Wrk_Leased, false);
	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked > n_asked);
	world_grant(w);
	world_until_true(w, w->n_ready > n_ready);
}

static void
end_all(struct world *w)
{
	world_deadline(w);
	while (account.n_ends < account.n_asked) {
		for (size_t i = 0; i < account.n_asked; i++)
			(void)am_worker_canceled(w->worker, account.open[i]);
		ck_assert_msg(world_step(w), "%zu of %zu ended", account.n_ends,
		    account.n_asked);
	}
}

static void
keep_account(uint32_t seed)
{
	struct world *w = with_client(32);

	memset(&account, 0, sizeof(account));
	account.seed = seed;
	w->work = do_work;
	w->refill = count;
	w->wait_ms = random_below(2) * 1000;
	for (int i = 0; i < 1500; i++) {
		unsigned what = random_below(100);

		if (what < 40)
			ask_one(w);
		else if (what < 60)
			end_one(w);
		else if (what < 63)
			world_cut(w);
		else if (what < 66 && account.n_asked > 0)
			(void)am_client_cancel(w->c,
			    account
				.req[random_below((unsigned)account.n_asked)]);
		else if (what < 68)
			(void)am_worker_event(w->worker, "found", AM_NONE);
		else if (what == 68 && random_below(4) == 0 && w->n_ready > 0 &&
		    am_is1(w->cm, Cli_Leased))
			release_and_lease(w);
		else
			(void)am_loop_step(w->loop, 0);
	}
	end_all(w);
	for (size_t i = 0; i < account.n_asked; i++) {
		ck_assert_uint_eq(account.ended[i], 1);
		ck_assert_uint_le(account.done[i], 1);
		if (account.status[i] == AM_STATUS_OK)
			ck_assert_uint_eq(account.done[i], 1);
		/* Nobody died, and the end of a lease waits for the link. */
		if (account.status[i] == AM_STATUS_UNKNOWN)
			ck_assert(w->wait_ms == 0 || account.done[i] == 0);
	}
	world_free(w);
}

START_TEST(each_request_is_done_once_at_most_and_ends_once)
{
	for (uint32_t seed = 1; seed <= 30; seed++)
		keep_account(seed);
}
END_TEST

UNIT_MAIN("payloads", a_payload_costs_the_same_however_many_wait,
    a_client_that_is_freed_does_not_hold_its_worker,
    each_request_is_done_once_at_most_and_ends_once,
    chunks_of_one_handler_all_come_in_order,
    a_thousand_open_requests_end_with_their_lease,
    a_full_queue_does_not_lose_that_a_worker_is_stuck,
    a_full_queue_does_not_lose_errors_and_signs_of_life,
    a_full_queue_does_not_lose_a_wish,
    an_event_stays_until_each_client_has_acked_it,
    a_client_that_was_cut_gets_its_event,
    a_client_that_takes_leave_is_not_waited_for,
    a_client_that_stays_away_is_not_waited_for,
    the_end_of_a_lease_waits_for_an_ack,
    the_end_of_a_lease_does_not_wait_for_ever,
    the_end_of_a_lease_waits_for_a_client_that_was_cut,
    the_end_of_a_lease_waits_for_nobody_who_took_leave,
    a_client_that_leaves_ends_the_wait_for_it, a_link_that_is_cut_is_told,
    a_client_that_refills_does_not_stop_without_a_link,
    an_answer_makes_room_before_it_is_told, a_full_window_is_told_at_once,
    a_window_that_others_fill_is_busy, a_cancel_is_not_lost_with_the_link)
