#include "daemon/config/ids.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/words.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

enum { NAME_SIZE = 64 };

/* The system's answer: 0, or -errno (0 in errno: there is none). */
typedef int (*lookup_fn)(const char *name, uint32_t *ret);

static int
user_lookup(const char *name, uint32_t *ret)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL)
		return errno == 0 ? -ENOENT : -errno;
	*ret = pw->pw_uid;
	return 0;
}

static int
group_lookup(const char *name, uint32_t *ret)
{
	const struct group *gr;

	errno = 0;
	gr = getgrnam(name);
	if (gr == NULL)
		return errno == 0 ? -ENOENT : -errno;
	*ret = gr->gr_gid;
	return 0;
}

/* A number is taken as it is: the highest one means nobody. */
static int
find(const char *name, const char *what, lookup_fn lookup, uint32_t *ret,
    struct am_error *err)
{
	int64_t number;
	int r;

	if (words_count(name, &number) == 0) {
		if (number >= UINT32_MAX)
			return error_set(err, "\"%s\" is no id of a %s", name,
			    what);
		*ret = (uint32_t)number;
		return 0;
	}
	r = lookup(name, ret);
	if (r < 0)
		return error_set(err, "%s \"%s\": %s", what, name,
		    r == -ENOENT || r == -ESRCH ? "no such name"
						: strerror(-r));
	return 0;
}

static int
ids_parse(const char *text, const char *what, lookup_fn lookup,
    struct config_ids *ret, struct am_error *err)
{
	static const char between[] = " \t,";
	struct config_ids ids = { NULL, 0 };
	char name[NAME_SIZE];
	uint32_t *more;
	size_t len;
	int r = 0;

	for (; *(text += strspn(text, between)) != '\0'; text += len) {
		len = strcspn(text, between);
		if (len >= sizeof(name)) {
			r = error_set(err, "a name of %zu bytes is too long",
			    len);
			break;
		}
		memcpy(name, text, len);
		name[len] = '\0';
		more = reallocarray(ids.id, ids.n + 1, sizeof(*more));
		if (more == NULL) {
			r = -ENOMEM;
			break;
		}
		ids.id = more;
		r = find(name, what, lookup, &ids.id[ids.n], err);
		if (r < 0)
			break;
		ids.n++;
	}
	if (r < 0)
		ids_done(&ids);
	else
		*ret = ids;
	return r;
}

int
ids_of_users(const char *text, struct config_ids *ret, struct am_error *err)
{
	return ids_parse(text, "user", user_lookup, ret, err);
}

int
ids_of_groups(const char *text, struct config_ids *ret, struct am_error *err)
{
	return ids_parse(text, "group", group_lookup, ret, err);
}

void
ids_done(struct config_ids *ids)
{
	free(ids->id);
	*ids = (struct config_ids){ NULL, 0 };
}

bool
ids_have(const struct config_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n; i++) {
		if (ids->id[i] == id)
			return true;
	}
	return false;
}
