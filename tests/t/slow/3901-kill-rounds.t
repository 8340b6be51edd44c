#!/bin/sh
# 200 rounds of kill -9 on random workers during streams of 4 clients.
. "${0%/*}/../lib.sh"

start Pool.Min=4 Pool.Warm=2 Pool.Max=8
pool_ready
ok "200 rounds" $PY "$T_ROOT/tests/t/slow/3901-kill-rounds.py" 200
diag <"$T_OUT"
full() { [ "$(amctl status --json --field pool.ready)" -ge 6 ]; }
until_ok 10000 full
result $? "the pool is back at strength"
finish
