/* amnode.h - machines, workers and clients of amnode.
 *
 * Everything here runs on one thread, the loop's. Only am_loop_post() may be
 * called from other threads. In the comments, *borrows* means that the caller
 * keeps the object, *takes* that the callee owns it from then on, and *returns
 * new* that the caller frees it. Functions that return int return 0 or more on
 * success and -errno on failure. Times are in ms; 0 means now, and -1, where a
 * function allows it, means no limit. If the first member of a struct is
 * `size`, set it to the size of the struct, so that members can be added later
 * (-EINVAL or NULL if it is not set). States are named by their ids, which are
 * their positions in the schema.
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
 * which may be NULL, says what was refused and at which byte. Neither depends
 * on the locale.
 *
 * A number without fraction and exponent is an integer, from -2^63 to 2^64 - 1.
 * Any other number, and -0, is a double. It is refused unless the nearest
 * double, written with as many significant digits or by am_json_encode(), is
 * the same number: 0.1 and every double that a program prints pass, and
 * 0.12345678901234567890, 1e400 and 1e-400 do not. {"$bin":"base64"}, with
 * padding, is binary.
 *
 * Also refused are bad escapes, half of a surrogate pair, control characters
 * and NUL in strings, bytes that are not UTF-8, a byte order mark, an object
 * with the same key twice, NaN, infinity, and arrays and objects nested deeper
 * than 32 levels ([[1]] has 2). Texts, strings and numbers may have any
 * length. */

/* Appends the value of a JSON text of len bytes to out. */
AM_API int am_json_decode(const char *json, size_t len, struct am_buf *out,
    struct am_error *err);
/* Appends the value as one line of JSON, without a newline; am_json_decode()
 * reads back the same value. A double is the shortest text that reads back as
 * the same double, always with a point or an exponent. Extension types, keys
 * that are not strings, and a map that would be read back as binary, {"$bin":
 * string}, are refused, too. */
AM_API int am_json_encode(struct am_val v, struct am_buf *out,
    struct am_error *err);

/* ---- schema: compiled, immutable, shared by machines ---- */

struct am_schema;

/* Returns new; or NULL, and err (may be NULL) names the state and the relation.
 * Copies what it needs of the table. semantics.md 2, 23. */
AM_API struct am_schema *am_schema_new(const struct am_states *states,
    struct am_error *err);
/* {"states":[{"name":"Foo","auto":true,"multi":true,"require":["Bar"],
 * "add":[],"remove":[],"after":[]}, ...],"groups":{"Pool":["Foo","Bar"]}}.
 * With a base, its rows and groups come first, and the JSON must not define one
 * of them again. Returns new. */
AM_API struct am_schema *am_schema_from_json(const char *json, size_t len,
    const struct am_states *base, struct am_error *err);
/* Appends JSON that am_schema_from_json() reads as an equal schema, docs
 * included. */
AM_API void am_schema_to_json(const struct am_schema *s, struct am_buf *out);
/* Inheritance: the states of base keep their ids, and new ones of more follow.
 * A state or group that both have is taken from more, with all its relations.
 * Relations go by name. Returns new, or NULL with a message. semantics.md 2. */
AM_API struct am_schema *am_schema_merge(const struct am_schema *base,
    const struct am_schema *more, struct am_error *err);
/* Checks that the schema has exactly these states, in this order. Otherwise
 * -EINVAL, and err names the first difference. */
AM_API int am_schema_verify(const struct am_schema *s, const char *const *names,
    size_t n, struct am_error *err);
AM_API struct am_schema *am_schema_ref(struct am_schema *s);
/* NULL is allowed. Returns NULL. */
AM_API struct am_schema *am_schema_unref(struct am_schema *s);
AM_API size_t am_schema_len(const struct am_schema *s);
AM_API const char *am_schema_name(const struct am_schema *s, am_id id);
/* The row as it was given, before it was cleaned; NULL if id is out of
 * range. */
AM_API const struct am_state *am_schema_state(const struct am_schema *s,
    am_id id);
/* The id, or -ENOENT. */
AM_API int am_schema_id(const struct am_schema *s, const char *name,
    size_t len);
/* The states of the group with this name, borrowed; NULL: there is none. */
AM_API const struct am_list *am_schema_group(const struct am_schema *s,
    const char *name);
