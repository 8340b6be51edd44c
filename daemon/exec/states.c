#include "daemon/exec/states.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "proto/worker.h"

/* The first base state in a list of the program's; -1: none. */
static int
base_state(const struct am_list *l)
{
	for (size_t i = 0; i < l->len; i++) {
		if (l->id[i] < Wrk__COUNT)
			return l->id[i];
	}
	return -1;
}

static int
check_own(const struct am_schema *s, struct am_error *err)
{
	for (size_t id = Wrk__COUNT; id < am_schema_len(s); id++) {
		const struct am_state *row = am_schema_state(s, (am_id)id);
		int add = base_state(&row->add);
		int remove = base_state(&row->remove);

		if (add < 0 && remove < 0)
			continue;
		return error_set(err,
		    "state \"%s\" %s \"%s\", a state of the worker itself; "
		    "it may only require it",
		    row->name, add >= 0 ? "adds" : "removes",
		    am_schema_name(s, (am_id)(add >= 0 ? add : remove)));
	}
	return 0;
}

struct am_schema *
states_from_json(const char *json, size_t len, struct am_error *err)
{
	struct am_schema *s = json == NULL
	    ? am_schema_new(&am_worker_states, err)
	    : am_schema_from_json(json, len, &am_worker_states, err);

	if (s != NULL && check_own(s, err) < 0)
		return am_schema_unref(s);
	return s;
}

static int
read_file(const char *path, struct am_buf *out)
{
	am_cleanup(am_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		buf_append(out, chunk, (size_t)n);
		if (out->len > STATES_FILE_MAX)
			return -EFBIG;
	}
	return n < 0 ? -errno : am_buf_error(out);
}

struct am_schema *
states_from_file(const char *path, struct am_error *err)
{
	am_cleanup(buf_donep) struct am_buf json = AM_BUF_INIT;
	struct am_error why;
	struct am_schema *s;
	int r = read_file(path, &json);

	if (r < 0) {
		(void)error_set(err, "schema %s: %s", path, strerror(-r));
		return NULL;
	}
	s = states_from_json(buf_text(&json), json.len, &why);
	if (s == NULL)
		(void)error_set(err, "schema %s: %s", path, why.text);
	return s;
}

struct am_schema *
states_from_value(struct am_val rows, struct am_error *err)
{
	am_cleanup(buf_donep) struct am_buf map = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf json = AM_BUF_INIT;
	struct am_error why;
	struct am_schema *s = NULL;

	am_put_map(&map, 1);
	am_put_str(&map, "states");
	am_put_val(&map, rows);
	if (am_json_encode(am_buf_val(&map), &json, &why) == 0)
		s = states_from_json(json.data, json.len, &why);
	if (s == NULL)
		(void)error_set(err, "the ready message's states: %s",
		    why.text);
	return s;
}
