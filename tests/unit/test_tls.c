/* Connections that speak TLS: the handshake in any pieces, what follows it, and
 * what is refused. The certificates are made here, by openssl. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/rpc/conn.h"
#include "lib/rpc/tls.h"
#include "tests/unit/unit.h"

/* One end, and what it saw. */
struct end {
	struct conn *c;
	int fd; /* of the wire to it */
	int n_up;
	int n_frames;
	int n_rooms;
	size_t bytes; /* of the last frame's params */
	int error;
	char why[ARPC_TEXT_MAX];
	char subject[128];
};

static char dir[] = "/tmp/test_tls.XXXXXX";
static struct am_loop *l;
static struct end srv, cli;
static size_t n_moved[2]; /* bytes on the wire: by the server, by the client */

/* ---- ends ---- */

static void
on_up(struct conn *c, void *arg)
{
	struct end *e = arg;
	const struct conn_peer *peer = conn_peer(c);

	e->n_up++;
	conn_deadline(c, 0, "");
	ck_assert_int_eq(conn_phase(c), CONN_UP);
	ck_assert_ptr_nonnull(peer->subject);
	(void)snprintf(e->subject, sizeof(e->subject), "%s", peer->subject);
}

static void
on_frame(struct conn *c, const struct arpc_frame *f, void *arg)
{
	struct end *e = arg;

	(void)c;
	e->n_frames++;
	e->bytes = f->params.len;
}

static void
on_room(struct conn *c, void *arg)
{
	(void)c;
	((struct end *)arg)->n_rooms++;
}

static void
on_close(struct conn *c, const char *why, void *arg)
{
	struct end *e = arg;
	const struct conn_peer *peer = conn_peer(c);

	e->error = conn_error(c);
	(void)snprintf(e->why, sizeof(e->why), "%s", why);
	if (peer->subject != NULL)
		(void)snprintf(e->subject, sizeof(e->subject), "%s",
		    peer->subject);
	e->c = NULL;
}

static const struct conn_ops ops = {
	.on_up = on_up,
	.on_frame = on_frame,
	.on_room = on_room,
	.on_close = on_close,
};

static void
end_open(struct end *e, struct tls *tls, const char *host)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     fd),
	    0);
	*e = (struct end){ .fd = fd[1] };
	e->c = conn_new(l, fd[0], host != NULL, &ops, e);
	ck_assert_ptr_nonnull(e->c);
	ck_assert_int_eq(conn_tls(e->c, tls, host), 0);
	conn_deadline(e->c, 5000, "late");
}

static void
end_close(struct end *e)
{
	if (e->c != NULL)
		conn_drop(e->c);
	e->c = NULL;
	if (e->fd >= 0)
		(void)close(e->fd);
	e->fd = -1;
}

static struct tls *
tls_of(const char *name, const char *ca)
{
	char path[TLS_N_PARTS][64];
	struct tls_source source[TLS_N_PARTS];
	struct am_error err;
	struct tls *tls;

	(void)snprintf(path[TLS_CERT], 64, "%s/%s.crt", dir, name);
	(void)snprintf(path[TLS_KEY], 64, "%s/%s.key", dir, name);
	(void)snprintf(path[TLS_CA], 64, "%s/%s.crt", dir, ca);
	for (int i = 0; i < TLS_N_PARTS; i++)
		source[i] = (struct tls_source){ path[i], -1 };
	tls = tls_new(source, &err);
	ck_assert_msg(tls != NULL, "%s", err.text);
	return tls;
}

/* The contexts may go at once: connections keep what they need. */
static void
both_open(const char *server, const char *client, const char *host)
{
	struct tls *s = tls_of(server, "ca"), *c = tls_of(client, "ca");

	l = am_loop_new();
	n_moved[0] = n_moved[1] = 0;
	end_open(&srv, s, NULL);
	end_open(&cli, c, host);
	(void)am_loop_step(l, 0); /* the client's handshake begins */
	tls_free(s);
	tls_free(c);
}

static void
both_close(void)
{
	end_close(&srv);
	end_close(&cli);
	l = am_loop_free(l);
}

/* ---- the wire between them ---- */

/* What the other side has no room for stays where it is. */
static size_t
move(const struct end *from, const struct end *to, size_t max, size_t *count)
{
	static char buf[65536];
	ssize_t n = recv(from->fd, buf, max < sizeof(buf) ? max : sizeof(buf),
	    MSG_PEEK);

	if (n > 0)
		n = send(to->fd, buf, (size_t)n, MSG_NOSIGNAL);
	if (n <= 0)
		return 0;
	ck_assert_int_eq(recv(from->fd, buf, (size_t)n, 0), n);
	*count += (size_t)n;
	return (size_t)n;
}

