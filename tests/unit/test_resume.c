#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/loop/loop.h"
#include "lib/rpc/session.h"
#include "tests/unit/rpc_pair.h"

/* Nothing lost, nothing doubled: connections are cut between a net machine and
 * its server, and each mutation is made once and answered once. */

/* ---- a proxy that cuts ---- */

enum { PROXY_LINKS = 64 };

struct link {
	int fd[2]; /* the client's, the server's; -1: none */
	struct event *ev[2];
};

static struct link links[PROXY_LINKS];
static int proxy_fd;
static struct event *proxy_ev;
static struct addr proxy_addr;
static char proxy_path[96];
static long cut_after; /* bytes; -1: never */
static long cut_every;
static bool deaf; /* what a client says does not arrive */
static bool dumb; /* what the server says does not arrive */
static int n_cuts;
static uint32_t seed;

static uint32_t
next_random(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static void
link_cut(struct link *k)
{
	for (int i = 0; i < 2; i++) {
		if (k->ev[i] != NULL)
			event_free(k->ev[i]);
		k->ev[i] = NULL;
		if (k->fd[i] >= 0)
			(void)close(k->fd[i]);
		k->fd[i] = -1;
	}
}

static void
cut_all(void)
{
	for (size_t i = 0; i < PROXY_LINKS; i++) {
		if (links[i].fd[0] >= 0)
			n_cuts++;
		link_cut(&links[i]);
	}
}

/* Passes bytes on, up to the one where it cuts. */
static void
on_proxy_read(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;
	bool from_client = fd == k->fd[0];
	char bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	ssize_t len = n;

	(void)what;
	if (n > 0 && cut_after >= 0 && len > cut_after)
		len = cut_after;
	if (n > 0 && !(from_client ? deaf : dumb) &&
	    send(k->fd[from_client ? 1 : 0], bytes, (size_t)len,
		MSG_NOSIGNAL) != len)
		n = 0;
	if (n > 0 && cut_after >= 0)
		cut_after -= len;
	if (n <= 0 || cut_after == 0) {
		link_cut(k);
		n_cuts++;
		cut_after = cut_every > 0 ? 1 + next_random() % cut_every : -1;
	}
}

static void
on_proxy_accept(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = NULL;
	int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	(void)arg;
	for (size_t i = 0; i < PROXY_LINKS && k == NULL; i++) {
		if (links[i].fd[0] < 0)
			k = &links[i];
	}
	ck_assert_ptr_nonnull(k);
	k->fd[0] = got;
	k->fd[1] = addr_connect(&addr);
	if (k->fd[1] < 0) {
		link_cut(k);
		return;
	}
	for (int i = 0; i < 2; i++) {
		k->ev[i] = event_new(loop_base(l), k->fd[i],
		    EV_READ | EV_PERSIST, on_proxy_read, k);
		ck_assert_int_eq(event_add(k->ev[i], NULL), 0);
	}
}

static void
proxy_up(void)
{
	struct am_error err;

	for (size_t i = 0; i < PROXY_LINKS; i++)
		links[i] = (struct link){ .fd = { -1, -1 } };
	cut_after = -1;
	cut_every = 0;
	deaf = dumb = false;
	n_cuts = 0;
	(void)snprintf(proxy_path, sizeof(proxy_path), "%s/proxy", dir);
	ck_assert_int_eq(addr_parse(proxy_path, &proxy_addr, &err), 0);
	proxy_fd = addr_listen(&proxy_addr, 0600);
	proxy_ev = event_new(loop_base(l), proxy_fd, EV_READ | EV_PERSIST,
	    on_proxy_accept, NULL);
	ck_assert_int_eq(event_add(proxy_ev, NULL), 0);
}

static void
proxy_down(void)
{
	cut_all();
	event_free(proxy_ev);
	(void)close(proxy_fd);
	(void)unlink(proxy_path);
}

static void
resuming(struct client *c, struct netmach_conf conf)
{
	conf.resume = true;
	c->nm = netmach_new(l, &conf, &ops, c);
	ck_assert_ptr_nonnull(c->nm);
	ck_assert_int_eq(netmach_connect(c->nm, &proxy_addr), 0);
	until(&c->n_ready, 1);
}

/* Log is multi: two ticks of it are one add. */
static int
put_log(struct client *c, int64_t deadline_ms)
{
	const am_id state = Log;

	return netmach_mutate(c->nm, AM_ADD, &state, 1, AM_NONE, deadline_ms,
	    on_reply, c);
}

static const struct netmach_conf retrying = { .retry_ms = 5000 };

START_TEST(what_did_not_arrive_is_sent_again)
{
	setup();
	proxy_up();
	resuming(&a, retrying);
	deaf = true;
	ck_assert_int_gt(put_log(&a, -1), 0);
	turns(5);
	ck_assert_uint_eq(am_tick(m, Log), 0);
	deaf = false;
	cut_all();
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	ck_assert_int_eq(a.n_ready, 2);
	ck_assert_int_eq(a.n_closed, 0);
	check_mirror(&a);
	proxy_down();
	teardown();
}
END_TEST

START_TEST(what_was_made_is_answered_and_not_made_twice)
{
	const am_id work = Work;

	setup();
	proxy_up();
	resuming(&a, retrying);
	dumb = true;
	ck_assert_int_gt(put_log(&a, -1), 0);
	turns(5);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	/* The reason is remembered as well. */
	ck_assert_int_gt(netmach_mutate(a.nm, AM_ADD, &work, 1, AM_NONE, -1,
			     on_reply, &a),
	    0);
	turns(5);
	ck_assert_int_eq(a.n_replies, 0);
	(void)am_add1(m, Ready, AM_NONE);
	dumb = false;
	cut_all();
	until(&a.n_replies, 2);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	ck_assert_uint_eq(am_tick(m, Work), 0);
	ck_assert_uint_eq(a.reply.result, AM_CANCELED);
	ck_assert_str_eq(a.reply_why, "Work requires Ready");
	check_mirror(&a);
	proxy_down();
	teardown();
}
END_TEST

START_TEST(a_new_server_leaves_it_unknown)
{
	setup();
	proxy_up();
	resuming(&a,
	    (struct netmach_conf){ .retry_ms = 5000, .retry_gone = true });
	dumb = true;
	ck_assert_int_gt(put_log(&a, -1), 0);
	turns(5);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	server_down();
	dumb = false;
	server_up();
	cut_all();
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_LOST);
	ck_assert_uint_eq(am_tick(m, Log), 0);
	/* and goes on */
	until(&a.n_ready, 2);
	ck_assert_uint_eq(mutate1(&a, AM_ADD, Log, AM_NONE), AM_EXECUTED);
	proxy_down();
	teardown();
}
END_TEST

