/* resend.h - mutations of a net machine that outlive its connection: they are
 * sent again with their ids, or wait for a connection. */
#ifndef LIB_RPC_RESEND_H
#define LIB_RPC_RESEND_H

#include <sys/queue.h>

#include "proto/arpc.h"

struct netmach;
struct netmach_call;

enum {
	/* Unanswered at once; fewer than a server remembers, so that none is
	 * forgotten when it is sent again. */
	RESEND_WINDOW = 1000,
	RESEND_BYTES_MAX = 64 * 1024 * 1024,
};

struct resend {
	TAILQ_ENTRY(resend) link; /* in order of ids */
	uint32_t id;
	enum arpc_method method;
	bool sent;           /* it may have arrived */
	bool is_over;        /* it is in the list `over` */
	int64_t kept_ns;     /* since when */
	int64_t deadline_ns; /* -1: none */
	size_t len;
	uint8_t params[]; /* [states, args], without the array's head */
};
TAILQ_HEAD(resend_list, resend);

/* Keeps one mutation. The caller sets its id and calls resend_flush(). -ENOMEM;
 * -ENOBUFS: too much is kept. */
int resend_put(struct netmach *nm, enum arpc_method method, const am_id *states,
    size_t n, struct am_val args, int64_t deadline_ms, struct resend **ret);
/* It was answered. NULL is allowed. */
void resend_drop(struct netmach *nm, struct resend *k);
/* Forgets the oldest one that was sent, and returns its call. false: none
 * was. */
bool resend_take_sent(struct netmach *nm, struct netmach_call *ret);
/* Sends as many as the window allows; without a connection they wait for
 * one. */
void resend_flush(struct netmach *nm);
/* There is a new connection. If resumed, the server remembers, and what was
 * sent is sent again; otherwise it is lost. false: the user has freed the net
 * machine. */
bool resend_resume(struct netmach *nm, bool resumed);
/* The connection is lost: starts the timers for how long they are kept. */
void resend_wait(struct netmach *nm);
/* There will be no connection: calls back all of them. */
void resend_give_up(struct netmach *nm, const char *why);
void resend_on_timer(void *arg);
/* Frees all, without callbacks. */
void resend_done(struct netmach *nm);

#endif
