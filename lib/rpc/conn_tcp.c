/* conn_tcp.c - TCP only: socket buffers, and hosts that vanish. */
#include "lib/rpc/conn_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "lib/rpc/addr.h"

void
conn_tcp_up(struct conn *c)
{
	static const int on = 1, bytes = CONN_KERNEL, idle_s = CONN_IDLE_S,
			 ask_s = CONN_ASK_S, times = CONN_ASK_TIMES;
	int fd = c->fd;

	c->is_tcp = true;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(int));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &ask_s, sizeof(int));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(int));
}

/* Keepalive works only while no data is unacknowledged; unacknowledged data is
 * sent again for a quarter of an hour. TCP_USER_TIMEOUT would also end peers
 * that are alive but slow to read. */
void
conn_tcp_wrote(struct conn *c)
{
	if (c->is_tcp && c->ask.deadline_ns == 0)
		(void)am_timer_start(&c->ask, 1000 * CONN_ASK_S);
}

void
conn_tcp_on_ask(void *arg)
{
	struct conn *c = conn_of(arg);
	struct tcp_info info = { .tcpi_unacked = 0 };
	socklen_t len = sizeof(info);

	if (c->phase == CONN_DEAD ||
	    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
	/* Each answer makes both 0, even one that says there is no room. */
	if (info.tcpi_retransmits + info.tcpi_probes >= CONN_REPEATS)
		conn_end_errno(c, ETIMEDOUT);
	else if (info.tcpi_unacked > 0 || conn_backlog(c) > 0)
		conn_tcp_wrote(c);
}

static bool
same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in *b4 = (const struct sockaddr_in *)b;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a->ss_family == AF_INET6 &&
	    IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
}

bool
conn_is_local(const struct conn *c)
{
	struct addr us = { .len = sizeof(us.sa) };
	struct addr them = { .len = sizeof(them.sa) };

	if (c->fd < 0 ||
	    getpeername(c->fd, (struct sockaddr *)&them.sa, &them.len) < 0 ||
	    getsockname(c->fd, (struct sockaddr *)&us.sa, &us.len) < 0)
		return false;
	/* Debian maps the name of a host to 127.0.1.1; connections to that come
	 * from 127.0.0.1. */
	return addr_is_local(&them) || same_host(&us.sa, &them.sa);
}
