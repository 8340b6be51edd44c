#include "lib/rpc/replay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void
forget(struct replay *m, struct replay_entry *r)
{
	if (r->why != NULL)
		m->user->why_bytes -= strlen(r->why) + 1;
	free(r->why);
	*r = (struct replay_entry){ .number = 0 };
}

void
replay_free(struct replay_list *l, struct replay *m)
{
	assert(m->session == NULL);
	TAILQ_REMOVE(l, m, link);
	for (size_t i = 0; i < REPLAY_WINDOW / REPLAY_CHUNK; i++) {
		for (size_t j = 0; m->chunk[i] != NULL && j < REPLAY_CHUNK; j++)
			forget(m, &m->chunk[i][j]);
		free(m->chunk[i]);
	}
	m->user->n_replays--;
	m->user = user_unref(m->user);
	free(m);
}

/* Whose memory may go for one of this user: of him who has most. */
static bool
make_room(struct replay_list *l, int listener, size_t max,
    const struct rpc_user *user)
{
	struct replay *unused = NULL;
	struct replay *m;
	size_t n = 0;

	TAILQ_FOREACH(m, l, link) {
		if (m->listener != listener)
			continue;
		n++;
		if (m->session == NULL &&
		    (unused == NULL ||
			m->user->n_replays > unused->user->n_replays))
			unused = m;
	}
	if (n < max)
		return true;
	if (unused == NULL ||
	    (unused->user != user &&
		unused->user->n_replays <= user->n_replays))
		return false;
	replay_free(l, unused);
	return true;
}

struct replay *
replay_new(struct replay_list *l, int listener, size_t max, uint64_t client_id,
    struct rpc_user *user)
{
	struct replay *m;

	if (!make_room(l, listener, max, user))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->client_id = client_id;
	m->user = user;
	m->listener = listener;
	user->n_refs++;
	user->n_replays++;
	TAILQ_INSERT_TAIL(l, m, link);
	return m;
}

struct replay *
replay_find(struct replay_list *l, int listener, uint64_t client_id,
    const struct rpc_user *user)
{
	struct replay *m;

	TAILQ_FOREACH(m, l, link) {
		if (m->listener != listener || m->client_id != client_id ||
		    m->user != user)
			continue;
		TAILQ_REMOVE(l, m, link);
		TAILQ_INSERT_TAIL(l, m, link);
		return m;
	}
	return NULL;
}

static uint64_t
number_of(const struct replay *m, uint32_t id)
{
	return m->number - replay_distance(id, m->newest);
}

/* NULL: there is no chunk for this number. */
static struct replay_entry *
slot_of(const struct replay *m, uint64_t number)
{
	size_t i = number % REPLAY_WINDOW;
	struct replay_entry *chunk = m->chunk[i / REPLAY_CHUNK];

	return chunk == NULL ? NULL : &chunk[i % REPLAY_CHUNK];
}

static bool
make_slot(struct replay *m, uint64_t number)
{
	struct replay_entry **chunk =
	    &m->chunk[number % REPLAY_WINDOW / REPLAY_CHUNK];

	if (*chunk == NULL)
		*chunk = calloc(REPLAY_CHUNK, sizeof(**chunk));
	return *chunk != NULL;
}

static enum replay_is
see_new(struct replay *m, uint32_t id, uint32_t ahead)
{
	/* The first number is large enough that all ids before it have one. */
	uint64_t number = m->newest == 0 ? REPLAY_WINDOW : m->number + ahead;

	if (!make_slot(m, number))
		return REPLAY_FULL;
	m->newest = id;
	m->number = number;
	return REPLAY_NEW;
}

enum replay_is
replay_see(struct replay *m, uint32_t id, const struct replay_entry **ret)
{
	uint32_t ahead = replay_distance(m->newest, id);
	const struct replay_entry *r;
	uint64_t number;

	if (m->newest == 0 || (ahead > 0 && ahead <= UINT16_MAX / 2))
		return see_new(m, id, ahead);
	if (replay_distance(id, m->newest) >= REPLAY_WINDOW)
		return REPLAY_FORGOTTEN;
	number = number_of(m, id);
	r = slot_of(m, number);
	if (r != NULL && r->number == number) {
		*ret = r;
		return REPLAY_KNOWN;
	}
	/* It arrived before, but was refused before it reached the machine. */
	return make_slot(m, number) ? REPLAY_NEW : REPLAY_FULL;
}

void
replay_put(struct replay *m, uint32_t id, am_result result, const char *why)
{
	uint64_t number = number_of(m, id);
	struct replay_entry *r = slot_of(m, number);

	forget(m, r);
	r->number = number;
	r->result = result;
	if (*why != '\0' && m->user->why_bytes < USER_WHY_BYTES)
		r->why = strndup(why, REPLAY_WHY_MAX);
	if (r->why != NULL)
		m->user->why_bytes += strlen(r->why) + 1;
}
