/* cmds.h - every command's function; cmds.c has the table. */
#ifndef CLI_CMDS_H
#define CLI_CMDS_H

#include "cli/cli.h"

int cmd_status(struct cli *c);
int cmd_workers(struct cli *c);
int cmd_ping(struct cli *c);
int cmd_request_worker(struct cli *c);
int cmd_leases(struct cli *c);
int cmd_release(struct cli *c);
int cmd_add(struct cli *c);
int cmd_remove(struct cli *c);
int cmd_set(struct cli *c);
int cmd_toggle(struct cli *c);
int cmd_can_add(struct cli *c);
int cmd_can_remove(struct cli *c);
int cmd_request(struct cli *c);
int cmd_stream(struct cli *c);
int cmd_run(struct cli *c);
int cmd_payloads(struct cli *c);
int cmd_is(struct cli *c);
int cmd_not(struct cli *c);
int cmd_any(struct cli *c);
int cmd_has(struct cli *c);
int cmd_when(struct cli *c);
int cmd_when_not(struct cli *c);
int cmd_when_time(struct cli *c);
int cmd_wait(struct cli *c);
int cmd_time(struct cli *c);
int cmd_inspect(struct cli *c);
int cmd_schema(struct cli *c);
int cmd_version(struct cli *c);
int cmd_help(struct cli *c);

#endif
