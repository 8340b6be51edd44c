#!/bin/sh
# What the pool counts: Min=0; a worker that is on its way out, or hangs, is made
# up for while there is room.
. "${0%/*}/lib.sh"

SLOW_END=$(bad ignore-term)
start Pool.Min=0 Pool.Warm=0 Pool.Max=3 Worker.StopGrace=2s Worker.OnRelease=recycle \
	Health.Heartbeat=1s "Worker.Exec=$SLOW_END"
pool_ready
is "Min=0: ready without a worker" "$(pool ready)" 0
ok "the first client starts one" amctl request input:=3

# Recycled, and deaf to TERM: it lives for two graces more.
t=$(now_ms)
ok "the next one does not wait for its end" amctl request input:=3
t=$(($(now_ms) - t))
[ "$t" -lt 1000 ]
result $? "  but gets another worker ($t ms)"

none_left_over() { [ "$(amctl workers --json | grep -c '"id"')" = 0 ]; }
until_ok 20000 none_left_over
result $? "all of them go"
ok "one is leased" amctl request-worker
pid=$(amctl workers --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
kill -STOP "$pid"
t=$(now_ms)
ok "it hangs: another one is leased" amctl -l other request-worker
t=$(($(now_ms) - t))
[ "$t" -lt 1000 ]
result $? "  beside it ($t ms)"
ok "  and released" amctl -l other release
amctl release >/dev/null 2>&1
until_ok 20000 none_left_over
result $? "the hung one is killed"
T_FDS=
finish
