/* client.tbl.h - states of the client, in wire order: an index is ABI.
 * The first 21 rows are those of the reference, unchanged; ours follow. */

STATE(Exception, "level: an error state is active", .multi = true)

STATE(ErrWorker, "pulse: the worker's connection went wrong {err}",
    .require = S(Exception))

STATE(ErrSupervisor, "pulse: the supervisor's connection went wrong {err}",
    .require = S(Exception))

STATE(WorkerDisconnected, "level: the worker's connection is gone",
    .multi = false)

STATE(WorkerConnecting, "level: the worker is being connected", .multi = false)

STATE(WorkerConnected, "level: the worker answered the hello", .multi = false)

STATE(WorkerDisconnecting, "level: the worker's connection is being closed",
    .multi = false)

STATE(WorkerReady, "level: the leased worker takes requests",
    .remove = S(WorkerRequested))

STATE(Ready, "level: work can be delegated", .automatic = true,
    .require = S(WorkerReady))

STATE(SuperDisconnected, "level: the supervisor's connection is gone",
    .multi = false)

STATE(SuperConnecting, "level: a supervisor is being connected", .multi = false)

STATE(SuperConnected, "level: a supervisor answered the hello", .multi = false)

STATE(SuperDisconnecting, "level: the supervisor's connection is being closed",
    .multi = false)

STATE(SuperReady, "level: the supervisor takes requests", .multi = false)

STATE(WorkerRequested, "level: a lease was requested and is not granted yet",
    .require = S(SuperReady))

STATE(ErrNetwork, "pulse: a connection failed {err}", .multi = true,
    .require = S(Exception), .add = S(Exception))

STATE(ErrHandlerTimeout, "pulse: a handler took too long", .multi = true,
    .require = S(Exception), .add = S(Exception))

STATE(Start, "level: the client runs {supervisors}", .multi = false)

STATE(Healthcheck, "pulse: shows that the loop runs", .multi = true)

STATE(Heartbeat, "level: not used yet", .multi = false)

STATE(ServerPayload, "pulse: a payload arrived {req, name, final}",
    .multi = true)

/* Own states. */

STATE(WorkerWanted, "level: the user wants a worker", .require = S(Start))

STATE(Leased, "level: a lease and its token are held {lease}",
    .remove = S(WorkerWanted))

STATE(Releasing, "level: the release was sent", .require = S(Leased))
