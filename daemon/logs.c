#include "daemon/logs.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"

static void
put_line(struct worker_log *log, const char *line, size_t len)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	log_info("worker: %s id=%s | %.*s", log->stream, log->id, (int)len,
	    line);
}

/* Cuts the buffer into lines; keeps the last piece. */
static void
put_lines(struct worker_log *log)
{
	char *p = log->line, *nl;

	while ((nl = memchr(p, '\n', log->len - (size_t)(p - log->line))) !=
	    NULL) {
		put_line(log, p, (size_t)(nl - p));
		p = nl + 1;
	}
	log->len -= (size_t)(p - log->line);
	if (log->len == LOGS_LINE_MAX) {
		put_line(log, log->line, log->len);
		log->len = 0;
	}
	memmove(log->line, p, log->len);
}

/* Returns false when there is nothing more for now. */
static bool
read_some(struct worker_log *log)
{
	ssize_t n = read(log->fd, log->line + log->len,
	    LOGS_LINE_MAX - log->len);

	if (n <= 0)
		return n < 0 && errno == EINTR;
	log->len += (size_t)n;
	put_lines(log);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct worker_log *log = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < LOGS_TURN_MAX / LOGS_LINE_MAX && read_some(log);)
		i++;
}

int
logs_open(struct worker_log *log, struct am_loop *l, const char *id,
    const char *stream, const char *path)
{
	int r = -ENOMEM;

	*log = (struct worker_log){ .fd = -1, .id = id, .stream = stream };
	log->path = strdup(path);
	log->line = malloc(LOGS_LINE_MAX);
	if (log->path == NULL || log->line == NULL)
		goto fail;
	if (mkfifo(path, 0600) < 0) {
		r = -errno;
		free(log->path);
		log->path = NULL;
		goto fail;
	}
	/* Read-write here as well: without a writer yet it would poll as ended. */
	log->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (log->fd < 0) {
		r = -errno;
		goto fail;
	}
	log->event = event_new(loop_base(l), log->fd, EV_READ | EV_PERSIST,
	    on_readable, log);
	if (log->event == NULL || event_add(log->event, NULL) < 0)
		goto fail;
	return 0;
fail:
	logs_done(log);
	return r;
}

void
logs_done(struct worker_log *log)
{
	if (log->line == NULL && log->path == NULL)
		return;
	if (log->event != NULL)
		event_free(log->event);
	if (log->fd >= 0) {
		for (int i = 0;
		     i < LOGS_TURN_MAX / LOGS_LINE_MAX && read_some(log);)
			i++;
		if (log->len > 0)
			put_line(log, log->line, log->len);
		(void)close(log->fd);
	}
	if (log->path != NULL)
		(void)unlink(log->path);
	free(log->path);
	free(log->line);
	*log = (struct worker_log){ .fd = -1 };
}
