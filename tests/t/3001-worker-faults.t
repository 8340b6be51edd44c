#!/bin/sh
# Worker programs that misbehave: what the client sees, and the pool's repair.
. "${0%/*}/lib.sh"

with() { # with MODE...: a fresh amnoded with one such worker
	start Pool.Min=1 Pool.Warm=0 Pool.Max=2 Worker.StopGrace=1s Worker.LineMax=1M "Worker.Exec=$(bad "$@")"
	pool_ready
}
next() {
	until_ok 5000 no_leases
	stop
	result $? "stops"
	none_left
}

with error
exits 1 "answers with an error" amctl request a=1
err "bad_luck"
ok "  it is not held against the worker" amctl --super is Ready
exits 1 "  --json" amctl request a=1 --json
out '"status":"failed"'
out '"code":"bad_luck"'
next

with exit-on-request 42 last-words
exits 8 "dies in the request" amctl request a=1
one_line "with its last words" "worker: exited id=w1 .*last=\"KeyError: 'text'\""
next

# What others wrote steers no terminal.
with steer
exits 1 "an error with escapes" amctl request a=1
err 'bad\x1b[2J: \x1b]0;x\x07 \u202e \u009b2J\x0aamctl: forged'
is "  one line, and no control character" "$(tr -d '\n -~' <"$T_ERR" | wc -c) $(wc -l <"$T_ERR")" "0 1"
one_line "the worker's" 'steer \\x1b\[31m \\u202e \\u0085'
is "  no control character in the log" "$(LC_ALL=C grep -c '[^ -~]' "$LOG")" 0
exits 1 "  in JSON it is whole" amctl request a=1 --json
out '"message":"\u001b]0;x\u0007 '
next

with long-error
exits 1 "a long message" amctl request a=1
err "long: éééé"
exits 1 "  --json" amctl request a=1 --json
out '"code":"long","message":"éééé'
next

with refuse
exits 5 "refuses" amctl request a=1
err "not today"
next

with crash-on-request
exits 8 "dies in the request" amctl request a=1
pool_ready
ok "  named lease" amctl request-worker
exits 8 "  dies in the request" amctl add WorkRequested a=1
exits 7 "  then the lease is lost" amctl add WorkRequested a=1
pool_ready
printf '%s\n' '{}' '{}' '{}' >"$T_DIR/in"
# shellcheck disable=SC2016
exits 8 "a stream of its own goes on with another worker" sh -c 'amctl stream --raw <"$1"' - "$T_DIR/in"
is "  one line each" "$(grep -c '"status":"unknown"' "$T_OUT")" 3
pool_ready
ok "  named" amctl request-worker
# shellcheck disable=SC2016
exits 7 "a stream on a named lease ends" sh -c 'amctl -l default stream --raw <"$1"' - "$T_DIR/in"
next

with garbage-stdout
ok "prints garbage on stdout" amctl request a=1
grep -q 'garbage on stdout' "$LOG"
is "  it is in the log" $? 0
next

# What cannot be carried fails its request; the worker serves on.
for mode in huge-line:too_big no-key:bad_answer nan:bad_payload half-pair:bad_payload nan-chunk:bad_payload; do
	with "${mode%:*}"
	pid=$(amctl workers --field pid)
	exits 1 "${mode%:*} fails the request" amctl request a=1
	err "${mode#*:}: "
	until_ok 5000 no_leases # or a second worker is started for who waits
	exits 1 "  and the next" amctl request a=1
	is "  the worker is kept" "$(amctl workers --field pid)" "$pid"
	next
done

start Pool.Min=1 Pool.Max=2 "Worker.Exec=$(bad big 16700000)"
big_answer() { [ "$(amctl request a=1 | wc -c)" -ge 16700002 ]; }
ok "an answer of nearly 16 MiB" big_answer
until_ok 5000 no_leases
ok "  and again" big_answer
next

for mode in garbage-fd4 second-answer unknown-req backslash; do
	with $mode
	pid=$(amctl workers --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
	case $mode in
	second-answer) amctl request a=1 >/dev/null 2>&1 ;;
	*) exits 1 "$mode fails the request" amctl request a=1 && err "protocol" ;;
	esac
	ok "$mode: the worker is replaced" amtest wait-gone "$pid" 10000
	pool_ready
	next
done

with hang
exits 124 "hangs: the client's time is over" amctl request a=1 -t 300ms
next

with fd-leak ignore-term
ok "ignores TERM" amctl request a=1
next

with fork-and-die
exits 8 "leaves a child behind and dies" amctl request a=1
pool_ready
next
T_PID=
echo "1..$T_N"
exit "$((T_BAD > 0))"
