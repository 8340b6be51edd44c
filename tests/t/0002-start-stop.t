#!/bin/sh
# One amnoded per instance; the leavings of a dead one; bad configuration.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0
pool_ready
exits 1 "a second amnoded is refused" amnoded -i t --set "Supervisor.RuntimeDir=$RUN"
err "$RUN"
err "already"
ok "the first one lives" amctl ping
worker=$(amctl workers --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
kill -KILL "$T_PID"
amtest wait-gone "$T_PID" 5000
[ -S "$RUN/sock" ]
is "a dead one leaves its socket" $? 0
# What it left: a worker without a supervisor goes by itself.
start Pool.Min=1 Pool.Warm=0 Worker.OrphanTTL=1s
pool_ready
ok "the leavings are taken over" amctl request input:=4
kill -TERM "$worker"
ok "the orphan goes on TERM" amtest wait-gone "$worker" 10000
finish
