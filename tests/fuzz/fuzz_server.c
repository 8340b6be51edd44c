/* fuzz_server.c - bytes of clients into a server, and what else may befall it
 * meanwhile: its machine changes, payloads, ends, a client that does not read.
 *
 * Whatever comes, what the server says are frames; each request of a connection
 * that lives is answered once; the clocks that it tells are the machine's; and
 * who is closed has heard why. */
#include "lib/rpc/session.h"
#include "tests/fuzz/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	Exception,
	Ready,
	Work,   /* requires Ready; refuses some */
	Multi,  /* removes Work */
	Auto,   /* with Work */
	Locked, /* not for clients */
	Bye,    /* closes who adds it */
	Down,   /* frees the server */
	N_STATES,
};

static const am_id one_ready[] = { Ready }, one_work[] = { Work };
static const struct am_state rows[N_STATES] = {
	[Exception] = { .name = "Exception", .multi = true },
	[Ready] = { .name = "Ready" },
	[Work] = { .name = "Work", .require = { one_ready, 1 } },
	[Multi] = { .name = "Multi", .multi = true, .remove = { one_work, 1 } },
	[Auto] = { .name = "Auto",
	    .automatic = true,
	    .require = { one_work, 1 } },
	[Locked] = { .name = "Locked" },
	[Bye] = { .name = "Bye", .multi = true },
	[Down] = { .name = "Down" },
};
static const struct am_states states = { .name = "fuzz",
	.row = rows,
	.len = N_STATES };

enum {
	PEERS = 3,
	SESSIONS = 2,
	LISTEN_MAX = 8,
	CONNECTS_MAX = 16,
	OPEN_MAX = 1024,
	INPUT_MAX = 64 * 1024,
	TURNS_MAX = 400,
	LARGE_MAX = 2, /* a run; they take long */
	LARGE_LEN = ARPC_PART_LEN + 1000,
	EPOCH = 99,
};

/* A request that was not answered yet. */
struct open {
	uint32_t id;
	enum arpc_method method;
};

struct peer {
	struct world *world;
	struct wire wire;
	bool deaf;     /* does not read */
	bool ends;     /* has ended it itself */
	bool vague;    /* two open requests of one id, or too many */
	bool told;     /* has got a welcome */
	bool sees_all; /* each hello asked for all clocks */
	bool resumes;  /* its hello said so */
	struct open open[OPEN_MAX];
	size_t n_open;
	uint64_t tick[N_STATES];
	struct arpc_clock clock;
};

/* The loop and the listening socket serve all runs. */
struct world {
	struct am_loop *loop;
	struct am_schema *schema;
	int listen_fd;
	struct sockaddr_un sun;
	socklen_t sun_len;
	struct am_machine *m;
	struct rpc_server *srv; /* NULL: Down */
	int listener;
	struct peer peer[PEERS];
	struct peer *now; /* who speaks */
	bool unlistened;  /* who connects now is not accepted */
	bool withdrawn;   /* the large payload is not there any more */
	unsigned n_large;
	unsigned n_connects;
	unsigned n_new; /* connected since the last turn */
	uint64_t last_seq;
};

/* ---- the server ---- */

static int
on_hello(struct rpc_session *s, const struct arpc_hello *h,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)arg;
	if (!h->has_token || h->token[0] == 1)
		return 0;
	(void)error_set(err, "no such lease");
	return ARPC_E_bad_token;
}

static int
on_may(struct rpc_session *s, enum am_op op, const am_id *ids, size_t n,
    struct am_error *err, void *arg)
{
	(void)s;
	(void)op;
	(void)arg;
	for (size_t i = 0; i < n; i++) {
		assert(ids[i] < N_STATES);
		if (ids[i] == Locked) {
			(void)error_set(err, "not Locked");
			return ARPC_E_not_permitted;
		}
	}
	return 0;
}

