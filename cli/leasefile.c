#include "cli/leasefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/random.h"

#define FRESH_PREFIX "auto-"

enum { PRUNE_AFTER_S = 24 * 3600 };

bool
leasefile_name_ok(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(name);

	if (len == 0 || len > LEASEFILE_NAME_MAX)
		return false;
	if (strchr(letters, name[0]) == NULL)
		return false;
	for (size_t i = 1; i < len; i++)
		if (strchr(letters, name[i]) == NULL &&
		    strchr("._-", name[i]) == NULL)
			return false;
	return true;
}

void
leasefile_fresh_name(char *buf, size_t size)
{
	(void)snprintf(buf, size, FRESH_PREFIX "%016llx",
	    (unsigned long long)random_id());
}

static int
fail(struct am_error *err, int code, const char *path)
{
	(void)error_set(err, "%s: %s", path, strerror(code));
	return -code;
}

/* $XDG_RUNTIME_DIR/amctl, or /tmp/amctl-UID. */
static int
dir_path(char *buf, size_t size, struct am_error *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (xdg != NULL && *xdg == '/')
		n = snprintf(buf, size, "%s/amctl", xdg);
	else
		n = snprintf(buf, size, "/tmp/amctl-%u", (unsigned)getuid());
	if (n < 0 || (size_t)n >= size)
		return fail(err, ENAMETOOLONG, "directory of the lease files");
	return 0;
}

/* Made by whom? /tmp is everybody's. */
static int
check_dir(const char *dir, struct am_error *err)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return fail(err, errno, dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0) {
		(void)error_set(err,
		    "%s has to be a directory of yours with mode 0700, and is "
		    "not: remove it or set XDG_RUNTIME_DIR",
		    dir);
		return -EPERM;
	}
	return 0;
}

static int
set_path(struct leasefile *f, const char *name, bool make, struct am_error *err)
{
	char dir[192];
	int n;
	int rc = dir_path(dir, sizeof(dir), err);

	if (rc < 0)
		return rc;
	if (make && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return fail(err, errno, dir);
	rc = check_dir(dir, err);
	if (rc < 0)
		return rc;
	n = snprintf(f->path, sizeof(f->path), "%s/%s.json", dir, name);
	if (n < 0 || (size_t)n >= sizeof(f->path))
		return fail(err, ENAMETOOLONG, name);
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	return 0;
}

static int
damaged(const struct leasefile *f, struct am_error *err)
{
	(void)error_set(err, "%s is damaged: remove it", f->path);
	return -EBADMSG;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c == '\0' ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int)(p - digits);
}

static int
token_get(const char *hex, uint8_t *token)
{
	for (size_t i = 0; i < ARPC_TOKEN_LEN; i++) {
		int hi = hex_digit(hex[2 * i]);
		int lo = hi < 0 ? -1 : hex_digit(hex[2 * i + 1]);

		if (lo < 0)
			return -EBADMSG;
		token[i] = (uint8_t)(hi * 16 + lo);
	}
	return hex[2 * ARPC_TOKEN_LEN] == '\0' ? 0 : -EBADMSG;
}

static int
get_fields(struct leasefile *f, struct am_val map)
{
	struct client_lease *l = &f->lease;
	char hex[2 * ARPC_TOKEN_LEN + 1] = "";
	int64_t pid = 0;
	int r = -EBADMSG;

	if (am_get_text(map, "lease", l->lease, sizeof(l->lease)) == 0 &&
	    am_get_text(map, "worker", l->worker, sizeof(l->worker)) == 0 &&
	    am_get_text(map, "address", l->address, sizeof(l->address)) == 0 &&
	    am_get_text(map, "supervisor", f->supervisor,
		sizeof(f->supervisor)) == 0 &&
	    am_get_text(map, "ended", f->ended, sizeof(f->ended)) == 0 &&
	    am_get_int(map, "ttl_ms", &l->ttl_ms) == 0 &&
	    am_get_int(map, "max_ms", &l->max_ms) == 0 &&
	    am_get_int(map, "pid", &pid) == 0 && pid >= 0 && pid <= INT32_MAX &&
	    am_get_text(map, "token", hex, sizeof(hex)) == 0)
		r = token_get(hex, l->token);
	l->pid = (pid_t)pid;
	explicit_bzero(hex, sizeof(hex));
	return r;
}