/* Carries at most max bytes at a time, until nothing has moved for as many turns as
 * it takes to empty a full socket. */
static void
carry(size_t max)
{
	int idle = 0;

	while (idle < 50) {
		size_t n = move(&srv, &cli, max, &n_moved[0]) +
		    move(&cli, &srv, max, &n_moved[1]);

		(void)am_loop_step(l, 0);
		idle = n > 0 ? 0 : idle + 1;
	}
}

static void
put_frame(struct conn *c, uint32_t id, size_t len)
{
	static const char zeros[8 * 1024 * 1024];

	arpc_put_request(conn_out(c), id, ARPC_sync);
	am_put_array(conn_out(c), 1);
	am_put_bin(conn_out(c), zeros, len);
}

/* ---- tests ---- */

START_TEST(each_byte_may_come_alone)
{
	both_open("server", "alice", "localhost");
	put_frame(cli.c, 1, 3); /* waits for the handshake */
	carry(1);
	ck_assert_int_eq(srv.n_up, 1);
	ck_assert_int_eq(cli.n_up, 1);
	ck_assert_int_eq(srv.n_frames, 1);
	ck_assert_str_eq(srv.subject, "CN=alice,O=Example");
	ck_assert_str_eq(conn_peer(srv.c)->common_name, "alice");
	ck_assert_str_eq(cli.subject, "CN=server");
	put_frame(srv.c, 2, 40000);
	carry(1);
	ck_assert_int_eq(cli.n_frames, 1);
	ck_assert_uint_gt(cli.bytes, 40000);
	both_close();
}
END_TEST

START_TEST(it_may_be_cut_anywhere)
{
	size_t total;

	both_open("server", "alice", "127.0.0.1");
	carry(SIZE_MAX);
	ck_assert_int_eq(srv.n_up, 1);
	total = n_moved[0] + n_moved[1];
	both_close();
	/* A turn moves up to 31 bytes each way; so many, then the end. */
	for (size_t cut = 0; cut < total; cut += 61) {
		both_open("server", "alice", "127.0.0.1");
		while (n_moved[0] + n_moved[1] < cut &&
		    move(&srv, &cli, 31, &n_moved[0]) +
			    move(&cli, &srv, 31, &n_moved[1]) >
			0)
			(void)am_loop_step(l, 0);
		(void)close(srv.fd);
		(void)close(cli.fd);
		srv.fd = cli.fd = -1;
		for (int i = 0; i < 20 && (srv.c != NULL || cli.c != NULL); i++)
			(void)am_loop_step(l, 10);
		ck_assert_str_eq(srv.why, "eof");
		ck_assert_str_eq(cli.why, "eof");
		both_close();
	}
}
END_TEST

START_TEST(much_goes_through_in_both_directions)
{
	enum { LEN = 8 * 1024 * 1024 };

	both_open("server", "alice", "localhost");
	carry(SIZE_MAX);
	for (uint32_t i = 0; i < 3; i++) {
		put_frame(srv.c, i + 1, LEN);
		put_frame(cli.c, i + 1, LEN);
	}
	carry(SIZE_MAX);
	ck_assert_str_eq(srv.why, "");
	ck_assert_str_eq(cli.why, "");
	ck_assert_int_eq(srv.n_frames, 3);
	ck_assert_int_eq(cli.n_frames, 3);
	ck_assert_uint_gt(cli.bytes, LEN);
	ck_assert_int_gt(cli.n_rooms, 0);
	both_close();
}
END_TEST

START_TEST(who_pauses_gets_nothing_and_then_all)
{
	int before;

	both_open("server", "alice", "localhost");
	carry(SIZE_MAX);
	for (uint32_t i = 0; i < 100; i++)
		put_frame(cli.c, i + 1, 5000);
	conn_pause(srv.c);
	carry(SIZE_MAX);
	ck_assert_str_eq(srv.why, "");
	ck_assert_str_eq(cli.why, "");
	ck_assert_int_eq(srv.n_frames, 0);
	conn_resume(srv.c);
	carry(700);
	ck_assert_int_eq(srv.n_frames, 100);
	/* In the midst of what was read already. */
	for (uint32_t i = 0; i < 100; i++)
		put_frame(cli.c, i + 1, 3);
	(void)am_loop_step(l, 0);
	(void)move(&cli, &srv, SIZE_MAX, &n_moved[1]);
	before = srv.n_frames;
	conn_pause(srv.c);
	carry(SIZE_MAX);
	ck_assert_int_eq(srv.n_frames, before);
	conn_resume(srv.c);
	carry(SIZE_MAX);
	ck_assert_int_eq(srv.n_frames, 200);
	both_close();
}
END_TEST

