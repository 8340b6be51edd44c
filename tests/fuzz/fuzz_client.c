/* fuzz_client.c - bytes of a server into a net machine, and what its owner does
 * meanwhile: calls, subscriptions, closing, connecting again, freeing it in a
 * callback.
 *
 * Whatever comes, what it says are frames; each call is called back once, never
 * from within the call; the mirror is a machine; and the owner hears why a
 * connection ended. */
#include "lib/rpc/netmach_int.h"
#include "tests/fuzz/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	Exception,
	Ready,
	Work,
	Multi,
	N_STATES,
};

static const am_id one_ready[] = { Ready };
static const struct am_state rows[N_STATES] = {
	[Exception] = { .name = "Exception", .multi = true },
	[Ready] = { .name = "Ready" },
	[Work] = { .name = "Work", .require = { one_ready, 1 } },
	[Multi] = { .name = "Multi", .multi = true },
};
static const struct am_states states = { .name = "fuzz",
	.row = rows,
	.len = N_STATES };

enum {
	CALLS = 256,
	CONNECTS_MAX = 16,
	INPUT_MAX = 64 * 1024,
	EPOCH = 99,
	TURNS = 6, /* until nothing comes any more */
};

/* A call of the net machine, by its owner. */
struct called {
	struct world *world;
	uint32_t id; /* 0: still within the call */
	bool answered;
};

/* The loop and the listening socket serve all runs. */
struct world {
	struct am_loop *loop;
	struct am_schema *schema;
	int listen_fd;
	struct addr addr;
	struct netmach *nm; /* NULL: freed */
	bool resume;
	bool free_next; /* in the next callback */
	bool told;      /* it said hello, and the clock is what it was told */
	unsigned n_connects;
	struct called called[CALLS];
	size_t n_called;
	/* The server's end. */
	struct wire wire;
	uint32_t hello_id; /* 0: none came */
	uint32_t last_id;  /* of its last request */
	enum arpc_method last_method;
	uint64_t tick[N_STATES];
	struct arpc_clock clock; /* what it was told by welcome(), and after */
};

/* ---- the owner ---- */

static void
in_callback(struct world *w, struct netmach *nm)
{
	assert(nm == NULL || nm == w->nm);
	if (!w->free_next)
		return;
	w->free_next = false;
	w->nm = netmach_free(w->nm);
}

static void
check_mirror(const struct netmach *nm)
{
	const struct am_machine *m = netmach_mirror(nm);
	size_t n = am_schema_len(am_machine_schema(m)), n_active, n_odd = 0;
	const am_id *active = am_active(m, &n_active);

	for (size_t i = 0; i < n_active; i++)
		assert(active[i] < n && am_is1(m, active[i]));
	for (size_t i = 0; i < n; i++) {
		assert(am_is1(m, (am_id)i) == (am_time(m)[i] % 2 == 1));
		n_odd += am_time(m)[i] % 2;
	}
	assert(n_odd == n_active);
}

static void
on_update(struct netmach *nm, void *arg)
{
	check_mirror(nm);
	in_callback(arg, nm);
}

static void
on_mutated(struct netmach *nm, const struct arpc_mutated *m, void *arg)
{
	for (size_t i = 0; i < m->n_called; i++)
		assert(m->called[i] <
		    am_schema_len(am_machine_schema(netmach_mirror(nm))));
	in_callback(arg, nm);
}

static void
on_payload(struct netmach *nm, const struct arpc_payload *p, void *arg)
{
	assert(p->kind <= ARPC_P_EVENT && mp_is_value(p->data));
	netmach_ack(nm, p->seq);
	in_callback(arg, nm);
}

static void
on_close(struct netmach *nm, int code, const char *why, void *arg)
{
	assert(netmach_phase(nm) == NETMACH_IDLE);
	assert(code <= ARPC_E__COUNT && why != NULL);
	in_callback(arg, nm);
}

static const struct netmach_ops ops = {
	.on_ready = on_update,
	.on_update = on_update,
	.on_mutated = on_mutated,
	.on_payload = on_payload,
	.on_close = on_close,
};

static void
on_reply(struct netmach *nm, uint32_t id, const struct netmach_reply *r,
    void *arg)
{
	struct called *c = arg;

	assert(c->id == id && !c->answered);
	c->answered = true;
	assert(r->text != NULL && r->why != NULL);
	assert(r->status != NETMACH_ERROR || r->error < ARPC_E__COUNT);
	in_callback(c->world, nm);
}

static void
on_sub(struct am_machine *m, void *arg)
{
	(void)m;
	in_callback(arg, NULL);
}

static struct called *
call_new(struct world *w)
{
	if (w->n_called == CALLS)
		return NULL;
	w->called[w->n_called] = (struct called){ .world = w };
	return &w->called[w->n_called++];
}

static void
call_made(struct world *w, struct called *c, int id)
{
	assert(!c->answered);
	c->id = id > 0 ? (uint32_t)id : 0;
	if (id < 0)
		w->n_called--;
}

