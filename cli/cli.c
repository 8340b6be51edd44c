#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/dur.h"
#include "lib/base/text.h"
#include "lib/rpc/tls.h"
#include "proto/arpc.h"

enum { TIMEOUT_MS = 30000, IO_MS = 5000 };

struct am_loop *
cli_loop(struct cli *c)
{
	if (c->loop == NULL)
		c->loop = am_loop_new();
	return c->loop;
}

int
cli_tls(struct cli *c, struct am_error *err)
{
	static const enum opt_id ids[TLS_N_PARTS] = {
		[TLS_CERT] = OPT_TLS_CERT,
		[TLS_KEY] = OPT_TLS_KEY,
		[TLS_CA] = OPT_TLS_CA,
	};
	struct tls_source source[TLS_N_PARTS];
	int n = 0;

	for (int i = 0; i < TLS_N_PARTS; i++) {
		source[i] = (struct tls_source){ c->opts.text[ids[i]], -1 };
		n += cli_has(c, ids[i]);
	}
	if (n == 0 || c->tls != NULL)
		return 0;
	if (n < TLS_N_PARTS)
		return error_set(err,
		    "TLS takes all of --tls-cert, --tls-key and --tls-ca "
		    "(AMCTL_TLS_CERT, AMCTL_TLS_KEY, AMCTL_TLS_CA)");
	c->tls = tls_new(source, err);
	return c->tls != NULL ? 0 : -EINVAL;
}

bool
cli_is_unbounded(const struct cli *c)
{
	return c->cmd != NULL &&
	    ((c->cmd->flags & CMD_NO_TIMEOUT) != 0 || cli_has(c, OPT_FOLLOW));
}

int64_t
cli_timeout_ms(const struct cli *c)
{
	int64_t ms = TIMEOUT_MS;

	if (cli_has(c, OPT_TIMEOUT))
		ms = c->opts.num[OPT_TIMEOUT];
	else if (cli_is_unbounded(c))
		ms = DUR_INF;
	return ms == DUR_INF ? -1 : ms;
}

int64_t
cli_left_ms(const struct cli *c)
{
	int64_t left;

	if (c->deadline_ns == INT64_MAX)
		return -1;
	left = c->deadline_ns - clock_ns();
	return left <= 0 ? 0 : (left + NS_PER_MS - 1) / NS_PER_MS;
}

int64_t
cli_io_deadline(const struct cli *c)
{
	int64_t io = clock_ns() + IO_MS * NS_PER_MS;

	return c->no_wait || io < c->deadline_ns ? io : c->deadline_ns;
}

int64_t
cli_wait_deadline(const struct cli *c)
{
	return c->no_wait ? 0 : c->deadline_ns;
}

const char *
cli_status(enum exit_code code)
{
	switch (code) {
#define X(name, number, status, help)                                          \
	case EX_##name:                                                        \
		return status;
		EXIT_CODES(X)
#undef X
	}
	return "failed";
}

static void
say(const struct cli *c, const char *text)
{
	(void)fputs("amctl: ", stderr);
	if (c->cmd != NULL)
		(void)fprintf(stderr, "%s: ", c->cmd->name);
	/* Reasons are those of workers and other clients, too. */
	text_puts(stderr, text);
	(void)fputs("\n", stderr);
}

void
cli_err(const struct cli *c, const char *fmt, ...)
{
	char text[2 * AM_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(c, text);
}

int
cli_fail(struct cli *c, enum exit_code code, const char *name, const char *fmt,
    ...)
{
	char text[2 * AM_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(c, text);
	if (code != EX_USAGE)
		out_fail(&c->out, cli_status(code), name, text);
	return code;
}

int
cli_print(struct cli *c, struct am_val doc, struct am_val plain,
    const struct out_view *view)
{
	if (out_doc(&c->out, doc, plain, view) != 0) {
		c->out.said = false;
		return cli_fail(c, EX_MISSING, "no_field",
		    "there is no field \"%s\" in the result", c->out.field);
	}
	return EX_OK;
}

void
cli_say(const struct cli *c, const char *fmt, ...)
{
	char text[2 * AM_ERROR_MAX];
	va_list ap;

	if (cli_has(c, OPT_QUIET))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(c, text);
}

enum exit_code
cli_code_of(int arpc_error)
{
	switch ((enum arpc_error)arpc_error) {
	case ARPC_E_not_permitted:
		return EX_DENIED;
	case ARPC_E_no_state:
	case ARPC_E_no_topic:
	case ARPC_E_no_lease:
	case ARPC_E_no_process:
		return EX_MISSING;
	case ARPC_E_bad_token:
		return EX_LOST;
	case ARPC_E_forgotten:
		return EX_UNKNOWN;
	case ARPC_E_busy:
	case ARPC_E_limit:
	case ARPC_E_no_worker:
	case ARPC_E_pool_broken:
	case ARPC_E_draining:
		return EX_NO_WORKER;
	case ARPC_E_bad_frame:
	case ARPC_E_too_big:
	case ARPC_E_too_deep:
	case ARPC_E_no_hello:
	case ARPC_E_bad_proto:
	case ARPC_E_no_method:
	case ARPC_E_bad_params:
	case ARPC_E_internal:
	case ARPC_E__COUNT:
		break;
	}
	return EX_FAILED;
}
