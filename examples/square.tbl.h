/* square.tbl.h - the states of the square worker: those of every worker first,
 * then its own. A state is one row: its name, what it means, its relations. */
#include <amnode/worker.tbl.h>

STATE(Squaring, "pulse: a number is being squared {input}",
	.require = S(Working))
