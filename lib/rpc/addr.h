/* addr.h - addresses as people write them: /path/sock, HOST:PORT. */
#ifndef LIB_RPC_ADDR_H
#define LIB_RPC_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "lib/amnode.h"

enum { ADDR_HOST_MAX = 240 };

struct addr {
	struct sockaddr_storage sa; /* AF_UNSPEC: a name, not resolved yet */
	socklen_t len;
	/* TCP only: as it was written, without brackets. */
	char host[ADDR_HOST_MAX];
	in_port_t port; /* in host byte order */
};

/* Parses an address. A text with a '/' is a path, any other HOST:PORT, where
 * HOST is an IP address (v6 in brackets) or a name for addr_resolve.h.
 * "localhost" is 127.0.0.1 at once. An IP address outside loopback is refused.
 * -EINVAL or -ENAMETOOLONG with a message in err. */
int addr_parse(const char *text, struct addr *ret, struct am_error *err);
/* The same for a connection with TLS, to any host. */
int addr_parse_tls(const char *text, struct addr *ret, struct am_error *err);
/* Fills in the socket address sa, which is one of the name in a. -EAFNOSUPPORT:
 * it is not IP. */
int addr_fill(struct addr *ret, const struct addr *a, const struct sockaddr *sa,
    socklen_t len);
void addr_set_port(struct addr *a, in_port_t port);
bool addr_is_tcp(const struct addr *a);
bool addr_is_name(const struct addr *a);
bool addr_is_localhost(const struct addr *a); /* by name */
/* Whether it is a Unix socket or loopback; false for unresolved names. */
bool addr_is_local(const struct addr *a);
bool addr_is_any(const struct addr *a); /* 0.0.0.0, :: */
/* Writes "/run/...", "127.0.0.1:4000", or for a name "host:4000". */
void addr_format(const struct addr *a, char *buf, size_t size);
/* Returns a new fd (non-blocking, CLOEXEC) that listens on it, or -errno. A
 * Unix socket has this mode from the start (umask around bind). */
int addr_listen(const struct addr *a, mode_t mode);
/* Returns a new fd, connected or connecting (non-blocking), or -errno. */
int addr_connect(const struct addr *a);
/* Reads the address of a bound socket, for TCP port 0. */
int addr_of_fd(int fd, struct addr *ret);

#endif