static int
on_info(struct rpc_session *s, const char *topic, struct am_val params,
    struct am_buf *out, struct am_error *err, void *arg)
{
	(void)arg;
	assert(rpc_session_peer(s)->uid == getuid());
	assert(mp_is_value(params));
	if (strcmp(topic, "echo") == 0) {
		am_put_val(out, params);
		return 0;
	}
	(void)error_set(err, "only echo");
	if (strcmp(topic, "bye") == 0)
		rpc_session_close(s, "asked to");
	return ARPC_E_no_topic;
}

static void
on_ack(struct rpc_session *s, const uint64_t *seqs, size_t n, void *arg)
{
	struct world *w = arg;

	(void)s;
	for (size_t i = 0; i < n; i++)
		w->withdrawn |= seqs[i] == w->last_seq;
}

static am_result
on_lease_begin(struct rpc_session *s, const struct arpc_lease *l, void *arg)
{
	struct world *w = arg;

	(void)s;
	assert(memchr(l->lease, '\0', sizeof(l->lease)) != NULL);
	return am_add1(w->m, Multi, AM_NONE);
}

static struct am_val
on_data_of(struct rpc_session *s, uint64_t seq, void *arg)
{
	static uint8_t large[LARGE_LEN] = { 0xc6, 0, 4, 3, 0xe3 };
	const struct world *w = arg;

	(void)s;
	(void)seq;
	return w->withdrawn ? AM_NONE : (struct am_val){ large, sizeof(large) };
}

static void
on_closed(struct rpc_session *s, const char *why, void *arg)
{
	(void)s;
	(void)arg;
	assert(why[0] != '\0');
}

static const struct rpc_policy policy = {
	.hello = on_hello,
	.may = on_may,
	.info = on_info,
	.ack = on_ack,
	.lease_begin = on_lease_begin,
	.data_of = on_data_of,
	.closed = on_closed,
	.max_sessions = SESSIONS,
};

static bool
work_enter(struct am_event *ev)
{
	bool refuse = false;

	(void)am_get_bool(ev->args, "refuse", &refuse);
	return !refuse || am_refuse(ev, "told to refuse");
}

static void
multi_state(struct am_event *ev)
{
	if (ev->args.len > 8)
		am_fail(ev, "too much");
}

static void
bye_state(struct am_event *ev)
{
	const struct rpc_source *source = ev->source;

	if (source != NULL)
		rpc_session_close(source->session, "Bye");
	(void)am_remove1(ev->machine, Bye, AM_NONE);
}

static void
down_state(struct am_event *ev)
{
	struct world *w = ev->arg;

	w->srv = rpc_server_free(w->srv);
}

static const struct am_handler handler[N_STATES] = {
	[Work] = { .enter = work_enter },
	[Multi] = { .state = multi_state },
	[Bye] = { .state = bye_state },
	[Down] = { .state = down_state },
};
static const struct am_handlers handlers = {
	.name = "fuzz",
	.of = handler,
	.len = N_STATES,
};

/* ---- what a peer says and hears ---- */

static void
on_said(const struct arpc_frame *f, void *arg)
{
	struct peer *p = arg;
	struct arpc_hello h;
	const char *why;

	if (f->kind != ARPC_REQUEST)
		return;
	for (size_t i = 0; i < p->n_open; i++)
		p->vague |= p->open[i].id == f->id;
	if (p->n_open == OPEN_MAX) {
		p->vague = true;
		return;
	}
	p->open[p->n_open++] = (struct open){ f->id, f->method };
	if (f->method != ARPC_hello || p->told ||
	    arpc_hello_get(f->params, &h, &why) < 0)
		return;
	/* Which of several counts, if they come at once, is not known here. */
	p->resumes |= h.has_resume;
	p->sees_all &= h.sync.allow.data == NULL && h.sync.skip.data == NULL &&
	    !h.sync.shallow;
}

static void
hear_update(struct peer *p, struct am_val update)
{
	const char *why = "";

	assert(p->told);
	assert(arpc_update_get(update, &p->clock, &why) == 0);
}