/* All groups in their order; borrowed. */
AM_API const struct am_group *am_schema_groups(const struct am_schema *s,
    size_t *ret_n);
/* 63 bits over names, flags and relations in order. Equal schemas have equal
 * hashes. */
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

/* The result of a mutation: executed, canceled, or, from AM_QUEUED on, queued
 * behind the running drain; the value is then the queue tick at which it
 * runs. */
typedef uint64_t am_result;
#define AM_EXECUTED UINT64_C(0)
#define AM_CANCELED UINT64_C(1)
#define AM_QUEUED UINT64_C(2)

/* Where a mutation was made, for logs and traces: the machine, the number of
 * its transition, and the sum of its ticks. */
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
	/* Passed to handlers and tracers as it is, for example a connection or
	 * a request. Borrowed; must live until the drain ends. */
	const void *source;
	/* NULL if unknown. Borrowed; copied if the mutation has to wait. */
	const struct am_source *from;
};

/* The argument of a handler; valid during the call. */
struct am_event {
	struct am_machine *machine;
	void *arg; /* of am_bind() */
	/* the state of this handler; UINT16_MAX: any_enter, any_state */
	am_id state;
	/* pairs: the state that is in the target; else == state */
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
 * after); they return false to refuse, as am_refuse() does. Final: state
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

/* Makes a table of an array of handlers by state id, without pairs and any_*:
 * static const struct am_handlers handlers = AM_HANDLERS("lamp", handler); */
#define AM_HANDLERS(name_, array)                                              \
	{                                                                      \
		.name = (name_), .of = (array),                                \
		.len = sizeof(array) / sizeof((array)[0]),                     \
	}

/* Returns new. Refs the schema, and copies the id, a name for people. NULL: no
 * memory. */
AM_API struct am_machine *am_machine_new(struct am_schema *schema,
    const char *id);
/* NULL is allowed. Returns NULL. Subscriptions that still wait are called for
 * the last time. From then on the machine refuses mutations, and no state is
 * active; its ticks can be read. Inside a drain the memory is freed when the
 * drain ends. */
AM_API struct am_machine *am_machine_free(struct am_machine *m);
/* The same in steps: removes Start if it is active, and frees the machine when
 * everything that follows from that has run. semantics.md 19. */
AM_API struct am_machine *am_machine_dispose(struct am_machine *m);
/* Whether it is being freed. */
AM_API bool am_disposing(const struct am_machine *m);
AM_API const char *am_machine_id(const struct am_machine *m);
/* borrowed */
AM_API struct am_schema *am_machine_schema(const struct am_machine *m);

/* Gives the machine a schema with more states. The old ones must come first,
 * with their ids, perhaps with other relations; new ones start at tick 0. Refs
 * the schema. -EINVAL: the old states do not come first; -EBUSY: in a drain, or
 * a mirror. semantics.md 19. */
AM_API int am_set_schema(struct am_machine *m, struct am_schema *schema);

/* Appends the ticks by name as one MessagePack map. */
AM_API int am_export(const struct am_machine *m, struct am_buf *out);
/* Takes over the ticks that a machine with this id and these states has
 * exported. Adds MachineRestored if there is such a state. -EINVAL with a
 * message: it was another machine; -EBUSY: in a drain, or a mirror.
 * semantics.md 19. */
AM_API int am_import(struct am_machine *m, struct am_val exported,
    struct am_error *err);

/* Binds a table of handlers, and borrows it for the life of the machine.
 * Several tables are called in this order. -EINVAL: an id is out of range, or a
 * pair has the same state twice (use `self`); -EBUSY: in a drain, or a mirror.
 * If there is an error already, Exception is added again, for the first table
 * to handle. */
AM_API int am_bind(struct am_machine *m, const struct am_handlers *h,
    void *arg);

/* Mutates. The whole drain has run when it returns. From a handler, or any
 * other callback of a drain, the mutation is queued. Ids out of range are a
 * programming error (assert). semantics.md 3, 4.
 *
 * A mutation of a mirror (am_client_worker()) is sent to the machine. It
 * returns a handle of AM_QUEUED or more, and am_on_result() gets the result; or
 * AM_CANCELED if there is no connection, or am_args_check() refuses the args:
 * see am_why(). The same holds for am_add1() and the others below, also
 * am_can_add(), but not for am_pulse(). The mirror has its new ticks when the
 * result arrives. */
AM_API am_result am_mutate(struct am_machine *m, const struct am_mutation *mut);

