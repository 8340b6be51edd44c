/* calls.h - requests without a response yet, by msgpack-rpc id. */
#ifndef LIB_RPC_CALLS_H
#define LIB_RPC_CALLS_H

#include "lib/rpc/resend.h"
#include "lib/rpc/netmach.h"

struct netmach_call {
	uint32_t id; /* 0: the slot is free */
	enum arpc_method method;
	netmach_reply_fn fn; /* NULL: the response is ignored */
	void *arg;
	struct resend *resend; /* NULL: it ends with the connection */
};

/* Ids count up and wrap at 16 bits. So a slot is found by the low bits of its
 * id, and the table grows only with the number of open calls. */
struct calls {
	struct netmach_call *slot;
	size_t n_slots; /* a power of 2 */
	size_t n_open;
	uint32_t last_id;
	uint32_t oldest; /* no open call is older than this id */
	/* Whether an id without an open call is taken all the same; NULL:
	 * no. */
	bool (*is_taken)(uint32_t id, void *arg);
	void *arg;
};

void calls_done(struct calls *c);
/* Returns a new id, which is not 0 and not taken; 0 if there is none. */
uint32_t calls_next_id(struct calls *c);
/* Opens a call under a new id, and stores that in call->id. -EBUSY: all ids are
 * taken; -ENOMEM. */
int calls_open(struct calls *c, struct netmach_call *call);
/* Closes a call. false: there is no such call. */
bool calls_take(struct calls *c, uint32_t id, struct netmach_call *ret);
/* Closes the oldest one. false: none is open. */
bool calls_take_oldest(struct calls *c, struct netmach_call *ret);

#endif
