#!/bin/sh
# A client with a list of supervisors, two real ones: who is full, broken or
# draining is left for the next, and it is said why each refused.
. "${0%/*}/lib.sh"

A=$T_DIR/first
a_pid=
start_first() { # start_first EXEC [SECTION.KEY=VALUE...]
	a_exec=$1
	shift
	a_args=
	for a_kv in "$@"; do a_args="$a_args --set $a_kv"; done
	# shellcheck disable=SC2086,SC2016
	a_pid=$(amtest notify "$T_DIR/notify-first" -- sh -c 'log=$1; shift; exec "$@" >>"$log" 2>&1' - "$T_DIR/first.log" \
		amnoded -i first --set "Supervisor.RuntimeDir=$A" --set "Worker.Exec=$a_exec" $a_args)
	result $? "the first supervisor starts"
}
stop_first() {
	kill -TERM "$a_pid"
	amtest wait-gone "$a_pid" 30000
	result $? "the first supervisor stops"
}
first() { AMCTL_SOCKET=$A/sock amctl "$@"; }
client() { "$BUILD/examples/client" "$@"; }

start Pool.Min=1 Pool.Warm=0
pool_ready

ok "one that is not there is left for the next" client "$A/sock" "$RUN/sock"
out '49'

start_first /nonexistent/program
is_broken() { first inspect --super 2>/dev/null | grep -q '^1 *ErrPool'; }
until_ok 20000 is_broken
result $? "  its pool is broken"
ok "one whose pool is broken is left for the next" client "$A/sock" "$RUN/sock"
out '49'
exits 1 "alone it is named, with its reason" client "$A/sock"
err 'pool broken'
stop_first

start_first "$(bad slow 1500)" Pool.Min=1 Pool.Warm=0 Pool.Max=1 Pool.QueueMax=1
ok "  its only worker is leased" first request-worker --ttl 60s
first -l waiting request-worker -t 20s >"$T_DIR/waiting" 2>&1 &
waiter=$!
waits() { [ "$(first status --json --field pool.waiting)" = 1 ]; }
until_ok 10000 waits
result $? "  and its queue is full"
ok "one that is full is left for the next" client "$A/sock" "$RUN/sock"
out '49'
ok "  release" first release
wait "$waiter"
result $? "  who waited gets the worker"

# A request that runs keeps it draining.
first -l waiting request input:=2 >"$T_DIR/slow" 2>&1 &
slow=$!
works() { first workers --json | grep -q '"working"'; }
until_ok 10000 works
result $? "  and works with it"
kill -TERM "$a_pid"
drains() { grep -q 'amnoded: stopping' "$T_DIR/first.log"; }
until_ok 10000 drains
ok "one that drains is left for the next" client "$A/sock" "$RUN/sock"
out '49'
wait "$slow"
result $? "  and finishes its request"
grep -q '"output":4' "$T_DIR/slow"
result $? "  with its answer"
amtest wait-gone "$a_pid" 30000
result $? "  then it is gone"
finish
