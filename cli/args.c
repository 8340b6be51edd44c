#include "cli/args.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/utf8.h"
#include "proto/mp.h"

enum { SHOWN_MAX = 64 }; /* bytes of a word in a message */

bool
args_is_pair(const char *word)
{
	return strchr(word, '=') != NULL;
}

size_t
args_sort(char **words, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		char *w = words[i];

		if (args_is_pair(w))
			continue;
		memmove(&words[at + 1], &words[at], (i - at) * sizeof(*words));
		words[at++] = w;
	}
	return at;
}

/* One k=v or k:=json, taken apart. */
struct pair {
	const char *key;
	size_t key_len;
	const char *value;
	bool is_json;
};

static struct pair
pair_of(const char *word)
{
	const char *eq = strchr(word, '=');
	struct pair p = { .key = word, .value = eq + 1 };

	p.is_json = eq > word && eq[-1] == ':';
	p.key_len = (size_t)(eq - word) - p.is_json;
	return p;
}

/* It goes out as text, which JSON at the other end has to be able to show. */
static int
check_text(const char *word, struct am_error *err)
{
	size_t len = strlen(word);
	size_t at = utf8_check(word, len);

	if (at == len)
		return 0;
	return error_set(err,
	    "%.*s...: not UTF-8 at byte %zu: send it as "
	    "k:={\"$bin\":\"base64\"}",
	    (int)utf8_cut(word, at, SHOWN_MAX), word, at);
}

static bool
same_key(const struct pair *p, const char *key, size_t len)
{
	return p->key_len == len && memcmp(p->key, key, len) == 0;
}

static int
check_pairs(char *const *words, size_t n, struct am_error *err)
{
	if (n > ARGS_PAIRS_MAX)
		return error_set(err, "more than %d arguments", ARGS_PAIRS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct pair p = pair_of(words[i]);

		if (p.key_len == 0)
			return error_set(err,
			    "\"%s\" has no key before the =", words[i]);
		if (!p.is_json && check_text(words[i], err) < 0)
			return -EINVAL;
		for (size_t j = 0; j < i; j++) {
			struct pair q = pair_of(words[j]);

			if (same_key(&p, q.key, q.key_len))
				return error_set(err, "\"%.*s\" is given twice",
				    (int)p.key_len, p.key);
		}
	}
	return 0;
}

static bool
overridden(char *const *words, size_t n, const char *key, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		struct pair p = pair_of(words[i]);

		if (same_key(&p, key, len))
			return true;
	}
	return false;
}

/* The pairs of the map which no word overrides; counts and, with out, copies
 * them. */
static size_t
copy_rest(struct am_val map, char *const *words, size_t n_words,
    struct am_buf *out)
{
	struct mp c = mp_of(map);
	uint32_t n = 0;
	size_t kept = 0;

	if (mp_get_map(&c, &n) < 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		const char *key;
		size_t len;
		struct am_val v;

		if (mp_get_str(&c, &key, &len) < 0 || mp_get_val(&c, &v) < 0)
			break;
		if (overridden(words, n_words, key, len))
			continue;
		kept++;
		if (out != NULL) {
			am_put_strn(out, key, len);
			am_put_val(out, v);
		}
	}
	return kept;
}

static int
put_pair(struct am_buf *out, const char *word, struct am_error *err)
{
	struct pair p = pair_of(word);
	struct am_error why;

	am_put_strn(out, p.key, p.key_len);
	if (!p.is_json) {
		am_put_str(out, p.value);
		return 0;
	}
	if (am_json_decode(p.value, strlen(p.value), out, &why) < 0)
		return error_set(err, "%.*s:=%.*s: %s", (int)p.key_len, p.key,
		    (int)utf8_cut(p.value, strlen(p.value), SHOWN_MAX), p.value,
		    why.text);
	return 0;
}

int
args_build(const char *json, size_t json_len, char *const *pairs,
    size_t n_pairs, struct am_buf *out, struct am_error *err)
{
	am_cleanup(buf_donep) struct am_buf whole = AM_BUF_INIT;
	struct am_error why;
	struct mp c;

	if (check_pairs(pairs, n_pairs, err) < 0)
		return -EINVAL;
	if (json == NULL && n_pairs == 0)
		return 0;
	if (json != NULL) {
		if (am_json_decode(json, json_len, &whole, &why) < 0)
			return error_set(err, "--args: %s", why.text);
		c = mp_of(am_buf_val(&whole));
		if (mp_type(&c) != MP_MAP)
			return error_set(err,
			    "--args: it has to be an object, "
			    "as {\"k\":1}");
	}
	am_put_map(out,
	    copy_rest(am_buf_val(&whole), pairs, n_pairs, NULL) + n_pairs);
	(void)copy_rest(am_buf_val(&whole), pairs, n_pairs, out);
	for (size_t i = 0; i < n_pairs; i++)
		if (put_pair(out, pairs[i], err) < 0)
			return -EINVAL;
	if (out->len > ARGS_LEN_MAX)
		return error_set(err, "the arguments are longer than 16 MiB");
	if (!mp_is_value(am_buf_val(out)))
		return error_set(err,
		    "the arguments are nested deeper than %d levels",
		    MP_VALUE_DEPTH_MAX);
	return 0;
}

/* Reads to the end, at most a frame. 0, -errno, -EFBIG. */
static int
read_all(int fd, struct am_buf *out)
{
	while (out->len <= ARGS_LEN_MAX) {
		ssize_t n;

		if (am_buf_reserve(out, 65536) < 0)
			return -ENOMEM;
		n = read(fd, out->data + out->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		out->len += (size_t)n;
	}
	return -EFBIG;
}

/* @FILE or -. */
static int
read_from(struct cli *c, const char *from, struct am_buf *out)
{
	am_cleanup(am_closep) int own_fd = -1;
	int fd = STDIN_FILENO;
	int rc;

	if (*from == '@') {
		fd = own_fd = open(from + 1, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return cli_fail(c, EX_USAGE, "usage", "--args %s: %s",
			    from, strerror(errno));
	}
	rc = read_all(fd, out);
	if (rc == -EFBIG)
		return cli_fail(c, EX_USAGE, "usage",
		    "--args %s: longer than 16 MiB", from);
	if (rc < 0)
		return cli_fail(c, EX_USAGE, "usage", "--args %s: %s", from,
		    strerror(-rc));
	return EX_OK;
}

int
args_take(struct cli *c, char *const *pairs, size_t n_pairs, struct am_buf *out)
{
	am_cleanup(buf_donep) struct am_buf file = AM_BUF_INIT;
	const char *json = c->opts.text[OPT_ARGS];
	size_t len = json == NULL ? 0 : strlen(json);
	struct am_error err;

	if (json != NULL && (*json == '@' || strcmp(json, "-") == 0)) {
		if (read_from(c, json, &file) != EX_OK)
			return EX_USAGE;
		json = file.data == NULL ? "" : file.data;
		len = file.len;
	}
	if (args_build(json, len, pairs, n_pairs, out, &err) < 0)
		return cli_fail(c, EX_USAGE, "usage", "%s", err.text);
	return EX_OK;
}
