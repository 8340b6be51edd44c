#include "lib/rpc/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/tls/module.h"

enum { PEM_MAX = 1024 * 1024 };

static const char installed[] = AM_LIBDIR "/amnode/amnode-tls.so";

static const struct tls_module *
module_load(struct am_error *err)
{
	const char *path = secure_getenv("AMNODE_TLS_MODULE");
	const struct tls_module *m;
	void *so;

	if (path == NULL || *path == '\0')
		path = installed;
	/* Never unloaded: its objects may outlive their users. */
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (so == NULL) {
		(void)error_set(err,
		    "the TLS module cannot be loaded: "
		    "%.200s; install amnode with it, or name its file in "
		    "AMNODE_TLS_MODULE",
		    dlerror());
		return NULL;
	}
	m = (const struct tls_module *)dlsym(so, TLS_MODULE_SYMBOL);
	if (m == NULL || m->abi != TLS_MODULE_ABI) {
		(void)error_set(err,
		    "%.200s is not the TLS module of this version of amnode: "
		    "install the one that was built with this program",
		    path);
		return NULL;
	}
	return m;
}

/* The contents are wiped, since they may be a key. */
static void
pem_done(struct tls_pem *pem, char **data)
{
	if (*data != NULL)
		explicit_bzero(*data, pem->len);
	free(*data);
	*data = NULL;
}

static int
pem_fail(struct am_error *err, const char *name, const char *why)
{
	(void)error_set(err, "%.200s: %s", name, why);
	return -EINVAL;
}

/* An inherited descriptor shares its offset with other processes: pread(). */
static int
pem_read_fd(int fd, const char *name, char **ret, size_t *ret_len,
    struct am_error *err)
{
	struct stat st;
	size_t len = 0, size;
	ssize_t n = 1;
	char *data;

	if (fstat(fd, &st) < 0)
		return pem_fail(err, name, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX)
		return pem_fail(err, name,
		    "is not a regular file of at most 1 MiB");
	size = (size_t)st.st_size;
	data = malloc(size + 1);
	if (data == NULL)
		return pem_fail(err, name, "no memory");
	while (len < size && n > 0) {
		n = pread(fd, data + len, size - len, (off_t)len);
		if (n > 0)
			len += (size_t)n;
	}
	*ret = data;
	*ret_len = len;
	return n < 0 ? pem_fail(err, name, strerror(errno)) : 0;
}

static int
pem_read(const struct tls_source *s, char **ret, size_t *ret_len,
    struct am_error *err)
{
	am_cleanup(am_closep) int own = -1;
	int fd = s->fd;

	if (fd < 0) {
		fd = own = open(s->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (own < 0)
			return pem_fail(err, s->name, strerror(errno));
	}
	return pem_read_fd(fd, s->name, ret, ret_len, err);
}

struct tls *
tls_new(const struct tls_source source[TLS_N_PARTS], struct am_error *err)
{
	const struct tls_module *m = module_load(err);
	struct tls *tls = NULL;
	struct tls_pem pem[TLS_N_PARTS] = { { .name = NULL } };
	char *data[TLS_N_PARTS] = { NULL };
	char text[TLS_TEXT_MAX] = "no memory";
	int r = m == NULL ? -ENOENT : 0;

	for (int i = 0; i < TLS_N_PARTS && r == 0; i++) {
		r = pem_read(&source[i], &data[i], &pem[i].len, err);
		pem[i].name = source[i].name;
		pem[i].data = data[i];
	}
	if (r == 0)
		tls = calloc(1, sizeof(*tls));
	if (tls != NULL) {
		tls->module = m;
		tls->ctx = m->ctx_new(&pem[TLS_CERT], &pem[TLS_KEY],
		    &pem[TLS_CA], text);
	}
	if (r == 0 && (tls == NULL || tls->ctx == NULL)) {
		(void)error_set(err, "%s", text);
		free(tls);
		tls = NULL;
	}
	for (int i = 0; i < TLS_N_PARTS; i++)
		pem_done(&pem[i], &data[i]);
	return tls;
}

struct tls *
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return NULL;
	tls->module->ctx_free(tls->ctx);
	free(tls);
	return NULL;
}
