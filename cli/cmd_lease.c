/* cmd_lease.c - leases kept by name: request-worker, release, leases. */
#include "cli/cmds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/lease.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/dur.h"
#include "proto/mp.h"
#include "proto/supervisor.h"

/* ---- request-worker ---- */

/* Locks the file of the name. EX_OK, or a code after a message: the name has a
 * live lease. */
static int
lock_name(struct cli *c, struct leasefile *f, const char *name)
{
	am_cleanup(session_done) struct session sup = SESSION_INIT;
	struct lease_info info = { .state = "" };
	struct am_error err;
	int rc = leasefile_lock(f, name, &err);

	if (rc == -EBUSY)
		return cli_fail(c, EX_REFUSED, "busy", "lease \"%s\": %s", name,
		    err.text);
	if (rc < 0)
		return cli_fail(c, EX_FAILED, "lease_file", "lease \"%s\": %s",
		    name, err.text);
	if (rc != LEASEFILE_LIVE)
		return EX_OK;
	/* Does it? */
	rc = session_open_text(&sup, c, f->supervisor, NULL);
	if (rc == 0)
		rc = lease_ask(c, &sup, f->lease.lease, &info);
	if (rc == -ENOENT || rc == -ECONNREFUSED ||
	    strcmp(info.state, "ended") == 0)
		return EX_OK;
	return cli_fail(c, EX_REFUSED, "leased",
	    "lease \"%s\" holds worker %s already (lease %s): release it, or "
	    "take another name with -l",
	    name, f->lease.worker, f->lease.lease);
}

/* Whole seconds as an integer. */
static void
put_seconds(struct am_buf *b, int64_t ms)
{
	if (ms % 1000 == 0)
		am_put_int(b, ms / 1000);
	else
		am_put_double(b, (double)ms / 1000);
}

static void
put_lease(struct am_buf *b, const struct leasefile *f)
{
	const struct client_lease *l = &f->lease;

	am_put_map(b, 7);
	am_put_str(b, "lease");
	am_put_str(b, l->lease);
	am_put_str(b, "name");
	am_put_str(b, f->name);
	am_put_str(b, "worker");
	am_put_str(b, l->worker);
	am_put_str(b, "pid");
	am_put_int(b, l->pid);
	am_put_str(b, "address");
	am_put_str(b, l->address);
	am_put_str(b, "ttl_s");
	put_seconds(b, l->ttl_ms);
	am_put_str(b, "max_s");
	put_seconds(b, l->max_ms);
}

static void
lease_text(struct am_buf *out, struct am_val doc)
{
	struct am_val id = AM_NONE;

	(void)am_get(doc, "lease", &id);
	out_put(out, id, true);
	buf_putc(out, '\n');
}

static void
sh_text(struct am_buf *out, struct am_val doc)
{
	struct am_val name = AM_NONE;

	(void)am_get(doc, "name", &name);
	buf_puts(out, "export AMCTL_LEASE=");
	out_put(out, name, true);
	buf_putc(out, '\n');
}

static int
print_lease(struct cli *c, const struct leasefile *f)
{
	static const struct out_view id = { .text = lease_text };
	static const struct out_view sh = { .text = sh_text };
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	put_lease(&b, f);
	return cli_print(c, am_buf_val(&b), am_buf_val(&b),
	    cli_has(c, OPT_SH) ? &sh : &id);
}

