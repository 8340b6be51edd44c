/* netmach_up.c - connects a net machine: tries the addresses of a name one
 * after the other, and again while there is time. */
#include "lib/rpc/netmach_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/rpc/addr_resolve.h"

enum {
	RETRY_MS = 20, /* while the backlog of the server is full */
};

/* The code of "code: text" as an enum arpc_error + 1; 0 if there is none. */
static int
code_of(const char *text)
{
	size_t len;

	for (int e = 0; e < ARPC_E__COUNT; e++) {
		len = strlen(arpc_error_name((enum arpc_error)e));
		if (strncmp(text, arpc_error_name((enum arpc_error)e), len) ==
			0 &&
		    text[len] == ':')
			return e + 1;
	}
	return 0;
}

bool
netmach_is_of_a_frame(const char *why)
{
	int code = code_of(why);

	return code == ARPC_E_bad_frame + 1 || code == ARPC_E_too_big + 1 ||
	    code == ARPC_E_too_deep + 1;
}

static int64_t
left_ms(const struct netmach *nm)
{
	return (nm->give_up_ns - clock_ns() + NS_PER_MS - 1) / NS_PER_MS;
}

static int connect_rest(struct netmach *nm, int r);

static void
on_up(struct conn *c, void *arg)
{
	struct netmach *nm = netmach_of(arg);

	nm->phase = NETMACH_HELLO;
	/* So far it had its share of the time; now it has all the rest. */
	if (nm->n_found > 1)
		conn_deadline(c, left_ms(nm), "timeout: no answer to hello");
}

/* Whether only this address failed, so that the next one may work. */
static bool
is_next_worth(const struct netmach *nm, int code)
{
	return nm->phase == NETMACH_CONNECTING && !nm->closing && code != 0 &&
	    code != -EPROTO && code != -EACCES && nm->at + 1 < nm->n_found;
}

static void
on_close(struct conn *c, const char *why, void *arg)
{
	struct netmach *nm = netmach_of(arg);
	int code = -conn_error(c);

	if (code == 0 && nm->phase == NETMACH_HELLO)
		code = code_of(why);
	if (is_next_worth(nm, code)) {
		nm->conn = NULL;
		code = connect_rest(nm, code);
		if (code == 0)
			return;
		why = strerror(-code);
	}
	if (nm->phase == NETMACH_READY && conn_said_bye(c) &&
	    netmach_is_of_a_frame(why) &&
	    !netmach_refused(nm, (enum arpc_error)(code_of(why) - 1),
		strchr(why, ':') + 1))
		return;
	netmach_end(nm, code, why);
}

static const struct conn_ops conn_ops = {
	.on_up = on_up,
	.on_frame = netmach_on_frame,
	.on_close = on_close,
};

const struct addr *
netmach_at(const struct netmach *nm)
{
	return nm->found != NULL ? &nm->found[nm->at] : &nm->addr;
}

/* Starts to connect, or starts the timer that tries again. -errno. */
static int
try_connect(struct netmach *nm)
{
	const struct addr *a = netmach_at(nm);
	size_t n_left = nm->found != NULL ? nm->n_found - nm->at : 1;
	int64_t ms = left_ms(nm) / (int64_t)n_left;
	int fd;

	if (nm->tls == NULL && !addr_is_local(a))
		return -EPROTONOSUPPORT;
	fd = addr_connect(a);
	/* Only a Unix socket does this: the server is alive, but behind. */
	if (fd == -EAGAIN)
		return am_timer_start(&nm->retry, RETRY_MS);
	if (fd < 0)
		return fd;
	nm->conn = conn_new(nm->loop, fd, true, &conn_ops, nm);
	if (nm->conn == NULL)
		return -ENOMEM;
	conn_set_frame_max(nm->conn, nm->take_max);
	conn_set_hard(nm->conn, nm->out_max);
	if (nm->tls != NULL && addr_is_tcp(a) &&
	    conn_tls(nm->conn, nm->tls, a->host) < 0) {
		conn_drop(nm->conn);
		nm->conn = NULL;
		return -ENOMEM;
	}
	nm->hello.sync.mutations = nm->all_mutations || nm->traced;
	nm->hello.has_hash = nm->schema != NULL;
	nm->hello.hash = nm->hash;
	nm->hello.resume_epoch = nm->epoch;
	nm->hello_id = OTHER_IDS + calls_next_id(&nm->others);
	conn_deadline(nm->conn, ms > 0 ? ms : 1, "timeout: no answer to hello");
	/* The hello waits there until it is connected. */
	arpc_put_hello(conn_out(nm->conn), nm->hello_id, &nm->hello);
	return 0;
}

