/* session.h - one connection of a server; private to server.c, session.c,
 * session_call.c, session_put.c and watch.c. */
#ifndef LIB_RPC_SESSION_H
#define LIB_RPC_SESSION_H

#include <event2/event_struct.h>

#include "lib/rpc/replay.h"
#include "lib/rpc/server.h"
#include "lib/rpc/watch.h"

struct listener {
	struct rpc_server *srv; /* borrowed */
	int fd;                 /* -1: no longer listening */
	int number;
	size_t n_waiting;                /* sessions before hello */
	size_t n_up;                     /* sessions after hello */
	const struct rpc_policy *policy; /* borrowed */
	void *arg;
	const struct tls *tls; /* borrowed; NULL: plain */
	struct event ev;
	struct am_timer pause; /* until it accepts again: no fds, no memory */
};

struct rpc_session {
	TAILQ_ENTRY(rpc_session) link;
	struct rpc_server *srv; /* borrowed */
	struct listener *li;    /* borrowed */
	struct conn *conn;      /* NULL when it is over */
	struct rpc_user *user;  /* owned; NULL before it was let in */
	struct conn_peer peer;  /* outlives the connection */
	uint64_t id;
	uint64_t client_id;
	char name[64];
	bool up;        /* the hello was accepted */
	bool throttled; /* not read from, because the peer does not read */
	bool said_bye;
	void *data;
	void (*room_fn)(struct rpc_session *s, void *arg);
	void *room_arg;
	/* The large payload that is being sent in parts. */
	struct {
		uint64_t seq; /* 0: none */
		size_t off;
		size_t total;
		struct turn_item next;
	} large;
	struct turn_item reap;
	struct watch watch;
	struct am_timer late;   /* late output must go out */
	bool is_due;            /* it has fired */
	uint32_t late_id;       /* of rpc_session_is_late(); 0: none */
	struct replay *replay;  /* borrowed; NULL: hello had no resume */
	bool watching;          /* counted by server_watch() */
	bool resumed;           /* its memory was found */
	uint64_t version;       /* of the server when sent was updated */
	struct arpc_clock sent; /* what the peer knows; owns its ticks */
};
TAILQ_HEAD(session_list, rpc_session);

/* Why the mutation that is being handled is refused. */
struct refusal {
	const struct rpc_source *source; /* NULL: it is not */
	enum arpc_error error;
	char text[AM_ERROR_MAX];
};

struct rpc_server {
	struct am_loop *loop;       /* borrowed */
	struct am_machine *machine; /* borrowed */
	struct refusal refusal;
	uint64_t epoch;
	uint64_t ignored;
	uint64_t last_id;
	uint64_t version; /* counts drains */
	struct session_list sessions;
	struct replay_list replays;
	struct rpc_user_list users;
	struct listener **listener;
	size_t n_listeners;
	struct turn_item turn; /* pushes clocks; frees the memory in the end */
	uint64_t *scratch;     /* ticks as one session sees them */
	size_t n_scratch;
	size_t n_watching;  /* sessions that watch transitions */
	struct am_buf rows; /* the schema as in a welcome, encoded once */
};

/* Makes room for the ticks of n states. -ENOMEM. */
int server_reserve(struct rpc_server *srv, size_t n);
/* One more session (or one fewer) watches transitions. -ENOMEM. */
int server_watch(struct rpc_server *srv, bool on);

/* Takes fd, also on failure. Appends itself to the server's list. */
int session_new(struct listener *li, int fd);
/* Tells the peer that the machine has a longer schema. -ENOMEM. */
int session_grow(struct rpc_session *s);
/* Drops the connection without closed(); the memory goes after the turn. */
void session_drop(struct rpc_session *s);
/* Whether its hello was accepted and it is not being closed. */
bool session_is_up(const struct rpc_session *s);
/* How long its frames may be after that. */
size_t session_frame_max(const struct rpc_session *s);

/* Starts to watch transitions, if its watch asks for that. -ENOMEM. */
int session_watch(struct rpc_session *s);

/* ---- session_put.c ---- */

/* Answers a request with an error; counts a notification as ignored. */
void session_answer_error(struct rpc_session *s, const struct arpc_frame *f,
    enum arpc_error e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Answers a mutation, with an update. */
void session_answer_result(struct rpc_session *s, uint32_t id, am_result result,
    const char *why);
/* Answers with an update alone. */
void session_answer_update(struct rpc_session *s, uint32_t id);
/* Puts an m. Skipped if the peer is slow; the next update has what it
 * missed. */
void session_put_mutated(struct rpc_session *s, const struct am_transition *t);
/* The rows of the schema; AM_NONE: no memory. */
struct am_val session_schema_rows(struct rpc_server *srv);
/* Puts a welcome, the result of hello and sync. rows: AM_NONE leaves the schema
 * out. */
void session_answer_welcome(struct rpc_session *s, uint32_t id,
    struct am_val rows);
/* The result of the request schema. */
void session_answer_schema(struct rpc_session *s, const struct arpc_frame *f);
/* Puts the notification schema. */
void session_put_schema(struct rpc_session *s);
/* At the end of a turn: puts an update, and a part of a large payload. */
void session_flush(struct rpc_session *s);
/* Tells the owner that there is room for a payload, unless a large one is being
 * sent. */
void session_tell_room(struct rpc_session *s);
void session_on_next_part(void *arg);
void session_on_late(void *arg);

/* ---- session_call.c: for clients whose hello was accepted ---- */

void session_on_request(struct rpc_session *s, const struct arpc_frame *f);
void session_on_notification(struct rpc_session *s, const struct arpc_frame *f);

#endif
