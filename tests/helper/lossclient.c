/* lossclient - sends numbered requests through whatever lies between, and
 * counts how each of them ended.
 *
 *   lossclient SOCKET NAME COUNT WINDOW
 *
 * Leases a worker and sends it {"client": NAME, "n": 1 .. COUNT}, WINDOW at a
 * time, each number in one request: what has ended as unknown is not sent again.
 * With AMCTL_TLS_CERT, AMCTL_TLS_KEY and AMCTL_TLS_CA, TCP is by TLS.
 * When the lease is lost, another one is asked for. Prints one line of JSON;
 * exit 0 iff every request ended exactly once and every answer was its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/amnode.h"

enum {
	RETRY_MS = 5,
	LEASE_MS = 20000,
	REQUEST_MS = 60000,
	TOTAL_MS = 500000,
	WINDOW_MAX = 64,
	COUNT_MAX = 1000000,
};

/* A request whose end has not come. */
struct slot {
	uint64_t req; /* 0: free */
	uint32_t n;
};

struct app {
	struct am_loop *loop;
	struct am_client *client;
	const char *name;
	uint32_t count;
	uint32_t window;
	uint32_t sent;
	uint32_t leases;
	uint32_t open;
	bool is_leased;
	bool is_wanted; /* a lease was asked for */
	bool is_over;   /* released, or out of time */
	struct slot slot[WINDOW_MAX];
	uint8_t *end; /* by n: enum am_status + 1; 0: none */
	uint32_t ends[AM_STATUS_CANCELED + 1];
	uint32_t twice; /* ends of what had ended, or was never sent */
	uint32_t wrong; /* answers to another question */
	char last_lost[128];
	struct am_timer retry;
	struct am_timer total;
};

static struct slot *
slot_of(struct app *a, uint64_t req)
{
	for (uint32_t i = 0; i < a->window; i++) {
		if (a->slot[i].req == req)
			return &a->slot[i];
	}
	return NULL;
}

static int
ask(struct app *a, uint32_t n, uint64_t *ret_req)
{
	struct am_buf args = AM_BUF_INIT;
	int r;

	am_put_map(&args, 2);
	am_put_str(&args, "client");
	am_put_str(&args, a->name);
	am_put_str(&args, "n");
	am_put_uint(&args, n);
	r = am_client_request(a->client, am_buf_val(&args), REQUEST_MS,
	    ret_req);
	am_buf_done(&args);
	return r;
}

/* Sends what the window has room for; without a connection, a moment later. */
static void
pump(struct app *a)
{
	while (a->is_leased && a->open < a->window && a->sent < a->count) {
		uint64_t req;

		if (ask(a, a->sent + 1, &req) != 0) {
			(void)am_timer_start(&a->retry, RETRY_MS);
			return;
		}
		a->sent++;
		a->open++;
		*slot_of(a, 0) = (struct slot){ .req = req, .n = a->sent };
	}
	if (a->sent == a->count && a->open == 0)
		(void)am_timer_start(&a->retry, 0);
}

static void
on_retry(void *arg)
{
	struct app *a = arg;

	if (a->sent == a->count && a->open == 0) {
		/* No lease any more: then nothing can come of it. */
		if (!a->is_leased || am_client_release(a->client) < 0) {
			a->is_over = true;
			am_loop_stop(a->loop);
		}
	} else if (a->is_leased) {
		pump(a);
	} else if (!a->is_wanted) {
		a->is_wanted = am_client_lease(a->client, LEASE_MS) == 0;
		if (!a->is_wanted)
			(void)am_timer_start(&a->retry, RETRY_MS);
	}
}

static void
on_total(void *arg)
{
	struct app *a = arg;

	(void)fprintf(stderr, "lossclient %s: not done within the time\n",
	    a->name);
	am_loop_stop(a->loop);
}

static void
on_ready(struct am_client *c, void *arg)
{
	struct app *a = arg;

	(void)c;
	a->is_leased = true;
	a->is_wanted = false;
	a->leases++;
	pump(a);
}

static void
on_lost(struct am_client *c, const char *code, const char *reason, void *arg)
{
	struct app *a = arg;

	(void)c;
	(void)snprintf(a->last_lost, sizeof(a->last_lost), "%s: %s", code,
	    reason);
	a->is_leased = false;
	a->is_wanted = false;
	(void)am_timer_start(&a->retry, RETRY_MS);
}

static bool
is_own_answer(const struct app *a, const struct am_payload *p, uint32_t n)
{
	char name[64];
	int64_t got;

	return am_get_int(p->data, "n", &got) == 0 && got == n &&
	    am_get_text(p->data, "client", name, sizeof(name)) >= 0 &&
	    strcmp(name, a->name) == 0;
}

