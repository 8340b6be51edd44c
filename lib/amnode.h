/* amnode.h - machines, workers and clients of amnode.
 *
 * Everything here runs on one thread, the loop's; am_loop_post() alone may be
 * called from another one. Words used below: *borrows* (the caller keeps it),
 * *takes* (the callee owns it from now on), *returns new* (the caller frees).
 * Functions returning int give 0 or more on success and -errno on failure.
 * Times in ms: -1 has no end, as far as a function says so; 0 is now.
 * A struct whose first member is `size` begins with `.size = sizeof(its own
 * name)`: then fields can be added to it, and programs that do not know them go
 * on (-EINVAL, or NULL: it is not set).
 * States are named by id, their position in the schema.
 *
 * The documents named below, semantics.md, flows.md (the flow rules) and
 * arpc.md, are installed in share/doc/amnode. */
#ifndef AMNODE_H
#define AMNODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amnode/code.h>
#include <amnode/schema.h>
#include <amnode/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors with a text ---- */

enum { AM_ERROR_MAX = 512 };
struct am_error {
	char text[AM_ERROR_MAX];
};

/* ---- JSON, at the edges only ---- */

/* Both functions carry a value exactly or refuse it with -EINVAL; then err,
 * which may be NULL, says what was refused and at which byte. Neither depends on
 * the locale.
 *
 * A number without fraction and exponent is an integer, from -2^63 to 2^64 - 1.
 * Any other number, and -0, is a double. It is refused unless the nearest
 * double, written with as many significant digits or by am_json_encode(), is the
 * same number: 0.1 and every double that a program prints pass, and
 * 0.12345678901234567890, 1e400 and 1e-400 do not.
 * {"$bin":"base64"}, with padding, is binary.
 *
 * Also refused are bad escapes, half of a surrogate pair, control characters and
 * NUL in strings, bytes that are not UTF-8, a byte order mark, an object with
 * the same key twice, NaN, infinity, and arrays and objects nested deeper than
 * 32 levels ([[1]] has 2). Texts, strings and numbers may have any length. */

/* Appends the value of a JSON text of len bytes to out. */
AM_API int am_json_decode(const char *json, size_t len, struct am_buf *out,
    struct am_error *err);
/* Appends the value as one line of JSON, without a newline; am_json_decode()
 * reads back the same value. A double is the shortest text that reads back as
 * the same double, always with a point or an exponent. Extension types, keys
 * that are not strings, and a map whose only key is "$bin" are refused, too. */
AM_API int am_json_encode(struct am_val v, struct am_buf *out,
    struct am_error *err);

/* ---- schema: compiled, immutable, shared by machines ---- */

struct am_schema;

/* Returns new, NULL with a message in err (may be NULL) that names the state
 * and the relation. Copies what it needs of the table. semantics.md 2, 23. */
AM_API struct am_schema *am_schema_new(const struct am_states *states,
    struct am_error *err);
/* {"states":[{"name":"Foo","auto":true,"multi":true,"require":["Bar"],
 * "add":[],"remove":[],"after":[]}, ...],"groups":{"Pool":["Foo","Bar"]}}.
 * With a base, its rows and groups come first and the JSON's may not repeat
 * one. Returns new. */
AM_API struct am_schema *am_schema_from_json(const char *json, size_t len,
    const struct am_states *base, struct am_error *err);
/* Appends what am_schema_from_json() reads: an equal schema, docs included. */
AM_API void am_schema_to_json(const struct am_schema *s, struct am_buf *out);
/* Inheritance: a schema with the states of base, in their places, and those of
 * more behind them; a state that both have is as in more, wholly; so are
 * groups. Relations go by name. Returns new, NULL with a message.
 * semantics.md 2. */
AM_API struct am_schema *am_schema_merge(const struct am_schema *base,
    const struct am_schema *more, struct am_error *err);
/* Has it just these states, in this order? Else -EINVAL and the first that
 * differs in err. */
AM_API int am_schema_verify(const struct am_schema *s, const char *const *names,
    size_t n, struct am_error *err);
AM_API struct am_schema *am_schema_ref(struct am_schema *s);
/* NULL is fine; returns NULL */
AM_API struct am_schema *am_schema_unref(struct am_schema *s);
AM_API size_t am_schema_len(const struct am_schema *s);
AM_API const char *am_schema_name(const struct am_schema *s, am_id id);
/* The row as it was given (before sanitation); NULL if id is out of range. */
AM_API const struct am_state *am_schema_state(const struct am_schema *s,
    am_id id);
/* The id, or -ENOENT. */
AM_API int am_schema_id(const struct am_schema *s, const char *name,
    size_t len);
