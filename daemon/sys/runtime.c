#include "daemon/sys/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

static int __attribute__((format(printf, 3, 4)))
fail(struct am_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int
runtime_choose(const char *wanted, const char *instance, char **ret,
    struct am_error *err)
{
	const char *base = getenv("RUNTIME_DIRECTORY");
	int n;

	if (wanted[0] != '\0')
		n = asprintf(ret, "%s", wanted);
	else if (base != NULL &&
	    base[0] == '/') /* the first of systemd's list */
		n = asprintf(ret, "%.*s", (int)strcspn(base, ":"), base);
	else if (geteuid() == 0)
		n = asprintf(ret, "/run/amnode/%s", instance);
	else if ((base = getenv("XDG_RUNTIME_DIR")) != NULL && base[0] == '/')
		n = asprintf(ret, "%s/amnode/%s", base, instance);
	else
		return fail(err, -ENOENT,
		    "there is no runtime directory: XDG_RUNTIME_DIR is not "
		    "set; "
		    "give one by --set Supervisor.RuntimeDir=DIR");
	if (n < 0) {
		*ret = NULL;
		return fail(err, -ENOMEM, "no memory");
	}
	if ((*ret)[0] != '/')
		return fail(err, -EINVAL,
		    "Supervisor.RuntimeDir \"%s\" is not absolute: begin it "
		    "with /",
		    *ret);
	/* The longest name in it is "w4294967295.priv". */
	if (strlen(*ret) + sizeof("/w4294967295.priv") > RUNTIME_PATH_MAX)
		return fail(err, -ENAMETOOLONG,
		    "the runtime directory %s is too long for sockets in it "
		    "(at most %zu bytes); "
		    "give a shorter one by --set Supervisor.RuntimeDir=DIR",
		    *ret, RUNTIME_PATH_MAX - sizeof("/w4294967295.priv"));
	return 0;
}

/* mkdir -p; only the last one may be missing its parents' mode. */
static int
make_dir(struct runtime *rt, struct am_error *err)
{
	struct stat st;

	for (char *p = strchr(rt->dir + 1, '/'); p != NULL;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(rt->dir, 0755) < 0 && errno != EEXIST &&
		    access(rt->dir, X_OK) < 0) {
			int e = errno;

			(void)fail(err, -e, "cannot make the directory %s: %s",
			    rt->dir, strerror(e));
			*p = '/';
			return -e;
		}
		*p = '/';
	}
	rt->created = mkdir(rt->dir, 0755) == 0;
	if (!rt->created && errno != EEXIST)
		return fail(err, -errno,
		    "cannot make the runtime directory %s: %s", rt->dir,
		    strerror(errno));
	/* The umask (the unit's is 0077) may not shut out who may use sock. */
	if (rt->created)
		(void)chmod(rt->dir, 0755);
	if (stat(rt->dir, &st) < 0)
		return fail(err, -errno,
		    "cannot look at the runtime directory %s: %s", rt->dir,
		    strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return fail(err, -ENOTDIR,
		    "the runtime directory %s is not a directory", rt->dir);
	if (st.st_uid != geteuid())
		return fail(err, -EPERM,
		    "the runtime directory %s belongs to uid %u, not to us "
		    "(uid %u)",
		    rt->dir, (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & 022) != 0)
		return fail(err, -EPERM,
		    "others may write to the runtime directory %s: run chmod "
		    "go-w on it",
		    rt->dir);
	return 0;
}

/* Who holds the lock, from the file; 0: unknown. */
static long
holder(int fd)
{
	char buf[32] = "";
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	return n > 0 ? strtol(buf, NULL, 10) : 0;
}

static int
take_lock(struct runtime *rt, struct am_error *err)
{
	char path[RUNTIME_PATH_MAX];
	struct stat mine, now;

	(void)runtime_path(rt, "lock", path, sizeof(path));
	for (;;) {
		am_cleanup(am_closep) int fd = open(path,
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return fail(err, -errno, "cannot open %s: %s", path,
			    strerror(errno));
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK)
				return fail(err, -errno, "cannot lock %s: %s",
				    path, strerror(errno));
			return fail(err, -EBUSY,
			    "another amnoded (pid %ld) runs already in %s: "
			    "stop it, or "
			    "choose another instance with -i",
			    holder(fd), rt->dir);
		}
		/* Its last holder may have removed it between open and lock. */
		if (fstat(fd, &mine) == 0 && stat(path, &now) == 0 &&
		    mine.st_ino == now.st_ino && mine.st_dev == now.st_dev) {
			/* Only for the message of a second one. */
			if (ftruncate(fd, 0) == 0)
				(void)dprintf(fd, "%ld\n", (long)getpid());
			rt->lock_fd = am_steal_fd(&fd);
			return 0;
		}
	}
}