/* The outcome is unknown: the connection was lost, and the machine is another
 * one. */
#define AM_RESULT_LOST UINT64_MAX
/* handle: as am_mutate() of the mirror returned it. result: that of the
 * machine, or AM_RESULT_LOST. why: the reason if it was canceled or lost, else
 * empty. */
typedef void (*am_result_fn)(struct am_machine *mirror, am_result handle,
    am_result result, const char *why, void *arg);
/* Sets fn, which is called once for each handle. -EINVAL: this is not a mirror
 * with a connection. */
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

/* Adds and removes the states. Both are queued together, so that a second pulse
 * in the same drain is not lost (flow rule 5). -EBUSY if the queue has no room
 * for both, else 0. */
AM_API int am_pulse(struct am_machine *m, const am_id *states, size_t n,
    struct am_val args);

/* Runs fn between transitions: outside a drain at once, and its mutations right
 * after it (AM_EXECUTED); inside a drain before everything that waits
 * (AM_QUEUED). source is a name for logs, copied, not NULL. AM_CANCELED: a
 * mirror, a machine that is being freed, no memory. semantics.md 15. */
typedef void (*am_eval_fn)(struct am_machine *m, void *arg);
AM_API am_result am_eval(struct am_machine *m, const char *source,
    am_eval_fn fn, void *arg);

/* Why the last mutation made from outside of a drain was canceled: "Ready
 * requires Start", "LeaseRequested removed by Draining", "WorkRequestedEnter:
 * window full (2)", "WorkRequestedState failed, rolled back: TEXT"; several are
 * joined by "; ". Empty if it was not. Borrowed until the next mutation. For
 * queued mutations a tracer gets the reason, see am_transition. */
AM_API const char *am_why(const struct am_machine *m);

/* For a negotiation handler: sets the reason of a refusal, and returns
 * false. */
AM_API bool am_refuse(struct am_event *ev, const char *fmt, ...)
    AM_PRINTF(2, 3);
/* For any handler: marks it as failed, like a panic. semantics.md 11. */
AM_API void am_fail(struct am_event *ev, const char *fmt, ...) AM_PRINTF(2, 3);
/* Adds the error state and Exception (the state may be Exception) with {err:
 * text} as args. Canceled if text is NULL or empty. */
AM_API am_result am_add_err(struct am_machine *m, am_id state,
    const char *text);
/* The text of the last failed handler or am_add_err(); empty if there was
 * none. */
AM_API const char *am_last_error(const struct am_machine *m);
/* Sets how long a handler may take: 1,000 ms unless set, -1: no limit. A slower
 * one counts as failed when it returns. semantics.md 18. */
AM_API void am_handler_timeout(struct am_machine *m, int64_t timeout_ms);

AM_API bool am_is1(const struct am_machine *m, am_id state);
/* all active */
AM_API bool am_is(const struct am_machine *m, const am_id *states, size_t n);
/* none active */
AM_API bool am_not(const struct am_machine *m, const am_id *states, size_t n);
/* at least one active */
AM_API bool am_any(const struct am_machine *m, const am_id *states, size_t n);
/* The first active state of these groups (am_schema_group()), in their order,
 * or -ENOENT. */
AM_API int am_switch(const struct am_machine *m, const struct am_list *groups,
    size_t n);
/* The tick of a state; odd: active. */
AM_API uint64_t am_tick(const struct am_machine *m, am_id state);
/* All ticks in order of ids; borrowed until the next mutation. */
AM_API const uint64_t *am_time(const struct am_machine *m);
AM_API uint64_t am_queue_tick(const struct am_machine *m);
AM_API uint64_t am_machine_tick(const struct am_machine *m);
/* The active states in their own order (semantics.md 1); borrowed. */
AM_API const am_id *am_active(const struct am_machine *m, size_t *ret_n);
/* Whether a drain is running. */
AM_API bool am_draining(const struct am_machine *m);

/* A context: valid until the state's tick changes. Borrows the machine, so do
 * not ask it after the machine is freed. */
struct am_ctx {
	const struct am_machine *machine;
	am_id state;
	uint64_t tick;
};
AM_API struct am_ctx am_ctx(const struct am_machine *m, am_id state);
AM_API bool am_ctx_valid(struct am_ctx c);

/* ---- subscriptions (semantics.md 14) ---- */

