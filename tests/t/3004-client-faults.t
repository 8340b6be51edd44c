#!/bin/sh
# Clients that die or go too far.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0 Pool.Max=1
pool_ready
avail() { amctl --super time WorkersAvailable --json | tr -dc 0-9; }

# Between grant and hello: closing frees the worker at once, silence in 2 s.
t=$(avail)
ok "a client asks and closes after the grant" amtest "connect $RUN/sock" hello \
	'add LeaseRequested {"request":1,"timeout_ms":1000}' "expect ProvideWorker" close
ok "  the worker is lendable again" amctl --super when-time "WorkersAvailable=$((t + 2))" -t 1s
t=$(avail)
amtest "connect $RUN/sock" hello 'add LeaseRequested {"request":1,"timeout_ms":1000}' \
	"expect ProvideWorker" "eof" >/dev/null 2>&1 &
silent=$!
ok "a silent one: after 2 s" amctl --super when-time "WorkersAvailable=$((t + 2))" -t 4s
kill -KILL $silent 2>/dev/null

# A script killed with -9 whose lease is bound to its pid.
cat >"$T_DIR/script" <<'EOT'
amctl request-worker --bind-pid $$ -l script >/dev/null && echo got
exec amtest hold
EOT
sh "$T_DIR/script" >"$T_DIR/script.out" &
script=$!
got() { grep -q got "$T_DIR/script.out"; }
until_ok 10000 got
is "a script leases" $? 0
t=$(avail)
kill -KILL $script
ok "  killed: the worker is lendable again" amctl --super when-time "WorkersAvailable=$((t + 1))" -t 1s

ok "a lease" amctl request-worker
exits 6 "set Start" amctl set Start
err "not permitted"
exits 6 "remove Ready" amctl remove Ready
exits 6 "add Leased" amctl add Leased
exits 4 "an unknown state" amctl add WorkReqested
err 'did you mean "WorkRequested"?'
exits 5 "canceled by a relation" amctl add CancelWork req:=1
err "CancelWork requires Working"
ok "the lease lives" amctl add WorkRequested input:=2
ok "release" amctl release
finish
