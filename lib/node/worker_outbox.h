/* worker_outbox.h - payloads that are not acknowledged yet.
 *
 * Plain data: worker_payload.c decides who gets what, and when. Entries are in
 * order of their numbers, which are never used twice. */
#ifndef LIB_NODE_WORKER_OUTBOX_H
#define LIB_NODE_WORKER_OUTBOX_H

#include <sys/queue.h>

#include "proto/arpc.h"

enum {
	OUTBOX_BYTES = 64 * 1024 * 1024,
	OUTBOX_LEN = 65536,
	OUTBOX_BUCKETS = 1024,
	/* The most that a frame adds to the data of a payload. */
	OUTBOX_FRAME = 512,
};

struct outbox_entry {
	uint64_t seq;
	uint64_t client_id; /* the client that asked; 0: it is an event */
	uint32_t req;
	enum arpc_payload_kind kind;
	bool awaited;     /* the end of the lease waits for its ack */
	bool was_acked;   /* events: by a client */
	uint16_t acked;   /* events: by these clients (worker_payload.c) */
	const char *name; /* stored after the data */
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
void outbox_clear(struct outbox *o); /* numbers continue */

/* Whether there is room for a payload with len bytes of data. An empty outbox
 * takes any payload. */
bool outbox_has_room(const struct outbox *o, size_t len);
/* Copies a payload into it, even if there is no room. Returns borrowed; NULL:
 * no memory. */
struct outbox_entry *outbox_put(struct outbox *o, uint64_t client_id,
    uint32_t req, enum arpc_payload_kind kind, const char *name,
    struct am_val data);
struct outbox_entry *outbox_find(const struct outbox *o, uint64_t seq);
/* The first entry after seq; NULL: there is none. */
const struct outbox_entry *outbox_after(const struct outbox *o, uint64_t seq);
void outbox_drop(struct outbox *o, struct outbox_entry *e);
void outbox_await(struct outbox *o, struct outbox_entry *e, bool on);

#endif