static void
mutate(struct world *w, unsigned arg)
{
	static const uint8_t map[] = { 0x81, 0xa1, 'k', 1 };
	const am_id state = (am_id)(arg % N_STATES);
	struct am_val args = AM_NONE;
	struct called *c;

	if (arg & 4)
		args = (struct am_val){ map, sizeof(map) };
	if (arg == 15) {
		(void)netmach_mutate(w->nm, AM_ADD, &state, 1, args, -1, NULL,
		    NULL);
		return;
	}
	c = call_new(w);
	if (c != NULL)
		call_made(w, c,
		    netmach_mutate(w->nm, (enum am_op)(arg % 6), &state, 1,
			args, arg & 8 ? 60000 : -1, on_reply, c));
}

static void
ask(struct world *w, unsigned arg)
{
	static const uint8_t topic[] = { 0x91, 0xa1, 't' };
	const struct am_val params = { topic, sizeof(topic) };
	const struct arpc_lease lease = { .lease = "L1" };
	struct called *c = call_new(w);
	int id = 0;

	if (c == NULL)
		return;
	switch (arg % 5) {
	case 0:
		id = netmach_info(w->nm, params, on_reply, c);
		break;
	case 1:
		id = netmach_sync(w->nm, on_reply, c);
		break;
	case 2:
		id = netmach_trace(w->nm, arg & 8, on_reply, c);
		break;
	case 3:
		id = netmach_when_args(w->nm, (am_id)(arg % N_STATES), AM_NONE,
		    on_reply, c);
		break;
	case 4:
		id = netmach_lease_begin(w->nm, &lease, on_reply, c);
		break;
	}
	call_made(w, c, id);
}

static void
subscribe(struct world *w, unsigned arg)
{
	struct am_machine *m = netmach_mirror(w->nm);
	const am_id id = (am_id)(arg % N_STATES);

	if (m == NULL || id >= am_schema_len(am_machine_schema(m)))
		return;
	if (arg & 4)
		(void)am_when_not(m, &id, 1, on_sub, w);
	else if (arg & 8)
		(void)am_add1(m, id, AM_NONE);
	else
		(void)am_when(m, &id, 1, on_sub, w);
}

/* ---- the server ---- */

static void
on_heard(const struct arpc_frame *f, void *arg)
{
	struct world *w = arg;

	assert(f->kind == ARPC_REQUEST || f->kind == ARPC_NOTIFICATION ||
	    f->error.data != NULL);
	if (f->kind != ARPC_REQUEST)
		return;
	assert(f->method != ARPC_UNKNOWN);
	if (f->method == ARPC_hello) {
		assert(w->hello_id == 0);
		w->hello_id = f->id;
	}
	w->last_id = f->id;
	w->last_method = f->method;
}

static void
say(struct world *w, const void *data, size_t len)
{
	wire_say(&w->wire, data, len, NULL, NULL);
}

static void
say_buf(struct world *w, struct am_buf *b)
{
	assert(am_buf_error(b) == 0);
	say(w, b->data, b->len);
	am_buf_done(b);
}

/* The answer to hello or, absolute too, to a sync. */
static void
welcome(struct world *w, unsigned arg, uint32_t id)
{
	struct am_buf schema_wire_encode = AM_BUF_INIT, time = AM_BUF_INIT;
	struct am_buf b = AM_BUF_INIT;
	struct arpc_welcome msg = {
		.proto = ARPC_VERSION,
		.machine = "fuzz",
		.epoch = arg & 1 ? EPOCH + 1 : EPOCH,
		.hash = am_schema_hash(w->schema),
		.n_states = N_STATES,
		.queue_tick = 7,
		.has_resumed = w->resume,
		.resumed = arg & 2,
	};

	am_put_array(&time, N_STATES);
	for (size_t i = 0; i < N_STATES; i++) {
		w->tick[i] = arg >> 2;
		am_put_uint(&time, w->tick[i]);
	}
	w->clock = (struct arpc_clock){ w->tick, N_STATES, 7, 0, 0 };
	w->clock.sum = arpc_clock_sum(&w->clock);
	if (arg & 4) {
		arpc_put_schema(&schema_wire_encode, &states);
		msg.schema = am_buf_val(&schema_wire_encode);
	}
	msg.time = am_buf_val(&time);
	arpc_put_response(&b, id);
	arpc_put_welcome(&b, &msg);
	say_buf(w, &b);
	am_buf_done(&schema_wire_encode);
	am_buf_done(&time);
}

static void
put_update(struct world *w, struct am_buf *b, unsigned arg)
{
	uint64_t now[N_STATES];

	memcpy(now, w->tick, sizeof(now));
	now[arg % N_STATES] += arg >> 2;
	arpc_put_update(b, &w->clock, now, w->clock.queue_tick + 1);
}

