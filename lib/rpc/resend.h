/* resend.h - mutations of a net machine that outlive its connection: they are
 * sent again with their ids, or wait for a connection that takes them. */
#ifndef LIB_RPC_RESEND_H
#define LIB_RPC_RESEND_H

#include <sys/queue.h>

#include "proto/arpc.h"

struct netmach;
struct netmach_call;

enum {
	/* Unanswered at a time; less than what a server remembers, so that
	 * what is sent again is never forgotten. */
	RESEND_WINDOW = 1000,
	RESEND_BYTES_MAX = 64 * 1024 * 1024,
};

struct resend {
	TAILQ_ENTRY(resend) link; /* in order of ids */
	uint32_t id;
	enum arpc_method method;
	bool sent;           /* it may have arrived */
	bool is_over;        /* it is in the list of those that end */
	int64_t kept_ns;     /* since when */
	int64_t deadline_ns; /* -1: none */
	size_t len;
	uint8_t params[]; /* [states, args], without the array's head */
};
TAILQ_HEAD(resend_list, resend);

/* Keeps one mutation; its id and resend_flush() follow. -ENOMEM; -ENOBUFS: too
 * much is kept. */
int resend_put(struct netmach *nm, enum arpc_method method, const am_id *states,
    size_t n, struct am_val args, int64_t deadline_ms, struct resend **ret);
/* It was answered; NULL is fine. */
void resend_drop(struct netmach *nm, struct resend *k);
/* Forgets the oldest one that was sent, and gives its call. false: none was. */
bool resend_take_sent(struct netmach *nm, struct netmach_call *ret);
/* Sends what is not sent yet, as much as the window takes; without a connection
 * it waits for one. */
void resend_flush(struct netmach *nm);
/* There is a new connection. resumed: the server remembers what was sent, and
 * gets it again; else it is lost. false: the user has freed the net machine. */
bool resend_resume(struct netmach *nm, bool resumed);
/* No connection any more: for how long they are kept is watched from now on. */
void resend_wait(struct netmach *nm);
/* None will come: all are called back. */
void resend_give_up(struct netmach *nm, const char *why);
void resend_on_timer(void *arg);
/* Without callbacks. */
void resend_done(struct netmach *nm);

#endif
