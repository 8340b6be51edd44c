#!/bin/sh
# AM_LOG and AM_LOG_ARGS: what the machines do, in the log of their process.
. "${0%/*}/lib.sh"

logged() { grep -cE -- "$1" "$LOG"; }
until_logged() { until_ok 5000 grep -qE -- "$1" "$LOG"; }

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$BUILD/examples/square"
pool_ready
ok "a request" amctl request input:=12
is "without AM_LOG no machine logs" "$(logged ' machine: ')" 0
stop
: >"$LOG"

AM_LOG=2 start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$BUILD/examples/square"
pool_ready
ok "a request with AM_LOG=2" amctl request input:=12
until_logged ' machine: \[amnod\] \[state\].*\+PoolReady'
result $? "amnoded logs its machine"
until_logged 'square: machine: \[w1\] \[state\].*\+WorkRequested'
result $? "a worker in C logs its own"
is "args are not shown" "$(logged 'input=12')" 0
stop
: >"$LOG"

AM_LOG=3 AM_LOG_ARGS=1 start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$SQUARE"
pool_ready
ok "a request with AM_LOG=3 and AM_LOG_ARGS=1" amctl request input:=12
until_logged 'machine: \[w1\] .*WorkRequested.*input=12'
result $? "amnode-exec logs its machine, with args"
until_logged 'machine: \[amnod\] .*LeaseRequested.*timeout_ms='
result $? "  amnoded, too"
finish
