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

static struct rpc_user_list users = LIST_HEAD_INITIALIZER(users);

static struct rpc_user *
a_user(uid_t uid)
{
	return user_ref(&users, &(struct conn_peer){ .uid = uid });
}

START_TEST(each_of_the_last_1024_is_remembered_where_ids_wrap)
{
	enum { IDS = UINT16_MAX };
	struct replay_list list = TAILQ_HEAD_INITIALIZER(list);
	struct rpc_user *user = a_user(1);
	struct replay *r = replay_new(&list, 0, 10, 7, user);
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
	user_unref(user);
}
END_TEST

START_TEST(an_id_that_was_left_out_is_new_when_it_comes)
{
	struct replay_list list = TAILQ_HEAD_INITIALIZER(list);
	struct rpc_user *user = a_user(1);
	struct replay *r = replay_new(&list, 0, 10, 7, user);
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
	user_unref(user);
}
END_TEST

START_TEST(who_has_most_loses_first)
{
	enum { MAX = 8 };
	struct replay_list list = TAILQ_HEAD_INITIALIZER(list);
	struct rpc_user *one = a_user(1), *two = a_user(2), *three = a_user(3);

	ck_assert_ptr_nonnull(replay_new(&list, 0, MAX, 100, one));
	ck_assert_ptr_nonnull(replay_new(&list, 0, MAX, 101, one));
	/* A flood costs nobody but its own user. */
	for (uint64_t id = 0; id < 1000; id++)
		ck_assert_ptr_nonnull(replay_new(&list, 0, MAX, id, two));
	ck_assert_ptr_nonnull(replay_find(&list, 0, 100, one));
	ck_assert_ptr_nonnull(replay_find(&list, 0, 101, one));
	ck_assert_ptr_null(replay_find(&list, 0, 100, two));
	ck_assert_uint_eq(two->n_replays, MAX - 2);
	/* And the next one finds room. */
	ck_assert_ptr_nonnull(replay_new(&list, 0, MAX, 5, three));
	ck_assert_uint_eq(two->n_replays, MAX - 3);
	ck_assert_uint_eq(one->n_replays, 2);
	while (!TAILQ_EMPTY(&list))
		replay_free(&list, TAILQ_FIRST(&list));
	user_unref(one);
	user_unref(two);
	user_unref(three);
	ck_assert(LIST_EMPTY(&users));
}
END_TEST

START_TEST(texts_are_bounded_by_user)
{
	struct replay_list list = TAILQ_HEAD_INITIALIZER(list);
	struct rpc_user *user = a_user(1);
	const struct replay_entry *e;
	char why[REPLAY_WHY_MAX + 1];

	memset(why, 'y', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	for (uint64_t client = 1; client <= 40; client++) {
		struct replay *r = replay_new(&list, 0, 100, client, user);

		for (uint32_t id = 1; id <= REPLAY_WINDOW; id++) {
			ck_assert_int_eq(replay_see(r, id, &e), REPLAY_NEW);
			replay_put(r, id, AM_CANCELED, why);
		}
	}
	ck_assert_uint_le(user->why_bytes, USER_WHY_BYTES + sizeof(why));
	while (!TAILQ_EMPTY(&list))
		replay_free(&list, TAILQ_FIRST(&list));
	ck_assert_uint_eq(user->why_bytes, 0);
	user_unref(user);
}
END_TEST

START_TEST(unread_output_is_shared_by_the_connections_of_a_user)
{
	struct rpc_user *user = a_user(1);

	for (user->n_sessions = 1; user->n_sessions <= 1024;
	     user->n_sessions++) {
		size_t max = user_out_max(user);

		ck_assert_uint_le(max, CONN_OUT_SOFT);
		ck_assert_uint_ge(max, USER_OUT_LEAST);
		ck_assert_uint_le(max * user->n_sessions, 2 * USER_OUT_BYTES);
	}
	user_unref(user);
}
END_TEST

UNIT_MAIN("retry", a_retry_in_the_callback_of_a_loss_is_made_once,
    a_retry_when_time_is_over_waits_for_its_own,
    a_retry_when_all_is_given_up_waits,
    each_of_the_last_1024_is_remembered_where_ids_wrap,
    an_id_that_was_left_out_is_new_when_it_comes, who_has_most_loses_first,
    texts_are_bounded_by_user,
    unread_output_is_shared_by_the_connections_of_a_user)
