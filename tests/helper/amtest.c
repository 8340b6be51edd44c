/* amtest - what the black-box tests need and no shell can do.
 *
 *   amtest COMMAND...          a client on the wire; commands from stdin if
 *                              there are no arguments, one a line:
 *     connect ADDR             PATH or HOST:PORT
 *     hello [token HEX]        the first message
 *     send JSON                as one frame, whatever it is
 *     add STATE [JSON]         a mutation by name, with args; after hello
 *     raw HEX                  bytes
 *     fill N HEX               N times one byte
 *     nest N                   arrays in arrays, N levels
 *     expect TEXT              waits for a frame that has TEXT in its JSON
 *     eof [TEXT]               waits for the peer's close; its reason has TEXT
 *     close
 *   amtest notify SOCK -- CMD  starts CMD, waits for its READY=1, prints its pid
 *   amtest wait-gone PID MS    waits until the process is dead
 *   amtest hold                stays until it is killed, five minutes at most
 *
 * Every wait ends after 5 s (notify: 20 s). Exit: 0, 1 what was expected did not
 * come, 2 usage. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/amnode.h"
#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "proto/mp.h"

enum {
	WAIT_MS = 5000,
	NOTIFY_MS = 20000,
	HOLD_S = 300,
	HELLO_ID = 1,
	FRAMES_MAX = 1024,
	SHOW_MAX = 4000,
};

struct peer {
	int fd;
	bool is_eof;
	bool is_cut; /* the peer takes no more bytes */
	struct am_buf in;
	struct mp_scan scan;
	char *frame[FRAMES_MAX]; /* JSON, in order of arrival */
	size_t n_frames;
	size_t next;          /* the first that no expect has passed */
	struct am_buf schema; /* of the welcome */
	uint32_t last_id;
};

static _Noreturn void die(int status, const char *fmt, ...) AM_PRINTF(2, 3);

static _Noreturn void
die(int status, const char *fmt, ...)
{
	va_list ap;

	(void)fputs("amtest: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(status);
}

static int64_t
deadline_in(int64_t ms)
{
	return clock_ns() + ms * NS_PER_MS;
}

/* False: the deadline is over. */
static bool
wait_for(int fd, short events, int64_t deadline_ns)
{
	for (;;) {
		int64_t left_ms = (deadline_ns - clock_ns()) / NS_PER_MS;
		struct pollfd p = { .fd = fd, .events = events };
		int n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			die(1, "poll: %s", strerror(errno));
		if (left_ms <= 0)
			return false;
	}
}

/* ---- the wire ---- */

static int
connect_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		die(2, "%s: path too long", path);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(1, "connect %s: %s", path, strerror(errno));
	return fd;
}

static int
connect_tcp(const char *text)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST };
	const char *colon = strrchr(text, ':');
	struct addrinfo *ai;
	char host[64];
	int fd;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		die(2, "%s: no PATH or HOST:PORT", text);
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (getaddrinfo(host, colon + 1, &hint, &ai) != 0)
		die(2, "%s: no numeric address", text);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		die(1, "connect %s: %s", text, strerror(errno));
	freeaddrinfo(ai);
	return fd;
}

/* A peer that has closed is found by what is expected next, not here. */
static void
put_bytes(struct peer *p, const void *data, size_t len)
{
	const char *at = data;
	int64_t deadline_ns = deadline_in(WAIT_MS);

	while (len > 0 && !p->is_cut) {
		ssize_t n;

		if (!wait_for(p->fd, POLLOUT, deadline_ns))
			die(1, "send: the peer takes nothing");
		n = send(p->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0) {
			p->is_cut = true;
			return;
		}
		at += n;
		len -= (size_t)n;
	}
}

