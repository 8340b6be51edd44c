#include "tests/unit/flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/node/common.h"

enum {
	LINE_MAX_LEN = 4096,
	NAMES_MAX = 64,
	NAME_LEN = 48,
};

struct names {
	char name[NAMES_MAX][NAME_LEN];
	size_t n;
};

static const char *
base_of(char actor)
{
	switch (actor) {
	case 'S':
		return "Start LocalRpcReady PublicRpcReady Ready PoolReady "
		       "PoolNormalized";
	case 'W':
		return "Start LocalRpcReady PublicRpcReady RpcReady "
		       "SuperConnected Ready";
	default:
		return "Start SuperConnected SuperReady";
	}
}

/* What a handler adds for the length of a drain or a piece of work: not printed
 * when it leaves. */
static bool
is_pulse(const struct am_state *row)
{
	static const char *const more[] = { "Exception", "Heartbeat" };

	if (row->doc != NULL && strncmp(row->doc, "pulse:", 6) == 0)
		return true;
	for (size_t i = 0; i < NODE_LEN(more); i++) {
		if (strcmp(row->name, more[i]) == 0)
			return true;
	}
	return false;
}

/* ---- sets of names ---- */

static void
names_add(struct names *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strlen(s->name[i]) == len &&
		    memcmp(s->name[i], name, len) == 0)
			return;
	}
	if (s->n == NAMES_MAX || len >= NAME_LEN)
		abort();
	memcpy(s->name[s->n], name, len);
	s->name[s->n++][len] = '\0';
}

static void
names_add_all(struct names *s, const char *text)
{
	for (size_t n; *text != '\0'; text += n) {
		text += *text == ' ';
		n = strcspn(text, " ");
		names_add(s, text, n);
	}
}

static void
names_drop(struct names *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strlen(s->name[i]) != len ||
		    memcmp(s->name[i], name, len) != 0)
			continue;
		s->n--;
		memmove(s->name[i], s->name[s->n], NAME_LEN);
		return;
	}
}

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
append(char *text, const char *sep, const char *s)
{
	size_t n = strlen(text);

	(void)snprintf(text + n, FLOW_TEXT - n, "%s%s", sep, s);
}

static void
append_names(char *text, struct names *s, const char *prefix)
{
	char sep[8] = " ";

	(void)snprintf(sep + 1, sizeof(sep) - 1, "%s", prefix);
	qsort(s->name, s->n, NAME_LEN, compare);
	for (size_t i = 0; i < s->n; i++)
		append(text, sep, s->name[i]);
}

/* ---- reading ---- */

static const char *
word_end(const char *p, const char *end)
{
	while (p < end && *p != ' ')
		p++;
	return p;
}

static void
read_result(struct flow_step *st, const char *p, const char *end, char actor)
{
	struct names s = { .n = 0 };
	const char *e;

	if (strncmp(p, "canceled", 8) == 0) {
		(void)snprintf(st->text + strlen(st->text),
		    FLOW_TEXT - strlen(st->text), " %.*s", (int)(end - p), p);
		return;
	}
	for (; p < end; p = e + (e < end)) {
		e = word_end(p, end);
		if (*p == '-')
			names_drop(&s, p + 1, (size_t)(e - p - 1));
		else if (*p == '+')
			names_add(&s, p + 1, (size_t)(e - p - 1));
		else if (e - p == 2 && memcmp(p, "up", 2) == 0)
			names_add_all(&s, base_of(actor));
		else
			names_add(&s, p, (size_t)(e - p));
	}
	names_drop(&s, "none", 4);
	append_names(st->text, &s, "");
}

