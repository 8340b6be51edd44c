#include "lib/machine/mlog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/sized.h"
#include "lib/base/text.h"
#include "lib/base/utf8.h"
#include "lib/machine/sub.h"
#include "proto/mp.h"

enum { ID_LEN = 5, VALUE_LEN = 20, ARGS_MAX = 32, DEBUG_FACTOR = 10 };

/* ---- setting it ---- */

int
am_set_logger(struct am_machine *m, const struct am_logger *l)
{
	struct am_logger conf = { .level = AM_LOG_NOTHING };
	struct logger *own = NULL;

	if (l != NULL && sized_copy(&conf, sizeof(conf), l) < 0)
		return -EINVAL;
	/* The running transition keeps its steps there. */
	if (m->draining)
		return -EBUSY;
	if (conf.level > AM_LOG_NOTHING && conf.line != NULL) {
		own = calloc(1, sizeof(*own));
		if (own == NULL)
			return -ENOMEM;
		own->conf = conf;
	}
	mlog_free(m);
	m->logger = own;
	if (own != NULL && m->schema->cycle >= 0)
		mlog_line(m, AM_LOG_CHANGES,
		    "[resolver] relation error: state %s has a Require cycle "
		    "for %s",
		    m->schema->row[m->schema->cycle].name, m->id);
	return 0;
}

static bool
env_is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && strcmp(value, "1") == 0;
}

int
am_set_logger_env(struct am_machine *m, const struct am_logger *l)
{
	const char *level = getenv("AM_LOG");
	struct am_logger own;
	int r;

	if (sized_copy(&own, sizeof(own), l) < 0)
		return -EINVAL;
	own.size = sizeof(own);
	if (level != NULL && level[0] >= '0' && level[0] <= '5' &&
	    level[1] == '\0')
		own.level = (enum am_log_level)(level[0] - '0');
	if (env_is_set("AM_LOG_ARGS"))
		own.all_args = true;
	r = am_set_logger(m, &own);
	if (r == 0 && env_is_set("AM_DEBUG") && !m->debugged &&
	    m->handler_limit_ms < INT64_MAX / DEBUG_FACTOR) {
		m->handler_limit_ms *= DEBUG_FACTOR;
		m->debugged = true;
	}
	return r;
}

void
mlog_free(struct am_machine *m)
{
	struct logger *l = m->logger;

	while (l != NULL && l->breakpoint != NULL) {
		struct breakpoint *next = l->breakpoint->next;

		free(l->breakpoint);
		l->breakpoint = next;
	}
	if (l != NULL)
		am_buf_done(&l->steps);
	free(l);
	m->logger = NULL;
}

/* ---- lines ---- */

bool
mlog_on(const struct am_machine *m, enum am_log_level level)
{
	return m->logger->conf.level >= level;
}

void
mlog_begin(const struct am_machine *m, struct am_buf *b)
{
	*b = AM_BUF_INIT;
	if (!m->logger->conf.no_id)
		buf_printf(b, "[%.*s] ", ID_LEN, m->id);
}

void
mlog_end(const struct am_machine *m, enum am_log_level level, struct am_buf *b)
{
	const struct am_logger *l = &m->logger->conf;
	size_t size = TEXT_ESCAPED_MAX * b->len + TEXT_CHAR_MAX;
	struct am_buf line = AM_BUF_INIT;

	/* Args, errors and names may be anybody's. */
	if (am_buf_reserve(&line, size) == 0)
		(void)text_show(line.data, size, b->data, b->len);
	l->line(m, level, line.data != NULL ? line.data : "", l->arg);
	am_buf_done(&line);
	am_buf_done(b);
}

void
mlog_line(struct am_machine *m, enum am_log_level level, const char *fmt, ...)
{
	struct am_buf b;
	char text[1024];
	va_list ap;

	if (!mlog_on(m, level))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mlog_begin(m, &b);
	buf_puts(&b, text);
	mlog_end(m, level, &b);
}

void
am_log(struct am_machine *m, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (m->logger == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	mlog_line(m, AM_LOG_EXTERNAL, "[exter] %s", text);
}

void
mlog_names(const struct am_machine *m, struct am_buf *b, const char *before,
    const am_id *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i > 0 ? " " : before,
		    m->schema->row[list[i]].name);
}

bool
mlog_some(const struct am_machine *m, struct am_buf *b, const char *before,
    const am_id *list, size_t n, const uint64_t *set)
{
	for (size_t i = 0; i < n; i++)
		if (bits_test(set, list[i]))
			buf_printf(b, "%s%s", before,
			    m->schema->row[list[i]].name);
	return bits_any(set, m->schema->nw);
}

/* ---- args ---- */

struct arg {
	const char *key;
	size_t key_len;
	struct am_val value;
};

static bool
is_shown(const struct am_logger *l, const char *key, size_t len)
{
	if (l->all_args)
		return true;
	for (size_t i = 0; l->args[i] != NULL; i++)
		if (strlen(l->args[i]) == len &&
		    memcmp(l->args[i], key, len) == 0)
			return true;
	return false;
}

static int
compare_args(const void *va, const void *vb)
{
	const struct arg *a = va, *b = vb;
	size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
	int c = memcmp(a->key, b->key, n);

	return c != 0 ? c
		      : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static void
put_value(struct am_buf *b, struct am_val v)
{
	am_cleanup(buf_donep) struct am_buf text = AM_BUF_INIT;
	struct mp c = mp_of(v);
	const char *s;
	size_t len;

	if (mp_get_str(&c, &s, &len) == 0)
		buf_append(&text, s, len);
	else if (am_json_encode(v, &text, NULL) < 0)
		buf_puts(&text, "?");
	if (text.len <= VALUE_LEN)
		buf_append(b, text.data, text.len);
	else
		buf_printf(b, "%.*s...",
		    (int)utf8_cut(text.data, text.len, VALUE_LEN - 3),
		    text.data);
}

void
mlog_args(const struct am_machine *m, struct am_buf *b, struct am_val args)
{
	const struct am_logger *l = &m->logger->conf;
	struct mp c = mp_of(args);
	struct arg arg[ARGS_MAX];
	uint32_t left;
	size_t n = 0;

	if ((l->args == NULL && !l->all_args) || args.len == 0 ||
	    mp_get_map(&c, &left) < 0)
		return;
	for (; left > 0 && n < ARGS_MAX; left--) {
		if (mp_get_str(&c, &arg[n].key, &arg[n].key_len) < 0 ||
		    mp_get_val(&c, &arg[n].value) < 0)
			break;
		n += is_shown(l, arg[n].key, arg[n].key_len);
	}
	if (n == 0)
		return;
	qsort(arg, n, sizeof(arg[0]), compare_args);
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "%s%.*s=", i > 0 ? " " : " (",
		    (int)arg[i].key_len, arg[i].key);
		put_value(b, arg[i].value);
	}
	buf_putc(b, ')');
}
