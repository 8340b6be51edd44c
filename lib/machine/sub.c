/* Subscriptions. Each waits in one chain: that of a state that keeps its
 * condition from holding, or one of a few others. It is checked again only when
 * that state ticks. semantics.md 14. */
#include "lib/machine/args.h"
#include "lib/machine/mlog.h"
#include "lib/machine/sub.h"

#include <stdlib.h>

#define NONE UINT32_MAX

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
	uint64_t *args;  /* states that may have one for args */
	uint64_t due;    /* the first queue tick that one waits for */
	struct chain fire;
	struct chain chain[]; /* by state, then by enum sub_chain */
};

/* ---- chains ---- */

static inline __attribute__((always_inline)) void
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

/* Inserts in order of seq, from the end, because new ones are the latest. */
static inline __attribute__((always_inline)) void
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

static bool
is_empty(const struct am_machine *m, enum sub_chain chain)
{
	return m->subs->chain[m->schema->len + chain].head == NONE;
}

/* For most mutations no subscription waits. */
static void
find_due(struct am_machine *m)
{
	struct subs *s = m->subs;
	uint32_t i = s->chain[m->schema->len + CHAIN_QUEUE].head;

	s->due = UINT64_MAX;
	for (; i != NONE; i = s->slot[i].next)
		if (s->slot[i].tick1 < s->due)
			s->due = s->slot[i].tick1;
}

/* Mutations that change no watched state skip the others, but not these. */
static __attribute__((noinline)) void
find_always(struct am_machine *m)
{
	m->sub_always = !is_empty(m, CHAIN_QUERY) || !is_empty(m, CHAIN_QUEUE);
	m->sub_ends = !is_empty(m, CHAIN_ENDS);
}

static inline __attribute__((always_inline)) void
wait_begin(struct am_machine *m, uint32_t i, size_t chain)
{
	struct subs *s = m->subs;

	s->slot[i].pivot = (am_id)chain;
	s->slot[i].phase = WAITING;
	chain_insert(s, &s->chain[chain], i);
	if (chain < m->schema->len) {
		bits_set(s->watch, chain);
		return;
	}
	find_always(m);
	if (s->slot[i].kind == WHEN_QUEUE && s->slot[i].tick1 < s->due)
		s->due = s->slot[i].tick1;
}

static inline __attribute__((always_inline)) void
wait_end(struct am_machine *m, uint32_t i)
{
	struct subs *s = m->subs;
	size_t chain = s->slot[i].pivot;

	chain_remove(s, &s->chain[chain], i);
	if (chain >= m->schema->len)
		find_always(m);
	else if (s->chain[chain].head == NONE)
		bits_clear(s->watch, chain);
}

/* ---- life ---- */

static struct subs *
subs_new(size_t len, size_t nw)
{
	size_t n_chains = len + CHAIN__COUNT;
	struct subs *s = calloc(1,
	    sizeof(*s) + n_chains * sizeof(s->chain[0]) +
		2 * nw * sizeof(*s->watch));

	if (s == NULL)
		return NULL;
	s->watch = (uint64_t *)(s->chain + n_chains);
	s->args = s->watch + nw;
	s->free = NONE;
	s->due = UINT64_MAX;
	s->fire.head = s->fire.tail = NONE;
	for (size_t i = 0; i < n_chains; i++)
		s->chain[i].head = s->chain[i].tail = NONE;
	return s;
}

struct subs *
subs_longer(const struct am_machine *m, const struct am_schema *to)
{
	return m->subs != NULL ? subs_new(to->len, to->nw) : NULL;
}

