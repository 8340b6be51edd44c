#!/bin/sh
# amctl over links that are cut, by Unix and TCP: each line, request and release
# has its one outcome, and what cannot be known is said to be unknown.
. "${0%/*}/lib.sh"

cut_links() { # cut_links ADDRESS NAME
	start Pool.Min=3 Pool.Warm=0 Pool.Max=3 "Supervisor.Listen=$1" \
		"Worker.Exec=$EXEC -- $PY $T_ROOT/tests/helper/countworker.py $T_DIR/effects"
	AMCTL_SOCKET=$1
	pool_ready
	ok "cut links by $2" $PY "$T_ROOT/tests/t/1006-cut-links.py" "$T_DIR"
	until_ok 5000 no_leases
	result $? "no lease is left"
	stop
	result $? "amnoded stops"
}

cut_links "$RUN/sock" Unix
cut_links "127.0.0.1:$(free_port)" TCP
finish
