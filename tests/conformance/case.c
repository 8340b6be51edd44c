#include "tests/conformance/case.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/machine/schema.h"
#include "tests/conformance/wire.h"

/* What a handler of the case does. Names are resolved to a kind and states
 * when the case is read. */
enum kind { ENTER, EXIT, STATE, END, PAIR, ANY_ENTER, ANY_STATE };

struct act {
	enum kind kind;
	am_id state;
	am_id other; /* of a pair; equal to state: a self handler */
	bool reject;
	bool panic;          /* once */
	const cJSON *mutate; /* once; borrowed from the document */
};

struct run {
	const cJSON *doc;
	struct am_schema *schema;
	struct am_machine *machine;
	struct wire *wire;       /* NULL: the machine is mutated itself */
	struct am_machine *seen; /* borrowed: the machine, or its mirror */
	struct act *act;
	size_t n_acts;
	struct am_handler *of;
	struct am_pair_handler *pair;
	struct am_handlers handlers;
	struct case_mode mode;
	bool any_enter;      /* bound in sparse mode too */
	struct am_buf calls; /* of the running transition, one a line */
	const cJSON *want;   /* the transition that has to come next */
	struct am_buf diff;  /* the first difference; empty: none */
};

static void AM_PRINTF(2, 3) differ(struct run *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (r->diff.len > 0)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_puts(&r->diff, text);
}

static const cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

static bool
flag(const cJSON *o, const char *key)
{
	return cJSON_IsTrue(get(o, key));
}

static int
state_id(const struct run *r, const char *name)
{
	return am_schema_id(r->schema, name, strlen(name));
}

/* ---- the schema ---- */

static int
ids_of(const cJSON *states, const cJSON *names, struct am_list *ret)
{
	size_t n = (size_t)cJSON_GetArraySize(names), k = 0;
	am_id *id = calloc(n + 1, sizeof(*id));
	const cJSON *name, *s;

	if (id == NULL)
		return -ENOMEM;
	ret->id = id;
	cJSON_ArrayForEach(name, names)
	{
		am_id i = 0;

		cJSON_ArrayForEach(s, states)
		{
			if (strcmp(s->valuestring, name->valuestring) == 0)
				break;
			i++;
		}
		id[k++] = i;
	}
	ret->len = n;
	return 0;
}

static int
read_row(const cJSON *doc, const cJSON *name, struct am_state *row)
{
	const cJSON *states = get(doc, "states");
	const cJSON *def = get(get(doc, "schema"), name->valuestring);
	int r;

	row->name = name->valuestring;
	row->automatic = flag(def, "auto");
	row->multi = flag(def, "multi");
	r = ids_of(states, get(def, "require"), &row->require);
	if (r == 0)
		r = ids_of(states, get(def, "add"), &row->add);
	if (r == 0)
		r = ids_of(states, get(def, "remove"), &row->remove);
	if (r == 0)
		r = ids_of(states, get(def, "after"), &row->after);
	return r;
}

static int
read_schema(struct run *r)
{
	const cJSON *states = get(r->doc, "states"), *name;
	size_t n = (size_t)cJSON_GetArraySize(states), i = 0;
	struct am_state *row = calloc(n + 1, sizeof(*row));
	struct am_states table = { .name = "case", .row = row, .len = n };
	struct am_error err;
	int e = row == NULL ? -ENOMEM : 0;

	cJSON_ArrayForEach(name, states)
	{
		if (e == 0)
			e = read_row(r->doc, name, &row[i++]);
	}
	if (e == 0) {
		r->schema = schema_compile(&table, false, &err);
		if (r->schema == NULL) {
			fprintf(stderr, "%s\n", err.text);
			e = -EINVAL;
		}
	}
	for (i = 0; row != NULL && i < n; i++) {
		free((void *)(uintptr_t)row[i].require.id);
		free((void *)(uintptr_t)row[i].add.id);
		free((void *)(uintptr_t)row[i].remove.id);
		free((void *)(uintptr_t)row[i].after.id);
	}
	free(row);
	return e;
}

/* ---- handlers by name ---- */

/* Does the name end with suffix, and is a state what stands before it? */
static bool
split(const struct run *r, const char *name, const char *suffix, am_id *ret)
{
	size_t len = strlen(name), tail = strlen(suffix);
	int id;

	if (len <= tail || strcmp(name + len - tail, suffix) != 0)
		return false;
	id = am_schema_id(r->schema, name, len - tail);
	if (id < 0)
		return false;
	*ret = (am_id)id;
	return true;
}