/* [auto ](+X|-X)...[ {args}][ by who] -> result */
static bool
read_step(struct flow_step *st, const char *p, const char *end, char actor)
{
	const char *arrow = memmem(p, (size_t)(end - p), " -> ", 4);
	struct names called = { .n = 0 };
	char sign[2] = "";
	const char *e;

	st->text[0] = '\0';
	if (arrow == NULL)
		return false;
	if (strncmp(p, "auto ", 5) == 0) {
		append(st->text, "", "auto");
		st->begins = false;
		p += 5;
	}
	for (; p < arrow && (*p == '+' || *p == '-'); p = e + (e < arrow)) {
		e = word_end(p, arrow);
		sign[0] = *p;
		names_add(&called, p + 1, (size_t)(e - p - 1));
	}
	if (called.n == 0)
		return false;
	append_names(st->text, &called, sign);
	append(st->text, "", " ->");
	read_result(st, arrow + 4, end, actor);
	return true;
}

/* Removals of pulses have no step, so ';' separates what is there. */
static bool
read_line(struct flow *f, const char *p, unsigned line)
{
	const char *end = p + strlen(p);
	const char *semi;
	bool first = true;

	for (; p < end; p = semi + 2) {
		semi = strstr(p, "; ");
		if (semi == NULL)
			semi = end;
		if (f->n_steps == FLOW_STEPS)
			return false;
		f->step[f->n_steps].line = line;
		f->step[f->n_steps].begins = first;
		if (!read_step(&f->step[f->n_steps], p, semi, f->actor))
			return false;
		f->n_steps++;
		first = false;
		if (semi == end)
			break;
	}
	return true;
}

static bool
read_flow(struct flow *f, FILE *file)
{
	char text[LINE_MAX_LEN], title[24];
	bool inside = false;
	unsigned line;
	int at;

	(void)snprintf(title, sizeof(title), "## %s:", f->id);
	while (fgets(text, sizeof(text), file) != NULL) {
		text[strcspn(text, "\n")] = '\0';
		if (text[0] == '#') {
			inside = strncmp(text, title, strlen(title)) == 0;
			continue;
		}
		at = 0;
		if (!inside || sscanf(text, "%u. %n", &line, &at) != 1 ||
		    at == 0 || text[at] != f->actor)
			continue;
		if (!read_line(f, text + at + 3, line)) {
			(void)fprintf(stderr, "flow %s: cannot read: %s\n",
			    f->id, text);
			return false;
		}
	}
	return true;
}

struct flow *
flow_load(const char *path, const char *id, char actor)
{
	struct flow *f = calloc(1, sizeof(*f));
	FILE *file = fopen(path, "re");

	if (f == NULL || file == NULL) {
		(void)fprintf(stderr, "%s: cannot be opened\n", path);
		abort();
	}
	(void)snprintf(f->id, sizeof(f->id), "%s", id);
	f->actor = actor;
	if (!read_flow(f, file) || f->n_steps == 0) {
		(void)fprintf(stderr, "flow %s has no lines of %c\n", id,
		    actor);
		free(f);
		f = NULL;
	}
	(void)fclose(file);
	return f;
}

/* ---- recording ---- */

static void
active_names(const struct am_machine *m, struct names *ret)
{
	const am_id *active;
	size_t n;

	active = am_active(m, &n);
	for (size_t i = 0; i < n; i++) {
		const char *name = am_schema_name(am_machine_schema(m),
		    active[i]);

		names_add(ret, name, strlen(name));
	}
}

/* The states that a transition is told to be about. */
static void
called_names(const struct flow_log *log, const struct am_transition *t,
    struct names *ret)
{
	const struct am_schema *s = am_machine_schema(log->machine);
	const am_id *ids = t->called;
	size_t n = t->n_called;

	if (t->automatic)
		ids = am_active(log->machine, &n);
	for (size_t i = 0; i < n; i++) {
		const char *name = am_schema_name(s, ids[i]);

		if (!t->automatic || !log->before[ids[i]])
			names_add(ret, name, strlen(name));
	}
}

static bool
is_left_out(const struct flow_log *log, const struct am_transition *t)
{
	const struct am_schema *s = am_machine_schema(log->machine);

	if (t->check || log->off)
		return true;
	if (t->op != AM_REMOVE)
		return false;
	for (size_t i = 0; i < t->n_called; i++) {
		if (!is_pulse(am_schema_state(s, t->called[i])))
			return false;
	}
	return true;
}