/* A handle; 0 is none. fn is called once: by the call itself if the condition
 * holds already (then 0 is returned), else after the transition that makes it
 * hold, else when the machine is freed (am_disposing()). fn may mutate,
 * subscribe, cancel subscriptions and free the machine. AM_SUB_FAILED: no
 * memory, or the machine is being freed. */
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
/* Holds when every state's tick has reached its value; UINT64_MAX is never
 * reached. */
AM_API am_sub am_when_time(struct am_machine *m, const am_id *states,
    const uint64_t *ticks, size_t n, am_sub_fn fn, void *arg);
/* the state has ticked n more times */
AM_API am_sub am_when_ticks(struct am_machine *m, am_id state, uint64_t n,
    am_sub_fn fn, void *arg);
/* the state is activated, or entered again, after this call */
AM_API am_sub am_when_next_active(struct am_machine *m, am_id state,
    am_sub_fn fn, void *arg);
/* The state is entered by a mutation whose args have every key of these, with
 * an equal value (the same MessagePack bytes). The state is entered when it
 * becomes active, called or implied by a relation, or when it is multi and
 * called again. fn is called inside the transition, after the final handlers of
 * the state; never at once. Copies args. AM_SUB_FAILED also for args that
 * am_args_check() refuses, and for more than 64 keys.
 *
 * For a mirror, its machine watches for the args, and fn is called when it
 * reports them, after that transition; not if that happens between two
 * connections. A connection can have 64 of these, including canceled ones, with
 * 64 KiB of args in all; one more is AM_SUB_FAILED. */
enum { AM_WHEN_ARGS_KEYS = 64 };
AM_API am_sub am_when_args(struct am_machine *m, am_id state,
    struct am_val args, am_sub_fn fn, void *arg);
/* query returns true after a transition; it must only look. Never at once. */
typedef bool (*am_query_fn)(const struct am_machine *m, void *arg);
AM_API am_sub am_when_query(struct am_machine *m, am_query_fn query,
    am_sub_fn fn, void *arg);
/* The mutation with this queue tick (see am_result), or a later one, has
 * run. */
AM_API am_sub am_when_queue(struct am_machine *m, uint64_t queue_tick,
    am_sub_fn fn, void *arg);
/* The drain is over; at once outside of one. */
AM_API am_sub am_when_queue_ends(struct am_machine *m, am_sub_fn fn, void *arg);
/* The machine is about to be freed. Called after all other subscriptions. */
AM_API am_sub am_when_disposed(struct am_machine *m, am_sub_fn fn, void *arg);
/* Cancels a subscription. 0, AM_SUB_FAILED and a handle whose fn was called are
 * allowed and do nothing. */
AM_API void am_sub_cancel(struct am_machine *m, am_sub sub);

/* ---- tracing ---- */

/* A transition as a tracer sees it; borrowed. Until it ends, accepted is true
 * and time_after has the present ticks. */
struct am_transition {
	uint64_t id;   /* unique in its machine; 0: only queued */
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
	const char *why;            /* if it was canceled; else empty */
	/* What it has done so far, one line per step, if there is a logger of
	 * level AM_LOG_OPS or more; else empty. semantics.md 16. */
	const char *steps;
};

/* Callbacks may be NULL. They may mutate; that is queued. */
struct am_tracer {
	size_t size; /* sizeof(struct am_tracer) */
	void (*transition_end)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* The queue is empty and the drain is over. Mutations made here start
	 * another drain. */
	void (*drain_end)(struct am_machine *m, void *arg);
	/* A mutation was queued, or runs at once. */
	void (*mutation_queued)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* Target, exits and enters are known; negotiation follows. Not called
	 * if relations cancel the mutation. */
	void (*transition_start)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* The states have ticked; final handlers follow. */
	void (*transition_finals)(struct am_machine *m,
	    const struct am_transition *t, void *arg);
	/* am_set_schema() gave the machine a longer schema. */
	void (*schema_changed)(struct am_machine *m, void *arg);
	const char *name; /* for logs; may be NULL */
};

/* Borrows the tracer until it is removed or the machine is freed. One that is
 * added in a callback is called from the next event on. -ENOMEM; -E2BIG: there
 * are 65,535; -EINVAL: its size is not set.
 *
 * The tracer of a mirror gets transition_end for every mutation of its machine,
 * in order, once the machine knows of it; without id, args, source, from and
 * why, and with the ticks of the mirror in time_after. It may miss some when
 * the connection is more than 256 KiB behind. */
