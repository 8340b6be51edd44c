#include "cli/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/session.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

enum { DIRS_MAX = 8, FOUND_MAX = 32 };

/* Where instances live, each a directory with a socket in it. */
struct places {
	char dir[DIRS_MAX][160];
	size_t n;
};

/* What was found there. */
struct instances {
	char path[FOUND_MAX][256];
	char name[FOUND_MAX][64];
	size_t n;
};

static void
places_add(struct places *p, const char *dir, size_t len, const char *sub)
{
	int n;

	if (len == 0 || p->n == DIRS_MAX)
		return;
	n = snprintf(p->dir[p->n], sizeof(p->dir[0]), "%.*s%s", (int)len, dir,
	    sub);
	if (n <= 0 || (size_t)n >= sizeof(p->dir[0]))
		return;
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->dir[i], p->dir[p->n]) == 0)
			return;
	p->n++;
}

/* AMCTL_RUN_DIRS, a list with colons, replaces both (for tests). */
static void
places_init(struct places *p)
{
	const char *list = getenv("AMCTL_RUN_DIRS");
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	p->n = 0;
	if (list == NULL || *list == '\0') {
		if (xdg != NULL && *xdg == '/')
			places_add(p, xdg, strlen(xdg), "/amnode");
		places_add(p, "/run/amnode", strlen("/run/amnode"), "");
		return;
	}
	while (*list != '\0') {
		size_t len = strcspn(list, ":");

		places_add(p, list, len, "");
		list += len + (list[len] == ':');
	}
}

static bool
is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void
found_in(struct instances *f, const char *dir)
{
	am_cleanup(am_closedirp) DIR *d = opendir(dir);
	const struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL && f->n < FOUND_MAX) {
		int n = snprintf(f->path[f->n], sizeof(f->path[0]),
		    "%s/%.63s/sock", dir, e->d_name);

		if (e->d_name[0] == '.' || n < 0 ||
		    (size_t)n >= sizeof(f->path[0]) ||
		    !is_socket(f->path[f->n]))
			continue;
		(void)snprintf(f->name[f->n], sizeof(f->name[0]), "%.63s",
		    e->d_name);
		f->n++;
	}
}

static struct instances
found_all(const struct places *p)
{
	struct instances f = { .n = 0 };

	for (size_t i = 0; i < p->n; i++)
		found_in(&f, p->dir[i]);
	return f;
}

/* "a (/run/amnode/a/sock), b (...)" */
static void
put_list(struct am_buf *b, const struct instances *f)
{
	for (size_t i = 0; i < f->n; i++)
		buf_printf(b, "%s%s (%s)", i > 0 ? ", " : "", f->name[i],
		    f->path[i]);
}

static void
put_places(struct am_buf *b, const struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		buf_printf(b, "%s%s", i > 0 ? " or " : "", p->dir[i]);
}

int
target_parse(struct cli *c, const char *text, struct target *ret)
{
	struct am_error err;

	if (session_addr(c, text, &ret->addr, &err) < 0)
		return cli_fail(c, EX_USAGE, "usage", "%s", err.text);
	(void)snprintf(ret->text, sizeof(ret->text), "%s", text);
	return EX_OK;
}

static int
find_named(struct cli *c, const struct places *p, const char *name,
    struct target *ret)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	struct instances f;

	if (strchr(name, '/') != NULL || *name == '.' || strlen(name) > 32)
		return cli_fail(c, EX_USAGE, "usage",
		    "\"%s\" is no name of an instance: [a-z0-9][a-z0-9-]*, at "
		    "most 32; for a path use -s",
		    name);
	for (size_t i = 0; i < p->n; i++) {
		char path[256];
		int n = snprintf(path, sizeof(path), "%s/%s/sock", p->dir[i],
		    name);

		if (n > 0 && (size_t)n < sizeof(path) && is_socket(path))
			return target_parse(c, path, ret);
	}
	f = found_all(p);
	buf_printf(&b, "no instance \"%s\" in ", name);
	put_places(&b, p);
	if (f.n > 0) {
		buf_puts(&b, "; there is ");
		put_list(&b, &f);
	} else {
		buf_puts(&b, "; is amnoded running?");
	}
	return cli_fail(c, EX_UNREACHABLE, "unreachable", "%s", buf_text(&b));
}

static int
find_only(struct cli *c, const struct places *p, struct target *ret)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	struct instances f = found_all(p);

	if (f.n == 1)
		return target_parse(c, f.path[0], ret);
	if (f.n == 0) {
		put_places(&b, p);
		return cli_fail(c, EX_UNREACHABLE, "unreachable",
		    "no instance of amnoded found in %s; is it running? (-s "
		    "names its socket)",
		    buf_text(&b));
	}
	put_list(&b, &f);
	return cli_fail(c, EX_USAGE, "usage",
	    "%zu instances of amnoded are here, choose one with -i: %s", f.n,
	    buf_text(&b));
}

int
target_find(struct cli *c, struct target *ret)
{
	struct places p;

	if (cli_has(c, OPT_SOCKET))
		return target_parse(c, c->opts.text[OPT_SOCKET], ret);
	places_init(&p);
	if (cli_has(c, OPT_INSTANCE))
		return find_named(c, &p, c->opts.text[OPT_INSTANCE], ret);
	return find_only(c, &p, ret);
}
