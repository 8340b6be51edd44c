#include "lib/node/client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/random.h"
#include "lib/machine/machine.h"
#include "lib/node/client_int.h"

/* A handler of the user failed or was too slow (ours do not): the text stays in
 * am_last_error(), and the client continues. */
static void
exception_state(struct am_event *ev)
{
	if (node_is_failure(ev, Cli_ErrHandlerTimeout))
		node_failure_over(ev->machine, Cli_ErrHandlerTimeout);
}

static const struct am_handler handler[Cli__COUNT] = {
	[Cli_Exception] = { .state = exception_state },
	[Cli_SuperReady] = { .state = super_ready_state },
	[Cli_WorkerWanted] = { .state = worker_wanted_state },
	[Cli_WorkerRequested] = { .state = worker_requested_state,
	    .end = worker_requested_end },
	[Cli_ServerPayload] = { .state = server_payload_state },
	[Cli_Releasing] = { .state = releasing_state },
};

static const struct am_handlers client_handlers = {
	.name = "client",
	.of = handler,
	.len = Cli__COUNT,
};

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct am_client *c = arg;

#ifdef AM_CHECK
	assert(node_pulse_left(m) == NULL);
#endif
	(void)m;
	due_run(&c->due);
}

static const struct am_tracer client_tracer = { .size = sizeof(client_tracer),
	.drain_end = on_drain_end };

void
client_put_change(struct am_client *c, enum am_op op, am_id a, am_id b)
{
	const am_id ids[] = { a, b };

	(void)due_mutate(&c->due, op, ids, a == b ? 1 : 2, AM_NONE);
}

/* ---- life ---- */

int
client_addr(const struct am_client *c, const char *text, struct addr *ret,
    struct am_error *err)
{
	return c->tls != NULL ? addr_parse_tls(text, ret, err)
			      : addr_parse(text, ret, err);
}

static int
set_up_tls(struct am_client *c, struct am_error *err)
{
	const struct am_client_conf *conf = &c->conf;
	const struct tls_source source[TLS_N_PARTS] = {
		[TLS_CERT] = { conf->tls_cert, -1 },
		[TLS_KEY] = { conf->tls_key, -1 },
		[TLS_CA] = { conf->tls_ca, -1 },
	};

	if (conf->tls_cert == NULL && conf->tls_key == NULL &&
	    conf->tls_ca == NULL)
		return 0;
	if (conf->tls_cert == NULL || conf->tls_key == NULL ||
	    conf->tls_ca == NULL)
		return node_error(err, -EINVAL,
		    "TLS requires tls_cert, tls_key and tls_ca, but not "
		    "all of them are set");
	c->tls = tls_new(source, err);
	return c->tls == NULL ? -EINVAL : 0;
}

static int
set_up_view(struct view *ret, const struct am_view *v, struct am_error *err)
{
	const char *const *list = v->only != NULL ? v->only : v->skip;
	size_t n = 0;

	ret->sync.shallow = v->shallow;
	if (list == NULL)
		return 0;
	if (v->only != NULL && v->skip != NULL)
		return node_error(err, -EINVAL,
		    "a view can have `only` or `skip`, but not both");
	while (list[n] != NULL)
		n++;
	am_put_array(&ret->names, n);
	for (size_t i = 0; i < n; i++)
		am_put_str(&ret->names, list[i]);
	if (am_buf_error(&ret->names) < 0)
		return node_error(err, -ENOMEM, "out of memory");
	if (v->only != NULL)
		ret->sync.allow = am_buf_val(&ret->names);
	else
		ret->sync.skip = am_buf_val(&ret->names);
	return 0;
}

static int
add_supervisors(struct am_client *c, struct am_error *err)
{
	const struct am_client_conf *conf = &c->conf;
	struct am_error why;

	if (conf->n_supervisors > CLIENT_SUPERVISORS_MAX)
		return node_error(err, -EINVAL,
		    "%zu supervisors are too many: at most %d are allowed",
		    conf->n_supervisors, CLIENT_SUPERVISORS_MAX);
	for (size_t i = 0; i < conf->n_supervisors; i++) {
		struct supervisor *s = &c->supervisor[i];

		if (client_addr(c, conf->supervisors[i], &s->addr, &why) < 0)
			return node_error(err, -EINVAL, "%s", why.text);
		s->name = strdup(conf->supervisors[i]);
		if (s->name == NULL)
			return node_error(err, -ENOMEM, "out of memory");
		c->n_supervisors++;
	}
	return 0;
}

static int
make_machine(struct am_client *c)
{
	struct am_schema *s = am_schema_new(&am_client_states, NULL);

	if (s == NULL)
		return -ENOMEM;
	c->machine = am_machine_new(s, c->name);
	s = am_schema_unref(s);
	if (c->machine == NULL)
		return -ENOMEM;
	due_init(&c->due, c->machine);
	if (am_trace(c->machine, &client_tracer, c) < 0)
		return -ENOMEM;
	return am_bind(c->machine, &client_handlers, c);
}

static void on_reap(void *arg);

static void
client_freep(struct am_client **c)
{
	*c = am_client_free(*c);
}

/* By default a lease ends with the process that holds it. */
static void
bind_to_self(struct client_wish *w)
{
	uint64_t start;

	if (client_pid_start(getpid(), &start) == 0) {
		w->pid = getpid();
		w->pid_start = start;
	}
}