static int
get_lease(struct cli *c, struct leasefile *f, const struct client_wish *wish)
{
	am_cleanup(session_done) struct session sup = SESSION_INIT;
	am_cleanup(session_done) struct session wrk = SESSION_INIT;
	int64_t wait = cli_has(c, OPT_NO_WAIT) || c->no_wait ? 0
							     : cli_left_ms(c);
	struct am_error err;
	int rc = super_open(c, &sup);

	if (rc == EX_OK && wish->pid != 0 && !netmach_is_local(sup.nm))
		rc = cli_fail(c, EX_USAGE, "usage",
		    "--bind-pid: amnoded at %s is on another host, which "
		    "cannot see the process; use --ttl",
		    sup.address);
	if (rc == EX_OK)
		rc = lease_take(c, &sup, &wrk, wish, wait, &f->lease);
	if (rc == EX_OK)
		rc = lease_wait_confirmed(c, &sup, f->lease.lease);
	if (rc != EX_OK)
		return rc;
	(void)snprintf(f->supervisor, sizeof(f->supervisor), "%s", sup.address);
	f->ended[0] = '\0';
	if (leasefile_save(f, &err) < 0) {
		lease_drop(&sup, f->lease.lease, "released");
		return cli_fail(c, EX_FAILED, "lease_file", "%s", err.text);
	}
	return EX_OK;
}

int
cmd_request_worker(struct cli *c)
{
	am_cleanup(leasefile_done) struct leasefile f = LEASEFILE_INIT;
	struct client_wish wish = { .ttl_ms = 0 };
	char fresh[32];
	const char *name = attach_name(c);
	bool empty;
	int rc;

	if (cli_has(c, OPT_SH) && !c->lease_by_option) {
		leasefile_prune((int64_t)time(NULL));
		leasefile_fresh_name(fresh, sizeof(fresh));
		name = fresh;
	}
	if (name == NULL)
		return EX_USAGE;
	rc = lease_wish_options(c, &wish);
	if (rc == EX_OK && cli_has(c, OPT_BIND_PID))
		rc = lease_wish_pid(c, &wish, (pid_t)c->opts.num[OPT_BIND_PID]);
	if (rc == EX_OK)
		rc = lock_name(c, &f, name);
	if (rc != EX_OK)
		return rc;
	empty = f.lease.lease[0] == '\0';
	rc = get_lease(c, &f, &wish);
	if (rc != EX_OK && empty)
		(void)leasefile_remove(&f);
	return rc == EX_OK ? print_lease(c, &f) : rc;
}

/* ---- release ---- */

static int
release_at(struct cli *c, struct session *sup, struct leasefile *f)
{
	static const am_id release = Sup_ReleaseWorker;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	const char *reason = cli_has(c, OPT_DISCARD) ? "discard" : "released";
	struct lease_info info;
	struct am_error err;
	char why[AM_ERROR_MAX];
	bool is_over;
	int rc;

	am_put_map(&b, 2);
	am_put_str(&b, "lease");
	am_put_str(&b, f->lease.lease);
	am_put_str(&b, "reason");
	am_put_str(&b, reason);
	/* Twice is once: an amnoded that was started anew is just asked again. */
	do {
		rc = session_mutate(sup, AM_ADD, &release, 1, am_buf_val(&b),
		    -1, cli_io_deadline(c));
	} while (rc == -EREMOTEIO && sup->up);
	is_over = rc >= 0 && sup->call.status == NETMACH_ERROR &&
	    sup->call.error == ARPC_E_no_lease;
	if (rc < 0 || (sup->call.status == NETMACH_ERROR && !is_over))
		return session_fail(c, sup, rc);
	(void)snprintf(why, sizeof(why), "%s",
	    !is_over && sup->call.result == AM_CANCELED ? sup->call.text : "");
	rc = lease_ask(c, sup, f->lease.lease, &info);
	/* Another's release of it may be under way: then it is over soon. */
	if (rc == 0 && why[0] != '\0' && strcmp(info.state, "ending") != 0 &&
	    strcmp(info.state, "ended") != 0)
		return cli_fail(c, EX_REFUSED, "canceled", "lease \"%s\": %s",
		    f->name, why);
	if (rc == 0)
		rc = lease_wait_end(c, sup, f->lease.lease, &info,
		    cli_io_deadline(c));
	if (rc < 0 && rc != -ENOENT)
		return session_fail(c, sup, rc);
	if (rc == -ENOENT)
		(void)snprintf(info.reason, sizeof(info.reason),
		    "not known to amnoded any more");
	if (leasefile_end(f, info.reason, &err) < 0)
		cli_say(c, "%s", err.text);
	if (strcmp(info.reason, reason) != 0)
		return cli_fail(c, EX_LOST, "lost", "lease \"%s\" was over: %s",
		    f->name, info.reason);
	return EX_OK;
}

