#include "lib/loop/loop_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

enum { FREE_TURN = 1024 * 1024 }; /* bytes a turn */

/* A large block that is being freed; this struct lies at its beginning. */
struct freed {
	SLIST_ENTRY(freed) link;
	size_t len; /* of the block, still to be freed */
};

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	(void)!read(fd, &n, sizeof(n)); /* resets it */
	posts_run(arg, 0);
}

/* The turn only has to end. */
static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct am_loop *l = arg;

	(void)fd;
	(void)what;
	l->timeout_ns = 0;
}

static void
list_init(struct turn_list *list)
{
	TAILQ_INIT(&list->head);
	list->len = 0;
}

/* ---- large memory ---- */

static void
free_pages(char *p, size_t from, size_t to)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t lo = ((uintptr_t)p + from + page - 1) & ~(page - 1);
	uintptr_t hi = ((uintptr_t)p + to) & ~(page - 1);

	if (lo < hi)
		(void)madvise((void *)lo, hi - lo, MADV_DONTNEED);
}

static void
on_free_turn(void *arg)
{
	struct am_loop *l = arg;
	struct freed *f = SLIST_FIRST(&l->freed);

	/* From the end, since the beginning is in use. */
	if (f->len > FREE_TURN) {
		f->len -= FREE_TURN;
		free_pages((char *)f, f->len, f->len + FREE_TURN);
	} else {
		SLIST_REMOVE_HEAD(&l->freed, link);
		free(f);
	}
	if (!SLIST_EMPTY(&l->freed))
		loop_at_next(l, &l->free_turn);
}

void
loop_free(struct am_loop *l, void *p, size_t len)
{
	struct freed *f = p;

	if (len <= FREE_TURN || p == NULL) {
		free(p);
		return;
	}
	f->len = len;
	SLIST_INSERT_HEAD(&l->freed, f, link);
	loop_at_next(l, &l->free_turn);
}

struct am_loop *
am_loop_new(void)
{
	struct am_loop *l = calloc(1, sizeof(*l));
	struct event_config *conf;

	if (l == NULL)
		return NULL;
	(void)pthread_mutex_init(&l->lock, NULL);
	STAILQ_INIT(&l->posts);
	l->handles.free = UINT32_MAX;
	list_init(&l->flush);
	list_init(&l->reap);
	list_init(&l->next);
	SLIST_INIT(&l->freed);
	l->free_turn = (struct turn_item){ .fn = on_free_turn, .arg = l };
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	conf = event_config_new();
	if (conf != NULL) {
		/* No locks: posts have one of their own. The environment must
		 * not take epoll away, or put off what is added to it:
		 * am_loop_fd(). */
		(void)event_config_set_flag(conf,
		    EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
		l->base = event_base_new_with_config(conf);
		event_config_free(conf);
	}
	if (l->wake_fd < 0 || l->base == NULL)
		return am_loop_free(l);
	l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake,
	    l);
	l->timeout = event_new(l->base, -1, 0, on_timeout, l);
	if (l->wake == NULL || l->timeout == NULL ||
	    event_add(l->wake, NULL) < 0)
		return am_loop_free(l);
	return l;
}

static void
run_list(struct turn_list *list)
{
	struct turn_item *it;

	while ((it = TAILQ_FIRST(&list->head)) != NULL) {
		TAILQ_REMOVE(&list->head, it, link);
		list->len--;
		it->in = NULL;
		it->fn(it->arg);
	}
}

/* Items may queue others, of both kinds. Returns whether something died. */
static bool
finish(struct am_loop *l)
{
	bool died = false;

	while (l->flush.len > 0 || l->reap.len > 0) {
		run_list(&l->flush);
		died |= l->reap.len > 0;
		run_list(&l->reap);
	}
	return died;
}

static void
run_next(struct am_loop *l, size_t n)
{
	struct turn_item *it;

	for (; n > 0; n--) {
		it = TAILQ_FIRST(&l->next.head);
		if (it == NULL)
			return;
		loop_forget(l, it);
		it->fn(it->arg);
	}
}

struct am_loop *
am_loop_free(struct am_loop *l)
{
	struct freed *f;

	if (l == NULL)
		return NULL;
	posts_end(l);
	handles_done(l);
	run_list(&l->reap);
	timers_done(l);
	while ((f = SLIST_FIRST(&l->freed)) != NULL) {
		SLIST_REMOVE_HEAD(&l->freed, link);
		free(f);
	}
	if (l->wake != NULL)
		event_free(l->wake);
	if (l->timeout != NULL)
		event_free(l->timeout);
	if (l->base != NULL)
		event_base_free(l->base);
	am_closep(&l->wake_fd);
	(void)pthread_mutex_destroy(&l->lock);
	/* The last frames that were read may contain a token. */
	explicit_bzero(l->scratch, sizeof(l->scratch));
	free(l);
	return NULL;
}

