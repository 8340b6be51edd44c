/* work.h - one mutation of a machine at the other end, and if it is a request
 * its result; how both are printed. */
#ifndef CLI_WORK_H
#define CLI_WORK_H

#include "cli/session.h"

/* How a request ended. */
struct verdict {
	enum exit_code exit;
	const char *status; /* "ok", "failed", ...: static */
	char code[64];      /* of what is not ok */
	char message[AM_ERROR_MAX];
};

/* What a payload of kind result says. */
void verdict_of(const struct arpc_payload *p, struct verdict *ret);
/* The same of a mutation's reply that ends it: canceled, an error, lost. False
 * if the request goes on. */
bool verdict_of_reply(const struct netmach_reply *r, struct verdict *ret);

enum work_wait {
	WORK_RESULT, /* of a request; of other states as done */
	WORK_DONE,   /* the mutation */
	WORK_NONE,   /* nothing: it is a notification, its outcome null */
};

struct work_conf {
	enum am_op op;
	const am_id *states;
	size_t n_states;
	struct am_val args; /* borrowed */
	enum work_wait wait;
	bool is_request; /* WorkRequested of a worker is among the states */
	/* Then a state is waited for; NULL: none is. */
	const char *until_name;
	am_id until;
};

/* Does it, prints it. EX_OK or a code after a message. Without a message if the
 * connection was lost, as the caller knows more: EX_UNKNOWN, or -ECONNRESET
 * after the mutation. */
int work_do(struct cli *c, struct session *s, const struct work_conf *conf);

#endif