static void
hear_welcome(struct peer *p, struct am_val result)
{
	struct arpc_welcome w;
	const char *why = "";
	uint32_t n = 0;
	struct mp c;

	assert(arpc_welcome_get(result, &w, &why) == 0);
	assert(w.epoch == EPOCH && w.n_states == N_STATES);
	c = mp_of(w.time);
	assert(mp_get_array(&c, &n) == 0 && n == N_STATES);
	for (uint32_t i = 0; i < n; i++)
		assert(mp_get_uint(&c, UINT64_MAX, &p->tick[i]) == 0);
	p->clock = (struct arpc_clock){ p->tick, N_STATES, w.queue_tick,
		w.machine_tick, 0 };
	p->clock.sum = arpc_clock_sum(&p->clock);
	p->told = true;
}

static void
hear_response(struct peer *p, const struct arpc_frame *f)
{
	struct mp c = mp_of(f->params);
	enum arpc_method method;
	struct am_val update;
	uint64_t result;
	size_t i = 0;
	uint32_t n;

	while (i < p->n_open && p->open[i].id != f->id)
		i++;
	if (p->vague)
		return;
	assert(i < p->n_open);
	method = p->open[i].method;
	memmove(&p->open[i], &p->open[i + 1],
	    (--p->n_open - i) * sizeof(p->open[0]));
	if (f->error.data != NULL)
		return;
	if (method == ARPC_hello || method == ARPC_sync) {
		hear_welcome(p, f->params);
	} else if (method == ARPC_when_args) {
		assert(mp_get_array(&c, &n) == 0 && n == 1);
		assert(mp_get_val(&c, &update) == 0);
		hear_update(p, update);
	} else if (method <= ARPC_can_remove || method == ARPC_lease_begin) {
		assert(mp_get_array(&c, &n) == 0 && n >= 2);
		assert(mp_get_uint(&c, UINT64_MAX, &result) == 0);
		assert(mp_get_val(&c, &update) == 0);
		hear_update(p, update);
	}
}

static void
hear_push(struct peer *p, const struct arpc_frame *f)
{
	struct mp c = mp_of(f->params);
	static struct arpc_mutated m;
	struct arpc_payload payload;
	const char *why = "";
	struct am_val update;
	uint32_t n;

	if (f->method == ARPC_t && !p->vague) {
		assert(mp_get_array(&c, &n) == 0 && n == 1);
		assert(mp_get_val(&c, &update) == 0);
		hear_update(p, update);
	} else if (f->method == ARPC_m) {
		assert(arpc_mutated_get(f->params, N_STATES, &m, &why) == 0);
		if (!p->vague)
			hear_update(p, m.update);
	} else if (f->method == ARPC_p) {
		assert(arpc_payload_get(f->params, &payload, &why) == 0);
	} else {
		assert(f->method == ARPC_t || f->method == ARPC_part ||
		    f->method == ARPC_bye);
	}
}

static void
on_heard(const struct arpc_frame *f, void *arg)
{
	struct peer *p = arg;

	assert(f->kind != ARPC_REQUEST);
	if (f->kind == ARPC_RESPONSE)
		hear_response(p, f);
	else
		hear_push(p, f);
}

/* ---- peers ---- */

static size_t
hear_all(struct world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < PEERS; i++) {
		if (!w->peer[i].deaf)
			n += wire_hear(&w->peer[i].wire, on_heard, &w->peer[i]);
	}
	return n;
}

/* Returns the bytes that came. */
static size_t
turn(struct world *w)
{
	w->n_new = 0;
	assert(am_loop_step(w->loop, 0) == 0);
	return hear_all(w);
}

