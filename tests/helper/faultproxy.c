/* faultproxy - stands between a client and a server and does them harm.
 *
 *   faultproxy LISTEN TARGET [OPTION...]   each PATH or HOST:PORT; port 0: any
 *   faultproxy --front PATH [OPTION...]    takes the place of a Unix socket that
 *                                          is in use: its name is exchanged, at
 *                                          once, with that of PATH.behind, and
 *                                          given back at the end
 *
 * Prints the address that it listens on when it does. Ends at TERM, INT, or
 * the end of its stdin, and prints one line of counts. Options, N in bytes,
 * N-M: drawn from these by chance, anew for each connection, or each time:
 *
 *   cut=N[-M]        after so many bytes both ends are closed; what was on the
 *                    way is lost
 *   stall=N[-M]/MS   each time after so many bytes nothing goes on for MS; 0:
 *                    for good, as if the link was half open
 *   delay=MS[-MS]    each piece waits so long before it goes on
 *   split=N[-M]      the pieces; without it whatever one read gave. Without a
 *                    delay the kernel may join them again.
 *   cuts=N           no more than so many cuts
 *   seed=N           of the chances; 1
 *   mortal           ends when TARGET refuses a connection, so that it is refused
 *                    here, too, from then on
 *
 * With up: (to the server) or down: before the name a fault goes one way, else
 * both; chance and counts are each way's own: "down:cut=500-4000". */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/amnode.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/rpc/addr.h"

enum {
	UP,
	DOWN,
	WAYS,
	LINKS_MAX = 512,
	FIXED_FDS = 3, /* listener, signals, stdin */
	CHUNK = 65536,
};

/* 0: without this fault. */
struct range {
	uint64_t lo;
	uint64_t hi;
};

struct faults {
	struct range cut;
	struct range stall;
	int64_t stall_ms;
	struct range delay_ms;
	struct range split;
};

/* One direction: what was read from `from` waits for `to`. */
struct way {
	const struct faults *faults;
	int from;
	int to;
	size_t at;
	size_t len;
	uint64_t cut_left;   /* bytes; UINT64_MAX: never */
	uint64_t stall_left; /* likewise */
	int64_t hold_ns;     /* nothing goes on before; 0: now */
	bool is_eof;
	bool is_shut;
	char buf[CHUNK];
};

struct link {
	int client;
	int server;
	bool is_dead;
	struct way way[WAYS];
	TAILQ_ENTRY(link) entry;
};
TAILQ_HEAD(link_list, link);

struct proxy {
	struct addr listen;
	struct addr target;
	char front[4096];  /* the name that was taken; empty: none */
	char behind[4096]; /* where its socket is */
	struct faults faults[WAYS];
	uint64_t random;
	uint64_t cuts_left;
	bool is_mortal;
	bool is_refused; /* by the target */
	int fd;
	int signal_fd;
	struct link_list links;
	size_t n_links;
	struct pollfd poll[FIXED_FDS + 2 * LINKS_MAX];
	/* counts */
	uint64_t connections;
	uint64_t cuts;
	uint64_t stalls;
	uint64_t bytes[WAYS];
};

static _Noreturn void die(int status, const char *fmt, ...) AM_PRINTF(2, 3);

