#include "cli/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

enum { REASON_MS = 1000 };

const char *
attach_name(struct cli *c)
{
	const char *name = c->opts.text[OPT_LEASE];

	if (name == NULL)
		return "default";
	if (leasefile_name_ok(name))
		return name;
	(void)cli_fail(c, EX_USAGE, "usage",
	    "\"%.80s\" is no name of a lease: letters, digits and . _ -, at "
	    "most %d",
	    name, LEASEFILE_NAME_MAX);
	return NULL;
}

int
attach_load(struct cli *c, struct leasefile *f)
{
	struct am_error err;
	const char *name = attach_name(c);
	int rc;

	if (name == NULL)
		return EX_USAGE;
	rc = leasefile_load(f, name, &err);
	if (rc < 0)
		return cli_fail(c,
		    rc == -EPERM || rc == -EACCES ? EX_DENIED : EX_FAILED,
		    "lease_file", "lease \"%s\": %s", name, err.text);
	switch ((enum leasefile_state)rc) {
	case LEASEFILE_LIVE:
		break;
	case LEASEFILE_NONE:
		return cli_fail(c, EX_MISSING, "no_lease",
		    "no lease \"%s\": get one with \"amctl "
		    "request-worker%s%s\"",
		    name, cli_has(c, OPT_LEASE) ? " -l " : "",
		    cli_has(c, OPT_LEASE) ? name : "");
	case LEASEFILE_ENDED:
		return cli_fail(c, EX_LOST, "lost", "lease \"%s\" is over: %s",
		    name, f->ended);
	}
	return EX_OK;
}

int
attach_open(struct cli *c, struct attach *a)
{
	int rc;

	a->super = cli_has(c, OPT_SUPER);
	if (a->super)
		return super_open(c, &a->s);
	rc = attach_load(c, &a->file);
	if (rc != EX_OK)
		return rc;
	rc = session_open_text(&a->s, c, a->file.lease.address,
	    a->file.lease.token);
	if (rc == 0)
		return EX_OK;
	if (rc == -EACCES && a->s.down)
		return cli_fail(c, EX_DENIED, "not_permitted",
		    "worker %s at %s: %s", a->file.lease.worker, a->s.address,
		    a->s.why);
	if (rc == -ETIMEDOUT && cli_left_ms(c) == 0)
		return cli_fail(c, EX_TIMEOUT, "timeout",
		    "worker %s did not answer in time", a->file.lease.worker);
	if (a->s.code == ARPC_E_busy + 1 || rc == -EAGAIN)
		return cli_fail(c, EX_NO_WORKER, "busy",
		    "lease \"%s\" lives, but its worker %s takes no other "
		    "connection now: %s",
		    a->file.name, a->file.lease.worker,
		    a->s.down ? a->s.why : strerror(-rc));
	if (strncmp(a->s.why, "timeout:", 8) == 0)
		return cli_fail(c, EX_TIMEOUT, "timeout",
		    "lease \"%s\": worker %s: %s", a->file.name,
		    a->file.lease.worker, a->s.why);
	if (!a->s.down)
		(void)snprintf(a->s.why, sizeof(a->s.why), "%s", strerror(-rc));
	return attach_lost(c, a, false);
}

int
attach_reason(struct cli *c, const struct leasefile *f, char *buf, size_t size)
{
	am_cleanup(session_done) struct session sup = SESSION_INIT;
	struct lease_info info;
	int rc = session_open_text(&sup, c, f->supervisor, NULL);

	if (rc < 0)
		return rc;
	/* amnoded may see the end a moment later than we do. */
	rc = lease_wait_end(c, &sup, f->lease.lease, &info,
	    clock_ns() + REASON_MS * NS_PER_MS);
	if (rc == 0)
		(void)snprintf(buf, size, "%s", info.reason);
	else if (rc == -ENOENT)
		(void)snprintf(buf, size, "not known to amnoded any more");
	return rc == -ENOENT ? 0 : rc;
}

int
attach_lost(struct cli *c, struct attach *a, bool in_request)
{
	enum exit_code code = in_request ? EX_UNKNOWN : EX_LOST;
	const char *name = code == EX_UNKNOWN ? "unknown" : "lost";
	const char *what = in_request ? "outcome unknown: " : "";
	char reason[64] = "";
	struct am_error err;
	int rc;

	if (a->super)
		return cli_fail(c, in_request ? EX_UNKNOWN : EX_UNREACHABLE,
		    in_request ? "unknown" : "unreachable",
		    "%s%s: the connection was lost: %s", what, a->s.address,
		    a->s.why);
	rc = attach_reason(c, &a->file, reason, sizeof(reason));
	if (rc < 0)
		return cli_fail(c, code, name,
		    "%slease \"%s\": worker %s cannot be reached (%s); why, "
		    "amnoded at %s does not say: %s",
		    what, a->file.name, a->file.lease.worker, a->s.why,
		    a->file.supervisor, strerror(-rc));
	rc = leasefile_end(&a->file, reason, &err);
	/* Another amctl at work on it records the same. */
	if (rc < 0 && rc != -EBUSY)
		cli_say(c, "lease \"%s\": %s", a->file.name, err.text);
	return cli_fail(c, code, name, "%slease \"%s\" is over: %s", what,
	    a->file.name, reason);
}

int
attach_fail(struct cli *c, struct attach *a, int rc)
{
	if (rc == -ECONNRESET)
		return attach_lost(c, a, false);
	return session_fail(c, &a->s, rc);
}

void
attach_done(struct attach *a)
{
	session_done(&a->s);
	leasefile_done(&a->file);
}
