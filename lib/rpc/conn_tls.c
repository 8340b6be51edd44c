/* conn_tls.c - TLS for a connection: the handshake, and the replacements for
 * recv() and send(). */
#include "lib/rpc/conn_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rpc/tls.h"
#include "lib/tls/module.h"

struct conn_tls {
	const struct tls_module *module; /* borrowed */
	struct tls_ctx *ctx;             /* borrowed until link is made */
	struct tls_link *link;           /* NULL before and after */
	char *host;                      /* owned; NULL: we are the server */
	bool held;         /* reading paused here until the socket has room */
	char *subject;     /* owned; conn.peer points to it */
	char *common_name; /* likewise */
};

int
conn_tls(struct conn *c, const struct tls *tls, const char *host)
{
	struct conn_tls *t = calloc(1, sizeof(*t));

	assert(c->tls == NULL);
	if (t == NULL)
		return -ENOMEM;
	t->module = tls->module;
	t->ctx = tls->ctx;
	t->host = host != NULL ? strdup(host) : NULL;
	if (host != NULL && t->host == NULL) {
		free(t);
		return -ENOMEM;
	}
	c->tls = t;
	/* An accepted connection is connected already, and its peer starts. */
	if (c->phase == CONN_UP && conn_tls_start(c) < 0)
		return -ENOMEM;
	return 0;
}

int
conn_tls_start(struct conn *c)
{
	struct conn_tls *t = c->tls;

	t->link = t->module->link_new(t->ctx, c->fd, t->host);
	if (t->link == NULL)
		return -ENOMEM;
	if (!c->is_tcp)
		conn_tcp_up(c);
	c->phase = CONN_CONNECTING;
	c->shaking = true;
	return 0;
}

static void
know_peer(struct conn *c)
{
	struct conn_tls *t = c->tls;
	const char *subject = t->module->subject(t->link);
	const char *name = t->module->common_name(t->link);

	t->subject = *subject != '\0' ? strdup(subject) : NULL;
	t->common_name = *name != '\0' ? strdup(name) : NULL;
	c->peer.subject = t->subject;
	c->peer.common_name = t->common_name;
}

/* A TLS error is like an error of connect(); others are a lost connection. */
static void
shake_failed(struct conn *c, int error)
{
	know_peer(c);
	conn_end_errno(c, error);
}

/* Arms one event only: one that is ready but not needed would fire for ever. */
static int
shake_wait(struct conn *c)
{
	if (c->tls->module->wants_write(c->tls->link)) {
		(void)event_del(&c->rd);
		return event_add(&c->wr, NULL);
	}
	return event_add(&c->rd, NULL);
}

void
conn_tls_shake(struct conn *c)
{
	struct conn_tls *t = c->tls;
	int r = t->module->handshake(t->link);

	if (r == -EAGAIN) {
		if (shake_wait(c) < 0)
			conn_end(c, "no memory");
		return;
	}
	if (r < 0) {
		shake_failed(c, -r);
		return;
	}
	c->shaking = false;
	c->phase = CONN_UP;
	know_peer(c);
	if (c->paused > 0)
		(void)event_del(&c->rd);
	else if (event_add(&c->rd, NULL) < 0) {
		conn_end(c, "no memory");
		return;
	}
	/* Output put meanwhile goes out now. */
	loop_at_flush(c->loop, &c->turn);
	if (c->ops->on_up != NULL)
		c->ops->on_up(c, c->arg);
}

/* Like recv(): -1 with errno, 0 at the end. */
ssize_t
conn_tls_recv(struct conn *c, void *p, size_t len)
{
	struct conn_tls *t = c->tls;
	ssize_t n = t->module->recv(t->link, p, len);

	if (n >= 0)
		return n;
	/* A key update must be written first. Until then stop reading, or the
	 * input in the socket would wake us for ever. */
	if (n == -EAGAIN && t->module->wants_write(t->link) && !t->held) {
		t->held = true;
		conn_pause(c);
		c->blocked = true;
		if (event_add(&c->wr, NULL) < 0)
			n = -ENOMEM;
	}
	errno = (int)-n;
	return -1;
}

ssize_t
conn_tls_send(struct conn *c, const void *p, size_t len)
{
	ssize_t n = c->tls->module->send(c->tls->link, p, len);

	if (n >= 0)
		return n;
	errno = (int)-n;
	return -1;
}

void
conn_tls_writable(struct conn *c)
{
	struct conn_tls *t = c->tls;

	if (c->shaking) {
		conn_tls_shake(c);
	} else if (t->held) {
		t->held = false;
		conn_resume(c);
	}
}

bool
conn_tls_pending(const struct conn *c)
{
	return c->tls->link != NULL && c->tls->module->pending(c->tls->link);
}

const char *
conn_tls_error(const struct conn *c)
{
	return c->tls->module->error(c->tls->link);
}

void
conn_tls_close(struct conn *c)
{
	struct conn_tls *t = c->tls;

	if (t->link != NULL)
		t->module->link_free(t->link);
	t->link = NULL;
}

void
conn_tls_free(struct conn_tls *t)
{
	if (t == NULL)
		return;
	free(t->host);
	free(t->subject);
	free(t->common_name);
	free(t);
}