static int
parse_handler(const struct run *r, const char *name, struct act *ret)
{
	static const struct {
		const char *suffix;
		enum kind kind;
	} kinds[] = { { "Enter", ENTER }, { "Exit", EXIT }, { "State", STATE },
		{ "End", END } };

	*ret = (struct act){ .kind = ANY_ENTER };
	if (strcmp(name, "AnyEnter") == 0)
		return 0;
	ret->kind = ANY_STATE;
	if (strcmp(name, "AnyState") == 0)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ret->kind = kinds[i].kind;
		if (split(r, name, kinds[i].suffix, &ret->state))
			return 0;
	}
	ret->kind = PAIR;
	for (size_t i = 0; i < am_schema_len(r->schema); i++) {
		const char *second = am_schema_name(r->schema, (am_id)i);

		ret->other = (am_id)i;
		if (split(r, name, second, &ret->state))
			return 0;
	}
	return -EINVAL;
}

static int
act_of(struct run *r, const char *name, struct act **ret)
{
	struct act a;
	int e = parse_handler(r, name, &a);

	if (e < 0) {
		fprintf(stderr, "no such handler: %s\n", name);
		return e;
	}
	for (size_t i = 0; i < r->n_acts; i++) {
		*ret = &r->act[i];
		if ((*ret)->kind == a.kind && (*ret)->state == a.state &&
		    (*ret)->other == a.other)
			return 0;
	}
	*ret = &r->act[r->n_acts++];
	**ret = a;
	return 0;
}

static int
read_acts(struct run *r)
{
	const cJSON *h = get(r->doc, "handlers"), *it;
	size_t n = (size_t)(cJSON_GetArraySize(get(h, "reject")) +
	    cJSON_GetArraySize(get(h, "panic")) +
	    cJSON_GetArraySize(get(h, "mutate")));
	struct act *a;

	r->act = calloc(n + 1, sizeof(*r->act));
	if (r->act == NULL)
		return -ENOMEM;
	cJSON_ArrayForEach(it, get(h, "reject"))
	{
		if (act_of(r, it->valuestring, &a) < 0)
			return -EINVAL;
		a->reject = true;
	}
	cJSON_ArrayForEach(it, get(h, "panic"))
	{
		if (act_of(r, it->valuestring, &a) < 0)
			return -EINVAL;
		a->panic = true;
	}
	cJSON_ArrayForEach(it, get(h, "mutate"))
	{
		if (act_of(r, it->string, &a) < 0)
			return -EINVAL;
		a->mutate = it;
	}
	return 0;
}

/* ---- what the handlers do ---- */

