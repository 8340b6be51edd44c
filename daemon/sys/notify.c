#include "daemon/sys/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

enum { RETRY_MS = 250 };

/* ---- messages ---- */

static bool
send_text(struct notify *n, const char *text)
{
	ssize_t sent;

	do
		sent = sendto(n->fd, text, strlen(text),
		    MSG_DONTWAIT | MSG_NOSIGNAL,
		    (const struct sockaddr *)&n->sa, n->sa_len);
	while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		n->n_refused++;
		return false;
	}
	if (n->n_refused > 0)
		log_warn(
		    "notify: systemd takes messages again refused=%" PRIu64,
		    n->n_refused);
	n->n_refused = 0;
	return true;
}

static void
send_due(struct notify *n)
{
	unsigned sent = 0;

	while (sent < n->n_due && send_text(n, n->due[sent]))
		sent++;
	n->n_due -= sent;
	memmove(n->due, n->due + sent, n->n_due * sizeof(n->due[0]));
	if (n->n_due > 0)
		(void)am_timer_start(&n->retry, RETRY_MS);
}

static void
on_retry(void *arg)
{
	send_due(arg);
}

/* Sends it, now or as soon as it is taken. */
static void
send_surely(struct notify *n, const char *text)
{
	if (n->fd < 0 || n->n_due == NOTIFY_DUE_MAX)
		return;
	(void)snprintf(n->due[n->n_due++], sizeof(n->due[0]), "%s", text);
	send_due(n);
}

/* ---- status ---- */

static void
send_status(struct notify *n)
{
	char status[NOTIFY_STATUS_MAX], text[NOTIFY_STATUS_MAX];
	char message[sizeof("STATUS=") + NOTIFY_STATUS_MAX];

	super_status(n->super, text, sizeof(text));
	/* A newline in it would begin another message. */
	(void)text_show(status, sizeof(status), text, strlen(text));
	if (strcmp(status, n->status) == 0)
		return;
	(void)snprintf(message, sizeof(message), "STATUS=%s", status);
	if (send_text(n, message))
		memcpy(n->status, status, sizeof(status));
	(void)am_timer_start(&n->pause, NOTIFY_STATUS_MS);
}

static bool
pauses(const struct notify *n)
{
	return n->pause.deadline_ns != 0;
}

static void
on_pause_over(void *arg)
{
	send_status(arg);
}

/* ---- the supervisor ---- */

static void
on_turn(void *arg)
{
	struct notify *n = arg;

	if (!pauses(n))
		send_status(n);
	if (!n->ready && super_is(n->super, Sup_PublicRpcReady)) {
		n->ready = true;
		send_surely(n, "READY=1");
	}
}

static void
on_settled(void *arg)
{
	struct notify *n = arg;

	if (!n->ready || !pauses(n))
		loop_at_flush(n->super->loop, &n->turn);
}

static void
on_watchdog(void *arg)
{
	struct notify *n = arg;

	(void)send_text(n, "WATCHDOG=1");
	(void)am_timer_start(&n->watchdog, n->watchdog_ms);
}

/* ---- life ---- */

/* A path, or @ and an abstract name. */
static int
open_socket(struct notify *n, const char *name)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 ||
	    len >= sizeof(n->sa.sun_path)) {
		log_warn("notify: cannot send to NOTIFY_SOCKET %s", name);
		return 0;
	}
	n->sa.sun_family = AF_UNIX;
	memcpy(n->sa.sun_path, name, len + 1);
	n->sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (name[0] == '@')
		n->sa.sun_path[0] = '\0';
	else
		n->sa_len++;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return n->fd < 0 ? -errno : 0;
}

int
notify_start(struct notify *n, struct super *s)
{
	const char *name = getenv("NOTIFY_SOCKET");
	uint64_t usec = 0;
	int r;

	*n = NOTIFY_INIT;
	n->super = s;
	n->turn = (struct turn_item){ .fn = on_turn, .arg = n };
	am_timer_init(&n->pause, s->loop, on_pause_over, n);
	am_timer_init(&n->retry, s->loop, on_retry, n);
	am_timer_init(&n->watchdog, s->loop, on_watchdog, n);
	if (name == NULL)
		return 0;
	r = open_socket(n, name);
	if (r < 0 || n->fd < 0)
		return r;
	if (sd_watchdog_enabled(0, &usec) > 0 && usec > 0) {
		n->watchdog_ms = (int64_t)(usec / 2000);
		(void)am_timer_start(&n->watchdog,
		    n->watchdog_ms > 0 ? n->watchdog_ms : 1);
	}
	s->on_settled = on_settled;
	s->settled_arg = n;
	return 0;
}

void
notify_stopping(struct notify *n)
{
	/* Nothing that waits matters any more. */
	n->n_due = 0;
	send_surely(n, "STOPPING=1");
}

void
notify_reloading(struct notify *n)
{
	char text[64];

	(void)snprintf(text, sizeof(text),
	    "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_ns() / 1000);
	send_surely(n, text);
	send_surely(n, "READY=1");
}

void
notify_done(struct notify *n)
{
	if (n->super == NULL)
		return;
	if (n->fd >= 0) {
		n->super->on_settled = NULL;
		(void)close(n->fd);
	}
	n->fd = -1;
	loop_forget(n->super->loop, &n->turn);
	am_timer_done(&n->pause);
	am_timer_done(&n->retry);
	am_timer_done(&n->watchdog);
	n->super = NULL;
}