void
subs_move(struct am_machine *m, const struct am_schema *to, struct subs *n)
{
	size_t old = m->schema->len;
	struct subs *s = m->subs;

	if (s == NULL)
		return;
	n->slot = s->slot;
	n->n_slots = s->n_slots;
	n->free = s->free;
	n->seq = s->seq;
	n->due = s->due;
	n->fire = s->fire;
	memcpy(n->chain, s->chain, old * sizeof(s->chain[0]));
	memcpy(n->chain + to->len, s->chain + old,
	    CHAIN__COUNT * sizeof(s->chain[0]));
	bits_copy(n->watch, s->watch, m->schema->nw);
	bits_copy(n->args, s->args, m->schema->nw);
	for (uint32_t i = 0; i < n->n_slots; i++)
		if (n->slot[i].pivot >= old)
			n->slot[i].pivot += (am_id)(to->len - old);
	free(s);
	m->subs = n;
	m->watch = n->watch;
	if (m->want_args != NULL)
		m->want_args = n->args;
}

void
subs_free(struct am_machine *m)
{
	struct subs *s = m->subs;

	if (s == NULL)
		return;
	/* All have been called. */
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

	if (b->many != NULL)
		free(b->many);
	b->many = NULL;
	b->phase = FREE;
	b->next = s->free;
	s->free = i;
}

struct sub *
sub_new(struct am_machine *m, enum sub_kind kind, am_sub_fn fn, void *arg)
{
	struct sub *b;
	uint32_t i;

	/* It would never be called. */
	if (m->dying)
		return NULL;
	if (m->subs == NULL) {
		m->subs = subs_new(m->schema->len, m->schema->nw);
		if (m->subs == NULL)
			return NULL;
		m->watch = m->subs->watch;
	}
	i = slot_take(m->subs);
	if (i == NONE)
		return NULL;
	b = &m->subs->slot[i];
	b->seq = ++m->subs->seq;
	b->fn = fn;
	b->arg = arg;
	b->kind = (uint8_t)kind;
	return b;
}

void
sub_wants_args(struct am_machine *m, am_id state)
{
	bits_set(m->subs->args, state);
	m->want_args = m->subs->args;
}

am_sub
sub_wait(struct am_machine *m, struct sub *b, size_t chain)
{
	uint32_t i = (uint32_t)(b - m->subs->slot);

	wait_begin(m, i, chain);
	return (uint64_t)b->gen << 32 | (i + 1);
}

void
sub_drop(struct am_machine *m, struct sub *b)
{
	slot_give(m->subs, (uint32_t)(b - m->subs->slot));
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
		wait_end(m, i);
		break;
	case FIRING:
		chain_remove(s, &s->fire, i);
		break;
	}
	slot_give(s, i);
}

/* ---- firing ---- */

/* After wait_end(): it will be called in its turn. */
static inline __attribute__((always_inline)) void
make_due(struct subs *s, uint32_t i)
{
	s->slot[i].phase = FIRING;
	chain_insert(s, &s->fire, i);
}

static inline __attribute__((always_inline)) void
collect(struct am_machine *m, size_t chain)
{
	struct subs *s = m->subs;
	uint32_t i = s->chain[chain].head, next;

	for (; i != NONE; i = next) {
		int missing = sub_missing(m, &s->slot[i]);

		next = s->slot[i].next;
		if (missing == (int)chain)
			continue;
		wait_end(m, i);
		if (missing >= 0) {
			wait_begin(m, i, (size_t)missing);
			continue;
		}
		make_due(s, i);
	}
}

/* Those of the states that changed, in either set. */
static inline __attribute__((always_inline)) void
collect_states(struct am_machine *m, const uint64_t *a, const uint64_t *b)
{
	for (size_t w = 0; w < m->schema->nw; w++) {
		uint64_t rest = (a[w] | b[w]) & m->watch[w];

		for (; rest != 0; rest &= rest - 1)
			collect(m, w * 64 + (size_t)__builtin_ctzll(rest));
	}
}

static void
collect_due(struct am_machine *m)
{
	if (m->queue_tick < m->subs->due)
		return;
	collect(m, m->schema->len + CHAIN_QUEUE);
	find_due(m);
}

static inline __attribute__((always_inline)) void
fire_first(struct am_machine *m, struct chain *c)
{
	struct subs *s = m->subs;
	uint32_t i = c->head;
	am_sub_fn fn = s->slot[i].fn;
	void *arg = s->slot[i].arg;

	/* At the end only those that waited for the end match. */
	if (m->logger != NULL &&
	    (!m->dying || s->slot[i].kind == WHEN_DISPOSED))
		mlog_match(m, &s->slot[i]);
	if (s->slot[i].phase == WAITING)
		wait_end(m, i);
	else
		chain_remove(s, c, i);
	slot_give(s, i);
	fn(m, arg);
}

