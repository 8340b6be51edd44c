/* addr.h - addresses as people write them: /path/sock, HOST:PORT. */
#ifndef LIB_RPC_ADDR_H
#define LIB_RPC_ADDR_H

#include <sys/socket.h>
#include <sys/types.h>

#include "lib/amnode.h"

struct addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* A text with a '/' is a path, else HOST:PORT with a numeric host or
 * "localhost" ([v6]:port). -EINVAL, -ENAMETOOLONG with a message in err; TCP
 * outside loopback is refused. */
int addr_parse(const char *text, struct addr *ret, struct am_error *err);
/* "/run/..." or "127.0.0.1:4000" into buf. */
void addr_format(const struct addr *a, char *buf, size_t size);
/* Returns new fd (non-blocking, CLOEXEC) listening on it; a Unix socket is
 * made with this mode from the start (umask around bind). -errno. */
int addr_listen(const struct addr *a, mode_t mode);
/* Returns new fd, connected or being connected (non-blocking). -errno. */
int addr_connect(const struct addr *a);
/* The address that a bound socket got (TCP port 0). */
int addr_of_fd(int fd, struct addr *ret);

#endif