/* ---- a turn ---- */

/* Wakes the loop at the next timer, or at end_ns if that is sooner (0: none).
 * libevent uses a coarse clock, so it may wake some ms early: then the next
 * turn waits for the rest. */
static int
set_timeout(struct am_loop *l, int64_t end_ns)
{
	int64_t at_ns = timers_next_ns(l);
	struct timeval tv;
	int64_t us;

	if (at_ns == 0 || (end_ns != 0 && end_ns < at_ns))
		at_ns = end_ns;
	if (at_ns == l->timeout_ns)
		return 0;
	l->timeout_ns = at_ns;
	if (at_ns == 0)
		return event_del(l->timeout);
	us = (at_ns - clock_ns() + 999) / 1000;
	us = us > 0 ? us : 0;
	tv = (struct timeval){ us / 1000000, us % 1000000 };
	return event_add(l->timeout, &tv);
}

static int
turn(struct am_loop *l, int flags, int64_t end_ns)
{
	size_t n_next;
	int r;

	/* Finish what was done outside of the loop, without waiting for an
	 * event. If a connection ended by it, the caller of am_loop_step() is
	 * waiting for just that. */
	if (finish(l))
		flags |= EVLOOP_NONBLOCK;
	l->worked = 0;
	/* Items queued from now on are for the turn after this one. */
	n_next = l->next.len;
	if (n_next > 0)
		flags |= EVLOOP_NONBLOCK;
	if (!(flags & EVLOOP_NONBLOCK) && set_timeout(l, end_ns) < 0)
		return -ENOMEM;
	r = event_base_loop(l->base, EVLOOP_ONCE | flags);
	timers_run(l);
	run_next(l, n_next);
	(void)finish(l);
	return r < 0 ? -EIO : 0;
}

int
am_loop_run(struct am_loop *l)
{
	int r = 0;

	while (!l->stop && r == 0)
		r = turn(l, 0, 0);
	l->stop = false;
	return r;
}

int
am_loop_step(struct am_loop *l, int timeout_ms)
{
	if (timeout_ms == 0)
		return turn(l, EVLOOP_NONBLOCK, 0);
	return turn(l, 0,
	    timeout_ms < 0 ? 0 : clock_ns() + timeout_ms * NS_PER_MS);
}

void
am_loop_stop(struct am_loop *l)
{
	l->stop = true;
}

struct event_base *
loop_base(struct am_loop *l)
{
	return l->base;
}

static void
enqueue(struct am_loop *l, struct turn_list *list, struct turn_item *it)
{
	if (it->in == list)
		return;
	loop_forget(l, it);
	TAILQ_INSERT_TAIL(&list->head, it, link);
	list->len++;
	it->in = list;
}

void
loop_at_flush(struct am_loop *l, struct turn_item *it)
{
	enqueue(l, &l->flush, it);
}

void
loop_at_flush_first(struct am_loop *l, struct turn_item *it)
{
	if (it->in == &l->flush)
		return;
	loop_forget(l, it);
	TAILQ_INSERT_HEAD(&l->flush.head, it, link);
	l->flush.len++;
	it->in = &l->flush;
}

void
loop_at_reap(struct am_loop *l, struct turn_item *it)
{
	enqueue(l, &l->reap, it);
}

void
loop_at_next(struct am_loop *l, struct turn_item *it)
{
	enqueue(l, &l->next, it);
}

/* The first who works in a turn may do the most, the next ones a fourth less
 * each. */
size_t
loop_share(const struct am_loop *l, size_t most)
{
	size_t left = l->worked < 4 * most ? most - l->worked / 4 : 0;
	size_t share = most / (1 + l->next.len);

	share = share < left ? share : left;
	return share > 0 ? share : 1;
}

void
loop_worked(struct am_loop *l, size_t n)
{
	l->worked += n;
}

void
loop_forget(struct am_loop *l, struct turn_item *it)
{
	(void)l;
	if (it->in == NULL)
		return;
	TAILQ_REMOVE(&it->in->head, it, link);
	it->in->len--;
	it->in = NULL;
}

uint8_t *
loop_scratch(struct am_loop *l, size_t *ret_len)
{
	*ret_len = sizeof(l->scratch);
	return l->scratch;
}
