#!/bin/sh
# Links that are cut every few kilobytes, and workers killed: each request ends
# once, none is done twice. FULL=1 for all 25,000 requests of each client.
. "${0%/*}/../lib.sh"

count=8000 kills=8
[ -z "${FULL:-}" ] || count=25000 kills=24
loss() { # loss KILLS ADDRESS [NAME]
	start Pool.Min=4 Pool.Warm=0 Pool.Max=8 "Supervisor.Listen=$2" \
		"Worker.Exec=$EXEC -- $PY $T_ROOT/tests/helper/countworker.py $T_DIR/effects"
	AMCTL_SOCKET=$2
	pool_ready
	: >"$T_DIR/effects"
	ok "4 clients of $count requests, $1 kills, by ${3:-Unix}" $PY "$T_ROOT/tests/t/slow/3902-loss.py" "$T_DIR" $count "$1"
	diag <"$T_OUT"
}
next() {
	until_ok 5000 no_leases
	stop
	result $? "amnoded stops"
}

loss 0 "$RUN/sock"
next
loss 0 "127.0.0.1:$(free_port)" TCP
next
loss $kills "$RUN/sock"
next
loss $kills "127.0.0.1:$(free_port)" TCP
finish
