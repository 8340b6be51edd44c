#include "lib/rpc/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/rpc/session.h"
#include "proto/mp.h"

void
watch_init(struct watch *w)
{
	*w = (struct watch){ .visible = NULL };
	TAILQ_INIT(&w->when_args);
}

static void
when_args_free(struct watch *w, struct when_args *a)
{
	TAILQ_REMOVE(&w->when_args, a, link);
	w->n_when_args--;
	w->when_args_bytes -= a->len;
	free(a);
}

void
watch_done(struct watch *w)
{
	struct when_args *a;

	while ((a = TAILQ_FIRST(&w->when_args)) != NULL)
		when_args_free(w, a);
	free(w->visible);
	free(w->prompt);
	w->visible = w->prompt = NULL;
}

/* ---- which clocks ---- */

static void
mark(uint64_t *set, am_id state, bool on)
{
	uint64_t bit = UINT64_C(1) << state % 64;

	set[state / 64] = on ? set[state / 64] | bit : set[state / 64] & ~bit;
}

static bool
sees(const struct watch *w, am_id state)
{
	return w->visible == NULL ||
	    (w->visible[state / 64] >> state % 64 & 1) != 0;
}

/* The set of the named states if on; else the set of all others. */
static int
named_set(const struct am_schema *schema, struct am_val names, bool on,
    uint64_t **ret, struct am_error *err)
{
	size_t words = (am_schema_len(schema) + 63) / 64;
	am_cleanup(am_freep) uint64_t *set = calloc(words, sizeof(*set));
	struct mp c = mp_of(names);
	const char *name;
	size_t len;
	uint32_t n;
	int id;

	if (set == NULL)
		return error_set(err, "no memory"), -ENOMEM;
	if (!on)
		memset(set, 0xff, words * sizeof(*set));
	if (mp_get_array(&c, &n) < 0)
		return error_set(err, "sync: the states are not an array"),
		       -EINVAL;
	if (n > am_schema_len(schema))
		return error_set(err, "sync: more names than states"), -EINVAL;
	for (; n > 0; n--) {
		if (mp_get_str(&c, &name, &len) < 0)
			return error_set(err, "sync: a state is not a name"),
			       -EINVAL;
		id = am_schema_id(schema, name, len);
		if (id < 0)
			return error_set(err, "sync: no state \"%.*s\"",
				   (int)(len < 64 ? len : 64), name),
			       -EINVAL;
		mark(set, (am_id)id, on);
	}
	*ret = am_steal(&set);
	return 0;
}

int
watch_set(struct watch *w, const struct am_schema *schema,
    const struct arpc_sync *sync, struct am_error *err)
{
	bool allow = sync->allow.data != NULL;
	int r = 0;

	w->shallow = sync->shallow;
	w->mutations = sync->mutations;
	w->no_schema = sync->no_schema;
	w->no_events = sync->no_events;
	w->others = !allow;
	if (allow || sync->skip.data != NULL)
		r = named_set(schema, allow ? sync->allow : sync->skip, allow,
		    &w->visible, err);
	if (r == 0 && sync->prompt.data != NULL)
		r = named_set(schema, sync->prompt, true, &w->prompt, err);
	return r;
}

static int
grow_set(uint64_t **set, size_t n_old, size_t n, int fill)
{
	size_t words = (n + 63) / 64, old = (n_old + 63) / 64;
	uint64_t *longer;

	if (*set == NULL)
		return 0;
	longer = reallocarray(*set, words, sizeof(*longer));
	if (longer == NULL)
		return -ENOMEM;
	memset(longer + old, fill, (words - old) * sizeof(*longer));
	*set = longer;
	return 0;
}

/* Bits after the last state have the value for new states already. */
int
watch_grow(struct watch *w, size_t n_old, size_t n)
{
	int r = grow_set(&w->visible, n_old, n, w->others ? 0xff : 0);

	return r < 0 ? r : grow_set(&w->prompt, n_old, n, 0);
}

const uint64_t *
watch_time(const struct watch *w, const uint64_t *now, const uint64_t *sent,
    uint64_t *scratch, size_t n)
{
	if (w->visible == NULL && !w->shallow)
		return now;
	for (size_t i = 0; i < n; i++) {
		if (!sees(w, (am_id)i))
			scratch[i] = sent[i];
		else if (w->shallow)
			scratch[i] = sent[i] + ((sent[i] ^ now[i]) & 1);
		else
			scratch[i] = now[i];
	}
	return scratch;
}

bool
watch_is_prompt(const struct watch *w, const uint64_t *seen,
    const uint64_t *sent, size_t n)
{
	if (w->prompt == NULL)
		return true;
	for (size_t i = 0; i < n; i++) {
		if (seen[i] != sent[i] &&
		    (w->prompt[i / 64] >> i % 64 & 1) != 0)
			return true;
	}
	return false;
}

/* ---- args ---- */

int
watch_when_args(struct watch *w, uint32_t id, am_id state, struct am_val args)
{
	struct when_args *a;

	if (w->n_when_args == WHEN_ARGS_MAX ||
	    args.len > WHEN_ARGS_BYTES - w->when_args_bytes)
		return -ENOSPC;
	a = malloc(sizeof(*a) + args.len);
	if (a == NULL)
		return -ENOMEM;
	*a = (struct when_args){ .id = id, .state = state, .len = args.len };
	if (args.len > 0)
		memcpy(a->args, args.data, args.len);
	TAILQ_INSERT_TAIL(&w->when_args, a, link);
	w->n_when_args++;
	w->when_args_bytes += a->len;
	return 0;
}

/* Has args each key of want, with the same value? */
static bool
has_args(struct am_val args, struct am_val want)
{
	struct mp c = mp_of(want);
	struct am_val value, found;
	char key[128];
	uint32_t n;

	if (want.len == 0)
		return true;
	if (mp_get_map(&c, &n) < 0)
		return false;
	for (; n > 0; n--) {
		if (mp_get_text(&c, key, sizeof(key)) < 0 ||
		    mp_get_val(&c, &value) < 0 ||
		    am_get(args, key, &found) < 0 || found.len != value.len ||
		    memcmp(found.data, value.data, value.len) != 0)
			return false;
	}
	return true;
}

static bool
is_called(const struct am_transition *t, am_id state)
{
	for (size_t i = 0; i < t->n_called; i++) {
		if (t->called[i] == state)
			return true;
	}
	return false;
}

static void
check_args(struct rpc_session *s, const struct am_transition *t)
{
	struct watch *w = &s->watch;
	struct when_args *a;
	struct when_args *next;

	for (a = TAILQ_FIRST(&w->when_args); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (!is_called(t, a->state) ||
		    !am_is1(s->srv->machine, a->state) ||
		    !has_args(t->args, (struct am_val){ a->args, a->len }))
			continue;
		session_answer_update(s, a->id);
		when_args_free(w, a);
	}
}

void
watch_transition(struct rpc_server *srv, const struct am_transition *t)
{
	struct rpc_session *s;

	if (t->check)
		return;
	TAILQ_FOREACH(s, &srv->sessions, link) {
		if (!session_is_up(s))
			continue;
		if (s->watch.mutations)
			session_put_mutated(s, t);
		if (s->watch.n_when_args > 0 && t->accepted &&
		    t->op != AM_REMOVE)
			check_args(s, t);
	}
}