static void
note_frame(struct peer *p, struct am_val frame)
{
	struct mp c = mp_of(frame);
	struct am_val error, result, schema;
	struct am_buf text = AM_BUF_INIT;
	uint64_t type = 0, id = 0;
	uint32_t n;

	if (p->n_frames == FRAMES_MAX)
		die(1, "over %d frames came", FRAMES_MAX);
	if (mp_get_array(&c, &n) == 0 && n == 4 &&
	    mp_get_uint(&c, 2, &type) == 0 && type == 1 &&
	    mp_get_uint(&c, UINT32_MAX, &id) == 0 && id == HELLO_ID &&
	    mp_get_val(&c, &error) == 0 && mp_get_val(&c, &result) == 0 &&
	    am_get(result, "schema", &schema) == 0)
		am_put_val(&p->schema, schema);
	if (am_json_encode(frame, &text, NULL) < 0)
		buf_puts(&text, "(a frame that is no JSON)");
	p->frame[p->n_frames] = strdup(buf_text(&text));
	if (p->frame[p->n_frames] == NULL)
		die(1, "no memory");
	p->n_frames++;
	am_buf_done(&text);
}

/* Reads once and files the frames. False: the deadline is over, or EOF. */
static bool
read_frames(struct peer *p, int64_t deadline_ns)
{
	char chunk[65536];
	size_t len;
	ssize_t n;

	if (p->is_eof || !wait_for(p->fd, POLLIN, deadline_ns))
		return false;
	n = read(p->fd, chunk, sizeof(chunk));
	if (n <= 0) {
		p->is_eof = true;
		return false;
	}
	buf_append(&p->in, chunk, (size_t)n);
	for (;;) {
		switch (mp_scan(&p->scan, (const uint8_t *)p->in.data,
		    p->in.len, &len)) {
		case MP_SCAN_DONE:
			note_frame(p, (struct am_val){ p->in.data, len });
			buf_consume(&p->in, len);
			break;
		case MP_SCAN_MORE:
			return true;
		case MP_SCAN_BAD:
		case MP_SCAN_DEEP:
		case MP_SCAN_BIG:
			die(1, "the peer sent no MessagePack");
		}
	}
}

static void
show_frames(const struct peer *p)
{
	for (size_t i = 0; i < p->n_frames; i++)
		(void)fprintf(stderr, "amtest: got: %.*s\n", SHOW_MAX,
		    p->frame[i]);
}

/* ---- commands ---- */

static void
do_connect(struct peer *p, char *arg)
{
	if (p->fd >= 0)
		die(2, "connected already");
	p->fd = strchr(arg, '/') != NULL ? connect_unix(arg) : connect_tcp(arg);
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);

	return at == NULL ? -1 : (int)(at - digits);
}

static void
read_hex(const char *hex, struct am_buf *out)
{
	while (*hex != '\0') {
		int hi = hex_digit(hex[0]);
		int lo = hi < 0 ? -1 : hex_digit(hex[1]);

		if (lo < 0)
			die(2, "no hex: %s", hex);
		buf_putc(out, (char)(hi << 4 | lo));
		hex += 2;
		while (*hex == ' ')
			hex++;
	}
}

static void
do_hello(struct peer *p, char *arg)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	am_cleanup(buf_donep) struct am_buf token = AM_BUF_INIT;
	bool has_token = strncmp(arg, "token ", 6) == 0;
	uint64_t id = 0;

	if (*arg != '\0' && !has_token)
		die(2, "hello %s: not \"token HEX\"", arg);
	if (has_token)
		read_hex(arg + 6, &token);
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		die(1, "getrandom: %s", strerror(errno));
	am_put_array(&b, 4);
	am_put_uint(&b, 0);
	am_put_uint(&b, HELLO_ID);
	am_put_str(&b, "hello");
	am_put_array(&b, 1);
	am_put_map(&b, has_token ? 4 : 3);
	am_put_str(&b, "proto");
	am_put_uint(&b, 1);
	am_put_str(&b, "id");
	am_put_uint(&b, id >> 1);
	am_put_str(&b, "name");
	am_put_str(&b, "amtest");
	if (has_token) {
		am_put_str(&b, "token");
		am_put_bin(&b, token.data, token.len);
	}
	put_bytes(p, b.data, b.len);
}

static void
put_json(struct am_buf *b, const char *json)
{
	struct am_error err;

	if (am_json_decode(json, strlen(json), b, &err) < 0)
		die(2, "%s: %s", json, err.text);
}

static void
do_send(struct peer *p, char *arg)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	put_json(&b, arg);
	put_bytes(p, b.data, b.len);
}

