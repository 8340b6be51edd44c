/* four.h - machines of four states without relations, and who is told of what
 * they do. */
#ifndef TESTS_UNIT_FOUR_H
#define TESTS_UNIT_FOUR_H

#include "tests/unit/rig.h"

enum { A, B, C, D };

static const char four[] = "{\"name\":\"A\"},{\"name\":\"B\"},"
			   "{\"name\":\"C\"},{\"name\":\"D\"}";
static const char four_b_multi[] =
    "{\"name\":\"A\"},{\"name\":\"B\",\"multi\":true},"
    "{\"name\":\"C\"},{\"name\":\"D\"}";

/* What a subscription is called with. */
struct note {
	struct rig *r;
	const char *text;
	am_sub cancel; /* then, too; its own, which does nothing, or another */
};

static inline void
note_say(struct am_machine *m, void *arg)
{
	struct note *n = arg;

	ck_assert_ptr_eq(m, n->r->m);
	rig_say(n->r, "%s", n->text);
	am_sub_cancel(m, n->cancel);
}

#endif
