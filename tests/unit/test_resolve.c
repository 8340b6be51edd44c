/* Names of hosts: what is asked for beside the loop, and what a connection makes
 * of it. getaddrinfo() is ours here (--wrap): it answers when it is told to; so
 * is addr_connect(), which may have no IPv6. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>

#include "lib/rpc/addr_resolve.h"
#include "tests/unit/rpc_pair.h"

int __wrap_getaddrinfo(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *list);

enum { ANSWER_MAX = 4 };

int __wrap_addr_connect(const struct addr *to);
int __real_addr_connect(const struct addr *to);

static bool has_ipv6 = true;

int
__wrap_addr_connect(const struct addr *to)
{
	if (!has_ipv6 && to->sa.ss_family == AF_INET6)
		return -EADDRNOTAVAIL;
	return __real_addr_connect(to);
}

/* Set before a name is asked for. */
static struct {
	const char *host;
	const char *ip[ANSWER_MAX + 1];
	int error;
} answer;
static sem_t may_answer, has_answered;

int
__wrap_getaddrinfo(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **ret)
{
	struct addrinfo *list;
	struct sockaddr_in6 *sa;

	ck_assert_str_eq(host, answer.host);
	ck_assert_ptr_null(service);
	ck_assert_int_eq(hints->ai_socktype, SOCK_STREAM);
	(void)sem_wait(&may_answer);
	if (answer.error != 0) {
		(void)sem_post(&has_answered);
		return answer.error;
	}
	list = calloc(ANSWER_MAX, sizeof(*list));
	sa = calloc(ANSWER_MAX, sizeof(*sa));
	for (int n = 0; answer.ip[n] != NULL; n++) {
		struct sockaddr_in *in4 = (struct sockaddr_in *)&sa[n];

		list[n].ai_addr = (struct sockaddr *)&sa[n];
		list[n].ai_next = answer.ip[n + 1] != NULL ? &list[n + 1]
							   : NULL;
		if (inet_pton(AF_INET, answer.ip[n], &in4->sin_addr) == 1) {
			in4->sin_family = AF_INET;
			list[n].ai_addrlen = sizeof(*in4);
		} else {
			ck_assert_int_eq(inet_pton(AF_INET6, answer.ip[n],
					     &sa[n].sin6_addr),
			    1);
			sa[n].sin6_family = AF_INET6;
			list[n].ai_addrlen = sizeof(*sa);
		}
	}
	*ret = list;
	list[0].ai_canonname = (char *)sa; /* to be freed */
	(void)sem_post(&has_answered);
	return 0;
}

void
__wrap_freeaddrinfo(struct addrinfo *list)
{
	free(list->ai_canonname);
	free(list);
}

static uint16_t port;
static struct rpc_policy tcp_policy;