int
cmd_release(struct cli *c)
{
	am_cleanup(leasefile_done) struct leasefile f = LEASEFILE_INIT;
	am_cleanup(session_done) struct session sup = SESSION_INIT;
	int rc = attach_load(c, &f);

	if (rc != EX_OK)
		return rc;
	/* The token says that it is ours, also as another user. */
	rc = session_open_text(&sup, c, f.supervisor, f.lease.token);
	if (rc == -EPERM)
		rc = super_open_at(c, &sup, f.supervisor, NULL);
	else if (rc < 0)
		rc = super_open_at(c, &sup, f.supervisor, f.lease.token);
	if (rc == EX_OK)
		rc = release_at(c, &sup, &f);
	return rc == EX_OK ? out_line(&c->out, "released", f.lease.lease) : rc;
}

/* ---- leases ---- */

static int
kill_lease(struct cli *c, const char *id)
{
	static const am_id release = Sup_ReleaseWorker;
	am_cleanup(session_done) struct session s = SESSION_INIT;
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	struct lease_info info;
	int rc = super_open(c, &s);

	if (rc != EX_OK)
		return rc;
	rc = lease_ask(c, &s, id, &info);
	if (rc == -ENOENT || (rc == 0 && strcmp(info.state, "ended") == 0))
		return cli_fail(c, EX_MISSING, "no_lease",
		    "lease \"%.40s\": %s%s", id,
		    rc == 0 ? "it is over: "
			    : "there is none; \"amctl leases\" lists them",
		    rc == 0 ? info.reason : "");
	if (rc < 0)
		return session_fail(c, &s, rc);
	am_put_map(&b, 2);
	am_put_str(&b, "lease");
	am_put_str(&b, id);
	am_put_str(&b, "reason");
	am_put_str(&b, "admin");
	rc = session_mutate(&s, AM_ADD, &release, 1, am_buf_val(&b), -1,
	    cli_io_deadline(c));
	if (rc < 0 || s.call.status == NETMACH_ERROR)
		return session_fail(c, &s, rc);
	if (s.call.result == AM_CANCELED)
		return cli_fail(c, EX_REFUSED, "canceled", "lease \"%s\": %s",
		    id, s.call.text);
	rc = lease_wait_end(c, &s, id, &info, cli_io_deadline(c));
	if (rc < 0 && rc != -ENOENT)
		return session_fail(c, &s, rc);
	return out_line(&c->out, "killed", id);
}

int
cmd_leases(struct cli *c)
{
	static const struct out_col cols[] = {
		{ "lease", "LEASE", COL_TEXT },
		{ "worker", "WORKER", COL_TEXT },
		{ "client", "CLIENT", COL_TEXT },
		{ "pid", "PID", COL_TEXT },
		{ "uid", "UID", COL_TEXT },
		{ "state", "STATE", COL_TEXT },
		{ "age_s", "AGE", COL_TIME },
		{ "ttl_s", "TTL", COL_TIME },
		{ "max_s", "MAX", COL_TIME },
	};
	static const struct out_view view = { .cols = cols,
		.n_cols = sizeof(cols) / sizeof(*cols) };
	am_cleanup(session_done) struct session s = SESSION_INIT;
	int rc;

	if (c->argc > 0) {
		if (c->argc != 2 || strcmp(c->argv[0], "kill") != 0)
			return cli_fail(c, EX_USAGE, "usage",
			    "usage: amctl leases [kill ID]");
		return kill_lease(c, c->argv[1]);
	}
	rc = super_open(c, &s);
	if (rc == EX_OK)
		rc = super_info(c, &s, "leases", AM_NONE);
	if (rc != EX_OK)
		return rc;
	return cli_print(c, am_buf_val(&s.call.value),
	    am_buf_val(&s.call.value), &view);
}
