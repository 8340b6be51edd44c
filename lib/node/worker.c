#include "lib/node/worker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "lib/machine/machine.h"
#include "lib/node/worker_int.h"

enum { WORKER_BACKLOG = 128 };

/* ---- life of the program ---- */

static void
rpc_ready_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;

	if (!w->conf.ready_later || w->said_ready)
		(void)due_add1(&w->due, Wrk_Ready, AM_NONE);
}

static void
healthcheck_state(struct am_event *ev)
{
	struct am_worker *w = ev->arg;

	if (w->conf.on_ping != NULL)
		w->conf.on_ping(w, w->conf.arg);
	else
		am_worker_alive(w);
}

static const struct am_handler handler[Wrk__COUNT] = {
	[Wrk_Exception] = { .state = exception_state },
	[Wrk_RpcReady] = { .state = rpc_ready_state },
	[Wrk_Healthcheck] = { .state = healthcheck_state },
	[Wrk_WorkRequested] = { .enter = work_requested_enter,
	    .self = work_requested_self,
	    .state = work_requested_state },
	[Wrk_CancelWork] = { .enter = cancel_work_enter,
	    .state = cancel_work_state },
	[Wrk_ClientSendPayload] = { .enter = client_send_payload_enter,
	    .self = client_send_payload_self },
	[Wrk_SuperSendPayload] = { .self = super_send_payload_self,
	    .state = super_send_payload_state },
	[Wrk_ServeClient] = { .enter = serve_client_enter,
	    .state = serve_client_state },
	[Wrk_Leased] = { .state = leased_state, .end = leased_end },
	[Wrk_LeaseEnding] = { .enter = lease_ending_enter,
	    .state = lease_ending_state },
};

static const struct am_handlers worker_handlers = {
	.name = "worker",
	.of = handler,
	.len = Wrk__COUNT,
};

static void
on_transition_end(struct am_machine *m, const struct am_transition *t,
    void *arg)
{
	struct am_worker *w = arg;

	(void)m;
	/* If a request failed, the Exception that follows still needs it. */
	if (t->accepted && !t->check)
		w->requests.taking = 0;
}

static void
on_drain_end(struct am_machine *m, void *arg)
{
	struct am_worker *w = arg;
	const am_id work_ready = Wrk_WorkReady;

#ifdef AM_CHECK
	assert(node_pulse_left(m) == NULL);
#endif
	due_run(&w->due);
	/* Unless there is new work. */
	if (w->work_ready_due && due_is_empty(&w->due)) {
		w->work_ready_due = false;
		if (w->requests.n_open == 0)
			(void)am_pulse(m, &work_ready, 1, AM_NONE);
	}
	lease_watch(w);
}

static const struct am_tracer worker_tracer = {
	.size = sizeof(worker_tracer),
	.transition_end = on_transition_end,
	.drain_end = on_drain_end,
};

static void
on_start_timer(void *arg)
{
	struct am_worker *w = arg;
	struct am_machine *m = w->machine;

	(void)am_add1(m, Wrk_Start, AM_NONE);
	(void)am_add1(m, Wrk_LocalRpcReady, AM_NONE);
	(void)am_add1(m, Wrk_PublicRpcReady, AM_NONE);
}

/* ---- the schema of a user ---- */

static bool
same_list(const struct am_list *a, const struct am_list *b)
{
	return a->len == b->len &&
	    (a->len == 0 || memcmp(a->id, b->id, a->len * sizeof(*a->id)) == 0);
}

static bool
same_row(const struct am_state *a, const struct am_state *b)
{
	return strcmp(a->name, b->name) == 0 && a->automatic == b->automatic &&
	    a->multi == b->multi && same_list(&a->require, &b->require) &&
	    same_list(&a->add, &b->add) && same_list(&a->remove, &b->remove) &&
	    same_list(&a->after, &b->after);
}

/* The first base state in a relation; NULL: none. */
static const char *
base_in(const struct am_list *l)
{
	for (size_t i = 0; i < l->len; i++) {
		if (l->id[i] < Wrk__COUNT)
			return am_worker_states.row[l->id[i]].name;
	}
	return NULL;
}

