/* supervisor.tbl.h - states of the supervisor, in wire order: an index is ABI.
 * The first 36 rows are those of the reference, unchanged; ours follow. */

/* At most one of each group is active. */
#define POOL_STATUS PoolStarting, PoolReady
#define POOL_SIZE PoolNormalized, NormalizingPool

STATE(Exception, "level: an error state is active", .multi = true)

STATE(ErrWorker, "pulse: a worker went wrong {worker, err, stuck?}",
    .require = S(Exception), .add = S(NormalizingPool, Heartbeat))

STATE(ErrPool, "level: the pool cannot reach its minimum",
    .require = S(Exception), .add = S(NormalizingPool),
    .remove = S(PoolNormalized))

STATE(LocalRpcReady,
    "level: the runtime directory and the private side are usable",
    .require = S(Start))

STATE(PublicRpcReady, "level: the public socket listens", .require = S(Start))

STATE(Ready, "level: clients can be served",
    .require = S(LocalRpcReady, PublicRpcReady, PoolReady))

STATE(Heartbeat, "level: a round of health checks runs", .require = S(Start))

STATE(PoolStarting, "level: fewer workers than the minimum are ready",
    .add = S(NormalizingPool), .remove = S(POOL_STATUS))

STATE(NormalizingPool, "level: the number of workers is being corrected",
    .require = S(Start), .remove = S(POOL_SIZE), .after = S(ErrWorker))

STATE(PoolNormalized, "level: the number of workers is right",
    .require = S(Start), .add = S(Heartbeat), .remove = S(POOL_SIZE))

STATE(PoolReady, "level: the minimum of workers is ready", .require = S(Start),
    .add = S(Heartbeat), .remove = S(POOL_STATUS))

STATE(WorkersAvailable, "level: an idle worker can be leased",
    .require = S(PoolReady))

STATE(ListWorkers, "pulse: the workers are listed in the log", .multi = true,
    .require = S(Start))

STATE(SetWorker, "pulse: a worker's row is filled in {worker, pid}",
    .multi = true, .require = S(Start))

STATE(ForkWorker, "pulse: one more worker is wanted {worker}", .multi = true,
    .require = S(Start))

STATE(ForkingWorker, "pulse: its process is started {worker}", .multi = true,
    .require = S(Start))

STATE(WorkerConnected, "pulse: the private connection is up {worker}",
    .multi = true, .require = S(Start))

STATE(WorkerForked, "pulse: the worker answered the private hello {worker}",
    .multi = true, .require = S(Start), .add = S(Heartbeat))

STATE(KillWorker, "pulse: a worker is to be stopped {worker, reason}", .multi = true)

STATE(KillingWorker, "pulse: signals are sent to its process group {worker}",
    .multi = true)

STATE(WorkerKilled, "pulse: the process is reaped, its group is empty {worker}",
    .multi = true, .add = S(NormalizingPool, Heartbeat))

STATE(WorkerReady, "pulse: a worker can take its first lease {worker}",
    .multi = true, .require = S(Start), .add = S(PoolReady))

STATE(WorkerGone, "pulse: the private connection is lost {worker}",
    .multi = true, .require = S(Start), .remove = S(PoolReady))

STATE(ClientConnected, "pulse: a client said hello {client}", .multi = true)

STATE(ClientDisconnected, "pulse: a client's connection closed {client}",
    .multi = true)

STATE(ProvideWorker,
    "pulse: a client wants a worker and does not wait {client, request, ttl, "
    "max, bind_pid}",
    .multi = true, .require = S(WorkersAvailable))

STATE(WorkerIssues,
    "pulse: a client complains about its worker {lease, reason}", .multi = true)

STATE(ClientSendPayload, "pulse: a payload goes to one client {to, name}",
    .multi = true)

STATE(SuperConnected, "pulse: not used yet", .multi = true)

STATE(SuperDisconnected, "pulse: not used yet", .multi = true)

STATE(SuperSendPayload, "pulse: not used yet", .multi = true)

STATE(ErrNetwork, "pulse: a connection failed {err}", .multi = true,
    .require = S(Exception), .add = S(Exception))

STATE(ErrHandlerTimeout, "pulse: a handler took too long", .multi = true,
    .require = S(Exception), .add = S(Exception))

STATE(Start, "level: the supervisor runs {public}", .add = S(PoolStarting))

STATE(Healthcheck, "pulse: shows that the loop runs", .multi = true)

STATE(ErrOnClient, "level: not used yet", .require = S(Exception))

/* Own states. */

STATE(LeaseRequested,
    "pulse: a client wants a worker and may wait {client, request, timeout, "
    "priority, ttl, max, bind_pid}",
    .multi = true, .require = S(Start))

STATE(ClientsWaiting, "level: the queue of waiters is not empty",
    .require = S(Start))

STATE(LeaseGranted, "pulse: a worker accepted the lease {lease, worker}",
    .multi = true, .require = S(Start))

STATE(LeaseConfirmed, "pulse: the client said hello to the worker {lease}",
    .multi = true, .require = S(Start))

STATE(ReleaseWorker,
    "pulse: a lease {lease, reason} or a waiter {request, reason} is to end",
    .multi = true, .require = S(Start))

STATE(LeaseEnded, "pulse: the lease is over {lease, worker, reason}",
    .multi = true)

STATE(AdoptingWorkers,
    "level: workers of a previous supervisor are being found",
    .require = S(Start), .remove = S(ForkWorker))

STATE(WorkerAdopted, "pulse: one of them was adopted {worker, lease?}",
    .multi = true, .require = S(Start))

STATE(Draining, "level: no new leases, no new workers", .require = S(Start),
    .remove = S(Ready, WorkersAvailable, LeaseRequested, ForkWorker,
	PoolStarting, NormalizingPool, AdoptingWorkers, LeaseOffered))

STATE(LeaseOffered,
    "pulse: the head of the queue gets an idle worker, which is asked {worker, "
    "client, request}",
    .multi = true, .require = S(Start))

#undef POOL_STATUS
#undef POOL_SIZE
