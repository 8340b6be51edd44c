/* Subscriptions. Each waits in the chain of one state that keeps it from
 * holding; only when that one ticks is it looked at again. */
#include "lib/machine/mach.h"

#include <assert.h>
#include <stdlib.h>

#define NONE UINT32_MAX

enum sub_kind { WHEN, WHEN_NOT, WHEN_TIME };
enum sub_phase { FREE, WAITING, FIRING };

struct sub {
	uint64_t seq; /* fired in this order */
	am_sub_fn fn;
	void *arg;
	uint32_t gen; /* in the handle, so that an old one finds nothing */
	uint32_t next;
	uint32_t prev;
	uint16_t n;
	uint8_t kind;
	uint8_t phase;
	am_id pivot;
	am_id id1;
	uint64_t tick1;
	/* For more than one: ticks if WHEN_TIME, then ids; owned. */
	uint64_t *many;
};

struct chain {
	uint32_t head;
	uint32_t tail;
};

struct subs {
	struct sub *slot;
	uint32_t n_slots;
	uint32_t free; /* linked by next */
	uint64_t seq;
	uint64_t *watch; /* states with a chain */
	struct chain fire;
	struct chain chain[]; /* by state */
};

/* ---- chains ---- */

static void
chain_remove(struct subs *s, struct chain *c, uint32_t i)
{
	struct sub *b = &s->slot[i];

	if (b->prev != NONE)
		s->slot[b->prev].next = b->next;
	else
		c->head = b->next;
	if (b->next != NONE)
		s->slot[b->next].prev = b->prev;
	else
		c->tail = b->prev;
}

/* In order of seq; new ones are the latest, so it starts at the end. */
static void
chain_insert(struct subs *s, struct chain *c, uint32_t i)
{
	struct sub *b = &s->slot[i];
	uint32_t at = c->tail;

	while (at != NONE && s->slot[at].seq > b->seq)
		at = s->slot[at].prev;
	b->prev = at;
	b->next = at != NONE ? s->slot[at].next : c->head;
	if (b->next != NONE)
		s->slot[b->next].prev = i;
	else
		c->tail = i;
	if (at != NONE)
		s->slot[at].next = i;
	else
		c->head = i;
}

static void
watch_begin(struct subs *s, uint32_t i, am_id pivot)
{
	s->slot[i].pivot = pivot;
	s->slot[i].phase = WAITING;
	chain_insert(s, &s->chain[pivot], i);
	bits_set(s->watch, pivot);
}

static void
watch_end(struct subs *s, uint32_t i)
{
	am_id pivot = s->slot[i].pivot;

	chain_remove(s, &s->chain[pivot], i);
	if (s->chain[pivot].head == NONE)
		bits_clear(s->watch, pivot);
}

/* ---- conditions ---- */

static bool
keeps_waiting(const struct am_machine *m, enum sub_kind kind, am_id id,
    uint64_t tick)
{
	switch (kind) {
	case WHEN:
		return !bits_test(m->active, id);
	case WHEN_NOT:
		return bits_test(m->active, id);
	case WHEN_TIME:
		return m->clock[id] < tick;
	}
	return false;
}

/* A state for which it does not hold, or -1. */
static int
missing(const struct am_machine *m, enum sub_kind kind, const am_id *ids,
    const uint64_t *ticks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keeps_waiting(m, kind, ids[i], ticks ? ticks[i] : 0))
			return ids[i];
	return -1;
}

static int
sub_missing(const struct am_machine *m, const struct sub *b)
{
	enum sub_kind kind = (enum sub_kind)b->kind;
	size_t n_ticks = kind == WHEN_TIME ? b->n : 0;

	if (b->many == NULL)
		return missing(m, kind, &b->id1, &b->tick1, 1);
	return missing(m, kind, (const am_id *)(b->many + n_ticks),
	    n_ticks > 0 ? b->many : NULL, b->n);
}

/* ---- life ---- */

static struct subs *
subs_new(size_t len, size_t nw)
{
	struct subs *s = calloc(1,
	    sizeof(*s) + len * sizeof(s->chain[0]) + nw * sizeof(*s->watch));

	if (s == NULL)
		return NULL;
	s->watch = (uint64_t *)(s->chain + len);
	s->free = NONE;
	s->fire.head = s->fire.tail = NONE;
	for (size_t i = 0; i < len; i++)
		s->chain[i].head = s->chain[i].tail = NONE;
	return s;
}

void
subs_free(struct am_machine *m)
{
	struct subs *s = m->subs;

	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n_slots; i++)
		if (s->slot[i].phase != FREE)
			free(s->slot[i].many);
	free(s->slot);
	free(s);
	m->subs = NULL;
}

static uint32_t
slot_take(struct subs *s)
{
	uint32_t i = s->free, n;
	struct sub *grown;

	if (i == NONE) {
		n = s->n_slots > 0 ? 2 * s->n_slots : 4;
		if (n > UINT32_MAX / 4)
			return NONE;
		grown = realloc(s->slot, n * sizeof(*grown));
		if (grown == NULL)
			return NONE;
		for (i = n; i-- > s->n_slots;) {
			grown[i] = (struct sub){ .next = s->free };
			s->free = i;
		}
		s->slot = grown;
		s->n_slots = n;
		i = s->free;
	}
	s->free = s->slot[i].next;
	s->slot[i].gen++;
	return i;
}

