/* log.h - lines on stderr. For programs only: lib and proto never log.
 *
 * One fact a line, `what: text key=value`, without a newline. errno is
 * preserved. Text of others can forge no line (text.h); long lines are cut.
 *
 * Nothing here waits for a reader of stderr. Lines that do not fit into it wait
 * in a queue; what does not fit into that is counted, and the count is logged as
 * soon as there is room. */
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
	LOG_MODE_BARE,    /* nothing before it: the reader adds what is due */
};

enum { LOG_QUEUE_MAX = 64 * 1024 }; /* bytes that wait for stderr */

/* Call it before the first line. Without it: INFO, PLAIN, and writing may
 * block. */
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

/* Writes a line of another program: head, and as much of its text as fits, and
 * returns how many bytes of it did. While lines wait it is only counted. */
size_t log_guest(const char *head, const char *s, size_t len);

/* fn is called when lines begin to wait. The caller then calls log_flush() when
 * fd can be written to; otherwise the next line does. */
typedef void (*log_wait_fn)(int fd, void *arg);
void log_on_wait(log_wait_fn fn, void *arg);
/* Writes what waits. True if nothing waits any more. */
bool log_flush(void);
/* Waits for the reader of stderr, but not longer than this: before the end. */
void log_finish(int timeout_ms);

/* Writes the text of a peer for a log line: "quoted", escaped, and shortened by
 * "..." to fit into size. Returns buf. */
const char *log_quote(char *buf, size_t size, const char *s, size_t len);

#endif
