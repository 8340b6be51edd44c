/* Whether the condition of a subscription holds. */
#include "lib/machine/sub.h"

int
sub_missing(const struct am_machine *m, const struct sub *b)
{
	enum sub_kind kind = (enum sub_kind)b->kind;
	const uint64_t *ticks = kind == WHEN_TIME ? b->many : NULL;
	bool holds = false;

	switch (kind) {
	case WHEN:
	case WHEN_NOT:
	case WHEN_TIME:
		if (b->many == NULL)
			return cond_waits(m, kind, b->id1, b->tick1) ? b->id1
								     : -1;
		return cond_missing(m, kind,
		    ticks != NULL ? (const am_id *)(ticks + b->n) : b->many,
		    ticks, b->n);
	case WHEN_QUERY:
		holds = b->query(m, b->arg);
		break;
	case WHEN_QUEUE:
		holds = m->queue_tick >= b->tick1;
		break;
	case WHEN_ARGS:
	case WHEN_ENDS:
	case WHEN_DISPOSED:
		break;
	}
	return holds ? -1 : b->pivot;
}
