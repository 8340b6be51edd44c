/* What a client asks for again: when it is told that something was lost, after
 * a frame that the server refused, and after ids have wrapped. */
#include "lib/rpc/replay.h"
#include "tests/unit/rpc_pair.h"

/* ---- a retry from within the callback that tells of the loss ---- */

enum { RETRIES_MAX = 1000 };

static int n_lost, n_ok;

static void
ask_again(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	const am_id state = Log;

	(void)id;
	if (r->status == NETMACH_OK) {
		n_ok++;
		return;
	}
	ck_assert_int_lt(++n_lost, RETRIES_MAX);
	(void)netmach_mutate(nm, AM_ADD, &state, 1, AM_NONE, -1, ask_again,
	    arg);
}

static void
resuming(struct client *c, struct netmach_conf conf)
{
	conf.resume = true;
	client_new(c, &conf);
	until(&c->n_ready, 1);
}

START_TEST(a_retry_in_the_callback_of_a_loss_is_made_once)
{
	const am_id state = Log;

	setup();
	n_lost = n_ok = 0;
	resuming(&a, (struct netmach_conf){ 0 });
	for (int i = 0; i < 3; i++)
		ck_assert_int_gt(netmach_mutate(a.nm, AM_ADD, &state, 1,
				     AM_NONE, -1, ask_again, &a),
		    0);
	server_down();
	until(&a.n_closed, 1);
	server_up();
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&n_ok, 3);
	ck_assert_int_eq(n_lost, 3);
	ck_assert_uint_eq(am_tick(m, Log), 5);
	teardown();
}
END_TEST

START_TEST(a_retry_when_time_is_over_waits_for_its_own)
{
	const am_id state = Log;

	setup();
	n_lost = n_ok = 0;
	resuming(&a, (struct netmach_conf){ .keep_ms = 20 });
	server_down();
	until(&a.n_closed, 1);
	ck_assert_int_gt(netmach_mutate(a.nm, AM_ADD, &state, 1, AM_NONE, -1,
			     ask_again, &a),
	    0);
	until(&n_lost, 3);
	server_up();
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&n_ok, 1);
	ck_assert_uint_eq(am_tick(m, Log), 1);
	teardown();
}
END_TEST

START_TEST(a_retry_when_all_is_given_up_waits)
{
	const am_id state = Log;

	setup();
	n_lost = n_ok = 0;
	resuming(&a, (struct netmach_conf){ 0 });
	server_down();
	until(&a.n_closed, 1);
	ck_assert_int_gt(netmach_mutate(a.nm, AM_ADD, &state, 1, AM_NONE, -1,
			     ask_again, &a),
	    0);
	netmach_give_up(a.nm, "no more");
	ck_assert_int_eq(n_lost, 1);
	server_up();
	ck_assert_int_eq(netmach_connect(a.nm, &addr), 0);
	until(&n_ok, 1);
	teardown();
}
END_TEST

/* ---- what became of mutations ---- */

static const struct conn_peer peer = { .uid = 1 };

START_TEST(each_of_the_last_1024_is_remembered_where_ids_wrap)
{
	enum { IDS = UINT16_MAX };
	struct replay_list list = TAILQ_HEAD_INITIALIZER(list);
	struct replay *r = replay_new(&list, 0, 10, 7, &peer);
	const struct replay_entry *e = NULL;

	for (uint32_t n = 0; n < 2 * IDS + 5000; n++) {
		uint32_t id = n % IDS + 1;

		ck_assert_int_eq(replay_see(r, id, &e), REPLAY_NEW);
		replay_put(r, id, n, "");
		if (n < REPLAY_WINDOW || (id > 3000 && id < IDS - 3000))
			continue;
		/* The one so long ago, and the one before that. */
		id = (n - (REPLAY_WINDOW - 1)) % IDS + 1;
		ck_assert_int_eq(replay_see(r, id, &e), REPLAY_KNOWN);
		ck_assert_uint_eq(e->result, n - (REPLAY_WINDOW - 1));
		id = (n - REPLAY_WINDOW) % IDS + 1;
		ck_assert_int_eq(replay_see(r, id, &e), REPLAY_FORGOTTEN);
	}
	replay_free(&list, r);
}
END_TEST

START_TEST(an_id_that_was_left_out_is_new_when_it_comes)
{
	struct replay_list list = TAILQ_HEAD_INITIALIZER(list);
	struct replay *r = replay_new(&list, 0, 10, 7, &peer);
	const struct replay_entry *e = NULL;

	for (uint32_t id = 65000; id != 500; id = id % UINT16_MAX + 2) {
		if (replay_see(r, id, &e) == REPLAY_NEW)
			replay_put(r, id, 0, "");
		if (id < 1000 && id > 400)
			break;
	}
	ck_assert_int_eq(replay_see(r, 65001, &e), REPLAY_NEW);
	ck_assert_int_eq(replay_see(r, 65002, &e), REPLAY_KNOWN);
	replay_free(&list, r);
}
END_TEST

UNIT_MAIN("retry", a_retry_in_the_callback_of_a_loss_is_made_once,
    a_retry_when_time_is_over_waits_for_its_own,
    a_retry_when_all_is_given_up_waits,
    each_of_the_last_1024_is_remembered_where_ids_wrap,
    an_id_that_was_left_out_is_new_when_it_comes)
