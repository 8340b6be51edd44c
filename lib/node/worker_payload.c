/* Sends payloads from the outbox to the clients of the lease, and removes them
 * (flow rules 8 and 9). Each connection gets its payloads in order: one that
 * waits for room delays those after it. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/node/worker_int.h"

/* How long a disconnected client is expected back if the lease has no ttl. */
enum { AWAY_MS = 60000 };

static void on_client_room(struct rpc_session *s, void *arg);

static uint16_t
bit_of(const struct lease_client *c)
{
	return (uint16_t)(1U << (c - c->worker->client));
}

/* A result is for the client that asked, an event for all clients of the
 * lease. */
static bool
is_for(const struct outbox_entry *e, const struct lease_client *c)
{
	if (e->client_id == 0)
		return c->gets_events && (e->acked & bit_of(c)) == 0;
	return e->client_id == c->client_id;
}

static void
push(struct lease_client *c)
{
	const struct outbox_entry *e;
	int r = 0;

	while ((e = c->next) != NULL) {
		if (is_for(e, c))
			r = rpc_session_payload(c->session, e->seq, e->req,
			    e->kind, e->name, e->data);
		/* Nothing is lost: it stays in the outbox. */
		if (r == -EAGAIN)
			rpc_session_on_room(c->session, on_client_room, c);
		if (r < 0)
			return;
		c->next = TAILQ_NEXT(e, link);
	}
}

static void
on_client_room(struct rpc_session *s, void *arg)
{
	struct lease_client *c = arg;

	if (c->session == s)
		push(c);
}

void
payload_send(struct am_worker *w, struct outbox_entry *e)
{
	for (size_t i = 0; i < NODE_LEN(w->client); i++) {
		struct lease_client *c = &w->client[i];

		if (c->session == NULL)
			continue;
		if (c->next == NULL)
			c->next = e;
		push(c);
	}
}

/* ---- out of the outbox ---- */

static void
drop(struct am_worker *w, struct outbox_entry *e)
{
	for (size_t i = 0; i < NODE_LEN(w->client); i++) {
		if (w->client[i].next == e)
			w->client[i].next = TAILQ_NEXT(e, link);
	}
	outbox_drop(&w->outbox, e);
}

/* Whether every client that gets this event has acked it. */
static bool
is_acked_by_all(const struct am_worker *w, const struct outbox_entry *e)
{
	for (size_t i = 0; i < NODE_LEN(w->client); i++) {
		const struct lease_client *c = &w->client[i];

		if (c->worker != NULL && is_for(e, c))
			return false;
	}
	return true;
}

void
payload_acked(struct am_worker *w, struct lease_client *by, uint64_t seq)
{
	struct outbox_entry *e = outbox_find(&w->outbox, seq);

	if (e == NULL)
		return;
	e->was_acked = true;
	if (by->gets_events)
		e->acked |= bit_of(by);
	if (e->client_id != 0 || is_acked_by_all(w, e))
		drop(w, e);
	else
		lease_clients_forget_lost(w);
}

void
payloads_clear(struct am_worker *w)
{
	for (size_t i = 0; i < NODE_LEN(w->client); i++)
		w->client[i].next = NULL;
	outbox_clear(&w->outbox);
}

/* ---- clients ---- */

static struct lease_client *
find_slot(struct am_worker *w, uint64_t client_id)
{
	struct lease_client *free = NULL, *longest = NULL;

	for (size_t i = 0; i < NODE_LEN(w->client); i++) {
		struct lease_client *c = &w->client[i];

		if (c->worker == NULL)
			free = c;
		else if (c->session == NULL && c->client_id == client_id)
			return c;
		else if (c->session == NULL &&
		    (longest == NULL || c->away_ns < longest->away_ns))
			longest = c;
	}
	if (free == NULL && longest != NULL) {
		lease_client_forget(longest);
		return longest;
	}
	return free;
}

struct lease_client *
lease_client_up(struct am_worker *w, struct rpc_session *s)
{
	uint64_t client_id = rpc_session_client_id(s);
	struct lease_client *c = find_slot(w, client_id);

	if (c == NULL)
		return NULL;
	c->worker = w;
	c->session = s;
	c->client_id = client_id;
	c->gets_events = rpc_session_gets_events(s);
	c->next = TAILQ_FIRST(&w->outbox.entries);
	w->n_sessions++;
	return c;
}

void
lease_client_catch_up(struct lease_client *c)
{
	if (c->session != NULL)
		push(c);
}

void
lease_client_down(struct lease_client *c)
{
	c->worker->n_sessions--;
	c->session = NULL;
	c->next = NULL;
	c->away_ns = clock_ns();
}

bool
lease_client_is_known(const struct am_worker *w, uint64_t client_id)
{
	for (size_t i = 0; i < NODE_LEN(w->client); i++) {
		const struct lease_client *c = &w->client[i];

		if (c->worker != NULL && c->client_id == client_id)
			return true;
	}
	return false;
}

void
lease_client_forget(struct lease_client *c)
{
	struct am_worker *w = c->worker;
	bool is_noted = w->outbox.n_awaited > 0 ||
	    (c->gets_events && w->outbox.n_events > 0);
	uint64_t client_id = c->client_id;
	uint16_t bit = bit_of(c);
	struct outbox_entry *e, *next;

	*c = (struct lease_client){ .session = NULL };
	if (!is_noted)
		return;
	for (e = TAILQ_FIRST(&w->outbox.entries); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		e->acked &= (uint16_t)~bit;
		if (e->client_id == client_id &&
		    !lease_client_is_known(w, client_id))
			outbox_await(&w->outbox, e, false);
		else if (e->client_id == 0 && e->was_acked &&
		    is_acked_by_all(w, e))
			drop(w, e);
	}
}

void
lease_clients_forget_lost(struct am_worker *w)
{
	int64_t ms = w->lease.ttl_ms > 0 ? w->lease.ttl_ms : AWAY_MS;
	int64_t before_ns = clock_ns() - node_ns(ms);

	for (size_t i = 0; i < NODE_LEN(w->client); i++) {
		struct lease_client *c = &w->client[i];

		if (c->worker != NULL && c->session == NULL &&
		    c->away_ns < before_ns)
			lease_client_forget(c);
	}
}

/* ---- the end of the lease ---- */

void
payloads_await(struct am_worker *w)
{
	struct outbox_entry *e;

	TAILQ_FOREACH(e, &w->outbox.entries, link) {
		if (e->client_id != 0 && lease_client_is_known(w, e->client_id))
			outbox_await(&w->outbox, e, true);
	}
}
