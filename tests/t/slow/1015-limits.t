#!/bin/sh
# Clients that take what they can get: slow, silent, deaf, many, greedy. Each
# costs amnoded a bounded amount and one line in the log, and others nothing.
. "${0%/*}/../lib.sh"

prlimit --pid $$ --nofile=512:
start Pool.Min=2 Pool.Warm=0 Pool.Max=2 "Worker.Exec=$EXEC -- $PY $T_ROOT/tests/t/slow/1015-limits.py worker"
pool_ready
limit() { awk '/Max open files/ { print $'"$2"' }' "/proc/$1/limits"; }
is "amnoded takes all files that it may have" "$(limit "$T_PID" 4)" "$(limit "$T_PID" 5)"
for p in $(amctl workers --json | $PY -c 'import json, sys; [print(w["pid"]) for w in json.load(sys.stdin)]'); do
	is "a worker gets what amnoded was started with" "$(limit "$p" 4)" 512
done
prlimit --pid $$ --nofile="$(limit $$ 5):"
ok "limits" $PY "$T_ROOT/tests/t/slow/1015-limits.py" "$T_PID" "$RUN" "$LOG"
[ "$t_rc" -eq 0 ] || diag <"$T_OUT"
ok "all is well" amctl request input:=3
finish
