/* config.tbl.h - every key of amnoded.conf: section, key, type, field of
 * struct config, bounds (of a number in the type's unit, of a text or words in
 * bytes), choices of a choice (in the order of its enum), default, help. Rows of
 * a section stand together. */

CONF(Supervisor, Kind, text, kind, 0, 64, NULL, "",
	"what the workers are called in logs and answers; empty: the name of their program")
CONF(Supervisor, Listen, text, listen, 0, 200, NULL, "",
	"where clients connect: a path or HOST:PORT; empty: sock in the runtime directory")
CONF(Supervisor, RuntimeDir, text, runtime_dir, 0, 200, NULL, "",
	"runtime directory; empty: $RUNTIME_DIRECTORY, /run/amnode/INSTANCE or $XDG_RUNTIME_DIR/amnode/INSTANCE")
CONF(Supervisor, StopTimeout, duration, stop_timeout_ms, 0, 3600000, NULL, "20s",
	"after SIGTERM: for running requests, and for clients to fetch answers")

CONF(Pool, Min, count, pool_min, 0, 1000, NULL, "2",
	"the pool is ready with this many workers")
CONF(Pool, Warm, count, pool_warm, 0, 1000, NULL, "0",
	"workers to keep beyond those that are leased or waited for")
CONF(Pool, Max, count, pool_max, 1, 1000, NULL, "10", "never more workers")
CONF(Pool, QueueMax, count, queue_max, 0, 10000, NULL, "64",
	"clients that may wait for a worker")
CONF(Pool, IdleTTL, duration, idle_ttl_ms, 100, 2678400000, NULL, "60s",
	"an idle worker over what is wanted is stopped after this time")
CONF(Pool, StartParallel, count, start_parallel, 1, 64, NULL, "4",
	"workers that may be starting at a time")

CONF(Worker, Exec, words, exec, 1, 65536, NULL,
	AM_LIBEXECDIR "/amnode/amnode-exec -- " AM_WORKERDIR "/square.py",
	"the worker program and its arguments, split like a shell splits words")
CONF(Worker, StartTimeout, duration, start_timeout_ms, 10, 3600000, NULL, "30s",
	"from start to ready")
CONF(Worker, RequestTimeout, duration, request_timeout_ms, 1, 2678400000, NULL, "60s",
	"for requests without a deadline of their own")
CONF(Worker, Window, count, window, 1, 1024, NULL, "64",
	"requests that may be open on a worker")
CONF(Worker, LineMax, size, line_max, 65536, 16777216, NULL, "16M",
	"the longest line to and from a program that amnode-exec hosts, in bytes")
CONF(Worker, StopGrace, duration, stop_grace_ms, 0, 3600000, NULL, "5s",
	"between the request to stop and SIGTERM, and between SIGTERM and SIGKILL")
CONF(Worker, OrphanTTL, duration, orphan_ttl_ms, 100, 2678400000, NULL, "60s",
	"an idle worker without a daemon leaves after this time")
CONF(Worker, OnRelease, choice, on_release, 0, 0, "keep|reset|recycle", "reset",
	"what happens to a worker when its lease ends: keep, reset or recycle")

CONF(Lease, TTL, duration, lease_ttl_ms, 100, 2678400000, NULL, "60s",
	"a lease ends when nobody was connected to its worker for this time")
CONF(Lease, Max, duration, lease_max_ms, 100, 2678400000, NULL, "1h",
	"a lease ends after this time")
CONF(Lease, PerUser, count, per_user, 0, 100000, NULL, "0",
	"leases that one user may hold and wait for; 0: no limit")

CONF(Health, Heartbeat, duration, heartbeat_ms, 100, 86400000, NULL, "1m",
	"how often idle workers are asked whether they live")
CONF(Health, ErrorTTL, duration, error_ttl_ms, 0, 2678400000, NULL, "10m",
	"how long an error of a worker counts")
CONF(Health, ErrorRecent, duration, error_recent_ms, 0, 2678400000, NULL, "1m",
	"a worker with an error this young is not lent")
CONF(Health, ErrorKill, count, error_kill, 0, 15, NULL, "3",
	"a worker with more errors than this is replaced")

CONF(Log, Workers, choice, log_workers, 0, 0, "daemon", "daemon",
	"where the standard output and error of workers go")
CONF(Log, RateLimit, count, log_rate, 0, 1000000, NULL, "1000",
	"lines a second of one worker that are logged; 0: all")
CONF(Log, RateBurst, count, log_burst, 1, 1000000, NULL, "5000",
	"lines of one worker that are logged at once, before the rate counts")

CONF(Security, AllowUser, users, allow_user, 0, 0, NULL, "",
	"users that may connect, by name or id; if AllowGroup is empty, too: whoever may open the socket")
CONF(Security, AllowGroup, groups, allow_group, 0, 0, NULL, "",
	"groups whose members may connect, by name or id")
CONF(Security, TLSCert, text, tls_cert, 0, 4000, NULL, "",
	"certificate of this host (PEM, with the chain behind it): Listen=HOST:PORT then speaks TLS 1.3, and so do the workers")
CONF(Security, TLSKey, text, tls_key, 0, 4000, NULL, "",
	"its private key (PEM); only its owner and group may read the file")
CONF(Security, TLSClientCA, text, tls_client_ca, 0, 4000, NULL, "",
	"certificates (PEM) from which those of clients have to come")
CONF(Security, TLSAdmin, words, tls_admin, 0, 65536, NULL, "",
	"clients who are administrators: common names or whole subjects (CN=x,O=y) of certificates, split like a shell splits words")
