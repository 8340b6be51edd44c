#include "daemon/model.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
model_init(struct model *m, struct am_loop *l,
    const struct model_timers *timers)
{
	*m = (struct model){ .loop = l, .timers = timers };
	TAILQ_INIT(&m->workers);
	for (size_t i = 0; i < WORKER__COUNT; i++)
		TAILQ_INIT(&m->in_state[i]);
	TAILQ_INIT(&m->leases);
	TAILQ_INIT(&m->queue);
	TAILQ_INIT(&m->clients);
	starts_init(&m->starts);
	m->next_fit_ns = INT64_MAX;
	m->ends = calloc(LEASE_ENDS_MAX, sizeof(*m->ends));
	return m->ends == NULL ? -ENOMEM : 0;
}

void
model_done(struct model *m)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&m->clients)) != NULL)
		model_remove_client(m, c);
	starts_done(&m->starts);
	free(m->ends);
	m->ends = NULL;
}

/* ---- users ---- */

static struct user *
user_ref(struct model *m, uid_t uid, const char *subject)
{
	uint64_t key = index_key(subject) ^ uid;
	struct index_item *it;
	struct user *u;

	INDEX_FOREACH(it, &m->user_index, key)
	{
		u = it->row;
		if (u->uid == uid && strcmp(u->subject, subject) == 0) {
			u->refs++;
			return u;
		}
	}
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	u->uid = uid;
	(void)snprintf(u->subject, sizeof(u->subject), "%s", subject);
	u->refs = 1;
	index_add(&m->user_index, &u->by_name, key, u);
	return u;
}

static void
user_unref(struct user *u)
{
	if (u == NULL || --u->refs > 0)
		return;
	assert(u->n_asked == 0);
	index_remove(&u->by_name);
	free(u);
}

/* ---- clients ---- */

struct client *
client_find(const struct model *m, uint64_t id)
{
	struct index_item *it;

	INDEX_FOREACH(it, &m->client_index, id)
	return it->row;
	return NULL;
}

int
model_add_client(struct model *m, struct client *c)
{
	c->user = user_ref(m, c->uid, c->subject);
	if (c->user == NULL)
		return -ENOMEM;
	TAILQ_INIT(&c->waiters);
	TAILQ_INSERT_TAIL(&m->clients, c, link);
	index_add(&m->client_index, &c->by_id, c->id, c);
	return 0;
}

void
model_remove_client(struct model *m, struct client *c)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&c->waiters)) != NULL) {
		TAILQ_REMOVE(&c->waiters, w, client_link);
		w->client = NULL;
	}
	TAILQ_REMOVE(&m->clients, c, link);
	index_remove(&c->by_id);
	user_unref(c->user);
	c->user = NULL;
}

/* ---- waiters ---- */

static uint64_t
request_key(uint64_t client_id, uint64_t request)
{
	return client_id * UINT64_C(0x9e3779b97f4a7c15) + request;
}

struct waiter *
waiter_new(struct super *s, struct model *m, struct client *c, uint64_t request)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->user = user_ref(m, c != NULL ? c->uid : (uid_t)-1,
	    c != NULL ? c->subject : "");
	if (w->user == NULL) {
		free(w);
		return NULL;
	}
	w->user->n_asked++;
	w->super = s;
	w->owner = OWNER_INIT;
	w->request = request;
	am_timer_init(&w->timer, m->loop, m->timers->waiter, w);
	if (c == NULL)
		return w;
	w->client = c;
	w->client_id = c->id;
	(void)snprintf(w->name, sizeof(w->name), "%s", c->name);
	TAILQ_INSERT_TAIL(&c->waiters, w, client_link);
	index_add(&m->request_index, &w->by_request,
	    request_key(c->id, request), w);
	return w;
}

void
waiter_free(struct model *m, struct waiter *w)
{
	if (w == NULL)
		return;
	assert(w->owner.event == NULL && w->lease == NULL);
	waiter_unqueue(m, w);
	am_timer_done(&w->timer);
	if (w->client != NULL)
		TAILQ_REMOVE(&w->client->waiters, w, client_link);
	index_remove(&w->by_request);
	w->user->n_asked--;
	user_unref(w->user);
	free(w);
}

struct waiter *
waiter_find(const struct model *m, uint64_t client_id, uint64_t request)
{
	uint64_t key = request_key(client_id, request);
	struct index_item *it;
	struct waiter *w;

	INDEX_FOREACH(it, &m->request_index, key)
	{
		w = it->row;
		if (w->client_id == client_id && w->request == request)
			return w;
	}
	return NULL;
}

/* From its end: most have the priority of all. */
void
waiter_queue(struct model *m, struct waiter *w)
{
	struct waiter *before = TAILQ_LAST(&m->queue, waiter_list);

	while (before != NULL && before->priority < w->priority)
		before = TAILQ_PREV(before, waiter_list, link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&m->queue, before, w, link);
	else
		TAILQ_INSERT_HEAD(&m->queue, w, link);
	w->state = WAITER_QUEUED;
	m->n_waiting++;
}

void
waiter_queue_head(struct model *m, struct waiter *w)
{
	TAILQ_INSERT_HEAD(&m->queue, w, link);
	w->state = WAITER_QUEUED;
	m->n_waiting++;
}

void
waiter_unqueue(struct model *m, struct waiter *w)
{
	if (w->state != WAITER_QUEUED)
		return;
	TAILQ_REMOVE(&m->queue, w, link);
	m->n_waiting--;
	w->state = WAITER_NEW;
}

void
waiter_answered(struct waiter *w)
{
	assert(w->state != WAITER_QUEUED);
	w->state = WAITER_ANSWERED;
}
