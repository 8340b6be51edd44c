#include "daemon/net/security.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

enum { FILE_MAX = 1024 * 1024 };

static const enum config_key keys[TLS_N_PARTS] = {
	[TLS_CERT] = CONFIG_Security_TLSCert,
	[TLS_KEY] = CONFIG_Security_TLSKey,
	[TLS_CA] = CONFIG_Security_TLSClientCA,
};

static const char *const names[TLS_N_PARTS] = {
	[TLS_CERT] = "Security.TLSCert",
	[TLS_KEY] = "Security.TLSKey",
	[TLS_CA] = "Security.TLSClientCA",
};

static const char *
file_of(const struct config *c, enum tls_part part)
{
	return c->value[keys[part]].text;
}

/* A key that others can read is no secret. A group may: ssl-cert of Debian. */
static const char *
key_fault(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs to another user than us and root: run chown on "
		       "it";
	if ((st->st_mode & 027) != 0)
		return "others may read it, or its group write: run chmod "
		       "u=rw,g=,o= on it";
	return NULL;
}

/* Copies all of fd; the bytes pass through no memory that is not wiped. */
static int
copy(int from, int to)
{
	char buf[4096];
	size_t total = 0;
	ssize_t n;
	int r = 0;

	do {
		n = read(from, buf, sizeof(buf));
		if (n < 0)
			r = -errno;
		else if ((total += (size_t)n) > FILE_MAX)
			r = -EFBIG;
		else if (n > 0 && write(to, buf, (size_t)n) != n)
			r = -EIO;
	} while (n > 0 && r == 0);
	explicit_bzero(buf, sizeof(buf));
	return r;
}

/* Returns new fd: what the file holds now, for good. */
static int
seal(int from, const char *name)
{
	am_cleanup(am_closep) int fd = memfd_create(name,
	    MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = copy(from, fd);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return am_steal_fd(&fd);
}

/* Returns new fd, or -EINVAL with a line in e. */
static int
open_part(const struct config *c, enum tls_part part, struct config_errors *e)
{
	const char *path = file_of(c, part);
	const char *origin = c->value[keys[part]].origin;
	am_cleanup(
	    am_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *fault = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		fault = strerror(errno);
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		fault = "is not a regular file of at most 1 MiB";
	else if (part == TLS_KEY)
		fault = key_fault(&st);
	if (fault == NULL) {
		r = seal(fd, names[part]);
		if (r >= 0)
			return r;
		fault = strerror(-r);
	}
	config_complain(e, "%s: %s: %s: %s", origin, names[part], path, fault);
	return -EINVAL;
}

/* All or none: 1, 0, or -EINVAL. */
static int
is_wanted(const struct config *c, struct config_errors *e)
{
	int n = 0, given = 0;

	for (int i = 0; i < TLS_N_PARTS; i++) {
		if (*file_of(c, (enum tls_part)i) == '\0')
			continue;
		given = i;
		n++;
	}
	if (n == 0 || n == TLS_N_PARTS)
		return n > 0;
	for (int i = 0; i < TLS_N_PARTS; i++)
		if (*file_of(c, (enum tls_part)i) == '\0')
			config_complain(e,
			    "%s: %s is set, but %s is not: TLS takes both",
			    c->value[keys[given]].origin, names[given],
			    names[i]);
	return -EINVAL;
}

int
security_open(struct security *ret, const struct config *config,
    struct config_errors *errors)
{
	struct tls_source source[TLS_N_PARTS];
	struct am_error err;
	int r = is_wanted(config, errors);

	*ret = SECURITY_INIT;
	if (r <= 0)
		return r;
	for (int i = 0; i < TLS_N_PARTS; i++) {
		ret->part[i] = open_part(config, (enum tls_part)i, errors);
		if (ret->part[i] < 0)
			r = -EINVAL;
		source[i] = (struct tls_source){
			.name = file_of(config, (enum tls_part)i),
			.fd = ret->part[i],
		};
	}
	if (r > 0) {
		ret->tls = tls_new(source, &err);
		if (ret->tls != NULL)
			return 0;
		config_complain(errors, "%s: [Security]: %s",
		    config->value[CONFIG_Security_TLSCert].origin, err.text);
	}
	security_close(ret);
	return -EINVAL;
}

void
security_close(struct security *s)
{
	s->tls = tls_free(s->tls);
	for (int i = 0; i < TLS_N_PARTS; i++)
		am_closep(&s->part[i]);
}

bool
security_is_admin(const struct config *config, const struct conn_peer *peer)
{
	const struct config_words *admins = &config->tls_admin;

	if (peer->subject == NULL)
		return false;
	for (size_t i = 0; i < admins->n; i++) {
		/* A common name with a = in it takes the whole subject. */
		const char *is = strchr(admins->word[i], '=') != NULL
		    ? peer->subject
		    : peer->common_name;

		if (is != NULL && strcmp(admins->word[i], is) == 0)
			return true;
	}
	return false;
}