AM_API int am_trace(struct am_machine *m, const struct am_tracer *t, void *arg);
/* Removes one such pair, if there is one. It is not called any more. */
AM_API void am_untrace(struct am_machine *m, const struct am_tracer *t,
    void *arg);

/* ---- strings (semantics.md 16), appended ---- */

/* (Foo:1 Bar:3) */
AM_API void am_string(const struct am_machine *m, struct am_buf *out);
/* (Foo:1) [Bar:0] */
AM_API void am_string_all(const struct am_machine *m, struct am_buf *out);
/* Lines with all states, or with these in this order. */
AM_API void am_inspect(const struct am_machine *m, struct am_buf *out);
AM_API void am_inspect_states(const struct am_machine *m, const am_id *states,
    size_t n, struct am_buf *out);
/* [add] Foo Bar */
AM_API void am_mutation_string(const struct am_schema *s,
    const struct am_mutation *mut, struct am_buf *out);
/* tx#17, [add] Foo Bar, its origin if known, its steps */
AM_API void am_transition_string(const struct am_schema *s,
    const struct am_transition *t, struct am_buf *out);
/* add, remove, set, toggle, can_add, can_remove */
AM_API const char *am_op_name(enum am_op op);
/* executed, canceled, queued */
AM_API const char *am_result_name(am_result r);

/* ---- loop ---- */

struct am_loop;

/* Returns new; NULL: no memory, no fds. Objects made on the loop borrow it;
 * free them first. */
AM_API struct am_loop *am_loop_new(void);
/* Calls posted functions, and those of waits and retries that still run
 * (am_wait_start(), am_retry_start()), with -ECANCELED or AM_CANCELED. Do not
 * call it from a callback. NULL is allowed. Returns NULL. */
AM_API struct am_loop *am_loop_free(struct am_loop *l);
/* Runs turns until am_loop_stop(). */
AM_API int am_loop_run(struct am_loop *l);
/* Runs one turn: waits at most timeout_ms (-1: no limit), runs what is due, and
 * writes queued output. */
AM_API int am_loop_step(struct am_loop *l, int timeout_ms);
AM_API void am_loop_stop(struct am_loop *l);
/* Calls fn(arg, 0) on the loop's thread, in the order of these calls. May be
 * called from any thread, until the loop is freed. If the loop is freed first,
 * it calls fn(arg, -ECANCELED), to free what arg owns. If this returns 0, fn is
 * called exactly once. -ENOMEM; -ECANCELED: the loop is being freed. */
AM_API int am_loop_post(struct am_loop *l, void (*fn)(void *arg, int r),
    void *arg);

/* To run inside another loop: wait until am_loop_fd() is readable, but at most
 * am_loop_timeout_ms() (-1: no limit), which may change with every call; then
 * call am_loop_step(l, 0). With poll():
 *
 * 	struct pollfd p[] = { { .fd = am_loop_fd(l), .events = POLLIN }, ... };
 *
 * 	poll(p, n, am_loop_timeout_ms(l));
 * 	am_loop_step(l, 0);
 *
 * Output made between turns (a request, a mutation of a mirror) is written by
 * the next step; the timeout is then 0. The descriptor belongs to the loop.
 * -ENOTSUP: there is none, because this system has no epoll. */
AM_API int am_loop_fd(struct am_loop *l);
AM_API int am_loop_timeout_ms(const struct am_loop *l);

/* A timer is embedded in its owner. It never fires early. Starting it again
 * moves it. */
struct am_timer {
	struct am_loop *loop;
	void (*fn)(void *arg);
	void *arg;
	int64_t deadline_ns; /* monotonic; 0: not running */
	size_t at;           /* private */
};
AM_API void am_timer_init(struct am_timer *t, struct am_loop *l,
    void (*fn)(void *arg), void *arg);
/* -ENOMEM; never if the timer is running. */
AM_API int am_timer_start(struct am_timer *t, int64_t delay_ms);
AM_API void am_timer_stop(struct am_timer *t);
/* idempotent, also on zeroed memory */
AM_API void am_timer_done(struct am_timer *t);

