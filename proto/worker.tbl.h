/* worker.tbl.h - states of the worker, in wire order: an index is ABI.
 * The first 24 rows are those of the reference, unchanged; ours follow. The including file defines STATE
 * and S, and undefines them, so that a table of a user can continue this one. */

/* At most one of them is active. */
#define WORK_STATUS WorkRequested, Working, WorkReady, Idle

STATE(Exception, "level: an error state is active", .multi = true)

STATE(ErrWork, "pulse: a request failed {req}", .require = S(Exception))

STATE(ErrWorkTimeout, "pulse: a request missed its deadline {req}",
    .require = S(Exception))

STATE(ErrClient, "pulse: the client's connection went wrong {err}",
    .require = S(Exception))

STATE(ErrSupervisor, "pulse: the supervisor's connection went wrong {err}",
    .require = S(Exception))

STATE(Ready, "level: the program can work", .require = S(LocalRpcReady))

STATE(LocalRpcReady, "level: the private socket listens", .require = S(Start))

STATE(PublicRpcReady, "level: the public socket listens", .require = S(Start))

STATE(RpcReady, "level: both sockets listen", .automatic = true,
    .require = S(LocalRpcReady, PublicRpcReady))

STATE(SuperConnected, "level: the supervisor is connected", .require = S(Start))

STATE(ServeClient, "pulse: a lease begins {lease, client}",
    .require = S(PublicRpcReady))

STATE(ClientConnected, "level: the lease has a connection {client}",
    .require = S(Start))

STATE(ClientSendPayload,
    "pulse: a payload goes to the client {req, name, final}",
    .require = S(PublicRpcReady))

STATE(SuperSendPayload, "pulse: a payload goes to the supervisor {name}",
    .require = S(LocalRpcReady))

STATE(Idle, "level: nothing to do", .automatic = true, .require = S(Ready),
    .remove = S(WORK_STATUS))

STATE(WorkRequested, "pulse: a request is taken {req, args, deadline}",
    .require = S(Ready), .remove = S(WORK_STATUS))

STATE(Working, "level: at least one request is open", .require = S(Ready),
    .remove = S(WORK_STATUS))

STATE(WorkReady, "pulse: the last open request ended", .require = S(Ready),
    .remove = S(WORK_STATUS))

STATE(ErrNetwork, "pulse: a connection failed {err}", .multi = true,
    .require = S(Exception), .add = S(Exception))

STATE(ErrHandlerTimeout, "pulse: a handler took too long", .multi = true,
    .require = S(Exception), .add = S(Exception))

STATE(Start, "level: the worker runs {private, public}", .multi = false)

STATE(Healthcheck, "level: the program is asked whether it is alive",
    .multi = true)

STATE(Heartbeat, "level: not used yet", .multi = false)

STATE(ErrOnClient, "level: not used yet", .require = S(Exception))

/* Own states. */

STATE(Leased, "level: held by a lease {lease}", .require = S(PublicRpcReady),
    .remove = S(ServeClient))

STATE(LeaseEnding,
    "level: requests are ended, the program is reset {lease, reason}",
    .require = S(Leased), .remove = S(WorkRequested))

STATE(CancelWork, "pulse: one request is canceled {req, reason}", .multi = true,
    .require = S(Working))

#undef WORK_STATUS
