#!/bin/sh
# 200 rounds of kill -9 on random workers during streams of 4 clients.
. "${0%/*}/../lib.sh"

start Pool.Min=4 Pool.Warm=2 Pool.Max=8
pool_ready
base=$(fds)
ok "200 rounds" $PY "$T_ROOT/tests/t/slow/3901-kill-rounds.py" 200
diag <"$T_OUT"
pool_ready
until_ok 5000 no_leases
full() { [ "$(amctl status --json --field pool.ready)" -ge 6 ]; }
until_ok 10000 full
result $? "the pool is back at strength"
same_fds() { [ "$(fds)" -le "$base" ]; }
until_ok 5000 same_fds
result $? "no fd is left ($(fds) now, $base before)"
finish
