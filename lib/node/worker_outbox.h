/* worker_outbox.h - payloads that were sent and not yet acknowledged.
 *
 * Pure data: who gets what, and when, is the matter of worker_public.c. Entries are in the
 * order of their numbers, which are never used twice. */
#ifndef LIB_NODE_WORKER_OUTBOX_H
#define LIB_NODE_WORKER_OUTBOX_H

#include <sys/queue.h>

#include "proto/arpc.h"

enum {
	OUTBOX_BYTES = 64 * 1024 * 1024,
	OUTBOX_LEN = 65536,
	OUTBOX_BUCKETS = 1024,
	/* What a frame adds to the data of a payload, at most. */
	OUTBOX_FRAME = 512,
};

struct outbox_entry {
	uint64_t seq;
	uint64_t client_id; /* who asked; 0: nobody, it is an event */
	uint32_t req;
	enum arpc_payload_kind kind;
	bool awaited;     /* the end of the lease waits for its ack */
	bool was_acked;   /* of an event: by somebody */
	uint16_t acked;   /* of an event: by these clients (worker_payload.c) */
	const char *name; /* behind the data */
	struct am_val data;
	TAILQ_ENTRY(outbox_entry) link;
	LIST_ENTRY(outbox_entry) hash;
};

struct outbox {
	struct am_loop *loop; /* borrowed */
	size_t max_bytes;
	size_t max_len;
	size_t bytes;
	size_t len;
	size_t n_events;
	size_t n_awaited;
	uint64_t last_seq;
	TAILQ_HEAD(outbox_list, outbox_entry) entries;
	LIST_HEAD(, outbox_entry) bucket[OUTBOX_BUCKETS];
};

void outbox_init(struct outbox *o, struct am_loop *l, size_t max_bytes,
    size_t max_len);
void outbox_clear(struct outbox *o); /* numbers go on */

/* Is there room for one more payload of len bytes of data? An empty outbox
 * takes any one that a frame can carry. */
bool outbox_has_room(const struct outbox *o, size_t len);
/* Copies it, whether there is room or not. Borrowed; NULL: no memory. */
struct outbox_entry *outbox_put(struct outbox *o, uint64_t client_id,
    uint32_t req, enum arpc_payload_kind kind, const char *name,
    struct am_val data);
struct outbox_entry *outbox_find(const struct outbox *o, uint64_t seq);
/* The first one after seq; NULL: there is none. */
const struct outbox_entry *outbox_after(const struct outbox *o, uint64_t seq);
void outbox_drop(struct outbox *o, struct outbox_entry *e);
void outbox_await(struct outbox *o, struct outbox_entry *e, bool on);

#endif