int
leasefile_parse(struct leasefile *f, const char *text, size_t len)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	int r = -EBADMSG;

	if (am_json_decode(text, len, &b, NULL) == 0)
		r = get_fields(f, am_buf_val(&b));
	if (b.data != NULL)
		explicit_bzero(b.data, b.cap);
	return r;
}

/* A FIFO would have to wait for its other end, a link may lead anywhere. */
static int
open_plain(const char *path, int flags, int *ret_fd, struct am_error *err)
{
	am_cleanup(am_closep) int fd = open(path,
	    flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	int code = errno;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) < 0)
		return fail(err, errno, path);
	if (fd >= 0 ? !S_ISREG(st.st_mode)
		    : code == ELOOP || code == EISDIR || code == ENXIO) {
		(void)error_set(err, "%s is no regular file: remove it", path);
		return -EBADMSG;
	}
	if (fd < 0)
		return fail(err, code, path);
	*ret_fd = am_steal_fd(&fd);
	return 0;
}

static int
read_fd(struct leasefile *f, int fd, struct am_error *err)
{
	char text[LEASEFILE_SIZE];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	int rc;

	if (n < 0)
		return fail(err, errno, f->path);
	if (n == 0)
		return LEASEFILE_NONE;
	rc = leasefile_parse(f, text, (size_t)n);
	explicit_bzero(text, sizeof(text));
	if (rc < 0)
		return damaged(f, err);
	return f->ended[0] != '\0' ? LEASEFILE_ENDED : LEASEFILE_LIVE;
}

int
leasefile_load(struct leasefile *f, const char *name, struct am_error *err)
{
	am_cleanup(am_closep) int fd = -1;
	int rc = set_path(f, name, false, err);

	if (rc == -ENOENT)
		return LEASEFILE_NONE;
	if (rc < 0)
		return rc;
	rc = open_plain(f->path, O_RDONLY, &fd, err);
	if (rc < 0)
		return rc == -ENOENT ? LEASEFILE_NONE : rc;
	return read_fd(f, fd, err);
}

static int
open_new_or_old(const char *path, int *ret_fd, struct am_error *err)
{
	int rc = open_plain(path, O_RDWR | O_CREAT | O_EXCL, ret_fd, err);

	return rc == -EEXIST ? open_plain(path, O_RDWR, ret_fd, err) : rc;
}

static int
busy(struct am_error *err)
{
	(void)error_set(err, "another amctl is at work on it");
	return -EBUSY;
}

int
leasefile_lock(struct leasefile *f, const char *name, struct am_error *err)
{
	am_cleanup(am_closep) int fd = -1;
	struct stat st = { .st_nlink = 0 };
	int rc = set_path(f, name, true, err);

	if (rc < 0)
		return rc;
	rc = open_new_or_old(f->path, &fd, err);
	if (rc < 0)
		return rc;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return fail(err, errno, f->path);
		return busy(err);
	}
	/* Removed by the one who had the lock before. */
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return busy(err);
	rc = read_fd(f, fd, err);
	if (rc >= 0)
		f->fd = am_steal_fd(&fd);
	return rc;
}