/* A missing route for this address family says nothing about the server. */
static bool
is_of_us(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT || r == -ENETUNREACH;
}

/* Tries the remaining addresses until one does not fail at once. r is why the
 * one before failed. */
static int
connect_rest(struct netmach *nm, int r)
{
	int last;

	while (r < 0 && nm->at + 1 < nm->n_found) {
		nm->at++;
		last = try_connect(nm);
		if (!is_of_us(last))
			r = last;
	}
	return r;
}

static int
connect_some(struct netmach *nm)
{
	return connect_rest(nm, try_connect(nm));
}

/* Keeps the addresses that may be tried. Returns their number. */
static size_t
keep_found(struct netmach *nm, const struct addr *found, size_t n)
{
	free(nm->found);
	nm->n_found = 0;
	nm->at = 0;
	nm->found = calloc(n + 1, sizeof(*nm->found));
	for (size_t i = 0; i < n && nm->found != NULL; i++) {
		if (nm->tls != NULL || addr_is_local(&found[i]))
			nm->found[nm->n_found++] = found[i];
	}
	return nm->n_found;
}

static void
on_found(const struct addr *found, size_t n, const char *why, void *arg)
{
	struct netmach *nm = netmach_of(arg);
	char text[ARPC_TEXT_MAX];
	int r = -EHOSTUNREACH;

	am_timer_stop(&nm->retry);
	if (n == 0) {
		(void)snprintf(text, sizeof(text), "%s", why);
	} else if (keep_found(nm, found, n) == 0) {
		r = -EPROTONOSUPPORT;
		(void)snprintf(text, sizeof(text),
		    "\"%.200s\" is not on loopback, which requires TLS",
		    nm->addr.host);
	} else {
		r = connect_some(nm);
		(void)snprintf(text, sizeof(text), "%s", strerror(-r));
	}
	nm->resolve = resolve_free(nm->resolve);
	if (r < 0)
		netmach_end(nm, r, text);
}

int
netmach_begin(struct netmach *nm)
{
	struct addr both[2] = { nm->addr, nm->addr };
	const struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};

	free(nm->found);
	nm->found = NULL;
	nm->n_found = nm->at = 0;
	if (addr_is_name(&nm->addr)) {
		nm->resolve = resolve_new(nm->loop, &nm->addr, on_found, nm);
		if (nm->resolve == NULL)
			return -errno;
		return am_timer_start(&nm->retry, left_ms(nm));
	}
	if (addr_is_localhost(&nm->addr) &&
	    addr_fill(&both[1], &nm->addr, (const struct sockaddr *)&in6,
		sizeof(in6)) == 0 &&
	    keep_found(nm, both, 2) == 0)
		return -ENOMEM;
	return connect_some(nm);
}

void
netmach_on_retry(void *arg)
{
	struct netmach *nm = netmach_of(arg);
	char text[ARPC_TEXT_MAX];
	bool again = nm->give_up_ns == -1; /* the connection was lost */
	int r;

	if (again)
		nm->give_up_ns = clock_ns() + nm->timeout_ms * NS_PER_MS;
	if (nm->give_up_ns == 0) {
		netmach_end(nm, 0, "closed");
	} else if (nm->resolve != NULL) {
		(void)snprintf(text, sizeof(text),
		    "timeout: cannot resolve \"%.200s\" in time",
		    nm->addr.host);
		netmach_end(nm, -ETIMEDOUT, text);
	} else if (clock_ns() >= nm->give_up_ns) {
		netmach_end(nm, -ETIMEDOUT,
		    "timeout: the backlog of the server is full");
	} else {
		r = again ? netmach_begin(nm) : connect_some(nm);
		if (r < 0)
			netmach_end(nm, r, strerror(-r));
	}
}
