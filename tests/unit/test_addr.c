#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/rpc/addr.h"
#include "tests/unit/unit.h"

static const char *
round_trip(const char *text)
{
	static char buf[256];
	struct addr a;
	struct am_error err;

	ck_assert_int_eq(addr_parse(text, &a, &err), 0);
	addr_format(&a, buf, sizeof(buf));
	return buf;
}

START_TEST(addresses_are_read_and_written)
{
	ck_assert_str_eq(round_trip("/run/x/sock"), "/run/x/sock");
	ck_assert_str_eq(round_trip("./sock"), "./sock");
	ck_assert_str_eq(round_trip("/odd:80"), "/odd:80");
	ck_assert_str_eq(round_trip("127.0.0.1:4000"), "127.0.0.1:4000");
	ck_assert_str_eq(round_trip("127.9.8.7:0"), "127.9.8.7:0");
	ck_assert_str_eq(round_trip("localhost:65535"), "127.0.0.1:65535");
	ck_assert_str_eq(round_trip("[::1]:4000"), "[::1]:4000");
	ck_assert_str_eq(round_trip("example.org:80"), "example.org:80");
}
END_TEST

START_TEST(anywhere_is_for_tls)
{
	struct am_error err;
	struct addr a;

	ck_assert_int_eq(addr_parse_tls("10.0.0.1:80", &a, &err), 0);
	ck_assert_str_eq(a.host, "10.0.0.1");
	ck_assert_uint_eq(a.port, 80);
	ck_assert(!addr_is_local(&a) && addr_is_tcp(&a) && !addr_is_name(&a));
	ck_assert_int_eq(addr_parse_tls("[2001:db8::1]:80", &a, &err), 0);
	ck_assert_str_eq(a.host, "2001:db8::1");
	ck_assert(!addr_is_local(&a) && !addr_is_any(&a));
	ck_assert_int_eq(addr_parse_tls("[::]:80", &a, &err), 0);
	ck_assert(addr_is_any(&a));
	ck_assert_int_eq(addr_parse_tls("host.example:80", &a, &err), 0);
	/* What is not resolved is nowhere yet. */
	ck_assert(addr_is_name(&a) && addr_is_tcp(&a) && !addr_is_local(&a));
	ck_assert_int_eq(addr_connect(&a), -EAFNOSUPPORT);
}
END_TEST

START_TEST(bad_addresses_are_named)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
		{ "sock", "neither a path" },
		{ "", "neither a path" },
		{ "127.0.0.1:", "port" },
		{ "127.0.0.1:65536", "port" },
		{ "127.0.0.1:-1", "port" },
		{ "127.0.0.1:8o", "port" },
		{ "exa mple.org:80", "IP address" },
		{ "-x.org:80", "IP address" },
		{ "127.0.0:80", "IP address" },
		{ "fe80::1%eth0:80", "IP address" },
		{ ":80", "IP address" },
		{ "10.0.0.1:80", "loopback" },
		{ "0.0.0.0:80", "loopback" },
		{ "[::]:80", "loopback" },
	};
	struct am_error err;
	struct addr a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(addr_parse(cases[i].text, &a, &err), -EINVAL);
		ck_assert_msg(strstr(err.text, cases[i].want) != NULL,
		    "\"%s\": %s", cases[i].text, err.text);
	}
	ck_assert_int_eq(addr_parse("x", &a, NULL), -EINVAL);
}
END_TEST

START_TEST(a_path_fits_or_is_refused)
{
	char path[120];
	struct am_error err;
	struct addr a;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[107] = '\0';
	ck_assert_str_eq(round_trip(path), path);
	path[107] = 'x';
	path[108] = '\0';
	ck_assert_int_eq(addr_parse(path, &a, &err), -ENAMETOOLONG);
	ck_assert_ptr_nonnull(strstr(err.text, "108 bytes"));
}
END_TEST

START_TEST(a_unix_socket_has_its_mode_from_the_start)
{
	char dir[] = "/tmp/test_addr.XXXXXX";
	char path[64];
	struct am_error err;
	struct addr a, bound;
	struct stat st;
	int fd, client;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	ck_assert_int_eq(addr_parse(path, &a, &err), 0);
	ck_assert_int_eq(addr_connect(&a), -ENOENT);
	(void)umask(027);
	fd = addr_listen(&a, 0660);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(umask(0), 027);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	ck_assert_int_eq(addr_listen(&a, 0660), -EADDRINUSE);
	ck_assert_int_eq(addr_of_fd(fd, &bound), 0);
	addr_format(&bound, dir, 4);
	ck_assert_str_eq(dir, "/tm");
	client = addr_connect(&a);
	ck_assert_int_ge(client, 0);
	(void)close(client);
	(void)close(fd);
	ck_assert_int_eq(addr_connect(&a), -ECONNREFUSED);
	(void)unlink(path);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
}
END_TEST

START_TEST(a_tcp_socket_gets_a_port)
{
	struct am_error err;
	struct addr a, bound;
	char text[64];
	int fd, client;

	ck_assert_int_eq(addr_parse("127.0.0.1:0", &a, &err), 0);
	fd = addr_listen(&a, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(addr_of_fd(fd, &bound), 0);
	addr_format(&bound, text, sizeof(text));
	ck_assert_int_eq(strncmp(text, "127.0.0.1:", 10), 0);
	ck_assert_int_ne(atoi(text + 10), 0);
	client = addr_connect(&bound);
	ck_assert_int_ge(client, 0);
	(void)close(client);
	(void)close(fd);
	ck_assert_int_eq(addr_of_fd(fd, &bound), -EBADF);
}
END_TEST

UNIT_MAIN("addr", addresses_are_read_and_written, bad_addresses_are_named,
    a_path_fits_or_is_refused, a_unix_socket_has_its_mode_from_the_start,
    a_tcp_socket_gets_a_port, anywhere_is_for_tls)
