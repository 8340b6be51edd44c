#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"

enum {
	LINE_MAX_LEN = 4096, /* PIPE_BUF: a pipe takes a line whole or not */
	MESSAGE_MAX = 2048,
};

/* stderr is shared with whoever started us, so that its O_NONBLOCK is not ours
 * to set. */
enum log_sink {
	SINK_PLAIN,    /* a regular file, or before log_init() */
	SINK_REOPENED, /* a description of our own, O_NONBLOCK */
	SINK_SOCKET,   /* MSG_DONTWAIT */
	SINK_POLL,     /* asked before each line */
};

/* Where a process writes its log is a property of the process. */
static struct {
	enum log_level level;
	enum log_mode mode;
	enum log_sink sink;
	int fd;
	char queue[LOG_QUEUE_MAX];
	size_t queued;
	uint64_t n_lost;       /* of our own */
	uint64_t n_lost_guest; /* of other programs */
	log_wait_fn on_wait;
	void *arg;
} logger = { .level = LOG_LEVEL_INFO,
	.mode = LOG_MODE_PLAIN,
	.fd = STDERR_FILENO };

static const struct {
	const char *name;
	const char *syslog;
	const char *plain;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>", "error: " },
	[LOG_LEVEL_WARNING] = { "warning", "<4>", "warning: " },
	[LOG_LEVEL_INFO] = { "info", "<6>", "" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>", "debug: " },
};
enum { N_LEVELS = sizeof(levels) / sizeof(levels[0]) };

/* JOURNAL_STREAM names the device and inode of the stderr that systemd gave us.
 * Processes whose stderr is something else inherit the variable. */
static bool
is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (stream == NULL || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void
choose_sink(void)
{
	struct stat st;

	if (logger.sink == SINK_REOPENED)
		(void)close(logger.fd);
	logger.fd = STDERR_FILENO;
	logger.sink = SINK_PLAIN;
	if (fstat(STDERR_FILENO, &st) < 0 || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		logger.sink = SINK_SOCKET;
		return;
	}
	logger.fd = open("/proc/self/fd/2",
	    O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (logger.fd >= 0) {
		logger.sink = SINK_REOPENED;
		return;
	}
	logger.fd = STDERR_FILENO;
	logger.sink = SINK_POLL;
}

void
log_init(enum log_level level, enum log_mode mode)
{
	logger.level = level;
	logger.mode = mode != LOG_MODE_AUTO ? mode
	    : is_journal(STDERR_FILENO)     ? LOG_MODE_JOURNAL
					    : LOG_MODE_PLAIN;
	choose_sink();
}

void
log_set_level(enum log_level level)
{
	logger.level = level;
}

bool
log_enabled(enum log_level level)
{
	return level <= logger.level;
}

int
log_level_parse(const char *name)
{
	for (int i = 0; i < N_LEVELS; i++)
		if (strcmp(name, levels[i].name) == 0)
			return i;
	return -EINVAL;
}

/* Writes "12:34:56.789 " or "<6>"; returns its length. */
static size_t
put_prefix(char *line, size_t size, enum log_level level)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (logger.mode == LOG_MODE_BARE)
		return 0;
	if (logger.mode == LOG_MODE_JOURNAL)
		return (size_t)snprintf(line, size, "%s", levels[level].syslog);
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	n = localtime_r(&ts.tv_sec, &tm) == NULL
	    ? 0
	    : strftime(line, size, "%H:%M:%S", &tm);
	return n +
	    (size_t)snprintf(line + n, size - n, ".%03ld %s",
		ts.tv_nsec / 1000000, levels[level].plain);
}

/* ---- writing ---- */

/* Returns how many bytes stderr took, 0 if it is full, or -errno. */
static ssize_t
write_some(const char *p, size_t len)
{
	struct pollfd pfd = { .fd = logger.fd, .events = POLLOUT };
	ssize_t n;

	if (logger.sink == SINK_POLL && poll(&pfd, 1, 0) == 0)
		return 0;
	do
		n = logger.sink == SINK_SOCKET
		    ? send(logger.fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL)
		    : write(logger.fd, p, len);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

/* A line that stderr refuses for good is counted. */
static void
put(const char *line, size_t len, bool own)
{
	uint64_t *lost = own ? &logger.n_lost : &logger.n_lost_guest;
	bool waited = logger.queued > 0;
	ssize_t n = waited ? 0 : write_some(line, len);

	if (n < 0) {
		(*lost)++;
		return;
	}
	if ((size_t)n == len)
		return;
	/* Half a line is always completed: there is room, the queue is empty. */
	if ((n == 0 && !own) ||
	    len - (size_t)n > LOG_QUEUE_MAX - logger.queued) {
		(*lost)++;
		return;
	}
	memcpy(logger.queue + logger.queued, line + n, len - (size_t)n);
	logger.queued += len - (size_t)n;
	if (!waited && logger.on_wait != NULL)
		logger.on_wait(logger.fd, logger.arg);
}

/* Makes a line of our own from its text. */
static void
put_text(enum log_level level, const char *text, size_t text_len)
{
	char line[LINE_MAX_LEN];
	size_t start = put_prefix(line, sizeof(line), level);
	size_t used = text_show(line + start, sizeof(line) - 4 - start, text,
	    text_len);
	size_t len = start + strlen(line + start);

	if (used < text_len) {
		memcpy(line + len, "...", 3);
		len += 3;
	}
	line[len++] = '\n';
	put(line, len, true);
}

static void
tell_lost(void)
{
	uint64_t n = logger.n_lost, n_guest = logger.n_lost_guest;
	char text[160];

	if (n == 0 && n_guest == 0)
		return;
	logger.n_lost = 0;
	logger.n_lost_guest = 0;
	(void)snprintf(text, sizeof(text),
	    "log: lines were lost on their way to stderr own=%" PRIu64
	    " workers=%" PRIu64,
	    n, n_guest);
	put_text(LOG_LEVEL_WARNING, text, strlen(text));
	if (logger.n_lost == 0)
		return;
	/* So was this one: the next will tell of the same lines. */
	logger.n_lost = n;
	logger.n_lost_guest = n_guest;
}

bool
log_flush(void)
{
	while (logger.queued > 0) {
		ssize_t n = write_some(logger.queue, logger.queued);

		if (n == 0)
			return false;
		/* No reader will come for these. */
		if (n < 0)
			n = (ssize_t)logger.queued;
		logger.queued -= (size_t)n;
		memmove(logger.queue, logger.queue + n, logger.queued);
	}
	tell_lost();
	return logger.queued == 0;
}

void
log_on_wait(log_wait_fn fn, void *arg)
{
	logger.on_wait = fn;
	logger.arg = arg;
}

void
log_finish(int timeout_ms)
{
	int64_t end_ns = clock_ns() + timeout_ms * NS_PER_MS;
	struct pollfd pfd = { .fd = logger.fd, .events = POLLOUT };

	while (!log_flush() && clock_ns() < end_ns)
		(void)poll(&pfd, 1, 10);
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char text[MESSAGE_MAX];
	size_t len;
	va_list ap;
	int n;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = n > 0 ? (size_t)n : 0;
	if (len > sizeof(text) - 1) {
		len = sizeof(text) - 1;
		memcpy(text + len - 3, "...", 3);
	}
	(void)log_flush();
	put_text(level, text, len);
	errno = saved_errno;
}

size_t
log_guest(const char *head, const char *s, size_t len)
{
	char line[LINE_MAX_LEN];
	size_t start = put_prefix(line, sizeof(line), LOG_LEVEL_INFO);
	size_t used;

	start += (size_t)snprintf(line + start, 256, "%s", head);
	used = text_show(line + start, sizeof(line) - 1 - start, s, len);
	start += strlen(line + start);
	line[start++] = '\n';
	(void)log_flush();
	put(line, start, false);
	return used;
}

const char *
log_quote(char *buf, size_t size, const char *s, size_t len)
{
	static const char tail[] = "...\"";
	size_t n = 0;

	if (size < sizeof(tail) + 1) {
		if (size > 0)
			buf[0] = '\0';
		return buf;
	}
	buf[n++] = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		size_t need = c == '"' || c == '\\' ? 2
		    : c < ' ' || c == 0x7f          ? 4
						    : 1;

		if (n + need + sizeof(tail) > size) {
			memcpy(buf + n, tail, sizeof(tail));
			return buf;
		}
		if (need == 4)
			(void)snprintf(buf + n, 5, "\\x%02x", c);
		if (need == 2)
			buf[n] = '\\';
		if (need <= 2)
			buf[n + need - 1] = (char)c;
		n += need;
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}
