#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 2048 };

/* Global: where the log goes is a property of the process. */
static struct {
	enum log_level level;
	bool to_journal;
} logger = { .level = LOG_LEVEL_INFO };

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

void
log_init(enum log_level level, enum log_mode mode)
{
	logger.level = level;
	logger.to_journal = mode == LOG_MODE_JOURNAL ||
	    (mode == LOG_MODE_AUTO && is_journal(STDERR_FILENO));
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

	if (logger.to_journal)
		return (size_t)snprintf(line, size, "%s", levels[level].syslog);
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	n = localtime_r(&ts.tv_sec, &tm) == NULL
	    ? 0
	    : strftime(line, size, "%H:%M:%S", &tm);
	return n +
	    (size_t)snprintf(line + n, size - n, ".%03ld %s",
		ts.tv_nsec / 1000000, levels[level].plain);
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char line[LINE_MAX_LEN];
	size_t start, len;
	va_list ap;
	int n;

	if (!log_enabled(level))
		return;
	start = put_prefix(line, sizeof(line), level);
	len = start;
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n;
	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	for (size_t i = start; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	/* If the log cannot be written there is nowhere to report it. */
	if (write(STDERR_FILENO, line, len) < 0)
		(void)0;
	errno = saved_errno;
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