/* The states of the group of this name; NULL: there is none. Borrowed. */
AM_API const struct am_list *am_schema_group(const struct am_schema *s,
    const char *name);
/* All groups in their order; borrowed. */
AM_API const struct am_group *am_schema_groups(const struct am_schema *s,
    size_t *ret_n);
/* 63 bits over names and relations in order: equal schemas, equal hashes. */
AM_API uint64_t am_schema_hash(const struct am_schema *s);

/* ---- machine ---- */

struct am_machine;

enum am_op {
	AM_ADD,
	AM_REMOVE,
	AM_SET,
	AM_TOGGLE,
	AM_CAN_ADD,
	AM_CAN_REMOVE,
};

/* Result of a mutation: executed, canceled, or queued behind the running drain
 * (the value is then the queue tick on which it will be handled). */
typedef uint64_t am_result;
#define AM_EXECUTED UINT64_C(0)
#define AM_CANCELED UINT64_C(1)
#define AM_QUEUED UINT64_C(2)

/* Where a mutation was made, for logs and traces: in a transition of a machine,
 * at the sum of that machine's ticks. */
struct am_source {
	const char *machine;
	uint64_t transition;
	uint64_t time;
};

struct am_mutation {
	enum am_op op;
	const am_id *states;
	size_t n_states;
	struct am_val args; /* borrowed; copied if the mutation has to wait */
	/* Borrowed, given to handlers and tracers as it is; must live until the
	 * drain ends. For the one who made the mutation: a connection, a request. */
	const void *source;
	/* NULL: nobody says; borrowed, copied if the mutation has to wait */
	const struct am_source *from;
};

/* What a handler gets; valid during the call. */
struct am_event {
	struct am_machine *machine;
	void *arg; /* of am_bind() */
	/* whose handler this is; UINT16_MAX: any_enter, any_state */
	am_id state;
	/* of a pair: the state that is in the target; else == state */
	am_id other;
	enum am_op op;
	const am_id *called;
	size_t n_called;
	bool automatic;
	bool check;
	struct am_val args;
	const void *source;
};

/* For `from` of mutations that a handler makes; borrows the machine's id. */
AM_API struct am_source am_source_of(const struct am_event *ev);

typedef bool (*am_negotiation_fn)(struct am_event *ev);
typedef void (*am_final_fn)(struct am_event *ev);

/* Handlers of one state. Negotiation: enter, exit, self (active before and
 * after); false refuses, best by `return am_refuse(ev, "why")`. Final: state
 * (activated), end (deactivated). semantics.md 8. */
struct am_handler {
	am_negotiation_fn enter;
	am_negotiation_fn exit;
	am_negotiation_fn self;
	am_final_fn state;
	am_final_fn end;
};

struct am_pair_handler {
	am_id before; /* active before */
	am_id after;  /* in the target */
	am_negotiation_fn fn;
};

struct am_handlers {
	const char *name;
	const struct am_handler *of; /* by state id; NULL if len is 0 */
	size_t len;
	const struct am_pair_handler *pair; /* in any order */
	size_t n_pairs;
	am_negotiation_fn any_enter;
	am_final_fn any_state;
};

/* A table of an array of handlers, by state id, without pairs and any_*:
 * static const struct am_handlers handlers = AM_HANDLERS("lamp", handler); */
#define AM_HANDLERS(name_, array)                                              \
	{                                                                      \
		.name = (name_), .of = (array),                                \
		.len = sizeof(array) / sizeof((array)[0]),                     \
	}

/* Returns new; refs the schema, copies the id (a name for people). NULL: no
 * memory. */
AM_API struct am_machine *am_machine_new(struct am_schema *schema,
    const char *id);
/* NULL is fine; returns NULL. Inside a drain the memory goes when it ends. All
 * subscriptions that still wait are called for the last time. From then on it
 * refuses mutations, and no state is active; its ticks can be read. */
AM_API struct am_machine *am_machine_free(struct am_machine *m);
/* The same in steps: removes Start, if that is active, and frees the machine
 * when all that follows from it has run. semantics.md 19. */
AM_API struct am_machine *am_machine_dispose(struct am_machine *m);
/* Is it being freed? */
AM_API bool am_disposing(const struct am_machine *m);
AM_API const char *am_machine_id(const struct am_machine *m);
/* borrowed */
AM_API struct am_schema *am_machine_schema(const struct am_machine *m);

/* Gives the machine a schema with more states: the old ones first, in their
 * places, under other relations if need be; new ones start at tick 0. Refs the
 * schema. -EINVAL: it is none of that; -EBUSY: in a drain, or a mirror.
 * semantics.md 19. */
