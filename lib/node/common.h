/* common.h - shared by worker and client. */
#ifndef LIB_NODE_COMMON_H
#define LIB_NODE_COMMON_H

#include "lib/amnode.h"

/* Writes the message if err is not NULL; returns code. */
int node_error(struct am_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies the conf of a user (lib/base/sized.h). -errno with a message. */
int node_conf(void *to, size_t size, const void *from, struct am_error *err);

/* The name of a pulse (its doc begins with "pulse:") that is still active;
 * NULL: none. For assertions at the end of a drain. */
const char *node_pulse_left(const struct am_machine *m);

/* A failed handler adds Exception, and a slow one ErrHandlerTimeout with it
 * (semantics.md 11, 18); our own error pulses add another state as well.
 * timeout is the id of ErrHandlerTimeout; Exception is 0 in all our tables. */
bool node_is_failure(const struct am_event *ev, am_id timeout);
/* Whether another error state needs Exception. */
bool node_error_held(const struct am_machine *m, am_id timeout);
/* In ExceptionState: removes both, but Exception only if no other state needs
 * it. */
void node_failure_over(struct am_machine *m, am_id timeout);

/* Milliseconds from a peer or user as nanoseconds, at most
 * ARPC_DURATION_MAX_MS. */
int64_t node_ns(int64_t ms);

/* Overwrites a secret: explicit_bzero(), for which gcc 12 with UBSan mistakes a
 * struct for its first member and warns. */
void node_wipe(void *p, size_t len);

/* Copies the text of a key, truncated to fit; "" if there is none. */
void node_get_text(struct am_val map, const char *key, char *buf, size_t size);

/* Bytes of the name of an event. */
enum { EVENT_NAME_MAX = 128 };

/* Copies a string value and terminates it, truncated to fit; "" if it is not a
 * string. */
void node_text(struct am_val v, char *buf, size_t size);

/* Puts a pair of a map; the text goes through text_utf8(). */
void node_put_text(struct am_buf *b, const char *key, const char *text);

/* Put a pair of a map. */
static inline void
node_put_str(struct am_buf *b, const char *key, const char *value)
{
	am_put_str(b, key);
	am_put_str(b, value);
}

static inline void
node_put_uint(struct am_buf *b, const char *key, uint64_t value)
{
	am_put_str(b, key);
	am_put_uint(b, value);
}

static inline void
node_put_int(struct am_buf *b, const char *key, int64_t value)
{
	am_put_str(b, key);
	am_put_int(b, value);
}

static inline bool
node_has(const am_id *ids, size_t n, am_id id)
{
	for (size_t i = 0; i < n; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* The number of elements of an array. */
#define NODE_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