/* An update that is right, alone or as the answer to the last request. */
static void
tell(struct world *w, unsigned arg, bool is_answer)
{
	struct am_buf b = AM_BUF_INIT;

	if (w->clock.tick == NULL)
		return;
	if (is_answer && w->last_method == ARPC_sync) {
		welcome(w, arg, w->last_id);
		return;
	}
	if (!is_answer) {
		arpc_put_notification(&b, ARPC_t);
		am_put_array(&b, 1);
	} else {
		arpc_put_response(&b, w->last_id);
		am_put_array(&b, w->last_method == ARPC_when_args ? 1 : 2);
		if (w->last_method != ARPC_when_args)
			am_put_uint(&b, arg & 1);
	}
	put_update(w, &b, arg);
	say_buf(w, &b);
}

static void
end_wire(struct world *w)
{
	wire_done(&w->wire);
	w->hello_id = 0;
	w->clock.tick = NULL;
}

/* The server takes the first one who waits. */
static void
turn(struct world *w)
{
	int fd;

	assert(am_loop_step(w->loop, 0) == 0);
	if (w->wire.fd < 0) {
		fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			wire_init(&w->wire, fd);
	}
	(void)wire_hear(&w->wire, on_heard, w);
	if (w->wire.over)
		end_wire(w);
}

/* ---- actions ---- */

static void
act_owner(struct world *w, unsigned what, unsigned arg)
{
	if (w->nm == NULL)
		return;
	switch (what) {
	case 1:
		mutate(w, arg);
		return;
	case 2:
		ask(w, arg);
		return;
	case 3:
		subscribe(w, arg);
		return;
	case 4:
		if (w->n_connects++ < CONNECTS_MAX)
			(void)netmach_connect(w->nm, &w->addr);
		return;
	case 5:
		netmach_close(w->nm, "enough");
		return;
	case 6:
		netmach_give_up(w->nm, "no more");
		return;
	case 7:
		w->free_next = true;
		return;
	}
}

static void
act(struct world *w, unsigned what, unsigned arg)
{
	static const uint8_t escape = ESCAPE;

	if (what == 0)
		turn(w);
	else if (what < 8)
		act_owner(w, what, arg);
	else if (what == 8 && w->hello_id != 0)
		welcome(w, arg, w->hello_id);
	else if (what == 9)
		tell(w, arg, false);
	else if (what == 10)
		tell(w, arg, true);
	else if (what == 11)
		end_wire(w);
	else
		say(w, &escape, 1);
}

/* ---- a run ---- */

static void
world_up(struct world *w, unsigned how)
{
	struct netmach_conf conf = { .client_id = 7, .name = "fuzz" };

	if (w->loop == NULL) {
		w->loop = am_loop_new();
		w->schema = am_schema_new(&states, NULL);
		assert(w->loop != NULL && w->schema != NULL);
		w->listen_fd = wire_listen((struct sockaddr_un *)&w->addr.sa,
		    &w->addr.len);
	}
	w->resume = conf.resume = how & 1;
	conf.sync.mutations = how & 2;
	if (how & 4)
		conf.schema = w->schema;
	w->nm = netmach_new(w->loop, &conf, &ops, w);
	assert(w->nm != NULL);
	wire_init(&w->wire, -1);
	w->free_next = false;
	w->n_called = 0;
	w->n_connects = 0;
	assert(netmach_connect(w->nm, &w->addr) == 0);
	turn(w);
	turn(w);
	if (how & 8 && w->hello_id != 0)
		welcome(w, how, w->hello_id);
}

/* The server goes, and with it all that is open. */
static void
settle(struct world *w)
{
	int fd;

	for (int i = 0; i < TURNS; i++)
		turn(w);
	w->free_next = false;
	end_wire(w);
	do {
		for (int i = 0; i < TURNS; i++)
			assert(am_loop_step(w->loop, 0) == 0);
		fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		am_closep(&fd);
	} while (fd >= 0);
	if (w->nm == NULL)
		return;
	assert(netmach_phase(w->nm) == NETMACH_IDLE);
	netmach_give_up(w->nm, "the end");
	for (size_t i = 0; i < w->n_called; i++)
		assert(w->called[i].answered);
	assert(w->nm->resend_bytes == 0 && w->nm->parts.data == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	const uint8_t *end = data + (size < INPUT_MAX ? size : INPUT_MAX);
	const uint8_t *next;

	if (size == 0)
		return 0;
	world_up(&w, *data++);
	while (data < end) {
		next = memchr(data, ESCAPE, (size_t)(end - data));
		if (next == NULL)
			next = end;
		say(&w, data, (size_t)(next - data));
		data = next + 2;
		if (next + 1 < end)
			act(&w, next[1] & 15, next[1] >> 4);
	}
	settle(&w);
	w.nm = netmach_free(w.nm);
	assert(am_loop_step(w.loop, 0) == 0);
	return 0;
}
