#!/bin/sh
# Who waits gets a worker: a new one up to Max, another one if the first hangs.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0 Pool.Max=2 Pool.IdleTTL=300ms Worker.StopGrace=500ms
pool_ready

ok "the only worker is leased" amctl request-worker
ok "who waits gets a new one" amctl -l other request-worker
is "  of two" "$(pool leased)" 2
exits 124 "but not beyond Max" amctl -l third request-worker -t 300ms
ok "both go back" amctl release
ok "  the other, too" amctl -l other release
one_left() { [ "$(pool ready)" = 1 ]; }
until_ok 10000 one_left
result $? "  and what is too many is stopped"

pid=$(amctl workers --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
kill -STOP "$pid"
ok "an idle worker hangs: its client gets another one" amctl request input:=3 -t inf
out '9'
ok "  it is killed" amtest wait-gone "$pid" 10000
grep -q 'lease: worker does not answer lease=L3 id=w2' "$LOG"
result $? "  and the log says why"
finish
