/* stream.h - amctl stream: lines in, requests in flight, lines out. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include "cli/lease.h"
#include "cli/lines.h"
#include "cli/work.h"

enum { STREAM_WINDOW_MAX = 1000 };

/* A line that was read and whose last line is not yet out. */
struct slot {
	bool used;
	bool sent;
	bool is_final;
	bool is_request; /* WorkRequested is in it, so a payload answers it */
	uint64_t seq;
	uint32_t id; /* of the mutation, if sent */
	int64_t start_ns;
	int64_t deadline_ns; /* then it is timed out here */
	int64_t timeout_ms;  /* -1: none */
	struct am_buf doc;   /* the line's value; with --raw its args */
	struct am_buf text;  /* --ordered: lines that wait for their turn */
};

/* Sent, and not answered. */
static inline bool
slot_in_flight(const struct slot *slot)
{
	return slot->used && slot->sent && !slot->is_final;
}

struct stream {
	struct cli *cli;
	bool is_named;
	bool is_raw;
	bool is_ordered;
	size_t window;
	int64_t timeout_ms; /* of a line; -1: none */
	struct attach at;   /* the worker's connection; its file if named */
	struct session sup; /* only without a name */
	struct client_wish wish;
	struct client_lease lease; /* likewise */
	struct lines_in in;
	struct lines_out out;
	struct slot *slot; /* window of them */
	size_t n_used;
	uint64_t next;      /* seq of the line to come */
	uint64_t head;      /* --ordered: seq of the line whose turn it is */
	struct am_buf acks; /* uint64_t: results to acknowledge once written */
	int64_t hold_ns;    /* send nothing before; 0: no reason to wait */
	bool eof;
	bool stop;  /* read no more */
	bool lost;  /* the named lease */
	int fatal;  /* exit code of what ended it */
	int signal; /* that ended it */
	int n_signals;
	bool any_unknown;
	bool any_bad;
};

/* ---- stream_line.c: one line in, its lines out ---- */

/* Takes a line into a free slot: it is checked here, and answered if bad. */
void stream_take(struct stream *s, enum line_kind kind, const char *line,
    size_t len);
/* Is there a slot for one more line? */
bool stream_has_room(const struct stream *s);
/* Is the answer to any line still to come? */
bool stream_in_flight(const struct stream *s);
/* The line whose mutation has this id, if it is in flight; NULL. */
struct slot *stream_slot(struct stream *s, uint32_t id);
/* Ends all lines that are in flight, or else all that were not sent yet. */
void stream_end_all(struct stream *s, const struct verdict *v, bool sent);
/* The states of the line: -errno with a message, else how many. */
int slot_states(const struct stream *s, const struct slot *slot, am_id *ids,
    struct am_error *err);
struct am_val slot_args(const struct stream *s, const struct slot *slot);
/* The final line; the slot is free when it is its turn. data: of an ok one. */
void stream_finish(struct stream *s, struct slot *slot, const struct verdict *v,
    struct am_val data);
/* A line before it: "progress" or "chunk". */
void stream_part(struct stream *s, struct slot *slot, const char *status,
    struct am_val data);

#endif