static void
note_active(struct flow_log *log)
{
	const am_id *active;
	size_t n;

	active = am_active(log->machine, &n);
	memset(log->before, 0, sizeof(log->before));
	for (size_t i = 0; i < n; i++)
		log->before[active[i]] = true;
}

static void
record(struct flow_log *log, const struct am_transition *t)
{
	struct flow_step *st = &log->step[log->n_steps];
	struct names called = { .n = 0 }, active = { .n = 0 };
	char *text;

	called_names(log, t, &called);
	if (t->automatic && called.n == 0)
		return;
	if (++log->n_steps == FLOW_LOG)
		abort();
	*st = (struct flow_step){ .line = log->drain, .begins = log->begins };
	if (t->automatic)
		append(st->text, "", "auto");
	append_names(st->text, &called,
	    t->op == AM_ADD          ? "+"
		: t->op == AM_REMOVE ? "-"
				     : "=");
	append(st->text, "", " ->");
	if (t->accepted) {
		active_names(log->machine, &active);
		append_names(st->text, &active, "");
		return;
	}
	append(st->text, "", " canceled (");
	append(st->text, "", t->why);
	/* The flows do not say with what text a handler failed. */
	text = strstr(st->text, ", rolled back");
	if (text != NULL)
		text[strlen(", rolled back")] = '\0';
	append(st->text, "", ")");
}

static void
on_transition_end(struct am_machine *m, const struct am_transition *t,
    void *arg)
{
	struct flow_log *log = arg;

	(void)m;
	if (!is_left_out(log, t))
		record(log, t);
	log->begins = false;
	note_active(log);
}

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct flow_log *log = arg;

	log->begins = true;
	log->drain++;
	if (log->pulse_left == NULL)
		log->pulse_left = node_pulse_left(m);
}

static const struct am_tracer tracer = {
	.size = sizeof(tracer),
	.transition_end = on_transition_end,
	.drain_end = on_drain_end,
};

void
flow_log_attach(struct flow_log *log, struct am_machine *m)
{
	memset(log, 0, sizeof(*log));
	log->machine = m;
	log->begins = true;
	note_active(log);
	if (am_trace(m, &tracer, log) < 0)
		abort();
}

void
flow_log_detach(struct flow_log *log)
{
	am_untrace(log->machine, &tracer, log);
}

void
flow_log_clear(struct flow_log *log)
{
	log->n_steps = 0;
}

/* ---- comparing ---- */

static bool
may_skip(const char *text, const char *const *skip)
{
	const char *p = text + strspn(text, " ");

	for (; skip != NULL && *skip != NULL; skip++) {
		if (strncmp(p, *skip, strlen(*skip)) == 0)
			return true;
	}
	return false;
}

static const char *
differs_at(struct flow_log *log, const struct flow *f,
    const struct flow_step *want, const struct flow_step *got)
{
	(void)snprintf(log->difference, sizeof(log->difference),
	    "flow %s, line %u of %c:\n  expected %s%s\n  got      %s%s", f->id,
	    want != NULL ? want->line : 0, f->actor,
	    want != NULL && want->begins ? "(drain)" : "",
	    want != NULL ? want->text : " the end",
	    got != NULL && got->begins ? "(drain)" : "",
	    got != NULL ? got->text : " the end");
	return log->difference;
}

const char *
flow_differs(const struct flow *f, struct flow_log *log,
    const char *const *skip)
{
	size_t j = 0;

	for (size_t i = 0; i < f->n_steps; i++, j++) {
		const struct flow_step *want = &f->step[i];

		while (j < log->n_steps &&
		    strcmp(log->step[j].text, want->text) != 0 &&
		    may_skip(log->step[j].text, skip))
			j++;
		if (j == log->n_steps)
			return differs_at(log, f, want, NULL);
		if (strcmp(log->step[j].text, want->text) != 0 ||
		    (want->begins && i > 0 && !log->step[j].begins))
			return differs_at(log, f, want, &log->step[j]);
	}
	while (j < log->n_steps && may_skip(log->step[j].text, skip))
		j++;
	return j < log->n_steps ? differs_at(log, f, NULL, &log->step[j])
				: NULL;
}
