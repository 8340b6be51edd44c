#include "lib/rpc/calls.h"

#include <errno.h>
#include <stdlib.h>

enum {
	SLOTS_MIN = 8,
	ID_MAX = UINT16_MAX,
};

void
calls_done(struct calls *c)
{
	free(c->slot);
	c->slot = NULL;
	c->n_slots = c->n_open = 0;
}

static struct netmach_call *
slot_of(const struct calls *c, uint32_t id)
{
	return &c->slot[id & (c->n_slots - 1)];
}

static bool
is_open(const struct calls *c, uint32_t id)
{
	return c->n_slots > 0 && slot_of(c, id)->id == id;
}

static uint32_t
id_after(uint32_t id)
{
	return id == ID_MAX ? 1 : id + 1;
}

/* Moves `oldest` on to an open call. There must be one. */
static void
find_oldest(struct calls *c)
{
	while (!is_open(c, c->oldest))
		c->oldest = id_after(c->oldest);
}

static bool
is_free(const struct calls *c, uint32_t id)
{
	return !is_open(c, id) &&
	    (c->is_taken == NULL || !c->is_taken(id, c->arg));
}

uint32_t
calls_next_id(struct calls *c)
{
	uint32_t id = id_after(c->last_id);

	for (unsigned n = 0; !is_free(c, id); n++) {
		if (n == ID_MAX)
			return 0;
		id = id_after(id);
	}
	c->last_id = id;
	/* The new call must not be taken for the oldest. */
	if (c->n_open > 0 && c->last_id == c->oldest)
		find_oldest(c);
	return c->last_id;
}

/* Doubling separates ids that collide; with 16 bits none do. */
static int
grow(struct calls *c)
{
	size_t n = c->n_slots == 0 ? SLOTS_MIN : c->n_slots * 2;
	struct netmach_call *old = c->slot;
	struct netmach_call *slot = calloc(n, sizeof(*slot));

	if (slot == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_slots; i++) {
		if (old[i].id != 0)
			slot[old[i].id & (n - 1)] = old[i];
	}
	free(old);
	c->slot = slot;
	c->n_slots = n;
	return 0;
}

int
calls_open(struct calls *c, struct netmach_call *call)
{
	uint32_t id = calls_next_id(c);

	if (id == 0)
		return -EBUSY;
	call->id = id;
	while (c->n_slots == 0 || slot_of(c, call->id)->id != 0) {
		if (grow(c) < 0)
			return -ENOMEM;
	}
	*slot_of(c, call->id) = *call;
	if (c->n_open++ == 0)
		c->oldest = call->id;
	return 0;
}

bool
calls_take(struct calls *c, uint32_t id, struct netmach_call *ret)
{
	struct netmach_call *call;

	if (id == 0 || !is_open(c, id))
		return false;
	call = slot_of(c, id);
	*ret = *call;
	call->id = 0;
	c->n_open--;
	return true;
}

bool
calls_take_oldest(struct calls *c, struct netmach_call *ret)
{
	if (c->n_open == 0)
		return false;
	find_oldest(c);
	return calls_take(c, c->oldest, ret);
}