AM_API int am_set_schema(struct am_machine *m, struct am_schema *schema);

/* The clocks, by name, as one MessagePack map; appended. */
AM_API int am_export(const struct am_machine *m, struct am_buf *out);
/* Takes over what a machine of this id and these states has exported. -EINVAL
 * with a message: it was another one; -EBUSY: in a drain, or a mirror. Adds
 * MachineRestored if there is such a state. semantics.md 19. */
AM_API int am_import(struct am_machine *m, struct am_val exported,
    struct am_error *err);

/* Borrows the table for the machine's life. Several tables: in this order.
 * -EINVAL: an id out of range, or a pair of a state with itself (that is
 * `self`); -EBUSY: in a drain, or a mirror. The first table hears of an error
 * that is there already: Exception is added again. */
AM_API int am_bind(struct am_machine *m, const struct am_handlers *h,
    void *arg);

/* Runs the whole drain before it returns; from a handler or any callback of a
 * drain it is queued. Ids out of range are a programming error (assert).
 * semantics.md 3, 4.
 *
 * Of a mirror (am_client_worker()) it is sent to the machine, over the
 * connection: returns a handle of AM_QUEUED or more, its result comes to
 * am_on_result(); AM_CANCELED: there is no connection, or am_args_check() refuses
 * the args: am_why() tells. So do am_add1() and the others below, am_can_add() too; am_pulse() does not. The mirror's ticks are
 * the new ones when the result comes. */
AM_API am_result am_mutate(struct am_machine *m, const struct am_mutation *mut);

/* The connection was lost and the machine is another one: it may have been
 * executed or not. */
#define AM_RESULT_LOST UINT64_MAX
/* handle: what am_mutate() of the mirror gave; result: of the machine, or
 * AM_RESULT_LOST; why: of a canceled or lost one, else empty. */
typedef void (*am_result_fn)(struct am_machine *mirror, am_result handle,
    am_result result, const char *why, void *arg);
/* Called once for each am_mutate() of a mirror that gave a handle. -EINVAL: it
 * is no mirror with a connection. */
AM_API int am_on_result(struct am_machine *mirror, am_result_fn fn, void *arg);
AM_API am_result am_add1(struct am_machine *m, am_id state, struct am_val args);
AM_API am_result am_remove1(struct am_machine *m, am_id state,
    struct am_val args);
AM_API am_result am_add(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args);
AM_API am_result am_remove(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args);
AM_API am_result am_set(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args);
AM_API am_result am_toggle(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args);
AM_API am_result am_can_add(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args);
AM_API am_result am_can_remove(struct am_machine *m, const am_id *states,
    size_t n, struct am_val args);

/* The pulse that loses nothing: queues +states and -states together, so that
 * a second pulse in the same drain is heard as well (flow rule 5). -EBUSY if
 * the queue has no room for both, else 0. */
AM_API int am_pulse(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args);

/* Runs fn between transitions: at once if nothing runs, and what it mutates
 * runs right after it (AM_EXECUTED); inside a drain before all that waits
 * (AM_QUEUED). source is for logs, copied, not NULL. AM_CANCELED: a mirror, a
 * machine that is being freed, no memory. semantics.md 15. */
typedef void (*am_eval_fn)(struct am_machine *m, void *arg);
AM_API am_result am_eval(struct am_machine *m, const char *source,
    am_eval_fn fn, void *arg);

/* Why the last mutation made from outside of a drain was canceled: "Ready
 * requires Start", "LeaseRequested removed by Draining", "WorkRequestedEnter:
 * window full (2)", "WorkRequestedState failed, rolled back: TEXT"; several
 * are joined by "; ". Empty if it was not. Borrowed until the next one. For a
 * queued mutation a tracer is told, see am_transition. */
AM_API const char *am_why(const struct am_machine *m);

/* In a negotiation handler: refuses with a reason; returns false. */
AM_API bool am_refuse(struct am_event *ev, const char *fmt, ...)
    AM_PRINTF(2, 3);
/* In any handler: it failed (the analogue of a panic). semantics.md 11. */
AM_API void am_fail(struct am_event *ev, const char *fmt, ...) AM_PRINTF(2, 3);
/* Adds the error state together with Exception (which may be the state itself),
 * with {err: text} as args; NULL or empty: canceled, there is no error. */
AM_API am_result am_add_err(struct am_machine *m, am_id state,
    const char *text);
/* The text of the last failure or am_add_err(); empty if there was none. */
AM_API const char *am_last_error(const struct am_machine *m);
/* A handler that took longer has failed, as soon as it returns; 1,000 ms unless
 * set, -1: no limit. semantics.md 18. */
