#include "daemon/config/config_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/config_text.h"
#include "lib/base/cleanup.h"

/* Nothing stands at path, not even a link that leads nowhere. */
static bool
is_missing(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && errno == ENOENT;
}

/* Returns new text, with room for a NUL behind it; NULL after complaining. */
static char *
read_all(const char *path, int fd, size_t *ret_len, struct config_errors *e)
{
	am_cleanup(am_freep) char *text = malloc(CONFIG_FILE_MAX + 1);
	size_t len = 0;
	ssize_t n;

	if (text == NULL) {
		config_complain(e, "%s: no memory", path);
		return NULL;
	}
	do {
		n = read(fd, text + len, CONFIG_FILE_MAX + 1 - len);
		if (n < 0 && errno != EINTR) {
			config_complain(e, "%s: cannot be read: %s", path,
			    strerror(errno));
			return NULL;
		}
		len += n > 0 ? (size_t)n : 0;
	} while (n != 0 && len <= CONFIG_FILE_MAX);
	if (len > CONFIG_FILE_MAX) {
		config_complain(e, "%s: is longer than %d bytes", path,
		    CONFIG_FILE_MAX);
		return NULL;
	}
	*ret_len = len;
	return am_steal(&text);
}

void
config_file_read(struct config *c, const char *path, int must_exist,
    struct config_errors *e)
{
	/* Without O_NONBLOCK a FIFO would keep us here. */
	am_cleanup(am_closep) int fd = open(path,
	    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	am_cleanup(am_freep) char *text = NULL;
	struct stat st;
	size_t len;

	if (fd < 0 && errno == ENOENT && !must_exist && is_missing(path))
		return;
	if (fd < 0 || fstat(fd, &st) < 0) {
		config_complain(e, "%s: cannot be read: %s", path,
		    strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		config_complain(e, "%s: is not a regular file", path);
		return;
	}
	text = read_all(path, fd, &len, e);
	if (text != NULL)
		config_text_read(c, path, text, len, e);
}

static int
is_drop_in(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 5 &&
	    strcmp(d->d_name + len - 5, ".conf") == 0;
}

void
config_file_read_drop_ins(struct config *c, const char *file,
    struct config_errors *e)
{
	am_cleanup(am_freep) char *dir = NULL;
	struct dirent **list = NULL;
	int n;

	if (asprintf(&dir, "%s.d", file) < 0) {
		dir = NULL;
		config_complain(e, "%s.d: no memory", file);
		return;
	}
	n = scandir(dir, &list, is_drop_in, alphasort);
	if (n < 0 && !(errno == ENOENT && is_missing(dir)))
		config_complain(e, "%s: cannot be read: %s", dir,
		    strerror(errno));
	for (int i = 0; i < n; i++) {
		am_cleanup(am_freep) char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, list[i]->d_name) >= 0) {
			config_file_read(c, path, true, e);
		} else {
			path = NULL;
			config_complain(e, "%s: no memory", dir);
		}
		free(list[i]);
	}
	free(list);
}
