#include "daemon/sys/logs.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/base/utf8.h"
#include "lib/loop/loop.h"

enum {
	REST_MS = 1,       /* after a turn's share */
	REST_LONG_MS = 10, /* of a stream whose lines are left out */
	TELL_MS = 1000,
	UTF8_MAX = 4,
	FIFO_MAX = 1024 * 1024,
};

/* ---- how much is let through ---- */

static void
tell_left_out(struct worker_logs *logs)
{
	if (logs->n_left_out > 0)
		log_warn("worker: printed more than Log.RateLimit allows id=%s "
			 "lines_left_out=%" PRIu64,
		    logs->id, logs->n_left_out);
	logs->n_left_out = 0;
}

static void
on_tell(void *arg)
{
	tell_left_out(arg);
}

static void
leave_out(struct worker_logs *logs)
{
	if (logs->n_left_out++ == 0)
		(void)am_timer_start(&logs->tell, TELL_MS);
}

/* May one more line be logged? */
static bool
take_credit(struct worker_logs *logs)
{
	int64_t now_ns = clock_ns();
	int64_t cost_ns;

	if (logs->is_closing && ++logs->n_end > LOGS_END_LINES)
		return false;
	if (logs->rate.per_s == 0)
		return true;
	cost_ns = NS_PER_S / logs->rate.per_s;
	logs->credit_ns += now_ns - logs->last_ns;
	logs->last_ns = now_ns;
	if (logs->credit_ns > cost_ns * logs->rate.burst)
		logs->credit_ns = cost_ns * logs->rate.burst;
	if (logs->credit_ns < cost_ns)
		return false;
	logs->credit_ns -= cost_ns;
	return true;
}

/* ---- lines ---- */

/* The beginning of a line of stderr may be the program's last words. Its host
 * writes there, too, perhaps behind a line that has no newline. */