static int
check_schema(const struct am_schema *s, struct am_error *err)
{
	const struct am_state *row;
	const char *base;

	if (am_schema_len(s) < Wrk__COUNT)
		return node_error(err, -EINVAL,
		    "the worker's schema has %zu states: it must begin with "
		    "the %d of <amnode/worker.tbl.h>",
		    am_schema_len(s), Wrk__COUNT);
	for (am_id i = 0; i < am_schema_len(s); i++) {
		row = am_schema_state(s, i);
		if (i < Wrk__COUNT && !same_row(row, &am_worker_states.row[i]))
			return node_error(err, -EINVAL,
			    "state %u of the worker's schema is not the base's "
			    "\"%s\": it must begin with the rows of "
			    "<amnode/worker.tbl.h>, unchanged",
			    i, am_worker_states.row[i].name);
		if (i < Wrk__COUNT)
			continue;
		base = base_in(&row->add);
		if (base == NULL)
			base = base_in(&row->remove);
		if (base != NULL)
			return node_error(err, -EINVAL,
			    "state \"%s\" adds or removes the base state "
			    "\"%s\": own states may only require base states",
			    row->name, base);
	}
	return 0;
}

static struct am_schema *
schema_of(const struct am_worker_conf *conf, struct am_error *err)
{
	struct am_schema *s;

	if (conf->schema != NULL)
		s = am_schema_ref(conf->schema);
	else
		s = am_schema_new(conf->states != NULL ? conf->states
						       : &am_worker_states,
		    err);
	if (s != NULL && check_schema(s, err) < 0)
		s = am_schema_unref(s);
	return s;
}

/* ---- making one ---- */

/* Takes the fd at *fd, which the listener owns afterwards. */
static int
serve(struct am_worker *w, int *fd, const struct rpc_policy *policy,
    const char *what, struct am_error *err)
{
	int own = am_steal_fd(fd);
	int flags, r;

	/* listen() again, because peers see the credentials of its caller. */
	flags = fcntl(own, F_GETFL);
	if (flags < 0 || fcntl(own, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(own, F_SETFD, FD_CLOEXEC) < 0 ||
	    listen(own, WORKER_BACKLOG) < 0) {
		r = -errno;
		if (own >= 0)
			(void)close(own);
		return node_error(err, r, "the %s socket cannot be served: %s",
		    what, strerror(-r));
	}
	r = rpc_server_listen(w->server, own, policy, w);
	if (r < 0)
		return node_error(err, r, "the %s socket cannot be served: %s",
		    what, strerror(-r));
	return r;
}

static int
bind_all(struct am_worker *w)
{
	int r;

	mach_set_owner(w->machine, w);
	due_init(&w->due, w->machine);
	r = am_bind(w->machine, &worker_handlers, w);
	if (r == 0 && w->conf.handlers != NULL)
		r = am_bind(w->machine, w->conf.handlers, w->conf.arg);
	if (r == 0)
		r = am_trace(w->machine, &worker_tracer, w);
	return r;
}

/* Reads the files and closes them. */
static int
set_up_tls(struct am_worker *w, struct am_error *err)
{
	struct tls_source source[TLS_N_PARTS];

	if (w->env.tls_fd[TLS_CERT] < 0)
		return 0;
	for (int i = 0; i < TLS_N_PARTS; i++)
		source[i] = (struct tls_source){
			.name = worker_env_tls[i],
			.fd = w->env.tls_fd[i],
		};
	w->tls = tls_new(source, err);
	for (int i = 0; i < TLS_N_PARTS; i++)
		am_closep(&w->env.tls_fd[i]);
	return w->tls == NULL ? -EINVAL : 0;
}

static int
set_up(struct am_worker *w, struct am_error *err)
{
	struct am_schema *s;

	if (set_up_tls(w, err) < 0)
		return -EINVAL;
	s = schema_of(&w->conf, err);
	if (s == NULL)
		return -EINVAL;
	w->machine = am_machine_new(s,
	    w->env.id[0] != '\0' ? w->env.id : "worker");
	s = am_schema_unref(s);
	if (w->machine == NULL || bind_all(w) < 0 ||
	    requests_init(&w->requests, w->env.window) < 0)
		return node_error(err, -ENOMEM, "out of memory");
	w->server = rpc_server_new(w->loop, w->machine);
	if (w->server == NULL)
		return node_error(err, -ENOMEM, "out of memory");
	w->private_listener = serve(w, &w->env.private_fd,
	    &worker_private_policy, "private", err);
	if (w->private_listener < 0)
		return w->private_listener;
	w->public_listener = serve(w, &w->env.public_fd, &worker_public_policy,
	    "public", err);
	if (w->public_listener < 0)
		return w->public_listener;
	if (w->tls != NULL)
		rpc_server_set_tls(w->server, w->public_listener, w->tls);
	return am_timer_start(&w->start_timer, 0);
}

static void on_reap(void *arg);

static void
worker_freep(struct am_worker **w)
{
	*w = am_worker_free(*w);
}

struct am_worker *
worker_new(struct am_loop *l, const struct am_worker_conf *conf,
    const struct worker_env *env, struct am_error *err)
{
	am_cleanup(am_closep) int private_fd = env->private_fd;
	am_cleanup(am_closep) int public_fd = env->public_fd;
	am_cleanup(worker_freep) struct am_worker *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		(void)node_error(err, -ENOMEM, "out of memory");
		return NULL;
	}
	w->magic = WORKER_MAGIC;
	w->loop = l;
	w->reap = (struct turn_item){ .fn = on_reap, .arg = w };
	w->env = *env;
	w->env.private_fd = am_steal_fd(&private_fd);
	w->env.public_fd = am_steal_fd(&public_fd);
	w->status = -1;
	w->private_listener = w->public_listener = -1;
	outbox_init(&w->outbox, w->loop, env->outbox_bytes, env->outbox_len);
	am_timer_init(&w->start_timer, l, on_start_timer, w);
	am_timer_init(&w->deadline_timer, l, requests_on_deadline, w);
	am_timer_init(&w->close_timer, l, lease_on_close_timer, w);
	am_timer_init(&w->lease_timer, l, lease_on_timer, w);
	am_timer_init(&w->orphan_timer, l, lease_on_orphan_timer, w);
	if (node_conf(&w->conf, sizeof(w->conf), conf, err) < 0 ||
	    set_up(w, err) < 0)
		return NULL;
	return am_steal(&w);
}