/* Watches a descriptor, which stays the owner's. Embedded in its owner. fn is
 * called in each turn in which the descriptor can be read or written without
 * blocking; the end of the other side and errors count as both. fn may change,
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
	unsigned events; /* watched; 0: none */
	void *event;     /* private */
};
AM_API void am_io_init(struct am_io *io, struct am_loop *l, int fd,
    void (*fn)(void *arg, unsigned events), void *arg);
/* Watches for these events from now on; 0: for none. On failure nothing is
 * watched (-EPERM: a file, which never blocks). */
AM_API int am_io_watch(struct am_io *io, unsigned events);
/* Call it before closing the descriptor. Idempotent, also on zeroed memory. */
AM_API void am_io_done(struct am_io *io);

/* ---- worker ---- */

struct am_worker;

/* A handle of an open request, never used twice. Answering a request that has
 * ended (deadline, cancellation, end of the lease) gives -ENOENT, and sends
 * nothing. */
typedef uint64_t am_req;

struct am_worker_conf {
	size_t size;      /* sizeof(struct am_worker_conf) */
	const char *kind; /* a name for messages; may be NULL */
	/* the base rows, then those of the program; NULL: base rows only */
	const struct am_states *states;
	/* instead of states, if not NULL; borrowed */
	struct am_schema *schema;
	/* bound after the library's; may be NULL */
	const struct am_handlers *handlers;
	void *arg; /* of the handlers and callbacks */
	/* false: ready when the loop runs. true: when am_worker_ready() is
	 * called. */
	bool ready_later;
	/* A lease begins; may be NULL. */
	void (*on_lease)(struct am_worker *w, const char *client, void *arg);
	/* The lease has ended: forget it, then call am_worker_reset_done().
	 * NULL: there is nothing to forget. */
	void (*on_reset)(struct am_worker *w, void *arg);
	/* A health check: call am_worker_alive(). NULL: the loop answers. */
	void (*on_ping)(struct am_worker *w, void *arg);
	/* The supervisor or a signal asks the worker to leave: call
	 * am_worker_exit(). NULL: it leaves at once. */
	void (*on_stop)(struct am_worker *w, const char *reason, void *arg);
	/* The outbox has room again after an -EAGAIN; may be NULL. */
	void (*on_room)(struct am_worker *w, void *arg);
	/* A line for the log: a client was refused. At most 10 a minute; the
	 * next one counts the others. NULL: stderr. */
	void (*on_denied)(struct am_worker *w, const char *line, void *arg);
};

/* Runs a worker process that amnoded has started, and returns its exit status.
 * The environment has AM_PRIVATE_FD and AM_PUBLIC_FD, the limits, and for TLS
 * AM_TLS_CERT_FD, AM_TLS_KEY_FD and AM_TLS_CA_FD. Without the former it
 * explains on stderr how to start it. */
AM_API int am_worker_main(const struct am_worker_conf *conf);
/* The same in parts, for a program that runs the loop itself. Either takes from
 * the process: SIGPIPE is ignored from now on; SIGTERM and SIGINT mean on_stop
 * while the worker lives. AM_LOG and AM_LOG_ARGS (amnode_log.h) log its machine to
 * stderr. */
AM_API struct am_worker *am_worker_new(struct am_loop *l,
    const struct am_worker_conf *conf, struct am_error *err);
/* From anywhere, its own callbacks and handlers included; none is called any
 * more. The loop gives back the memory at the end of the turn. */
AM_API struct am_worker *am_worker_free(struct am_worker *w);
/* borrowed */
AM_API struct am_machine *am_worker_machine(const struct am_worker *w);
/* The worker that has this machine: for handlers, which get the machine. */
AM_API struct am_worker *am_worker_of(const struct am_machine *m);
/* borrowed */
AM_API struct am_loop *am_worker_loop(const struct am_worker *w);
AM_API void am_worker_ready(struct am_worker *w);
AM_API void am_worker_reset_done(struct am_worker *w);
AM_API void am_worker_alive(struct am_worker *w);
/* Stops the loop; am_worker_main() returns the status. */
AM_API void am_worker_exit(struct am_worker *w, int status);

/* In a final handler of WorkRequested, or any of CancelWork: the request; 0:
 * none. */
AM_API am_req am_worker_req(const struct am_worker *w,
    const struct am_event *ev);
/* How many ms the request has left, rounded up: 0 if none, INT64_MAX without a
 * deadline. */
