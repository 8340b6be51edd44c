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
	/* Of TCP: as it was written, without brackets. */
	char host[ADDR_HOST_MAX];
	in_port_t port; /* in our order of bytes */
};

/* A text with a '/' is a path, else HOST:PORT; HOST is a number ([v6]), or a name
 * that resolve.h turns into numbers. "localhost" is 127.0.0.1 at once. -EINVAL,
 * -ENAMETOOLONG with a message in err; a number outside loopback is refused. */
int addr_parse(const char *text, struct addr *ret, struct am_error *err);
/* The same for a connection with TLS: anywhere. */
int addr_parse_tls(const char *text, struct addr *ret, struct am_error *err);
/* The socket address sa with host and port of a. -EAFNOSUPPORT: no IP. */
int addr_fill(struct addr *ret, const struct addr *a, const struct sockaddr *sa,
    socklen_t len);
void addr_set_port(struct addr *a, in_port_t port);
bool addr_is_tcp(const struct addr *a);
bool addr_is_name(const struct addr *a);
bool addr_is_localhost(const struct addr *a); /* by name */
/* A Unix socket or loopback; false for what is not resolved. */
bool addr_is_local(const struct addr *a);
bool addr_is_any(const struct addr *a); /* 0.0.0.0, :: */
/* "/run/...", "127.0.0.1:4000" or, of a name, "host:4000" into buf. */
void addr_format(const struct addr *a, char *buf, size_t size);
/* Returns new fd (non-blocking, CLOEXEC) listening on it; a Unix socket is
 * made with this mode from the start (umask around bind). -errno. */
int addr_listen(const struct addr *a, mode_t mode);
/* Returns new fd, connected or being connected (non-blocking). -errno. */
int addr_connect(const struct addr *a);
/* The address that a bound socket got (TCP port 0). */
int addr_of_fd(int fd, struct addr *ret);

#endif
