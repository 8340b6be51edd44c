/* cmd_add.c - the mutations: add, remove, set, toggle, can-add, can-remove,
 * and request. */
#include "cli/cmds.h"

#include <errno.h>
#include <string.h>

#include "cli/args.h"
#include "cli/lease.h"
#include "cli/names.h"
#include "cli/work.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "proto/worker.h"

enum { WORDS_MAX = AM_STATES_MAX };

/* --wait: one of these, or a state: then the mutation and that state. */
static enum work_wait
wait_of(const struct cli *c, const char **ret_state)
{
	static const char *const words[] = {
		[WORK_RESULT] = "result",
		[WORK_DONE] = "done",
		[WORK_NONE] = "none",
	};
	const char *text = c->opts.text[OPT_WAIT];

	*ret_state = NULL;
	if (text == NULL)
		return WORK_RESULT;
	for (size_t i = 0; i < 3; i++)
		if (strcmp(text, words[i]) == 0)
			return (enum work_wait)i;
	*ret_state = text;
	return WORK_DONE;
}

static bool
has_state(const am_id *states, size_t n, am_id state)
{
	for (size_t i = 0; i < n; i++)
		if (states[i] == state)
			return true;
	return false;
}

static int
mutate_on(struct cli *c, struct attach *a, struct work_conf *conf,
    size_t n_states, const char *until_name)
{
	const struct am_schema *schema = am_machine_schema(
	    session_mirror(&a->s));
	am_id ids[AM_STATES_MAX];
	int rc = names_resolve(c, schema, c->argv, n_states, ids);

	if (rc == EX_OK && until_name != NULL)
		rc = names_one(c, schema, until_name, &conf->until);
	if (rc != EX_OK)
		return rc;
	conf->states = ids;
	conf->n_states = n_states;
	conf->is_request = !a->super && conf->op == AM_ADD &&
	    has_state(ids, n_states, Wrk_WorkRequested);
	conf->until_name = until_name;
	rc = work_do(c, &a->s, conf);
	if (rc == EX_UNKNOWN || rc == -ECONNRESET)
		return attach_lost(c, a, rc == EX_UNKNOWN);
	return rc;
}

static int
mutate(struct cli *c, enum am_op op)
{
	am_cleanup(buf_donep) struct am_buf args = AM_BUF_INIT;
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	struct work_conf conf = { .op = op };
	size_t n = args_sort(c->argv, (size_t)c->argc);
	const char *until;
	int rc;

	if (n == 0)
		return cli_fail(c, EX_USAGE, "usage",
		    "no state is named; usage: amctl %s %s", c->cmd->name,
		    c->cmd->usage);
	if (n > WORDS_MAX)
		return cli_fail(c, EX_USAGE, "usage", "more than %d states",
		    WORDS_MAX);
	rc = args_take(c, c->argv + n, (size_t)c->argc - n, &args);
	conf.wait = wait_of(c, &until);
	if (rc == EX_OK)
		rc = attach_open(c, &a);
	if (rc != EX_OK)
		return rc;
	conf.args = am_buf_val(&args);
	return mutate_on(c, &a, &conf, n, until);
}

int
cmd_add(struct cli *c)
{
	return mutate(c, AM_ADD);
}

int
cmd_remove(struct cli *c)
{
	return mutate(c, AM_REMOVE);
}

int
cmd_set(struct cli *c)
{
	return mutate(c, AM_SET);
}

int
cmd_toggle(struct cli *c)
{
	return mutate(c, AM_TOGGLE);
}

int
cmd_can_add(struct cli *c)
{
	return mutate(c, AM_CAN_ADD);
}

int
cmd_can_remove(struct cli *c)
{
	return mutate(c, AM_CAN_REMOVE);
}

/* ---- request ---- */

/* On a lease of its own, bound to this process. */
static int
request_own(struct cli *c, const struct work_conf *conf)
{
	am_cleanup(session_done) struct session sup = SESSION_INIT;
	am_cleanup(session_done) struct session wrk = SESSION_INIT;
	struct client_wish wish = { .ttl_ms = 0 };
	struct client_lease lease;
	int rc = super_open(c, &sup);

	if (rc != EX_OK)
		return rc;
	if (lease_wish_own(&wish) < 0)
		return cli_fail(c, EX_FAILED, "internal",
		    "/proc/self/stat cannot be read");
	rc = lease_take(c, &sup, &wrk, &wish,
	    cli_timeout_ms(c) == 0 ? 0 : cli_left_ms(c), &lease);
	if (rc != EX_OK)
		return rc;
	rc = work_do(c, &wrk, conf);
	explicit_bzero(lease.token, sizeof(lease.token));
	if (rc == EX_UNKNOWN) {
		struct lease_info info = { .reason = "" };

		(void)lease_wait_end(c, &sup, lease.lease, &info,
		    cli_io_deadline(c));
		return cli_fail(c, EX_UNKNOWN, "unknown",
		    "outcome unknown: worker %s: %s", lease.worker,
		    info.reason[0] != '\0' ? info.reason : wrk.why);
	}
	session_close(&wrk);
	lease_drop(&sup, lease.lease, "released");
	return rc;
}

int
cmd_request(struct cli *c)
{
	static const am_id work = Wrk_WorkRequested;
	am_cleanup(buf_donep) struct am_buf args = AM_BUF_INIT;
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	struct work_conf conf = { .op = AM_ADD,
		.states = &work,
		.n_states = 1,
		.is_request = true };
	size_t n = args_sort(c->argv, (size_t)c->argc);
	int rc;

	if (n > 0)
		return cli_fail(c, EX_USAGE, "usage",
		    "\"%s\" is neither k=v nor k:=json", c->argv[0]);
	if (cli_has(c, OPT_SUPER))
		return cli_fail(c, EX_USAGE, "usage",
		    "--super makes no sense here");
	rc = args_take(c, c->argv, (size_t)c->argc, &args);
	if (rc != EX_OK)
		return rc;
	conf.args = am_buf_val(&args);
	if (!cli_has(c, OPT_LEASE))
		return request_own(c, &conf);
	rc = attach_open(c, &a);
	if (rc != EX_OK)
		return rc;
	rc = work_do(c, &a.s, &conf);
	return rc == EX_UNKNOWN ? attach_lost(c, &a, true) : rc;
}
