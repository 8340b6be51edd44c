/* cmd_check.c - questions and conditions: is, not, any, has, when, when-not,
 * when-time, wait. */
#include "cli/cmds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/lease.h"
#include "cli/names.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "proto/supervisor.h"

enum { LATE_MS = 500 };

enum check {
	CHECK_IS,
	CHECK_NOT,
	CHECK_ANY,
	CHECK_TIME,
};

/* A condition on a machine. */
struct cond {
	const struct session *s;
	enum check check;
	am_id ids[AM_STATES_MAX];
	uint64_t ticks[AM_STATES_MAX]; /* CHECK_TIME */
	size_t n;
};

static bool
holds(const struct cond *q)
{
	const struct am_machine *m = session_mirror(q->s);

	switch (q->check) {
	case CHECK_IS:
		return am_is(m, q->ids, q->n);
	case CHECK_NOT:
		return am_not(m, q->ids, q->n);
	case CHECK_ANY:
		return am_any(m, q->ids, q->n);
	case CHECK_TIME:
		for (size_t i = 0; i < q->n; i++)
			if (am_tick(m, q->ids[i]) < q->ticks[i])
				return false;
		return true;
	}
	return false;
}

static bool
is_settled(void *arg)
{
	const struct cond *q = (const struct cond *)arg;

	return q->s->down || holds(q);
}

static int
answer(struct cli *c, bool yes)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	struct am_val v = AM_NONE;
	int rc;

	am_put_map(&b, 1);
	am_put_str(&b, "result");
	am_put_bool(&b, yes);
	(void)am_get(am_buf_val(&b), "result", &v);
	rc = cli_print(c, am_buf_val(&b),
	    c->out.field == NULL ? v : am_buf_val(&b), NULL);
	return rc != EX_OK ? rc : yes ? EX_OK : EX_FALSE;
}

static int
open_cond(struct cli *c, struct attach *a, struct cond *q)
{
	int rc = attach_open(c, a);

	if (rc != EX_OK)
		return rc;
	if (c->argc > AM_STATES_MAX)
		return cli_fail(c, EX_USAGE, "usage", "more than %d states",
		    AM_STATES_MAX);
	q->s = &a->s;
	q->n = (size_t)c->argc;
	return names_resolve(c, am_machine_schema(session_mirror(&a->s)),
	    c->argv, q->n, q->ids);
}

static int
question(struct cli *c, enum check check)
{
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	struct cond q = { .check = check };
	int rc = open_cond(c, &a, &q);

	return rc != EX_OK ? rc : answer(c, holds(&q));
}

int
cmd_is(struct cli *c)
{
	return question(c, CHECK_IS);
}

int
cmd_not(struct cli *c)
{
	return question(c, CHECK_NOT);
}

int
cmd_any(struct cli *c)
{
	return question(c, CHECK_ANY);
}

int
cmd_has(struct cli *c)
{
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	const struct am_schema *s;
	int rc = attach_open(c, &a);

	if (rc != EX_OK)
		return rc;
	s = am_machine_schema(session_mirror(&a.s));
	for (int i = 0; i < c->argc; i++)
		if (am_schema_id(s, c->argv[i], strlen(c->argv[i])) < 0)
			return answer(c, false);
	return answer(c, true);
}

static int
await(struct cli *c, struct attach *a, struct cond *q)
{
	int rc = session_until(c, is_settled, q, cli_wait_deadline(c));

	if (rc == -ETIMEDOUT) {
		am_cleanup(buf_donep) struct am_buf now = AM_BUF_INIT;

		am_string(session_mirror(&a->s), &now);
		return cli_fail(c, EX_TIMEOUT, "timeout",
		    "not true in time; active is %s", buf_text(&now));
	}
	if (rc < 0)
		return session_fail(c, &a->s, rc);
	return a->s.down ? attach_lost(c, a, false) : answer(c, true);
}

static int
when(struct cli *c, enum check check)
{
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	struct cond q = { .check = check };
	int rc = open_cond(c, &a, &q);

	return rc != EX_OK ? rc : await(c, &a, &q);
}

int
cmd_when(struct cli *c)
{
	return when(c, CHECK_IS);
}

int
cmd_when_not(struct cli *c)
{
	return when(c, CHECK_NOT);
}

/* STATE=TICK: cuts the word at the =. */
static int
take_tick(struct cli *c, char *word, uint64_t *ret)
{
	char *eq = strchr(word, '=');
	char *end = NULL;

	errno = 0;
	if (eq != NULL)
		*ret = strtoull(eq + 1, &end, 10);
	if (eq == NULL || eq == word || eq[1] == '\0' || eq[1] == '-' ||
	    *end != '\0' || errno != 0)
		return cli_fail(c, EX_USAGE, "usage",
		    "\"%s\" is not STATE=TICK, as Ready=3", word);
	*eq = '\0';
	return EX_OK;
}

int
cmd_when_time(struct cli *c)
{
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	struct cond q = { .check = CHECK_TIME };
	int rc = EX_OK;

	for (int i = 0; i < c->argc && i < AM_STATES_MAX && rc == EX_OK; i++)
		rc = take_tick(c, c->argv[i], &q.ticks[i]);
	if (rc == EX_OK)
		rc = open_cond(c, &a, &q);
	return rc != EX_OK ? rc : await(c, &a, &q);
}

/* ---- wait ---- */

/* Says why the pool is not ready, as amnoded sees it. */
static int
pool_late(struct cli *c, struct session *s)
{
	char message[AM_ERROR_MAX] = "amnoded does not say why";

	if (session_info(s, "status", AM_NONE,
		clock_ns() + LATE_MS * NS_PER_MS) == 0 &&
	    s->call.status == NETMACH_OK)
		(void)am_get_text(am_buf_val(&s->call.value), "message",
		    message, sizeof(message));
	return cli_fail(c, EX_TIMEOUT, "timeout",
	    "the pool did not get ready in time: %s", message);
}

static int
wait_pool(struct cli *c)
{
	am_cleanup(session_done) struct session s = SESSION_INIT;
	struct cond q = { .s = &s,
		.check = CHECK_IS,
		.ids = { Sup_PoolReady },
		.n = 1 };
	int rc = super_open(c, &s);

	if (rc != EX_OK)
		return rc;
	rc = session_until(c, is_settled, &q, cli_wait_deadline(c));
	if (rc == -ETIMEDOUT)
		return pool_late(c, &s);
	if (rc < 0 || s.down)
		return session_fail(c, &s, rc < 0 ? rc : -ECONNRESET);
	return answer(c, true);
}

int
cmd_wait(struct cli *c)
{
	am_cleanup(attach_done) struct attach a = ATTACH_INIT;
	struct cond q = { .check = CHECK_IS, .n = 1 };
	const char *what = c->opts.text[OPT_FOR];
	int rc;

	if (what == NULL)
		return cli_fail(c, EX_USAGE, "usage",
		    "--for=pool-ready or --for=state=X says what to wait for");
	if (strcmp(what, "pool-ready") == 0)
		return wait_pool(c);
	if (strncmp(what, "state=", 6) != 0 || what[6] == '\0')
		return cli_fail(c, EX_USAGE, "usage",
		    "--for=%s: write pool-ready or state=X", what);
	rc = attach_open(c, &a);
	if (rc == EX_OK)
		rc = names_one(c, am_machine_schema(session_mirror(&a.s)),
		    what + 6, &q.ids[0]);
	q.s = &a.s;
	return rc != EX_OK ? rc : await(c, &a, &q);
}