START_TEST(a_forgotten_client_learns_that)
{
	setup();
	proxy_up();
	resuming(&a, retrying);
	dumb = true;
	ck_assert_int_gt(put_log(&a, -1), 0);
	turns(5);
	rpc_server_forget(srv, listener);
	dumb = false;
	cut_all();
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_LOST);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	proxy_down();
	teardown();
}
END_TEST

START_TEST(what_is_made_without_a_connection_waits_for_it)
{
	setup();
	proxy_up();
	/* The owner connects again. */
	resuming(&a, (struct netmach_conf){ 0 });
	cut_all();
	until(&a.n_closed, 1);
	ck_assert_int_gt(put_log(&a, -1), 0);
	ck_assert_int_gt(put_log(&a, 20), 0);
	/* That one has no time for it. */
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_NOT_SENT);
	ck_assert_int_eq(netmach_connect(a.nm, &proxy_addr), 0);
	until(&a.n_replies, 2);
	ck_assert_int_eq(a.reply.status, NETMACH_OK);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	proxy_down();
	teardown();
}
END_TEST

START_TEST(nobody_waits_for_ever)
{
	setup();
	proxy_up();
	resuming(&a, (struct netmach_conf){ .keep_ms = 30 });
	dumb = true;
	ck_assert_int_gt(put_log(&a, -1), 0);
	turns(5);
	cut_all();
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_LOST);
	ck_assert_int_gt(put_log(&a, -1), 0);
	netmach_give_up(a.nm, "no more");
	ck_assert_int_eq(a.n_replies, 2);
	ck_assert_int_eq(a.reply.status, NETMACH_NOT_SENT);
	ck_assert_str_eq(a.text, "no more");
	proxy_down();
	teardown();
}
END_TEST