AM_API int64_t am_worker_req_left_ms(const struct am_worker *w, am_req req);
/* Exactly one of these four ends a request. -ENOENT: it has ended already;
 * -EAGAIN: the outbox is full, try again in on_room. am_val_check() checks the
 * data: after -E2BIG (over 64 MiB), -EINVAL or -ENOMEM the request is still
 * open, so answer something else. */
AM_API int am_worker_answer(struct am_worker *w, am_req req,
    struct am_val data);
AM_API int am_worker_fail(struct am_worker *w, am_req req, const char *code,
    const char *message);
AM_API int am_worker_refuse(struct am_worker *w, am_req req,
    const char *reason);
/* The request was stopped because of CancelWork. The client gets "canceled", or
 * "timeout" if the deadline was the reason. */
AM_API int am_worker_canceled(struct am_worker *w, am_req req);
/* Send data before the end, any number of times. */
AM_API int am_worker_progress(struct am_worker *w, am_req req,
    struct am_val data);
AM_API int am_worker_chunk(struct am_worker *w, am_req req, struct am_val data);
/* Tells the supervisor that this worker cannot take more work, by
 * SuperSendPayload {name: Error, err: code, stuck}; it is then replaced. The
 * caller ends the open requests. */
AM_API int am_worker_stuck(struct am_worker *w, const char *code,
    const char *message);
/* Sends data that no request asked for to all clients of the lease. It is kept
 * until each of them has acked it, or the lease ends. -ENOENT: there is no
 * lease; -EINVAL: the name is not UTF-8 of 1 to 128 bytes. */
AM_API int am_worker_event(struct am_worker *w, const char *name,
    struct am_val data);

/* ---- client ---- */

struct am_client;

enum am_payload_kind {
	AM_PAYLOAD_RESULT,   /* the end of a request */
	AM_PAYLOAD_PROGRESS, /* before that */
	AM_PAYLOAD_CHUNK,    /* likewise */
	AM_PAYLOAD_EVENT,    /* no request asked for it */
};

/* How a request ended. */
enum am_status {
	AM_STATUS_OK,       /* answered */
	AM_STATUS_FAILED,   /* answered with an error */
	AM_STATUS_REFUSED,  /* by a relation, a handler or the program */
	AM_STATUS_TIMEOUT,  /* the deadline passed; the request is canceled */
	AM_STATUS_UNKNOWN,  /* the worker died, or the outcome is not known */
	AM_STATUS_CANCELED, /* by am_client_cancel(), or the end of the lease */
};

/* ok, failed, refused, timeout, unknown, canceled */
AM_API const char *am_status_name(enum am_status s);
/* result, progress, chunk, event */
AM_API const char *am_payload_kind_name(enum am_payload_kind k);

/* The end of a request, something before that, or an event. Borrowed during the
 * call. */
struct am_payload {
	uint64_t seq; /* its number in the worker's outbox; 0: made here */
	/* as am_client_request() stored it; 0: events */
	uint64_t req;
	enum am_payload_kind kind;
	enum am_status status; /* AM_STATUS_OK unless it is a result */
	const char *name;
	const char *source; /* the id of the machine that made it */
	struct am_val data;
	const char *code;    /* <amnode/code.h>; NULL for AM_STATUS_OK */
	const char *message; /* likewise */
};

/* What a mirror shows of its machine; all zero: everything. States are given by
 * name, and a list ends with NULL. States that are not shown keep the ticks
 * that they had. A name that the machine does not have ends the lease, or the
 * attempt to get one, with AM_CODE_BAD_PARAMS. */
struct am_view {
	const char *const *only; /* these states; NULL: all */
	const char *const *skip; /* all but these; NULL; not both */
	/* Show whether states are active, not how often they were: a state that
	 * comes and goes within a turn is not seen. */
	bool shallow;
};