/* A server on TCP beside that of setup(). */
static void
tcp_setup(const char *ip)
{
	char text[64];
	struct am_error err;
	struct addr tcp;
	int fd;

	setup();
	has_ipv6 = true;
	memset(&answer, 0, sizeof(answer));
	ck_assert_int_eq(sem_init(&may_answer, 0, 0), 0);
	ck_assert_int_eq(sem_init(&has_answered, 0, 0), 0);
	(void)snprintf(text, sizeof(text), "%s:0", ip);
	ck_assert_int_eq(addr_parse(text, &tcp, &err), 0);
	fd = addr_listen(&tcp, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(addr_of_fd(fd, &tcp), 0);
	port = tcp.port;
	tcp_policy = policy;
	tcp_policy.up = NULL;
	ck_assert_int_ge(rpc_server_listen(srv, fd, &tcp_policy, &listener), 0);
	a.nm = netmach_new(l, &(struct netmach_conf){ .timeout_ms = 2000 },
	    &ops, &a);
}

static void
connect_to(const char *host)
{
	char text[128];
	struct am_error err;
	struct addr named;

	/* Threads that were given up may still read it. */
	if (answer.host == NULL)
		answer.host = host;
	(void)snprintf(text, sizeof(text), "%s:%u", host, port);
	ck_assert_int_eq(addr_parse(text, &named, &err), 0);
	ck_assert_int_eq(netmach_connect(a.nm, &named), 0);
	ck_assert_int_eq(netmach_phase(a.nm), NETMACH_CONNECTING);
}

static void
tcp_teardown(void)
{
	teardown();
	(void)sem_destroy(&may_answer);
	(void)sem_destroy(&has_answered);
}

START_TEST(the_loop_turns_while_a_name_is_asked_for)
{
	tcp_setup("127.0.0.1");
	answer.ip[0] = "127.0.0.1";
	connect_to("pool.example");
	/* Another connection is made meanwhile, and used. */
	client_up(&b);
	ck_assert_uint_eq(mutate1(&b, AM_ADD, Log, AM_NONE), AM_EXECUTED);
	ck_assert_int_eq(a.n_ready, 0);
	(void)sem_post(&may_answer);
	until(&a.n_ready, 1);
	ck_assert_int_eq(a.n_closed, 0);
	tcp_teardown();
}
END_TEST

START_TEST(all_addresses_are_tried_in_order)
{
	tcp_setup("[::1]");
	/* Nobody listens on the first two, with this port. */
	answer.ip[0] = "127.0.0.1";
	answer.ip[1] = "127.0.0.2";
	answer.ip[2] = "::1";
	connect_to("pool.example");
	(void)sem_post(&may_answer);
	until(&a.n_ready, 1);
	ck_assert_int_eq(a.n_closed, 0);
	/* "localhost" is both without being asked for. */
	a.nm = netmach_free(a.nm);
	a.nm = netmach_new(l, &(struct netmach_conf){ 0 }, &ops, &a);
	a.n_ready = 0;
	connect_to("localhost");
	until(&a.n_ready, 1);
	tcp_teardown();
}
END_TEST

START_TEST(a_host_without_ipv6_hears_why_the_other_failed)
{
	static const char *const hosts[] = { "pool.example", "localhost" };

	tcp_setup("[::1]");
	has_ipv6 = false;
	/* Nobody listens on the first, and of the second there is none. */
	answer.ip[0] = "127.0.0.1";
	answer.ip[1] = "::1";
	(void)sem_post(&may_answer);
	for (int i = 0; i < 2; i++) {
		connect_to(hosts[i]);
		until(&a.n_closed, i + 1);
		ck_assert_int_eq(a.code, -ECONNREFUSED);
		ck_assert_str_eq(a.why, strerror(ECONNREFUSED));
	}
	tcp_teardown();
}
END_TEST

START_TEST(a_name_that_is_none_says_so)
{
	tcp_setup("127.0.0.1");
	answer.error = EAI_NONAME;
	connect_to("nowhere.example");
	(void)sem_post(&may_answer);
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, -EHOSTUNREACH);
	ck_assert_ptr_nonnull(strstr(a.why, "nowhere.example"));
	ck_assert_ptr_nonnull(strstr(a.why, gai_strerror(EAI_NONAME)));
	ck_assert_int_eq(netmach_phase(a.nm), NETMACH_IDLE);
	tcp_teardown();
}
END_TEST

START_TEST(plain_stays_on_loopback_whatever_the_name)
{
	tcp_setup("127.0.0.1");
	answer.ip[0] = "10.0.0.1";
	answer.ip[1] = "2001:db8::1";
	connect_to("evil.example");
	(void)sem_post(&may_answer);
	until(&a.n_closed, 1);
	ck_assert_int_eq(a.code, -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(a.why, "evil.example"));
	ck_assert_ptr_nonnull(strstr(a.why, "TLS"));
	/* Of several those that are allowed. */
	answer.ip[2] = "127.0.0.1";
	connect_to("evil.example");
	(void)sem_post(&may_answer);
	until(&a.n_ready, 1);
	tcp_teardown();
}
END_TEST

START_TEST(the_deadline_bounds_it)
{
	int64_t start = clock_ns();

	tcp_setup("127.0.0.1");
	a.nm = netmach_free(a.nm);
	a.nm = netmach_new(l, &(struct netmach_conf){ .timeout_ms = 50 }, &ops,
	    &a);
	answer.ip[0] = "127.0.0.1";
	connect_to("slow.example");
	until(&a.n_closed, 1);
	ck_assert_int_ge((clock_ns() - start) / NS_PER_MS, 50);
	ck_assert_int_eq(a.code, -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(a.why, "slow.example"));
	/* Its thread answers to nobody. */
	(void)sem_post(&may_answer);
	(void)sem_wait(&has_answered);
	turns(3);
	tcp_teardown();
}
END_TEST

START_TEST(who_gives_up_is_not_called)
{
	tcp_setup("127.0.0.1");
	answer.ip[0] = "127.0.0.1";
	connect_to("pool.example");
	netmach_close(a.nm, "done");
	until(&a.n_closed, 1);
	ck_assert_str_eq(a.why, "closed");
	connect_to("pool.example");
	a.nm = netmach_free(a.nm);
	a.nm = netmach_new(l, &(struct netmach_conf){ 0 }, &ops, &a);
	connect_to("pool.example");
	/* The loop, too, may go before the threads do. */
	teardown();
	for (int i = 0; i < 3; i++)
		(void)sem_post(&may_answer);
	for (int i = 0; i < 3; i++)
		(void)sem_wait(&has_answered);
	(void)sem_destroy(&may_answer);
	(void)sem_destroy(&has_answered);
}
END_TEST

UNIT_MAIN("resolve", the_loop_turns_while_a_name_is_asked_for,
    all_addresses_are_tried_in_order,
    a_host_without_ipv6_hears_why_the_other_failed, a_name_that_is_none_says_so,
    plain_stays_on_loopback_whatever_the_name, the_deadline_bounds_it,
    who_gives_up_is_not_called)