static _Noreturn void
die(int status, const char *fmt, ...)
{
	va_list ap;

	(void)fputs("faultproxy: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(status);
}

/* ---- chance ---- */

/* splitmix64: the same seed, the same draws. */
static uint64_t
draw(struct proxy *p, const struct range *r)
{
	uint64_t z = p->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return r->lo + z % (r->hi - r->lo + 1);
}

static uint64_t
draw_bytes(struct proxy *p, const struct range *r)
{
	return r->hi == 0 ? UINT64_MAX : draw(p, r);
}

/* ---- one direction ---- */

static void
hold_for(struct way *w, int64_t ms)
{
	w->hold_ns = clock_ns() + ms * NS_PER_MS;
}

static void
start_piece(struct proxy *p, struct way *w)
{
	if (w->faults->delay_ms.hi > 0)
		hold_for(w, (int64_t)draw(p, &w->faults->delay_ms));
}

static bool
is_held(const struct way *w, int64_t now_ns)
{
	return w->hold_ns > now_ns;
}

/* After an error of the socket. */
static bool
may_go_on(struct proxy *p)
{
	p->is_refused |= errno == ECONNREFUSED;
	return errno == EAGAIN || errno == EINTR;
}

/* False: the link has to go. */
static bool
way_read(struct proxy *p, struct way *w)
{
	ssize_t n = read(w->from, w->buf, sizeof(w->buf));

	if (n < 0)
		return may_go_on(p);
	if (n == 0) {
		w->is_eof = true;
		return true;
	}
	w->at = 0;
	w->len = (size_t)n;
	start_piece(p, w);
	return true;
}

static size_t
piece_len(struct proxy *p, const struct way *w)
{
	uint64_t n = w->len;

	if (w->faults->split.hi > 0) {
		uint64_t split = draw(p, &w->faults->split);

		n = split < n ? split : n;
	}
	n = w->cut_left < n ? w->cut_left : n;
	return (size_t)(w->stall_left < n ? w->stall_left : n);
}

/* n bytes have passed. False: here is the cut. */
static bool
way_passed(struct proxy *p, struct way *w, size_t n, int i)
{
	p->bytes[i] += n;
	w->at += n;
	w->len -= n;
	if (w->cut_left != UINT64_MAX)
		w->cut_left -= n;
	if (w->stall_left != UINT64_MAX)
		w->stall_left -= n;
	if (w->len > 0)
		start_piece(p, w);
	if (w->stall_left == 0) {
		p->stalls++;
		w->stall_left = draw_bytes(p, &w->faults->stall);
		if (w->faults->stall_ms > 0)
			hold_for(w, w->faults->stall_ms);
		else
			w->hold_ns = INT64_MAX;
	}
	if (w->cut_left > 0)
		return true;
	w->cut_left = UINT64_MAX;
	if (p->cuts_left == 0)
		return true;
	p->cuts_left--;
	p->cuts++;
	return false;
}

static bool
way_write(struct proxy *p, struct way *w, int i)
{
	size_t len = piece_len(p, w);
	ssize_t n = send(w->to, w->buf + w->at, len, MSG_NOSIGNAL);

	if (n < 0)
		return may_go_on(p);
	return way_passed(p, w, (size_t)n, i);
}

/* The end of the stream goes on after all that was before it. */
static void
way_shut(struct way *w, int64_t now_ns)
{
	if (!w->is_eof || w->is_shut || w->len > 0 || is_held(w, now_ns))
		return;
	(void)shutdown(w->to, SHUT_WR);
	w->is_shut = true;
}

/* ---- links ---- */

static void
way_init(struct proxy *p, struct way *w, int i, int from, int to)
{
	w->faults = &p->faults[i];
	w->from = from;
	w->to = to;
	w->cut_left = draw_bytes(p, &w->faults->cut);
	w->stall_left = draw_bytes(p, &w->faults->stall);
}

/* A target that takes nobody: the client is closed, as it would be there. */
static void
link_new(struct proxy *p)
{
	am_cleanup(am_closep) int client = accept4(p->fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	am_cleanup(am_closep) int server = -1;
	struct link *l;
	int on = 1;

	if (client < 0)
		return;
	p->connections++;
	server = addr_connect(&p->target);
	if (server < 0) {
		p->is_refused |= server == -ECONNREFUSED || server == -ENOENT;
		return;
	}
	/* Fails on Unix sockets, which do not need it. */
	(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		die(1, "no memory");
	l->client = am_steal_fd(&client);
	l->server = am_steal_fd(&server);
	way_init(p, &l->way[UP], UP, l->client, l->server);
	way_init(p, &l->way[DOWN], DOWN, l->server, l->client);
	TAILQ_INSERT_TAIL(&p->links, l, entry);
	p->n_links++;
}

static void
link_free(struct proxy *p, struct link *l)
{
	TAILQ_REMOVE(&p->links, l, entry);
	p->n_links--;
	(void)close(l->client);
	(void)close(l->server);
	free(l);
}

/* What each way waits for, of its two fds; and until when. */
static void
link_want(struct link *l, struct pollfd *client, struct pollfd *server,
    int64_t now_ns, int64_t *next_ns)
{
	*client = (struct pollfd){ .fd = l->client };
	*server = (struct pollfd){ .fd = l->server };
	for (int i = 0; i < WAYS; i++) {
		struct way *w = &l->way[i];
		struct pollfd *from = i == UP ? client : server;
		struct pollfd *to = i == UP ? server : client;

		if (is_held(w, now_ns)) {
			if (w->hold_ns < *next_ns)
				*next_ns = w->hold_ns;
		} else if (w->len > 0) {
			to->events |= POLLOUT;
		}
		if (w->len == 0 && !w->is_eof)
			from->events |= POLLIN;
	}
	/* Else an end that has closed would wake us without pause. */
	if (client->events == 0)
		client->fd = -1;
	if (server->events == 0)
		server->fd = -1;
}

static void
link_turn(struct proxy *p, struct link *l, int client, int server)
{
	int64_t now = clock_ns();

	for (int i = 0; i < WAYS && !l->is_dead; i++) {
		struct way *w = &l->way[i];
		int from = i == UP ? client : server;
		int to = i == UP ? server : client;

		if (w->len == 0 && !w->is_eof &&
		    (from & (POLLIN | POLLHUP | POLLERR)) != 0)
			l->is_dead = !way_read(p, w);
		else if (w->len > 0 && !is_held(w, now) && to != 0)
			l->is_dead = !way_write(p, w, i);
		way_shut(w, now);
	}
	if (l->way[UP].is_shut && l->way[DOWN].is_shut)
		l->is_dead = true;
}

/* ---- the loop ---- */

static int
wait_ms(int64_t next_ns)
{
	int64_t left = next_ns - clock_ns();

	if (next_ns == INT64_MAX)
		return -1;
	if (left <= 0)
		return 0;
	return left > INT32_MAX ? INT32_MAX
				: (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

static bool
turn(struct proxy *p)
{
	int64_t now = clock_ns(), next_ns = INT64_MAX;
	struct pollfd *at = p->poll + FIXED_FDS;
	struct link *l, *next;

	p->poll[0] = (struct pollfd){ .fd = p->n_links < LINKS_MAX ? p->fd : -1,
		.events = POLLIN };
	p->poll[1] = (struct pollfd){ .fd = p->signal_fd, .events = POLLIN };
	p->poll[2] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	TAILQ_FOREACH(l, &p->links, entry) {
		link_want(l, &at[0], &at[1], now, &next_ns);
		at += 2;
	}
	if (poll(p->poll, (nfds_t)(at - p->poll), wait_ms(next_ns)) < 0 &&
	    errno != EINTR)
		die(1, "poll: %s", strerror(errno));
	at = p->poll + FIXED_FDS;
	for (l = TAILQ_FIRST(&p->links); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		link_turn(p, l, at[0].revents, at[1].revents);
		at += 2;
		if (l->is_dead)
			link_free(p, l);
	}
	if (p->poll[0].revents != 0)
		link_new(p);
	if (p->is_mortal && p->is_refused)
		return false;
	return p->poll[1].revents == 0 && p->poll[2].revents == 0;
}

/* ---- start and end ---- */

static bool
read_range(const char *text, struct range *ret, const char **ret_end)
{
	char *end;

	ret->lo = ret->hi = strtoull(text, &end, 10);
	if (end == text)
		return false;
	if (*end == '-') {
		text = end + 1;
		ret->hi = strtoull(text, &end, 10);
		if (end == text)
			return false;
	}
	*ret_end = end;
	return ret->lo <= ret->hi && ret->hi < UINT32_MAX;
}

static bool
read_fault(struct faults *f, const char *name, size_t len, const char *value)
{
	const char *end;
	struct range r;

	if (!read_range(value, &r, &end))
		return false;
	if (len == 5 && memcmp(name, "stall", 5) == 0 && *end == '/') {
		f->stall = r;
		if (!read_range(end + 1, &r, &end))
			return false;
		f->stall_ms = (int64_t)r.lo;
		return *end == '\0' && f->stall.lo > 0;
	}
	if (len == 3 && memcmp(name, "cut", 3) == 0)
		f->cut = r;
	else if (len == 5 && memcmp(name, "delay", 5) == 0)
		f->delay_ms = r;
	else if (len == 5 && memcmp(name, "split", 5) == 0)
		f->split = r;
	else
		return false;
	/* A piece of nothing would never end, and 0 is "without". */
	return *end == '\0' && (len == 5 && *name == 'd' ? r.hi : r.lo) > 0;
}

static void
read_option(struct proxy *p, const char *text)
{
	const char *equal = strchr(text, '=');
	bool is_up = strncmp(text, "up:", 3) == 0;
	bool is_down = strncmp(text, "down:", 5) == 0;
	const char *name = text + (is_up ? 3 : is_down ? 5 : 0);
	bool is_good = equal != NULL;

	if (strcmp(text, "mortal") == 0) {
		p->is_mortal = true;
		return;
	}
	if (strncmp(text, "seed=", 5) == 0) {
		p->random = strtoull(equal + 1, NULL, 10);
		return;
	}
	if (strncmp(text, "cuts=", 5) == 0) {
		p->cuts_left = strtoull(equal + 1, NULL, 10);
		return;
	}
	for (int i = 0; i < WAYS && is_good; i++) {
		if (i == UP ? !is_down : !is_up)
			is_good = read_fault(&p->faults[i], name,
			    (size_t)(equal - name), equal + 1);
	}
	if (!is_good)
		die(2, "no such option: %s", text);
}

static void
listen_at(struct proxy *p, const char *text)
{
	struct am_error err;

	if (addr_parse(text, &p->listen, &err) < 0)
		die(2, "%s", err.text);
	p->fd = addr_listen(&p->listen, 0600);
	if (p->fd < 0)
		die(1, "listen on %s: %s", text, strerror(-p->fd));
	if (addr_of_fd(p->fd, &p->listen) < 0)
		die(1, "%s: no address", text);
}

/* The exchange is one step: whoever connects meets the socket or the proxy. */
static void
stand_in_front(struct proxy *p, const char *path)
{
	(void)snprintf(p->front, sizeof(p->front), "%s", path);
	(void)snprintf(p->behind, sizeof(p->behind), "%s.behind", path);
	listen_at(p, p->behind);
	p->target = p->listen;
	if (renameat2(AT_FDCWD, p->front, AT_FDCWD, p->behind,
		RENAME_EXCHANGE) < 0) {
		int r = errno;

		(void)unlink(p->behind);
		die(1, "%s: %s", path, strerror(r));
	}
}

/* The name is given back, unless its owner has removed it meanwhile. */
static void
stop_listening(struct proxy *p)
{
	char path[4096];

	if (p->front[0] != '\0') {
		if (access(p->front, F_OK) < 0 ||
		    rename(p->behind, p->front) < 0)
			(void)unlink(p->behind);
	} else if (p->listen.sa.ss_family == AF_UNIX) {
		addr_format(&p->listen, path, sizeof(path));
		(void)unlink(path);
	}
}

static void
watch_signals(struct proxy *p)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (p->signal_fd < 0)
		die(1, "signalfd: %s", strerror(errno));
}

int
main(int argc, char **argv)
{
	static struct proxy p = { .random = 1, .cuts_left = UINT64_MAX };
	char text[4096];
	struct am_error err;

	if (argc < 3)
		die(2,
		    "usage: faultproxy LISTEN TARGET | --front PATH, "
		    "[up:|down:]cut|stall|delay|split=..., cuts=N, seed=N");
	TAILQ_INIT(&p.links);
	for (int i = 3; i < argc; i++)
		read_option(&p, argv[i]);
	watch_signals(&p);
	if (strcmp(argv[1], "--front") == 0) {
		stand_in_front(&p, argv[2]);
		(void)snprintf(text, sizeof(text), "%s", argv[2]);
	} else {
		if (addr_parse(argv[2], &p.target, &err) < 0)
			die(2, "%s", err.text);
		listen_at(&p, argv[1]);
		addr_format(&p.listen, text, sizeof(text));
	}
	(void)printf("%s\n", text);
	(void)fflush(stdout);
	while (turn(&p))
		;
	stop_listening(&p);
	while (!TAILQ_EMPTY(&p.links))
		link_free(&p, TAILQ_FIRST(&p.links));
	(void)
	    printf("connections %llu cuts %llu stalls %llu up %llu down %llu\n",
		(unsigned long long)p.connections, (unsigned long long)p.cuts,
		(unsigned long long)p.stalls, (unsigned long long)p.bytes[UP],
		(unsigned long long)p.bytes[DOWN]);
	return 0;
}
