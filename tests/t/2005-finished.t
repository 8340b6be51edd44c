#!/bin/sh
# What was answered before a graceful end of the lease is not thrown away by it,
# and its reader cannot hold that end for ever.
. "${0%/*}/lib.sh"

case_of() { # case_of NAME SECTION.KEY=VALUE...
	name=$1
	shift
	start Pool.Min=1 Pool.Warm=0 Pool.Max=1 "Worker.Exec=$BUILD/tests/helper/bigworker" "$@"
	pool_ready
	ok "$name" $PY "$T_ROOT/tests/t/2005-finished.py" "$name" "$T_PID"
	grep '^#' "$T_OUT"
}

stopped() { # by the case itself
	amtest wait-gone "$T_PID" 10000
	result $? "amnoded has stopped"
	T_PID=
}

case_of drain Supervisor.StopTimeout=20s
stopped
case_of young Supervisor.StopTimeout=20s
stopped
case_of amctl Supervisor.StopTimeout=20s
stopped
case_of held-drain Supervisor.StopTimeout=2s
stopped
case_of release Worker.StopGrace=20s
stop
case_of max Worker.StopGrace=20s
stop
case_of held-release Worker.StopGrace=3s
finish