AM_API void am_handler_timeout(struct am_machine *m, int64_t timeout_ms);

AM_API bool am_is1(const struct am_machine *m, am_id state);
/* all active */
AM_API bool am_is(const struct am_machine *m, const am_id *states, size_t n);
/* none active */
AM_API bool am_not(const struct am_machine *m, const am_id *states, size_t n);
/* one at least */
AM_API bool am_any(const struct am_machine *m, const am_id *states, size_t n);
/* The first active state of these groups (am_schema_group()), in their order,
 * or -ENOENT. */
AM_API int am_switch(const struct am_machine *m, const struct am_list *groups,
    size_t n);
/* odd: active */
AM_API uint64_t am_tick(const struct am_machine *m, am_id state);
/* All clocks, in order of ids; borrowed until the next mutation. */
AM_API const uint64_t *am_time(const struct am_machine *m);
AM_API uint64_t am_queue_tick(const struct am_machine *m);
AM_API uint64_t am_machine_tick(const struct am_machine *m);
/* The active states in their own order (semantics.md 1); borrowed. */
AM_API const am_id *am_active(const struct am_machine *m, size_t *ret_n);
AM_API bool am_draining(const struct am_machine *m); /* inside a drain? */

/* A context of a state as a value: it holds while the tick stands. Borrows the
 * machine, so it is not asked when that is gone. */
struct am_ctx {
	const struct am_machine *machine;
	am_id state;
	uint64_t tick;
};
AM_API struct am_ctx am_ctx(const struct am_machine *m, am_id state);
AM_API bool am_ctx_valid(struct am_ctx c);

/* ---- subscriptions (semantics.md 14) ---- */

/* A handle, 0 is none. fn is called once: after the transition, or by the call
 * itself if the condition holds already (then 0 is returned), or, if it never
 * held, when the machine is freed (am_disposing()). fn may mutate, subscribe,
 * cancel and free. Cancelling what has fired does nothing.
 * AM_SUB_FAILED: no memory, or the machine is being freed. */
typedef uint64_t am_sub;
#define AM_SUB_FAILED UINT64_MAX
typedef void (*am_sub_fn)(struct am_machine *m, void *arg);

/* all active at the same time */
AM_API am_sub am_when(struct am_machine *m, const am_id *states, size_t n,
    am_sub_fn fn, void *arg);
/* none active */
AM_API am_sub am_when_not(struct am_machine *m, const am_id *states, size_t n,
    am_sub_fn fn, void *arg);
/* Exception is active */
AM_API am_sub am_when_err(struct am_machine *m, am_sub_fn fn, void *arg);
/* each tick at least so much; UINT64_MAX: never */
AM_API am_sub am_when_time(struct am_machine *m, const am_id *states,
    const uint64_t *ticks, size_t n, am_sub_fn fn, void *arg);
/* n more ticks */
AM_API am_sub am_when_ticks(struct am_machine *m, am_id state, uint64_t n,
    am_sub_fn fn, void *arg);
/* activated once more, or entered again */
AM_API am_sub am_when_next_active(struct am_machine *m, am_id state,
    am_sub_fn fn, void *arg);
/* The state is entered with args that have each key of these, with an equal
 * value: inside the transition, after the state's final handlers; never at
 * once. Copies args. AM_SUB_FAILED too if they are no map.
 *
 * Of a mirror its machine looks out for them: fn is called when it says so,
 * after that transition, and never if it came between two connections. 64 of a
 * connection, those that were cancelled included, with 64 KiB of args in all;
 * one more is AM_SUB_FAILED. */
AM_API am_sub am_when_args(struct am_machine *m, am_id state,
    struct am_val args, am_sub_fn fn, void *arg);
/* The query, which only looks, says yes after a transition; never at once. */
typedef bool (*am_query_fn)(const struct am_machine *m, void *arg);
AM_API am_sub am_when_query(struct am_machine *m, am_query_fn query,
    am_sub_fn fn, void *arg);
/* The mutation of this queue tick (see am_result) has run, or later ones. */
AM_API am_sub am_when_queue(struct am_machine *m, uint64_t queue_tick,
    am_sub_fn fn, void *arg);
/* The drain is over; at once outside of one. */
AM_API am_sub am_when_queue_ends(struct am_machine *m, am_sub_fn fn, void *arg);
/* The machine is about to be freed; after all others. */
AM_API am_sub am_when_disposed(struct am_machine *m, am_sub_fn fn, void *arg);
/* 0, AM_SUB_FAILED and what has fired are fine. */
AM_API void am_sub_cancel(struct am_machine *m, am_sub sub);