struct am_client *
am_client_new(struct am_loop *l, const struct am_client_conf *conf,
    struct am_error *err)
{
	am_cleanup(client_freep) struct am_client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)node_error(err, -ENOMEM, "out of memory");
		return NULL;
	}
	c->magic = CLIENT_MAGIC;
	c->loop = l;
	c->reap = (struct turn_item){ .fn = on_reap, .arg = c };
	if (node_conf(&c->conf, sizeof(c->conf), conf, err) < 0)
		return NULL;
	conf = &c->conf;
	c->client_id = random_id();
	(void)snprintf(c->name, sizeof(c->name), "%s",
	    conf->name != NULL ? conf->name : "client");
	for (size_t i = 0; i < CLIENT_BUCKETS; i++)
		LIST_INIT(&c->pending[i]);
	/* A supervisor that has gone is not back at once. */
	backoff_reset(&c->super_backoff, BACKOFF_MIN_MS);
	am_timer_init(&c->super_timer, l, super_on_timer, c);
	am_timer_init(&c->wish_timer, l, wish_on_timer, c);
	am_timer_init(&c->worker_timer, l, worker_on_timer, c);
	am_timer_init(&c->guard_timer, l, requests_on_guard, c);
	bind_to_self(&c->wish);
	if (set_up_tls(c, err) < 0 || add_supervisors(c, err) < 0 ||
	    set_up_view(&c->worker_view, &c->conf.worker_view, err) < 0 ||
	    set_up_view(&c->super_view, &c->conf.supervisor_view, err) < 0)
		return NULL;
	if (make_machine(c) < 0 ||
	    (c->n_supervisors > 0 && am_timer_start(&c->super_timer, 0) < 0)) {
		(void)node_error(err, -ENOMEM, "out of memory");
		return NULL;
	}
	(void)due_add1(&c->due, Cli_Start, AM_NONE);
	return am_steal(&c);
}

/* Of the timers nothing is left that a function on the stack has started since
 * the client was freed. */
static void
stop(struct am_client *c)
{
	am_timer_done(&c->super_timer);
	am_timer_done(&c->wish_timer);
	am_timer_done(&c->worker_timer);
	am_timer_done(&c->guard_timer);
}

static void
forget_requests(struct am_client *c)
{
	struct pending *p;

	for (size_t i = 0; i < CLIENT_BUCKETS; i++) {
		while ((p = LIST_FIRST(&c->pending[i])) != NULL) {
			LIST_REMOVE(p, link);
			free(p);
		}
	}
	while ((p = LIST_FIRST(&c->lost)) != NULL) {
		LIST_REMOVE(p, link);
		free(p);
	}
}

static void
on_reap(void *arg)
{
	struct am_client *c = arg;

	stop(c);
	c->machine = mach_release(c->machine);
	c->tls = tls_free(c->tls);
	due_done(&c->due);
	for (size_t i = 0; i < c->n_supervisors; i++)
		free(c->supervisor[i].name);
	am_buf_done(&c->worker_view.names);
	am_buf_done(&c->super_view.names);
	c->magic = 0;
	free(c);
}

/* It may be one of its callbacks who calls: what is on the stack finds a client
 * without connections, whose machine refuses everything. */
struct am_client *
am_client_free(struct am_client *c)
{
	if (c == NULL || c->freed)
		return NULL;
	assert(c->magic == CLIENT_MAGIC);
	c->freed = true;
	c->conf = (struct am_client_conf){ .size = sizeof(c->conf) };
	if (client_lease(c) != NULL && !c->attached && super_is_ready(c)) {
		lease_release(c);
		netmach_leave(c->super, "done");
	}
	stop(c);
	if (c->worker != NULL)
		netmach_leave(c->worker, "done");
	c->worker = netmach_free(c->worker);
	c->super = netmach_free(c->super);
	forget_requests(c);
	if (c->machine != NULL) {
		am_untrace(c->machine, &client_tracer, c);
		mach_hold(c->machine);
		(void)am_machine_free(c->machine);
	}
	node_wipe(&c->lease, sizeof(c->lease));
	loop_at_reap(c->loop, &c->reap);
	return NULL;
}

/* ---- getters ---- */

struct am_machine *
am_client_machine(const struct am_client *c)
{
	return c->machine;
}

struct am_machine *
am_client_worker(const struct am_client *c)
{
	return c->worker != NULL ? netmach_mirror(c->worker) : NULL;
}

struct am_machine *
am_client_supervisor(const struct am_client *c)
{
	return super_is_ready(c) ? netmach_mirror(c->super) : NULL;
}

const struct client_lease *
client_lease(const struct am_client *c)
{
	return c->lease.lease[0] != '\0' ? &c->lease : NULL;
}

const char *
client_super_error(const struct am_client *c)
{
	return c->super_error;
}

void
client_wish(struct am_client *c, const struct client_wish *w)
{
	c->wish = *w;
}

/* The name in field 2 may contain spaces and parentheses; it ends with the last
 * closing one. Field 22 is the 20th after it. */
int
client_pid_start(pid_t pid, uint64_t *ret)
{
	am_cleanup(am_closep) int fd = -1;
	char path[64], text[2048], *p, *end;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	p = strrchr(text, ')');
	for (int field = 2; p != NULL && field < 22; field++) {
		p = strchr(p + 1, ' ');
	}
	if (p == NULL)
		return -EBADMSG;
	*ret = strtoull(p + 1, &end, 10);
	return end != p + 1 ? 0 : -EBADMSG;
}