START_TEST(a_bye_is_final)
{
	setup();
	proxy_up();
	resuming(&a, retrying);
	rpc_server_close(srv, -1, "released");
	until(&a.n_closed, 1);
	ck_assert_str_eq(a.why, "released");
	proxy_down();
	teardown();
}
END_TEST

START_TEST(what_ends_with_its_connection_is_not_sent_again)
{
	const am_id state = Log;

	setup();
	proxy_up();
	resuming(&a, retrying);
	dumb = true;
	ck_assert_int_gt(netmach_mutate_once(a.nm, AM_ADD, &state, 1, AM_NONE,
			     on_reply, &a),
	    UINT16_MAX);
	turns(5);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	dumb = false;
	cut_all();
	until(&a.n_replies, 1);
	ck_assert_int_eq(a.reply.status, NETMACH_LOST);
	until(&a.n_ready, 2);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	proxy_down();
	teardown();
}
END_TEST

START_TEST(a_first_hello_that_is_cut_is_said_again)
{
	setup();
	proxy_up();
	cut_after = 20;
	resuming(&a, retrying);
	ck_assert_int_eq(n_cuts, 1);
	ck_assert_int_eq(a.n_closed, 0);
	proxy_down();
	teardown();
}
END_TEST

START_TEST(a_server_that_closes_each_connection_is_left)
{
	setup();
	proxy_up();
	cut_after = cut_every = 1;
	a.nm = netmach_new(l, &retrying, &ops, &a);
	ck_assert_int_eq(netmach_connect(a.nm, &proxy_addr), 0);
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, 0);
	ck_assert_str_eq(a.why, "eof");
	ck_assert_int_eq(n_cuts, 6);
	proxy_down();
	teardown();
}
END_TEST

static int
count_memories(void)
{
	const struct replay *mem;
	int n = 0;

	TAILQ_FOREACH(mem, &srv->replays, link)
		n++;
	return n;
}

START_TEST(those_who_are_remembered_are_bounded)
{
	setup();
	policy.max_remembered = 2;
	proxy_up();
	for (int i = 0; i < 4; i++) {
		resuming(&a, (struct netmach_conf){ .timeout_ms = 0 });
		ck_assert_uint_eq(mutate1(&a, AM_ADD, Log, AM_NONE),
		    AM_EXECUTED);
		cut_all();
		until(&a.n_closed, i + 1);
		a.nm = netmach_free(a.nm);
		a.n_ready = 0;
		until(&n_over, i + 1);
		ck_assert_int_eq(count_memories(), i < 2 ? i + 1 : 2);
	}
	/* Who says bye needs none any more. */
	resuming(&a, (struct netmach_conf){ .timeout_ms = 0 });
	ck_assert_int_eq(count_memories(), 2);
	netmach_close(a.nm, "done");
	until(&n_over, 5);
	ck_assert_int_eq(count_memories(), 1);
	policy.max_remembered = 0;
	proxy_down();
	teardown();
}
END_TEST

/* A connection that only one side knows to be lost makes room for its heir. */
START_TEST(the_second_connection_ends_the_first)
{
	setup();
	proxy_up();
	resuming(&a, (struct netmach_conf){ .client_id = 77 });
	resuming(&b, (struct netmach_conf){ .client_id = 77 });
	until(&a.n_closed, 1);
	ck_assert_str_eq(a.why, "resumed by another connection");
	ck_assert_uint_eq(mutate1(&b, AM_ADD, Log, AM_NONE), AM_EXECUTED);
	proxy_down();
	teardown();
}
END_TEST

/* More than a server remembers is not on the way at a time. */
START_TEST(the_window_holds_the_rest_back)
{
	enum { N = 3000 };
	uint64_t before;

	setup();
	before = am_queue_tick(m);
	proxy_up();
	resuming(&a, retrying);
	dumb = true;
	for (int i = 0; i < N; i++)
		ck_assert_int_gt(put_log(&a, -1), 0);
	turns(50);
	ck_assert_int_eq(a.n_replies, 0);
	ck_assert_uint_eq(am_queue_tick(m), before + 1000);
	dumb = false;
	cut_all();
	until(&a.n_replies, N);
	ck_assert_uint_eq(am_queue_tick(m), before + N);
	check_mirror(&a);
	proxy_down();
	teardown();
}
END_TEST

/* ---- the loss test ---- */

enum { CLIENTS = 4, EACH = 25000, OPEN = 40 };