static void
slot_give(struct subs *s, uint32_t i)
{
	struct sub *b = &s->slot[i];

	free(b->many);
	b->many = NULL;
	b->phase = FREE;
	b->next = s->free;
	s->free = i;
}

/* ---- firing ---- */

static void
collect(struct am_machine *m, am_id state)
{
	struct subs *s = m->subs;
	uint32_t i = s->chain[state].head, next;

	for (; i != NONE; i = next) {
		int pivot = sub_missing(m, &s->slot[i]);

		next = s->slot[i].next;
		if (pivot == state)
			continue;
		watch_end(s, i);
		if (pivot >= 0) {
			watch_begin(s, i, (am_id)pivot);
			continue;
		}
		s->slot[i].phase = FIRING;
		chain_insert(s, &s->fire, i);
	}
}

void
subs_run(struct am_machine *m, const uint64_t *changed)
{
	struct subs *s = m->subs;
	size_t nw = m->schema->nw;
	uint32_t i;

	if (!bits_meet(changed, s->watch, nw))
		return;
	for (SET_EACH(id, changed, nw))
		if (bits_test(s->watch, id))
			collect(m, (am_id)id);
	while (!m->dying && (i = s->fire.head) != NONE) {
		am_sub_fn fn = s->slot[i].fn;
		void *arg = s->slot[i].arg;

		chain_remove(s, &s->fire, i);
		slot_give(s, i);
		fn(m, arg);
	}
}

/* ---- subscribing ---- */

static int
fill(struct sub *b, const am_id *ids, const uint64_t *ticks, size_t n)
{
	size_t n_ticks = ticks != NULL ? n : 0;

	b->n = (uint16_t)n;
	b->many = NULL;
	if (n == 1) {
		b->id1 = ids[0];
		b->tick1 = ticks != NULL ? ticks[0] : 0;
		return 0;
	}
	b->many = malloc(n_ticks * sizeof(*ticks) + n * sizeof(*ids));
	if (b->many == NULL)
		return -1;
	if (n_ticks > 0)
		memcpy(b->many, ticks, n_ticks * sizeof(*ticks));
	memcpy(b->many + n_ticks, ids, n * sizeof(*ids));
	return 0;
}

static am_sub
subscribe(struct am_machine *m, enum sub_kind kind, const am_id *ids,
    const uint64_t *ticks, size_t n, am_sub_fn fn, void *arg)
{
	struct sub *b;
	uint32_t i;
	int pivot;

	for (size_t k = 0; k < n; k++)
		assert(ids[k] < m->schema->len);
	assert(n <= UINT16_MAX);
	pivot = missing(m, kind, ids, ticks, n);
	if (pivot < 0) {
		mach_pin(m);
		fn(m, arg);
		mach_unpin(m);
		return 0;
	}
	if (m->subs == NULL) {
		m->subs = subs_new(m->schema->len, m->schema->nw);
		if (m->subs == NULL)
			return AM_SUB_FAILED;
		m->watch = m->subs->watch;
	}
	i = slot_take(m->subs);
	if (i == NONE)
		return AM_SUB_FAILED;
	b = &m->subs->slot[i];
	b->seq = ++m->subs->seq;
	b->fn = fn;
	b->arg = arg;
	b->kind = (uint8_t)kind;
	if (fill(b, ids, ticks, n) < 0) {
		slot_give(m->subs, i);
		return AM_SUB_FAILED;
	}
	watch_begin(m->subs, i, (am_id)pivot);
	return (uint64_t)b->gen << 32 | (i + 1);
}

am_sub
am_when(struct am_machine *m, const am_id *states, size_t n, am_sub_fn fn,
    void *arg)
{
	return subscribe(m, WHEN, states, NULL, n, fn, arg);
}

am_sub
am_when_not(struct am_machine *m, const am_id *states, size_t n, am_sub_fn fn,
    void *arg)
{
	return subscribe(m, WHEN_NOT, states, NULL, n, fn, arg);
}

am_sub
am_when_time(struct am_machine *m, const am_id *states, const uint64_t *ticks,
    size_t n, am_sub_fn fn, void *arg)
{
	return subscribe(m, WHEN_TIME, states, ticks, n, fn, arg);
}

am_sub
am_when_ticks(struct am_machine *m, am_id state, uint64_t n, am_sub_fn fn,
    void *arg)
{
	uint64_t tick = am_tick(m, state) + n;

	return subscribe(m, WHEN_TIME, &state, &tick, 1, fn, arg);
}

void
am_sub_cancel(struct am_machine *m, am_sub sub)
{
	struct subs *s = m->subs;
	uint32_t i = (uint32_t)sub - 1;

	if (s == NULL || sub == 0 || i >= s->n_slots ||
	    s->slot[i].gen != (uint32_t)(sub >> 32))
		return;
	switch ((enum sub_phase)s->slot[i].phase) {
	case FREE:
		return;
	case WAITING:
		watch_end(s, i);
		break;
	case FIRING:
		chain_remove(s, &s->fire, i);
		break;
	}
	slot_give(s, i);
}
