/* Calls on the thread of the loop that other threads have asked for. */
#include "lib/loop/loop_int.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct post {
	void (*fn)(void *arg, int r);
	void *arg;
	STAILQ_ENTRY(post) link;
};

void
posts_run(struct am_loop *l, int r)
{
	struct post_head posts = STAILQ_HEAD_INITIALIZER(posts);
	struct post *p;

	(void)pthread_mutex_lock(&l->lock);
	STAILQ_CONCAT(&posts, &l->posts);
	(void)pthread_mutex_unlock(&l->lock);
	while ((p = STAILQ_FIRST(&posts)) != NULL) {
		STAILQ_REMOVE_HEAD(&posts, link);
		p->fn(p->arg, r);
		free(p);
	}
}

void
posts_end(struct am_loop *l)
{
	(void)pthread_mutex_lock(&l->lock);
	l->ends = true;
	(void)pthread_mutex_unlock(&l->lock);
	posts_run(l, -ECANCELED);
}

int
am_loop_post(struct am_loop *l, void (*fn)(void *arg, int r), void *arg)
{
	struct post *p = malloc(sizeof(*p));
	uint64_t one = 1;
	bool ends;

	if (p == NULL)
		return -ENOMEM;
	p->fn = fn;
	p->arg = arg;
	(void)pthread_mutex_lock(&l->lock);
	ends = l->ends;
	if (!ends) {
		STAILQ_INSERT_TAIL(&l->posts, p, link);
		/* Within the lock, because after it the loop may be freed.
		 * This fails only if the counter is full: then the loop is
		 * awake. */
		(void)!write(l->wake_fd, &one, sizeof(one));
	}
	(void)pthread_mutex_unlock(&l->lock);
	if (!ends)
		return 0;
	free(p);
	return -ECANCELED;
}
