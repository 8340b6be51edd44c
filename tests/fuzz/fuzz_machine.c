/* fuzz_machine.c - a user's schema and what may befall its machine: JSON up to
 * a NUL, then bytes that mutate, subscribe, refuse, fail and free, from
 * outside and from handlers and callbacks. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/amnode_log.h"
#include "proto/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLED_MAX = 3, SUBS = 8, NESTED_MAX = 2 };

struct world {
	const uint8_t *next;
	size_t left;
	struct am_machine *m; /* NULL once it is freed */
	size_t len;
	am_sub sub[SUBS];
	int nested;
};

static unsigned
draw(struct world *w, unsigned below)
{
	if (w->left == 0)
		return 0;
	w->left--;
	return *w->next++ % below;
}

static void act(struct world *w);

static void
act_nested(struct world *w)
{
	if (w->m == NULL || w->nested >= NESTED_MAX || draw(w, 3) != 0)
		return;
	w->nested++;
	act(w);
	w->nested--;
}

static void
on_sub(struct am_machine *m, void *arg)
{
	struct world *w = arg;

	if (am_disposing(m)) {
		assert(am_add1(m, 0, AM_NONE) == AM_CANCELED);
		assert(am_when(m, NULL, 0, on_sub, w) == AM_SUB_FAILED);
		return;
	}
	assert(m == w->m);
	act_nested(w);
}

static void
on_gone(struct am_machine *m, void *arg)
{
	assert(am_disposing(m));
	((struct world *)arg)->m = NULL;
}

static bool
ask(const struct am_machine *m, void *arg)
{
	(void)arg;
	return am_queue_tick(m) % 3 == 0;
}

static void
on_eval(struct am_machine *m, void *arg)
{
	on_sub(m, arg);
}

/* What is not about states. */
static am_sub
subscribe_else(struct world *w, am_id id, struct am_val args)
{
	switch (draw(w, 8)) {
	case 0:
		return am_when_args(w->m, id, args, on_sub, w);
	case 1:
		return am_when_query(w->m, ask, on_sub, w);
	case 2:
		return am_when_queue(w->m, am_queue_tick(w->m) + draw(w, 3),
		    on_sub, w);
	case 3:
		return am_when_queue_ends(w->m, on_sub, w);
	case 4:
		return am_when_err(w->m, on_sub, w);
	case 5:
		return am_when_next_active(w->m, id, on_sub, w);
	case 6:
		(void)am_eval(w->m, "fuzz", on_eval, w);
		return 0;
	}
	return am_when_ticks(w->m, id, draw(w, 4), on_sub, w);
}

static void
subscribe(struct world *w, const am_id *ids, size_t n, struct am_val args)
{
	unsigned slot = draw(w, SUBS);
	uint64_t ticks[CALLED_MAX];
	am_sub sub = 0;

	for (size_t i = 0; i < n; i++)
		ticks[i] = am_tick(w->m, ids[i]) + draw(w, 4);
	switch (draw(w, 6)) {
	case 0:
		sub = am_when(w->m, ids, n, on_sub, w);
		break;
	case 1:
		sub = am_when_not(w->m, ids, n, on_sub, w);
		break;
	case 2:
		sub = am_when_time(w->m, ids, ticks, n, on_sub, w);
		break;
	case 3:
		am_sub_cancel(w->m, w->sub[slot]);
		break;
	default:
		sub = subscribe_else(w, (am_id)draw(w, (unsigned)w->len), args);
	}
	assert(sub != AM_SUB_FAILED);
	w->sub[slot] = sub;
}

/* Its own clocks again: they change nothing but what was restored. */
static void
export_import(struct world *w)
{
	struct am_buf b = AM_BUF_INIT;
	int r;

	assert(am_export(w->m, &b) == 0);
	r = am_import(w->m, am_buf_val(&b), NULL);
	assert(r == 0 || r == -EBUSY);
	am_buf_done(&b);
}

static void
grow(struct world *w)
{
	static const struct am_state row[] = { { .name = "Grown" } };
	static const struct am_states one = { .name = "one",
		.row = row,
		.len = 1 };
	struct am_schema *more = am_schema_new(&one, NULL);
	struct am_schema *s = am_schema_merge(am_machine_schema(w->m), more,
	    NULL);

	if (s != NULL && am_set_schema(w->m, s) == 0)
		w->len = am_schema_len(s);
	am_schema_unref(more);
	am_schema_unref(s);
}