struct am_client_conf {
	size_t size;      /* sizeof(struct am_client_conf) */
	const char *name; /* for people: shown by the supervisor; may be NULL */
	/* PATH or HOST:PORT, at most 16. They are asked in order: one that is
	 * full, broken or draining, or does not answer, is left for the next
	 * one, and for 10 s asked last. If all refuse the wish is over: the
	 * code is that of the first, the reason says why each did. One that is
	 * not there yet (no socket, nobody listens) is tried again within the
	 * time. */
	const char *const *supervisors;
	size_t n_supervisors;
	/* For TLS 1.3 over TCP, which a supervisor on another host requires:
	 * PEM files with the certificate of the client, its key, and the CA
	 * that issues those of the servers. All three or none. */
	const char *tls_cert;
	const char *tls_key;
	const char *tls_ca;
	void *arg;
	void (*on_payload)(struct am_client *c, const struct am_payload *p,
	    void *arg);
	/* The lease is held and the worker takes requests. */
	void (*on_ready)(struct am_client *c, void *arg);
	/* The connection to the worker is lost. The lease and the open requests
	 * stay; until it is restored, am_client_request() returns -ENOTCONN.
	 * on_up or on_lost follows. */
	void (*on_down)(struct am_client *c, const char *reason, void *arg);
	/* The connection is restored, and requests are taken. A program that
	 * sends its next request in on_payload must do so here as well: its
	 * last requests may have ended without a connection. */
	void (*on_up)(struct am_client *c, void *arg);
	/* No lease is granted ("timeout", "pool_broken", ...), or the lease is
	 * over ("released", "ttl", "worker-died", ...). code is in
	 * <amnode/code.h>. */
	void (*on_lost)(struct am_client *c, const char *code,
	    const char *reason, void *arg);
	struct am_view worker_view;     /* for am_client_worker() */
	struct am_view supervisor_view; /* for am_client_supervisor() */
};

/* Returns new. Copies the strings of conf. Connects when the loop runs. */
AM_API struct am_client *am_client_new(struct am_loop *l,
    const struct am_client_conf *conf, struct am_error *err);
/* Releases what is held, as far as that works without waiting. From anywhere, its
 * own callbacks and handlers included; none is called any more, and its machine
 * and mirrors are freed. The loop gives back the memory at the end of the turn. */
AM_API struct am_client *am_client_free(struct am_client *c);
/* borrowed */
AM_API struct am_machine *am_client_machine(const struct am_client *c);
/* The mirror of the worker's machine, borrowed until on_lost; NULL if there is
 * none. */
AM_API struct am_machine *am_client_worker(const struct am_client *c);
/* The mirror of the supervisor's machine, borrowed until SuperReady ends; NULL
 * if there is none. */
AM_API struct am_machine *am_client_supervisor(const struct am_client *c);
/* Asks for a worker within timeout_ms (0: only if one is free now; -1: no
 * limit). The lease ends with this process, if not before. on_ready or on_lost
 * follows, never before this returns. -EALREADY: one is leased, or asked for;
 * -EDESTADDRREQ: conf has no supervisors; -ENOMEM. */
AM_API int am_client_lease(struct am_client *c, int64_t timeout_ms);
/* Gives it back, or stops waiting for one. on_lost follows, with "released"; in
 * the latter case before this returns. No requests are taken after it. -ENOENT:
 * there is neither. */
AM_API int am_client_release(struct am_client *c);
/* How many requests the worker takes at once, from all connections of the lease
 * together; 0 before on_ready. */
AM_API unsigned am_client_window(const struct am_client *c);
/* Adds WorkRequested {args} to the worker. on_payload gets any number of other
 * payloads and then exactly one result. *ret_req (may be NULL) is the number of
 * the request, never 0 and never used twice. timeout_ms -1: no limit on this
 * side. AM_STATUS_TIMEOUT may come 2 s late: the worker has a second to cancel
 * and to say so, and if it does not, the client ends the request itself.
 * -ENOLCK: no worker is leased, or it is being given back; -ENOTCONN: the
 * connection to it is lost for the moment; -EBUSY: the window is full, or 64 MiB
 * of requests have no answer yet: the next result makes room; -EINVAL, -E2BIG,
 * -ENOMEM: am_args_check() refuses the args, with a limit of 16 MiB less 4 KiB.
 * If other connections of the lease fill the window, or the outbox
 * is full, the request ends as AM_STATUS_REFUSED with AM_CODE_BUSY. */
AM_API int am_client_request(struct am_client *c, struct am_val args,
    int64_t timeout_ms, uint64_t *ret_req);
/* Cancels a request. It ends as AM_STATUS_CANCELED, or as it has ended
 * meanwhile. Without a connection the worker is told when there is one again.
 * -ENOENT: it has ended already; -EBUSY: 64 MiB of requests have no answer yet;
 * -ENOMEM. */
AM_API int am_client_cancel(struct am_client *c, uint64_t req);

#ifdef __cplusplus
}
#endif

#endif