static void
put_file(const struct leasefile *f, struct am_buf *b)
{
	const struct client_lease *l = &f->lease;
	char hex[2 * ARPC_TOKEN_LEN + 1];

	for (size_t i = 0; i < ARPC_TOKEN_LEN; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", l->token[i]);
	am_put_map(b, 9);
	am_put_str(b, "lease");
	am_put_str(b, l->lease);
	am_put_str(b, "worker");
	am_put_str(b, l->worker);
	am_put_str(b, "pid");
	am_put_int(b, l->pid);
	am_put_str(b, "address");
	am_put_str(b, l->address);
	am_put_str(b, "supervisor");
	am_put_str(b, f->supervisor);
	am_put_str(b, "ttl_ms");
	am_put_int(b, l->ttl_ms);
	am_put_str(b, "max_ms");
	am_put_int(b, l->max_ms);
	am_put_str(b, "ended");
	am_put_str(b, f->ended);
	am_put_str(b, "token");
	am_put_str(b, hex);
	explicit_bzero(hex, sizeof(hex));
}

int
leasefile_save(struct leasefile *f, struct am_error *err)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf json = AM_BUF_INIT;
	int rc = 0;

	put_file(f, &b);
	if (am_json_encode(am_buf_val(&b), &json, err) < 0)
		return -EINVAL;
	if (json.len >= LEASEFILE_SIZE)
		return fail(err, EFBIG, f->path);
	while (json.len < LEASEFILE_SIZE - 1)
		buf_putc(&json, ' ');
	buf_putc(&json, '\n');
	if (am_buf_error(&json) < 0)
		return fail(err, ENOMEM, f->path);
	if (pwrite(f->fd, json.data, json.len, 0) != (ssize_t)json.len)
		rc = fail(err, errno != 0 ? errno : EIO, f->path);
	explicit_bzero(b.data, b.cap);
	explicit_bzero(json.data, json.cap);
	return rc;
}

int
leasefile_end(struct leasefile *f, const char *reason, struct am_error *err)
{
	struct leasefile now = LEASEFILE_INIT;
	int rc = leasefile_lock(&now, f->name, err);

	if (rc == LEASEFILE_LIVE &&
	    strcmp(now.lease.lease, f->lease.lease) == 0) {
		(void)snprintf(now.ended, sizeof(now.ended), "%s", reason);
		/* Of no use to anybody any more. */
		explicit_bzero(now.lease.token, sizeof(now.lease.token));
		rc = leasefile_save(&now, err);
	}
	(void)snprintf(f->ended, sizeof(f->ended), "%s", reason);
	leasefile_done(&now);
	return rc < 0 ? rc : 0;
}

int
leasefile_remove(struct leasefile *f)
{
	return unlink(f->path) < 0 ? -errno : 0;
}

/* ---- tidying up ---- */

/* "auto-....json": the name without its suffix into buf. */
static bool
is_fresh(const char *file, char *buf, size_t size)
{
	const char *dot = strstr(file, ".json");

	if (strncmp(file, FRESH_PREFIX, strlen(FRESH_PREFIX)) != 0 ||
	    dot == NULL || dot[5] != '\0' || (size_t)(dot - file) >= size)
		return false;
	(void)snprintf(buf, size, "%.*s", (int)(dot - file), file);
	return true;
}

static void
prune_one(const char *name, int64_t now)
{
	struct leasefile f = LEASEFILE_INIT;
	struct stat st;
	int64_t keep_s = PRUNE_AFTER_S;
	int rc = leasefile_load(&f, name, NULL);

	if (rc == LEASEFILE_LIVE)
		keep_s += f.lease.max_ms / 1000;
	if (rc >= 0 && lstat(f.path, &st) == 0 &&
	    (int64_t)st.st_mtime + keep_s < now)
		(void)leasefile_remove(&f);
	leasefile_done(&f);
}

void
leasefile_prune(int64_t now)
{
	am_cleanup(am_closedirp) DIR *d = NULL;
	const struct dirent *e;
	char dir[192];

	if (dir_path(dir, sizeof(dir), NULL) < 0 || check_dir(dir, NULL) < 0)
		return;
	d = opendir(dir);
	while (d != NULL && (e = readdir(d)) != NULL) {
		char name[LEASEFILE_NAME_MAX + 1];

		if (is_fresh(e->d_name, name, sizeof(name)))
			prune_one(name, now);
	}
}

void
leasefile_done(struct leasefile *f)
{
	am_closep(&f->fd);
	explicit_bzero(f->lease.token, sizeof(f->lease.token));
}
