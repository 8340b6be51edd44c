#include "cli/cmds.h"

#include <string.h>

#define MUTATES (OPT_BIT(ARGS) | OPT_BIT(WAIT))
#define LEASES                                                                 \
	(OPT_BIT(TTL) | OPT_BIT(MAX) | OPT_BIT(PRIORITY) | OPT_BIT(NO_WAIT))

const struct cmd cmds[] = {
	{ "status", 0, 0, "", "the pool and its supervisor", 0, cmd_status },
	{ "workers", 0, 0, "", "the workers of the pool", 0, cmd_workers },
	{ "ping", 0, 0, "", "does amnoded answer?", 0, cmd_ping },
	{ "request-worker", 0, 0, "", "get a worker on a lease",
	    LEASES | OPT_BIT(BIND_PID) | OPT_BIT(SH), cmd_request_worker },
	{ "leases", 0, 2, "[kill ID]", "all leases; end one", 0, cmd_leases },
	{ "release", 0, 0, "", "give the worker back", OPT_BIT(DISCARD),
	    cmd_release },
	{ "add", 1, CMD_ANY, "STATE... [k=v] [k:=json]",
	    "add states; WorkRequested waits for its result", MUTATES,
	    cmd_add },
	{ "remove", 1, CMD_ANY, "STATE... [k=v] [k:=json]", "remove states",
	    MUTATES, cmd_remove },
	{ "set", 1, CMD_ANY, "STATE... [k=v] [k:=json]",
	    "set states: all others are removed", MUTATES, cmd_set },
	{ "toggle", 1, CMD_ANY, "STATE... [k=v] [k:=json]",
	    "remove states if all are active, else add them", MUTATES,
	    cmd_toggle },
	{ "can-add", 1, CMD_ANY, "STATE... [k=v] [k:=json]",
	    "would add be executed?", OPT_BIT(ARGS), cmd_can_add },
	{ "can-remove", 1, CMD_ANY, "STATE... [k=v] [k:=json]",
	    "would remove be executed?", OPT_BIT(ARGS), cmd_can_remove },
	{ "request", 0, CMD_ANY, "[k=v] [k:=json]",
	    "one request on a lease of its own", OPT_BIT(ARGS), cmd_request },
	{ "stream", 0, 0, "",
	    "requests from stdin, a line each, answers to stdout",
	    OPT_BIT(WINDOW) | OPT_BIT(RAW) | OPT_BIT(ORDERED), cmd_stream },
	{ "run", 1, CMD_ANY, "[--] CMD [ARG...]", "run CMD with a lease",
	    LEASES | CMD_STOP | CMD_NO_TIMEOUT, cmd_run },
	{ "payloads", 0, 0, "", "payloads that wait at the worker",
	    OPT_BIT(SINCE) | OPT_BIT(FOLLOW), cmd_payloads },
	{ "is", 1, CMD_ANY, "STATE...", "are all of them active?", 0, cmd_is },
	{ "not", 1, CMD_ANY, "STATE...", "is none of them active?", 0,
	    cmd_not },
	{ "any", 1, CMD_ANY, "STATE...", "is one of them active?", 0, cmd_any },
	{ "has", 1, CMD_ANY, "STATE...", "does the machine have them?", 0,
	    cmd_has },
	{ "when", 1, CMD_ANY, "STATE...", "wait until all are active", 0,
	    cmd_when },
	{ "when-not", 1, CMD_ANY, "STATE...", "wait until none is active", 0,
	    cmd_when_not },
	{ "when-time", 1, CMD_ANY, "STATE=TICK...",
	    "wait until the clocks are there", 0, cmd_when_time },
	{ "wait", 0, 0, "--for=pool-ready|state=X", "wait for a condition",
	    OPT_BIT(FOR), cmd_wait },
	{ "time", 0, CMD_ANY, "[STATE...]", "the clocks", 0, cmd_time },
	{ "inspect", 0, 0, "", "every state, its clock and its relations", 0,
	    cmd_inspect },
	{ "schema", 0, 0, "", "the states and their relations", 0, cmd_schema },
	{ "version", 0, 0, "", "the version", 0, cmd_version },
	{ "help", 0, 1, "[COMMAND|exit-codes]", "this, or about a command", 0,
	    cmd_help },
};
const size_t n_cmds = sizeof(cmds) / sizeof(*cmds);

const struct cmd *
cmd_find(const char *name)
{
	for (size_t i = 0; i < n_cmds; i++)
		if (strcmp(cmds[i].name, name) == 0)
			return &cmds[i];
	return NULL;
}