START_TEST(the_end_is_heard_with_its_reason)
{
	both_open("server", "alice", "localhost");
	carry(SIZE_MAX);
	conn_close(srv.c, "enough");
	carry(SIZE_MAX);
	ck_assert_str_eq(srv.why, "enough");
	ck_assert_str_eq(cli.why, "enough");
	both_close();
	/* Without a bye it is close_notify, which is no error. */
	both_open("server", "alice", "localhost");
	carry(SIZE_MAX);
	conn_drop(cli.c);
	cli.c = NULL;
	carry(SIZE_MAX);
	ck_assert_str_eq(srv.why, "eof");
	ck_assert_int_eq(srv.error, 0);
	both_close();
}
END_TEST

/* Both sides say what was wrong. */
static void
refused(const char *server, const char *client, const char *host,
    const char *srv_why, const char *cli_why)
{
	both_open(server, client, host);
	put_frame(cli.c, 1, 3);
	carry(SIZE_MAX);
	ck_assert_msg(strstr(srv.why, srv_why) != NULL, "server: %s", srv.why);
	ck_assert_msg(strstr(cli.why, cli_why) != NULL, "client: %s", cli.why);
	ck_assert_int_eq(srv.n_frames, 0);
}

START_TEST(certificates_have_to_be_good)
{
	refused("server", "late", "localhost", "certificate has expired",
	    "server refused our certificate: certificate expired");
	ck_assert_int_eq(srv.error, EPROTO);
	ck_assert_int_eq(cli.error, EACCES);
	ck_assert_str_eq(srv.subject, "CN=late");
	both_close();
	refused("server", "stranger", "localhost", "issuer certificate",
	    "server refused our certificate: unknown CA");
	ck_assert_str_eq(srv.subject, "CN=stranger");
	both_close();
	refused("server", "alice", "example.org", "client refused our",
	    "hostname mismatch");
	ck_assert_int_eq(cli.error, EPROTO);
	both_close();
	refused("server", "alice", "127.0.0.2", "client refused our",
	    "IP address mismatch");
	both_close();
	/* Its subject is no name of it. */
	refused("server", "alice", "server", "client refused our",
	    "hostname mismatch");
	both_close();
	refused("late", "alice", "localhost", "client refused our",
	    "certificate has expired");
	both_close();
	refused("stranger", "alice", "localhost", "client refused our",
	    "issuer certificate");
	both_close();
}
END_TEST

START_TEST(plain_and_tls_are_told_apart)
{
	static const char plain[] = "\x94\x00\xce\x00\x01\x00\x01\xa5hello";

	both_open("server", "alice", "localhost");
	ck_assert_int_gt(send(srv.fd, plain, sizeof(plain), MSG_NOSIGNAL), 0);
	ck_assert_int_gt(send(cli.fd, plain, sizeof(plain), MSG_NOSIGNAL), 0);
	for (int i = 0; i < 10; i++)
		(void)am_loop_step(l, 0);
	ck_assert_ptr_nonnull(strstr(srv.why, "does not speak TLS 1.3"));
	ck_assert_ptr_nonnull(strstr(cli.why, "does not speak TLS 1.3"));
	both_close();
}
END_TEST

START_TEST(who_is_silent_is_closed_in_time)
{
	int64_t start = clock_ns();

	both_open("server", "alice", "localhost");
	conn_deadline(srv.c, 50, "late");
	conn_deadline(cli.c, 50, "late");
	while ((srv.c != NULL || cli.c != NULL) &&
	    clock_ns() - start < 5000 * NS_PER_MS)
		(void)am_loop_step(l, 100);
	ck_assert_str_eq(srv.why, "late");
	ck_assert_str_eq(cli.why, "late");
	ck_assert_int_eq(srv.error, ETIMEDOUT);
	both_close();
}
END_TEST