static void
stop(struct am_worker *w)
{
	am_timer_done(&w->start_timer);
	am_timer_done(&w->deadline_timer);
	am_timer_done(&w->close_timer);
	am_timer_done(&w->lease_timer);
	am_timer_done(&w->orphan_timer);
}

static void
on_reap(void *arg)
{
	struct am_worker *w = arg;

	stop(w); /* what functions on the stack have started since */
	w->machine = mach_release(w->machine);
	w->tls = tls_free(w->tls);
	due_done(&w->due);
	requests_done(&w->requests);
	outbox_clear(&w->outbox);
	am_closep(&w->env.private_fd);
	am_closep(&w->env.public_fd);
	for (int i = 0; i < TLS_N_PARTS; i++)
		am_closep(&w->env.tls_fd[i]);
	node_wipe(&w->lease, sizeof(w->lease));
	w->magic = 0;
	free(w);
}

/* It may be one of its callbacks who calls: what is on the stack finds a worker
 * without connections, whose machine refuses everything. */
struct am_worker *
am_worker_free(struct am_worker *w)
{
	if (w == NULL || w->freed)
		return NULL;
	assert(w->magic == WORKER_MAGIC);
	w->freed = true;
	w->conf = (struct am_worker_conf){ .size = sizeof(w->conf) };
	if (w->on_term != NULL)
		event_free(w->on_term);
	if (w->on_int != NULL)
		event_free(w->on_int);
	w->on_term = w->on_int = NULL;
	stop(w);
	/* Its memory goes with ours. */
	(void)rpc_server_free(w->server);
	if (w->machine != NULL) {
		am_untrace(w->machine, &worker_tracer, w);
		mach_hold(w->machine);
		(void)am_machine_free(w->machine);
	}
	loop_at_reap(w->loop, &w->reap);
	return NULL;
}

/* ---- for the program ---- */

struct am_machine *
am_worker_machine(const struct am_worker *w)
{
	return w->machine;
}

struct am_worker *
am_worker_of(const struct am_machine *m)
{
	struct am_worker *w = mach_owner(m);

	assert(w != NULL && w->magic == WORKER_MAGIC);
	return w;
}

struct am_loop *
am_worker_loop(const struct am_worker *w)
{
	return w->loop;
}

size_t
worker_n_open(const struct am_worker *w)
{
	return w->requests.n_open;
}

void
am_worker_ready(struct am_worker *w)
{
	w->said_ready = true;
	if (am_is1(w->machine, Wrk_RpcReady))
		(void)due_add1(&w->due, Wrk_Ready, AM_NONE);
}

void
am_worker_alive(struct am_worker *w)
{
	if (am_is1(w->machine, Wrk_Healthcheck))
		(void)due_remove1(&w->due, Wrk_Healthcheck, AM_NONE);
}

void
am_worker_exit(struct am_worker *w, int status)
{
	if (!w->exiting) {
		w->exiting = true;
		w->status = status;
	}
	am_loop_stop(w->loop);
}

void
worker_stop(struct am_worker *w, const char *reason)
{
	if (w->conf.on_stop != NULL)
		w->conf.on_stop(w, reason, w->conf.arg);
	else
		am_worker_exit(w, 0);
}
