#include "lib/rpc/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/rpc/session.h"
#include "proto/bits.h"
#include "proto/mp.h"

void
watch_init(struct watch *w)
{
	*w = (struct watch){ .visible = NULL };
	TAILQ_INIT(&w->when_args);
}

static void
when_args_free(struct when_args *a)
{
	struct rpc_user *u = a->session->user;
	struct watch *w = &a->session->watch;

	am_sub_cancel(a->session->srv->machine, a->sub);
	TAILQ_REMOVE(&w->when_args, a, link);
	w->n_when_args--;
	w->when_args_bytes -= a->len;
	u->when_keys -= a->n_keys;
	u->when_bytes -= a->len;
	free(a);
}

void
watch_end(struct watch *w)
{
	struct when_args *a;

	while ((a = TAILQ_FIRST(&w->when_args)) != NULL)
		when_args_free(a);
}

void
watch_done(struct watch *w)
{
	free(w->visible);
	free(w->prompt);
	w->visible = w->prompt = NULL;
}

/* ---- which clocks ---- */

static bool
sees(const struct watch *w, am_id state)
{
	return w->visible == NULL || bits_test(w->visible, state);
}

/* The set of the named states if on; else the set of all others. */
static int
named_set(const struct am_schema *schema, struct am_val names, bool on,
    uint64_t **ret, struct am_error *err)
{
	size_t words = BITS_WORDS(am_schema_len(schema));
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
		if (on)
			bits_set(set, (size_t)id);
		else
			bits_clear(set, (size_t)id);
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
	size_t words = BITS_WORDS(n), old = BITS_WORDS(n_old);
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
		if (seen[i] != sent[i] && bits_test(w->prompt, i))
			return true;
	}
	return false;
}

/* ---- args ---- */

static void
on_args(struct am_machine *m, void *arg)
{
	struct when_args *a = (struct when_args *)arg;

	a->sub = 0;
	if (!am_disposing(m) && session_is_up(a->session))
		session_answer_update(a->session, a->id);
	when_args_free(a);
}

static size_t
count_keys(struct am_val args)
{
	struct mp c = mp_of(args);
	uint32_t n = 0;

	if (args.len > 0)
		(void)mp_get_map(&c, &n);
	return n;
}

int
watch_when_args(struct rpc_session *s, uint32_t id, am_id state,
    struct am_val args)
{
	size_t n_keys = count_keys(args) + 1;
	struct rpc_user *u = s->user;
	struct watch *w = &s->watch;
	struct when_args *a;

	if (w->n_when_args == WHEN_ARGS_MAX ||
	    args.len > WHEN_ARGS_BYTES - w->when_args_bytes)
		return -ENOSPC;
	if (n_keys > USER_WHEN_KEYS - u->when_keys ||
	    args.len > USER_WHEN_BYTES - u->when_bytes)
		return -EDQUOT;
	a = malloc(sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	*a = (struct when_args){
		.session = s,
		.id = id,
		.len = args.len,
		.n_keys = n_keys,
	};
	a->sub = am_when_args(s->srv->machine, state, args, on_args, a);
	if (a->sub == AM_SUB_FAILED) {
		free(a);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&w->when_args, a, link);
	w->n_when_args++;
	w->when_args_bytes += a->len;
	u->when_keys += a->n_keys;
	u->when_bytes += a->len;
	return 0;
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
	}
}
