/* The rows of workers. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/model.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* ---- counts ---- */

unsigned
model_starting(const struct model *m)
{
	return m->n[WORKER_NEW] + m->n[WORKER_FAILED] + m->n[WORKER_SPAWNED] +
	    m->n[WORKER_STARTING];
}

unsigned
model_serving(const struct model *m)
{
	return model_starting(m) + m->n[WORKER_IDLE] + m->n[WORKER_LEASED];
}

unsigned
model_ready(const struct model *m)
{
	return m->n[WORKER_IDLE] + m->n[WORKER_UNFIT] + m->n[WORKER_LEASED];
}

struct worker *
model_idle(const struct model *m)
{
	return TAILQ_LAST(&m->in_state[WORKER_IDLE], worker_list);
}

struct worker *
model_longest_idle(const struct model *m)
{
	return TAILQ_FIRST(&m->in_state[WORKER_IDLE]);
}

/* ---- rows ---- */

struct worker *
model_new_worker(struct super *s, struct model *m,
    bool (*id_taken)(struct super *s, uint32_t number))
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->super = s;
	do
		w->number = ++m->last_worker;
	while (id_taken != NULL && id_taken(s, w->number));
	(void)snprintf(w->id, sizeof(w->id), "w%" PRIu32, w->number);
	w->pidfd = -1;
	w->started_ns = clock_ns();
	am_timer_init(&w->timer, m->loop, m->timers->worker, w);
	am_timer_init(&w->health_timer, m->loop, m->timers->health, w);
	TAILQ_INSERT_TAIL(&m->workers, w, link);
	TAILQ_INSERT_TAIL(&m->in_state[w->state], w, state_link);
	index_add(&m->worker_index, &w->by_id, index_key(w->id), w);
	m->n_workers++;
	m->n[w->state]++;
	return w;
}

void
model_free_worker(struct model *m, struct worker *w)
{
	assert(w->lease == NULL);
	worker_set_tries(m, w, 0);
	am_timer_done(&w->timer);
	am_timer_done(&w->health_timer);
	TAILQ_REMOVE(&m->workers, w, link);
	TAILQ_REMOVE(&m->in_state[w->state], w, state_link);
	index_remove(&w->by_id);
	m->n_workers--;
	m->n[w->state]--;
	free(w);
}

struct worker *
worker_find(const struct model *m, const char *id)
{
	uint64_t key = index_key(id);
	struct index_item *it;
	struct worker *w;

	INDEX_FOREACH(it, &m->worker_index, key)
	{
		w = it->row;
		if (strcmp(w->id, id) == 0)
			return w;
	}
	return NULL;
}

const char *
worker_state_name(enum worker_state state)
{
	switch (state) {
	case WORKER_NEW:
	case WORKER_FAILED:
	case WORKER_SPAWNED:
	case WORKER_STARTING:
		return "starting";
	case WORKER_IDLE:
		return "idle";
	case WORKER_UNFIT:
		return "unfit";
	case WORKER_LEASED:
		return "leased";
	case WORKER_STOPPING:
	case WORKER_LOST:
	case WORKER_EXITED:
		return "stopping";
	case WORKER__COUNT:
		break;
	}
	abort();
}

void
worker_set_state(struct model *m, struct worker *w, enum worker_state to)
{
	if (w->state == to)
		return;
	log_debug("worker: state id=%s pid=%d from=%s to=%s", w->id,
	    (int)w->pid, worker_state_name(w->state), worker_state_name(to));
	TAILQ_REMOVE(&m->in_state[w->state], w, state_link);
	m->n[w->state]--;
	w->state = to;
	m->n[to]++;
	/* So the idle ones are in order of the time they have been so. */
	TAILQ_INSERT_TAIL(&m->in_state[to], w, state_link);
}

bool
worker_is_ready(const struct worker *w)
{
	return w->state == WORKER_IDLE || w->state == WORKER_UNFIT ||
	    w->state == WORKER_LEASED;
}

bool
worker_is_leaving(const struct worker *w)
{
	return w->state >= WORKER_STOPPING;
}

/* ---- fitness ---- */

static void
refit(struct model *m, struct worker *w, int64_t now_ns)
{
	if (w->shows_free && w->fit_ns <= now_ns) {
		if (w->state != WORKER_IDLE)
			w->idle_ns = now_ns;
		worker_set_state(m, w, WORKER_IDLE);
		return;
	}
	worker_set_state(m, w, WORKER_UNFIT);
	if (w->fit_ns > now_ns && w->fit_ns < m->next_fit_ns)
		m->next_fit_ns = w->fit_ns;
}

void
worker_refit(struct model *m, struct worker *w, int64_t now_ns)
{
	if (w->state == WORKER_IDLE || w->state == WORKER_UNFIT)
		refit(m, w, now_ns);
}

void
worker_give_back(struct model *m, struct worker *w, int64_t now_ns)
{
	if (w->state == WORKER_LEASED)
		refit(m, w, now_ns);
}

void
model_refit(struct model *m, int64_t now_ns)
{
	struct worker *w, *next;

	if (m->next_fit_ns > now_ns)
		return;
	m->next_fit_ns = INT64_MAX;
	for (w = TAILQ_FIRST(&m->in_state[WORKER_UNFIT]); w != NULL; w = next) {
		next = TAILQ_NEXT(w, state_link);
		refit(m, w, now_ns);
	}
}

void
worker_set_tries(struct model *m, struct worker *w, int tries)
{
	m->n_asked += (w->tries == 0) & (tries != 0);
	m->n_asked -= (w->tries != 0) & (tries == 0);
	w->tries = tries;
	if (tries == 0)
		am_timer_stop(&w->health_timer);
}

unsigned
worker_count_error(struct worker *w, int64_t now_ns, int64_t ttl_ms)
{
	int64_t oldest = now_ns - ttl_ms * NS_PER_MS;
	unsigned keep = 0;

	for (unsigned i = 0; i < w->n_errors; i++)
		if (w->error_ns[i] > oldest)
			w->error_ns[keep++] = w->error_ns[i];
	if (keep == WORKER_ERRORS_MAX) {
		memmove(w->error_ns, w->error_ns + 1,
		    (WORKER_ERRORS_MAX - 1) * sizeof(w->error_ns[0]));
		keep--;
	}
	w->error_ns[keep++] = now_ns;
	w->n_errors = keep;
	w->total_errors++;
	return keep;
}
