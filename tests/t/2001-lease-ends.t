#!/bin/sh
# Every end of a lease, each with its recorded reason.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0 Pool.Max=1 Lease.TTL=1s
pool_ready
available() { amctl --super when WorkersAvailable -t 10s >/dev/null; }

ok "request-worker" amctl request-worker
exits 5 "a second one on the same name" amctl request-worker
err "default"
exits 75 "no free worker, --no-wait" amctl request-worker -l other --no-wait
err "no worker"
exits 124 "no free worker, a timeout" amctl request-worker -l other -t 200ms
ok "ttl: nobody is connected" available
exits 7 "an expired lease" amctl add WorkRequested input:=1
err "ttl"
exits 7 "and again, from its file" amctl add WorkRequested input:=1
err "ttl"
exits 4 "no lease file" amctl -l never add WorkRequested input:=1
err "never"

ok "a name whose lease is over can be used again" amctl request-worker
pid=$(amctl workers --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
kill -KILL "$pid"
amtest wait-gone "$pid" 5000
exits 7 "the worker died" amctl add WorkRequested input:=1
err "worker-died"
pool_ready

ok "max" amctl request-worker --ttl 60s --max 1s
ok "  it ends" available
exits 7 "  and says so" amctl add WorkRequested input:=1
err "max"

ok "admin" amctl request-worker
id=$(amctl leases --json | sed 's/.*"lease":"\([^"]*\)".*/\1/')
ok "  leases kill" amctl leases kill "$id"
ok "  it ends" available
exits 7 "  and says so" amctl add WorkRequested input:=1
err "admin"
exits 4 "kill what is not there" amctl leases kill L999
err "L999"

# --bind-pid: the owner's exit frees an idle worker within 100 ms, from the kill to
# the daemon's own line: no other process's start is in it.
day_ms() { # of HH:MM:SS.mmm
	echo "$1" | awk -F '[:.]' '{ print (($1 * 60 + $2) * 60 + $3) * 1000 + $4 }'
}
amtest hold >"$T_DIR/owner" &
owner=$!
ok "bound to a process" amctl request-worker --bind-pid "$owner" --ttl 60s
before=$(amctl --super time WorkersAvailable --json | tr -dc 0-9)
t0=$(date +%T.%3N)
kill -KILL "$owner"
ok "  its end frees the worker" amctl --super when-time "WorkersAvailable=$((before + 1))"
t1=$(sed -n 's/ lease: ended .* reason=owner-died .*//p' "$LOG")
ms=$((($(day_ms "$t1") - $(day_ms "$t0") + 86400000) % 86400000))
echo "# owner's death to lendable: $ms ms"
[ "$ms" -lt 100 ]
result $? "  within 100 ms"
exits 7 "  owner-died" amctl add WorkRequested input:=1
err "owner-died"
exits 4 "bound to no process" amctl request-worker --bind-pid "$owner"
err "$owner"

ok "discard" amctl request-worker
old=$(amctl workers --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
ok "  release --discard" amctl release --discard
ok "  the process is replaced" amtest wait-gone "$old" 10000
pool_ready
finish
