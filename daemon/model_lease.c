/* The rows of leases, and how those that are over ended. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/model.h"
#include "lib/base/clock.h"
#include "lib/base/secret.h"

struct lease *
lease_new(struct model *m, struct worker *w, struct waiter *waiter)
{
	struct lease *l = calloc(1, sizeof(*l));

	if (l == NULL ||
	    getrandom(l->token, sizeof(l->token), 0) != sizeof(l->token)) {
		free(l);
		return NULL;
	}
	assert(w->lease == NULL);
	waiter_unqueue(m, waiter);
	am_timer_stop(&waiter->timer);
	waiter->state = WAITER_OFFERED;
	waiter->lease = l;
	l->super = waiter->super;
	l->worker = w;
	l->waiter = waiter;
	(void)snprintf(l->id, sizeof(l->id), "L%" PRIu32, ++m->last_lease);
	l->since_ns = clock_ns();
	am_timer_init(&l->timer, m->loop, m->timers->lease, l);
	am_timer_init(&l->max_timer, m->loop, m->timers->lease_max, l);
	TAILQ_INSERT_TAIL(&m->leases, l, link);
	index_add(&m->lease_index, &l->by_id, index_key(l->id), l);
	m->n_leases++;
	w->lease = l;
	worker_set_state(m, w, WORKER_LEASED);
	return l;
}

static void
remember_end(struct model *m, const struct lease *l, const char *reason)
{
	struct lease_end *end = &m->ends[m->next_end];

	index_remove(&end->by_id);
	*end = (struct lease_end){ .id = "" };
	(void)snprintf(end->id, sizeof(end->id), "%s", l->id);
	(void)snprintf(end->worker, sizeof(end->worker), "%s", l->worker->id);
	(void)snprintf(end->reason, sizeof(end->reason), "%s", reason);
	index_add(&m->end_index, &end->by_id, index_key(end->id), end);
	m->next_end = (m->next_end + 1) % LEASE_ENDS_MAX;
}

void
lease_free(struct model *m, struct lease *l, const char *reason,
    struct waiter **ret_waiter)
{
	if (reason != NULL)
		remember_end(m, l, reason);
	TAILQ_REMOVE(&m->leases, l, link);
	index_remove(&l->by_id);
	m->n_leases--;
	l->worker->lease = NULL;
	worker_give_back(m, l->worker, clock_ns());
	am_timer_done(&l->timer);
	am_timer_done(&l->max_timer);
	l->waiter->lease = NULL;
	*ret_waiter = l->waiter;
	explicit_bzero(l->token, sizeof(l->token));
	free(l);
}

struct lease *
lease_find(const struct model *m, const char *id)
{
	uint64_t key = index_key(id);
	struct index_item *it;
	struct lease *l;

	INDEX_FOREACH(it, &m->lease_index, key)
	{
		l = it->row;
		if (strcmp(l->id, id) == 0)
			return l;
	}
	return NULL;
}

const struct lease_end *
lease_find_end(const struct model *m, const char *id)
{
	uint64_t key = index_key(id);
	const struct lease_end *end;
	struct index_item *it;

	INDEX_FOREACH(it, &m->end_index, key)
	{
		end = it->row;
		if (strcmp(end->id, id) == 0)
			return end;
	}
	return NULL;
}

void
lease_set_state(struct lease *l, enum lease_state to)
{
	l->state = to;
}

bool
lease_is_confirmed(const struct lease *l)
{
	return l->state == LEASE_CONFIRMED || l->state == LEASE_OVERDUE;
}

const char *
lease_state_name(enum lease_state state)
{
	switch (state) {
	case LEASE_OFFERED:
		return "offered";
	case LEASE_GRANTED:
		return "granted";
	case LEASE_CONFIRMED:
	case LEASE_OVERDUE:
		return "confirmed";
	case LEASE_ENDING:
		return "ending";
	case LEASE__COUNT:
		break;
	}
	abort();
}

bool
lease_permits(const struct lease *l, const struct client *c)
{
	const struct waiter *w = l->waiter;

	if (c->has_token && secret_equal(c->token, l->token, sizeof(l->token)))
		return true;
	if (w->client_id == c->id)
		return true;
	return c->admin || (c->uid != (uid_t)-1 && c->uid == w->user->uid);
}