/* So many wait to be accepted at most, lest connect() blocks. */
static void
peer_connect(struct world *w, struct peer *p)
{
	int fd;

	if (w->srv == NULL || w->unlistened || w->n_connects++ == CONNECTS_MAX)
		return;
	if (w->n_new++ == LISTEN_MAX)
		(void)turn(w);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(fd >= 0);
	assert(connect(fd, (struct sockaddr *)&w->sun, w->sun_len) == 0);

	p->deaf = p->ends = p->vague = p->told = p->resumes = false;
	p->sees_all = true;
	p->n_open = 0;
	wire_init(&p->wire, fd);
}

static void
peer_say(struct peer *p, const void *data, size_t len)
{
	wire_say(&p->wire, data, len, on_said, p);
}

/* A hello that is right, so that not all inputs must hold one. */
static void
peer_hello(struct peer *p, unsigned kind)
{
	static const uint8_t names[] = { 0x91, 0xa4, 'W', 'o', 'r', 'k' };
	struct arpc_hello h = { .proto = ARPC_VERSION, .client_id = 7 };
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	h.has_resume = kind & 1;
	h.resume_epoch = EPOCH;
	h.sync.shallow = kind & 2;
	h.sync.mutations = kind & 4;
	if (kind == 8)
		h.sync.allow = (struct am_val){ names, sizeof(names) };
	else if (kind == 9)
		h.sync.skip = (struct am_val){ names, sizeof(names) };
	h.has_hash = kind != 10;
	h.hash = am_schema_hash(p->world->schema);
	arpc_put_hello(&b, 1 << 16, &h);
	peer_say(p, b.data, b.len);
}

/* ---- actions ---- */

static void
send_payload(struct world *w, unsigned arg)
{
	static const uint8_t small[] = { 0x91, 0x07 };
	struct am_val data = { small, sizeof(small) };
	struct rpc_session *s = NULL;
	int r;

	if (w->srv == NULL)
		return;
	if (arg & 1 && w->n_large++ < LARGE_MAX) {
		w->withdrawn = false;
		data = on_data_of(NULL, 0, w);
	}
	w->last_seq++;
	while ((s = rpc_server_next(w->srv, s)) != NULL) {
		r = rpc_session_payload(s, w->last_seq, arg,
		    (enum arpc_payload_kind)(arg >> 2), "result", data);
		assert(r == 0 || r == -EAGAIN || r == -ENOTCONN);
	}
}

static void
mutate(struct world *w, unsigned arg)
{
	static const enum am_op op[] = { AM_ADD, AM_REMOVE };
	am_id state = (am_id)(arg & 7);

	if (state != Down)
		(void)am_mutate(w->m,
		    &(struct am_mutation){
			.op = op[arg >> 3],
			.states = &state,
			.n_states = 1,
		    });
}

static void
end_sessions(struct world *w, unsigned arg)
{
	struct rpc_session *s;

	if (w->srv == NULL)
		return;
	s = rpc_server_next(w->srv, NULL);
	if (arg == 0)
		rpc_server_close(w->srv, w->listener, "all of them");
	else if (arg == 1)
		rpc_server_forget(w->srv, w->listener);
	else if (arg == 2 && !w->unlistened)
		rpc_server_unlisten(w->srv, w->listener);
	else if (s != NULL)
		rpc_session_close(s, "this one");
	w->unlistened |= arg == 2;
}

static void
act(struct world *w, unsigned what, unsigned arg)
{
	static const uint8_t escape = ESCAPE;
	struct peer *p = w->now;

	switch (what) {
	case 0:
		(void)turn(w);
		return;
	case 1:
		mutate(w, arg);
		return;
	case 2:
		send_payload(w, arg);
		return;
	case 3:
		p->deaf = !p->deaf;
		return;
	case 4:
		w->now = &w->peer[arg % PEERS];
		if (w->now->wire.fd < 0)
			peer_connect(w, w->now);
		return;
	case 5:
		wire_done(&p->wire);
		peer_connect(w, p);
		return;
	case 6:
		p->ends = true;
		p->wire.mute = true;
		(void)shutdown(p->wire.fd, SHUT_WR);
		return;
	case 7:
		end_sessions(w, arg);
		return;
	case 8:
		peer_hello(p, arg);
		return;
	case 9:
		w->withdrawn = true;
		return;
	default:
		peer_say(p, &escape, 1);
		return;
	}
}