static void
note_last(struct worker_log *log, const char *s, size_t len)
{
	static const char host[] = "amnode-exec: ";
	const char *end = memmem(s, len, host, sizeof(host) - 1);

	if (log != &log->logs->err || log->in_piece)
		return;
	if (end != NULL)
		len = (size_t)(end - s);
	while (len > 0 && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	if (len > 0)
		(void)text_show(log->logs->last, sizeof(log->logs->last), s,
		    len);
}

/* Logs a line, or a piece of one, in as many lines as it takes. Returns how many
 * those were. */
static unsigned
put(struct worker_log *log, const char *s, size_t len)
{
	char head[64];
	unsigned n = 0;
	size_t used;

	do {
		if (log->is_skipped)
			return n;
		if (!take_credit(log->logs)) {
			leave_out(log->logs);
			log->is_skipped = true;
			return n;
		}
		(void)snprintf(head, sizeof(head), "worker: %s id=%s %s ",
		    log->stream, log->logs->id, log->in_piece ? "+|" : "|");
		used = log_guest(head, s, len);
		log->in_piece = true;
		s += used;
		len -= used;
		n++;
	} while (len > 0);
	return n;
}

static unsigned
put_end(struct worker_log *log, const char *s, size_t len)
{
	unsigned n = 0;

	if (len > 0 && s[len - 1] == '\r')
		len--;
	note_last(log, s, len);
	/* An empty line is one; an end of nothing is none. */
	if (len > 0 || !log->in_piece)
		n = put(log, s, len);
	log->in_piece = false;
	log->is_skipped = false;
	return n;
}

/* Logs what the buffer has in whole lines, or half of one that fills it, until
 * max lines are written. Returns how many were. */
static unsigned
put_lines(struct worker_log *log, unsigned max)
{
	size_t at = 0, keep;
	unsigned n = 0;

	while (n < max) {
		const char *p = log->line + at;
		const char *nl = memchr(p, '\n', log->len - at);

		if (nl == NULL)
			break;
		n += put_end(log, p, (size_t)(nl - p));
		at += (size_t)(nl - p) + 1;
	}
	if (at == 0 && n == 0 && log->len == LOGS_LINE_MAX) {
		/* What is kept has the whole last character, and a CR. */
		keep = utf8_cut(log->line, log->len, log->len - UTF8_MAX);
		note_last(log, log->line, keep);
		n += put(log, log->line, keep);
		at = keep;
	}
	log->len -= at;
	memmove(log->line, log->line + at, log->len);
	return n;
}

static void
put_rest(struct worker_log *log)
{
	if (log->len > 0 || log->in_piece)
		(void)put_end(log, log->line, log->len);
	log->len = 0;
	log->flush_due = false;
}

/* ---- reading ---- */

/* Returns false when there is nothing more for now. */
static bool
read_some(struct worker_log *log, size_t *total)
{
	ssize_t n;

	do
		n = read(log->fd, log->line + log->len,
		    LOGS_LINE_MAX - log->len);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	log->len += (size_t)n;
	*total += (size_t)n;
	return true;
}

/* A turn's share. A stream that had all of it rests, so that no worker keeps the
 * loop from others. */
static void
serve(struct worker_log *log)
{
	uint64_t left_out = log->logs->n_left_out;
	size_t n_bytes = 0;
	unsigned n = put_lines(log, LOGS_TURN_LINES);

	while (n < LOGS_TURN_LINES && n_bytes < LOGS_TURN_BYTES) {
		if (!read_some(log, &n_bytes)) {
			if (log->flush_due)
				put_rest(log);
			(void)event_add(log->event, NULL);
			return;
		}
		n += put_lines(log, LOGS_TURN_LINES - n);
	}
	(void)event_del(log->event);
	(void)am_timer_start(&log->rest,
	    log->logs->n_left_out > left_out ? REST_LONG_MS : REST_MS);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	serve(arg);
}

static void
on_rested(void *arg)
{
	serve(arg);
}

static void
drain(struct worker_log *log)
{
	size_t n_bytes = 0;

	do
		while (put_lines(log, LOGS_END_LINES) > 0)
			;
	while (n_bytes < FIFO_MAX && read_some(log, &n_bytes));
	put_rest(log);
}

/* ---- life ---- */

static int
open_one(struct worker_log *log, struct worker_logs *logs, struct am_loop *l,
    const char *stream, const char *path)
{
	*log = (struct worker_log){ .fd = -1, .stream = stream };
	log->line = malloc(LOGS_LINE_MAX);
	if (log->line == NULL)
		return -ENOMEM;
	log->logs = logs;
	am_timer_init(&log->rest, l, on_rested, log);
	if (mkfifo(path, 0600) < 0)
		return -errno;
	log->path = strdup(path);
	if (log->path == NULL) {
		(void)unlink(path);
		return -ENOMEM;
	}
	/* Read-write here as well: without a writer yet it would poll as ended. */
	log->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (log->fd < 0)
		return -errno;
	log->event = event_new(loop_base(l), log->fd, EV_READ | EV_PERSIST,
	    on_readable, log);
	if (log->event == NULL || event_add(log->event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int
logs_open(struct worker_logs *logs, struct am_loop *l, const char *id,
    struct logs_rate rate, const char *out_path, const char *err_path)
{
	int r;

	*logs = (struct worker_logs){ .id = id, .rate = rate };
	logs->credit_ns = INT64_MAX / 2;
	logs->last_ns = clock_ns();
	am_timer_init(&logs->tell, l, on_tell, logs);
	r = open_one(&logs->out, logs, l, "stdout", out_path);
	return r < 0 ? r : open_one(&logs->err, logs, l, "stderr", err_path);
}

static void
flush_one(struct worker_log *log)
{
	if (log->logs == NULL)
		return;
	log->flush_due = true;
	serve(log);
}

void
logs_flush(struct worker_logs *logs)
{
	flush_one(&logs->out);
	flush_one(&logs->err);
}

static void
end_one(struct worker_log *log)
{
	if (log->logs != NULL && log->fd >= 0)
		drain(log);
}

void
logs_end(struct worker_logs *logs)
{
	logs->is_closing = true;
	end_one(&logs->out);
	end_one(&logs->err);
}

static void
done_one(struct worker_log *log)
{
	if (log->logs == NULL)
		return;
	am_timer_done(&log->rest);
	if (log->event != NULL)
		event_free(log->event);
	if (log->fd >= 0)
		(void)close(log->fd);
	if (log->path != NULL)
		(void)unlink(log->path);
	free(log->path);
	free(log->line);
	*log = (struct worker_log){ .fd = -1 };
}

void
logs_done(struct worker_logs *logs)
{
	if (logs->id == NULL)
		return;
	logs_end(logs);
	done_one(&logs->out);
	done_one(&logs->err);
	tell_left_out(logs);
	am_timer_done(&logs->tell);
	logs->id = NULL;
}
