#include "daemon/wish.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/config/config.h"
#include "lib/base/buf.h"

/* An optional number within bounds; *ret stays as it is without one. */
static int
number(struct am_val args, const char *key, int64_t lo, int64_t hi,
    int64_t *ret, struct am_error *err)
{
	int64_t v;
	int r = am_get_int(args, key, &v);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || v < lo || v > hi)
		return error_set(err,
		    "%s must be a whole number from %" PRId64 " to %" PRId64,
		    key, lo, hi);
	*ret = v;
	return 0;
}

int
wish_parse(const struct config *c, struct am_val args, struct wish *ret,
    struct am_error *err)
{
	*ret = (struct wish){
		.request = -1,
		.timeout_ms = -1,
		.ttl_ms = c->lease_ttl_ms,
		.max_ms = c->lease_max_ms,
	};
	if (number(args, "request", 0, INT64_MAX, &ret->request, err) < 0 ||
	    number(args, "timeout_ms", -1, INT64_C(31622400000),
		&ret->timeout_ms, err) < 0 ||
	    number(args, "priority", -WISH_PRIORITY_MAX, WISH_PRIORITY_MAX,
		&ret->priority, err) < 0 ||
	    number(args, "ttl_ms", 1, c->lease_max_ms, &ret->ttl_ms, err) < 0 ||
	    number(args, "max_ms", 1, c->lease_max_ms, &ret->max_ms, err) < 0 ||
	    number(args, "pid", 1, INT32_MAX, &ret->pid, err) < 0 ||
	    number(args, "pid_start", 0, INT64_MAX, &ret->pid_start, err) < 0)
		return -EINVAL;
	if (ret->request < 0)
		return error_set(err,
		    "request, a number for the answer, is missing");
	if (ret->ttl_ms > c->lease_max_ms)
		ret->ttl_ms = c->lease_max_ms;
	return 0;
}
