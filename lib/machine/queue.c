#include "lib/machine/mlog.h"

#include <errno.h>
#include <stdlib.h>

static struct queued_args *
copy_args(const struct request *rq)
{
	size_t len = rq->args.len;
	size_t id_size = rq->from != NULL ? strlen(rq->from->machine) + 1 : 0;
	struct queued_args *a = malloc(sizeof(*a) + len + id_size);

	if (a == NULL)
		return NULL;
	a->len = len;
	a->from = (struct am_source){ .machine = NULL };
	if (len > 0)
		memcpy(a->data, rq->args.data, len);
	if (id_size > 0) {
		a->from = *rq->from;
		memcpy(a->data + len, rq->from->machine, id_size);
		a->from.machine = (const char *)a->data + len;
	}
	return a;
}

int
queued_init(struct queued *it, const struct request *rq)
{
	am_id *called = it->called.in;

	*it = (struct queued){
		.n = (uint16_t)rq->n_called,
		.op = (uint8_t)rq->op,
		.flags = rq->check ? Q_CHECK : 0,
		.source = rq->source,
	};
	if (rq->n_called > CALLED_INLINE) {
		called = malloc(rq->n_called * sizeof(*called));
		if (called == NULL)
			return -ENOMEM;
		it->called.heap = called;
	}
	for (size_t i = 0; i < rq->n_called; i++)
		called[i] = rq->called[i];
	if (rq->args.len == 0 && rq->from == NULL)
		return 0;
	it->args = copy_args(rq);
	if (it->args != NULL)
		return 0;
	queued_done(it);
	return -ENOMEM;
}

int
queued_init_eval(struct queued *it, const char *source, am_eval_fn fn,
    void *arg)
{
	size_t size = strlen(source) + 1;
	struct eval *e = malloc(sizeof(*e) + size);

	if (e == NULL)
		return -ENOMEM;
	e->fn = fn;
	e->arg = arg;
	memcpy(e->source, source, size);
	*it = (struct queued){ .called.eval = e, .flags = Q_EVAL };
	return 0;
}

void
queued_done(struct queued *it)
{
	if (it->flags & Q_EVAL)
		free(it->called.eval);
	else if (it->n > CALLED_INLINE)
		free(it->called.heap);
	it->flags = 0;
	free(it->args);
	it->n = 0;
	it->args = NULL;
}

const am_id *
queued_called(const struct queued *it)
{
	return it->n > CALLED_INLINE ? it->called.heap : it->called.in;
}

static struct queued *
slot(const struct queue *q, uint32_t i)
{
	return &q->item[(q->head + i) & (q->cap - 1)];
}

static int
make_room(struct queue *q)
{
	uint32_t cap = q->cap > 0 ? 2 * q->cap : 4;
	struct queued *item;

	if (q->len < q->cap)
		return 0;
	if (q->len >= QUEUE_HARD_MAX)
		return -ENOBUFS;
	item = malloc(cap * sizeof(*item));
	if (item == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->len; i++)
		item[i] = *slot(q, i);
	free(q->item);
	q->item = item;
	q->cap = cap;
	q->head = 0;
	return 0;
}

int
queue_append(struct queue *q, const struct queued *it)
{
	int r = make_room(q);

	if (r < 0)
		return r;
	*slot(q, q->len) = *it;
	q->len++;
	return 0;
}

int
queue_prepend(struct queue *q, const struct queued *it)
{
	int r = make_room(q);

	if (r < 0)
		return r;
	q->head = (q->head - 1) & (q->cap - 1);
	q->len++;
	*slot(q, 0) = *it;
	return 0;
}

bool
queue_pop(struct queue *q, struct queued *ret)
{
	if (q->len == 0)
		return false;
	*ret = *slot(q, 0);
	q->head = (q->head + 1) & (q->cap - 1);
	q->len--;
	return true;
}

void
queue_drop_last(struct queue *q)
{
	queued_done(slot(q, --q->len));
}

static bool
same_states(const struct queued *it, const struct request *rq)
{
	const am_id *have = queued_called(it);

	if (it->n != rq->n_called)
		return false;
	for (size_t i = 0; i < rq->n_called; i++) {
		size_t k = 0;

		while (k < it->n && have[k] != rq->called[i])
			k++;
		if (k == it->n)
			return false;
	}
	return true;
}

bool
queue_holds(const struct queue *q, const struct request *rq)
{
	for (uint32_t i = 0; i < q->len; i++) {
		const struct queued *it = slot(q, i);

		if (it->op == (uint8_t)rq->op &&
		    (it->args == NULL || it->args->len == 0) &&
		    (it->flags & (Q_CHECK | Q_DISTINCT | Q_EVAL)) == 0 &&
		    same_states(it, rq))
			return true;
	}
	return false;
}

void
queue_done(struct queue *q)
{
	struct queued it;

	while (queue_pop(q, &it))
		queued_done(&it);
	free(q->item);
	*q = (struct queue){ 0 };
}

/* ---- the queue of a machine ---- */

int
mach_enqueue(struct am_machine *m, const struct request *rq, unsigned flags)
{
	struct queued it;
	int r = queued_init(&it, rq);

	if (r < 0)
		return r;
	it.flags |= (uint8_t)flags;
	r = (flags & Q_APPENDED) ? queue_append(&m->queue, &it)
				 : queue_prepend(&m->queue, &it);
	if (r < 0) {
		queued_done(&it);
		return r;
	}
	if (flags & Q_APPENDED)
		m->pending++;
	/* The Exception of a failed handler is reported when that has
	 * returned. */
	if (m->logger != NULL &&
	    !(m->tx != NULL && m->tx->failing &&
		!(flags & (Q_APPENDED | Q_CHECK))))
		mlog_queued(m, rq, !(flags & Q_APPENDED));
	if (m->n_tracers > 0)
		trace_queued(m, rq);
	return 0;
}