static inline __attribute__((always_inline)) void
fire_collected(struct am_machine *m)
{
	while (!m->dying && m->subs->fire.head != NONE)
		fire_first(m, &m->subs->fire);
}

void
subs_after(struct am_machine *m, const struct tx *tx)
{
	if (tx->ticked)
		collect_states(m, tx->enters.w, tx->exits.w);
	if (m->sub_always) {
		if (!tx->rq.check && (tx->accepted || tx->ticked))
			collect(m, m->schema->len + CHAIN_QUERY);
		collect_due(m);
	}
	fire_collected(m);
}

static __attribute__((noinline)) void
fire_args(struct am_machine *m, am_id id, struct am_val args)
{
	struct subs *s = m->subs;
	uint32_t i = s->chain[id].head, next;
	struct given given;

	bits_clear(s->args, id);
	given_init(&given, args);
	for (; i != NONE; i = next) {
		struct sub *b = &s->slot[i];

		next = b->next;
		if (b->kind != WHEN_ARGS)
			continue;
		if (!given_has(&given, b->many)) {
			bits_set(s->args, id);
			continue;
		}
		wait_end(m, i);
		make_due(s, i);
	}
	fire_collected(m);
	m->handler_ns = 0;
}

void
subs_args(struct am_machine *m, am_id id, struct am_val args)
{
	if (m->want_args != NULL && bits_test(m->want_args, id) && !m->dying)
		fire_args(m, id, args);
}

void
subs_update(struct am_machine *m, const uint64_t *changed)
{
	size_t len = m->schema->len;

	if (m->logger != NULL)
		mlog_ctx_ended(m, changed);
	if (m->subs == NULL)
		return;
	collect_states(m, changed, changed);
	collect(m, len + CHAIN_QUERY);
	collect_due(m);
	fire_collected(m);
}

bool
mach_sub_waits(const struct am_machine *m, am_sub sub)
{
	const struct subs *s = m->subs;
	uint32_t i = (uint32_t)sub - 1;

	return s != NULL && sub != 0 && i < s->n_slots &&
	    s->slot[i].gen == (uint32_t)(sub >> 32) &&
	    s->slot[i].phase == WAITING;
}

void
subs_fire(struct am_machine *m, am_sub sub)
{
	uint32_t i = (uint32_t)sub - 1;

	wait_end(m, i);
	make_due(m->subs, i);
	fire_collected(m);
}

/* All that wait there, including those that join meanwhile. */
static void
fire_chain(struct am_machine *m, enum sub_chain chain)
{
	while (m->subs != NULL && !is_empty(m, chain))
		fire_first(m, &m->subs->chain[m->schema->len + chain]);
}

void
subs_queue_ends(struct am_machine *m)
{
	while (!m->dying && !m->draining && !is_empty(m, CHAIN_ENDS))
		fire_first(m, &m->subs->chain[m->schema->len + CHAIN_ENDS]);
}

bool
mach_sub_held(const struct am_machine *m)
{
	return !m->dying || m->sub_held;
}

/* First those whose condition held when a callback freed the machine; then all
 * others that still wait, in order of subscription; last those for the end. */
void
subs_disposed(struct am_machine *m)
{
	struct subs *s = m->subs;

	m->sub_held = true;
	while (s->fire.head != NONE)
		fire_first(m, &s->fire);
	m->sub_held = false;
	for (uint32_t i = 0; i < s->n_slots; i++) {
		struct sub *b = &s->slot[i];

		if (b->phase != WAITING || b->kind == WHEN_DISPOSED)
			continue;
		wait_end(m, i);
		make_due(s, i);
	}
	while (s->fire.head != NONE)
		fire_first(m, &s->fire);
	fire_chain(m, CHAIN_DISPOSED);
}
