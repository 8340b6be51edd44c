/* log.h - lines on stderr. For programs only: lib and proto never log.
 *
 * One fact a line, `what: text key=value`, without a newline. errno is
 * preserved. Control characters are replaced, so that a peer's text cannot
 * forge a line; long lines are cut. */
#ifndef LIB_BASE_LOG_H
#define LIB_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_mode {
	LOG_MODE_AUTO,    /* JOURNAL if stderr is the journal's, else PLAIN */
	LOG_MODE_JOURNAL, /* "<N>" before each line */
	LOG_MODE_PLAIN,   /* the time before each line */
};

/* Call it before the first line. Without it: INFO, PLAIN. */
void log_init(enum log_level level, enum log_mode mode);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* The level named "error", "warning", "info" or "debug"; else -EINVAL. */
int log_level_parse(const char *name);

void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                         \
	do {                                                                   \
		if (log_enabled(LOG_LEVEL_DEBUG))                              \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                \
	} while (0)

/* Writes the text of a peer for a log line: "quoted", escaped, and shortened by
 * "..." to fit into size. Returns buf. */
const char *log_quote(char *buf, size_t size, const char *s, size_t len);

#endif
