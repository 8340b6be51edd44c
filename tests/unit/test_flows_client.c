/* The flows of flows.md, as far as the client is in them: after each line its
 * active states are exactly as there. */
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/world.h"

static void
check_flow(struct world *w, const char *id, const char *const *skip)
{
	struct flow *f = flow_load("tests/data/flows.txt", id, 'C');
	const char *differs;

	ck_assert_ptr_nonnull(f);
	differs = flow_differs(f, &w->clog, skip);
	ck_assert_msg(differs == NULL, "%s", differs);
	free(f);
}

/* A supervisor, a worker, and a client that is connected to the first. */
static struct world *
connected(void)
{
	struct world *w = world_new();

	world_worker(w);
	world_supervisor(w);
	world_client(w);
	world_until_state(w, w->cm, Cli_SuperReady, true);
	flow_log_clear(&w->clog);
	return w;
}

static struct world *
leased(void)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_lease(w->c, 5000), 0);
	world_until_true(w, w->n_asked == 1);
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	world_until_state(w, w->w, Wrk_ClientConnected, true);
	flow_log_clear(&w->clog);
	return w;
}

static uint64_t
request(struct world *w)
{
	uint64_t req;

	ck_assert_int_eq(am_client_request(w->c, AM_NONE, 5000, &req), 0);
	world_until_true(w, worker_n_open(w->worker) == 1);
	return req;
}

START_TEST(flow_3_client_start)
{
	struct world *w = world_new();
	struct flow_step *first;

	world_supervisor(w);
	world_client(w);
	/* +Start came with am_client_new(), before anyone could look. */
	first = &w->clog.step[w->clog.n_steps++];
	*first = (struct flow_step){ .text = " +Start -> Start",
		.begins = true };
	ck_assert(am_is1(w->cm, Cli_Start));
	world_until_state(w, w->cm, Cli_SuperReady, true);
	check_flow(w, "3", NULL);
	world_free(w);
}
END_TEST

START_TEST(flow_4_lease)
{
	struct world *w = connected();

	ck_assert_int_eq(am_client_lease(w->c, 30000), 0);
	world_until_true(w, w->n_asked == 1);
	ck_assert_int_gt(w->asked_timeout_ms, 29000);
	ck_assert_int_eq(w->asked_pid, getpid());
	world_grant(w);
	world_until_true(w, w->n_ready == 1);
	check_flow(w, "4", NULL);
	ck_assert_str_eq(client_lease(w->c)->lease, "L1");
	world_free(w);
}
END_TEST

START_TEST(flow_5b_waiting_client_gives_up)
{
	struct world *w = connected();
	const char *const before[] = { "+WorkerWanted", NULL };

	ck_assert_int_eq(am_client_lease(w->c, 50), 0);
	world_until_true(w, w->n_lost == 1);
	check_flow(w, "5b", before);
	ck_assert_str_eq(w->lost_code, "timeout");
	world_until_true(w, w->released_request != 0);
	ck_assert_uint_eq(w->released_request, w->asked);
	ck_assert_str_eq(w->released, "timeout");
	world_free(w);
}
END_TEST

START_TEST(flow_6_one_request)
{
	struct world *w = leased();
	uint64_t req = request(w);

	world_answer(w, 0, 49);
	world_until_true(w, w->n_told == 1);
	check_flow(w, "6", NULL);
	ck_assert_uint_eq(w->told[0].req, req);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_OK);
	ck_assert_int_eq(w->told[0].value, 49);
	world_free(w);
}
END_TEST

START_TEST(flow_9_release)
{
	struct world *w = leased();

	ck_assert_int_eq(am_client_release(w->c), 0);
	world_until_true(w, w->n_lost == 1);
	check_flow(w, "9", NULL);
	ck_assert_str_eq(w->lost_code, "released");
	ck_assert_str_eq(w->released, "released");
	world_until_state(w, w->w, Wrk_Leased, false);
	world_free(w);
}
END_TEST

START_TEST(flow_9b_owner_dies_in_a_request)
{
	struct world *w = leased();
	const char *const closing[] = { "-WorkerConnected",
		"+WorkerDisconnected", "-Leased", NULL };

	(void)request(w);
	world_end_lease(w, "L1", "owner-died");
	world_until_true(w, w->n_lost == 1);
	check_flow(w, "9b", closing);
	ck_assert_uint_eq(w->n_told, 1);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_CANCELED);
	ck_assert_str_eq(w->lost_code, "owner-died");
	world_free(w);
}
END_TEST

/* What cuts the connection from the worker's side and lets it live on. */
START_TEST(flow_10_connection_lost_in_a_request)
{
	struct world *w = leased();
	const char *const connecting[] = { "-WorkerDisconnected",
		"+WorkerConnecting", "-WorkerConnecting", "+WorkerConnected",
		NULL };

	(void)request(w);
	world_cut(w);
	world_answer(w, 0, 5);
	world_until_true(w, w->n_told == 1);
	check_flow(w, "10", connecting);
	ck_assert_int_eq(w->told[0].value, 5);
	ck_assert_int_eq(w->told[0].status, AM_STATUS_OK);
	ck_assert_uint_eq(w->n_lost, 0);
	world_free(w);
}
END_TEST

START_TEST(flow_14_supervisor_goes_in_a_request)
{
	struct world *w = leased();
	const char *const again[] = { "-SuperDisconnected", "+SuperConnecting",
		NULL };

	(void)request(w);
	world_supervisor_gone(w);
	world_until_state(w, w->cm, Cli_SuperDisconnected, true);
	check_flow(w, "14", again);
	world_free(w);
}
END_TEST

UNIT_MAIN("flows_client", flow_3_client_start, flow_4_lease,
    flow_5b_waiting_client_gives_up, flow_6_one_request, flow_9_release,
    flow_9b_owner_dies_in_a_request, flow_10_connection_lost_in_a_request,
    flow_14_supervisor_goes_in_a_request)