/* remote: a step, over the wire if there is one. */
static am_result
operate(struct run *r, const cJSON *op, bool remote)
{
	static const char *const names[] = {
		[AM_ADD] = "add",
		[AM_REMOVE] = "remove",
		[AM_SET] = "set",
		[AM_TOGGLE] = "toggle",
		[AM_CAN_ADD] = "can_add",
		[AM_CAN_REMOVE] = "can_remove",
	};
	const char *name = get(op, "op")->valuestring;
	am_id id[2 * AM_STATES_MAX];
	struct am_mutation mut = { .states = id };
	am_result result = AM_CANCELED;
	const cJSON *s;

	cJSON_ArrayForEach(s, get(op, "states"))
	{
		id[mut.n_states++] = (am_id)state_id(r, s->valuestring);
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			mut.op = (enum am_op)i;
	if (r->wire == NULL || !remote)
		return am_mutate(r->machine, &mut);
	if (!wire_mutate(r->wire, &mut, &result))
		differ(r, "no result came");
	return result;
}

static bool
called(struct am_event *ev, enum kind kind, const char *name)
{
	struct run *r = ev->arg;
	bool any = kind == ANY_ENTER || kind == ANY_STATE;
	am_id state = any ? 0 : ev->state;
	am_id other = kind == PAIR ? ev->other : 0;
	const cJSON *op;

	buf_printf(&r->calls, "%s\n", name);
	for (size_t i = 0; i < r->n_acts; i++) {
		struct act *a = &r->act[i];
		const cJSON *mutate = a->mutate;
		bool panic = a->panic;

		if (a->kind != kind || a->state != state || a->other != other)
			continue;
		a->mutate = NULL;
		a->panic = false;
		cJSON_ArrayForEach(op, mutate)
		{
			(void)operate(r, op, false);
		}
		if (panic)
			am_fail(ev, "panic in %s", name);
		return !a->reject;
	}
	return true;
}

static bool
called_state(struct am_event *ev, enum kind kind, const char *suffix)
{
	struct am_schema *s = am_machine_schema(ev->machine);
	char name[512];

	(void)snprintf(name, sizeof(name), "%s%s", am_schema_name(s, ev->state),
	    suffix);
	return called(ev, kind, name);
}

static bool
on_enter(struct am_event *ev)
{
	return called_state(ev, ENTER, "Enter");
}

static bool
on_exit_state(struct am_event *ev)
{
	return called_state(ev, EXIT, "Exit");
}

static bool
on_pair(struct am_event *ev)
{
	struct am_schema *s = am_machine_schema(ev->machine);

	return called_state(ev, PAIR, am_schema_name(s, ev->other));
}

static void
on_state(struct am_event *ev)
{
	(void)called_state(ev, STATE, "State");
}

static void
on_end(struct am_event *ev)
{
	(void)called_state(ev, END, "End");
}

static bool
on_any_enter(struct am_event *ev)
{
	return called(ev, ANY_ENTER, "AnyEnter");
}

static void
on_any_state(struct am_event *ev)
{
	(void)called(ev, ANY_STATE, "AnyState");
}

/* ---- binding ---- */

/* After a failure in an auto transition what is bound counts as false and
 * what is not as true (semantics.md 23). The cases were recorded with all
 * names bound, so sparse mode needs one that refuses: AnyEnter. */
static bool
needs_any_enter(const struct run *r)
{
	for (size_t i = 0; i < r->n_acts; i++)
		if (r->act[i].panic &&
		    (r->act[i].kind == ENTER || r->act[i].kind == PAIR))
			return true;
	return false;
}

static bool
bound(const struct run *r, enum kind kind, am_id state, am_id other)
{
	if (kind == ANY_ENTER && r->any_enter)
		return true;
	for (size_t i = 0; i < r->n_acts; i++)
		if (r->act[i].kind == kind && r->act[i].state == state &&
		    r->act[i].other == other)
			return true;
	return !r->mode.sparse;
}

static int
bind_handlers(struct run *r)
{
	size_t len = am_schema_len(r->schema);
	struct am_handlers *h = &r->handlers;

	r->of = calloc(len, sizeof(*r->of));
	r->pair = calloc(len * len, sizeof(*r->pair));
	if (r->of == NULL || r->pair == NULL)
		return -ENOMEM;
	r->any_enter = needs_any_enter(r);
	for (am_id x = 0; x < len; x++) {
		r->of[x] = (struct am_handler){
			.enter = bound(r, ENTER, x, 0) ? on_enter : NULL,
			.exit = bound(r, EXIT, x, 0) ? on_exit_state : NULL,
			.self = bound(r, PAIR, x, x) ? on_pair : NULL,
			.state = bound(r, STATE, x, 0) ? on_state : NULL,
			.end = bound(r, END, x, 0) ? on_end : NULL,
		};
		for (am_id y = 0; y < len; y++)
			if (x != y && bound(r, PAIR, x, y))
				r->pair[h->n_pairs++] =
				    (struct am_pair_handler){ .before = x,
					    .after = y,
					    .fn = on_pair };
	}
	h->of = r->of;
	h->len = len;
	h->pair = r->pair;
	h->any_enter = bound(r, ANY_ENTER, 0, 0) ? on_any_enter : NULL;
	h->any_state = bound(r, ANY_STATE, 0, 0) ? on_any_state : NULL;
	return am_bind(r->machine, h, r);
}

/* ---- comparing ---- */

static void
check_clock(struct run *r, const char *what, const cJSON *want,
    const uint64_t *have)
{
	size_t i = 0;
	const cJSON *t;

	cJSON_ArrayForEach(t, want)
	{
		if ((uint64_t)t->valuedouble != have[i])
			differ(r, "%s of %s: %.0f, not %llu", what,
			    am_schema_name(r->schema, (am_id)i), t->valuedouble,
			    (unsigned long long)have[i]);
		i++;
	}
}

/* The recorded calls, in sparse mode those that are bound. */
static void
check_calls(struct run *r, const cJSON *want)
{
	am_cleanup(buf_donep) struct am_buf list = AM_BUF_INIT;
	const cJSON *it;
	struct act a;

	cJSON_ArrayForEach(it, want)
	{
		if (parse_handler(r, it->valuestring, &a) < 0)
			differ(r, "unknown call %s", it->valuestring);
		else if (bound(r, a.kind, a.state, a.other))
			buf_printf(&list, "%s\n", it->valuestring);
	}
	if (strcmp(buf_text(&list), buf_text(&r->calls)) != 0)
		differ(r, "calls:\n%sinstead of:\n%s", buf_text(&r->calls),
		    buf_text(&list));
	am_buf_reset(&r->calls);
}

static void
on_transition(struct am_machine *m, const struct am_transition *t, void *arg)
{
	static const char *const ops[] = { "add", "remove", "set" };
	struct run *r = arg;
	const cJSON *w = r->want, *s, *time_after;
	size_t i = 0;

	if (w == NULL) {
		differ(r, "a transition too many");
		return;
	}
	if (strcmp(ops[t->op], get(w, "type")->valuestring) != 0 ||
	    t->automatic != flag(w, "auto") || t->check != flag(w, "check") ||
	    t->n_called != (size_t)cJSON_GetArraySize(get(w, "called")))
		differ(r, "another transition: %s of %zu", ops[t->op],
		    t->n_called);
	cJSON_ArrayForEach(s, get(w, "called"))
	{
		if (i < t->n_called &&
		    t->called[i] != state_id(r, s->valuestring))
			differ(r, "called: not %s", s->valuestring);
		i++;
	}
	if (t->accepted != flag(w, "accepted"))
		differ(r, "accepted: %d (%s)", t->accepted, t->why);
	if (t->accepted != (t->why[0] == '\0'))
		differ(r, "accepted %d, but why: \"%s\"", t->accepted, t->why);
	check_calls(r, get(w, "calls"));
	check_clock(r, "clock_after", get(w, "clock_after"), am_time(m));
	time_after = get(w, "time_after");
	check_clock(r, "time_after",
	    time_after != NULL ? time_after : get(w, "clock_after"),
	    t->time_after);
	r->want = w->next;
}

static void
check_step(struct run *r, const cJSON *step, am_result result)
{
	const char *have = result == AM_EXECUTED ? "executed"
	    : result == AM_CANCELED              ? "canceled"
						 : "queued";
	const cJSON *order = get(step, "order"), *it;
	const cJSON *list = order != NULL ? order : get(step, "active");
	size_t n, i = 0;
	const am_id *active = am_active(r->seen, &n);

	if (strcmp(have, get(step, "result")->valuestring) != 0)
		differ(r, "result: %s", have);
	if (r->want != NULL && !r->mode.untraced)
		differ(r, "transitions are missing");
	if (n != (size_t)cJSON_GetArraySize(list))
		differ(r, "%zu active states", n);
	cJSON_ArrayForEach(it, list)
	{
		int id = order != NULL ? it->valueint
				       : state_id(r, it->valuestring);

		if (i < n &&
		    (r->wire == NULL ? active[i] != id
				     : !am_is1(r->seen, (am_id)id)))
			differ(r, "order: %s at %zu",
			    am_schema_name(r->schema, active[i]), i);
		i++;
	}
	check_clock(r, "clock", get(step, "clock"), am_time(r->seen));
	if (am_queue_tick(r->seen) !=
	    (uint64_t)get(step, "queue_tick")->valuedouble)
		differ(r, "queue tick %llu",
		    (unsigned long long)am_queue_tick(r->seen));
	if (am_machine_tick(r->seen) !=
	    (uint64_t)get(step, "mach_tick")->valuedouble)
		differ(r, "machine tick");
}

static int
run_steps(struct run *r)
{
	static const struct am_tracer tracer = { .size = sizeof(tracer),
		.transition_end = on_transition };
	const cJSON *step;
	int n = 0, e;

	r->machine = am_machine_new(r->schema, "case");
	if (r->machine == NULL)
		return -ENOMEM;
	/* A machine that stands still for a second is no failed case. */
	am_handler_timeout(r->machine, -1);
	e = r->mode.untraced ? 0 : am_trace(r->machine, &tracer, r);
	if (e == 0 && !flag(r->doc, "no_handlers"))
		e = bind_handlers(r);
	if (e == 0 && r->mode.rpc) {
		r->wire = wire_new(r->machine);
		e = r->wire == NULL ? -ENOTCONN : 0;
	}
	if (e < 0)
		return e;
	r->seen = r->wire != NULL ? wire_mirror(r->wire) : r->machine;
	cJSON_ArrayForEach(step, get(r->doc, "steps"))
	{
		const cJSON *transitions = get(step, "transitions");

		r->want = transitions != NULL ? transitions->child : NULL;
		check_step(r, step, operate(r, step, true));
		if (r->diff.len > 0) {
			fprintf(stderr, "%s: step %d: %s\n",
			    get(r->doc, "id")->valuestring, n,
			    buf_text(&r->diff));
			break;
		}
		n++;
	}
	return 0;
}

int
case_run(const char *line, struct case_mode mode, bool *ret_passed,
    char **ret_id)
{
	cJSON *doc = cJSON_Parse(line);
	struct run r = { .doc = doc, .mode = mode };
	int e = -EINVAL;

	if (doc != NULL && cJSON_IsString(get(doc, "id")) &&
	    cJSON_IsArray(get(doc, "steps")) &&
	    cJSON_IsArray(get(doc, "states"))) {
		*ret_id = strdup(get(doc, "id")->valuestring);
		e = *ret_id == NULL ? -ENOMEM : read_schema(&r);
		if (e == 0)
			e = read_acts(&r);
		if (e == 0)
			e = run_steps(&r);
		*ret_passed = r.diff.len == 0;
	}
	r.wire = wire_free(r.wire);
	am_machine_free(r.machine);
	am_schema_unref(r.schema);
	free(r.act);
	free(r.of);
	free(r.pair);
	am_buf_done(&r.calls);
	am_buf_done(&r.diff);
	cJSON_Delete(doc);
	return e;
}
