#include "lib/rpc/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void
forget(struct remembered *r)
{
	free(r->why);
	*r = (struct remembered){ .id = 0 };
}

void
memory_free(struct memory_list *l, struct memory *m)
{
	assert(m->session == NULL);
	TAILQ_REMOVE(l, m, link);
	for (size_t i = 0; i < MEMORY_WINDOW / MEMORY_CHUNK; i++) {
		for (size_t j = 0; m->chunk[i] != NULL && j < MEMORY_CHUNK; j++)
			free(m->chunk[i][j].why);
		free(m->chunk[i]);
	}
	free(m->subject);
	free(m);
}

/* false: all are in use. */
static bool
make_room(struct memory_list *l, int listener, size_t max)
{
	struct memory *unused = NULL;
	struct memory *m;
	size_t n = 0;

	TAILQ_FOREACH(m, l, link) {
		if (m->listener != listener)
			continue;
		n++;
		if (unused == NULL && m->session == NULL)
			unused = m;
	}
	if (n < max)
		return true;
	if (unused == NULL)
		return false;
	memory_free(l, unused);
	return true;
}

struct memory *
memory_new(struct memory_list *l, int listener, size_t max, uint64_t client_id,
    const struct conn_peer *peer)
{
	struct memory *m;

	if (!make_room(l, listener, max))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->client_id = client_id;
	m->uid = peer->uid;
	if (peer->subject != NULL) {
		m->subject = strdup(peer->subject);
		if (m->subject == NULL) {
			free(m);
			return NULL;
		}
	}
	m->listener = listener;
	TAILQ_INSERT_TAIL(l, m, link);
	return m;
}

static bool
is_of(const struct memory *m, const struct conn_peer *peer)
{
	if (m->uid != peer->uid)
		return false;
	if (m->subject == NULL || peer->subject == NULL)
		return m->subject == peer->subject;
	return strcmp(m->subject, peer->subject) == 0;
}

struct memory *
memory_find(struct memory_list *l, int listener, uint64_t client_id,
    const struct conn_peer *peer)
{
	struct memory *m;

	TAILQ_FOREACH(m, l, link) {
		if (m->listener != listener || m->client_id != client_id ||
		    !is_of(m, peer))
			continue;
		TAILQ_REMOVE(l, m, link);
		TAILQ_INSERT_TAIL(l, m, link);
		return m;
	}
	return NULL;
}

/* NULL: nothing was executed near this id. */
static struct remembered *
slot_of(const struct memory *m, uint32_t id)
{
	uint32_t i = id % MEMORY_WINDOW;
	struct remembered *chunk = m->chunk[i / MEMORY_CHUNK];

	return chunk == NULL ? NULL : &chunk[i % MEMORY_CHUNK];
}

static bool
make_slot(struct memory *m, uint32_t id)
{
	struct remembered **chunk =
	    &m->chunk[id % MEMORY_WINDOW / MEMORY_CHUNK];

	if (*chunk == NULL)
		*chunk = calloc(MEMORY_CHUNK, sizeof(**chunk));
	return *chunk != NULL;
}

enum memory_is
memory_see(struct memory *m, uint32_t id, const struct remembered **ret)
{
	const struct remembered *r = slot_of(m, id);
	uint32_t ahead = memory_distance(m->newest, id);
	bool is_new = m->newest == 0 || (ahead > 0 && ahead <= UINT16_MAX / 2);

	if (!is_new && memory_distance(id, m->newest) >= MEMORY_WINDOW)
		return MEMORY_FORGOTTEN;
	/* The others came and were refused before they reached the machine. */
	if (is_new || r == NULL || r->id != id) {
		if (!make_slot(m, id))
			return MEMORY_FULL;
		if (is_new)
			m->newest = id;
		return MEMORY_NEW;
	}
	*ret = r;
	return MEMORY_KNOWN;
}

void
memory_put(struct memory *m, uint32_t id, am_result result, const char *why)
{
	struct remembered *r = slot_of(m, id);

	forget(r);
	r->id = id;
	r->result = result;
	if (*why != '\0')
		r->why = strndup(why, MEMORY_WHY_MAX);
}