/* The id of a state by the welcome's schema. */
static uint32_t
state_id(struct peer *p, const char *name)
{
	int64_t deadline_ns = deadline_in(WAIT_MS);
	struct mp c;
	uint32_t n;

	while (p->schema.len == 0 && read_frames(p, deadline_ns))
		;
	c = mp_of(am_buf_val(&p->schema));
	if (mp_get_array(&c, &n) < 0) {
		show_frames(p);
		die(1, "no schema came, hello first");
	}
	for (uint32_t i = 0; i < n; i++) {
		struct am_val val;
		struct mp row;
		const char *s;
		size_t len;
		uint32_t fields;

		if (mp_get_val(&c, &val) < 0)
			break;
		row = mp_of(val);
		if (mp_get_array(&row, &fields) == 0 &&
		    mp_get_str(&row, &s, &len) == 0 && strlen(name) == len &&
		    memcmp(name, s, len) == 0)
			return i;
	}
	die(2, "no such state: %s", name);
}

static void
do_add(struct peer *p, char *arg)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;
	char *json = arg + strcspn(arg, " ");

	if (*json != '\0')
		*json++ = '\0';
	am_put_array(&b, 4);
	am_put_uint(&b, 0);
	am_put_uint(&b, ++p->last_id);
	am_put_str(&b, "add");
	am_put_array(&b, *json != '\0' ? 2 : 1);
	am_put_array(&b, 1);
	am_put_uint(&b, state_id(p, arg));
	if (*json != '\0')
		put_json(&b, json);
	put_bytes(p, b.data, b.len);
}

static void
do_raw(struct peer *p, char *arg)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	read_hex(arg, &b);
	put_bytes(p, b.data, b.len);
}

static void
do_fill(struct peer *p, char *arg)
{
	am_cleanup(buf_donep) struct am_buf byte = AM_BUF_INIT;
	char chunk[65536];
	char *hex;
	size_t left = strtoul(arg, &hex, 10);

	read_hex(hex + strspn(hex, " "), &byte);
	if (byte.len != 1)
		die(2, "fill %s: not N and one byte", arg);
	memset(chunk, byte.data[0], sizeof(chunk));
	while (left > 0 && !p->is_cut) {
		size_t n = left < sizeof(chunk) ? left : sizeof(chunk);

		put_bytes(p, chunk, n);
		left -= n;
	}
}

static void
do_nest(struct peer *p, char *arg)
{
	am_cleanup(buf_donep) struct am_buf b = AM_BUF_INIT;

	for (unsigned long n = strtoul(arg, NULL, 10); n > 0; n--)
		am_put_array(&b, 1);
	am_put_nil(&b);
	put_bytes(p, b.data, b.len);
}

static void
do_expect(struct peer *p, char *arg)
{
	int64_t deadline_ns = deadline_in(WAIT_MS);

	for (;;) {
		while (p->next < p->n_frames) {
			const char *frame = p->frame[p->next++];

			if (strstr(frame, arg) != NULL) {
				(void)puts(frame);
				return;
			}
		}
		if (!read_frames(p, deadline_ns) && p->next == p->n_frames)
			break;
	}
	show_frames(p);
	die(1, "expect %s: %s", arg, p->is_eof ? "closed" : "did not come");
}

static void
do_eof(struct peer *p, char *arg)
{
	int64_t deadline_ns = deadline_in(WAIT_MS);
	const char *last = "";

	while (read_frames(p, deadline_ns))
		;
	if (p->n_frames > 0)
		last = p->frame[p->n_frames - 1];
	if (p->is_eof && strstr(last, arg) != NULL &&
	    (*arg == '\0' || strstr(last, "\"bye\"") != NULL)) {
		(void)puts(last);
		return;
	}
	show_frames(p);
	die(1, "eof %s: %s", arg,
	    p->is_eof ? "closed for another reason" : "it is not closed");
}

static void
do_close(struct peer *p, char *arg)
{
	(void)arg;
	am_closep(&p->fd);
	for (size_t i = 0; i < p->n_frames; i++)
		free(p->frame[i]);
	am_buf_done(&p->in);
	am_buf_done(&p->schema);
	*p = (struct peer){ .fd = -1 };
}