START_TEST(an_error_names_the_file)
{
	static const struct {
		const char *cert, *key, *ca, *want;
	} cases[] = {
		{ "server.crt", "server.key", "none.crt", "none.crt: No such" },
		{ "server.crt", "alice.key", "ca.crt",
		    "alice.key: does not match" },
		{ "server.crt", "server.crt", "ca.crt", "server.crt: has no" },
		{ "server.key", "server.key", "ca.crt", "no valid PEM cert" },
		{ "server.crt", "secret.key", "ca.crt", "without a password" },
		{ "server.crt", "server.key", "server.key", "of a CA" },
		{ "server.crt", "server.key", ".", "not a regular file" },
		{ "garbled.crt", "server.key", "ca.crt", "garbled.crt: has" },
	};
	struct am_error err;
	char path[3][64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct tls_source source[TLS_N_PARTS] = {
			[TLS_CERT] = { path[0], -1 },
			[TLS_KEY] = { path[1], -1 },
			[TLS_CA] = { path[2], -1 },
		};

		(void)snprintf(path[0], 64, "%s/%s", dir, cases[i].cert);
		(void)snprintf(path[1], 64, "%s/%s", dir, cases[i].key);
		(void)snprintf(path[2], 64, "%s/%s", dir, cases[i].ca);
		ck_assert_ptr_null(tls_new(source, &err));
		ck_assert_msg(strstr(err.text, cases[i].want) != NULL, "%s",
		    err.text);
	}
	ck_assert_int_eq(setenv("AMNODE_TLS_MODULE", "/none.so", 1), 0);
	ck_assert_ptr_null(
	    tls_new((const struct tls_source[TLS_N_PARTS]){ { "a", -1 },
			{ "b", -1 }, { "c", -1 } },
		&err));
	ck_assert_ptr_nonnull(strstr(err.text, "/none.so"));
	ck_assert_ptr_nonnull(strstr(err.text, "AMNODE_TLS_MODULE"));
}
END_TEST

/* ---- certificates ---- */

static const char script[] =
    "cd \"$1\"; new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
    "for ca in ca other; do\n"
    "  openssl req -x509 $new -days 2 -subj /CN=$ca -keyout $ca.key "
    "-out $ca.crt\n"
    "done\n"
    "leaf() {\n"
    "  echo subjectAltName=DNS:localhost,IP:127.0.0.1 >ext\n"
    "  openssl req -new $new -subj \"$3\" -keyout $1.key -out csr\n"
    "  openssl x509 -req -in csr -CA $2.crt -CAkey $2.key -CAcreateserial "
    "-days $4 -extfile ext -out $1.crt\n"
    "}\n"
    "leaf server ca /CN=server 2\n"
    "leaf alice ca /O=Example/CN=alice 2\n"
    "leaf late ca /CN=late -1\n"
    "leaf stranger other /CN=stranger 2\n"
    "openssl ec -in server.key -aes128 -passout pass:x -out secret.key\n"
    "sed '/BEGIN/,/END/s/^M/!/' server.crt >bad.crt\n"
    "cat server.crt bad.crt >garbled.crt\n";

/* Once, for all tests. */
static int
make_certs(void)
{
	char path[64], command[256], module[4096];
	const char *build = getenv("BUILD");
	FILE *f;

	/* make has set it. */
	(void)snprintf(module, sizeof(module), "%s/amnode-tls.so",
	    build != NULL ? build : "build");
	(void)setenv("AMNODE_TLS_MODULE", module, 0);
	if (mkdtemp(dir) == NULL)
		return -errno;
	(void)snprintf(path, sizeof(path), "%s/make.sh", dir);
	f = fopen(path, "we");
	if (f == NULL || fputs(script, f) < 0 || fclose(f) != 0)
		return -EIO;
	(void)snprintf(command, sizeof(command),
	    "sh -eu %s %s >%s/log 2>&1 || { cat %s/log >&2; exit 1; }", path,
	    dir, dir, dir);
	return system(command) == 0 ? 0 : -ENOEXEC;
}

static void
remove_certs(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		(void)fprintf(stderr, "%s is left\n", dir);
}

int
main(void)
{
	const TTest *const tests[] = {
		each_byte_may_come_alone,
		it_may_be_cut_anywhere,
		much_goes_through_in_both_directions,
		who_pauses_gets_nothing_and_then_all,
		the_end_is_heard_with_its_reason,
		certificates_have_to_be_good,
		plain_and_tls_are_told_apart,
		who_is_silent_is_closed_in_time,
		an_error_names_the_file,
	};
	int r = make_certs();

	if (r == 0)
		r = unit_run("tls", tests, sizeof(tests) / sizeof(tests[0]));
	else
		(void)printf("Bail out! no certificates: %s\n", strerror(-r));
	remove_certs();
	return r;
}
