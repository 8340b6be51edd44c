/* square.tbl.h - the states of the square worker: those of every worker first,
 * then its own. A state is one row: its name, what it means, its relations. */
#include <amnode/worker.tbl.h>

/* A pulse is over in the drain in which it came: am_pulse() makes it. */
STATE(Squaring, "pulse: a number is being squared {input}",
	.require = S(Working))

/* A level stays until something ends it. Do not let one require Working: each
 * further request ends Working for a moment, and all that requires it falls
 * with it, in the middle of the work. Require Leased for what belongs to the
 * lease, as here (it goes when the lease does), Ready for what belongs to the
 * program, and remove it yourself if it is over sooner. */
STATE(Used, "level: this lease has squared something",
	.require = S(Leased))
