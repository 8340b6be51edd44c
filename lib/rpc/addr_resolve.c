#include "lib/rpc/addr_resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/loop/loop.h"

/* Shared by thread and loop; the last of them frees it. */
struct query {
	pthread_mutex_t lock;
	int refs;
	int fd; /* eventfd; owned */
	struct addr what;
	struct addr found[RESOLVE_MAX];
	int n;
	struct am_error err;
};

struct resolve {
	struct query *query;
	struct event *event;
	resolve_fn fn;
	void *arg;
};

int
resolve_now(const struct addr *a, struct addr ret[RESOLVE_MAX],
    struct am_error *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int n = 0;
	int r = getaddrinfo(a->host, NULL, &hints, &list);

	if (r != 0) {
		(void)error_set(err, "cannot resolve \"%s\": %s", a->host,
		    r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
		return -EHOSTUNREACH;
	}
	for (const struct addrinfo *i = list; i != NULL && n < RESOLVE_MAX;
	     i = i->ai_next)
		n += addr_fill(&ret[n], a, i->ai_addr, i->ai_addrlen) == 0;
	freeaddrinfo(list);
	if (n > 0)
		return n;
	(void)error_set(err, "cannot resolve \"%s\": no address", a->host);
	return -EHOSTUNREACH;
}

static void
query_unref(struct query *q)
{
	int refs;

	(void)pthread_mutex_lock(&q->lock);
	refs = --q->refs;
	(void)pthread_mutex_unlock(&q->lock);
	if (refs > 0)
		return;
	(void)pthread_mutex_destroy(&q->lock);
	am_closep(&q->fd);
	free(q);
}

static void *
run(void *arg)
{
	struct query *q = arg;
	struct addr *found = calloc(RESOLVE_MAX, sizeof(*found));
	struct am_error err = { "no memory" };
	uint64_t one = 1;
	int n = -ENOMEM;

	if (found != NULL)
		n = resolve_now(&q->what, found, &err);
	(void)pthread_mutex_lock(&q->lock);
	q->n = n;
	q->err = err;
	for (int i = 0; i < n; i++)
		q->found[i] = found[i];
	(void)pthread_mutex_unlock(&q->lock);
	free(found);
	/* This cannot fail: the counter is empty. */
	(void)!write(q->fd, &one, sizeof(one));
	query_unref(q);
	return NULL;
}

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
	struct resolve *r = arg;
	struct query *q = r->query;

	(void)fd;
	(void)what;
	/* The thread holds it for a moment only. */
	(void)pthread_mutex_lock(&q->lock);
	(void)pthread_mutex_unlock(&q->lock);
	r->fn(q->found, q->n > 0 ? (size_t)q->n : 0, q->err.text, r->arg);
}

static struct query *
query_new(const struct addr *a)
{
	struct query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	(void)pthread_mutex_init(&q->lock, NULL);
	q->refs = 1;
	q->what = *a;
	q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->fd >= 0)
		return q;
	query_unref(q);
	return NULL;
}

/* The thread is detached and blocks all signals: they are for the loop. */
static int
thread_start(struct query *q)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t t;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	q->refs++; /* before it runs */
	r = pthread_create(&t, &attr, run, q);
	if (r != 0)
		q->refs--;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

struct resolve *
resolve_new(struct am_loop *l, const struct addr *a, resolve_fn fn, void *arg)
{
	struct resolve *r = calloc(1, sizeof(*r));
	int error = 0;

	if (r == NULL)
		return NULL;
	r->fn = fn;
	r->arg = arg;
	r->query = query_new(a);
	if (r->query != NULL)
		r->event = event_new(loop_base(l), r->query->fd, EV_READ,
		    on_done, r);
	if (r->event == NULL || event_add(r->event, NULL) < 0)
		error = -ENOMEM;
	if (error == 0)
		error = thread_start(r->query);
	if (error == 0)
		return r;
	(void)resolve_free(r);
	errno = -error;
	return NULL;
}

struct resolve *
resolve_free(struct resolve *r)
{
	if (r == NULL)
		return NULL;
	if (r->event != NULL)
		event_free(r->event);
	if (r->query != NULL)
		query_unref(r->query);
	free(r);
	return NULL;
}
