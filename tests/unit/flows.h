/* flows.h - the flows of tests/data/flows.txt as what a machine must do, and a
 * recorder of what it did.
 *
 * Both are lists of steps: a step is one transition and the active states after
 * it, as one line of text with sorted names:
 *	+Working -> Leased PublicRpcReady ... Working
 *	+ServeClient -> canceled (ServeClient requires PublicRpcReady)
 * As in flows.txt removals of pulses are left out, and so are automatic
 * transitions that change nothing. */
#ifndef TESTS_UNIT_FLOWS_H
#define TESTS_UNIT_FLOWS_H

#include "lib/amnode.h"

enum {
	FLOW_TEXT = 640,
	FLOW_STEPS = 64,
	FLOW_LOG = 512,
};

struct flow_step {
	char text[FLOW_TEXT];
	unsigned line; /* of its flow, from 1; of the log: of its drain */
	bool begins;   /* a drain begins with it */
};

struct flow {
	char id[8];
	char actor;
	struct flow_step step[FLOW_STEPS];
	size_t n_steps;
};

/* The lines of one actor ('S', 'W', 'C') in flow "9b". Returns new, NULL with a
 * message on stderr: no such flow, or a line that cannot be read. */
struct flow *flow_load(const char *path, const char *id, char actor);

/* What a machine did since it was attached or cleared. */
struct flow_log {
	struct am_machine *machine; /* borrowed */
	struct flow_step step[FLOW_LOG];
	size_t n_steps;
	unsigned drain;
	bool begins;
	bool off;          /* records nothing */
	bool before[1024]; /* active after the last transition */
	/* The first pulse that was active after a drain; NULL: none ever was. */
	const char *pulse_left;
	char difference[4 * FLOW_TEXT];
};

void flow_log_attach(struct flow_log *log, struct am_machine *m);
void flow_log_detach(struct flow_log *log);
void flow_log_clear(struct flow_log *log);

/* Are the steps of the log those of the flow, in order? Steps whose text begins
 * with one of skip (ended by NULL; may be NULL) may stand in between and after.
 * NULL, or what differs (borrowed from the log). */
const char *flow_differs(const struct flow *f, struct flow_log *log,
    const char *const *skip);

#endif