enum runtime_socket
runtime_try(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	am_cleanup(am_closep) int fd = -1;
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return RUNTIME_SOCKET_NONE;
	/* Connecting to any other file is refused as well, and it is not ours
	 * to remove. */
	if (!S_ISSOCK(st.st_mode))
		return RUNTIME_SOCKET_OTHER;
	if (strlen(path) >= sizeof(sun.sun_path))
		return RUNTIME_SOCKET_LIVE;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return RUNTIME_SOCKET_LIVE;
	r = connect(fd, (const struct sockaddr *)&sun, sizeof(sun));
	return r < 0 && errno == ECONNREFUSED ? RUNTIME_SOCKET_STALE
					      : RUNTIME_SOCKET_LIVE;
}

/* w12.priv to 12; 0: not the name of a worker's file. */
static uint32_t
worker_file(const char *name)
{
	static const char *const tails[] = { ".priv", ".pub", ".out", ".err" };
	unsigned long id;
	char *end;

	if (name[0] != 'w' || name[1] < '1' || name[1] > '9')
		return 0;
	id = strtoul(name + 1, &end, 10);
	if (id > UINT32_MAX)
		return 0;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
		if (strcmp(end, tails[i]) == 0)
			return (uint32_t)id;
	return 0;
}

static bool
is_alive(struct runtime *rt, uint32_t id)
{
	char name[32], path[RUNTIME_PATH_MAX];

	(void)snprintf(name, sizeof(name), "w%u.priv", id);
	return runtime_path(rt, name, path, sizeof(path)) == 0 &&
	    runtime_try(path) == RUNTIME_SOCKET_LIVE;
}

static int
remember_live(struct runtime *rt, uint32_t id)
{
	uint32_t *grown;

	if (runtime_is_live(rt, id))
		return 0;
	grown = realloc(rt->live, (rt->n_live + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	rt->live = grown;
	rt->live[rt->n_live++] = id;
	return 0;
}

/* Sockets and FIFOs only: whatever else has such a name is not ours. */
static void
remove_file(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)))
		(void)unlinkat(dir, name, 0);
}

/* Removes files of workers that are gone; remembers the ids of the others. */
static void
sweep(struct runtime *rt)
{
	DIR *d = opendir(rt->dir);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		uint32_t id = worker_file(e->d_name);

		if (id == 0)
			continue;
		if (runtime_is_live(rt, id) || is_alive(rt, id))
			(void)remember_live(rt, id);
		else
			remove_file(dirfd(d), e->d_name);
	}
	closedir(d);
}

int
runtime_open(struct runtime *ret, const char *wanted, const char *instance,
    struct am_error *err)
{
	int r;

	*ret = (struct runtime){ .lock_fd = -1 };
	r = runtime_choose(wanted, instance, &ret->dir, err);
	if (r == 0)
		r = make_dir(ret, err);
	if (r == 0)
		r = take_lock(ret, err);
	if (r < 0) {
		ret->created = false;
		runtime_close(ret);
		return r;
	}
	sweep(ret);
	if (ret->n_live > 0)
		log_warn("runtime: %zu workers of a dead amnoded still run in "
			 "%s, they "
			 "leave by themselves (OrphanTTL)",
		    ret->n_live, ret->dir);
	return 0;
}

void
runtime_close(struct runtime *rt)
{
	char path[RUNTIME_PATH_MAX];

	if (rt->lock_fd >= 0) {
		rt->n_live = 0;
		sweep(rt);
		if (runtime_path(rt, "lock", path, sizeof(path)) == 0)
			(void)unlink(path);
		if (rt->created)
			(void)rmdir(rt->dir);
		(void)close(rt->lock_fd);
		rt->lock_fd = -1;
	}
	free(rt->live);
	free(rt->dir);
	*rt = (struct runtime){ .lock_fd = -1 };
}

int
runtime_path(const struct runtime *rt, const char *name, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s/%s", rt->dir, name);

	return n < 0 || (size_t)n >= size || n >= RUNTIME_PATH_MAX
	    ? -ENAMETOOLONG
	    : 0;
}

bool
runtime_is_live(const struct runtime *rt, uint32_t id)
{
	for (size_t i = 0; i < rt->n_live; i++)
		if (rt->live[i] == id)
			return true;
	return false;
}
