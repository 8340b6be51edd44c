#include "daemon/config/config_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/sys/runtime.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/rpc/addr_resolve.h"

static const char *
origin(const struct config *c, enum config_key key)
{
	return c->value[key].origin;
}

static bool
is_tcp(const struct config *c)
{
	return c->listen[0] != '\0' && strchr(c->listen, '/') == NULL;
}

/* ---- Listen= ---- */

int
config_check_listen(const struct addr *a, bool tls, struct am_error *err)
{
	if (addr_is_any(a))
		return error_set(err,
		    "is not an address that clients could be given for the "
		    "workers: write the address or name of this host");
	if (!tls && !addr_is_local(a))
		return error_set(err,
		    "is not on loopback, which requires TLS: set "
		    "Security.TLSCert, or use 127.0.0.1, [::1] or a path");
	return 0;
}

static void
check_listen(const struct config *c, bool resolve, struct config_errors *e)
{
	struct addr a, found[RESOLVE_MAX];
	struct am_error err;
	int r = 0;

	if (c->listen[0] == '\0')
		return;
	r = addr_parse_tls(c->listen, &a, &err);
	if (r >= 0 && addr_is_name(&a) && resolve) {
		r = resolve_now(&a, found, &err);
		a = found[0];
	}
	if (r >= 0 && addr_is_tcp(&a) && !addr_is_name(&a))
		r = config_check_listen(&a, c->tls_cert[0] != '\0', &err);
	if (r < 0)
		config_complain(e, "%s: Supervisor.Listen: \"%s\": %s",
		    origin(c, CONFIG_Supervisor_Listen), c->listen, err.text);
}

/* ---- sense ---- */

/* Over TCP nobody is a user. */
static void
check_allowed(const struct config *c, enum config_key key, const char *name,
    size_t n, struct config_errors *e)
{
	if (n > 0 && is_tcp(c))
		config_complain(e,
		    "%s: Security.%s: users are known on a Unix socket only, "
		    "and Supervisor.Listen is %s (%s)",
		    origin(c, key), name, c->listen,
		    origin(c, CONFIG_Supervisor_Listen));
}

void
config_check_sense(const struct config *c, struct config_errors *e)
{
	check_allowed(c, CONFIG_Security_AllowUser, "AllowUser",
	    c->allow_user.n, e);
	check_allowed(c, CONFIG_Security_AllowGroup, "AllowGroup",
	    c->allow_group.n, e);
	if (c->pool_min > c->pool_max)
		config_complain(e,
		    "%s: Pool.Min: %" PRId64 " is more than Pool.Max, %" PRId64
		    " (%s)",
		    origin(c, CONFIG_Pool_Min), c->pool_min, c->pool_max,
		    origin(c, CONFIG_Pool_Max));
	check_listen(c, false, e);
}

/* ---- programs ---- */

static bool
is_host(const char *word)
{
	const char *slash = strrchr(word, '/');

	return strcmp(slash != NULL ? slash + 1 : word, "amnode-exec") == 0;
}

/* Where CMD stands behind amnode-exec [--schema FILE] [--], n if nowhere.
 * *ret_schema may stay NULL. */
static size_t
find_cmd(const struct config_words *exec, const char **ret_schema)
{
	size_t i = 1;

	for (; i < exec->n && exec->word[i][0] == '-'; i++) {
		if (strcmp(exec->word[i], "--") == 0)
			return i + 1;
		if (strcmp(exec->word[i], "--schema") == 0 && ++i < exec->n)
			*ret_schema = exec->word[i];
		else if (strncmp(exec->word[i], "--schema=", 9) == 0)
			*ret_schema = exec->word[i] + 9;
	}
	return i;
}

const char *
config_program(const struct config *c)
{
	const char *schema = NULL;
	size_t i = 0;

	if (c->exec.n > 0 && is_host(c->exec.word[0]))
		i = find_cmd(&c->exec, &schema);
	return i < c->exec.n ? c->exec.word[i] : NULL;
}

/* 0 or -errno, as exec() of this path would. */
static int
try_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return access(path, X_OK) < 0 ? -errno : 0;
}

static int
find_program(const char *name)
{
	const char *dirs = getenv("PATH");
	int r = -ENOENT;

	if (strchr(name, '/') != NULL)
		return try_program(name);
	for (const char *p = dirs != NULL ? dirs : "/bin:/usr/bin"; r < 0;) {
		am_cleanup(am_freep) char *path = NULL;
		size_t len = strcspn(p, ":");

		if (asprintf(&path, "%.*s/%s", len > 0 ? (int)len : 1,
			len > 0 ? p : ".", name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = try_program(path);
		if (p[len] == '\0')
			break;
		p += len + 1;
	}
	return r;
}

static void
check_exec(const struct config *c, struct config_errors *e)
{
	const char *where = origin(c, CONFIG_Worker_Exec);
	const char *first = c->exec.word[0], *schema = NULL;
	const char *program = config_program(c);
	int r = find_program(first);

	if (r < 0)
		config_complain(e, "%s: Worker.Exec: cannot run \"%s\": %s",
		    where, first, strerror(-r));
	if (!is_host(first))
		return;
	(void)find_cmd(&c->exec, &schema);
	if (schema != NULL && access(schema, R_OK) < 0)
		config_complain(e,
		    "%s: Worker.Exec: cannot read the schema \"%s\": %s", where,
		    schema, strerror(errno));
	r = program != NULL ? find_program(program) : -ENOENT;
	if (program == NULL)
		config_complain(e,
		    "%s: Worker.Exec: amnode-exec is given no program", where);
	else if (r < 0)
		config_complain(e, "%s: Worker.Exec: cannot run \"%s\": %s",
		    where, program, strerror(-r));
}

/* ---- places ---- */

/* The directory in which the socket is to be made. */
static void
check_dir(const struct config *c, struct config_errors *e)
{
	am_cleanup(am_freep) char *dir = NULL;
	const char *slash = strrchr(c->listen, '/');
	struct stat st;
	int len;

	if (slash == NULL)
		return;
	len = slash == c->listen ? 1 : (int)(slash - c->listen);
	dir = strndup(c->listen, (size_t)len);
	if (dir == NULL || stat(dir, &st) < 0)
		config_complain(e,
		    "%s: Supervisor.Listen: the directory of \"%s\": %s",
		    origin(c, CONFIG_Supervisor_Listen), c->listen,
		    strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		config_complain(e,
		    "%s: Supervisor.Listen: \"%s\" is not in a directory",
		    origin(c, CONFIG_Supervisor_Listen), c->listen);
}

static void
check_runtime(const struct config *c, const char *instance,
    struct config_errors *e)
{
	am_cleanup(am_freep) char *dir = NULL;
	struct am_error err;

	if (runtime_choose(c->runtime_dir, instance, &dir, &err) < 0)
		config_complain(e, "%s: Supervisor.RuntimeDir: %s",
		    origin(c, CONFIG_Supervisor_RuntimeDir), err.text);
}

void
config_check_start(const struct config *c, const char *instance,
    struct config_errors *e)
{
	if (is_tcp(c))
		check_listen(c, true, e);
	check_dir(c, e);
	check_runtime(c, instance, e);
	check_exec(c, e);
}