static void
act(struct world *w)
{
	static const uint8_t map[] = { 0x81, 0xa1, 'k', 1 };
	am_id ids[CALLED_MAX];
	struct am_mutation mut = { .states = ids };
	unsigned what = draw(w, 16);

	ids[0] = 0;
	mut.n_states = draw(w, CALLED_MAX + 1);
	for (size_t i = 0; i < mut.n_states; i++)
		ids[i] = (am_id)draw(w, (unsigned)w->len);
	if (draw(w, 2) == 1)
		mut.args = (struct am_val){ map, sizeof(map) };
	if (what < 10) {
		mut.op = (enum am_op)(what % (AM_CAN_REMOVE + 1));
		(void)am_mutate(w->m, &mut);
	} else if (what < 12) {
		(void)am_pulse(w->m, ids, mut.n_states, mut.args);
	} else if (what < 15) {
		subscribe(w, ids, mut.n_states, mut.args);
	} else {
		switch (draw(w, 8)) {
		case 0:
			export_import(w);
			break;
		case 1:
			grow(w);
			break;
		case 2:
			am_machine_dispose(w->m);
			break;
		case 3:
			(void)am_add_err(w->m, ids[0], "fuzz");
			break;
		case 7:
			am_machine_free(w->m);
			w->m = NULL;
			break;
		default:
			break;
		}
	}
}

static bool
on_negotiation(struct am_event *ev)
{
	struct world *w = ev->arg;

	act_nested(w);
	if (w->m != NULL && draw(w, 16) == 1)
		am_fail(ev, "failed");
	return draw(w, 8) != 1;
}

static void
on_line(const struct am_machine *m, enum am_log_level level, const char *line,
    void *arg)
{
	(void)m;
	(void)arg;
	assert(level <= AM_LOG_EVERYTHING && line[0] == '[');
}

static void
on_final(struct am_event *ev)
{
	struct world *w = ev->arg;

	act_nested(w);
	if (w->m != NULL && draw(w, 8) == 1)
		am_fail(ev, "failed");
}

static void
check(const struct world *w)
{
	const am_id *active;
	size_t n, n_odd = 0;

	if (w->m == NULL)
		return;
	assert(!am_draining(w->m));
	active = am_active(w->m, &n);
	for (size_t i = 0; i < n; i++)
		assert(am_is1(w->m, active[i]));
	for (size_t i = 0; i < w->len; i++) {
		bool odd = am_time(w->m)[i] % 2 == 1;

		assert(odd == am_is1(w->m, (am_id)i));
		n_odd += odd;
	}
	assert(n_odd == n);
}

static void
run(struct world *w, struct am_schema *s)
{
	static struct am_handler of[AM_STATES_MAX];
	struct am_handlers h = { .of = of, .len = am_schema_len(s) };
	static const struct am_logger logger = {
		.size = sizeof(logger),
		.level = AM_LOG_EVERYTHING,
		.all_args = true,
		.line = on_line,
	};
	unsigned how = draw(w, 8);

	w->len = h.len;
	w->m = am_machine_new(s, "fuzz");
	assert(w->m != NULL);
	assert(am_when_disposed(w->m, on_gone, w) != AM_SUB_FAILED);
	for (size_t i = 0; i < h.len; i++)
		of[i] = (struct am_handler){
			.enter = how & 1 ? on_negotiation : NULL,
			.exit = how & 2 ? on_negotiation : NULL,
			.self = how & 4 ? on_negotiation : NULL,
			.state = i % 3 == 0 ? on_final : NULL,
			.end = i % 5 == 0 ? on_final : NULL,
		};
	if (draw(w, 8) == 7)
		(void)am_add_err(w->m, 0, "before");
	/* After an error its handlers run in here, and may free it. */
	assert(am_bind(w->m, &h, w) == 0);
	if (draw(w, 4) == 3 && w->m != NULL)
		assert(am_set_logger(w->m, &logger) == 0);
	while (w->left > 0 && w->m != NULL) {
		act(w);
		check(w);
	}
	am_machine_free(w->m);
}

/* What is written is read back the same. */
static void
check_json(const struct am_schema *s)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_schema *t;

	am_schema_to_json(s, &b);
	t = am_schema_from_json(b.data, b.len, NULL, NULL);
	assert(t != NULL && am_schema_hash(t) == am_schema_hash(s));
	am_schema_unref(t);
	am_buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t len = end != NULL ? (size_t)(end - data) : size;
	struct world w = { .next = data + len, .left = size - len };
	struct am_schema *s;
	struct am_error err = { "" };

	s = am_schema_from_json((const char *)data, len, NULL, &err);
	assert((s == NULL) == (err.text[0] != '\0'));
	if (s != NULL) {
		check_json(s);
		run(&w, s);
	}
	am_schema_unref(s);
	s = am_schema_from_json((const char *)data, len, &am_worker_states,
	    NULL);
	am_schema_unref(s);
	return 0;
}