/* ---- the end ---- */

/* Everybody reads until nothing comes any more. */
static void
settle(struct world *w)
{
	int n_turns = 0;

	for (size_t i = 0; i < PEERS; i++)
		w->peer[i].deaf = false;
	for (int idle = 0; idle < 3; n_turns++) {
		idle = turn(w) == 0 ? idle + 1 : 0;
		assert(n_turns < TURNS_MAX);
	}
}

static void
check_peer(const struct world *w, const struct peer *p)
{
	if (p->wire.fd < 0 || w->srv == NULL)
		return;
	if (p->wire.over) {
		/* Who is resumed by another may miss the bye. */
		assert(p->wire.heard.ended || p->ends || p->wire.said.ended ||
		    p->resumes);
		return;
	}
	if (w->unlistened && !p->told)
		return;
	assert(!p->wire.said.ended && !p->ends);
	if (p->vague)
		return;
	for (size_t i = 0; i < p->n_open; i++)
		assert(p->open[i].method == ARPC_when_args);
	if (p->told && p->sees_all)
		assert(memcmp(p->tick, am_time(w->m), sizeof(p->tick)) == 0);
}

static void
check(struct world *w)
{
	const struct rpc_session *s;
	size_t n_up = 0;

	for (size_t i = 0; i < PEERS; i++)
		check_peer(w, &w->peer[i]);
	if (w->srv == NULL)
		return;
	TAILQ_FOREACH(s, &w->srv->sessions, link) {
		assert(conn_backlog(s->conn) == 0);
		n_up += s->up;
	}
	assert(n_up <= SESSIONS);
	assert(n_up == w->srv->listener[w->listener]->n_up);
}

static void
world_up(struct world *w)
{
	if (w->loop == NULL) {
		w->loop = am_loop_new();
		w->schema = am_schema_new(&states, NULL);
		assert(w->loop != NULL && w->schema != NULL);
		w->listen_fd = wire_listen(&w->sun, &w->sun_len);
	}
	w->m = am_machine_new(w->schema, "fuzz");
	assert(w->m != NULL && am_bind(w->m, &handlers, w) == 0);
	w->srv = rpc_server_new(w->loop, w->m);
	assert(w->srv != NULL);
	w->srv->epoch = EPOCH;
	w->listener = rpc_server_listen(w->srv, dup(w->listen_fd), &policy, w);
	assert(w->listener >= 0);
	for (size_t i = 0; i < PEERS; i++) {
		w->peer[i].world = w;
		w->peer[i].wire.fd = -1;
	}
	w->unlistened = false;
	w->withdrawn = true;
	w->n_large = w->n_new = w->n_connects = 0;
	w->now = &w->peer[0];
	peer_connect(w, w->now);
}

/* Who waits to be accepted would be the first one of the next run. */
static void
world_down(struct world *w)
{
	int fd;

	w->srv = rpc_server_free(w->srv);
	w->m = am_machine_free(w->m);
	for (size_t i = 0; i < PEERS; i++)
		wire_done(&w->peer[i].wire);
	assert(am_loop_step(w->loop, 0) == 0);
	while ((fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		(void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	const uint8_t *end = data + (size < INPUT_MAX ? size : INPUT_MAX);
	const uint8_t *next;

	world_up(&w);
	while (data < end) {
		next = memchr(data, ESCAPE, (size_t)(end - data));
		if (next == NULL)
			next = end;
		peer_say(w.now, data, (size_t)(next - data));
		data = next + 2;
		if (next + 1 < end)
			act(&w, next[1] & 15, next[1] >> 4);
	}
	settle(&w);
	check(&w);
	world_down(&w);
	return 0;
}