struct counted {
	struct client c; /* first: on_ready and the others get it */
	int next;
	int answered[EACH];
};
static struct counted counted[CLIENTS];
static int made[CLIENTS][EACH];
static int n_answered, n_unknown;

static void
log_state(struct am_event *ev)
{
	int64_t client = -1, number = -1;

	(void)am_get_int(ev->args, "c", &client);
	(void)am_get_int(ev->args, "n", &number);
	ck_assert(client >= 0 && client < CLIENTS && number < EACH);
	made[client][number]++;
}

static const struct am_handler counting_handler[N_STATES] = {
	[Log] = { .state = log_state },
};
static const struct am_handlers counting = {
	.name = "counting",
	.of = counting_handler,
	.len = N_STATES,
};

struct asked {
	struct counted *by;
	int number;
};
static struct asked asked[CLIENTS][EACH];

static void ask(struct counted *k);

static void
on_counted(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct asked *q = arg;

	(void)nm;
	(void)id;
	if (r->status == NETMACH_OK) {
		ck_assert_uint_eq(r->result, AM_EXECUTED);
		q->by->answered[q->number]++;
		n_answered++;
	} else {
		n_unknown++;
	}
	ask(q->by);
}

static void
ask(struct counted *k)
{
	const am_id log[] = { Log };
	struct am_buf args = AM_BUF_INIT;
	struct asked *q;
	size_t i = (size_t)(k - counted);

	if (k->next == EACH)
		return;
	q = &asked[i][k->next];
	*q = (struct asked){ .by = k, .number = k->next++ };
	am_put_map(&args, 2);
	am_put_str(&args, "c");
	am_put_uint(&args, i);
	am_put_str(&args, "n");
	am_put_int(&args, q->number);
	ck_assert_int_gt(netmach_mutate(k->c.nm, AM_ADD, log, 1,
			     am_buf_val(&args), -1, on_counted, q),
	    0);
	am_buf_done(&args);
}

START_TEST(each_of_100000_is_made_once_and_answered_once)
{
	int64_t end_ns = clock_ns() + 60 * NS_PER_S;

	setup();
	policy.max_sessions = 0;
	ck_assert_int_eq(am_bind(m, &counting, NULL), 0);
	proxy_up();
	seed = 5;
	cut_every = 8192;
	cut_after = 4000;
	for (int i = 0; i < CLIENTS; i++) {
		struct netmach_conf conf = { .retry_ms = 60000,
			.retry_gone = true,
			.resume = true };

		counted[i].c.nm = netmach_new(l, &conf, &ops, &counted[i].c);
		ck_assert_int_eq(netmach_connect(counted[i].c.nm, &proxy_addr),
		    0);
		for (int j = 0; j < OPEN; j++)
			ask(&counted[i]);
	}
	while (n_answered + n_unknown < CLIENTS * EACH && clock_ns() < end_ns)
		(void)am_loop_step(l, 100);
	ck_assert_int_eq(n_unknown, 0);
	ck_assert_int_eq(n_answered, CLIENTS * EACH);
	for (int i = 0; i < CLIENTS; i++) {
		for (int j = 0; j < EACH; j++) {
			ck_assert_int_eq(made[i][j], 1);
			ck_assert_int_eq(counted[i].answered[j], 1);
		}
		ck_assert_int_gt(counted[i].c.n_ready, 10);
		ck_assert_uint_eq(netmach_mismatches(counted[i].c.nm), 0);
		counted[i].c.nm = netmach_free(counted[i].c.nm);
	}
	(void)printf("# %d requests, %d cuts\n", n_answered, n_cuts);
	ck_assert_int_gt(n_cuts, 100);
	proxy_down();
	teardown();
}
END_TEST

UNIT_MAIN("resume", what_did_not_arrive_is_sent_again,
    what_was_made_is_answered_and_not_made_twice,
    a_new_server_leaves_it_unknown, a_forgotten_client_learns_that,
    what_is_made_without_a_connection_waits_for_it, nobody_waits_for_ever,
    a_bye_is_final, what_ends_with_its_connection_is_not_sent_again,
    a_first_hello_that_is_cut_is_said_again,
    a_server_that_closes_each_connection_is_left,
    those_who_are_remembered_are_bounded, the_second_connection_ends_the_first,
    the_window_holds_the_rest_back,
    each_of_100000_is_made_once_and_answered_once)
