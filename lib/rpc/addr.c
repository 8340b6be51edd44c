#include "lib/rpc/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

static int
parse_path(const char *path, struct addr *ret, struct am_error *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ret->sa;
	size_t len = strlen(path);

	if (len >= sizeof(un->sun_path)) {
		(void)error_set(err,
		    "socket path of %zu bytes is too long (at most %zu): "
		    "%.200s",
		    len, sizeof(un->sun_path) - 1, path);
		return -ENAMETOOLONG;
	}
	*ret = (struct addr){ .len = sizeof(*un) };
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	return 0;
}

static int
parse_port(const char *text, in_port_t *ret)
{
	char *end;
	unsigned long n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*end != '\0' || n > UINT16_MAX)
		return -EINVAL;
	*ret = (in_port_t)n;
	return 0;
}

bool
addr_is_tcp(const struct addr *a)
{
	return a->sa.ss_family != AF_UNIX;
}

bool
addr_is_name(const struct addr *a)
{
	return a->sa.ss_family == AF_UNSPEC;
}

bool
addr_is_local(const struct addr *a)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&a->sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;

	switch (a->sa.ss_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(in4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
	return false;
}

bool
addr_is_any(const struct addr *a)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&a->sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;

	if (a->sa.ss_family == AF_INET)
		return in4->sin_addr.s_addr == INADDR_ANY;
	return a->sa.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

void
addr_set_port(struct addr *a, in_port_t port)
{
	a->port = port;
	if (a->sa.ss_family == AF_INET)
		((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
	else if (a->sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
}

int
addr_fill(struct addr *ret, const struct addr *a, const struct sockaddr *sa,
    socklen_t len)
{
	struct addr found = { .len = len };

	if ((sa->sa_family != AF_INET && sa->sa_family != AF_INET6) ||
	    len > sizeof(found.sa))
		return -EAFNOSUPPORT;
	memcpy(&found.sa, sa, len);
	memcpy(found.host, a->host, sizeof(found.host));
	addr_set_port(&found, a->port);
	*ret = found;
	return 0;
}

static bool
is_host_name(const char *host)
{
	size_t len = strspn(host,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	    "_");

	/* Only digits and dots: a misspelt IP address, not a name. */
	return len > 0 && host[len] == '\0' && host[0] != '-' &&
	    host[0] != '.' && host[strspn(host, "0123456789.")] != '\0';
}

/* ret has the host as text already: parse it as an IP address, or leave the
 * name. */
static int
parse_host(struct addr *ret)
{
	const char *host = ret->host;
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ret->sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->sa;

	/* The same everywhere, whatever a name server says. */
	if (addr_is_localhost(ret))
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		ret->len = sizeof(*in4);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		ret->len = sizeof(*in6);
		return 0;
	}
	return is_host_name(host) ? 0 : -EINVAL;
}

bool
addr_is_localhost(const struct addr *a)
{
	return strcasecmp(a->host, "localhost") == 0;
}

static int
parse_tcp(const char *text, struct addr *ret, struct am_error *err)
{
	struct addr a = { .len = 0 };
	const char *colon = strrchr(text, ':');
	const char *start = text;
	size_t len;
	in_port_t port;

	if (colon == NULL)
		return error_set(err,
		    "address \"%.200s\" is neither a path (with a /) nor "
		    "HOST:PORT",
		    text);
	len = (size_t)(colon - text);
	if (len > 2 && *text == '[' && text[len - 1] == ']') {
		start++;
		len -= 2;
	}
	if (parse_port(colon + 1, &port) < 0)
		return error_set(err,
		    "address \"%.200s\": the port must be a number from 0 to "
		    "65535",
		    text);
	if (len < sizeof(a.host))
		memcpy(a.host, start, len);
	if (len >= sizeof(a.host) || parse_host(&a) < 0)
		return error_set(err,
		    "address \"%.200s\": the host is neither an IP address "
		    "([v6] in brackets) nor a name",
		    text);
	addr_set_port(&a, port);
	*ret = a;
	return 0;
}

int
addr_parse_tls(const char *text, struct addr *ret, struct am_error *err)
{
	if (strchr(text, '/') != NULL)
		return parse_path(text, ret, err);
	return parse_tcp(text, ret, err);
}

int
addr_parse(const char *text, struct addr *ret, struct am_error *err)
{
	struct addr a;
	int r = addr_parse_tls(text, &a, err);

	if (r < 0)
		return r;
	if (!addr_is_name(&a) && !addr_is_local(&a))
		return error_set(err,
		    "address \"%.200s\" is not on loopback, which requires "
		    "TLS; "
		    "use 127.0.0.1, [::1] or a path",
		    text);
	*ret = a;
	return 0;
}

void
addr_format(const struct addr *a, char *buf, size_t size)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&a->sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;
	char host[INET6_ADDRSTRLEN] = "?";

	switch (a->sa.ss_family) {
	case AF_UNIX:
		(void)snprintf(buf, size, "%s", un->sun_path);
		return;
	case AF_INET:
		(void)inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
		(void)snprintf(buf, size, "%s:%u", host, ntohs(in4->sin_port));
		return;
	case AF_INET6:
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		(void)snprintf(buf, size, "[%s]:%u", host,
		    ntohs(in6->sin6_port));
		return;
	}
	(void)snprintf(buf, size, "%s:%u", a->host, a->port);
}

static int
bind_mode(int fd, const struct addr *a, mode_t mode)
{
	mode_t old;
	int r;

	if (a->sa.ss_family != AF_UNIX)
		return bind(fd, (const struct sockaddr *)&a->sa, a->len) < 0
		    ? -errno
		    : 0;
	old = umask(0777 & ~mode);
	r = bind(fd, (const struct sockaddr *)&a->sa, a->len) < 0 ? -errno : 0;
	(void)umask(old);
	return r;
}

int
addr_listen(const struct addr *a, mode_t mode)
{
	am_cleanup(am_closep) int fd = socket(a->sa.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	int r;

	if (fd < 0)
		return -errno;
	if (a->sa.ss_family != AF_UNIX &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	r = bind_mode(fd, a, mode);
	if (r < 0)
		return r;
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	return am_steal_fd(&fd);
}

int
addr_connect(const struct addr *a)
{
	am_cleanup(am_closep) int fd = socket(a->sa.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return am_steal_fd(&fd);
}

int
addr_of_fd(int fd, struct addr *ret)
{
	struct addr a = { .len = sizeof(a.sa) };
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&a.sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a.sa;

	if (getsockname(fd, (struct sockaddr *)&a.sa, &a.len) < 0)
		return -errno;
	if (a.sa.ss_family == AF_INET) {
		(void)inet_ntop(AF_INET, &in4->sin_addr, a.host,
		    sizeof(a.host));
		a.port = ntohs(in4->sin_port);
	} else if (a.sa.ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, a.host,
		    sizeof(a.host));
		a.port = ntohs(in6->sin6_port);
	}
	*ret = a;
	return 0;
}
