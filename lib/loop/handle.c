/* Numbers for objects that free themselves. */
#include "lib/loop/loop_int.h"

#include <stdlib.h>

enum { NONE = -1 };

static struct handle *
find(const struct am_loop *l, uint64_t handle)
{
	const struct handles *h = &l->handles;
	uint32_t i = (uint32_t)handle - 1;

	if (handle == 0 || i >= h->len || h->slot[i].obj == NULL ||
	    h->slot[i].gen != (uint32_t)(handle >> 32))
		return NULL;
	return &h->slot[i];
}

static bool
grow(struct handles *h)
{
	uint32_t len = h->len > 0 ? 2 * h->len : 4;
	struct handle *grown = reallocarray(h->slot, len, sizeof(*grown));

	if (grown == NULL)
		return false;
	for (uint32_t i = h->len; i < len; i++)
		grown[i] = (struct handle){
			.next = i + 1 < len ? i + 1 : (uint32_t)NONE,
		};
	h->free = h->len;
	h->slot = grown;
	h->len = len;
	return true;
}

uint64_t
loop_handle(struct am_loop *l, void *obj, void (*end)(void *obj))
{
	struct handles *h = &l->handles;
	struct handle *s;
	uint32_t i;

	if (l->ends || (h->free == (uint32_t)NONE && !grow(h)))
		return 0;
	i = h->free;
	s = &h->slot[i];
	h->free = s->next;
	s->obj = obj;
	s->end = end;
	s->gen++;
	return (uint64_t)s->gen << 32 | (i + 1);
}

void *
loop_handle_get(const struct am_loop *l, uint64_t handle)
{
	const struct handle *s = find(l, handle);

	return s != NULL ? s->obj : NULL;
}

void
loop_handle_drop(struct am_loop *l, uint64_t handle)
{
	struct handle *s = find(l, handle);

	if (s == NULL)
		return;
	s->obj = NULL;
	s->next = l->handles.free;
	l->handles.free = (uint32_t)(s - l->handles.slot);
}

void
handles_done(struct am_loop *l)
{
	for (uint32_t i = 0; i < l->handles.len; i++) {
		struct handle *s = &l->handles.slot[i];

		if (s->obj != NULL)
			s->end(s->obj);
	}
	free(l->handles.slot);
}