static void
on_payload(struct am_client *c, const struct am_payload *p, void *arg)
{
	struct app *a = arg;
	struct slot *s;

	(void)c;
	if (p->kind != AM_PAYLOAD_RESULT)
		return;
	s = slot_of(a, p->req);
	if (s == NULL) {
		a->twice++;
		return;
	}
	a->end[s->n] = (uint8_t)p->status + 1;
	a->ends[p->status]++;
	if (p->status == AM_STATUS_OK && !is_own_answer(a, p, s->n))
		a->wrong++;
	if (p->status != AM_STATUS_OK && p->status != AM_STATUS_UNKNOWN)
		(void)fprintf(stderr, "lossclient %s: %u: %s: %s\n", a->name,
		    s->n, p->code, p->message);
	*s = (struct slot){ .req = 0 };
	a->open--;
	pump(a);
}

/* The numbers with this end, or with any other than ok. */
static void
print_numbers(const struct app *a, const char *key, enum am_status status)
{
	const char *comma = "";

	(void)printf(",\"%s\":[", key);
	for (uint32_t n = 1; n <= a->sent; n++) {
		if (a->end[n] != (uint8_t)status + 1)
			continue;
		(void)printf("%s%u", comma, n);
		comma = ",";
	}
	(void)putchar(']');
}

static int
report(const struct app *a)
{
	uint32_t ok = a->ends[AM_STATUS_OK],
		 unknown = a->ends[AM_STATUS_UNKNOWN];
	uint32_t all = 0;

	for (size_t i = 0; i <= AM_STATUS_CANCELED; i++)
		all += a->ends[i];
	(void)printf("{\"client\":\"%s\",\"sent\":%u,\"ok\":%u,\"failed\":%u,"
		     "\"unknown\":%u,\"unended\":%u,\"twice\":%u,\"wrong\":%u,"
		     "\"leases\":%u",
	    a->name, a->sent, ok, all - ok - unknown, unknown, a->sent - all,
	    a->twice, a->wrong, a->leases);
	print_numbers(a, "unknowns", AM_STATUS_UNKNOWN);
	print_numbers(a, "oks", AM_STATUS_OK);
	(void)printf("}\n");
	return a->is_over && a->sent == a->count && all == a->sent &&
		a->twice == 0 && a->wrong == 0
	    ? 0
	    : 1;
}

static uint32_t
read_number(const char *text, uint32_t max)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n == 0 || n > max) {
		(void)fprintf(stderr, "lossclient: %s: not 1 to %u\n", text,
		    max);
		exit(2);
	}
	return (uint32_t)n;
}

int
main(int argc, char **argv)
{
	struct am_error err = { "no event loop" };
	struct app a = { .loop = am_loop_new() };
	const struct am_client_conf conf = {
		.size = sizeof(conf),
		.name = argc > 2 ? argv[2] : NULL,
		.supervisors = (const char *const *)argv + 1,
		.n_supervisors = 1,
		.tls_cert = getenv("AMCTL_TLS_CERT"),
		.tls_key = getenv("AMCTL_TLS_KEY"),
		.tls_ca = getenv("AMCTL_TLS_CA"),
		.arg = &a,
		.on_ready = on_ready,
		.on_payload = on_payload,
		.on_lost = on_lost,
	};
	int status;

	if (argc != 5) {
		(void)fprintf(stderr,
		    "usage: lossclient SOCKET NAME COUNT WINDOW\n");
		return 2;
	}
	a.name = argv[2];
	a.count = read_number(argv[3], COUNT_MAX);
	a.window = read_number(argv[4], WINDOW_MAX);
	a.end = calloc(a.count + 1, 1);
	if (a.loop != NULL && a.end != NULL)
		a.client = am_client_new(a.loop, &conf, &err);
	if (a.client == NULL) {
		(void)fprintf(stderr, "lossclient: %s\n", err.text);
		return 2;
	}
	am_timer_init(&a.retry, a.loop, on_retry, &a);
	am_timer_init(&a.total, a.loop, on_total, &a);
	(void)am_timer_start(&a.total, TOTAL_MS);
	(void)am_timer_start(&a.retry, 0);
	(void)am_loop_run(a.loop);
	status = report(&a);
	if (status != 0)
		(void)fprintf(stderr, "lossclient %s: last: %s\n", a.name,
		    a.last_lost);
	am_timer_done(&a.retry);
	am_timer_done(&a.total);
	(void)am_client_free(a.client);
	(void)am_loop_free(a.loop);
	free(a.end);
	return status;
}
