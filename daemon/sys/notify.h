/* notify.h - what systemd is told; does nothing without it. Nothing waits for
 * systemd: what its socket does not take is sent again later. */
#ifndef DAEMON_SYS_NOTIFY_H
#define DAEMON_SYS_NOTIFY_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/super.h"
#include "lib/loop/loop.h"

enum {
	NOTIFY_STATUS_MAX = 400,
	NOTIFY_DUE_MAX = 4,
	NOTIFY_STATUS_MS = 2000, /* between two STATUS= */
};

struct notify {
	struct super *super; /* borrowed; NULL: not started */
	int fd;              /* -1: there is no NOTIFY_SOCKET */
	struct sockaddr_un sa;
	socklen_t sa_len;
	bool ready;                     /* READY=1 was due */
	char status[NOTIFY_STATUS_MAX]; /* as it was sent */
	char due[NOTIFY_DUE_MAX][64];   /* other messages that wait, in order */
	unsigned n_due;
	uint64_t n_refused; /* messages, since the socket took one */
	struct turn_item turn;
	struct am_timer pause; /* runs until the next STATUS= may be sent */
	struct am_timer retry;
	struct am_timer watchdog;
	int64_t watchdog_ms; /* 0: none */
};
#define NOTIFY_INIT ((struct notify){ .fd = -1 })

/* Follows the supervisor: READY=1 when the public socket listens,
 * STATUS= in words when it changes. 0 or -errno. */
int notify_start(struct notify *n, struct super *s);
void notify_stopping(struct notify *n);
void notify_reloading(struct notify *n); /* RELOADING=1, READY=1 */
void notify_done(struct notify *n); /* before the supervisor ends; idempotent */

#endif
