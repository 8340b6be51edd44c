#!/bin/sh
# A full queue, a daemon that stands still, half-closed connections, owners
# that are zombies.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0 Pool.Max=1 Pool.QueueMax=2
pool_ready
ok "a lease" amctl request-worker
amctl request input:=1 >"$T_DIR/q1" 2>&1 &
q1=$!
amctl request input:=2 >"$T_DIR/q2" 2>&1 &
q2=$!
two_wait() { [ "$(pool waiting)" = 2 ]; }
until_ok 10000 two_wait
is "two wait" $? 0
exits 75 "a third finds the queue full" amctl request input:=3
err "queue full"

kill -STOP "$T_PID"
exits 124 "the daemon stands still" amctl status -t 500ms
err "did not answer in time"
ok "work goes on meanwhile: it never flows through the supervisor" amctl add WorkRequested input:=3
kill -CONT "$T_PID"
ok "release" amctl release
wait "$q1"
is "the first waiter is served" $? 0
wait "$q2"
is "and the second" $? 0

cat >"$T_DIR/half.py" <<'EOT'
import socket, sys
held = []
for how in [socket.SHUT_WR, socket.SHUT_RD] * 50:
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.shutdown(how)
    s.settimeout(10)
    if how == socket.SHUT_WR:
        assert s.recv(100) == b""   # closed by the daemon
    held.append(s)
EOT
ok "half-closed connections are closed" $PY "$T_DIR/half.py" "$RUN/sock"

amtest hold &
owner=$!
ok "bound to a process" amctl request-worker --bind-pid "$owner"
kill -STOP "$owner"
kill -KILL "$owner" # nobody has waited for it yet: a zombie
until_ok 5000 no_leases
is "a zombie is no owner" $? 0
wait "$owner" 2>/dev/null
finish