/* ---- tracing ---- */

/* A transition as a tracer sees it; borrowed. Until its end it is accepted and
 * time_after shows the clocks as they are. */
struct am_transition {
	uint64_t id; /* the machine gives it to no other one; 0: only queued */
	enum am_op op; /* AM_ADD, AM_REMOVE or AM_SET */
	bool automatic;
	bool check;
	bool accepted;
	const am_id *called;
	size_t n_called;
	struct am_val args;
	const void *source;
	const struct am_source *from; /* may be NULL */
	const uint64_t *time_after; /* semantics.md 5: stale after a rollback */
	const char *why;            /* of a canceled one; else empty */
	/* What it has done so far, a line a step, if there is a logger of level
	 * AM_LOG_OPS or more; else empty. semantics.md 16. */
	const char *steps;
};

/* All may be NULL. They may mutate, which is queued. */
struct am_tracer {
	size_t size; /* sizeof(struct am_tracer) */
	void (*transition_end)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* The queue is empty, the drain is over; mutations made here start
	 * another one. */
	void (*drain_end)(struct am_machine *m, void *arg);
	/* A mutation was accepted by the queue, or runs at once. */
	void (*mutation_queued)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* Target, exits and enters are known; negotiation comes. Not if relations
	 * cancel it. */
	void (*transition_start)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* The clocks have ticked; final handlers come. */
	void (*transition_finals)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* am_set_schema() gave it a longer one. */
	void (*schema_changed)(struct am_machine *m, void *arg);
	const char *name; /* for logs; may be NULL */
};

/* Borrows the tracer for the machine's life (or until removed). One that is
 * added in a callback is told from the next event on. The tracer of a mirror
 * hears transition_end of all mutations of its machine, in order, from when
 * the machine knows of it; without id, args, source, from and why, and time_after
 * is the mirror's. It may miss some when more than 256 KiB are on the way. -ENOMEM; -E2BIG: there
 * are 65,535; -EINVAL: it has no size. */
AM_API int am_trace(struct am_machine *m, const struct am_tracer *t, void *arg);
/* Removes one such pair, if there is any; it is told nothing more. */
AM_API void am_untrace(struct am_machine *m, const struct am_tracer *t,
    void *arg);

/* ---- strings (semantics.md 16), appended ---- */

/* (Foo:1 Bar:3) */
AM_API void am_string(const struct am_machine *m, struct am_buf *out);
/* (Foo:1) [Bar:0] */
AM_API void am_string_all(const struct am_machine *m, struct am_buf *out);
/* Lines of all states, or of these in this order. */
AM_API void am_inspect(const struct am_machine *m, struct am_buf *out);
AM_API void am_inspect_states(const struct am_machine *m, const am_id *states,
    size_t n, struct am_buf *out);
/* [add] Foo Bar */
AM_API void am_mutation_string(const struct am_schema *s,
    const struct am_mutation *mut, struct am_buf *out);
/* tx#17, [add] Foo Bar, where it comes from if that is known, its steps */
AM_API void am_transition_string(const struct am_schema *s,
    const struct am_transition *t, struct am_buf *out);
/* add, remove, set, toggle, can_add, can_remove */
AM_API const char *am_op_name(enum am_op op);
/* executed, canceled, queued */
AM_API const char *am_result_name(am_result r);

/* ---- loop ---- */

struct am_loop;

/* Returns new; NULL: no memory, no fds. Every object that lives on it borrows
 * it, and is freed before. */
AM_API struct am_loop *am_loop_new(void);
/* Tells what was posted and waits that go on (am_wait_start(),
 * am_retry_start()) that nothing comes any more. Not from a callback. NULL is
 * fine; returns NULL. */
AM_API struct am_loop *am_loop_free(struct am_loop *l);
/* Runs until am_loop_stop(). */
AM_API int am_loop_run(struct am_loop *l);
/* One turn: waits at most timeout_ms (-1: as long as it takes), runs what is
 * due, writes what was queued. */
AM_API int am_loop_step(struct am_loop *l, int timeout_ms);
AM_API void am_loop_stop(struct am_loop *l);
/* Thread-safe, as long as the loop is not freed: fn(arg, 0) runs on the loop's
 * thread, in the order of the calls. fn(arg, -ECANCELED): the loop is being
 * freed, give back what arg owns. It is called exactly once, if this returned
 * 0; -ENOMEM; -ECANCELED: it is being freed. */
AM_API int am_loop_post(struct am_loop *l, void (*fn)(void *arg, int r),
    void *arg);

