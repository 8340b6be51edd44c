/* worker_rig.h - a worker in a world, idle or leased, and what it is asked. */
#ifndef TESTS_UNIT_WORKER_RIG_H
#define TESTS_UNIT_WORKER_RIG_H

#include "tests/unit/unit.h"
#include "tests/unit/world.h"

static inline struct world *
idle(void)
{
	struct world *w = world_new();

	world_worker(w);
	return w;
}

static inline void
make_lease(struct world *w, int64_t ttl_ms, int64_t max_ms)
{
	world_lease(w, "L1", ttl_ms, max_ms);
	ck_assert_uint_eq(w->super.result, AM_EXECUTED);
	world_connect_client(w);
	ck_assert_msg(w->client.ready, "%s", w->client.why);
	world_until_state(w, w->w, Wrk_ClientConnected, true);
}

static inline struct world *
leased(void)
{
	struct world *w = idle();

	make_lease(w, 0, 0);
	return w;
}

static inline void
request(struct world *w, const char *args)
{
	ck_assert_uint_eq(world_add(w, &w->client, Wrk_WorkRequested, args),
	    AM_EXECUTED);
}

static inline void
refused(struct world *w, const char *args, const char *why)
{
	ck_assert_uint_eq(world_add(w, &w->client, Wrk_WorkRequested, args),
	    AM_CANCELED);
	ck_assert_str_eq(w->client.text, why);
}

/* The window or the outbox is full. */
static inline void
refused_busy(struct world *w, const char *args, const char *why)
{
	(void)world_add(w, &w->client, Wrk_WorkRequested, args);
	ck_assert_int_eq(w->client.status, NETMACH_ERROR);
	ck_assert_int_eq(w->client.error, ARPC_E_busy);
	ck_assert_str_eq(w->client.text, why);
}

static inline void
got(struct world *w, size_t n)
{
	world_until_true(w, w->client.n_got >= n);
	ck_assert_uint_eq(w->client.n_got, n);
}

/* Does the outbox hold nothing? */
static inline bool
info_is_empty(struct world *w)
{
	world_info(w, &w->client, "payloads");
	return ((const uint8_t *)w->client.value.data)[0] == 0x90;
}

#endif
