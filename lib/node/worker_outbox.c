#include "lib/node/worker_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "lib/loop/loop.h"

void
outbox_init(struct outbox *o, struct am_loop *l, size_t max_bytes,
    size_t max_len)
{
	*o = (struct outbox){
		.loop = l,
		.max_bytes = max_bytes,
		.max_len = max_len,
	};
	TAILQ_INIT(&o->entries);
}

static size_t
cost(size_t len)
{
	return sizeof(struct outbox_entry) + len;
}

void
outbox_await(struct outbox *o, struct outbox_entry *e, bool on)
{
	if (e->awaited != on)
		o->n_awaited += on ? 1 : -(size_t)1;
	e->awaited = on;
}

void
outbox_drop(struct outbox *o, struct outbox_entry *e)
{
	outbox_await(o, e, false);
	o->n_events -= e->client_id == 0;
	TAILQ_REMOVE(&o->entries, e, link);
	LIST_REMOVE(e, hash);
	o->bytes -= cost(e->data.len);
	o->len--;
	loop_free(o->loop, e, cost(e->data.len));
}

void
outbox_clear(struct outbox *o)
{
	struct outbox_entry *e;

	while ((e = TAILQ_FIRST(&o->entries)) != NULL)
		outbox_drop(o, e);
}

bool
outbox_has_room(const struct outbox *o, size_t len)
{
	if (o->len == 0)
		return true;
	return o->len < o->max_len && o->bytes + cost(len) <= o->max_bytes;
}

struct outbox_entry *
outbox_put(struct outbox *o, uint64_t client_id, uint32_t req,
    enum arpc_payload_kind kind, const char *name, struct am_val data)
{
	size_t name_len = strlen(name) + 1;
	struct outbox_entry *e = malloc(sizeof(*e) + data.len + name_len);
	char *bytes;

	if (e == NULL)
		return NULL;
	bytes = (char *)(e + 1);
	if (data.len > 0)
		memcpy(bytes, data.data, data.len);
	memcpy(bytes + data.len, name, name_len);
	*e = (struct outbox_entry){
		.seq = ++o->last_seq,
		.client_id = client_id,
		.req = req,
		.kind = kind,
		.name = bytes + data.len,
		.data = data.len > 0 ? (struct am_val){ bytes, data.len }
				     : AM_NONE,
	};
	TAILQ_INSERT_TAIL(&o->entries, e, link);
	LIST_INSERT_HEAD(&o->bucket[e->seq % OUTBOX_BUCKETS], e, hash);
	o->bytes += cost(data.len);
	o->len++;
	o->n_events += client_id == 0;
	return e;
}

struct outbox_entry *
outbox_find(const struct outbox *o, uint64_t seq)
{
	struct outbox_entry *e = TAILQ_FIRST(&o->entries);

	/* Mostly it is the oldest one that is acked. */
	if (e != NULL && e->seq == seq)
		return e;
	LIST_FOREACH(e, &o->bucket[seq % OUTBOX_BUCKETS], hash) {
		if (e->seq == seq)
			return e;
	}
	return NULL;
}

/* From the end that is nearer. */
const struct outbox_entry *
outbox_after(const struct outbox *o, uint64_t seq)
{
	const struct outbox_entry *first = TAILQ_FIRST(&o->entries);
	const struct outbox_entry *e;

	if (first == NULL || first->seq > seq)
		return first;
	if (seq - first->seq < o->last_seq / 2 - first->seq / 2) {
		e = first;
		while (e != NULL && e->seq <= seq)
			e = TAILQ_NEXT(e, link);
		return e;
	}
	e = TAILQ_LAST(&o->entries, outbox_list);
	if (e->seq <= seq)
		return NULL;
	while (TAILQ_PREV(e, outbox_list, link)->seq > seq)
		e = TAILQ_PREV(e, outbox_list, link);
	return e;
}