/* To sit in another loop: wait until am_loop_fd() is readable, or for
 * am_loop_timeout_ms() (-1: no bound), asked for anew each time, then call
 * am_loop_step(l, 0). With poll():
 *
 *	struct pollfd p[] = { { .fd = am_loop_fd(l), .events = POLLIN }, ... };
 *
 *	poll(p, n, am_loop_timeout_ms(l));
 *	am_loop_step(l, 0);
 *
 * What is done between the turns (a request, a mutation of a mirror) is written
 * by the next step, for which the timeout is then 0. The descriptor is the
 * loop's; -ENOTSUP, -errno: it has none, or /proc is not there. */
AM_API int am_loop_fd(struct am_loop *l);
AM_API int am_loop_timeout_ms(const struct am_loop *l);

/* A timer is embedded in its owner. Starting it again moves it. It never comes
 * early. */
struct am_timer {
	struct am_loop *loop;
	void (*fn)(void *arg);
	void *arg;
	int64_t deadline_ns; /* monotonic; 0: not running */
	size_t at;           /* the loop's */
};
AM_API void am_timer_init(struct am_timer *t, struct am_loop *l,
    void (*fn)(void *arg), void *arg);
/* -ENOMEM, but not of one that runs. */
AM_API int am_timer_start(struct am_timer *t, int64_t delay_ms);
AM_API void am_timer_stop(struct am_timer *t);
/* idempotent, also on zeroed memory */
AM_API void am_timer_done(struct am_timer *t);

/* A descriptor that is watched, embedded in its owner; the descriptor stays
 * his. fn is called in each turn in which it can be read or written without
 * blocking; an end or an error of the other side counts as both. fn may change,
 * end and free it. */
enum {
	AM_IO_READ = 1,
	AM_IO_WRITE = 2,
};
struct am_io {
	struct am_loop *loop;
	void (*fn)(void *arg, unsigned events);
	void *arg;
	int fd;
	unsigned events; /* that are watched for; 0: none */
	void *event;     /* the loop's */
};
AM_API void am_io_init(struct am_io *io, struct am_loop *l, int fd,
    void (*fn)(void *arg, unsigned events), void *arg);
/* From now on watches for these; 0: for nothing. -errno: nothing is watched
 * (-EPERM: a file, which never blocks). */
AM_API int am_io_watch(struct am_io *io, unsigned events);
/* Before the descriptor is closed; idempotent, also on zeroed memory. */
AM_API void am_io_done(struct am_io *io);

/* ---- worker ---- */

struct am_worker;

/* An open request, as a handle: a number that is never used twice. The answer
 * to a request that has ended meanwhile (deadline, cancel, end of the lease)
 * is refused with -ENOENT, and nothing is sent. */
typedef uint64_t am_req;

struct am_worker_conf {
	size_t size;      /* sizeof(struct am_worker_conf) */
	const char *kind; /* for --help and logs; may be NULL */
	/* the base rows first; NULL: base only */
	const struct am_states *states;
	/* instead of states, if not NULL; borrowed */
	struct am_schema *schema;
	/* bound after the library's; may be NULL */
	const struct am_handlers *handlers;
	void *arg; /* of the handlers and callbacks */
	/* false: ready when the loop runs. true: am_worker_ready() says so. */
	bool ready_later;
	/* A lease begins; may be NULL. */
	void (*on_lease)(struct am_worker *w, const char *client, void *arg);
	/* The lease ended, forget what belonged to it, then call
	 * am_worker_reset_done(). NULL: nothing to forget. */
	void (*on_reset)(struct am_worker *w, void *arg);
	/* Healthcheck: call am_worker_alive(). NULL: the loop itself answers. */
	void (*on_ping)(struct am_worker *w, void *arg);
	/* The supervisor or a signal says: leave. Call am_worker_exit(). NULL:
	 * at once. */
	void (*on_stop)(struct am_worker *w, const char *reason, void *arg);
	/* The outbox has room again after an -EAGAIN; may be NULL. */
	void (*on_room)(struct am_worker *w, void *arg);
	/* Somebody may not do what he asked for: a line for the log. At most 10
	 * a minute, the others are counted in it. NULL: to stderr. */
	void (*on_denied)(struct am_worker *w, const char *line, void *arg);
};

/* The whole life of a worker process that amnoded has started: returns its exit
 * status. Reads AM_PRIVATE_FD and AM_PUBLIC_FD from the environment, without
 * which it explains on stderr how it is started, the limits, and AM_TLS_CERT_FD,
 * AM_TLS_KEY_FD and AM_TLS_CA_FD, if it is to speak TLS. */
