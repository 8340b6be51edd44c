/* session.h - a connection to a supervisor or a worker, driven as if it
 * blocked: each call runs the loop until it is done or its time is over. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/cli.h"
#include "lib/rpc/netmach.h"

/* The answer to the one call that is under way. */
struct session_call {
	uint32_t id; /* 0: none was made */
	bool done;
	enum netmach_status status;
	am_result result;
	enum arpc_error error;
	char text[AM_ERROR_MAX]; /* why canceled, or the error's text */
	struct am_buf value;     /* of info */
};

struct session {
	struct cli *cli;
	struct netmach *nm;
	bool up;
	bool down; /* it was up or being made, and is over; neither: a link that
		      was cut is being made again */
	bool is_late;  /* answers may come with results, clocks later */
	unsigned cuts; /* how often that was so */
	int code;      /* of netmach_ops.on_close */
	char why[AM_ERROR_MAX];
	char address[256];
	struct session_call call;
	unsigned updates; /* how often the mirror changed */
	/* Set by whoever wants them; may be NULL. */
	void (*on_payload)(struct session *s, const struct arpc_payload *p,
	    void *arg);
	/* as of netmach_ops */
	bool (*is_taken)(struct session *s, uint32_t id, void *arg);
	void (*on_down)(struct session *s, void *arg);
	void *arg;
};
#define SESSION_INIT ((struct session){ .call = { .value = AM_BUF_INIT } })

/* An address as people write it, with TLS or without. -EINVAL, -ENAMETOOLONG with
 * a message in err, which may be NULL. */
int session_addr(struct cli *c, const char *text, struct addr *ret,
    struct am_error *err);
/* Connects and says hello; token may be NULL. 0; -ETIMEDOUT; -errno of a failed
 * connect; -ECONNRESET: closed, -EPERM: the hello was refused: code and why
 * say more. May be called again after session_close(). */
int session_open(struct session *s, struct cli *c, const char *address,
    const struct addr *a, const uint8_t *token);
/* The same from an address as people write it. */
int session_open_text(struct session *s, struct cli *c, const char *address,
    const uint8_t *token);
/* The same in two steps: starts, and on_down or up tell. */
int session_start(struct session *s, struct cli *c, const char *address,
    const struct addr *a, const uint8_t *token);
/* Runs the loop until done(arg). 0, -ETIMEDOUT, or -EINTR (c->interrupted);
 * deadline INT64_MAX: none. */
int session_until(struct cli *c, bool (*done)(void *arg), void *arg,
    int64_t deadline_ns);

/* One call and its answer in s->call, until deadline: 0 whatever the answer;
 * -ETIMEDOUT; -ECONNRESET: the connection is over; of a mutation -EREMOTEIO: it
 * was sent, and what became of it is not known. What reads is asked again after
 * a cut, a mutation is answered once by the server's memory. */
int session_mutate(struct session *s, enum am_op op, const am_id *states,
    size_t n, struct am_val args, int64_t request_ms, int64_t deadline_ns);
int session_info(struct session *s, const char *topic, struct am_val param,
    int64_t deadline_ns);
int session_sync(struct session *s, int64_t deadline_ns);
/* The same without waiting for the answer; it comes to s->call. */
int session_send(struct session *s, enum am_op op, const am_id *states,
    size_t n, struct am_val args, int64_t request_ms);
/* Likewise, of what ends with the connection: then the call is over, too. */
int session_send_once(struct session *s, enum am_op op, const am_id *states,
    size_t n, struct am_val args);
/* Waits until there is a connection, or none will be: session_until()'s. */
int session_wait_up(struct session *s, int64_t deadline_ns);
/* Waits until the mirror changed since `updates` was read. */
int session_wait_update(struct session *s, unsigned updates,
    int64_t deadline_ns);

/* Sends what is left and a bye; bounded. Idempotent. */
void session_close(struct session *s);
void session_done(struct session *s); /* likewise, and frees */

static inline struct am_machine *
session_mirror(const struct session *s)
{
	return netmach_mirror(s->nm);
}

/* ---- the supervisor ---- */

/* Finds it, connects. EX_OK or a code after a message. */
int super_open(struct cli *c, struct session *s);
/* To an address from a lease file. */
int super_open_at(struct cli *c, struct session *s, const char *address,
    const uint8_t *token);
/* info with its failures told; the value is in s->call.value. */
int super_info(struct cli *c, struct session *s, const char *topic,
    struct am_val param);
/* Why a call was not made for what it was to carry; NULL: not for that. */
const char *session_bad_args(int rc);
/* Says why a call failed: rc is what session_*() returned. Returns the code. */
int session_fail(struct cli *c, struct session *s, int rc);

#endif
