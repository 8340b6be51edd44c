/* log_out.h - lets log lines that wait for stderr go when it can take them. */
#ifndef DAEMON_SYS_LOG_OUT_H
#define DAEMON_SYS_LOG_OUT_H

#include "lib/amnode.h"

struct event;

struct log_out {
	struct am_loop *loop; /* borrowed; NULL: not started */
	struct event *event;  /* made when lines wait for the first time */
};

void log_out_start(struct log_out *o, struct am_loop *l);
void log_out_done(struct log_out *o); /* before the loop ends; idempotent */

#endif