AM_API int am_worker_main(const struct am_worker_conf *conf);
/* The same in two halves, for a program that has things to do in between. */
AM_API struct am_worker *am_worker_new(struct am_loop *l,
    const struct am_worker_conf *conf, struct am_error *err);
AM_API struct am_worker *am_worker_free(struct am_worker *w);
/* borrowed */
AM_API struct am_machine *am_worker_machine(const struct am_worker *w);
/* The worker whose machine it is: for handlers, which get the machine. */
AM_API struct am_worker *am_worker_of(const struct am_machine *m);
/* borrowed */
AM_API struct am_loop *am_worker_loop(const struct am_worker *w);
AM_API void am_worker_ready(struct am_worker *w);
AM_API void am_worker_reset_done(struct am_worker *w);
AM_API void am_worker_alive(struct am_worker *w);
/* stops the loop */
AM_API void am_worker_exit(struct am_worker *w, int status);

/* In a handler of WorkRequested or CancelWork: the request it is about. */
AM_API am_req am_worker_req(const struct am_worker *w,
    const struct am_event *ev);
/* The request's time left in ms, 0 if it is over. */
AM_API int64_t am_worker_req_left_ms(const struct am_worker *w, am_req req);
/* Exactly one of these four ends a request. -ENOENT: it has ended already;
 * -EAGAIN: the outbox is full, try again at on_room. Data is checked by
 * am_val_check(): after -E2BIG (over 64 MiB), -EINVAL or -ENOMEM the request is
 * still open, answer something else. */
AM_API int am_worker_answer(struct am_worker *w, am_req req,
    struct am_val data);
AM_API int am_worker_fail(struct am_worker *w, am_req req, const char *code,
    const char *message);
AM_API int am_worker_refuse(struct am_worker *w, am_req req,
    const char *reason);
/* It did not run to its end because CancelWork asked so: the client gets
 * "canceled", or "timeout" if the deadline was the reason. */
AM_API int am_worker_canceled(struct am_worker *w, am_req req);
/* Before the end, any number. */
AM_API int am_worker_progress(struct am_worker *w, am_req req,
    struct am_val data);
AM_API int am_worker_chunk(struct am_worker *w, am_req req, struct am_val data);
/* This worker cannot be trusted with more work: the supervisor is told by
 * SuperSendPayload {name: Error, err: code, stuck}, and replaces it. Open
 * requests are ended by the caller. */
AM_API int am_worker_stuck(struct am_worker *w, const char *code,
    const char *message);
/* A payload that no request asked for, for all clients of the lease; stays until
 * each of them has it, or the lease ends. */
AM_API int am_worker_event(struct am_worker *w, const char *name,
    struct am_val data);

/* ---- client ---- */

struct am_client;

enum am_payload_kind {
	AM_PAYLOAD_RESULT,   /* the one end of a request */
	AM_PAYLOAD_PROGRESS, /* before it */
	AM_PAYLOAD_CHUNK,    /* likewise */
	AM_PAYLOAD_EVENT,    /* no request asked for it */
};

/* How a request ended. */
enum am_status {
	AM_STATUS_OK,       /* answered */
	AM_STATUS_FAILED,   /* answered with an error */
	AM_STATUS_REFUSED,  /* by a relation, a handler or the program */
	AM_STATUS_TIMEOUT,  /* the deadline passed; the request is canceled */
	AM_STATUS_UNKNOWN,  /* the worker died or the link was cut in it */
	AM_STATUS_CANCELED, /* by am_client_cancel(), or the end of the lease */
};

/* ok, failed, refused, timeout, unknown, canceled */
AM_API const char *am_status_name(enum am_status s);
/* result, progress, chunk, event */
AM_API const char *am_payload_kind_name(enum am_payload_kind k);

/* The end of a request, or what came before it. Borrowed during the call. */
struct am_payload {
	uint64_t seq; /* of the worker's outbox; 0: made here */
	/* what am_client_request() gave; 0: no request's */
	uint64_t req;
	enum am_payload_kind kind;
	enum am_status status; /* AM_STATUS_OK of all but results */
	const char *name;
	const char *source; /* the worker's machine id */
	struct am_val data;
	const char *code;    /* <amnode/code.h>; NULL of AM_STATUS_OK */
	const char *message; /* likewise */
};

/* What a mirror shows of its machine; zeroed: everything. States are named, as
 * only the machine knows the ids of all; a list ends with NULL. What is not
 * shown stays at the tick that it had. A name that the machine does not have
 * ends the lease, or the attempt to get one, with AM_CODE_BAD_PARAMS. */