static const struct {
	const char *name;
	void (*fn)(struct peer *p, char *arg);
} commands[] = {
	{ "connect", do_connect },
	{ "hello", do_hello },
	{ "send", do_send },
	{ "add", do_add },
	{ "raw", do_raw },
	{ "fill", do_fill },
	{ "nest", do_nest },
	{ "expect", do_expect },
	{ "eof", do_eof },
	{ "close", do_close },
};

static void
run_command(struct peer *p, const char *line)
{
	char *copy = strdup(line);
	char *arg;

	if (copy == NULL)
		die(1, "no memory");
	arg = copy + strcspn(copy, " \n");
	if (*arg != '\0')
		*arg++ = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(copy, commands[i].name) != 0)
			continue;
		if (p->fd < 0 && commands[i].fn != do_connect)
			die(2, "%s: connect first", copy);
		if (p->fd < 0)
			mp_scan_init(&p->scan, MP_FRAME_MAX,
			    MP_FRAME_DEPTH_MAX);
		commands[i].fn(p, arg);
		free(copy);
		return;
	}
	die(2, "no such command: %s", copy);
}

static int
run_script(int n, char **command)
{
	struct peer p = { .fd = -1, .last_id = 100 };
	char *line = NULL;
	size_t cap = 0;

	for (int i = 0; i < n; i++)
		run_command(&p, command[i]);
	while (n == 0 && getline(&line, &cap, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		run_command(&p, line);
	}
	free(line);
	do_close(&p, NULL);
	return 0;
}

/* ---- processes ---- */

static int
run_wait_gone(int argc, char **argv)
{
	int64_t deadline_ns;
	int pid, fd;

	if (argc != 2)
		die(2, "wait-gone PID MS");
	pid = atoi(argv[0]);
	if (pid <= 0)
		die(2, "wait-gone: \"%s\" is no pid", argv[0]);
	deadline_ns = deadline_in(strtol(argv[1], NULL, 10));
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && errno == ESRCH)
		return 0;
	if (fd < 0)
		die(1, "process %d: %s", pid, strerror(errno));
	if (!wait_for(fd, POLLIN, deadline_ns))
		die(1, "process %d is still there after %s ms", pid, argv[1]);
	(void)close(fd);
	return 0;
}

static int
run_hold(void)
{
	(void)puts("holding");
	(void)fflush(stdout);
	(void)alarm(HOLD_S);
	(void)pause();
	return 0;
}

static int
listen_notify(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		die(2, "%s: path too long", path);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(1, "%s: %s", path, strerror(errno));
	return fd;
}

/* READY=1, or the end of the process. */
static bool
await_ready(int fd, pid_t pid)
{
	int64_t deadline_ns = deadline_in(NOTIFY_MS);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	char text[4096];

	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			{ .fd = pidfd, .events = POLLIN } };
		int64_t left_ms = (deadline_ns - clock_ns()) / NS_PER_MS;
		ssize_t n;

		if (left_ms <= 0 || poll(p, 2, (int)left_ms) <= 0)
			return false;
		if (p[0].revents == 0)
			return false;
		n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		text[n] = '\0';
		if (strstr(text, "READY=1") != NULL)
			return true;
	}
}

static int
run_notify(int argc, char **argv)
{
	pid_t pid;
	int fd, r;

	if (argc < 3 || strcmp(argv[1], "--") != 0)
		die(2, "notify SOCK -- CMD [ARG...]");
	fd = listen_notify(argv[0]);
	if (setenv("NOTIFY_SOCKET", argv[0], 1) < 0)
		die(1, "no memory");
	r = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
	if (r != 0)
		die(1, "%s: %s", argv[2], strerror(r));
	if (!await_ready(fd, pid)) {
		(void)kill(pid, SIGKILL);
		(void)unlink(argv[0]);
		die(1, "%s: no READY=1 came", argv[2]);
	}
	(void)unlink(argv[0]);
	(void)printf("%d\n", (int)pid);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "notify") == 0)
		return run_notify(argc - 2, argv + 2);
	if (strcmp(mode, "wait-gone") == 0)
		return run_wait_gone(argc - 2, argv + 2);
	if (strcmp(mode, "hold") == 0)
		return run_hold();
	return run_script(argc - 1, argv + 1);
}
