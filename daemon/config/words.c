#include "daemon/config/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

void
words_done(struct config_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->word[i]);
	free(w->word);
	*w = (struct config_words){ NULL, 0 };
}

static int
words_push(struct config_words *w, const char *s, size_t len)
{
	char **grown = realloc(w->word, (w->n + 2) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	w->word = grown;
	w->word[w->n] = strndup(s, len);
	if (w->word[w->n] == NULL)
		return -ENOMEM;
	w->word[++w->n] = NULL;
	return 0;
}

/* Copies one word without its quotes to out; returns its end, NULL for an open
 * quote or a backslash at the end. */
static const char *
word_end(const char *p, char *out, size_t *ret_len)
{
	char quote = '\0';
	size_t len = 0;

	for (; *p != '\0'; p++) {
		if (quote == '\0' && isspace((unsigned char)*p))
			break;
		if (*p == '\\' && quote != '\'') {
			if (p[1] == '\0')
				return NULL;
			/* Inside of "" it protects " and \ only, as in sh. */
			if (quote == '"' && p[1] != '"' && p[1] != '\\')
				out[len++] = *p;
			out[len++] = *++p;
		} else if (quote == '\0' && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else if (quote != '\0' && *p == quote) {
			quote = '\0';
		} else {
			out[len++] = *p;
		}
	}
	*ret_len = len;
	return quote == '\0' ? p : NULL;
}

int
words_split(const char *text, struct config_words *ret, const char **ret_why)
{
	am_cleanup(am_freep) char *word = malloc(strlen(text) + 1);
	struct config_words w = { NULL, 0 };
	size_t len;
	int r = 0;

	if (word == NULL)
		return -ENOMEM;
	for (const char *p = text; r == 0;) {
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '\0')
			break;
		p = word_end(p, word, &len);
		if (p == NULL) {
			*ret_why = "a quote is not closed, or the last "
				   "character is a backslash";
			r = -EINVAL;
			break;
		}
		r = words_push(&w, word, len);
	}
	if (r == 0 && w.n == 0) {
		*ret_why = "there is no word in it";
		r = -EINVAL;
	}
	if (r < 0)
		words_done(&w);
	else
		*ret = w;
	return r;
}

/* Decimal digits; *ret_end is what follows them. */
static int
digits(const char *text, int64_t *ret, const char **ret_end)
{
	char *end;
	long long v;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	v = strtoll(text, &end, 10);
	*ret_end = end;
	if (errno != 0)
		return -ERANGE;
	*ret = v;
	return 0;
}

int
words_count(const char *text, int64_t *ret)
{
	const char *end = "";
	int64_t v;
	int r = digits(text, &v, &end);

	if (*end != '\0')
		return -EINVAL;
	if (r == 0)
		*ret = v;
	return r;
}

int
words_size(const char *text, int64_t *ret)
{
	static const char units[] = "KMG";
	const char *end = "", *unit;
	int64_t v, factor = 1;
	int r = digits(text, &v, &end);

	if (r == 0 && *end != '\0') {
		unit = strchr(units, *end);
		if (unit == NULL || end[1] != '\0')
			return -EINVAL;
		factor <<= 10 * (unit - units + 1);
	}
	if (r == 0 && v > INT64_MAX / factor)
		return -ERANGE;
	if (r == 0)
		*ret = v * factor;
	return r;
}

int
words_choice(const char *text, const char *choices, int64_t *ret)
{
	size_t len = strlen(text);
	int64_t n = 0;

	for (const char *p = choices; p != NULL; n++) {
		const char *end = strchr(p, '|');
		size_t l = end != NULL ? (size_t)(end - p) : strlen(p);

		if (l == len && memcmp(p, text, len) == 0) {
			*ret = n;
			return 0;
		}
		p = end != NULL ? end + 1 : NULL;
	}
	return -EINVAL;
}