struct am_view {
	const char *const *only; /* these states; NULL: all */
	const char *const *skip; /* all but these; NULL; not both */
	/* Whether they are active, not how often they were: what comes and goes
	 * between two turns is not told. */
	bool shallow;
};

struct am_client_conf {
	size_t size;      /* sizeof(struct am_client_conf) */
	const char *name; /* for people: shown by the supervisor; may be NULL */
	/* PATH or HOST:PORT, at most 16. They are asked in order: one that is
	 * full, broken or draining, or does not answer, is left for the next one,
	 * and for 10 s asked last. If all refuse the wish is over: the code is
	 * that of the first, the reason says why each did. One that is not there
	 * yet (no socket, nobody listens) is tried again within the time. */
	const char *const *supervisors;
	size_t n_supervisors;
	/* For TCP by TLS 1.3, which a supervisor outside this host takes:
	 * files (PEM) with our certificate and its key, and with the
	 * certificates from which theirs have to come. All three or none. */
	const char *tls_cert;
	const char *tls_key;
	const char *tls_ca;
	void *arg;
	void (*on_payload)(struct am_client *c, const struct am_payload *p,
	    void *arg);
	/* The lease is held and the worker takes requests. */
	void (*on_ready)(struct am_client *c, void *arg);
	/* The link to the worker is cut. The lease and the open requests stay;
	 * it is made again until the lease ends, and am_client_request() gives
	 * -ENOTCONN meanwhile. on_up or on_lost comes next. */
	void (*on_down)(struct am_client *c, const char *reason, void *arg);
	/* The link is there again: requests are taken. A program that asks for
	 * more in on_payload does so here, too, or it stops when the last
	 * requests ended without a link. */
	void (*on_up)(struct am_client *c, void *arg);
	/* No lease will come ("queue full", "pool broken: ...", "timeout") or it
	 * is over ("released", "ttl", "worker-died", ...). */
	void (*on_lost)(struct am_client *c, const char *code,
	    const char *reason, void *arg);
	struct am_view worker_view;     /* of am_client_worker() */
	struct am_view supervisor_view; /* of am_client_supervisor() */
};

/* Returns new; copies conf's strings. Connects when the loop runs. */
AM_API struct am_client *am_client_new(struct am_loop *l,
    const struct am_client_conf *conf, struct am_error *err);
/* Releases what is held, as far as that works without waiting. Not from within
 * the client's own callbacks: stop the loop there. */
AM_API struct am_client *am_client_free(struct am_client *c);
/* borrowed */
AM_API struct am_machine *am_client_machine(const struct am_client *c);
/* The mirror of the worker's machine; NULL without one. Borrowed until on_lost. */
AM_API struct am_machine *am_client_worker(const struct am_client *c);
/* The mirror of the supervisor's machine; NULL without one. Borrowed until
 * SuperReady falls: then it is freed. */
AM_API struct am_machine *am_client_supervisor(const struct am_client *c);
/* Wants a worker within timeout_ms (0: only if one is free now; -1: no bound). */
AM_API int am_client_lease(struct am_client *c, int64_t timeout_ms);
/* Gives it back; on_lost says "released" when the worker has closed. */
AM_API int am_client_release(struct am_client *c);
/* How many requests the worker takes at once, those of all connections of the
 * lease together; 0: not known before on_ready. */
AM_API unsigned am_client_window(const struct am_client *c);
/* Adds WorkRequested {args} to the worker. What comes of it is told to
 * on_payload: any number of other payloads, then exactly one result. *ret_req
 * (may be NULL) is its number, never 0 and never used twice. timeout_ms -1: no
 * bound of this side. AM_STATUS_TIMEOUT may come 2 s after it: the worker has a
 * second to cancel and to say so, and if nothing is heard of it the end is made
 * here. -ENOLCK: no worker is leased; -ENOTCONN: the link to it is cut just
 * now; -EBUSY: as many are open here as its window takes, the next result makes
 * room; -EINVAL, -E2BIG, -ENOMEM: of am_args_check(), with what a frame to the
 * worker carries (16 MiB less 4 KiB). If other connections of the lease fill the
 * window, or the outbox is full, the end is AM_STATUS_REFUSED with AM_CODE_BUSY. */
AM_API int am_client_request(struct am_client *c, struct am_val args,
    int64_t timeout_ms, uint64_t *ret_req);
/* The request ends as AM_STATUS_CANCELED, or as it has ended meanwhile. -ENOENT:
 * it has ended already; -ENOMEM. If the link is cut the worker hears of it when
 * there is one again. */
AM_API int am_client_cancel(struct am_client *c, uint64_t req);

#ifdef __cplusplus
}
#endif

#endif
